"""A disk in memory that keeps no more than POSIX promises: the disk of one simulated machine.

It outlives the node's process. What a process wrote is there for the next one; what was not made durable is, after a
power cut, there or not:

- The bytes of a file that was not synced: none, all, a part, or some of its blocks as zeros.
- The names given and taken in a folder since it was synced: the first so many of them, in their order. Of each folder
  apart, but a rename from one folder to another happens whole or not at all, and is durable when either is synced.
- The time of change of a file, if it was not synced since.

Nothing is durable by the way: neither a file's name by a sync of its bytes, nor a folder by a sync of what is in it.

Not thread-safe: `writers` runs everything in line, and so must the simulator's threads. Same operations and same seed,
same disk: nothing depends on hashes, or on a clock but for times of change (`time.time`, which the simulator replaces).
"""

from __future__ import annotations

import errno
import os
import random
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from registry.disk import BLOCK_BYTES, Disk, Status, blocks_of
from tests.simulator.disk_faults import DiskFaults, PowerCut, check, os_error
from tests.simulator.inline_executor import InlineExecutor
from tests.simulator.journal import File, Folder, Journal, Node

__all__ = ["MemoryDisk", "MemoryStatus", "PowerCut"]

_NAME_BYTES_MAX = 255  # as ext4, XFS, Btrfs and tmpfs have it
_NAME_LENGTH_SURE = _NAME_BYTES_MAX // 4  # characters that are no more bytes than that
_LINK_COUNT_MAX = 65_000  # as ext4 has it
_UNSYNCED_COUNT_MAX = 4_096  # then the kernel writes back by itself


class MemoryStatus(NamedTuple):
    """Attributes of a file or folder at one moment: a `registry.disk.Status`."""

    st_mode: int
    st_ino: int
    st_nlink: int
    st_size: int
    st_mtime: float
    st_ctime_ns: int


