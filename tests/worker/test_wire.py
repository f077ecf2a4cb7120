"""Records on a control connection: whole, in pieces, hostile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgpack
import pytest

from edged.errors import ControlError
from edged.limits import CONTROL_FRAME_BYTES_MAX
from edged.worker.latency import Latency
from edged.worker.report import (
    Failure,
    Loading,
    Report,
    SiteState,
    Tick,
    Traffic,
    TriggerState,
    parse_loading,
    parse_report,
    parse_tick,
    report_wire,
    tick_wire,
)
from edged.worker.table import (
    CertificateFiles,
    Orders,
    Settings,
    Site,
    Table,
    TriggerOrder,
    orders_wire,
    parse_orders,
    parse_settings,
    parse_table,
    settings_wire,
    table_wire,
)
from edged.worker.wire import FrameDecoder, encode_frame

SETTINGS = Settings(3, "/cache", {"memory_bytes_max": 65536, "cpu_s_max": 0.5}, "/config", ("loopback",), "debug", True)
SITE = Site(
    "shop@1.2",
    "shop",
    "/folder",
    ("shop.test", "*"),
    MappingProxyType({"cpu_s_max": 1}),  # as a deployment has them
    MappingProxyType({"key": "v"}),
    "/state",
    True,
    False,
    "/",
)
TABLE = Table(7, (SITE, replace(SITE, key="blog@1.1")), (CertificateFiles(("a.test",), "/crt", "/key"),), 2, True)
LATENCY = Latency([(3, 1), (100, 7)])
FAILURE = Failure("component.invalid", "it is none", "Build it.")
TRIGGERS = {"nightly": TriggerState("fleet", "@daily"), "news": TriggerState("region", listening=True)}
STATE = SiteState("failed", False, FAILURE, Traffic(3, 5, LATENCY), TRIGGERS)
REPORT = Report(7, True, 1, 2, FAILURE, {"shop@1.2": STATE})
ORDERS = Orders({"shop": {"nightly": TriggerOrder(1_700_000_000, 7), "news": TriggerOrder(listen=True)}, "blog": {}})
TICK = Tick("shop", "nightly", 1_700_000_000, ended=True)


def through(kind: str, wire: Mapping[str, Any], size: int = 1 << 20) -> object:
    """What comes out of a decoder that gets the frame in pieces of so many bytes."""
    frame = encode_frame(kind, wire)
    decoder = FrameDecoder()
    found = [each for start in range(0, len(frame), size) for each in decoder.feed(frame[start : start + size])]
    assert [name for name, _ in found] == [kind]
    return found[0][1]


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_records_come_out_as_they_went_in(size: int) -> None:
    assert parse_settings(through("settings", settings_wire(SETTINGS), size)) == SETTINGS
    assert parse_table(through("table", table_wire(TABLE), size)) == TABLE
    assert parse_table(through("table", table_wire(Table()), size)) == Table()
    assert parse_report(through("report", report_wire(REPORT), size)) == REPORT
    assert parse_loading(through("loading", {"key": "shop@1.2"}, size)) == Loading("shop@1.2")
    assert parse_orders(through("orders", orders_wire(ORDERS), size)) == ORDERS
    assert parse_tick(through("tick", tick_wire(TICK), size)) == TICK


def test_several_frames_in_one_piece() -> None:
    frames = b"".join(encode_frame("loading", {"key": str(number)}) for number in range(5))
    decoder = FrameDecoder()
    found = [*decoder.feed(frames[:-1]), *decoder.feed(frames[-1:])]
    assert [value for _, value in found] == [{"key": str(number)} for number in range(5)]


def test_secrets_stay_out_of_the_repr() -> None:
    assert "hunter2" not in repr(replace(TABLE, sites=(replace(SITE, variables={"password": "hunter2"}),)))


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "data",
    [
        frame(b""),
        frame(b"\xc1"),
        frame(msgpack.packb(7)),
        frame(msgpack.packb({})),
        frame(msgpack.packb({"a": 1, "b": 2})),
        frame(msgpack.packb({1: 2})),
        frame(msgpack.packb({"a": 1}) + b"\x00"),
        frame(b"\x81\x81\xa1a\x01\x01"),
        frame(b"\x91" * 100_000),
        (CONTROL_FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
    ],
    ids=["empty", "no-msgpack", "number", "no-kind", "two-kinds", "kind-number", "trailing", "map-key", "deep", "long"],
)
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(ControlError):
        list(FrameDecoder().feed(data))


def test_a_frame_at_the_limit_and_over_it() -> None:
    overhead = len(msgpack.packb({"k": {"v": b""}})) + 3  # the length of a long value takes four bytes, not one
    at = {"v": b"x" * (CONTROL_FRAME_BYTES_MAX - overhead)}
    whole = encode_frame("k", at)
    assert len(whole) == CONTROL_FRAME_BYTES_MAX + 4
    assert list(FrameDecoder().feed(whole)) == [("k", at)]
    with pytest.raises(ControlError, match="bytes"):
        encode_frame("k", {"v": at["v"] + b"x"})


def changed(path: str, value: object) -> Mapping[str, Any]:
    """A report's wire with another value somewhere; `...` takes it away."""
    root: Any = msgpack.unpackb(msgpack.packb(report_wire(REPORT)))
    *way, last = path.split("/")
    place = root
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return root  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", -1),
        ("version", 2**63),
        ("version", True),
        ("version", "7"),
        ("version", 7.0),
        ("listening", 1),
        ("listening", ...),
        ("more", 1),
        ("certificate_failure", {"code": "a"}),
        ("certificate_failure", 7),
        ("sites", []),
        ("sites", {7: {}}),
        ("sites/shop@1.2", None),
        ("sites/shop@1.2/stage", "done"),
        ("sites/shop@1.2/stage", []),
        ("sites/shop@1.2/failure/message", None),
        ("sites/shop@1.2/traffic/served", -1),
        ("sites/shop@1.2/traffic/latency", [[0, -1]]),
    ],
)
def test_a_report_that_is_none(path: str, value: object) -> None:
    with pytest.raises(ControlError):
        parse_report(changed(path, value))


def test_the_changes_above_start_from_a_report_that_is_one() -> None:
    assert parse_report(changed("version", 7)) == REPORT
