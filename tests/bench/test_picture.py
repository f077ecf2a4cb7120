from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bench.httping import Ping
from edged.bench.picture import _LABEL_HEIGHT, _scale, _spread, draw
from edged.bench.report import Report
from edged.bench.series import Series

SVG = "{http://www.w3.org/2000/svg}"


def series(name: str, *pings: Ping) -> Series:
    """One a second."""
    made = Series(name, 0.0)
    for second, ping in enumerate(pings):
        made.add(ping, second + (ping.latency_ms or 0.0) / 1000)
    return made


def ok(latency_ms: float) -> Ping:
    return Ping(latency_ms, 200)


LOST = Ping(None)


def drawn(*all_series: Series, event_s: float | None = 2.0, undo_s: float | None = None) -> ElementTree.Element:
    report = Report(0.0, (), event="cut", event_s=event_s, undo_s=undo_s, series=all_series)
    return ElementTree.fromstring(draw(report))


def texts(picture: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in picture.iter(f"{SVG}text")]


def paths(picture: ElementTree.Element, index: int) -> list[str]:
    return [path.attrib["d"] for path in picture.iter(f"{SVG}path") if path.attrib["class"] == f"s{index}"]


def test_a_line_for_each_client_with_its_name() -> None:
    picture = drawn(series("edi", ok(30), ok(31), ok(130)), series("lax", ok(140), ok(141), ok(140)))
    assert [len(paths(picture, index)) for index in (0, 1, 2)] == [1, 1, 0]
    assert {"edi", "lax", "event", "seconds since the event"} <= set(texts(picture))
    assert "undo" not in texts(picture)


def test_a_line_is_broken_where_a_request_failed() -> None:
    line, failures = paths(drawn(series("edi", ok(30), LOST, LOST, ok(130), ok(130), Ping(5.0, 503), ok(30))), 0)
    assert re.findall("[ML]", line) == ["M", "M", "L", "M"]
    assert failures.count("M") == 3


def test_failures_are_counted_beside_the_name() -> None:
    assert "edi 2 failed" in texts(drawn(series("edi", ok(30), LOST, LOST)))


def test_higher_is_slower_and_further_right_is_later() -> None:
    (line,) = paths(drawn(series("edi", ok(30), ok(130))), 0)
    (x1, y1), (x2, y2) = (tuple(map(float, point.split())) for point in re.findall(r"[ML]([0-9. ]+)", line))
    assert x1 < x2
    assert y1 > y2


def test_the_event_and_the_undo_are_marked() -> None:
    picture = drawn(series("edi", *[ok(30)] * 11), event_s=2.0, undo_s=8.0)
    marks = [line for line in picture.iter(f"{SVG}line") if line.attrib["class"] == "mark"]
    (line,) = paths(picture, 0)
    places = [float(x) for x in re.findall(r"[ML]([0-9.]+)", line)]
    assert [float(mark.attrib["x1"]) for mark in marks] == [places[2], places[8]]
    assert "0" in texts(picture)  # seconds count from the event


def test_both_themes_and_nothing_that_is_fetched_or_run() -> None:
    text = draw(Report(0.0, (), event="x", event_s=0.0, series=(series("edi", ok(1)),)))
    assert "prefers-color-scheme:dark" in text
    assert "<script" not in text
    assert "url(" not in text
    assert re.findall(r"(?:href|src)=", text) == []


@pytest.mark.parametrize("name", ["<script>", "]]>", "&amp;", "\x00", "\u202e", '"', "\ufffd"])
def test_names_are_text(name: str) -> None:
    picture = drawn(series(name, ok(30)))
    assert len(list(picture.iter(f"{SVG}script"))) == 0
    assert paths(picture, 0)


@pytest.mark.parametrize("all_series", [(), (series("edi"),), (series("edi", LOST),), (series("edi", ok(0.0)),)])
def test_little_to_draw(all_series: tuple[Series, ...]) -> None:
    assert drawn(*all_series, event_s=None).tag == f"{SVG}svg"


_times = st.floats(0.0, 1e9, allow_nan=False)


@given(_times, _times)
def test_the_scale_holds_all_of_it(first: float, second: float) -> None:
    least, most = sorted((first, second))
    scale = _scale(least, most)
    assert scale[0] <= max(least, 0.01)
    assert scale[-1] >= most
    assert 2 <= len(scale) <= 40
    assert all(1.9 < above / below < 2.6 for below, above in pairwise(scale))


@given(st.lists(st.floats(0, 1000, allow_nan=False), max_size=8))
def test_names_do_not_lie_on_each_other(wanted: list[float]) -> None:
    places = _spread(sorted(wanted))
    assert len(places) == len(wanted)
    assert all(
        below - above >= _LABEL_HEIGHT or math.isclose(below - above, _LABEL_HEIGHT)
        for above, below in pairwise(places)
    )
