"""What befalls a disk in memory: crashes and faults, by count or by chance."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

CRASH = -1  # beside the numbers of errors


class PowerCut(BaseException):
    """The process is gone. Not an Exception: nothing may catch it and carry on."""


class DiskFaults:
    """Counts operations, and says what is to befall each.

    Attributes:
        rng: chooses what fails.
        operations: how many there were.
        full: writes fail with ENOSPC.
        failing: the chance (0 to 1) that a write, read or sync fails with EIO. A file whose sync failed is not made
            durable by a later one that goes well, as under Linux.
        lost_writes: the chance that a sync says it went well and did nothing. Stores cannot survive this: they must
            notice it.
        lies: how many syncs did that.
        unread: what this process could not read, for EIO.
        seen: called with the name of each operation and its path, for a trace.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.operations = 0
        self.full = False
        self.failing = 0.0
        self.lost_writes = 0.0
        self.lies = 0
        self.unread: set[Path] = set()
        self.seen: Callable[[str, Path], None] | None = None
        self._is_dead = False
        self._crash_at = 0
        self._fail_at: dict[int, int] = {}  # operation -> number of the error

    # --- what is to come ---

    def crash_after(self, count: int) -> None:
        """The `count`-th operation from now (1: the next) raises PowerCut, and so does everything after it.

        That operation does nothing, but for a write, which leaves a part of its file.
        """
        self._crash_at = self.operations + count

    def fail_after(self, count: int, error_number: int) -> None:
        """The `count`-th operation from now (1: the next) fails, that one alone."""
        self._fail_at[self.operations + count] = error_number

    def heal(self) -> None:
        """Faults end, and none is to come."""
        self.full = False
        self.failing = self.lost_writes = 0.0
        self._fail_at.clear()
        self._crash_at = 0

    # --- the process ---

    def halt(self) -> None:
        """The process is gone in this instant: everything raises PowerCut until `revive`."""
        self._is_dead = True

    def revive(self) -> None:
        """The next process may begin."""
        self.unread.clear()
        self._is_dead = False
        self._crash_at = 0

    @property
    def is_dead(self) -> bool:
        """Whether the process is gone: by `halt`, or by the operation that `crash_after` named."""
        return self._is_dead

    def alive(self) -> None:
        """Goes first in whatever a process may do.

        Raises:
            PowerCut
        """
        if self._is_dead:
            raise PowerCut

    # --- what befalls ---

    def step(self, name: str, path: Path) -> int:
        """Counts an operation that is about to be done.

        Returns:
            What is to befall it: CRASH, the number of an error, or 0 for nothing. See `check`.
        """
        self.operations += 1
        if self.seen is not None:
            self.seen(name, path)
        if self.operations == self._crash_at:
            self._is_dead = True
            return CRASH
        if self._fail_at and self.operations in self._fail_at:
            return self._fail_at.pop(self.operations)
        return errno.EIO if name in {"write", "sync"} and self.fails() else 0

    def fails(self) -> bool:
        """Whether one of the rate `failing` fails."""
        return self.failing > 0 and self.rng.random() < self.failing

    def lie(self) -> bool:
        """Whether a sync is to do nothing and say nothing."""
        lies = self.lost_writes > 0 and self.rng.random() < self.lost_writes
        self.lies += lies
        return lies


def check(fault: int, path: Path) -> None:
    """
    Raises:
        PowerCut: for CRASH.
        OSError: for the number of an error.
    """
    if fault == CRASH:
        raise PowerCut
    if fault:
        raise os_error(fault, path)


def os_error(number: int, path: Path) -> OSError:
    """Of the class that goes with the number."""
    return OSError(number, os.strerror(number), str(path))
