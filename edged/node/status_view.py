"""What a node says of the fleet, made of what it knows.

    FleetState + Board + now ── status_view ──> StatusView      (edged.status.view)
                             └─ rollout_views ─> RolloutView for each node

Pure functions: what is not known is None or "", never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edged.errors import RemovalHeld
from edged.fleet.alarm import Alarm
from edged.fleet.board import Board, Seen
from edged.fleet.certificate import days_left
from edged.fleet.deployment import Deployment
from edged.fleet.report import AppReport, NodeReport
from edged.fleet.roster import Node, Roster
from edged.fleet.view import View
from edged.limits import REPORT_UP_S
from edged.status.view import (
    FAILED,
    AppNodeView,
    AppState,
    AppView,
    FleetView,
    KeyView,
    NodeView,
    RegionView,
    RolloutView,
    Stage,
    StatusView,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """When the answer is made, on both clocks: reports are as old as the monotonic one says.

    Attributes:
        time: unix, s.
        monotonic: of the board, s.
        lost: nodes whose link broke and that cannot be reached -> when it broke, on the board's clock.
    """

    time: float
    monotonic: float
    lost: Mapping[str, float] = field(default_factory=dict)

    def unix(self, monotonic: float) -> float:
        """A moment of the board's clock as unix time."""
        return self.time - (self.monotonic - monotonic)


def status_view(node: str, view: View, alarms: Sequence[Alarm], board: Board, moment: Moment) -> StatusView:
    """The answer of `status`.

    Args:
        node: the name of the one that answers.
        alarms: that it has raised about records.
    """
    roster = view.roster
    seen = _seen(view, board, moment)
    own = board.get(node)
    nodes = tuple(_node(each, seen[each.name], own, moment) for each in _in_order(view))
    regions = [region.name for region in roster.regions] if roster else sorted({each.region for each in view.nodes})
    return StatusView(
        time=moment.time,
        answered_by=node,
        fleet=_fleet(roster, moment.time),
        regions=tuple(_region(name, [each for each in nodes if each.region == name]) for name in regions),
        nodes=nodes,
        apps=tuple(
            _app(deployment, view, seen, moment)
            for _, deployment in sorted(view.deployments.items())
            if deployment.regions
        ),
        alarms=tuple(f"{alarm.subject}: {alarm.message} [{alarm.code}]" for alarm in alarms),
    )


def rollout_views(app: str, sequence: int, view: View, board: Board, moment: Moment) -> list[RolloutView]:
    """The items of `watch`, one for each node that should run this deployment, or of a removed app one for each node;
    none if the app is not known here."""
    deployment = view.deployments.get(app)
    if deployment is None:
        return []
    seen = _seen(view, board, moment)
    found = []
    for node in _in_order(view):
        if node.region in deployment.regions or not deployment.regions:
            heard = seen[node.name]
            report = _report_of(heard, app)
            progress = _progress if deployment.regions else _departure
            stage, code, message = progress(heard, sequence, app, moment)
            at = report or _NOTHING
            is_there = at.desired == sequence
            found.append(
                RolloutView(
                    region=node.region,
                    node=node.name,
                    stage=stage,
                    bytes_done=at.bytes_done if is_there else 0,
                    bytes_total=at.bytes_total if is_there else 0,
                    bytes_saved=at.bytes_saved if is_there else 0,
                    error_code=code,
                    error=message,
                    sequence=at.desired,
                )
            )
    return found


_NOTHING = AppReport()


def _in_order(view: View) -> list[Node]:
    return sorted(view.nodes, key=lambda node: (node.region, node.name))


def _seen(view: View, board: Board, moment: Moment) -> dict[str, Seen]:
    return {each.name: each for each in board.seen([node.name for node in view.nodes], moment.monotonic, moment.lost)}


def _fleet(roster: Roster | None, now: float) -> FleetView:
    if roster is None:
        return FleetView("", "", 0, 0, (), ())
    keys = tuple(KeyView(key.name, tuple(sorted(key.roles)), days_left(key.certificate, now)) for key in roster.keys)
    return FleetView(roster.fleet, roster.domain, roster.epoch, roster.version, roster.prefixes, keys)


