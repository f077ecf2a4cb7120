"""The versions of edged on a machine: a file for each, and a symbolic link to the one in use.

    /usr/local/lib/edged/edged-<sha256>   the whole file, named by the digest of its bytes
    /usr/local/bin/edged                  -> the one in use

All methods block, and each leaves things whole when it is killed anywhere: a file has its name once its bytes are on
the disk and have that digest, and the link changes by a rename. What is left of a kill begins with `.new-`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edged.errors import (
    UpgradeBusy,
    UpgradeDigestMismatch,
    UpgradeFolderError,
    UpgradeForbidden,
    UpgradeImpossible,
    UpgradeSourceUnavailable,
)
from edged.limits import UPGRADE_BINARY_BYTES_MAX, UPGRADE_CHUNK_BYTES, MiB
from provisioning.paths import NOT_HERE
from registry.disk import Disk, temporary

_name = re.compile(r"edged-([0-9a-f]{64})").fullmatch
_NEW = ".new-"
_LOCK = ".upgrade.lock"
_FOLDER_MODE = 0o755
_FILE_MODE = 0o755
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Incoming:
    """A version whose bytes are being written. Given up unless `Versions.keep` takes it.

    Attributes:
        count: bytes that were written.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._digest = hashlib.sha256()
        self.count = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, piece: bytes) -> None:
        """
        Raises:
            UpgradeSourceUnavailable: more than a version may have.
            UpgradeFolderError: the disk is full.
        """
        self.count += len(piece)
        if self.count > UPGRADE_BINARY_BYTES_MAX:
            raise UpgradeSourceUnavailable(
                f"the new version has more than {UPGRADE_BINARY_BYTES_MAX // MiB} MiB",
                remedy="Give it the one file of `make binary`.",
            )
        self._digest.update(piece)
        with _faults(self.path.parent):
            self._file.write(piece)


