"""The board: merged by (incarnation, beat), a node's own word before hearsay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edged.fleet.beats import Beat
from edged.fleet.board import Board
from edged.fleet.frame import encode_frame
from edged.fleet.report import AppReport, NodeReport
from edged.limits import (
    REPORT_COUNT_MAX,
    REPORT_INCARNATION_STEP_MAX,
    REPORT_UP_S,
    REPORTS_BYTES_MAX,
)

KNOWN = {"me", "one", "two"}


def report(node: str = "one", incarnation: int = 1, beat: int = 1, **more: Any) -> NodeReport:
    return NodeReport(node, "eu", incarnation, beat, 5.0, **more)


def board() -> Board:
    return Board("me", KNOWN.__contains__, 0.0)


def test_up_then_silent_and_up_again() -> None:
    seen = board()
    assert [s.state for s in seen.seen(["one"], 3.0)] == ["never"]
    seen.merge([report()], "one", 10.0)
    [s] = seen.seen(["one"], 10.0 + REPORT_UP_S)
    assert (s.state, s.since, s.age_s, s.is_hearsay) == ("up", 10.0, REPORT_UP_S, False)
    [s] = seen.seen(["one"], 10.1 + REPORT_UP_S)
    assert (s.state, s.since) == ("silent", 10.0)
    seen.merge([report(beat=2)], "one", 100.0)
    [s] = seen.seen(["one"], 100.0)
    assert (s.state, s.since) == ("up", 100.0)
    seen.merge([report(beat=3)], "one", 105.0)
    assert seen.seen(["one"], 105.0)[0].since == 100.0


def test_an_older_report_is_no_news_and_keeps_nobody_up() -> None:
    seen = board()
    assert seen.merge([report(beat=5)], "one", 0.0) == ["one"]
    for old in (report(beat=5), report(beat=4)):
        assert seen.merge([old], "one", 10.0) == []
    assert seen.seen(["one"], REPORT_UP_S + 1)[0].state == "silent"
    assert seen.merge([report(incarnation=2, beat=0)], "one", 20.0) == ["one"]


def test_nobody_speaks_for_this_node_or_for_strangers() -> None:
    seen = board()
    assert seen.merge([report("me", 99), report("stranger")], "one", 0.0) == []
    seen.put(report("me"), 0.0)
    assert seen.merge([report("me", 99)], "one", 0.0) == []
    assert seen.get("me") == report("me")
    assert seen.seen(["me"], 1e6)[0].state == "up"


def test_a_peer_that_lies_cannot_silence_another() -> None:
    seen = board()
    lie = report("one", incarnation=2**32)
    seen.merge([report("one")], "one", 0.0)
    assert seen.merge([lie], "two", 1.0) == []  # its own word is fresh
    assert seen.merge([lie], "two", REPORT_UP_S + 1) == ["one"]
    assert seen.seen(["one"], REPORT_UP_S + 1)[0].is_hearsay
    assert seen.merge([report("one", beat=2)], "one", REPORT_UP_S + 2) == ["one"]
    assert seen.get("one") == report("one", beat=2)


@pytest.mark.parametrize(
    ("step", "counts"), [(REPORT_INCARNATION_STEP_MAX, True), (REPORT_INCARNATION_STEP_MAX + 1, False)]
)
def test_hearsay_may_be_ahead_of_a_node_by_so_much(step: int, *, counts: bool) -> None:
    """More than any clock was ever wrong, and far less than there are numbers: the node can go above each of them."""
    seen = board()
    seen.merge([report("one", 7)], "one", 0.0)
    lie = report("one", 7 + step)
    assert (seen.merge([lie], "two", 10.0) == ["one"]) is counts
    assert (seen.get("one") == lie) is counts
    other = board()
    other.merge([report("one", 7)], "one", 0.0)
    other.hear([Beat("one", 7 + step, 1, 1)], 10.0)
    assert (other.seen(["one"], 20.0)[0].state == "up") is counts


@pytest.mark.parametrize("how", ["report", "beat"])
@pytest.mark.parametrize("step", [0, 1, REPORT_INCARNATION_STEP_MAX])
def test_a_node_that_is_outdone_goes_above_so_that_it_is_heard_again(how: str, step: int) -> None:
    """Somebody lies, or its clock was ahead when it ran before: neither may last for longer than whoever said it."""
    here, there = board(), Board("one", {"me", "one", "two"}.__contains__, 0.0)
    there.put(report("one", 7), 0.0)
    here.merge([report("one", 7)], "two", 0.0)
    lie = report("one", 7 + step, beat=5)
    here.merge([lie], "two", 1.0)
    assert here.merge([report("one", 7, beat=4)], "two", 2.0) == []  # true, and it comes too late
    if how == "report":
        there.merge(here.all(), "me", 3.0)
    else:
        there.hear(here.beats(), 3.0)
    assert there.outdone == 7 + step
    there.put(report("one", there.outdone + 1, beat=5), 4.0)
    assert here.merge(there.all(), "two", 4.0) == ["one"]
    assert here.get("one") == report("one", there.outdone + 1, beat=5)
    there.merge([lie], "two", 5.0)
    assert there.outdone == 7 + step  # it is above that now


def test_what_others_know_of_us_outdoes_nobody() -> None:
    here = board()
    here.put(report("me", 7, beat=5), 0.0)
    here.merge([report("me", 7, beat=5), report("me", 6, beat=9), report("one", 99)], "two", 1.0)
    here.hear([Beat("me", 7, 4, 4), Beat("me", 7 + REPORT_INCARNATION_STEP_MAX + 1, 1, 1), Beat("one", 200, 1, 1)], 1.0)
    assert here.outdone == 0


def test_who_left_is_forgotten() -> None:
    known = {"one", "two"}
    seen = Board("me", known.__contains__, 0.0)
    seen.merge([report("one"), report("two")], "one", 0.0)
    known.remove("two")
    assert [r.node for r in seen.all()] == ["one"]
    seen.forget()
    assert seen.get("two") is None


def test_only_so_many_nodes() -> None:
    seen = Board("me", lambda _name: True, 0.0)
    names = [f"n{number}" for number in range(REPORT_COUNT_MAX + 1)]
    seen.merge([replace(report(), node=name) for name in names], "n0", 0.0)
    assert len(seen.all()) == REPORT_COUNT_MAX


# --- lost links ---


@pytest.mark.parametrize(
    ("heard_at", "by", "state"),
    [
        (9.0, "one", "silent"),  # before its link broke, at 10
        (15.0, "two", "silent"),  # what a peer heard before that
        (15.1, "two", "up"),  # others go on hearing of it: only our way to it is broken
    ],
)
def test_a_node_whose_link_broke_is_silent_at_once(heard_at: float, by: str, state: str) -> None:
    seen = board()
    seen.merge([report("one")], by, heard_at)
    assert seen.seen(["one"], 16.0)[0].state == "up"
    assert seen.seen(["one"], 16.0, {"one": 10.0, "two": 1.0})[0].state == state


def test_we_are_never_lost_to_ourselves() -> None:
    seen = board()
    seen.put(report("me"), 1.0)
    assert seen.seen(["me"], 2.0, {"me": 1.5})[0].state == "up"


def test_a_message_has_room_for_our_own_report_whatever_others_say() -> None:
    board = Board("n1", lambda _name: True, 0.0)
    long = AppReport(1, 1, "r" * 255, "failed", "c" * 255, "\U0001f600" * 120, 1.0, 1, 1, 1, 1, 1)
    board.put(NodeReport("n1", "eu", 1, 1, 1.0), 1.0)
    for number in range(2, 60):
        apps = {f"app-{one}": long for one in range(100)}
        board.merge([NodeReport(f"n{number}", "eu", 1, 1, 1.0, apps=apps)], f"n{number}", float(number))
    board.merge([NodeReport("n99", "eu", 1, 1, 1.0)], "n99", 0.5)
    said = board.fitting(REPORTS_BYTES_MAX)
    assert (said[0].node, said[1].node, said[-1].node) == ("n1", "n59", "n99")
    assert 2 < len(said) < 60
    encode_frame({"id": 1, "ok": {"reports": [report.encode() for report in said]}})
