"""A token bucket: never more than the burst and what time has brought."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from registry.rate import TokenBucket


def test_the_burst_is_there_at_once_and_then_time_brings_more() -> None:
    bucket = TokenBucket(per_s=10, burst=20, now=0)
    assert bucket.wait_s(20, 0) == 0
    bucket.take(20, 0)
    assert bucket.wait_s(5, 0) == 0.5
    assert bucket.wait_s(5, 0.5) == 0
    bucket.take(5, 0.5)
    assert bucket.wait_s(20, 100) == 0
    assert bucket.wait_s(1, 100) == 0


def test_more_than_the_burst_is_paid_back() -> None:
    bucket = TokenBucket(per_s=10, burst=10, now=0)
    assert bucket.wait_s(30, 0) == 0
    bucket.take(30, 0)
    assert bucket.wait_s(10, 0) == 3
    assert bucket.wait_s(10, 3) == 0


@given(some.lists(some.tuples(some.integers(0, 30), some.integers(0, 5)), max_size=40))
def test_never_faster_than_it_says(steps: list[tuple[int, int]]) -> None:
    bucket = TokenBucket(per_s=7, burst=30, now=0)
    now = taken = 0
    for amount, pause in steps:
        now += pause
        if bucket.wait_s(amount, now) == 0:
            bucket.take(amount, now)
            taken += amount
        assert taken <= 30 + 7 * now + 1e-6


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (1, 0)])
def test_no_rate_at_all_is_our_mistake(per_s: float, burst: float) -> None:
    with pytest.raises(AssertionError):
        TokenBucket(per_s, burst, 0)
