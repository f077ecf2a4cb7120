"""Whether this node is of any use to anybody, for systemd's watchdog.

It is not where no worker has reported for so long that each was killed and started again several times, or where the
loop comes to its tasks far too late. A start anew may help then, and cannot make it worse.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from edged.limits import HEALTH_LOOK_S, LOOP_LAG_S_MAX, WORKERS_SILENCE_S_MAX

log = structlog.get_logger()


class Health:
    """See the module.

    Args:
        heard_at: when a worker last reported, or the pool was started, on trio's clock.
        is_stopping: workers may be gone then.
    """

    def __init__(self, heard_at: Callable[[], float], is_stopping: Callable[[], bool]) -> None:
        self._heard_at = heard_at
        self._is_stopping = is_stopping
        self._lag_s = 0.0
        self._problem = ""

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            due = trio.current_time() + HEALTH_LOOK_S
            await trio.sleep_until(due)
            self.look(trio.current_time() - due)

    def look(self, lag_s: float) -> None:
        """How it is now.

        Args:
            lag_s: how late the loop came to this.
        """
        self._lag_s = lag_s
        problem = self._now()
        if problem and problem != self._problem:
            log.error("node.unhealthy", problem=problem)
        self._problem = problem

    @property
    def lag_s(self) -> float:
        """How late the loop came to the last look, s."""
        return self._lag_s

    def __call__(self) -> bool:
        """For `Notifier.watch`."""
        return not self._now()

    def _now(self) -> str:
        if self._lag_s > LOOP_LAG_S_MAX:
            return "the loop lags"
        silent = trio.current_time() - self._heard_at() > WORKERS_SILENCE_S_MAX
        return "no worker reports" if silent and not self._is_stopping() else ""
