from __future__ import annotations

from edged.limits import CHILD_BACKOFF_RESET_S, CHILD_BACKOFF_S_MAX, CHILD_BACKOFF_S_MIN
from edged.node.backoff import Backoff


def test_twice_as_long_each_time_up_to_a_limit() -> None:
    backoff = Backoff()
    waits = [backoff.ended(0.0) for _ in range(9)]
    assert waits[:3] == [CHILD_BACKOFF_S_MIN, 2 * CHILD_BACKOFF_S_MIN, 4 * CHILD_BACKOFF_S_MIN]
    assert waits[-1] == waits[-2] == CHILD_BACKOFF_S_MAX


def test_from_the_beginning_after_it_lasted() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.ended(0.0)
    assert backoff.ended(CHILD_BACKOFF_RESET_S - 0.001) > CHILD_BACKOFF_S_MIN
    assert backoff.ended(CHILD_BACKOFF_RESET_S) == CHILD_BACKOFF_S_MIN
    assert backoff.ended(0.0) == 2 * CHILD_BACKOFF_S_MIN
