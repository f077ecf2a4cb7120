"""The answer to `status`, as it came over a link, as records.

It comes from a node that the roster names, so its words are believed; but what has another shape than docs/status.md
says ends here. A state or stage that this edged does not know stays what it is: a newer node may have more of them.
"""

from __future__ import annotations

from typing import cast

from bgp.status import (
    AnycastStatus,
    BfdState,
    DrainReport,
    DrainStep,
    GateState,
    Level,
    PeerStatus,
    PrefixStatus,
    SessionState,
    SpeakerState,
    SpeakerStatus,
)
from edged.errors import ProtocolError
from edged.status.answer import Answer
from edged.status.view import (
    FORMAT,
    AppNodeView,
    AppState,
    AppView,
    FleetView,
    KeyView,
    NodeState,
    NodeView,
    RegionView,
    Stage,
    StatusView,
)


def parse_status(value: object) -> StatusView:
    """The answer to `status`.

    Raises:
        ProtocolError: it has another shape.
    """
    view = Answer(value, "status")
    if (number := view.get("format", int)) != FORMAT:
        raise ProtocolError(f"the node's status has the format {number}, and this edged knows {FORMAT}")
    fleet = view.table("fleet")
    return StatusView(
        time=view.number("time") or 0.0,
        answered_by=view.get("answered_by", str),
        fleet=FleetView(
            name=fleet.get("name", str),
            domain=fleet.get("domain", str),
            epoch=fleet.get("epoch", int),
            roster_version=fleet.get("roster_version", int),
            prefixes=fleet.texts("prefixes"),
            keys=tuple(
                KeyView(key.get("name", str), key.texts("roles"), key.number("certificate_days"))
                for key in fleet.tables("keys")
            ),
        ),
        regions=tuple(map(_region, view.tables("regions"))),
        nodes=tuple(map(_node, view.tables("nodes"))),
        apps=tuple(map(_app, view.tables("apps"))),
        alarms=view.texts("alarms"),
    )


def _region(region: Answer) -> RegionView:
    return RegionView(
        region.get("name", str),
        region.get("nodes_up", int),
        region.get("nodes_total", int),
        region.number("requests_s") or 0.0,
        region.number("p50_ms"),
        region.number("p99_ms"),
    )


def _node(node: Answer) -> NodeView:
    anycast = node.maybe_table("anycast")
    return NodeView(
        name=node.get("name", str),
        region=node.get("region", str),
        address=node.get("address", str),
        url=node.get("url", str),
        state=cast(NodeState, node.get("state", str)),
        since=node.number("since"),
        heard_s=node.number("heard_s"),
        hearsay=node.get("hearsay", bool),
        version=node.get("version", str),
        roster_version=node.maybe("roster_version", int),
        in_sync=node.maybe("in_sync", bool),
        workers_ready=node.maybe("workers_ready", int),
        workers_total=node.maybe("workers_total", int),
        requests_s=node.number("requests_s"),
        p50_ms=node.number("p50_ms"),
        p99_ms=node.number("p99_ms"),
        certificate_days=node.number("certificate_days"),
        disk_free_bytes=node.maybe("disk_free_bytes", int),
        disk_used_bytes=node.maybe("disk_used_bytes", int),
        alarms=node.texts("alarms"),
        anycast=None if anycast is None else _anycast(anycast),
    )


def _anycast(anycast: Answer) -> AnycastStatus:
    speaker, drain = anycast.table("speaker"), anycast.maybe_table("drain")
    return AnycastStatus(
        asn=anycast.get("asn", int),
        speaker=SpeakerStatus(
            state=cast(SpeakerState, speaker.get("state", str)),
            since=speaker.number("since") or 0.0,
            restarts=speaker.get("restarts", int),
            error=speaker.get("error", str),
        ),
        prefixes=tuple(map(_prefix, anycast.tables("prefixes"))),
        peers=tuple(map(_peer, anycast.tables("peers"))),
        drain=None if drain is None else _drain(drain),
        alarms=anycast.texts("alarms"),
    )


def _prefix(prefix: Answer) -> PrefixStatus:
    return PrefixStatus(
        prefix=prefix.get("prefix", str),
        state=cast(GateState, prefix.get("state", str)),
        since=prefix.number("since") or 0.0,
        reason=prefix.get("reason", str),
        desired=cast(Level, prefix.get("desired", str)),
        announced=cast(Level, prefix.get("announced", str)),
        hold_until=prefix.number("hold_until") or 0.0,
        flaps=prefix.get("flaps", int),
    )


def _peer(peer: Answer) -> PeerStatus:
    return PeerStatus(
        name=peer.get("name", str),
        address=peer.get("address", str),
        asn=peer.get("asn", int),
        state=cast(SessionState, peer.get("state", str)),
        since=peer.number("since") or 0.0,
        hold_s=peer.get("hold_s", int),
        error=peer.get("error", str),
        remedy=peer.get("remedy", str),
        flaps=peer.get("flaps", int),
        bfd=cast(BfdState, peer.get("bfd", str)),
        announced=peer.texts("announced"),
    )


def _drain(drain: Answer) -> DrainReport:
    return DrainReport(
        reason=drain.get("reason", str),
        started=drain.number("started") or 0.0,
        ended=drain.number("ended") or 0.0,
        step=cast(DrainStep, drain.get("step", str)),
        withdrawal_proven=drain.get("withdrawal_proven", bool),
        connections_left=drain.get("connections_left", int),
    )


def _app(app: Answer) -> AppView:
    return AppView(
        name=app.get("name", str),
        epoch=app.get("epoch", int),
        sequence=app.get("sequence", int),
        issued=app.get("issued", int),
        message=app.get("message", str),
        hosts=app.texts("hosts"),
        state=cast(AppState, app.get("state", str)),
        regions=app.text_map("regions"),
        nodes=tuple(map(_app_node, app.tables("nodes"))),
    )


def _app_node(node: Answer) -> AppNodeView:
    return AppNodeView(
        node=node.get("node", str),
        region=node.get("region", str),
        state=cast(NodeState, node.get("state", str)),
        desired=node.get("desired", int),
        running=node.get("running", int),
        release=node.get("release", str),
        stage=cast(Stage, node.get("stage", str)),
        error_code=node.get("error_code", str),
        error_message=node.get("error_message", str),
        since=node.number("since"),
        requests=node.get("requests", int),
        failures=node.get("failures", int),
    )