class Versions:
    """
    Args:
        folder: of the files.
        command: the link.
        disk: tests bring one that fails.
    """

    def __init__(self, folder: Path, command: Path, disk: Disk | None = None) -> None:
        self.folder = folder
        self.command = command
        self._disk = Disk() if disk is None else disk

    def path(self, sha256: str) -> Path:
        return self.folder / f"edged-{sha256}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While the block runs nobody else changes anything here. Given up by the kernel with the process.

        Raises:
            UpgradeForbidden: this user may not change it.
            UpgradeBusy: somebody else is at it.
            UpgradeFolderError
        """
        with _faults(self.folder):
            self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        for folder in (self.folder, self.command.parent):
            with _faults(folder):
                status = folder.stat()
            if status.st_mode & _WRITABLE_BY_OTHERS:
                raise UpgradeFolderError(
                    f"others than its owner may write to {folder}", remedy=f"Do `chmod go-w {folder}`."
                )
            if status.st_uid != os.geteuid():
                raise UpgradeForbidden(f"{folder} belongs to another user")
        with _faults(self.folder):
            lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpgradeBusy("another upgrade is under way on this machine") from None
            with _faults(self.folder):
                self._remove_left_over()
            yield
        finally:
            os.close(lock)

    def current(self) -> str | None:
        """sha256 of the one in use, by the name that the link leads to; None for none of ours.

        Raises:
            UpgradeFolderError
        """
        with _faults(self.command):
            try:
                target = Path(os.readlink(self.command))
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno == errno.EINVAL:  # a file, not a link: see `adopt`
                    return None
                raise
        found = _name(target.name)
        place = self.command.parent / target.parent
        is_ours = found is not None and _same(place, self.folder) and self.path(found[1]).is_file()
        return found[1] if found and is_ours else None

    def adopt(self) -> str | None:
        """Where the command leads to a file that is not here: keep that as well, so that there is a way back to it.

        Raises:
            UpgradeFolderError
        """
        with _faults(self.command):
            source = self.command.resolve()
            if source.name == NOT_HERE.name or not source.is_file():
                return None
        return self.copy(source)

    def copy(self, source: Path) -> str:
        """Keep the file that somebody made as a version.

        Raises:
            UpgradeFolderError
        """
        with _faults(source), source.open("rb", buffering=0) as file, self.incoming() as incoming:
            while piece := file.read(UPGRADE_CHUNK_BYTES):
                incoming.write(piece)
            return self.keep(incoming, incoming.sha256)

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A file to write a version to, removed with the block unless it was kept.

        Raises:
            UpgradeFolderError
        """
        path = temporary(self.folder)
        path = path.with_name(_NEW + path.name)
        with _faults(self.folder):
            file = path.open("xb", buffering=0)
        try:
            with file:
                yield Incoming(path, file)
        finally:
            path.unlink(missing_ok=True)

    def keep(self, incoming: Incoming, sha256: str) -> str:
        """Give it the name of its digest, on the disk when this returns.

        Raises:
            UpgradeDigestMismatch: it has another.
            UpgradeFolderError
        """
        if incoming.sha256 != sha256:
            raise UpgradeDigestMismatch(f"the new version has the sha256 {incoming.sha256}, and not {sha256}")
        with _faults(self.folder):
            incoming.path.chmod(_FILE_MODE)
            self._disk.sync(incoming.path)
            self._disk.rename(incoming.path, self.path(sha256))
            self._disk.sync_folder(self.folder)
        return sha256

    def use(self, sha256: str) -> None:
        """Have the command lead to a version. Whoever starts it at any moment gets the old one or the new one.

        Raises:
            UpgradeImpossible: there is no such version.
            UpgradeFolderError
        """
        target = self.path(sha256)
        if not target.is_file():
            raise UpgradeImpossible(f"{target} is not there", remedy="Give `edged upgrade` the file or its address.")
        folder = self.command.parent
        if self.current() == sha256:  # so that there is a way back where nothing can be written
            with _faults(folder):
                self._disk.sync_folder(folder)
            return
        link = temporary(folder)
        link = link.with_name(_NEW + link.name)
        with _faults(folder):
            link.symlink_to(target)
            try:
                self._disk.rename(link, self.command)
            except OSError:
                link.unlink(missing_ok=True)
                raise
            self._disk.sync_folder(folder)

    def is_whole(self, sha256: str) -> bool:
        """Whether it is here, with the bytes that it had.

        Raises:
            UpgradeFolderError
        """
        with _faults(self.folder):
            try:
                with self.path(sha256).open("rb", buffering=0) as file:
                    return hashlib.file_digest(file, "sha256").hexdigest() == sha256
            except FileNotFoundError:
                return False

    def all(self) -> list[str]:
        """sha256 of every version that is here.

        Raises:
            UpgradeFolderError
        """
        with _faults(self.folder):
            return sorted(found[1] for entry in os.scandir(self.folder) if (found := _name(entry.name)))

    def remove(self, sha256: str) -> None:
        """
        Raises:
            UpgradeFolderError
        """
        with _faults(self.folder):
            self.path(sha256).unlink(missing_ok=True)
            self._disk.sync_folder(self.folder)

    def _remove_left_over(self) -> None:
        """Of those that were killed: whoever has the lock knows that nobody writes to them."""
        for folder in (self.folder, self.command.parent):
            for entry in list(os.scandir(folder)):
                if entry.name.startswith(_NEW) and not entry.is_dir(follow_symlinks=False):
                    Path(entry.path).unlink(missing_ok=True)


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return os.path.samefile(one, other)
    return False


@contextmanager
def _faults(place: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise UpgradeForbidden(f"{place}: {error.strerror}") from error
    except OSError as error:
        raise UpgradeFolderError(f"{place}: {error.strerror or error}") from error


Progress = Callable[[int, int | None], None]
"""Bytes that are here, and how many there will be, if that is known."""
