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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

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
from bgp.prefix import Family, Network, parse_prefix
from bgp.status import SessionState
from bgp.wire_fields import (
    Parser,
    address,
    address_v4,
    flag,
    invalid,
    just,
    mapping,
    number,
    one_of,
    or_none,
    record,
    seconds,
    several,
    text,
)

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
    """The set is in the adj-rib-out of every session but those that take nothing at the moment, which `Rib` shows.

    That it was sent is said by `Sent`.
    """

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


# --- what its values may be ---------------------------------------------------------------------------------

_ASN = number(1, 2**32 - 1)
_ID = number(0, 2**53)
_NAME = text(100, chars_min=1)
_TEXT = text(TEXT_CHARS_MAX)


def _announcement(
    prefix: Network, med: int | None, communities: Any, large_communities: Any, prepend: int
) -> Announcement:
    return Announcement(prefix, Attributes(med, communities, large_communities, prepend))


_ANNOUNCEMENT = record(
    _announcement,
    prefix=parse_prefix,
    med=or_none(number(0, 2**32 - 1)),
    communities=several(parse_community, COMMUNITY_COUNT_MAX),
    large_communities=several(parse_large_community, COMMUNITY_COUNT_MAX),
    prepend=number(0, PREPEND_COUNT_MAX),
)
_ANNOUNCEMENTS = several(_ANNOUNCEMENT, PREFIX_COUNT_MAX)
_PEER = record(
    Peer,
    name=_NAME,
    address=address,
    asn=_ASN,
    local_address=address,
    next_hops=mapping(one_of(Family), address, 2),
    port=number(1, 65535),
    password=text(PASSWORD_CHARS_MAX),
    ttl_security=flag,
    multihop=number(1, 255),
    interface=text(15),  # IFNAMSIZ
    hold_s=number(0, HOLD_S_HIGHEST),
    bfd=or_none(record(BfdTimes, interval_ms=number(1, 60_000), multiplier=number(1, 255))),
)
_CONFIG = record(
    SpeakerConfig,
    asn=_ASN,
    router_id=address_v4,
    peers=several(_PEER, PEER_COUNT_MAX),
    deadman_s=seconds(DEADMAN_S_HIGHEST),
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
        record(SetAnnouncements, id=_ID, announcements=_ANNOUNCEMENTS),
        lambda said: {"id": said.id, "announcements": [_attributes_as_json(one) for one in said.announcements]},
    ),
    "beat": _Row(Beat, lambda value: Beat(_ID(value)), lambda said: said.number),
    "query": _Row(Query, lambda value: Query(_ID(value)), lambda said: said.number),
    "restart_peer": _Row(RestartPeer, lambda value: RestartPeer(_NAME(value)), lambda said: said.name),
    "cease": _Row(Cease, just(Cease), lambda _: True),
}
_EVENTS: Final = {
    "ready": _Row(Ready, just(Ready), lambda _: True),
    "applied": _Row(Applied, record(Applied, id=_ID), _as_they_are("id")),
    "refused": _Row(
        Refused,
        record(Refused, id=_ID, code=text(100, chars_min=1), message=_TEXT),
        _as_they_are("id", "code", "message"),
    ),
    "peer": _Row(
        PeerChanged,
        record(PeerChanged, name=_NAME, state=one_of(SessionState), hold_s=number(0, 65535), error=_TEXT),
        _as_they_are("name", "state", "hold_s", "error"),
    ),
    "sent": _Row(
        Sent,
        record(Sent, peer=_NAME, prefix=parse_prefix, kind=one_of(Kind)),
        lambda said: {"peer": said.peer, "prefix": str(said.prefix), "kind": said.kind},
    ),
    "notification": _Row(
        NotificationSeen,
        record(
            NotificationSeen,
            peer=_NAME,
            direction=one_of(Direction),
            code=number(0, 255),
            subcode=number(0, 255),
            text=_TEXT,
        ),
        _as_they_are("peer", "direction", "code", "subcode", "text"),
    ),
    "rib": _Row(
        Rib,
        record(Rib, number=_ID, peers=mapping(_NAME, _ANNOUNCEMENTS, PEER_COUNT_MAX)),
        lambda said: {
            "number": said.number,
            "peers": {name: [_attributes_as_json(one) for one in have] for name, have in said.peers.items()},
        },
    ),
    "log": _Row(Log, record(Log, level=one_of(LogLevel), text=_TEXT), _as_they_are("level", "text")),
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
        raise invalid("an object with one key", value)
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
