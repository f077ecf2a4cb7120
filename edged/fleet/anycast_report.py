"""How announcing does, in a node's report: its shape in a message, parsed strictly, and cut to what peers take.

The record is that of `bgp.status`: what BGP knows of itself is what a fleet tells of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast, get_args

from bgp.limits import PEER_COUNT_MAX, PREFIX_COUNT_MAX
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
from edged.limits import REPORT_ANYCAST_ALARM_COUNT_MAX, REPORT_TEXT_CHARS_MAX
from registry.strict import Reader

_NAME_BYTES_MAX = 255
_TEXT_BYTES_MAX = 4 * REPORT_TEXT_CHARS_MAX
_ASN_MAX = 2**32 - 1  # RFC 6793
_HOLD_S_MAX = 2**16 - 1  # RFC 4271 4.2
_ITEM_BYTES = 256  # names of fields and numbers of a peer or prefix


def encode_anycast(status: AnycastStatus) -> dict[str, Any]:
    """As it stands in a message."""
    return {
        "asn": status.asn,
        "speaker": _shape(status.speaker),
        "prefixes": [_shape(prefix) for prefix in status.prefixes],
        "peers": [_shape(peer) | {"announced": list(peer.announced)} for peer in status.peers],
        "drain": [] if status.drain is None else [_shape(status.drain)],
        "alarms": list(status.alarms),
    }


def _shape(flat: SpeakerStatus | PrefixStatus | PeerStatus | DrainReport) -> dict[str, Any]:
    """Its fields, which hold no other record: far quicker than `dataclasses.asdict`, which looks for some."""
    return {name: getattr(flat, name) for name in flat.__slots__}


def parse_anycast(reader: Reader) -> AnycastStatus:
    """
    Raises:
        Malformed: not such a record, or one over the limits.
    """
    drains = [_drain(each) for each in reader.readers("drain", 1)]
    status = AnycastStatus(
        asn=reader.integer("asn", highest=_ASN_MAX),
        speaker=_speaker(reader.reader("speaker")),
        prefixes=tuple(map(_prefix, reader.readers("prefixes", PREFIX_COUNT_MAX))),
        peers=tuple(map(_peer, reader.readers("peers", PEER_COUNT_MAX))),
        drain=drains[0] if drains else None,
        alarms=reader.texts("alarms", REPORT_ANYCAST_ALARM_COUNT_MAX, _TEXT_BYTES_MAX),
    )
    reader.end()
    return status


def cut_anycast(status: AnycastStatus) -> AnycastStatus:
    """With only as many alarms, and as much of each text, as peers take."""
    return replace(
        status,
        speaker=replace(status.speaker, error=_cut(status.speaker.error)),
        prefixes=tuple(replace(each, reason=_cut(each.reason)) for each in status.prefixes),
        peers=tuple(replace(each, error=_cut(each.error), remedy=_cut(each.remedy)) for each in status.peers),
        drain=None if status.drain is None else replace(status.drain, reason=_cut(status.drain.reason)),
        alarms=tuple(filter(None, map(_line, status.alarms[:REPORT_ANYCAST_ALARM_COUNT_MAX]))),
    )


def bytes_at_most(status: AnycastStatus) -> int:
    """Of its encoding, without making it."""
    items = 3 + len(status.peers) + len(status.prefixes)
    return items * _ITEM_BYTES + sum(len(text.encode()) + 5 for text in _texts(status))


def _texts(status: AnycastStatus) -> Iterator[str]:
    yield status.speaker.error
    yield from status.alarms
    for prefix in status.prefixes:
        yield from (prefix.prefix, prefix.reason)
    for peer in status.peers:
        yield from (peer.name, peer.address, peer.error, peer.remedy, *peer.announced)
    if status.drain is not None:
        yield status.drain.reason


def _cut(text: str) -> str:
    return text[:REPORT_TEXT_CHARS_MAX]


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in _cut(text))


def _choice(reader: Reader, name: str, alternatives: Any) -> Any:
    return reader.choice(name, get_args(alternatives))


def _speaker(reader: Reader) -> SpeakerStatus:
    speaker = SpeakerStatus(
        state=cast(SpeakerState, _choice(reader, "state", SpeakerState)),
        since=reader.number("since"),
        restarts=reader.integer("restarts"),
        error=reader.text("error", _TEXT_BYTES_MAX),
    )
    reader.end()
    return speaker


def _prefix(reader: Reader) -> PrefixStatus:
    prefix = PrefixStatus(
        prefix=reader.line("prefix", _NAME_BYTES_MAX),
        state=cast(GateState, _choice(reader, "state", GateState)),
        since=reader.number("since"),
        reason=reader.text("reason", _TEXT_BYTES_MAX),
        desired=cast(Level, _choice(reader, "desired", Level)),
        announced=cast(Level, reader.choice("announced", (*get_args(Level), ""))),
        hold_until=reader.number("hold_until"),
        flaps=reader.integer("flaps"),
    )
    reader.end()
    return prefix


def _peer(reader: Reader) -> PeerStatus:
    peer = PeerStatus(
        name=reader.line("name", _NAME_BYTES_MAX),
        address=reader.line("address", _NAME_BYTES_MAX),
        asn=reader.integer("asn", highest=_ASN_MAX),
        state=cast(SessionState, _choice(reader, "state", SessionState)),
        since=reader.number("since"),
        hold_s=reader.integer("hold_s", highest=_HOLD_S_MAX),
        error=reader.text("error", _TEXT_BYTES_MAX),
        remedy=reader.text("remedy", _TEXT_BYTES_MAX),
        flaps=reader.integer("flaps"),
        bfd=cast(BfdState, _choice(reader, "bfd", BfdState)),
        announced=reader.texts("announced", PREFIX_COUNT_MAX, _NAME_BYTES_MAX),
    )
    reader.end()
    return peer


def _drain(reader: Reader) -> DrainReport:
    drain = DrainReport(
        reason=reader.text("reason", _TEXT_BYTES_MAX),
        started=reader.number("started"),
        ended=reader.number("ended"),
        step=cast(DrainStep, _choice(reader, "step", DrainStep)),
        withdrawal_proven=reader.boolean("withdrawal_proven"),
        connections_left=reader.integer("connections_left"),
    )
    reader.end()
    return drain
