"""Beats: who lives is told in few bytes; reports go only to who lacks them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edged.errors import RequestInvalid
from edged.fleet.beats import Beat, encode_beats, parse_beats
from edged.fleet.board import Board
from edged.fleet.report import AppReport, NodeReport
from edged.limits import (
    REPORT_COUNT_MAX,
    REPORT_DIRECT_S,
    REPORT_NEWS_S,
    REPORT_STALE_BEATS,
    REPORT_UP_S,
    REPORTS_BYTES_MAX,
)

BEAT = Beat("one", 7, 3, 2)


def report(node: str, beat: int = 1, **more: Any) -> NodeReport:
    return NodeReport(node, "eu", 1, beat, 1.0, **more)


def board(me: str = "me") -> Board:
    made = Board(me, lambda name: name != "stranger", 0.0)
    made.put(report(me), 0.0)
    return made


def names(reports: list[NodeReport]) -> list[str]:
    return [each.node for each in reports]


def state_of(board: Board, node: str, now: float) -> str:
    return board.seen([node], now)[0].state


# --- in messages ---


def test_there_and_back() -> None:
    assert parse_beats(encode_beats([BEAT])) == [BEAT]


@pytest.mark.parametrize(
    "item",
    ["one", ["one", 7, 3], ["one", 7, 3, 2, 1], ["", 7, 3, 2], [1, 7, 3, 2], ["one", -1, 3, 2], ["one", 7, True, 2]],
    ids=str,
)
def test_what_is_no_beat(item: object) -> None:
    with pytest.raises(RequestInvalid):
        parse_beats([item])


def test_limit_at_and_over() -> None:
    assert len(parse_beats(encode_beats([BEAT] * REPORT_COUNT_MAX))) == REPORT_COUNT_MAX
    with pytest.raises(RequestInvalid):
        parse_beats(encode_beats([BEAT] * (REPORT_COUNT_MAX + 1)))
    with pytest.raises(RequestInvalid):
        parse_beats({})


# --- being alive ---


def test_a_beat_keeps_a_node_up_and_its_report() -> None:
    here = board()
    here.merge([report("one")], "one", 0.0)
    here.hear([Beat("one", 1, 5, 1)], 10.0)
    assert state_of(here, "one", 10.0 + REPORT_UP_S) == "up"
    assert here.seen(["one"], 10.0)[0].is_hearsay
    assert here.get("one") == report("one")
    assert Beat("one", 1, 5, 1) in here.beats()


def test_an_old_beat_keeps_nobody_up() -> None:
    here = board()
    here.merge([report("one", beat=5)], "one", 0.0)
    here.hear([Beat("one", 1, 5, 5), Beat("one", 0, 99, 5)], 10.0)
    assert state_of(here, "one", REPORT_UP_S + 0.1) == "silent"


def test_nobody_speaks_for_this_node_and_nothing_is_known_of_who_has_no_report() -> None:
    here = board()
    here.hear([Beat("me", 9, 9, 9), Beat("one", 1, 1, 1), Beat("stranger", 1, 1, 1)], 1.0)
    assert here.beats() == [Beat("me", 1, 1, 1)]
    assert state_of(here, "one", 1.0) == "never"


@pytest.mark.parametrize(("later_s", "counts"), [(REPORT_DIRECT_S, False), (REPORT_DIRECT_S + 0.1, True)])
def test_its_own_word_keeps_others_out_for_a_while(later_s: float, counts: bool) -> None:
    """But not until the node seems silent, where it is heard of directly once in minutes."""
    here = board()
    here.merge([report("one")], "one", 0.0)
    here.hear([Beat("one", 2**32, 1, 0)], later_s)
    assert (state_of(here, "one", REPORT_UP_S + 1) == "up") is counts
    # Whatever others said of it, its own word is taken.
    assert here.merge([report("one", beat=2)], "one", 20.0) == ["one"]
    assert Beat("one", 1, 2, 2) in here.beats()


def test_a_report_that_is_older_than_a_beat_is_kept_and_says_nothing_of_now() -> None:
    here = board()
    here.merge([report("one")], "two", 0.0)
    here.hear([Beat("one", 1, 9, 1)], 6.0)
    assert here.merge([report("one", beat=7, version="2")], "two", 12.0) == ["one"]
    assert here.seen(["one"], 12.0)[0].age_s == 6.0
    assert Beat("one", 1, 9, 7) in here.beats()


def test_a_node_that_starts_again_shows_nothing_until_its_report_comes() -> None:
    here = board()
    here.merge([report("one", beat=9)], "two", 0.0)
    here.hear([Beat("one", 2, 1, 1)], 6.0)
    assert Beat("one", 2, 1, 0) in here.beats()


# --- who lacks what ---


def test_who_knows_nothing_lacks_all_and_who_knows_all_lacks_nothing() -> None:
    here, there = board(), board("there")
    here.merge([report("one"), report("two")], "one", 0.0)
    assert sorted(names(here.lacking(there.beats(), REPORTS_BYTES_MAX))) == ["me", "one", "two"]
    there.merge(here.lacking(there.beats(), REPORTS_BYTES_MAX), "me", 0.0)
    # Its own always: a word that is direct.
    assert names(here.lacking(there.beats(), REPORTS_BYTES_MAX)) == ["me"]


def test_what_is_only_counted_is_no_news_until_it_is_old() -> None:
    here = board()
    here.merge([report("one", apps={"a": AppReport(requests=1)})], "two", 0.0)
    theirs = [Beat("one", 1, 1, 1)]
    for beat, lacks in ((REPORT_STALE_BEATS, []), (REPORT_STALE_BEATS + 1, ["one"])):
        counted = report("one", beat, requests_s=float(beat), apps={"a": AppReport(requests=beat)}, disk_used_bytes=9)
        here.merge([counted], "two", float(beat))
        assert names(here.lacking(theirs, REPORTS_BYTES_MAX))[1:] == lacks


@pytest.mark.parametrize(
    "news",
    [
        {"apps": {"a": AppReport(stage="failed")}},
        {"apps": {}},
        {"alarms": ("disk",)},
        {"heads_hash": "ff"},
        {"workers_ready": 1},
        {"roster_version": 2},
        {"version": "2"},
    ],
    ids=lambda news: next(iter(news)),
)
def test_news_are_sent_on_at_once_and_once(news: dict[str, Any]) -> None:
    here = board()
    first = report("one", apps={"a": AppReport(stage="live")})
    here.merge([first], "two", 0.0)
    here.merge([replace(first, beat=2, **news)], "two", 1.0)
    assert names(here.lacking([Beat("one", 1, 2, 1)], REPORTS_BYTES_MAX)) == ["me", "one"]
    assert names(here.lacking([Beat("one", 1, 2, 2)], REPORTS_BYTES_MAX)) == ["me"]
    here.merge([replace(first, beat=3, **news)], "two", 2.0)  # says the same again
    assert names(here.lacking([Beat("one", 1, 3, 2)], REPORTS_BYTES_MAX)) == ["me"]


def test_the_latest_news_go_first_then_what_is_oldest_there() -> None:
    here = board()
    theirs = [Beat(f"n{number}", 1, 1, 1) for number in range(4)]
    here.merge([report(f"n{number}") for number in range(4)], "n0", 0.0)
    here.merge([report("n0", 2, version="2")], "n1", 10.0)
    here.merge([report("n1", 2, version="2")], "n0", 11.0)
    here.merge([report("n2", 1 + REPORT_STALE_BEATS), report("n3", 2 + REPORT_STALE_BEATS)], "n0", 12.0)
    assert names(here.lacking(theirs, REPORTS_BYTES_MAX)) == ["me", "n1", "n0", "n3", "n2"]


@pytest.mark.parametrize(("later_s", "told"), [(REPORT_NEWS_S, ["me", "two"]), (REPORT_NEWS_S + 0.1, ["me"])])
def test_news_are_told_unasked_for_a_while(later_s: float, told: list[str]) -> None:
    here = board()
    here.merge([report("one"), report("two")], "two", 0.0)
    here.merge([report("two", 2, version="2")], "two", 100.0)
    here.merge([report("one", 2, requests_s=1.0)], "two", 100.0)  # only counted
    assert names(here.news(100.0 + later_s, REPORTS_BYTES_MAX)) == told
    assert names(here.news(100.0, 2_100)) == ["me"]


def test_as_many_as_a_message_has_room_for() -> None:
    here = board()
    here.merge([report(f"n{number}") for number in range(9)], "n0", 0.0)
    assert names(here.lacking([], 1)) == []
    assert names(here.lacking([], 2_100)) == ["me"]
    assert len(here.lacking([], 5 * 2_100)) == 5


def test_a_peer_that_knows_more_than_there_is_lacks_nothing() -> None:
    here = board()
    here.merge([report("one", beat=50)], "two", 0.0)
    assert names(here.lacking([Beat("one", 1, 2**50, 2**50), Beat("one", 9, 0, 0)], REPORTS_BYTES_MAX)) == ["me"]
