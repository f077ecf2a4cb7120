"""Threads of a simulated world: there are none. Their work is done in line, at a moment that the seed chooses."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import outcome
import trio
from outcome import Outcome

from tests.simulator.machine import Died, Process, current_process

_INLINE_CHANCE = 0.5  # of works that take no time: most of what disks do is done in their caches


async def run_sync(
    sync_fn: Callable[..., Any],
    *args: Any,
    thread_name: str | None = None,
    abandon_on_cancel: bool = False,
    limiter: trio.CapacityLimiter | None = None,
) -> Any:
    """In place of `trio.to_thread.run_sync`.

    The work is done all at once, some time after it was asked for and some time before its answer is there. In between,
    others run, and the process may end: before, it is never done; after, nobody hears of it.
    """
    process = current_process()
    await trio.lowlevel.checkpoint_if_cancelled()
    if process is None:  # of the world outside
        await trio.lowlevel.cancel_shielded_checkpoint()
        return sync_fn(*args)
    limiter = process.limiter if limiter is None else limiter
    work = Work(process, sync_fn, args, limiter, abandon_on_cancel)
    try:
        limiter.acquire_on_behalf_of_nowait(work)
    except trio.WouldBlock:
        await limiter.acquire_on_behalf_of(work)
    return await work.result()


def from_thread_run_sync(fn: Callable[..., Any], *args: Any, trio_token: object = None) -> Any:
    """In place of `trio.from_thread.run_sync`: threads are the loop's own."""
    return fn(*args)


def from_thread_check_cancelled() -> None:
    """In place of `trio.from_thread.check_cancelled`: a work that has begun is done at once."""


class Work:
    """One call of a function in a thread."""

    def __init__(
        self,
        process: Process,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        limiter: trio.CapacityLimiter,
        is_abandoned: bool,
    ) -> None:
        self._process = process
        self._function = function
        self._args = args
        self._limiter = limiter
        self._is_abandoned = is_abandoned
        self._task: trio.lowlevel.Task | None = None
        self._context = contextvars.copy_context()
        self._outcome: Outcome[Any] | None = None

    async def result(self) -> Any:
        """Until it is there."""
        process, machine = self._process, self._process.machine
        if not process.is_alive:  # the place in the limiter was that of a work which ended with the process
            self._limiter.release_on_behalf_of(self)
            raise Died
        if machine.rng.random() < _INLINE_CHANCE and not self._is_abandoned:
            try:
                await trio.lowlevel.cancel_shielded_checkpoint()
                process.check()
                self._outcome = self._context.run(outcome.capture, self._function, *self._args)
                await trio.lowlevel.cancel_shielded_checkpoint()
                process.check()
                return self._outcome.unwrap()
            finally:
                self._limiter.release_on_behalf_of(self)
        process.works[self] = None
        machine.world.agenda.after(self._pause_s(), self._do)
        self._task = trio.lowlevel.current_task()
        return await trio.lowlevel.wait_task_rescheduled(self._abort)

    def wake(self, result: Outcome[Any]) -> None:
        """Whoever waits gets this."""
        self._limiter.release_on_behalf_of(self)
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task, result)

    def _pause_s(self) -> float:
        machine = self._process.machine
        return machine.rng.expovariate(1 / machine.thread_s) if machine.thread_s else 0.0

    def _do(self) -> None:
        if self not in self._process.works:
            return
        self._outcome = self._context.run(outcome.capture, self._function, *self._args)
        self._process.machine.world.agenda.after(self._pause_s(), self._done)

    def _done(self) -> None:
        if self in self._process.works:
            del self._process.works[self]
            assert self._outcome is not None
            self.wake(self._outcome)

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        if not self._is_abandoned:
            return trio.lowlevel.Abort.FAILED
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
