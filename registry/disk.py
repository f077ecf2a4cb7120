"""All that the registry, and a node's other stores, do to a disk: the seam through which tests make one fail.

All methods raise OSError. `faults` is where that becomes an error of ours.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from registry.errors import DiskFull, StoreFailed
from registry.folder_lock import FolderLock
from registry.limits import WRITER_COUNT_MAX

BLOCK_BYTES = 4096  # what a file takes at least, and in multiples of, on the file systems of servers
UNREADABLE = frozenset({errno.EIO, errno.ELOOP, errno.EISDIR})
"""Errors of a read that are the file's own: a bad sector, or something else in its place. Others may be read."""

_PIECE_BYTES = 1024 * 1024  # read at once of a file that is not wanted whole


class Status(Protocol):
    """What is asked of a file's attributes. An `os.stat_result` is one."""

    @property
    def st_mode(self) -> int: ...
    @property
    def st_ino(self) -> int: ...
    @property
    def st_nlink(self) -> int: ...
    @property
    def st_size(self) -> int: ...
    @property
    def st_mtime(self) -> float: ...
    @property
    def st_ctime_ns(self) -> int: ...


class Disk:
    """Files of a real disk. Nothing is durable before `sync` of the file and `sync_folder` of its folder."""

    # --- files ---

    def write(self, path: Path, pieces: Iterable[bytes], mode: int = 0o444) -> None:
        """A new file, which its owner may read."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, mode), "wb", buffering=0) as file:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[file.write(rest) :]

    def read(self, path: Path, bytes_max: int) -> bytes:
        """A whole file, or its first `bytes_max` + 1 bytes if it has more. Follows no links, waits for no pipe."""
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            pieces, rest = [], bytes_max + 1
            while rest and (piece := file.read(rest)):
                pieces.append(piece)
                rest -= len(piece)
            return b"".join(pieces)

    def read_pieces(self, path: Path, bytes_max: int) -> Iterator[bytes]:
        """Like `read`, a piece at a time, for files that are too long for memory."""
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            rest = bytes_max + 1
            while rest and (piece := file.read(min(rest, _PIECE_BYTES))):
                yield piece
                rest -= len(piece)

    def sync(self, path: Path) -> None:
        """Makes the bytes of a file, or the names in a folder, durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def touch(self, path: Path, now: float | None = None) -> None:
        """Sets a file's time of change, by the wall clock if `now` (s) is not given."""
        os.utime(path, None if now is None else (now, now), follow_symlinks=False)

    # --- names ---

    def rename(self, old: Path, new: Path) -> None:
        """Gives a file or folder another name, in place of what had it."""
        os.rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        """Gives a file one more name."""
        os.link(old, new, follow_symlinks=False)

    def unlink(self, path: Path) -> None:
        """Takes a name of a file away."""
        os.unlink(path)

    # --- folders ---

    def make_folder(self, path: Path, mode: int = 0o700) -> None:
        """A folder, that only this user enters where nothing else is said, unless it is there."""
        path.mkdir(mode=mode, exist_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Removes a folder with all that is in it. May be cut off in the middle: rename it out of the way before."""
        shutil.rmtree(path)

    def sync_folder(self, path: Path) -> None:
        """Makes the names in a folder durable."""
        self.sync(path)

    # --- looking ---

    def status(self, path: Path) -> Status:
        """Attributes of what has this name, of a link itself."""
        return os.lstat(path)

    def exists(self, path: Path) -> bool:
        """Whether anything has this name."""
        try:
            self.status(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def is_folder(self, path: Path) -> bool:
        """Whether there is a folder, or a link to one. An operator may have put some of them elsewhere."""
        return path.is_dir()

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, in no order."""
        return os.listdir(folder)

    def entries(self, folder: Path) -> list[tuple[str, Status]]:
        """The names in a folder with attributes, in no order; what goes meanwhile is left out."""
        found: list[tuple[str, Status]] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # another process's, gone meanwhile
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
        return found

    def free_bytes(self, path: Path) -> int:
        """What this user may still write on the disk of a folder."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize

    # --- at the same time ---

    def lock(self, path: Path) -> AbstractContextManager[None]:
        """One thread of one process at a time, by a file that is made if need be. Not for entering twice."""
        return FolderLock(path)

    def writers(self, name: str) -> Executor:
        """WRITER_COUNT_MAX threads for work that waits for the disk. A context: at its end all work is done."""
        return ThreadPoolExecutor(WRITER_COUNT_MAX, name)


@contextmanager
def faults(what: str) -> Iterator[None]:
    """Turns OSError into DiskFull or StoreFailed, whose message starts with `what`.

    Raises:
        DiskFull: ENOSPC, EDQUOT.
        StoreFailed: any other.
    """
    try:
        yield
    except OSError as error:
        message = f"{what}: {error.strerror or error}"
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(message) from error
        raise StoreFailed(message) from error


def disk_bytes(status: Status) -> int:
    """What a file takes of a disk: whole blocks."""
    return blocks_of(status.st_size)


def blocks_of(size: int) -> int:
    """What so many bytes take of a disk: whole blocks, and one for an empty file's sake."""
    return max(1, -(-size // BLOCK_BYTES)) * BLOCK_BYTES


def temporary(folder: Path) -> Path:
    """A name that no other process or thread has in mind."""
    return folder / secrets.token_hex(16)


def make_folders(disk: Disk, root: Path, names: Iterable[str]) -> None:
    """A folder and those in it, durable; what is there already may have been made just before a power cut, or by a try
    that failed.

    Raises:
        OSError: the disk's.
    """
    missing = [folder for folder in root.parents if not disk.is_folder(folder)]
    for folder in (*reversed(missing), root):
        disk.make_folder(folder)
        disk.sync_folder(folder.parent)
    for name in names:
        disk.make_folder(root / name)
    disk.sync_folder(root)


def regular_files(disk: Disk, folder: Path) -> list[tuple[str, Status]]:
    """Names and attributes of the regular files of a folder; links, folders and devices are nobody's.

    Raises:
        OSError: the disk's.
    """
    return [(name, status) for name, status in disk.entries(folder) if stat.S_ISREG(status.st_mode)]
