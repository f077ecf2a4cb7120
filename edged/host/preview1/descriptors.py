"""`fd_*`: what a guest does with a descriptor. Files are read-only, so what would write to one is refused."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from edged.host.preview1.abi import (
    DIRENT,
    FD_FLAGS_ALL,
    FDSTAT,
    PRESTAT,
    RIGHTS_ALL,
    Errno,
    Failure,
    FdFlags,
    FileType,
    answers_errno,
    answers_errno_later,
    answers_errno_or_suspends,
)
from edged.host.preview1.opened import Opened
from edged.host.preview1.state import State

_ROOT = b"/"


class Descriptors(State):
    """See the module."""

    # --- reading and writing ---

    @answers_errno_or_suspends
    def fd_read(self, fd: int, iovs: int, iovs_len: int, read: int) -> Coroutine[Any, Any, int] | None:
        opened, buffers = self.at(fd), self.buffers(iovs, iovs_len)
        self.memory.check(read, 4)
        wanted = sum(length for _, length in buffers)
        data = opened.read(wanted) if wanted else b""
        if data is None:
            if opened.flags & FdFlags.NONBLOCK:
                raise Failure(Errno.AGAIN)
            return self._read_later(opened, buffers, read, wanted)
        self.scatter(buffers, data)
        self.memory.set_u32(read, len(data))
        return None

    @answers_errno_later
    async def _read_later(self, opened: Opened, buffers: list[tuple[int, int]], read: int, wanted: int) -> None:
        while (data := opened.read(wanted)) is None:
            await _wait(opened)
        self.scatter(buffers, data)
        self.memory.set_u32(read, len(data))

    @answers_errno
    def fd_pread(self, fd: int, iovs: int, iovs_len: int, offset: int, read: int) -> None:
        opened, buffers = self.at(fd), self.buffers(iovs, iovs_len)
        self.memory.check(read, 4)
        data = opened.read_at(sum(length for _, length in buffers), offset)
        self.scatter(buffers, data)
        self.memory.set_u32(read, len(data))

    @answers_errno_or_suspends
    def fd_write(self, fd: int, iovs: int, iovs_len: int, written: int) -> Coroutine[Any, Any, int] | None:
        """Takes what there is room for, which may be less than all of it."""
        opened, buffers = self.at(fd), self.buffers(iovs, iovs_len)
        self.memory.check(written, 4)
        capacity = opened.write_capacity()
        if not capacity and any(length for _, length in buffers):
            if opened.flags & FdFlags.NONBLOCK:
                raise Failure(Errno.AGAIN)
            return self._write_later(opened, buffers, written)
        self._write(opened, buffers, written, capacity)
        return None

    @answers_errno_later
    async def _write_later(self, opened: Opened, buffers: list[tuple[int, int]], written: int) -> None:
        while not (capacity := opened.write_capacity()):
            await _wait(opened)
        self._write(opened, buffers, written, capacity)

    def _write(self, opened: Opened, buffers: list[tuple[int, int]], written: int, capacity: int) -> None:
        data = self.gather(buffers, capacity)
        if data:
            opened.write(data)
        self.memory.set_u32(written, len(data))

    @answers_errno
    def fd_pwrite(self, fd: int, iovs: int, iovs_len: int, _offset: int, _written: int) -> None:
        opened = self.at(fd)
        self.buffers(iovs, iovs_len)
        opened.descriptor()
        raise Failure(Errno.BADF)

    @answers_errno
    def fd_seek(self, fd: int, delta: int, whence: int, offset: int) -> None:
        opened = self.at(fd)
        self.memory.check(offset, 8)
        self.memory.set_u64(offset, opened.seek(delta - (1 << 64) if delta >> 63 else delta, whence))

    @answers_errno
    def fd_tell(self, fd: int, offset: int) -> None:
        self.memory.set_u64(offset, self.at(fd).seek(0, 1))

    @answers_errno
    def fd_advise(self, fd: int, _offset: int, _length: int, _advice: int) -> None:
        """Advice is welcome and has no effect."""
        self.at(fd).descriptor()

    @answers_errno
    def fd_datasync(self, fd: int) -> None:
        """Nothing was written, so nothing is left to do."""
        self.at(fd).descriptor()

    fd_sync = fd_datasync

    # --- what a descriptor is ---

    @answers_errno
    def fd_close(self, fd: int) -> None:
        self.at(fd).close()
        del self.opened[fd]

    @answers_errno
    def fd_renumber(self, fd: int, to: int) -> None:
        """`to` is closed, and becomes what `fd` was."""
        moved, replaced = self.at(fd), self.at(to)
        if fd != to:
            del self.opened[fd]
            self.opened[to] = moved
            replaced.close()

    @answers_errno
    def fd_fdstat_get(self, fd: int, buffer: int) -> None:
        opened = self.at(fd)
        inheriting = RIGHTS_ALL if opened.file_type is FileType.DIRECTORY else 0
        self.memory.pack(FDSTAT, buffer, opened.file_type, opened.flags, opened.rights, inheriting)

    @answers_errno
    def fd_fdstat_set_flags(self, fd: int, flags: int) -> None:
        opened = self.at(fd)
        if flags & ~FD_FLAGS_ALL:
            raise Failure(Errno.INVAL)
        opened.flags = flags

    @answers_errno
    def fd_fdstat_set_rights(self, fd: int, _base: int, _inheriting: int) -> None:
        self.at(fd)
        raise Failure(Errno.NOTSUP)

    @answers_errno
    def fd_filestat_get(self, fd: int, buffer: int) -> None:
        self.store_stat(buffer, self.at(fd).stat())

    # --- directories ---

    @answers_errno
    def fd_prestat_get(self, fd: int, buffer: int) -> None:
        self._preopened(fd)
        self.memory.pack(PRESTAT, buffer, 0, len(_ROOT))

    @answers_errno
    def fd_prestat_dir_name(self, fd: int, path: int, length: int) -> None:
        self._preopened(fd)
        if length < len(_ROOT):
            raise Failure(Errno.NAMETOOLONG)
        self.memory.write(path, _ROOT)

    @answers_errno
    def fd_readdir(self, fd: int, buffer: int, length: int, cookie: int, used: int) -> None:
        """Fills the buffer, cutting the last entry off where it does not fit: less than that means the end.

        Inodes are 0, which C libraries take for "ask for it": looking up each would cost a call of the kernel.
        """
        directory = self.at(fd).directory()
        self.memory.check(buffer, length)
        self.memory.check(used, 4)
        pieces, size = [], 0
        for number, (name, file_type) in enumerate(directory.entries(cookie), cookie + 1):
            pieces += [DIRENT.pack(number, 0, len(name), file_type), name]
            size += DIRENT.size + len(name)
            if size >= length:
                break
        data = b"".join(pieces)[:length]
        self.memory.write(buffer, data)
        self.memory.set_u32(used, len(data))

    def _preopened(self, fd: int) -> None:
        if not self.at(fd).preopened:
            raise Failure(Errno.BADF)

    # --- changing files: refused ---

    @answers_errno
    def fd_allocate(self, fd: int, _offset: int, _length: int) -> None:
        self.at(fd).descriptor()
        raise Failure(Errno.BADF)

    @answers_errno
    def fd_filestat_set_size(self, fd: int, size: int) -> None:
        self.at(fd).descriptor().set_size(size)

    @answers_errno
    def fd_filestat_set_times(self, fd: int, _access: int, _modification: int, _flags: int) -> None:
        self.at(fd).descriptor().set_times(None, None)


async def _wait(opened: Opened) -> None:
    waitable = opened.waitable()
    assert waitable is not None, "only streams make a guest wait"
    await waitable.wait()
