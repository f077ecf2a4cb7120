"""wasi:clocks 0.3."""

from __future__ import annotations

import time

import pytest
import trio
import trio.testing

from edged.host.wasi3.clocks import MonotonicClock, SystemClock, Timezone, instant_from_ns
from tests.host.fakes import invocation, settled, suspends

S = 1_000_000_000


async def test_a_mark_that_has_passed_is_not_waited_for(mock_clock) -> None:
    clock = MonotonicClock()
    now = clock.now(invocation())
    assert clock.get_resolution(invocation()) == 1
    for when in (0, now):
        assert not suspends(clock.wait_until(invocation(), when))
    assert not suspends(clock.wait_for(invocation(), 0))
    assert suspends(clock.wait_until(invocation(), now + S))
    assert suspends(clock.wait_for(invocation(), 1))


async def test_waiting_takes_as_long_as_asked(autojump_clock) -> None:
    clock = MonotonicClock()
    start = clock.now(invocation())
    await settled(clock.wait_for(invocation(), 3 * S))
    assert clock.now(invocation()) == start + 3 * S
    await settled(clock.wait_until(invocation(), start + 5 * S))
    assert clock.now(invocation()) == start + 5 * S


async def test_a_duration_begins_with_the_call_and_not_with_its_task(mock_clock) -> None:
    clock = MonotonicClock()
    waiting = clock.wait_for(invocation(), 2 * S)
    mock_clock.jump(2)
    await settled(waiting)
    assert trio.current_time() == pytest.approx(2)


async def test_the_longest_durations_are_no_error(mock_clock) -> None:
    clock = MonotonicClock()
    assert suspends(clock.wait_for(invocation(), (1 << 64) - 1))
    assert suspends(clock.wait_until(invocation(), (1 << 64) - 1))


def test_the_system_clock_is_the_time_of_day() -> None:
    clock = SystemClock()
    before = time.time_ns()
    seconds, nanoseconds = clock.now(invocation())
    assert before <= seconds * S + nanoseconds <= time.time_ns()
    assert clock.get_resolution(invocation()) == 1


@pytest.mark.parametrize(
    ("time_ns", "instant"), [(0, (0, 0)), (1, (0, 1)), (S, (1, 0)), (-1, (-1, S - 1)), (-S, (-1, 0))]
)
def test_nanoseconds_move_forwards_before_1970_too(time_ns, instant) -> None:
    assert instant_from_ns(time_ns) == instant


def test_the_timezone_is_utc() -> None:
    timezone = Timezone()
    assert timezone.iana_id(invocation()) == timezone.to_debug_string(invocation()) == "UTC"
    assert timezone.utc_offset(invocation(), instant_from_ns(0)) == 0
