"""What will happen in a simulated world without any task of its own, and the clock that passes from one to the next.

    tasks are ready ........ no time passes
    none is ................ the clock jumps to what comes first: works that are due are done, or a task's sleep ends

Trio asks its clock how long to sleep when no task is ready. This one answers not at all, and does works meanwhile, so
that bytes that arrive wake their reader in the very pass of the scheduler in which they do.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import trio
from outcome import Error
from trio._core._run import GLOBAL_RUN_CONTEXT

_COLLECT_EVERY = 20_000  # works; the collector is off otherwise: when it runs would depend on what ran before


class Agenda(trio.abc.Clock):
    """Works and their moments. Works of one moment are done in the order in which they were put here.

    Attributes:
        now: seconds since the world began.
        done: how many works were.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.done = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._watcher: trio.lowlevel.Task | None = None

    def at(self, moment: float, work: Callable[..., None], *args: Any) -> None:
        """Do it then, or soon if that is over."""
        self._number += 1
        heappush(self._heap, (moment, self._number, work, args))

    def after(self, pause_s: float, work: Callable[..., None], *args: Any) -> None:
        """Do it when so much time has passed."""
        self.at(self.now + pause_s, work, *args)

    async def run(self) -> None:
        """Until cancelled. What a work raises is raised here, and ends the world: it is a mistake of the simulator."""

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            self._watcher = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._watcher = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    # --- as clock ---

    def start_clock(self) -> None:
        """As trio has it."""

    def current_time(self) -> float:
        """As trio has it."""
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """As trio has it; no task is ready. Never: time passes until one is.

        Args:
            deadline: of the first sleep that ends.
        """
        runner = GLOBAL_RUN_CONTEXT.runner
        if runner.waiting_for_idle:
            return math.inf  # somebody waits for this very moment
        heap = self._heap
        while heap and not runner.runq:
            moment = heap[0][0]
            if deadline <= moment and deadline > self.now:
                break
            self.now = max(self.now, moment)
            while heap and heap[0][0] <= self.now:
                _, _, work, args = heappop(heap)
                self._do(work, args)
            deadline = runner.deadlines.next_deadline()
        if not runner.runq:
            if deadline == math.inf:
                return deadline  # the run ends: trio wakes a task of its own from outside
            self.now = max(self.now, deadline)
        return 0.0

    def _do(self, work: Callable[..., None], args: tuple[Any, ...]) -> None:
        try:
            work(*args)
        except Exception as error:
            watcher, self._watcher = self._watcher, None
            if watcher is None:
                raise
            trio.lowlevel.reschedule(watcher, Error(error))
        self.done += 1
        if self.done % _COLLECT_EVERY == 0:
            gc.collect()
