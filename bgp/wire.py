"""What a node's daemon and its speaker's child say to each other: lines of JSON over a socketpair, as typed values.

Neither believes the other. The child is told what to announce and has an allow-list of its own; the daemon reads from
a process that repeats what strangers sent. So each side parses with limits: one line is one value of a closed
vocabulary, with exactly the fields that it has, each of its type and range.

    daemon -> child     Configure (once, first), SetAnnouncements, Beat, Query, RestartPeer, Cease
    child -> daemon     Ready, Applied, Refused, PeerChanged, Sent, NotificationSeen, Rib, Log

Passwords travel in `Configure` and nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import Any, Final, Literal, TypeVar, cast, get_args

from bgp.announcement import Announcement, Attributes, parse_community, parse_large_community
from bgp.errors import BgpError, WireInvalid
from bgp.limits import (
    COMMUNITY_COUNT_MAX,
    DEADMAN_S_HIGHEST,
    HOLD_S_HIGHEST,
    LINE_BYTES_MAX,
    PASSWORD_CHARS_MAX,
    PEER_COUNT_MAX,
    PREFIX_COUNT_MAX,
    PREPEND_COUNT_MAX,
    TEXT_CHARS_MAX,
)
from bgp.peer import BfdTimes, Peer, SpeakerConfig
from bgp.prefix import Address, Family, Network, parse_prefix
from bgp.status import SessionState

Direction = Literal["sent", "received"]
Kind = Literal["announce", "withdraw"]
LogLevel = Literal["warning", "error"]

# --- what the daemon says ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configure:
    """The first line, and only that: whom to speak to. Another configuration is another child."""

    config: SpeakerConfig


@dataclass(frozen=True, slots=True)
class SetAnnouncements:
    """All that is to be announced from now on; whatever else is announced is withdrawn.

    Answered by `Applied` or by `Refused` with the same `id`.
    """

    id: int
    announcements: tuple[Announcement, ...]


@dataclass(frozen=True, slots=True)
class Beat:
    """The daemon lives. Any other line says so as well."""

    number: int


@dataclass(frozen=True, slots=True)
class Query:
    """Answered by `Rib` with the same number."""

    number: int


@dataclass(frozen=True, slots=True)
class RestartPeer:
    """End this session with a Cease (RFC 4486: Administrative Reset) and begin it anew."""

    name: str


@dataclass(frozen=True, slots=True)
class Cease:
    """End all sessions with a Cease (Administrative Shutdown), then end with status 0."""


Request = Configure | SetAnnouncements | Beat | Query | RestartPeer | Cease

# --- what the child says -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The reactor runs with the configuration; sessions begin now."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The set is in the adj-rib-out of every session. That it was sent is said by `Sent`."""

    id: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of the set was done, all stays as it was. `code` and `message` are those of a `BgpError`."""

    id: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """A session has another state.

    Attributes:
        hold_s: negotiated; 0 unless established.
        error: why it is not established, as far as the child knows; "" if it does not.
    """

    name: str
    state: SessionState
    hold_s: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """An UPDATE was written to this peer's connection. The only proof there is."""

    peer: str
    prefix: Network
    kind: Kind


@dataclass(frozen=True, slots=True)
class NotificationSeen:
    """RFC 4271 4.5. `text` is what ExaBGP makes of it, and of a peer's shutdown communication (RFC 9003)."""

    peer: str
    direction: Direction
    code: int
    subcode: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Rib:
    """The adj-rib-out by peer, announcements in canonical form (see `canonical`), each peer's by prefix."""

    number: int
    peers: Mapping[str, tuple[Announcement, ...]]


@dataclass(frozen=True, slots=True)
class Log:
    """Something that a human should see."""

    level: LogLevel
    text: str


Event = Ready | Applied | Refused | PeerChanged | Sent | NotificationSeen | Rib | Log