def _region(name: str, nodes: Sequence[NodeView]) -> RegionView:
    up = [node for node in nodes if node.state == "up"]
    return RegionView(
        name=name,
        nodes_up=len(up),
        nodes_total=len(nodes),
        requests_s=sum(node.requests_s or 0.0 for node in up),
        p50_ms=max((node.p50_ms for node in up if node.p50_ms is not None), default=None),
        p99_ms=max((node.p99_ms for node in up if node.p99_ms is not None), default=None),
    )


def _node(node: Node, seen: Seen, own: NodeReport | None, moment: Moment) -> NodeView:
    known = NodeView(node.name, node.region, node.address, node.url, seen.state)
    certificate_days = days_left(node.certificate, moment.time)
    report = seen.report
    if report is None:
        return replace(known, certificate_days=certificate_days)
    # A node that has only just started reports 0 for both: it has not measured yet.
    is_measured = report.disk_free_bytes or report.disk_used_bytes
    return replace(
        known,
        since=moment.unix(seen.since),
        heard_s=seen.age_s,
        hearsay=seen.is_hearsay,
        version=report.version,
        roster_version=report.roster_version,
        in_sync=None if own is None else report.heads_hash == own.heads_hash,
        workers_ready=report.workers_ready,
        workers_total=report.workers_total,
        requests_s=report.requests_s,
        p50_ms=report.p50_ms,
        p99_ms=report.p99_ms,
        certificate_days=certificate_days,
        disk_free_bytes=report.disk_free_bytes if is_measured else None,
        disk_used_bytes=report.disk_used_bytes if is_measured else None,
        alarms=report.alarms,
        anycast=report.anycast,
    )


def _app(deployment: Deployment, view: View, seen: Mapping[str, Seen], moment: Moment) -> AppView:
    nodes = []
    for node in _in_order(view):
        heard = seen[node.name]
        report = _report_of(heard, deployment.app)
        if node.region not in deployment.regions and (report is None or not report.running):
            continue
        stage, code, message = _progress(heard, deployment.sequence, deployment.app, moment)
        at = report or _NOTHING
        nodes.append(
            AppNodeView(
                node=node.name,
                region=node.region,
                state=heard.state,
                desired=at.desired,
                running=at.running,
                release=at.release,
                stage=stage,
                error_code=code,
                error_message=message,
                since=None if report is None else report.since,
                requests=at.requests,
                failures=at.failures,
            )
        )
    return AppView(
        name=deployment.app,
        epoch=deployment.epoch,
        sequence=deployment.sequence,
        issued=deployment.issued,
        message=deployment.message,
        hosts=deployment.hosts,
        state=_state([each.stage for each in nodes if each.state == "up" and each.region in deployment.regions]),
        regions=dict(deployment.regions),
        nodes=tuple(nodes),
    )


def _state(stages: Sequence[Stage]) -> AppState:
    """Of an app, by the stages of the nodes that should run it and are up."""
    if not stages:
        return "unknown"
    if set(FAILED) & set(stages):
        return "failed"
    return "live" if set(stages) == {"live"} else "rolling"


def _report_of(seen: Seen, app: str) -> AppReport | None:
    return None if seen.report is None else seen.report.apps.get(app)


def _progress(seen: Seen, sequence: int, app: str, moment: Moment) -> tuple[Stage, str, str]:
    """How far a node is with that deployment, and why not further."""
    report = _report_of(seen, app)
    if seen.state == "never" and moment.monotonic - seen.since <= REPORT_UP_S:
        return "waiting", "", ""  # we have only just begun to listen
    if seen.state != "up":
        return "silent", "", ""
    if report is None or report.desired < sequence:
        return "waiting", "", ""
    if report.desired > sequence:
        return "superseded", "", ""
    # A node that is told nothing has nothing to be idle about: it is about to begin.
    return "waiting" if report.stage == "idle" else report.stage, report.error_code, report.error_message


def _departure(seen: Seen, sequence: int, app: str, moment: Moment) -> tuple[Stage, str, str]:
    """Whether a node serves a removed app still, and why."""
    if seen.state != "up":
        return _progress(seen, sequence, app, moment)
    report = _report_of(seen, app)
    if report is None or not (report.running or report.desired):
        return "removed", "", ""
    is_held = report.error_code == RemovalHeld.code
    return ("held", report.error_code, report.error_message) if is_held else ("waiting", "", "")
