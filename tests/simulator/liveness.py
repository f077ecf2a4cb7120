"""What must be true once faults have stopped: everybody knows the same, and runs what it should or says why not."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edged.errors import ReleaseUnavailable
from edged.fleet.deployment import Deployment
from edged.fleet.record import Key, Version
from edged.fleet.report import AppReport
from tests.simulator.invariants import Oracle
from tests.simulator.node import Node

_SETTLED_BADLY = ("failed", "reverted", "held")


def unsettled(nodes: Sequence[Node], oracle: Oracle, *, may_wait: bool = False) -> list[str]:
    """Why these nodes, which are those of the newest roster, are not as they should be; nothing if they are.

    Args:
        may_wait: for an earlier wave, for ever: a node that is heard of and never serves anything keeps a release back.
    """
    settled = (*_SETTLED_BADLY, "waiting") if may_wait else _SETTLED_BADLY
    found = [why for node in nodes for why in _of_node(node, oracle, settled)]
    hashes = {node.name: node.state.heads_hash().hex()[:8] for node in nodes if node.state is not None}
    if len(set(hashes.values())) > 1:
        found.append(f"heads differ: {hashes}; {_differences(nodes)}")
    return found


def still_announcing(removed: Collection[Node]) -> list[str]:
    """Nodes that root has taken out of the fleet, and that have not left."""
    return sorted(f"{node.name} was removed, and announces" for node in removed if node.watch.prefixes)


def lost(nodes: Sequence[Node], oracle: Oracle) -> list[str]:
    """Changes that publishers were told are accepted, and that no node has or has replaced (invariant 9)."""
    found = []
    for app, versions in sorted(oracle.acknowledged.items()):
        newest = max(versions)
        for node in nodes:
            record = None if node.state is None else node.state.head(app)
            if record is None or record.head.version < newest:
                held = "nothing" if record is None else _shown(record.head.version)
                found.append(f"{node.name} has {held} of {app}, and {_shown(newest)} was acknowledged")
            elif record.head.version == newest and record.head.digest not in versions[newest]:
                found.append(f"{node.name} has another {_shown(newest)} of {app} than was acknowledged")
    return found


def disputed(nodes: Sequence[Node]) -> list[str]:
    """Apps of which somebody has to publish anew, as the alarms of some node say: two records had one number, or a key
    that signed one may not any more. And apps whose release nobody can give any more."""
    apps = set()
    for node in nodes:
        for alarm in () if node.state is None else node.state.alarms():
            kind, _, name = alarm.subject.partition(" ")
            if kind == "deployment":
                apps.add(name)
    for node in nodes:  # a bit of the only copy may have turned around before there was a second one
        reports = {} if node.part is None else node.part.agent.reports()
        apps |= {app for app, report in reports.items() if report.error_code == ReleaseUnavailable.code}
    heads: dict[str, set[object]] = {}
    for node in nodes:
        for app in () if node.state is None else node.state.deployments():
            record = node.state.head(app) if node.state is not None else None
            if record is not None and record.is_orphaned:
                apps.add(app)
            heads.setdefault(app, set()).add(None if record is None else (record.head.version, record.head.digest))
    versions = {app: [each[0] for each in of if isinstance(each, tuple)] for app, of in heads.items()}
    apps |= {app for app, of in versions.items() if len(of) > len(set(of))}
    return sorted(apps)


def _of_node(node: Node, oracle: Oracle, settled: Collection[str]) -> list[str]:
    state, part = node.state, node.part
    if state is None or part is None:
        return [f"{node.name} does not run"]
    roster = state.roster
    newest = oracle.newest_roster
    if roster is None or roster.record_version < newest.record_version:
        return [f"{node.name} has another roster than the newest"]
    reports = part.agent.reports()
    found = []
    for app, deployment in sorted(state.deployments().items()):
        why = _of_app(node, deployment, reports.get(app), settled)
        if why:
            found.append(f"{node.name}: {app} {_shown(deployment.version)}: {why}")
    missing = set(roster.prefixes) - set(map(str, node.watch.prefixes))
    if node.is_answering and missing:
        found.append(f"{node.name} announces no {', '.join(sorted(missing))}")
    return found


def _of_app(node: Node, deployment: Deployment, report: AppReport | None, settled: Collection[str]) -> str:
    version = node.watch.served.get(deployment.app)
    if not deployment.regions.get(node.region):
        is_held = report is not None and bool(report.error_code)
        return "" if version is None or is_held else f"is removed, and served as {_shown(version)}"
    if report is None:
        return "nothing is said of it"
    if report.stage in settled:
        return "" if report.error_code or report.error_message else f"{report.stage} without a reason"
    if report.stage != "live":
        return f"{report.stage}: {report.error_code} {report.error_message}"
    if (report.running, version) != (deployment.sequence, deployment.version):
        return f"says live, and runs {report.running}, serves {version}"
    return ""


def _differences(nodes: Sequence[Node]) -> str:
    heads = {node.name: {head.key: head for head in node.state.heads()} for node in nodes if node.state is not None}
    keys = {key for of in heads.values() for key in of}
    shown = []
    for key in sorted(keys):
        values = {name: of.get(key) for name, of in heads.items()}
        if len({None if head is None else (head.version, head.digest) for head in values.values()}) > 1:
            has = {name: "-" if head is None else _shown(head.version) for name, head in values.items()}
            shown.append(f"{_named(key)}: {has}")
    return "; ".join(shown)


def _named(key: Key) -> str:
    return f"{key.kind} {key.name}"


def _shown(version: Version) -> str:
    return f"{version.epoch}.{version.sequence}"
