"""What is wrong with a fleet, in words: the first thing that an operator reads. No input or output, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edged.errors import remedy_of
from edged.limits import CERTIFICATE_DAYS_WARNED, DISK_FREE_BYTES_WARNED, REPORT_UP_S
from edged.status.anycast_diagnosis import anycast_problems
from edged.status.problem import Problem, Severity, duration
from edged.status.view import FAILED, AppNodeView, AppView, NodeView, Stage, StatusView

_NAMED_MAX = 5  # nodes of one alarm

_CODE = re.compile(r" \[([a-z.-]+)\]$")


def diagnose(view: StatusView) -> tuple[Problem, ...]:
    """All that is wrong, errors first. Empty if all is well."""
    found = [*anycast_problems(view), *_nodes(view), *_apps(view), *_certificates(view), *_rest(view)]
    return tuple(sorted(found, key=lambda problem: problem.severity != "error"))


def _nodes(view: StatusView) -> Iterator[Problem]:
    for region in view.regions:
        awaited = any(node.region == region.name and is_awaited(view, node) for node in view.nodes)
        if region.nodes_total > 1 and not region.nodes_up and not awaited:
            yield Problem("error", f"region {region.name} is dead: none of its {region.nodes_total} nodes is heard of")
    for node in view.nodes:
        where = f"node {node.name} in {node.region}"
        alone = "" if _has_others(view, node) else f", the only one of {node.region}: the region is dead"
        if is_awaited(view, node):
            text = f"{where} is not heard of yet: {view.answered_by}, which answers, has only just started"
            yield Problem("warning", text, "Ask again in a few seconds.")
        elif node.state == "never":
            yield Problem("error", f"{where} was never heard of{alone}", f"Look whether edged runs at {node.address}.")
        elif node.state != "up":
            since = "" if node.heard_s is None else f": not heard of for {duration(node.heard_s)}"
            yield Problem("error", f"{where} is dead{since}{alone}", f"Look whether edged runs at {node.address}.")
        elif node.workers_total and (node.workers_ready or 0) < node.workers_total:
            severity: Severity = "warning" if node.workers_ready else "error"
            yield Problem(severity, f"{where} has {node.workers_ready or 0} of {node.workers_total} workers ready")
        if node.disk_free_bytes is not None and node.disk_free_bytes < DISK_FREE_BYTES_WARNED:
            yield Problem("warning", f"{where} has {node.disk_free_bytes // 1024**2} MiB of disk left", "Make room.")
    yield from _alarms(view)


def _alarms(view: StatusView) -> Iterator[Problem]:
    """Those of nodes: what many of them say is one problem."""
    raised: dict[str, list[NodeView]] = {}
    for node in view.nodes:
        for alarm in node.alarms:
            raised.setdefault(alarm, []).append(node)
    for alarm, nodes in raised.items():
        if len(nodes) == 1:
            yield _alarm(f"node {nodes[0].name} in {nodes[0].region}: {alarm}")
            continue
        named = ", ".join(node.name for node in nodes[:_NAMED_MAX])
        more = f" and {len(nodes) - _NAMED_MAX} more" if len(nodes) > _NAMED_MAX else ""
        yield _alarm(f"nodes {named}{more}: {alarm}")


def is_awaited(view: StatusView, node: NodeView) -> bool:
    """Whether a node was only not heard of yet: the one that answers has not listened for long."""
    if node.state != "never":
        return False
    since = next((each.since for each in view.nodes if each.name == view.answered_by), None)
    return since is not None and view.time - since <= REPORT_UP_S


def _has_others(view: StatusView, node: NodeView) -> bool:
    return any(other.region == node.region and other.name != node.name for other in view.nodes)


def _apps(view: StatusView) -> Iterator[Problem]:
    for app in view.apps:
        failed: dict[tuple[Stage, str], list[str]] = {}  # stage and why -> where
        waits: dict[str, list[str]] = {}  # for what -> where
        behind: dict[int, list[str]] = {}  # what runs -> where
        for region in app.regions:
            nodes = [node for node in app.nodes if node.region == region and node.state == "up"]
            late = [node for node in nodes if is_behind(app, node)]
            whys = {(node.stage, node.error_message or node.error_code) for node in late if node.stage in FAILED}
            for stage, why in sorted(whys):
                those = [node for node in late if (node.stage, node.error_message or node.error_code) == (stage, why)]
                failed.setdefault((stage, why), []).append(_place(region, those, nodes))
            reasons = sorted({node.error_message for node in late if node.stage == "waiting"} - {""})
            if reasons and not whys:
                waits.setdefault(reasons[0], []).append(_place(region, late, nodes))
            elif late and not whys:
                behind.setdefault(min(node.running for node in late), []).append(_place(region, late, nodes))
        # What is held is so because of what failed elsewhere, which is therefore said first.
        for (stage, why), places in sorted(failed.items(), key=lambda item: item[0][0] == "held"):
            yield Problem(
                "error",
                f"{app.name} {stage} in {', '.join(places)}" + (f": {why}" if why else ""),
                f"Push a corrected one, or run `edged rollback {app.name}`.",
            )
        for reason, places in waits.items():
            yield Problem("warning", f"{app.name} {app.sequence} waits before {', '.join(places)}: {reason}")
        for lowest, places in behind.items():
            start = f"region {places[0]} is" if len(places) == 1 else f"regions {', '.join(places)} are"
            if lowest == app.sequence:  # a node that has just started, or a worker of it
                yield Problem("warning", f"{start} loading {app.name} {lowest}")
                continue
            runs = f"{'it runs' if len(places) == 1 else 'they run'} {lowest or 'none'}"
            yield Problem("warning", f"{start} behind with {app.name}: {runs}, should run {app.sequence}")


def _place(region: str, those: Sequence[AppNodeView], nodes: Sequence[AppNodeView]) -> str:
    """A region, with the nodes that are meant if others of it are not."""
    if len(those) == len(nodes):
        return region
    return f"{region} ({'node' if len(those) == 1 else 'nodes'} {', '.join(node.node for node in those)})"


def is_behind(app: AppView, node: AppNodeView) -> bool:
    """Whether a node serves something else than it should."""
    return node.running != app.sequence or node.stage != "live"


_EXPIRING = "[fleet.certificate-expiring]"


def _certificates(view: StatusView) -> Iterator[Problem]:
    parties = [
        (f"the certificate of node {node.name}", node.certificate_days)
        for node in view.nodes
        if not any(
            _EXPIRING in alarm for alarm in node.alarms if alarm.startswith(f"certificate of node {node.name}: ")
        )
    ]  # those that say it themselves have done so
    parties += [(f"the certificate of key {key.name}", key.certificate_days) for key in view.fleet.keys]
    for what, days in parties:
        if days is None or days >= CERTIFICATE_DAYS_WARNED:
            continue
        if days < 0:
            yield Problem("error", f"{what} has expired", "Make a new one and sign the roster.")
        else:
            yield Problem("warning", f"{what} expires in {_days(days)}", "Make a new one and sign the roster.")


def _rest(view: StatusView) -> Iterator[Problem]:
    said = {alarm for node in view.nodes if node.name == view.answered_by for alarm in node.alarms}
    for alarm in view.alarms:
        if alarm not in said:  # as that node's own
            yield _alarm(alarm)
    behind = [node for node in view.nodes if _has_older_roster(view, node)]
    for node in behind:
        yield Problem("warning", f"node {node.name} has roster {node.roster_version}, not {view.fleet.roster_version}")


def _alarm(text: str) -> Problem:
    """A node says its alarms with their code behind them, which is what names the remedy."""
    code = _CODE.search(text)
    return Problem("error", text, "" if code is None else remedy_of(code[1]))


def _has_older_roster(view: StatusView, node: NodeView) -> bool:
    return node.state == "up" and node.roster_version is not None and node.roster_version < view.fleet.roster_version


def _days(days: float) -> str:
    count = int(days)
    return "less than a day" if count < 1 else "1 day" if count == 1 else f"{count} days"
