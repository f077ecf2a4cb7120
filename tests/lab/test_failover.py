from __future__ import annotations

import pytest

from tests.lab.client import Answer, Failure, parse
from tests.lab.failover import SLOW_S, analyse


def ok(begun: float, region: str, took_s: float = 0.1) -> Answer:
    return Answer(begun, took_s, region, "")


def failed(begun: float, failure: Failure, took_s: float = 0.0) -> Answer:
    return Answer(begun, took_s, "", failure)


def test_what_clients_saw() -> None:
    answers = [
        ok(90.0, "ams"),
        ok(99.0, "ams", 0.2),
        failed(99.95, "reset", 0.1),
        failed(100.1, "unreachable"),
        ok(100.1, "ams", 0.2),
        ok(100.2, "dal", 0.4),
        ok(100.3, "dal", SLOW_S + 0.5),
        ok(101.0, "dal", 0.4),
    ]
    seen = analyse(answers, 100.0, "ams")
    assert seen.elsewhere_s == pytest.approx(0.6)
    assert seen.last_here_s == pytest.approx(0.3)
    assert seen.asked == 7  # the first began too long before
    assert (seen.failed, seen.failures, seen.unanswered) == (2, {"reset": 1, "unreachable": 1}, 1)
    assert seen.slow == 1
    assert seen.window_s == pytest.approx(0.15)
    assert seen.before_ms == pytest.approx(150)
    assert seen.after_ms == pytest.approx(400)
    assert seen.now == "dal"


@pytest.mark.parametrize(("took_s", "slow"), [(SLOW_S, 0), (SLOW_S + 0.001, 1)])
def test_slow_is_more_than_a_lost_syn_takes(took_s: float, slow: int) -> None:
    assert analyse([ok(100.0, "ams", took_s)], 99.0, "ams").slow == slow


def test_an_answer_from_elsewhere_before_the_event_is_not_because_of_it() -> None:
    assert analyse([ok(99.0, "dal", 0.9), ok(101, "ams")], 100.0, "ams").elsewhere_s is None
    assert analyse([ok(99.0, "dal", 1.1)], 100.0, "ams").elsewhere_s == pytest.approx(0.1)


def test_nobody_answered() -> None:
    seen = analyse([failed(100.5, "timeout", 3.0)], 100.0, "ams")
    assert (seen.elsewhere_s, seen.last_here_s, seen.before_ms, seen.after_ms) == (None, None, None, None)
    assert (seen.failed, seen.window_s, seen.now) == (1, 0.0, "")
    assert analyse([], 100.0, "ams").asked == 0


def test_a_line_of_a_client() -> None:
    answer = parse('{"begun": 1.5, "took_s": 0.25, "body": "ams", "failure": ""}')
    assert answer == ok(1.5, "ams", 0.25)
    assert answer.ended == 1.75
