"""What a node says of itself, as a test wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bgp.status import AnycastStatus, GateState, Level, PeerStatus, PrefixStatus, SessionState, SpeakerStatus
from edged.status.view import AppNodeView, AppView, FleetView, NodeView, Stage, StatusView

PREFIX = "203.0.113.10/32"


def view(
    *,
    apps: Mapping[str, tuple[Stage, int]] | None = None,
    sessions: Mapping[str, SessionState] | None = None,
    prefixes: Mapping[str, tuple[GateState, Level | str]] | None = None,
    workers: tuple[int, int] = (2, 2),
    others: Sequence[NodeView] = (),
    name: str = "n1",
) -> StatusView:
    """Of a fleet in which `n1` answers.

    Args:
        apps: stage here, and the sequence that runs.
    """
    peers = tuple(
        PeerStatus(name=peer, address="192.0.2.1", asn=65101, state=state, since=0.0)
        for peer, state in (sessions or {}).items()
    )
    announced = tuple(
        PrefixStatus(prefix=prefix, state=state, since=0.0, reason="", desired="plain", announced=level)  # type: ignore[arg-type]
        for prefix, (state, level) in (prefixes or {}).items()
    )
    anycast = AnycastStatus(65200, SpeakerStatus("running", 0.0), announced, peers) if sessions or prefixes else None
    node = NodeView(
        name, "eu", "", "", "up", version="0.1.0", workers_ready=workers[0], workers_total=workers[1], anycast=anycast
    )
    return StatusView(
        time=0.0,
        answered_by="n1",
        fleet=FleetView("demo", "", 1, 1, (), ()),
        regions=(),
        nodes=(*others, node),
        apps=tuple(
            AppView(app, 1, sequence, 0, "", (), "live", {}, (_app("n1", stage, sequence), _app("n2", "failed", 0)))
            for app, (stage, sequence) in (apps or {}).items()
        ),
        alarms=(),
    )


def _app(node: str, stage: Stage, sequence: int) -> AppNodeView:
    message = {"failed": "it does not compile", "waiting": "eu is late", "held": "eu failed"}.get(stage, "")
    return AppNodeView(node, "eu", "up", sequence, sequence, "", stage, "", message, None, 0, 0)
