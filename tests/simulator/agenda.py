"""What will happen in a simulated world without any task of its own: bytes that arrive, threads that finish."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import trio

_COLLECT_EVERY = 20_000  # works; the collector is off otherwise: when it runs would depend on what ran before


class Agenda:
    """Works and their moments, on trio's clock. Works of one moment are done in the order in which they were put here.

    Attributes:
        done: how many works were.
    """

    def __init__(self) -> None:
        self.done = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._sleep: trio.CancelScope | None = None

    def at(self, moment: float, work: Callable[..., None], *args: Any) -> None:
        """Do it then, or soon if that is over."""
        self._number += 1
        heappush(self._heap, (moment, self._number, work, args))
        if self._sleep is not None and moment < self._sleep.deadline:
            self._sleep.deadline = moment

    def after(self, pause_s: float, work: Callable[..., None], *args: Any) -> None:
        """Do it when so much time has passed."""
        self.at(trio.current_time() + pause_s, work, *args)

    async def run(self) -> None:
        """Do all of it, until cancelled. What a work raises ends the world: it is a mistake of the simulator."""
        heap = self._heap
        while True:
            with trio.CancelScope(deadline=heap[0][0] if heap else math.inf) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None
            now = trio.current_time()
            while heap and heap[0][0] <= now:
                _, _, work, args = heappop(heap)
                work(*args)
                self.done += 1
                if self.done % _COLLECT_EVERY == 0:
                    gc.collect()
