"""How long to wait before something that ended is started again."""

from __future__ import annotations

from edged.limits import CHILD_BACKOFF_RESET_S, CHILD_BACKOFF_S_MAX, CHILD_BACKOFF_S_MIN


class Backoff:
    """Twice as long each time, up to a limit; from the beginning after it lasted for `reset_s`. Seconds."""

    def __init__(
        self,
        shortest_s: float = CHILD_BACKOFF_S_MIN,
        longest_s: float = CHILD_BACKOFF_S_MAX,
        reset_s: float = CHILD_BACKOFF_RESET_S,
    ) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._reset_s = reset_s
        self._next_s = shortest_s

    def ended(self, lasted_s: float) -> float:
        """It ended after `lasted_s`: how long to wait now."""
        if lasted_s >= self._reset_s:
            self._next_s = self._shortest_s
        wait_s = self._next_s
        self._next_s = min(self._longest_s, 2 * wait_s)
        return wait_s
