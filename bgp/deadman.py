"""The child's watch over the daemon: one that is silent for too long is gone or hung. The clock is passed in."""

from __future__ import annotations

from collections.abc import Callable

from bgp.limits import DEADMAN_GRACE_S


class Deadman:
    """Looked at on every turn of the child's loop.

    Args:
        clock: seconds, and monotonic: a clock that is set is no silence.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float]) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._looked = clock()
        self.heard()

    def heard(self) -> None:
        """A word from the daemon."""
        self._until = self._clock() + self._timeout_s
        self._gracious = True

    def expired(self) -> bool:
        """It was silent for too long.

        Where we did not run ourselves, as when the whole machine was stopped, it may not have run either: it then gets
        DEADMAN_GRACE_S more, once until it is heard.
        """
        now = self._clock()
        paused = now - self._looked > DEADMAN_GRACE_S
        self._looked = now
        if paused and self._gracious:
            self._gracious = False
            self._until = max(self._until, now + DEADMAN_GRACE_S)
        return now > self._until
