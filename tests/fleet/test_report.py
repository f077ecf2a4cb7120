"""Reports: parsed strictly, and never longer than peers take."""

from __future__ import annotations

from typing import Any

import pytest

from edged.errors import RequestInvalid
from edged.fleet.frame import FrameReader, encode_frame
from edged.fleet.report import AppReport, NodeReport, cut_alarms, parse_reports
from edged.limits import (
    REPORT_ALARM_COUNT_MAX,
    REPORT_APP_COUNT_MAX,
    REPORT_COUNT_MAX,
    REPORT_TEXT_CHARS_MAX,
)


def report(node: str = "one", incarnation: int = 1, beat: int = 1, **more: Any) -> NodeReport:
    return NodeReport(node, "eu", incarnation, beat, 5.0, **more)


FULL = report(
    version="0.1",
    roster_version=3,
    heads_hash="ab",
    apps={
        "shop": AppReport(2, 1, "sha256:x", "failed", "app.probe", "500", 7.5, 1, 2, 3, 4, 5),
        "b": AppReport(),
    },
    requests_s=1.5,
    p50_ms=2.5,
    p99_ms=None,
    workers_ready=1,
    workers_total=2,
    certificate_days=-3.5,
    disk_free_bytes=4,
    disk_used_bytes=5,
    alarms=("fire",),
)


def test_over_the_wire() -> None:
    reader = FrameReader()
    reader.feed(encode_frame({"reports": [FULL.encode()]}))
    message = reader.next()
    assert message is not None
    assert parse_reports(message["reports"]) == [FULL]


def test_nodes_of_before_there_was_announcing_are_heard_and_hear_of_us() -> None:
    assert "anycast" not in FULL.encode()
    assert NodeReport.parse(FULL.encode() | {"anycast": []}) == FULL
    with pytest.raises(RequestInvalid):
        NodeReport.parse(FULL.encode() | {"anycast": None})


@pytest.mark.parametrize(
    "change",
    [
        {"node": ""},
        {"node": 1},
        {"incarnation": -1},
        {"beat": True},
        {"time": float("nan")},
        {"p50_ms": -2},
        {"apps": []},
        {"apps": {"a": {}}},
        {"apps": {"a": {"stage": "flying"}}},
        {"alarms": [1]},
        {"alarms": ["x" * (REPORT_TEXT_CHARS_MAX + 1)]},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_no_report(change: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid):
        NodeReport.parse(FULL.encode() | change)


def test_limits_at_and_over() -> None:
    alarms = tuple("x" * REPORT_TEXT_CHARS_MAX for _ in range(REPORT_ALARM_COUNT_MAX))
    apps = {f"a{number}": AppReport() for number in range(REPORT_APP_COUNT_MAX)}
    assert NodeReport.parse(report(alarms=alarms, apps=apps).encode())
    for over in (report(alarms=(*alarms, "x")), report(apps=apps | {"one-more": AppReport()})):
        with pytest.raises(RequestInvalid):
            NodeReport.parse(over.encode())
        assert NodeReport.parse(cut_alarms(over).encode())
    long = report(apps={"a": AppReport(error_message="ü" * 9999)}, alarms=("ü" * 9999,))
    assert NodeReport.parse(cut_alarms(long).encode())
    assert parse_reports([FULL.encode()] * REPORT_COUNT_MAX)
    with pytest.raises(RequestInvalid):
        parse_reports([FULL.encode()] * (REPORT_COUNT_MAX + 1))
    with pytest.raises(RequestInvalid):
        parse_reports({})
