"""The one file that this edged was started from: opened once, so that an upgrade may take its name away meanwhile."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from edged.errors import InstallUnavailable
from edged.limits import INSTALL_FILE_BYTES_MAX, INSTALL_PIECE_BYTES


@dataclass(frozen=True, slots=True)
class OneFile:
    """Open, and known by its digest. All methods block.

    Attributes:
        size: bytes.
        sha256: 64 hexadecimal digits.
        changed_ns: when it was last written, as the disk says.
    """

    descriptor: int
    size: int
    sha256: str
    changed_ns: int

    @staticmethod
    def open(path: Path) -> OneFile:
        """Open and hash it: 80 MB take a fifth of a second.

        Raises:
            InstallUnavailable: it is not there, no file, too large, or cannot be read.
        """
        try:
            # A name may lead to a FIFO, which nobody may ever write to.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = error.strerror if isinstance(error, OSError) else error
            raise InstallUnavailable(f"{path} cannot be read: {reason}") from error
        try:
            return _hashed(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise

    def check(self) -> None:
        """
        Raises:
            InstallUnavailable: it was written since it was hashed: it is not what its digest says any more.
        """
        found = os.fstat(self.descriptor)
        if (found.st_size, found.st_mtime_ns) != (self.size, self.changed_ns):
            raise InstallUnavailable("the one file was written while the node runs", remedy="Restart the node.")

    def read(self, offset: int) -> bytes:
        """`INSTALL_PIECE_BYTES` from an offset, or what is left.

        Raises:
            InstallUnavailable: the disk fails, or the file has become shorter.
        """
        wanted = min(INSTALL_PIECE_BYTES, self.size - offset)
        piece = _read(self.descriptor, wanted, offset)
        if len(piece) < wanted:
            raise InstallUnavailable("the one file has become shorter while the node runs", remedy="Restart the node.")
        return piece

    def close(self) -> None:
        os.close(self.descriptor)


def _hashed(descriptor: int, path: Path) -> OneFile:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise InstallUnavailable(f"{path} is no file")
    if found.st_size > INSTALL_FILE_BYTES_MAX:
        raise InstallUnavailable(f"{path} has more than {INSTALL_FILE_BYTES_MAX} bytes")
    digest, size = hashlib.sha256(), 0
    while piece := _read(descriptor, min(INSTALL_PIECE_BYTES, found.st_size - size), size):
        digest.update(piece)
        size += len(piece)
    file = OneFile(descriptor, size, digest.hexdigest(), found.st_mtime_ns)
    file.check()
    return file


def _read(descriptor: int, wanted: int, offset: int) -> bytes:
    try:
        return os.pread(descriptor, wanted, offset)
    except OSError as error:
        raise InstallUnavailable(f"the one file cannot be read: {error.strerror}") from error
