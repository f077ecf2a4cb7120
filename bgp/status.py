"""How announcing does: what `edged status`, metrics and the log show. Times are unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GateState = Literal["warming", "up", "suspect", "degraded", "down", "hold-down", "draining", "drained"]
Level = Literal["plain", "last-resort", "withdrawn"]
"""How a prefix is announced: as usual; so that any other way is preferred (our AS several times, GRACEFUL_SHUTDOWN);
or not at all."""
SessionState = Literal["idle", "connect", "active", "opensent", "openconfirm", "established"]
"""RFC 4271 8.2.2"""
BfdState = Literal["", "admin-down", "down", "init", "up"]
"""RFC 5880 6.2; "" without BFD."""
SpeakerState = Literal["starting", "running", "fault", "stopped"]
DrainStep = Literal["closing", "shifting", "withdrawing", "lingering", "drained", "cut short", "undrained"]


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One session.

    Attributes:
        since: of the state.
        hold_s: negotiated (RFC 4271 4.2); 0 while there is no session.
        error: why there is none, or why the last one ended: a sentence; "" if nothing is known.
        remedy: what to do about that, or "".
        flaps: sessions that were lost.
        announced: prefixes that were sent to this peer, as proven by what ExaBGP says it sent.
    """

    name: str
    address: str
    asn: int
    state: SessionState
    since: float
    hold_s: int = 0
    error: str = ""
    remedy: str = ""
    flaps: int = 0
    bfd: BfdState = ""
    announced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PrefixStatus:
    """One prefix.

    Attributes:
        reason: why it is in this state: a sentence.
        desired: what its gate asks for.
        announced: what is proven to be on the wire to every established peer; "" while that is not known.
        hold_until: until when it stays withdrawn although healthy; 0 for not.
        flaps: withdrawals for bad health.
    """

    prefix: str
    state: GateState
    since: float
    reason: str
    desired: Level
    announced: Level | Literal[""]
    hold_until: float = 0.0
    flaps: int = 0


@dataclass(frozen=True, slots=True)
class DrainReport:
    """The last drain.

    Attributes:
        reason: who or what asked for it.
        ended: 0 while it goes on.
        step: where it is, or what it ended with.
        withdrawal_proven: the withdrawal was seen to be sent to every established peer.
        connections_left: that were still open when it ended, and were closed.
    """

    reason: str
    started: float
    ended: float
    step: DrainStep
    withdrawal_proven: bool = False
    connections_left: int = 0


@dataclass(frozen=True, slots=True)
class SpeakerStatus:
    """The child that speaks BGP.

    Attributes:
        restarts: since the node's start.
        error: why it is not running, or ended last.
    """

    state: SpeakerState
    since: float
    restarts: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class AnycastStatus:
    """All of it.

    Attributes:
        alarms: what was refused, or is missing: sentences.
    """

    asn: int
    speaker: SpeakerStatus
    prefixes: tuple[PrefixStatus, ...] = ()
    peers: tuple[PeerStatus, ...] = ()
    drain: DrainReport | None = None
    alarms: tuple[str, ...] = ()
