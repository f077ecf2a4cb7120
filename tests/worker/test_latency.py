"""Histograms of requests: exact to a bucket, merged, subtracted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.limits import GUEST_LIMITS_HIGHEST
from edged.worker.latency import BUCKET_COUNT, Latency, bucket_end, bucket_of, parse_latency

times = st.floats(0.0, GUEST_LIMITS_HIGHEST.wall_s_max)


def of(*seconds: float) -> Latency:
    latency = Latency()
    for each in seconds:
        latency.add(each)
    return latency


@given(times)
def test_a_bucket_is_an_eighth_of_its_time_wide(seconds: float) -> None:
    bucket = bucket_of(seconds)
    assert 0 <= bucket < BUCKET_COUNT
    assert seconds < bucket_end(bucket) + 1e-9
    assert bucket_end(bucket) <= max(seconds * 9 / 8 + 2e-6, 2e-6)


def test_buckets_follow_each_other() -> None:
    ends = [bucket_end(bucket) for bucket in range(BUCKET_COUNT)]
    assert ends == sorted(set(ends))
    for bucket in range(BUCKET_COUNT - 1):
        assert bucket_of(ends[bucket] + 2e-7) == bucket + 1


@pytest.mark.parametrize("seconds", [-1.0, 0.0])
def test_a_clock_that_stands_still(seconds: float) -> None:
    assert bucket_of(seconds) == 0


def test_longer_than_anything_may_take() -> None:
    assert bucket_of(1e9) == BUCKET_COUNT - 1


def test_percentiles() -> None:
    latency = of(*[0.001] * 98, 0.1, 2.0)
    half, most, worst = (latency.percentile(percent) for percent in (50, 99, 100))
    assert half == pytest.approx(0.001, rel=0.125)
    assert most == pytest.approx(0.1, rel=0.125)
    assert worst == pytest.approx(2.0, rel=0.125)
    assert Latency().percentile(50) is None


@given(st.lists(times, max_size=20), st.lists(times, max_size=20))
def test_merged_is_as_one_and_subtracting_undoes_it(first: list[float], second: list[float]) -> None:
    merged = of(*first)
    before = merged.copy()
    merged.merge(of(*second))
    assert merged == of(*first, *second)
    assert merged.since(before) == of(*second)
    assert before.since(merged) == Latency()
    assert merged.count == len(first) + len(second)


@given(st.lists(times, max_size=20))
def test_what_travels(seconds: list[float]) -> None:
    latency = of(*seconds)
    assert parse_latency([list(pair) for pair in latency.filled()]) == latency


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [[0]],
        [[0, 1, 2]],
        [[-1, 1]],
        [[BUCKET_COUNT, 1]],
        [[0, 0]],
        [[0, -1]],
        [[0, 1.0]],
        [["0", 1]],
        [[0, 2**63]],
        [[0, 1]] * (BUCKET_COUNT + 1),
    ],
    ids=range(12),
)
def test_what_is_no_histogram(value: object) -> None:
    with pytest.raises(ValueError, match="latency"):
        parse_latency(value)


def test_the_last_bucket_travels() -> None:
    assert parse_latency([[BUCKET_COUNT - 1, 2**63 - 1]]).count == 2**63 - 1
