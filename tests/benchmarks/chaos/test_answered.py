"""Why requests failed, and who was answered with an older release than before."""

from __future__ import annotations

import pytest

from benchmarks.chaos.answered import UNEXPLAINED, Failed, Window, counted, failed, went_back
from tests.lab.client import Answer, Failure

WINDOWS = (Window("a", "killed", 10.0, 20.0), Window("a", "a worker", 15.0, 16.0), Window("b", "away", 10.0, 20.0))


def answer(begun: float, took_s: float = 0.1, *, body: str = "", failure: Failure = "") -> Answer:
    return Answer(begun, took_s, body, failure)


@pytest.mark.parametrize(
    ("begun", "took_s", "why"),
    [
        (5.0, 1.0, UNEXPLAINED),
        (5.0, 5.0, "killed"),  # it was on its way when the window began
        (12.0, 1.0, "killed"),
        (15.5, 0.1, "a worker"),  # what came last
        (20.0, 1.0, "killed"),  # begun at the last moment
        (20.1, 1.0, UNEXPLAINED),
    ],
    ids=["before", "as it begins", "within", "within two", "as it ends", "after"],
)
def test_why(begun: float, took_s: float, why: str) -> None:
    found = failed({"a": [answer(begun, took_s, failure="reset"), answer(begun, took_s, body="0001")]}, WINDOWS)
    assert found == [Failed("a", begun, took_s, "reset", why)]


def test_a_window_of_another_node_explains_nothing() -> None:
    assert failed({"c": [answer(12.0, failure="refused")]}, WINDOWS)[0].why == UNEXPLAINED


def test_counts() -> None:
    kinds: list[Failure] = ["reset", "refused", "reset"]
    found = failed({"a": [answer(12.0, failure=kind) for kind in kinds], "c": [answer(1, failure="status")]}, WINDOWS)
    assert counted(found) == {"killed": {"refused": 1, "reset": 2}, UNEXPLAINED: {"status": 1}}


SEQUENCES = {"new": 2, "old": 1}


def test_back_to_an_older_release() -> None:
    new, old = answer(1.0, body="new"), answer(2.0, body="old")
    assert list(went_back([new, old], SEQUENCES)) == [(new, old)]
    assert list(went_back([answer(1.0, body="old"), answer(2.0, body="new")], SEQUENCES)) == []


def test_two_at_once_may_be_answered_by_different_workers() -> None:
    assert list(went_back([answer(1.0, 1.5, body="new"), answer(2.0, body="old")], SEQUENCES)) == []


def test_what_nobody_published_says_nothing() -> None:
    assert list(went_back([answer(1.0, body="new"), answer(2.0, body="else"), answer(3.0)], SEQUENCES)) == []
