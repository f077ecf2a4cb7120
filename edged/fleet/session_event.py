"""What a `Session` makes of the bytes that came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edged.errors import RemoteError
from edged.fleet.frame import Message


@dataclass(frozen=True, slots=True)
class Hello:
    """What each end says first.

    Attributes:
        fleet: name of the fleet; both must say the same.
        epoch, roster_version: of the roster that this end has; 0 for none.
        name: of this end, for logs; who it is, TLS says.
        edged: version of edged.
    """

    fleet: str
    epoch: int = 0
    roster_version: int = 0
    name: str = ""
    edged: str = ""


@dataclass(frozen=True, slots=True)
class HelloReceived:
    hello: Hello


@dataclass(frozen=True, slots=True)
class RequestReceived:
    id: int
    call: str
    args: Message


@dataclass(frozen=True, slots=True)
class CancelReceived:
    """The peer wants no more of what it asked with this number; `fail` or `end` it."""

    id: int


@dataclass(frozen=True, slots=True)
class MoreReceived:
    """The peer took items: `may_send_item` may hold again."""

    id: int


@dataclass(frozen=True, slots=True)
class AnswerReceived:
    id: int
    value: Any


@dataclass(frozen=True, slots=True)
class ItemReceived:
    id: int
    value: Any


@dataclass(frozen=True, slots=True)
class EndReceived:
    id: int


@dataclass(frozen=True, slots=True)
class ErrorReceived:
    id: int
    error: RemoteError


@dataclass(frozen=True, slots=True)
class PingReceived:
    """Send back `data`."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PongReceived:
    number: int


Event = (
    HelloReceived
    | RequestReceived
    | CancelReceived
    | MoreReceived
    | AnswerReceived
    | ItemReceived
    | EndReceived
    | ErrorReceived
    | PingReceived
    | PongReceived
)
