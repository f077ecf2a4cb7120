"""Names given and taken in folders of a disk in memory, and which of them a power cut takes back. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

_UNSETTLED_COUNT_MAX = 4_096  # then the kernel writes back by itself


class File:
    """An inode with bytes.

    Attributes:
        links: how many names it has.
        is_bad: it lies on a bad sector: it can be given other names, but not be read.
        is_lost: a sync of it failed: the kernel took its pages for clean, and no later sync writes them.
    """

    __slots__ = ("ctime_ns", "data", "is_bad", "is_lost", "links", "mode", "mtime", "number")

    def __init__(self, number: int, mode: int, data: bytes, now: float) -> None:
        self.number = number
        self.mode = mode
        self.data = data
        self.links = 0
        self.mtime = now
        self.ctime_ns = int(now * 1e9)
        self.is_lost = False
        self.is_bad = False


class Folder:
    """An inode with names.

    Attributes:
        names: as everybody sees them.
        durable: as they are after a power cut that takes all it may.
        pending: what lies between, oldest first.
    """

    __slots__ = ("ctime_ns", "durable", "mode", "mtime", "names", "number", "pending")

    def __init__(self, number: int, mode: int, now: float) -> None:
        self.number = number
        self.mode = mode
        self.mtime = now
        self.ctime_ns = int(now * 1e9)
        self.names: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}
        self.pending: list[Change] = []


Node = File | Folder


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One step of a file system.

    Attributes:
        number: later ones have higher ones.
        halves: folder, name, and what has the name from now on; None for nobody. A rename has two.
    """

    number: int
    halves: tuple[tuple[Folder, str, Node | None], ...]

    def settle(self) -> None:
        """It is durable now."""
        for folder, name, node in self.halves:
            if node is None:
                folder.durable.pop(name, None)
            else:
                folder.durable[name] = node


class Journal:
    """The changes of a disk that are not durable yet. Each folder's stay in order."""

    def __init__(self) -> None:
        self._count = 0
        self._unsettled: dict[Folder, None] = {}  # in an order that does not depend on hashes
        self._pending_count = 0

    def add(self, *halves: tuple[Folder, str, Node | None]) -> None:
        """Names are given and taken: seen at once, durable later."""
        self._count += 1
        change = Change(self._count, halves)
        for folder, name, node in halves:
            if node is None:
                folder.names.pop(name, None)
            else:
                folder.names[name] = node
        for folder in {half[0].number: half[0] for half in halves}.values():
            folder.pending.append(change)
            self._unsettled[folder] = None
            self._pending_count += 1
        if self._pending_count > _UNSETTLED_COUNT_MAX:
            for folder in list(self._unsettled):
                self.settle(folder)

    def settle(self, folder: Folder) -> None:
        """All changes of a folder are durable; so are those of others that one of them has for its other half, and
        what was before these."""
        until: dict[Folder, int] = {}
        chosen: dict[int, Change] = {}
        todo = [(folder, self._count)]
        while todo:
            at, number = todo.pop()
            if number <= until.get(at, 0):
                continue
            until[at] = number
            for change in at.pending:
                if change.number > number:
                    break
                if change.number not in chosen:
                    chosen[change.number] = change
                    todo += [(other, change.number) for other, _, _ in change.halves if other is not at]
        for number in sorted(chosen):
            chosen[number].settle()
        for at in until:
            self._keep(at, [change for change in at.pending if change.number not in chosen])

    def lose(self, rng: random.Random) -> None:
        """A power cut: of each folder's changes the first so many are kept, of those with two halves both or none."""
        first_lost: dict[Folder, int] = {}
        for folder in self._unsettled:
            kept = rng.randint(0, len(folder.pending))
            first_lost[folder] = folder.pending[kept].number if kept < len(folder.pending) else self._count + 1
        changes = {change.number: change for folder in self._unsettled for change in folder.pending}
        for number in sorted(changes):
            folders = [half[0] for half in changes[number].halves]
            if all(number < first_lost[folder] for folder in folders):
                changes[number].settle()
            else:
                first_lost |= {folder: min(number, first_lost[folder]) for folder in folders}
        for folder in list(self._unsettled):
            folder.names = dict(folder.durable)
            self._keep(folder, [])

    def _keep(self, folder: Folder, pending: list[Change]) -> None:
        self._pending_count -= len(folder.pending) - len(pending)
        folder.pending = pending
        if not pending:
            self._unsettled.pop(folder, None)
