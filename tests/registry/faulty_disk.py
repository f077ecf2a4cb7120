"""A disk that fails, or loses its power, at a step of the test's choice.

It works on real files, and remembers what a power cut would still take: the bytes of files that were never synced, and
names that were given or taken in folders not synced since. `lose_power` takes a random part of that.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from registry.disk import Disk


class PowerCut(BaseException):
    """Not an Exception: nothing may catch it and carry on."""


class FaultyDisk(Disk):
    """Counts steps; fails at the one that `fail_after` names."""

    def __init__(self) -> None:
        self.steps = 0
        self.dead = False
        self._at = -1
        self._errno: int | None = None
        self._guard = threading.RLock()  # one step at a time
        self._unsynced: set[Path] = set()
        self._links: list[list[Path]] = []
        # Folders either of whose syncs settles a change, and how to take it back until then.
        self._undo: list[tuple[set[Path], Callable[[], None]]] = []

    def fail_after(self, steps: int, error_number: int | None = None) -> None:
        """After so many more steps the power fails, or one step with that error; -1: never."""
        self._at = self.steps + steps if steps >= 0 else -1
        self._errno = error_number

    def _step(self, tear: Callable[[], None] = lambda: None) -> None:
        if self.dead:
            raise PowerCut
        self.steps += 1
        if self.steps - 1 == self._at:
            tear()
            if self._errno is not None:
                raise OSError(self._errno, os.strerror(self._errno))
            self.dead = True
            raise PowerCut

    def write(self, path: Path, pieces: Iterable[bytes], mode: int = 0o444) -> None:
        data = b"".join(pieces)
        with self._guard:
            self._step(lambda: super(FaultyDisk, self).write(path, [data[: len(data) // 2]], mode))
            super().write(path, [data], mode)
            self._unsynced.add(path)
            self._undo.append(({path.parent}, lambda: path.unlink(missing_ok=True)))

    def sync(self, path: Path) -> None:
        with self._guard:
            self._step()
            self._unsynced.discard(path)

    def sync_folder(self, path: Path) -> None:
        with self._guard:
            self._step()
            self._undo = [(folders, undo) for folders, undo in self._undo if path not in folders]

    def rename(self, old: Path, new: Path) -> None:
        with self._guard:
            self._step()
            # Only what was synced may be given its name: a torn file under a good name is what all this is about.
            torn = old in self._unsynced
            super().rename(old, new)
            self._unsynced.discard(old)
            if torn:
                self._unsynced.add(new)
            for name in self._links:
                if name[0].is_relative_to(old):
                    name[0] = new / name[0].relative_to(old)
            # A rename is in the journal as one step: either folder's sync settles it.
            self._undo.append(({old.parent, new.parent}, lambda: new.exists() and os.rename(new, old)))  # type: ignore[func-returns-value]

    def link(self, old: Path, new: Path) -> None:
        with self._guard:
            self._step()
            super().link(old, new)
            name = [new]  # as it is called by the time the power fails
            self._links.append(name)
            self._undo.append(({new.parent}, lambda: name[0].unlink(missing_ok=True)))

    def unlink(self, path: Path) -> None:
        with self._guard:
            self._step()
            super().unlink(path)

    def touch(self, path: Path, now: float | None = None) -> None:
        with self._guard:
            if self.dead:
                raise PowerCut
            super().touch(path, now)

    def lose_power(self, chance: random.Random) -> None:
        """What the disk has when the power is back: of what was not synced, some is gone and some is torn."""
        with self._guard:
            for path in self._unsynced:
                if path.exists():
                    path.chmod(0o644)
                    os.truncate(path, chance.randint(0, path.stat().st_size))
            # Later first: what is taken back must not stand in another's way. A journal loses its tail, not its middle.
            for _, undo in reversed(self._undo[chance.randint(0, len(self._undo)) :]):
                undo()
            self._unsynced.clear()
            self._undo.clear()


FULL = errno.ENOSPC
BROKEN = errno.EIO
