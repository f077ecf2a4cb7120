"""What clocks say in a simulated world: time.time() is that of the machine whose task asks."""

from __future__ import annotations

import trio

from tests.simulator.parties import START


class Clock:
    """The wall clock of a machine: it may be wrong, run fast or slow, and be set.

    Args:
        offset_s: by which it is wrong at first.
        drift: seconds that it gains in each second.
    """

    def __init__(self, offset_s: float = 0.0, drift: float = 0.0) -> None:
        self._drift = drift
        self._since = 0.0
        self._base = START + offset_s

    def time(self) -> float:
        """Unix time, s."""
        return self._base + (trio.current_time() - self._since) * (1 + self._drift)

    def jump(self, seconds: float) -> None:
        """It is set forward or back."""
        self._base += seconds

    def set(self, offset_s: float = 0.0) -> None:
        """It is set right, or wrong by so much."""
        self._since = trio.current_time()
        self._base = START + self._since + offset_s

    def set_drift(self, drift: float) -> None:
        """From now on."""
        self._base, self._since = self.time(), trio.current_time()
        self._drift = drift

    @property
    def error_s(self) -> float:
        """By which it is wrong now."""
        return self.time() - START - trio.current_time()
