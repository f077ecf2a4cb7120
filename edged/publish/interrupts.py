"""Ctrl-C, counted: the first asks to stop, the second insists."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from edged.nursery import plain_errors


class Interrupts:
    """How often it was asked to stop."""

    def __init__(self) -> None:
        self.first = trio.Event()
        self.second = trio.Event()

    def add(self) -> None:
        """It is asked, once more."""
        (self.second if self.first.is_set() else self.first).set()

    async def receive(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Count SIGINT and SIGTERM until cancelled."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                self.add()


@asynccontextmanager
async def until(event: trio.Event) -> AsyncIterator[None]:
    """Around work that ends, as if cancelled, when an event happens."""
    with plain_errors():
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            if event.is_set():
                nursery.cancel_scope.cancel()  # now, and not when the task below has its turn
            nursery.start_soon(watch)
            yield
            nursery.cancel_scope.cancel()
