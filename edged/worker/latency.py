"""How long requests took, in buckets whose width grows with the time they stand for.

Merged by adding, compared over time by subtracting: percentiles of a node or a minute are exact to a bucket, an eighth
of the time itself. (Averages of percentiles would mean nothing.)
"""

from __future__ import annotations

from collections.abc import Iterable

_OCTAVE_STEPS = 8
_STEP_BITS = 3
BUCKET_COUNT = 280
"""Microseconds up to 2**37, more than a day: the highest `GuestLimits.wall_s_max`. The last one holds all above."""

_COUNT_MAX = 2**63 - 1  # what msgpack carries


class Latency:
    """A histogram. Not frozen: `add` is on the path of every request and costs 300 ns."""

    __slots__ = ("buckets",)

    def __init__(self, buckets: Iterable[tuple[int, int]] = ()) -> None:
        self.buckets = [0] * BUCKET_COUNT
        for bucket, count in buckets:
            self.buckets[bucket] = count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Latency) and self.buckets == other.buckets

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Latency({self.filled()})"

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def add(self, seconds: float) -> None:
        self.buckets[bucket_of(seconds)] += 1

    def filled(self) -> list[tuple[int, int]]:
        """Buckets that are not empty, with their counts: what travels."""
        return [(bucket, count) for bucket, count in enumerate(self.buckets) if count]

    def merge(self, other: Latency) -> None:
        for bucket, count in other.filled():
            self.buckets[bucket] += count

    def since(self, earlier: Latency) -> Latency:
        """What came after `earlier`, a copy of this one from before; never less than nothing."""
        difference = Latency()
        difference.buckets = [max(0, now - then) for now, then in zip(self.buckets, earlier.buckets, strict=True)]
        return difference

    def copy(self) -> Latency:
        other = Latency()
        other.buckets = self.buckets.copy()
        return other

    def percentile(self, percent: float) -> float | None:
        """Seconds that so many per cent of requests took at most; None without requests."""
        total = self.count
        if not total:
            return None
        rank, seen = percent / 100 * total, 0
        for bucket, count in enumerate(self.buckets):
            seen += count
            if count and seen >= rank:
                return bucket_end(bucket)
        raise AssertionError("the counts add up")


def bucket_of(seconds: float) -> int:
    """The first eight are a microsecond wide; then each power of two has eight."""
    microseconds = int(seconds * 1e6)
    if microseconds < _OCTAVE_STEPS:
        return max(0, microseconds)
    exponent = microseconds.bit_length() - _STEP_BITS - 1
    bucket = (exponent << _STEP_BITS) + (microseconds >> exponent)
    return bucket if bucket < BUCKET_COUNT else BUCKET_COUNT - 1


def bucket_end(bucket: int) -> float:
    """Seconds at which a bucket ends."""
    if bucket < _OCTAVE_STEPS:
        return (bucket + 1) / 1e6
    exponent, step = (bucket >> _STEP_BITS) - 1, bucket & (_OCTAVE_STEPS - 1)
    return ((_OCTAVE_STEPS + step + 1) << exponent) / 1e6


def parse_latency(value: object) -> Latency:
    """A histogram that travelled as `Latency.filled`.

    Raises:
        ValueError
    """
    if not isinstance(value, list) or len(value) > BUCKET_COUNT:
        raise ValueError("a latency is a list of buckets")
    pairs: list[tuple[int, int]] = []
    for pair in value:
        match pair:
            case [int(bucket), int(count)] if 0 <= bucket < BUCKET_COUNT and 0 < count <= _COUNT_MAX:
                pairs.append((bucket, count))
            case _:
                raise ValueError("a bucket of a latency is a number and a count")
    return Latency(pairs)