def canonical(announcement: Announcement) -> Announcement:
    """The same on the wire: communities in ascending order, each once. For comparing with a `Rib`."""
    have = announcement.attributes
    return Announcement(
        announcement.prefix,
        Attributes(
            have.med,
            tuple(sorted(set(have.communities))),
            tuple(sorted(set(have.large_communities))),
            have.prepend,
        ),
    )


# --- fields: what one value may be -------------------------------------------------------------------------

T = TypeVar("T")
Parser = Callable[[object], T]
_printable = re.compile(r"[\x20-\x7e]*").fullmatch


def _invalid(what: str, value: object) -> WireInvalid:
    """Says the type only: the value may be a password."""
    return WireInvalid(f"{what} is not what it should be: {type(value).__name__}")


def _number(low: float, high: float) -> Parser[int]:
    def parse(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise _invalid(f"a number of {low} to {high}", value)
        return value

    return parse


def _seconds(high: float) -> Parser[float]:
    def parse(value: object) -> float:
        if type(value) not in (int, float) or not 0 < cast(float, value) <= high:
            raise _invalid(f"a time of at most {high} s", value)
        return float(cast(float, value))

    return parse


def _text(chars_max: int, *, chars_min: int = 0) -> Parser[str]:
    def parse(value: object) -> str:
        if not isinstance(value, str) or not chars_min <= len(value) <= chars_max or not _printable(value):
            raise _invalid(f"a text of {chars_min} to {chars_max} printable ASCII characters", value)
        return value

    return parse


def _one_of(alternatives: Any) -> Parser[Any]:
    known = get_args(alternatives)

    def parse(value: object) -> Any:
        if not isinstance(value, str) or value not in known:
            raise _invalid(f"one of {', '.join(known)}", value)
        return value

    return parse


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _invalid("true or false", value)
    return value


def _just(make: Callable[[], T]) -> Parser[T]:
    """A kind of line that says no more than that."""

    def parse(value: object) -> T:
        if value is not True:
            raise _invalid("true", value)
        return make()

    return parse


def _or_none(parser: Parser[T]) -> Parser[T | None]:
    return lambda value: None if value is None else parser(value)


def _several(parser: Parser[T], count_max: int) -> Parser[tuple[T, ...]]:
    def parse(value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or len(value) > count_max:
            raise _invalid(f"a list of at most {count_max}", value)
        return tuple(parser(each) for each in value)

    return parse


def _mapping(keys: Parser[str], values: Parser[T], count_max: int) -> Parser[dict[str, T]]:
    def parse(value: object) -> dict[str, T]:
        if not isinstance(value, dict) or len(value) > count_max:
            raise _invalid(f"an object of at most {count_max}", value)
        return {keys(key): values(each) for key, each in value.items()}

    return parse


def _record(make: Callable[..., T], **fields: Parser[Any]) -> Parser[T]:
    """An object with exactly these fields."""

    def parse(value: object) -> T:
        if not isinstance(value, dict) or value.keys() != fields.keys():
            raise _invalid(f"an object with {', '.join(fields)}", value)
        return make(**{name: parser(value[name]) for name, parser in fields.items()})

    return parse


def _address(value: object) -> Address:
    if not isinstance(value, str) or len(value) > 64:
        raise _invalid("an address", value)
    try:
        return ip_address(value)
    except ValueError:
        raise _invalid("an address", value) from None


def _address_v4(value: object) -> IPv4Address:
    address = _address(value)
    if not isinstance(address, IPv4Address):
        raise _invalid("an IPv4 address", value)
    return address


_ASN = _number(1, 2**32 - 1)
_ID = _number(0, 2**53)
_NAME = _text(100, chars_min=1)
_TEXT = _text(TEXT_CHARS_MAX)


def _announcement(
    prefix: Network, med: int | None, communities: Any, large_communities: Any, prepend: int
) -> Announcement:
    return Announcement(prefix, Attributes(med, communities, large_communities, prepend))


_ANNOUNCEMENT = _record(
    _announcement,
    prefix=parse_prefix,
    med=_or_none(_number(0, 2**32 - 1)),
    communities=_several(parse_community, COMMUNITY_COUNT_MAX),
    large_communities=_several(parse_large_community, COMMUNITY_COUNT_MAX),
    prepend=_number(0, PREPEND_COUNT_MAX),
)
_ANNOUNCEMENTS = _several(_ANNOUNCEMENT, PREFIX_COUNT_MAX)
_PEER = _record(
    Peer,
    name=_NAME,
    address=_address,
    asn=_ASN,
    local_address=_address,
    next_hops=_mapping(_one_of(Family), _address, 2),
    port=_number(1, 65535),
    password=_text(PASSWORD_CHARS_MAX),
    ttl_security=_flag,
    multihop=_number(1, 255),
    interface=_text(15),  # IFNAMSIZ
    hold_s=_number(0, HOLD_S_HIGHEST),
    bfd=_or_none(_record(BfdTimes, interval_ms=_number(1, 60_000), multiplier=_number(1, 255))),
)
_CONFIG = _record(
    SpeakerConfig,
    asn=_ASN,
    router_id=_address_v4,
    peers=_several(_PEER, PEER_COUNT_MAX),
    deadman_s=_seconds(DEADMAN_S_HIGHEST),
)

# --- the vocabulary: one row for each kind of line ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    cls: type
    parse: Parser[Any]
    fields: Callable[[Any], object] = field(repr=False)


def _attributes_as_json(one: Announcement) -> dict[str, object]:
    have = one.attributes
    return {
        "prefix": str(one.prefix),
        "med": have.med,
        "communities": [str(each) for each in have.communities],
        "large_communities": [str(each) for each in have.large_communities],
        "prepend": have.prepend,
    }


def _peer_as_json(peer: Peer) -> dict[str, object]:
    return {
        "name": peer.name,
        "address": str(peer.address),
        "asn": peer.asn,
        "local_address": str(peer.local_address),
        "next_hops": {of: str(hop) for of, hop in peer.next_hops.items()},
        "port": peer.port,
        "password": peer.password,
        "ttl_security": peer.ttl_security,
        "multihop": peer.multihop,
        "interface": peer.interface,
        "hold_s": peer.hold_s,
        "bfd": None if peer.bfd is None else {"interval_ms": peer.bfd.interval_ms, "multiplier": peer.bfd.multiplier},
    }


def _config_as_json(said: Configure) -> dict[str, object]:
    config = said.config
    return {
        "asn": config.asn,
        "router_id": str(config.router_id),
        "peers": [_peer_as_json(peer) for peer in config.peers],
        "deadman_s": config.deadman_s,
    }


def _as_they_are(*names: str) -> Callable[[Any], object]:
    return lambda said: {name: getattr(said, name) for name in names}


_REQUESTS: Final = {
    "configure": _Row(Configure, lambda value: Configure(_CONFIG(value)), _config_as_json),
    "set": _Row(
        SetAnnouncements,
        _record(SetAnnouncements, id=_ID, announcements=_ANNOUNCEMENTS),
        lambda said: {"id": said.id, "announcements": [_attributes_as_json(one) for one in said.announcements]},
    ),
    "beat": _Row(Beat, lambda value: Beat(_ID(value)), lambda said: said.number),
    "query": _Row(Query, lambda value: Query(_ID(value)), lambda said: said.number),
    "restart_peer": _Row(RestartPeer, lambda value: RestartPeer(_NAME(value)), lambda said: said.name),
    "cease": _Row(Cease, _just(Cease), lambda _: True),
}
_EVENTS: Final = {
    "ready": _Row(Ready, _just(Ready), lambda _: True),
    "applied": _Row(Applied, _record(Applied, id=_ID), _as_they_are("id")),
    "refused": _Row(
        Refused,
        _record(Refused, id=_ID, code=_text(100, chars_min=1), message=_TEXT),
        _as_they_are("id", "code", "message"),
    ),
    "peer": _Row(
        PeerChanged,
        _record(PeerChanged, name=_NAME, state=_one_of(SessionState), hold_s=_number(0, 65535), error=_TEXT),
        _as_they_are("name", "state", "hold_s", "error"),
    ),
    "sent": _Row(
        Sent,
        _record(Sent, peer=_NAME, prefix=parse_prefix, kind=_one_of(Kind)),
        lambda said: {"peer": said.peer, "prefix": str(said.prefix), "kind": said.kind},
    ),
    "notification": _Row(
        NotificationSeen,
        _record(
            NotificationSeen,
            peer=_NAME,
            direction=_one_of(Direction),
            code=_number(0, 255),
            subcode=_number(0, 255),
            text=_TEXT,
        ),
        _as_they_are("peer", "direction", "code", "subcode", "text"),
    ),
    "rib": _Row(
        Rib,
        _record(Rib, number=_ID, peers=_mapping(_NAME, _ANNOUNCEMENTS, PEER_COUNT_MAX)),
        lambda said: {
            "number": said.number,
            "peers": {name: [_attributes_as_json(one) for one in have] for name, have in said.peers.items()},
        },
    ),
    "log": _Row(Log, _record(Log, level=_one_of(LogLevel), text=_TEXT), _as_they_are("level", "text")),
}


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen = dict(pairs)
    if len(seen) != len(pairs):
        raise WireInvalid("a line has a key twice")
    return seen


def _no_constant(_: str) -> object:
    raise WireInvalid("a line has a number that is none")


def _parse(line: bytes, rows: Mapping[str, _Row]) -> Any:
    if len(line) > LINE_BYTES_MAX:
        raise WireInvalid(f"a line of {len(line)} bytes: at most {LINE_BYTES_MAX}")
    try:
        value = json.loads(line.decode("ascii"), object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise WireInvalid("a line that is not JSON in ASCII") from None
    if not isinstance(value, dict) or len(value) != 1:
        raise _invalid("an object with one key", value)
    ((key, body),) = value.items()
    if key not in rows:
        raise WireInvalid(f"a line of an unknown kind, {key[:40]!r}")
    try:
        return rows[key].parse(body)
    except WireInvalid as error:
        raise WireInvalid(f"in a line {key!r}: {error.message}") from None
    except BgpError as error:  # of a prefix or an attribute
        raise WireInvalid(f"in a line {key!r}: {error.message}") from None


def _encode(said: object, rows: Mapping[str, _Row]) -> bytes:
    for key, row in rows.items():
        if type(said) is row.cls:
            return json.dumps({key: row.fields(said)}, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    raise AssertionError(f"{type(said).__name__} is not said on this side")


def encode_request(request: Request) -> bytes:
    """One line, with its end."""
    return _encode(request, _REQUESTS)


def encode_event(event: Event) -> bytes:
    """One line, with its end."""
    return _encode(event, _EVENTS)


def parse_request(line: bytes) -> Request:
    """
    Raises:
        WireInvalid
    """
    return cast(Request, _parse(line, _REQUESTS))


def parse_event(line: bytes) -> Event:
    """
    Raises:
        WireInvalid
    """
    return cast(Event, _parse(line, _EVENTS))


def printable(text: object, chars_max: int = TEXT_CHARS_MAX) -> str:
    """A text from elsewhere as one that a line may have: what is not printable ASCII as `?`, cut off at the limit."""
    return re.sub(r"[^\x20-\x7e]", "?", str(text)[:chars_max])


class Lines:
    """Bytes in, whole lines out, with a limit on how much of an unfinished one is kept."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Lines that are whole now, without their ends.

        Raises:
            WireInvalid: a line is longer than LINE_BYTES_MAX. The stream cannot be used any more.
        """
        *lines, rest = (bytes(self._rest) + data).split(b"\n")
        self._rest = bytearray(rest)
        if max(map(len, (*lines, rest))) > LINE_BYTES_MAX:
            raise WireInvalid(f"a line of more than {LINE_BYTES_MAX} bytes")
        return lines
