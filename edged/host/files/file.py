"""A file of the host that a guest has open.

Reads are done at once, on the loop's thread: at most `FILE_READ_BYTES_MAX` from a local file, nearly always out of the
page cache. A hop to another thread costs more than the read, and would let one guest hold many threads.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

import trio

from edged.host.budget import Budget
from edged.host.files.tree import HostFile
from edged.host.interface import Err
from edged.host.streams import CLOSED, IoError, operation_failed
from edged.limits import FILE_READ_BYTES_MAX

_OFFSET_MAX = (1 << 63) - 1

ERROR_CODES: Mapping[int, str] = {
    errno.EACCES: "access",
    errno.EAGAIN: "would-block",
    errno.EALREADY: "already",
    errno.EBADF: "bad-descriptor",
    errno.EBUSY: "busy",
    errno.EDEADLK: "deadlock",
    errno.EDQUOT: "quota",
    errno.EEXIST: "exist",
    errno.EFBIG: "file-too-large",
    errno.EILSEQ: "illegal-byte-sequence",
    errno.EINPROGRESS: "in-progress",
    errno.EINTR: "interrupted",
    errno.EINVAL: "invalid",
    errno.EIO: "io",
    errno.EISDIR: "is-directory",
    errno.ELOOP: "loop",
    errno.EMFILE: "insufficient-memory",  # wasi has no code for too many open files
    errno.EMLINK: "too-many-links",
    errno.EMSGSIZE: "message-size",
    errno.ENAMETOOLONG: "name-too-long",
    errno.ENFILE: "insufficient-memory",
    errno.ENODEV: "no-device",
    errno.ENOENT: "no-entry",
    errno.ENOLCK: "no-lock",
    errno.ENOMEM: "insufficient-memory",
    errno.ENOSPC: "insufficient-space",
    errno.ENOSYS: "unsupported",
    errno.ENOTDIR: "not-directory",
    errno.ENOTEMPTY: "not-empty",
    errno.ENOTRECOVERABLE: "not-recoverable",
    errno.ENOTSUP: "unsupported",
    errno.ENOTTY: "no-tty",
    errno.ENXIO: "no-such-device",
    errno.EOVERFLOW: "overflow",
    errno.EPERM: "not-permitted",
    errno.EPIPE: "pipe",
    errno.EROFS: "read-only",
    errno.ESPIPE: "invalid-seek",
    errno.ETXTBSY: "text-file-busy",
    errno.EXDEV: "cross-device",
}
"""errno -> case of `enum error-code`; anything else is `io`."""


def error_code(error: OSError) -> str:
    return ERROR_CODES.get(error.errno or 0, "io")


class FileFailure(IoError):
    """An error of a file's stream, which `filesystem-error-code` can name."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        super().__init__(f"the file could not be read: {code}")
        self.code = code


class OpenFile:
    """A file descriptor of the host, shared by a descriptor and its streams, closed with the last of them."""

    __slots__ = ("_budget", "_users", "descriptor")

    def __init__(self, node: HostFile, budget: Budget) -> None:
        """Raises Err: an error-code of wasi:filesystem."""
        self._users = 0
        if budget.files <= 0:
            raise Err(error_code(OSError(errno.EMFILE, "")))
        try:
            self.descriptor = node.open()
        except OSError as error:
            raise Err(error_code(error)) from error
        budget.files -= 1
        self._budget = budget
        self._users = 1

    def read(self, bytes_max: int, offset: int) -> bytes:
        """Raises Err: an error-code of wasi:filesystem."""
        if offset > _OFFSET_MAX:
            raise Err("invalid")
        try:
            return os.pread(self.descriptor, min(bytes_max, FILE_READ_BYTES_MAX), offset)
        except OSError as error:
            raise Err(error_code(error)) from error

    def share(self) -> OpenFile:
        self._users += 1
        return self

    def close(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._budget.files += 1
            os.close(self.descriptor)

    def __del__(self) -> None:
        # No guest got a handle of it, or it was lost on the way into a host call that failed.
        if self._users:
            self._users = 1
            self.close()


class FileSource:
    """The source of a stream that `read-via-stream` made."""

    __slots__ = ("_file", "_offset")

    def __init__(self, file: OpenFile, offset: int) -> None:
        self._file = file.share()
        self._offset = offset

    def ready(self) -> bool:
        return True

    async def wait(self) -> None:
        await trio.lowlevel.checkpoint()

    def read(self, bytes_max: int) -> bytes:
        if not bytes_max:
            return b""
        try:
            data = self._file.read(bytes_max, self._offset)
        except Err as err:
            raise operation_failed(FileFailure(err.value)) from err
        if not data:
            raise Err(CLOSED)
        self._offset += len(data)
        return data

    def close(self) -> None:
        self._file.close()
