"""What a node says of announcing: one where all is well, to be changed by tests."""

from __future__ import annotations

from typing import Any

from bgp.status import AnycastStatus, DrainReport, PeerStatus, PrefixStatus, SpeakerStatus

V4, V6 = "203.0.113.10/32", "2001:db8:a::10/128"


def peer(name: str = "tor1", **others: Any) -> PeerStatus:
    known: dict[str, Any] = {
        "address": "192.0.2.1",
        "asn": 65101,
        "state": "established",
        "since": 0.0,
        "hold_s": 9,
        "bfd": "up",
        "announced": (V4, V6),
    }
    return PeerStatus(name, **{**known, **others})


def down(name: str = "tor1", **others: Any) -> PeerStatus:
    known: dict[str, Any] = {"state": "active", "hold_s": 0, "bfd": "", "announced": ()}
    return peer(name, **{**known, **others})


def prefix(name: str = V4, **others: Any) -> PrefixStatus:
    known: dict[str, Any] = {"state": "up", "since": 0.0, "reason": "", "desired": "plain", "announced": "plain"}
    return PrefixStatus(name, **{**known, **others})


def withdrawn(name: str = V4, **others: Any) -> PrefixStatus:
    return prefix(name, **{"state": "down", "desired": "withdrawn", "announced": "withdrawn", **others})


def anycast(**others: Any) -> AnycastStatus:
    known: dict[str, Any] = {
        "speaker": SpeakerStatus("running", 0.0),
        "prefixes": (prefix(V4), prefix(V6)),
        "peers": (peer("tor1"), peer("tor2", address="2001:db8::1")),
    }
    return AnycastStatus(65200, **{**known, **others})


FULL = anycast(
    speaker=SpeakerStatus("fault", 1.5, 7, "it ends"),
    prefixes=(
        prefix(V4, state="hold-down", reason="2 of 4 workers", announced="", hold_until=9.5, flaps=3),
        withdrawn(V6, since=2.5, reason="no answer"),
    ),
    peers=(down("tor1", error="wrong AS number", remedy="Correct it.", flaps=2), peer("tor2", announced=())),
    drain=DrainReport("ann", 1.0, 2.5, "drained", withdrawal_proven=True, connections_left=4),
    alarms=("bgp.refused: an empty set",),
)
