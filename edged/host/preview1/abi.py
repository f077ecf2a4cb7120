"""Numbers and layouts of `wasi_snapshot_preview1` (WASI legacy/preview1/docs.md), and how its errors are raised."""

from __future__ import annotations

import struct
from collections.abc import Callable, Coroutine, Mapping
from enum import IntEnum
from functools import wraps
from typing import Any, ParamSpec

from edged.host.interface import Err, may_suspend
from edged.host.memory import MemoryFault
from edged.host.streams import CLOSED


class Errno(IntEnum):
    """`errno`, those that edged answers with."""

    SUCCESS = 0
    ACCES = 2
    AGAIN = 6
    BADF = 8
    BUSY = 10
    EXIST = 20
    FAULT = 21
    ILSEQ = 25
    INVAL = 28
    IO = 29
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    NAMETOOLONG = 37
    NODEV = 43
    NOENT = 44
    NOMEM = 48
    NOSPC = 51
    NOTDIR = 54
    NOTEMPTY = 55
    NOTSUP = 58
    NXIO = 60
    OVERFLOW = 61
    PERM = 63
    PIPE = 64
    ROFS = 69
    SPIPE = 70
    TXTBSY = 74
    XDEV = 75


_OF_ERROR_CODE: Mapping[str, Errno] = {
    "access": Errno.ACCES,
    "bad-descriptor": Errno.BADF,
    "busy": Errno.BUSY,
    "cross-device": Errno.XDEV,
    "exist": Errno.EXIST,
    "illegal-byte-sequence": Errno.ILSEQ,
    "insufficient-memory": Errno.NOMEM,
    "insufficient-space": Errno.NOSPC,
    "invalid": Errno.INVAL,
    "invalid-seek": Errno.SPIPE,
    "is-directory": Errno.ISDIR,
    "loop": Errno.LOOP,
    "name-too-long": Errno.NAMETOOLONG,
    "no-device": Errno.NODEV,
    "no-entry": Errno.NOENT,
    "no-such-device": Errno.NXIO,
    "not-directory": Errno.NOTDIR,
    "not-empty": Errno.NOTEMPTY,
    "not-permitted": Errno.PERM,
    "overflow": Errno.OVERFLOW,
    "pipe": Errno.PIPE,
    "read-only": Errno.ROFS,
    "text-file-busy": Errno.TXTBSY,
    "unsupported": Errno.NOTSUP,
    "would-block": Errno.AGAIN,
    CLOSED: Errno.PIPE,
}
"""error-code of wasi:filesystem, or stream-error of wasi:io -> errno. Anything else is IO."""


class FileType(IntEnum):
    """`filetype`. Streams are `UNKNOWN`: a `CHARACTER_DEVICE` would be a terminal to a C library."""

    UNKNOWN = 0
    DIRECTORY = 3
    REGULAR_FILE = 4


class FdFlags(IntEnum):
    """Bits of `fdflags`."""

    APPEND = 1
    NONBLOCK = 4


FD_FLAGS_ALL = 0b11111

OPEN_FLAGS: Mapping[int, str] = {1: "create", 2: "directory", 4: "exclusive", 8: "truncate"}
"""Bits of `oflags` -> `open-flags` of wasi:filesystem."""

RIGHT_READ = 1 << 1
RIGHT_WRITE = 1 << 6
RIGHTS_ALL = (1 << 30) - 1
"""What a directory hands on. Rights protect nothing here, as in other hosts: the tree is read-only, and says so."""

IOVEC = struct.Struct("<II")
FDSTAT = struct.Struct("<BxHxxxxQQ")
FILESTAT = struct.Struct("<QQB7xQQQQQ")
PRESTAT = struct.Struct("<B3xI")
DIRENT = struct.Struct("<QQIB3x")
SUBSCRIPTION_SIZE = 48
SUBSCRIPTION = struct.Struct("<QB7x")  # userdata, and which of the next two follows
SUBSCRIPTION_CLOCK = struct.Struct("<16xI4xQQH6x")
SUBSCRIPTION_FD = struct.Struct("<16xI28x")
EVENT = struct.Struct("<QHB5xQH6x")


class Failure(Exception):
    """Ends a function with an errno."""

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno)
        self.errno = errno


def errno_of(error: Exception) -> Errno:
    match error:
        case Failure():
            return error.errno
        case Err():
            return _OF_ERROR_CODE.get(error.value, Errno.IO) if isinstance(error.value, str) else Errno.IO
        case _:
            return Errno.FAULT


P = ParamSpec("P")


def answers_errno(method: Callable[P, None]) -> Callable[P, int]:
    """A function of the interface: returns SUCCESS, or the errno of what the method raises."""

    @wraps(method)
    def call(*arguments: P.args, **_none: P.kwargs) -> int:
        try:
            method(*arguments, **_none)
        except (Failure, Err, MemoryFault) as error:
            return errno_of(error)
        return Errno.SUCCESS

    return call


def answers_errno_or_suspends(
    method: Callable[P, Coroutine[Any, Any, int] | None],
) -> Callable[P, int | Coroutine[Any, Any, int]]:
    """The same for a method that may return a coroutine, of a method that `answers_errno_later`."""

    @wraps(method)
    def call(*arguments: P.args, **_none: P.kwargs) -> int | Coroutine[Any, Any, int]:
        try:
            answer = method(*arguments, **_none)
        except (Failure, Err, MemoryFault) as error:
            return errno_of(error)
        return Errno.SUCCESS if answer is None else answer

    return may_suspend(call)


def answers_errno_later(method: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Coroutine[Any, Any, int]]:
    """The same for an `async def`. One coroutine inside another, so that closing it unstarted leaves nothing behind."""

    @wraps(method)
    async def call(*arguments: P.args, **_none: P.kwargs) -> int:
        try:
            await method(*arguments, **_none)
        except (Failure, Err, MemoryFault) as error:
            return errno_of(error)
        return Errno.SUCCESS

    return call
