"""How announcing does, over the wire: whole, strict, bounded."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from bgp.limits import PEER_COUNT_MAX, PREFIX_COUNT_MAX
from bgp.status import AnycastStatus
from edged.errors import RequestInvalid
from edged.fleet.anycast_report import bytes_at_most, encode_anycast
from edged.fleet.frame import FrameReader, encode_frame
from edged.fleet.report import NodeReport, cut_alarms
from edged.limits import REPORT_ANYCAST_ALARM_COUNT_MAX, REPORT_TEXT_CHARS_MAX
from tests.status.anycast import FULL, anycast, peer, prefix


def report(status: AnycastStatus | None) -> NodeReport:
    return NodeReport("n1", "eu", 1, 1, 5.0, anycast=status)


@pytest.mark.parametrize("status", [None, anycast(), FULL, replace(FULL, drain=None)])
def test_over_the_wire(status: AnycastStatus | None) -> None:
    reader = FrameReader()
    reader.feed(encode_frame({"report": report(status).encode()}))
    message = reader.next()
    assert message is not None
    assert NodeReport.parse(message["report"]) == report(status)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((), {}),
        (("asn",), -1),
        (("asn",), 2**32),
        (("more",), 1),
        (("speaker", "state"), "asleep"),
        (("speaker", "error"), "x" * (4 * REPORT_TEXT_CHARS_MAX + 1)),
        (("prefixes", 0, "state"), "sideways"),
        (("prefixes", 0, "announced"), None),
        (("prefixes", 0, "desired"), ""),
        (("prefixes", 0, "since"), float("inf")),
        (("prefixes", 0, "prefix"), ""),
        (("peers", 0, "bfd"), "maybe"),
        (("peers", 0, "name"), "a\nb"),
        (("peers", 0, "hold_s"), 65_536),
        (("peers", 0, "announced"), ["203.0.113.10/32"] * (PREFIX_COUNT_MAX + 1)),
        (("peers", 0, "more"), 1),
        (("drain", 0, "step"), "sinking"),
        (("drain", 0, "withdrawal_proven"), 1),
        (("alarms",), [1]),
    ],
)
def test_what_is_none(place: tuple[Any, ...], value: object) -> None:
    shape: Any = copy.deepcopy(report(FULL).encode())
    assert NodeReport.parse(copy.deepcopy(shape)) == report(FULL)
    inner, *path = shape["anycast"], 0, *place
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(RequestInvalid):
        NodeReport.parse(shape)


def test_two_of_it_are_none() -> None:
    shape = report(FULL).encode()
    with pytest.raises(RequestInvalid):
        NodeReport.parse(shape | {"anycast": shape["anycast"] * 2})


@pytest.mark.parametrize(
    ("field", "items", "count_max"),
    [
        ("prefixes", prefix(), PREFIX_COUNT_MAX),
        ("peers", peer(), PEER_COUNT_MAX),
        ("alarms", "fire", REPORT_ANYCAST_ALARM_COUNT_MAX),
    ],
)
def test_counts_at_and_over(field: str, items: object, count_max: int) -> None:
    full = report(anycast(**{field: (items,) * count_max}))
    assert NodeReport.parse(full.encode()) == full
    with pytest.raises(RequestInvalid):
        NodeReport.parse(report(anycast(**{field: (items,) * (count_max + 1)})).encode())


def test_what_is_cut_is_taken() -> None:
    long = "ü\n" * REPORT_TEXT_CHARS_MAX
    status = replace(
        FULL,
        speaker=replace(FULL.speaker, error=long),
        prefixes=tuple(replace(each, reason=long) for each in FULL.prefixes),
        peers=tuple(replace(each, error=long, remedy=long) for each in FULL.peers),
        drain=replace(FULL.drain, reason=long) if FULL.drain else None,
        alarms=("", *[long] * (REPORT_ANYCAST_ALARM_COUNT_MAX + 5)),
    )
    with pytest.raises(RequestInvalid):
        NodeReport.parse(report(status).encode())
    cut = cut_alarms(report(status))
    assert NodeReport.parse(cut.encode()) == cut
    assert cut.anycast is not None
    assert len(cut.anycast.alarms) == REPORT_ANYCAST_ALARM_COUNT_MAX - 1  # without the empty one
    assert cut.anycast.peers[0].error == long[:REPORT_TEXT_CHARS_MAX]


@pytest.mark.parametrize("status", [anycast(), FULL, anycast(peers=(peer(error="ü" * 500),) * PEER_COUNT_MAX)])
def test_its_size_is_known_before_it_is_made(status: AnycastStatus) -> None:
    assert len(encode_frame(encode_anycast(status))) <= bytes_at_most(status)
