"""When the speaker's child is started again."""

from __future__ import annotations

from bgp.backoff import Backoff
from bgp.limits import RESPAWN_FAULT_COUNT, RESPAWN_FAULT_S, RESPAWN_RESET_S, RESPAWN_S_MAX, RESPAWN_S_MIN


def test_twice_as_long_each_time_up_to_the_limit() -> None:
    backoff = Backoff()
    waits = [backoff.ended(100.0 * count, 1.0) for count in range(8)]
    assert waits == [RESPAWN_S_MIN * 2**count for count in range(6)] + [RESPAWN_S_MAX] * 2


def test_a_child_that_lasted_is_started_soon() -> None:
    backoff = Backoff()
    backoff.ended(0.0, 1.0)
    backoff.ended(1.0, 1.0)
    assert backoff.ended(100.0, RESPAWN_RESET_S) == RESPAWN_S_MIN


def test_one_that_almost_lasted_is_not() -> None:
    backoff = Backoff()
    backoff.ended(0.0, 1.0)
    assert backoff.ended(100.0, RESPAWN_RESET_S - 0.001) > RESPAWN_S_MIN


def test_as_many_ends_as_may_be_chance_are_no_fault_and_one_more_is() -> None:
    backoff = Backoff()
    for count in range(RESPAWN_FAULT_COUNT):
        backoff.ended(float(count), RESPAWN_RESET_S)
    assert not backoff.fault(RESPAWN_FAULT_COUNT - 1)
    assert backoff.ended(float(RESPAWN_FAULT_COUNT), RESPAWN_RESET_S) == RESPAWN_S_MAX
    assert backoff.fault(RESPAWN_FAULT_COUNT)


def test_a_fault_ends_when_the_first_of_its_ends_is_a_minute_old() -> None:
    backoff = Backoff()
    for count in range(RESPAWN_FAULT_COUNT + 1):
        backoff.ended(float(count), 1.0)
    assert backoff.fault_until == RESPAWN_FAULT_S
    assert backoff.fault(RESPAWN_FAULT_S - 0.001)
    assert not backoff.fault(RESPAWN_FAULT_S)


def test_the_same_ends_over_a_longer_time_are_none() -> None:
    backoff = Backoff()
    for count in range(RESPAWN_FAULT_COUNT + 1):
        backoff.ended(count * RESPAWN_FAULT_S / RESPAWN_FAULT_COUNT, 1.0)
    assert not backoff.fault(RESPAWN_FAULT_S)
