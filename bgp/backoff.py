"""How long to wait before the speaker's child is started again, and when to call that a fault."""

from __future__ import annotations

from bgp.limits import RESPAWN_FAULT_COUNT, RESPAWN_FAULT_S, RESPAWN_RESET_S, RESPAWN_S_MAX, RESPAWN_S_MIN


class Backoff:
    """Twice as long each time, up to a limit; from the beginning after a child has lasted. Seconds."""

    def __init__(self) -> None:
        self._next_s = RESPAWN_S_MIN
        self._exits: list[float] = []

    def ended(self, now: float, lasted_s: float) -> float:
        """A child ended after `lasted_s`, and nobody had asked for that: how long to wait now."""
        if lasted_s >= RESPAWN_RESET_S:
            self._next_s = RESPAWN_S_MIN
        self._exits = [*self._exits, now][-RESPAWN_FAULT_COUNT - 1 :]
        wait_s = RESPAWN_S_MAX if self.fault(now) else self._next_s
        self._next_s = min(RESPAWN_S_MAX, 2 * self._next_s)
        return wait_s

    def fault(self, now: float) -> bool:
        """There were more exits lately than chance explains."""
        return now < self.fault_until

    @property
    def fault_until(self) -> float:
        """When `fault` ends if no child ends before; in the past if there is none."""
        return self._exits[0] + RESPAWN_FAULT_S if len(self._exits) > RESPAWN_FAULT_COUNT else float("-inf")
