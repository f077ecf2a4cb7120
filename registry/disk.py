"""The few things the registry does to a disk: the seam through which tests make one fail or lose power.

All methods raise OSError. `faults` is where that becomes an error of ours.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from registry.errors import DiskFull, StoreFailed

BLOCK_BYTES = 4096  # what a file takes at least, and in multiples of, on the file systems of servers


class Disk:
    """Files of a real disk. Nothing is durable before `sync` of the file and `sync_folder` of its folder."""

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

    def sync(self, path: Path) -> None:
        """Makes the bytes of a file, or the names in a folder, durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Makes the names in a folder durable."""
        self.sync(path)

    def rename(self, old: Path, new: Path) -> None:
        """Gives a file or folder another name, in place of what had it."""
        os.rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        """Gives a file one more name."""
        os.link(old, new, follow_symlinks=False)

    def unlink(self, path: Path) -> None:
        """Takes a name away."""
        os.unlink(path)

    def touch(self, path: Path, now: float | None = None) -> None:
        """Sets a file's time of change, by the wall clock if `now` (s) is not given."""
        os.utime(path, None if now is None else (now, now), follow_symlinks=False)

    def make_folder(self, path: Path) -> None:
        """A folder that only this user enters, unless it is there."""
        path.mkdir(mode=0o700, exist_ok=True)

    def free_bytes(self, path: Path) -> int:
        """What this user may still write on the disk of a folder."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize


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


def disk_bytes(status: os.stat_result) -> int:
    """What a file takes of a disk: whole blocks."""
    return blocks_of(status.st_size)


def blocks_of(size: int) -> int:
    """What so many bytes take of a disk: whole blocks, and one for an empty file's sake."""
    return max(1, -(-size // BLOCK_BYTES)) * BLOCK_BYTES


def temporary(folder: Path) -> Path:
    """A name that no other process or thread has in mind."""
    return folder / secrets.token_hex(16)


def make_folders(disk: Disk, root: Path, names: Iterable[str]) -> None:
    """A folder and those in it, durable; what is there already may have been made just before a power cut.

    Raises:
        OSError: the disk's.
    """
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    for folder in reversed(missing):
        disk.make_folder(folder)
        disk.sync_folder(folder.parent)
    for name in names:
        disk.make_folder(root / name)
    disk.sync_folder(root)


def regular_files(folder: Path) -> list[tuple[str, os.stat_result]]:
    """Names and attributes of the regular files of a folder; links, folders and devices are nobody's.

    Raises:
        OSError: the disk's.
    """
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another process's, gone meanwhile
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    found.append((entry.name, status))
    return found
