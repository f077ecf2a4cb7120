"""wasi:clocks"""

from __future__ import annotations

import time

import pytest
import trio

from edged.host.clocks import NANOSECONDS, MonotonicClock, Timezone, WallClock, datetime_from_ns
from edged.host.poll import Poll
from tests.host.fakes import invocation, settled

MONOTONIC = MonotonicClock()


async def test_monotonic_time_is_trios(mock_clock) -> None:
    before = MONOTONIC.now(invocation())
    assert before == round(trio.current_time() * NANOSECONDS)
    mock_clock.jump(1.5)
    assert MONOTONIC.now(invocation()) - before == 1_500_000_000
    assert MONOTONIC.resolution(invocation()) == 1


@pytest.mark.parametrize("duration", [1, 999, 1_000_000, 2_500_000_000, 3_600 * NANOSECONDS + 1])
async def test_a_duration_ends_when_it_is_over(autojump_clock, duration) -> None:
    start = MONOTONIC.now(invocation())
    pollable = MONOTONIC.subscribe_duration(invocation(), duration)
    assert not pollable.ready()
    assert await settled(Poll().poll(invocation(), [pollable])) == [0]
    assert pollable.ready()
    assert MONOTONIC.now(invocation()) - start == pytest.approx(duration, abs=1)


@pytest.mark.parametrize("duration", [1, 999, 1_000_000, 2_500_000_000])
async def test_an_instant_does_not_come_early(autojump_clock, duration) -> None:
    when = MONOTONIC.now(invocation()) + duration
    pollable = MONOTONIC.subscribe_instant(invocation(), when)
    await settled(pollable.block())
    assert MONOTONIC.now(invocation()) == when


async def test_what_is_over_is_ready() -> None:
    assert MONOTONIC.subscribe_duration(invocation(), 0).ready()
    assert MONOTONIC.subscribe_instant(invocation(), 0).ready()
    assert MONOTONIC.subscribe_instant(invocation(), MONOTONIC.now(invocation())).ready()


async def test_the_longest_duration_is_only_long() -> None:
    assert not MONOTONIC.subscribe_duration(invocation(), 2**64 - 1).ready()
    assert not MONOTONIC.subscribe_instant(invocation(), 2**64 - 1).ready()


def test_wall_time_is_the_systems() -> None:
    before = time.time_ns()
    seconds, nanoseconds = WallClock().now(invocation())
    assert before <= seconds * NANOSECONDS + nanoseconds <= time.time_ns()
    assert WallClock().resolution(invocation()) == (0, 1)


def test_datetimes() -> None:
    assert datetime_from_ns(1_999_999_999) == (1, 999_999_999)
    assert datetime_from_ns(-1) == (0, 0)


def test_the_time_zone_is_utc() -> None:
    assert Timezone().display(invocation(), (0, 0)) == (0, "UTC", False)
    assert Timezone().utc_offset(invocation(), (0, 0)) == 0
