"""Work on a disk that is cut off at each of its operations in turn, in each way in which a process can end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from tests.simulator.memory_disk import MemoryDisk, PowerCut

T = TypeVar("T")
U = TypeVar("U")


def crashes(
    before: Callable[[MemoryDisk], T], work: Callable[[T, Callable[[U], None]], None], *, power_cuts: int = 4
) -> Iterator[tuple[MemoryDisk, list[U]]]:
    """Does work over and over, each time on a new disk and with an end at a later operation, until it is done.

    Args:
        before: prepares the disk, opens what the work needs.
        work: tells, when something is promised, what; the promise counts from that moment.
        power_cuts: of different luck, for each operation.

    Yields:
        A disk with which the next process begins, and what had been promised. After a kill -9 and after power cuts; the
        last ones right after all the work.
    """
    for at in range(1, 100_000):
        for luck in range(-1, power_cuts):
            disk = MemoryDisk(random.Random(at))
            subject = before(disk)
            disk.crash_after(at)
            promised: list[U] = []
            with suppress(PowerCut):
                work(subject, promised.append)
            is_done = not disk.is_dead
            if luck < 0:
                disk.process_killed()
            else:
                disk.power_cut(random.Random(luck))
            yield disk, promised
        if is_done:
            return


def failures(
    before: Callable[[MemoryDisk], T], work: Callable[[T], None], error_number: int
) -> Iterator[tuple[MemoryDisk, T, Exception | None]]:
    """Does work over and over, each time on a new disk of which a later operation fails, until none does.

    Yields:
        The disk, what `before` returned, and what the work raised: None the last time, when nothing failed, and where
        an operation failed that the work can do without.
    """
    for at in range(1, 100_000):
        disk = MemoryDisk(random.Random(at))
        subject = before(disk)
        begun = disk.operations
        disk.fail_after(at, error_number)
        raised: Exception | None = None
        try:
            work(subject)
        except Exception as error:
            raised = error
        is_done = disk.operations - begun < at
        disk.heal()
        yield disk, subject, raised
        if is_done:
            return
