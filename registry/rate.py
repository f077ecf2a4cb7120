"""A rate: how much of something may be used by when. The clock is passed in."""

from __future__ import annotations


class TokenBucket:
    """So much a second, and up to `burst` at once after a pause.

    Args:
        per_s: units a second; above 0.
        burst: units; what is saved up at most. Full at the beginning.
        now: seconds, of any clock that does not go back.
    """

    __slots__ = ("_at", "_burst", "_per_s", "_tokens")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        assert per_s > 0
        assert burst > 0
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._at = now

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until `take` of that amount is allowed; 0 if it is now.

        More than the burst at once is allowed when the bucket is full, and paid back afterwards.
        """
        self._fill(now)
        return max(0.0, (min(amount, self._burst) - self._tokens) / self._per_s)

    def take(self, amount: float, now: float) -> None:
        """Use it. `wait_s` of the same amount is 0."""
        self._fill(now)
        self._tokens -= amount

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
