"""`path_*`: files and directories by name, in the read-only tree of wasi:filesystem. There are no symbolic links."""

from __future__ import annotations

from edged.host.files.filesystem import Descriptor
from edged.host.preview1.abi import (
    FD_FLAGS_ALL,
    OPEN_FLAGS,
    RIGHT_READ,
    RIGHT_WRITE,
    RIGHTS_ALL,
    Errno,
    Failure,
    answers_errno,
)
from edged.host.preview1.opened import Directory, File, stat_of
from edged.host.preview1.state import State


class Paths(State):
    """See the module."""

    @answers_errno
    def path_open(  # noqa: PLR0917 - as the interface has it
        self,
        fd: int,
        _lookup_flags: int,
        path: int,
        path_len: int,
        open_flags: int,
        rights: int,
        _inheriting: int,
        flags: int,
        result: int,
    ) -> None:
        directory, name = self._directory(fd), self.path(path, path_len)
        self.memory.check(result, 4)
        if flags & ~FD_FLAGS_ALL or open_flags & ~sum(OPEN_FLAGS):
            raise Failure(Errno.INVAL)
        how = frozenset(flag for bit, flag in OPEN_FLAGS.items() if open_flags & bit)
        access = frozenset(access for bit, access in ((RIGHT_READ, "read"), (RIGHT_WRITE, "write")) if rights & bit)
        opened = directory.open_at(frozenset(), name, how, access)
        kind = Directory if opened.get_type() == "directory" else File
        granted = RIGHTS_ALL if kind is Directory else rights & RIGHTS_ALL
        self.memory.set_u32(result, self.add(kind(opened, flags, granted)))

    @answers_errno
    def path_filestat_get(self, fd: int, _lookup_flags: int, path: int, path_len: int, buffer: int) -> None:
        directory, name = self._directory(fd), self.path(path, path_len)
        self.store_stat(buffer, stat_of(directory, name))

    @answers_errno
    def path_readlink(self, fd: int, path: int, path_len: int, _buffer: int, _length: int, _used: int) -> None:
        self._directory(fd).readlink_at(self.path(path, path_len))

    # --- changing the tree: refused, as on a read-only file system ---

    @answers_errno
    def path_create_directory(self, fd: int, path: int, path_len: int) -> None:
        self._directory(fd).create_directory_at(self.path(path, path_len))

    @answers_errno
    def path_filestat_set_times(
        self, fd: int, _lookup_flags: int, path: int, path_len: int, _access: int, _modification: int, _flags: int
    ) -> None:
        self._directory(fd).set_times_at(frozenset(), self.path(path, path_len), None, None)

    @answers_errno
    def path_link(  # noqa: PLR0917
        self, fd: int, _lookup_flags: int, path: int, path_len: int, new_fd: int, new_path: int, new_path_len: int
    ) -> None:
        old, new = self._directory(fd), self._directory(new_fd)
        old.link_at(frozenset(), self.path(path, path_len), new, self.path(new_path, new_path_len))

    @answers_errno
    def path_remove_directory(self, fd: int, path: int, path_len: int) -> None:
        self._directory(fd).remove_directory_at(self.path(path, path_len))

    @answers_errno
    def path_rename(  # noqa: PLR0917
        self, fd: int, path: int, path_len: int, new_fd: int, new_path: int, new_path_len: int
    ) -> None:
        old, new = self._directory(fd), self._directory(new_fd)
        old.rename_at(self.path(path, path_len), new, self.path(new_path, new_path_len))

    @answers_errno
    def path_symlink(self, path: int, path_len: int, fd: int, new_path: int, new_path_len: int) -> None:
        target = self.path(path, path_len)
        self._directory(fd).symlink_at(target, self.path(new_path, new_path_len))

    @answers_errno
    def path_unlink_file(self, fd: int, path: int, path_len: int) -> None:
        self._directory(fd).unlink_file_at(self.path(path, path_len))

    def _directory(self, fd: int) -> Descriptor:
        return self.at(fd).directory().descriptor()