class MemoryDisk(DiskFaults, Disk):
    """See the module.

    An operation is what changes the disk or makes it durable: write, sync, touch, rename, link, unlink, make_folder,
    remove_folder. Looking and reading is none, but raises PowerCut likewise where the process is gone.

    Attributes:
        bytes_max: of all files together, in whole blocks; past it writes fail with ENOSPC.
    """

    def __init__(self, rng: random.Random | None = None, *, bytes_max: int = 1 << 40) -> None:
        """An empty disk: the folder / alone.

        Args:
            rng: chooses where writes are torn and what fails; `power_cut` and `rot` have their own.
        """
        super().__init__(random.Random(0) if rng is None else rng)
        self.bytes_max = bytes_max
        self._used_bytes = 0
        self._node_count = 1
        self._root = Folder(1, stat.S_IFDIR | 0o755, time.time())
        self._journal = Journal()
        self._unsynced: dict[File, None] = {}  # in an order that does not depend on hashes
        self._touched: dict[Node, float] = {}  # -> the time that a power cut may bring back
        self._held: set[Path] = set()

    # --- what befalls it ---

    def process_killed(self) -> None:
        """The next process may begin after a kill -9: nothing is lost, half-written files stay, locks are free."""
        self.revive()
        self._held.clear()

    def power_cut(self, rng: random.Random) -> None:
        """The next process may begin after a power cut: of what was not durable, some is gone and some is torn."""
        self.process_killed()
        self._journal.lose(rng)
        for file in self._unsynced:
            file.data = _torn(file.data, rng)
            file.is_lost = False
        for node, former in self._touched.items():
            if rng.random() < 0.5:
                node.mtime = former
        self._unsynced.clear()
        self._touched.clear()
        self._recount()

    def rot(self, rng: random.Random, below: Path = Path("/")) -> Path | None:
        """Turns one bit of a durable file around.

        Returns:
            The file, by one of its names; None if there is none that has a byte.
        """
        found = [
            (path, node)
            for path, node in self._below(below)
            if isinstance(node, File) and node.data and node not in self._unsynced
        ]
        if not found:
            return None
        path, file = rng.choice(found)
        at = rng.randrange(len(file.data))
        file.data = file.data[:at] + bytes([file.data[at] ^ 1 << rng.randrange(8)]) + file.data[at + 1 :]
        return path

    def spoil(self, path: Path) -> None:
        """From now on this file, by whatever name, cannot be read: EIO."""
        node = self._find(path)
        assert isinstance(node, File)
        node.is_bad = True

    # --- what is on it, for invariants: also while the process is gone ---

    @property
    def used_bytes(self) -> int:
        """Of all files, in whole blocks."""
        return self._used_bytes

    def files(self, below: Path = Path("/")) -> dict[Path, bytes]:
        """Every file in a folder, as a process would see it; none where there is no such folder."""
        return {path: node.data for path, node in self._below(below) if isinstance(node, File)}

    # --- files ---

    def write(self, path: Path, pieces: Iterable[bytes], mode: int = 0o444) -> None:
        """As Disk has it."""
        folder, name = self._place(path)
        if name in folder.names:
            raise os_error(errno.EEXIST, path)
        gathered = list(pieces)  # may fail, or use this disk
        data = gathered[0] if len(gathered) == 1 else b"".join(gathered)
        fault = self.step("write", path)
        room = 0 if self.full else max(0, self.bytes_max - self._used_bytes)
        if not fault and blocks_of(len(data)) > room:
            fault = errno.ENOSPC
        if fault:
            data = data[: self.rng.randint(0, min(len(data), room))]
        file = File(self._new_number(), stat.S_IFREG | mode, bytes(data), time.time())
        self._used_bytes += blocks_of(len(file.data))
        self._unsynced[file] = None
        if len(self._unsynced) > _UNSYNCED_COUNT_MAX:
            del self._unsynced[next(iter(self._unsynced))]
        self._give(folder, name, file)
        check(fault, path)

    def read(self, path: Path, bytes_max: int) -> bytes:
        """As Disk has it."""
        node = self._living(path)
        if isinstance(node, Folder):
            raise os_error(errno.EISDIR, path)
        if node.is_bad or self.fails():
            self.unread.add(path)
            raise os_error(errno.EIO, path)
        return node.data if len(node.data) <= bytes_max else node.data[: bytes_max + 1]

    def read_pieces(self, path: Path, bytes_max: int) -> Iterator[bytes]:
        """As Disk has it: in one piece."""
        if data := self.read(path, bytes_max):
            yield data

    def sync(self, path: Path) -> None:
        """As Disk has it."""
        node = self._living(path)
        fault = self.step("sync", path)
        if fault == errno.EIO and isinstance(node, File):
            node.is_lost = True
        check(fault, path)
        if self.lie() or (isinstance(node, File) and node.is_lost):
            return
        if isinstance(node, Folder):
            self._journal.settle(node)
        else:
            self._unsynced.pop(node, None)
            self._touched.pop(node, None)

    def touch(self, path: Path, now: float | None = None) -> None:
        """As Disk has it."""
        node = self._living(path)
        check(self.step("touch", path), path)
        self._touched.setdefault(node, node.mtime)
        node.mtime = time.time() if now is None else now
        node.ctime_ns = int(time.time() * 1e9)

    # --- names ---

    def rename(self, old: Path, new: Path) -> None:
        """As Disk has it."""
        (old_folder, old_name), (new_folder, new_name) = self._place(old), self._place(new)
        node, there = self._living(old), new_folder.names.get(new_name)
        if there is node:
            return
        if old.is_relative_to(new):
            raise os_error(errno.ENOTEMPTY, new)
        if isinstance(node, Folder):
            if new.is_relative_to(old):
                raise os_error(errno.EINVAL, new)
            if isinstance(there, File):
                raise os_error(errno.ENOTDIR, new)
        elif isinstance(there, Folder):
            raise os_error(errno.EISDIR, new)
        if isinstance(there, Folder) and there.names:
            raise os_error(errno.ENOTEMPTY, new)
        check(self.step("rename", new), new)
        if isinstance(there, File):
            self._unname(there)
        node.ctime_ns = int(time.time() * 1e9)
        self._journal.add((old_folder, old_name, None), (new_folder, new_name, node))

    def link(self, old: Path, new: Path) -> None:
        """As Disk has it."""
        node = self._living(old)
        folder, name = self._place(new)
        if name in folder.names:
            raise os_error(errno.EEXIST, new)
        if isinstance(node, Folder):
            raise os_error(errno.EPERM, old)
        if node.links >= _LINK_COUNT_MAX:
            raise os_error(errno.EMLINK, new)
        check(self.step("link", new), new)
        self._give(folder, name, node)

    def unlink(self, path: Path) -> None:
        """As Disk has it."""
        node = self._living(path)
        if isinstance(node, Folder):
            raise os_error(errno.EISDIR, path)
        check(self.step("unlink", path), path)
        folder, name = self._place(path)
        self._journal.add((folder, name, None))
        self._unname(node)

    # --- folders ---

    def make_folder(self, path: Path, mode: int = 0o700) -> None:
        """As Disk has it."""
        folder, name = self._place(path)
        there = folder.names.get(name)
        if isinstance(there, Folder):
            return
        if there is not None:
            raise os_error(errno.EEXIST, path)
        check(self.step("make_folder", path) or (errno.ENOSPC if self.full else 0), path)
        self._journal.add((folder, name, Folder(self._new_number(), stat.S_IFDIR | mode, time.time())))

    def remove_tree(self, path: Path) -> None:
        """As Disk has it; an operation for each file and folder."""
        for name, node in list(self._folder(path).names.items()):
            if isinstance(node, Folder):
                self.remove_tree(path / name)
            else:
                self.unlink(path / name)
        check(self.step("remove_folder", path), path)
        folder, name = self._place(path)
        self._journal.add((folder, name, None))

    # --- looking ---

    def status(self, path: Path) -> Status:
        """As Disk has it."""
        return _status(self._living(path))

    def is_folder(self, path: Path) -> bool:
        """As Disk has it."""
        return self.exists(path) and isinstance(self._living(path), Folder)

    def names(self, folder: Path) -> list[str]:
        """As Disk has it, in the order in which they were given."""
        return list(self._folder(folder).names)

    def entries(self, folder: Path) -> list[tuple[str, Status]]:
        """As Disk has it, in the order in which they were given."""
        return [(name, _status(node)) for name, node in self._folder(folder).names.items()]

    def free_bytes(self, path: Path) -> int:
        """As Disk has it."""
        self._living(path)
        return 0 if self.full else max(0, self.bytes_max - self._used_bytes)

    # --- at the same time ---

    def lock(self, path: Path) -> AbstractContextManager[None]:
        """As Disk has it. Where a real one would wait for ever, this fails an assertion."""
        if not self.exists(path):
            self.write(path, [], 0o600)
        return _Lock(self, path)

    def take(self, path: Path) -> None:
        """For the lock alone."""
        self.alive()
        assert path not in self._held, f"{path} is held: this would wait for ever"
        self._held.add(path)

    def let_go(self, path: Path) -> None:
        """For the lock alone."""
        self._held.discard(path)

    def writers(self, name: str) -> Executor:
        """As Disk has it, without threads."""
        return InlineExecutor()

    # --- inside ---

    def _find(self, path: Path) -> Node:
        assert path.root, f"{path} is not absolute"
        return self._walk_to(path, path.parts[1:])

    def _walk_to(self, path: Path, parts: tuple[str, ...]) -> Node:
        node: Node = self._root
        for name in parts:
            if isinstance(node, File):
                raise os_error(errno.ENOTDIR, path)
            found = node.names.get(name)
            if found is None:
                raise os_error(errno.ENOENT, path)
            node = found
        return node

    def _living(self, path: Path) -> Node:
        self.alive()
        return self._find(path)

    def _folder(self, path: Path) -> Folder:
        node = self._living(path)
        if isinstance(node, File):
            raise os_error(errno.ENOTDIR, path)
        return node

    def _place(self, path: Path) -> tuple[Folder, str]:
        """Where a name is or would be."""
        self.alive()
        *above, name = path.parts[1:] or ("",)
        folder = self._walk_to(path, tuple(above))
        if isinstance(folder, File):
            raise os_error(errno.ENOTDIR, path)
        if len(name) > _NAME_LENGTH_SURE and len(os.fsencode(name)) > _NAME_BYTES_MAX:
            raise os_error(errno.ENAMETOOLONG, path)
        return folder, name

    def _new_number(self) -> int:
        self._node_count += 1
        return self._node_count

    def _give(self, folder: Folder, name: str, file: File) -> None:
        file.links += 1
        self._journal.add((folder, name, file))

    def _unname(self, file: File) -> None:
        file.links -= 1
        if not file.links:
            self._used_bytes -= blocks_of(len(file.data))  # but a power cut may bring it back

    def _recount(self) -> None:
        """Links and bytes, of what is still there."""
        files = [node for _, node in self._walk(Path("/"), self._root) if isinstance(node, File)]
        for file in files:
            file.links = 0
        self._used_bytes = 0
        for file in files:
            self._used_bytes += 0 if file.links else blocks_of(len(file.data))
            file.links += 1

    def _below(self, path: Path) -> Iterator[tuple[Path, Node]]:
        try:
            node = self._find(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        yield from self._walk(path, node)

    def _walk(self, path: Path, node: Node) -> Iterator[tuple[Path, Node]]:
        yield path, node
        if isinstance(node, Folder):
            for name, child in node.names.items():
                yield from self._walk(path / name, child)


class _Lock:
    def __init__(self, disk: MemoryDisk, path: Path) -> None:
        self._disk = disk
        self._path = path

    def __enter__(self) -> None:
        self._disk.take(self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disk.let_go(self._path)


def _status(node: Node) -> MemoryStatus:
    links, size = (node.links, len(node.data)) if isinstance(node, File) else (2, BLOCK_BYTES)
    return MemoryStatus(node.mode, node.number, links, size, node.mtime, node.ctime_ns)


def _torn(data: bytes, rng: random.Random) -> bytes:
    match rng.randrange(4):
        case 0:
            return b""
        case 1:
            return data
        case 2:
            return data[: rng.randint(0, len(data))]
        case _:  # it has its size, but not all of its blocks were written
            blocks = [data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES)]
            return b"".join(block if rng.random() < 0.5 else bytes(len(block)) for block in blocks)
