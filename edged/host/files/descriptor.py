"""What `wasi:filesystem` 0.2 and 0.3 have in common: descriptors over a read-only tree.

Everything that would change the tree fails the way Linux fails on a read-only file system: the path is looked at first
(`no-entry`, `not-permitted`, `exist`, ...), and what would otherwise succeed is `read-only`. Descriptors are never open
for writing, so writes through one are `bad-descriptor`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import Any, NamedTuple, NoReturn, Self

from edged.host.budget import Budget
from edged.host.clocks import Datetime, datetime_from_ns
from edged.host.files.file import OpenFile, error_code
from edged.host.files.tree import Directory, HostFile, Node, resolve, resolve_parent
from edged.host.interface import Err, Resource

Flags = frozenset[str]

READ: Flags = frozenset({"read"})
_MUTATING_FLAGS = frozenset({"write", "mutate-directory"})
_MUTATING_OPEN_FLAGS = frozenset({"create", "truncate"})
_HASH_KEY = secrets.token_bytes(16)  # so that a guest learns nothing of inodes and times of the host


class DescriptorStat(NamedTuple):
    """`record descriptor-stat`. Times of the last access and status change are the node's affair and not told."""

    type: str
    link_count: int
    size: int
    data_access_timestamp: Datetime | None
    data_modification_timestamp: Datetime | None
    status_change_timestamp: Datetime | None


class MetadataHash(NamedTuple):
    """`record metadata-hash-value`."""

    lower: int
    upper: int


class BaseDescriptor(Resource):
    """`resource descriptor`, as far as it is the same in WASI 0.2 and 0.3. Every method may raise Err of `error-code`.

    Args:
        flags: `descriptor-flags`, as the guest asked for them.
    """

    __slots__ = ("_budget", "_file", "_flags", "_node")

    def __init__(self, node: Node, flags: Flags, budget: Budget) -> None:
        self._node = node
        self._flags = flags
        self._budget = budget
        self._file = OpenFile(node, budget) if isinstance(node, HostFile) else None

    def drop(self) -> None:
        if self._file is not None:
            self._file.close()

    # --- files ---

    def advise(self, _offset: int, _length: int, _advice: str) -> None:
        """Advice is welcome and has no effect."""
        self._opened()

    # --- directories ---

    def open_at(self, _path_flags: Flags, path: str, open_flags: Flags, flags: Flags) -> Self:
        directory = self.directory()
        if not (flags.isdisjoint(_MUTATING_FLAGS) and open_flags.isdisjoint(_MUTATING_OPEN_FLAGS)):
            raise Err("read-only")
        node = resolve(directory, path)
        if "exclusive" in open_flags:
            raise Err("exist")
        if "directory" in open_flags and isinstance(node, HostFile):
            raise Err("not-directory")
        return type(self)(node, flags, self._budget)

    def stat_at(self, _path_flags: Flags, path: str) -> DescriptorStat:
        return _stat(self._resolve(path), None)

    def metadata_hash_at(self, _path_flags: Flags, path: str) -> MetadataHash:
        return _metadata_hash(self._resolve(path), None)

    def readlink_at(self, path: str) -> NoReturn:
        """There are no symbolic links: `invalid`, as POSIX has it for what is none."""
        self._resolve(path)
        raise Err("invalid")

    # --- what a descriptor is ---

    def get_flags(self) -> Flags:
        return self._flags

    def get_type(self) -> str:
        return node_type(self._node)

    def stat(self) -> DescriptorStat:
        return _stat(self._node, self._file)

    def metadata_hash(self) -> MetadataHash:
        return _metadata_hash(self._node, self._file)

    def is_same_object(self, other: BaseDescriptor) -> bool:
        if self._file is None or other._file is None:
            return self._node is other._node
        return os.path.sameopenfile(self._file.descriptor, other._file.descriptor)

    def sync_data(self) -> None:
        """Nothing was written, so nothing is left to do."""

    def sync(self) -> None:
        """Nothing was written, so nothing is left to do."""

    # --- writing a file: refused ---

    def set_size(self, _size: int) -> None:
        raise Err("bad-descriptor")

    def set_times(self, _access: Any, _modification: Any) -> None:
        raise Err("read-only")

    # --- changing a directory: refused ---

    def set_times_at(self, _path_flags: Flags, path: str, _access: Any, _modification: Any) -> None:
        self._resolve(path)
        raise Err("read-only")

    def create_directory_at(self, path: str) -> None:
        self._refuse_create(path)

    def symlink_at(self, old_path: str, new_path: str) -> None:
        if old_path.startswith("/"):
            raise Err("not-permitted")
        self._refuse_create(new_path)

    def link_at(self, _path_flags: Flags, old_path: str, new_descriptor: BaseDescriptor, new_path: str) -> None:
        self._resolve(old_path)
        new_descriptor._refuse_create(new_path)

    def rename_at(self, old_path: str, new_descriptor: BaseDescriptor, new_path: str) -> None:
        self._resolve(old_path)
        resolve_parent(new_descriptor.directory(), new_path)
        raise Err("read-only")

    def remove_directory_at(self, path: str) -> None:
        if isinstance(self._resolve(path), HostFile):
            raise Err("not-directory")
        raise Err("read-only")

    def unlink_file_at(self, path: str) -> None:
        if isinstance(self._resolve(path), Directory):
            raise Err("is-directory")
        raise Err("read-only")

    # --- inside ---

    def _opened(self) -> OpenFile:
        if self._file is None:
            raise Err("bad-descriptor")
        return self._file

    def readable(self) -> OpenFile:
        """Raises Err: it is open on a directory, or not for reading."""
        if "read" not in self._flags:
            raise Err("bad-descriptor")
        return self._opened()

    def directory(self) -> Directory:
        """Raises Err: it is open on a file."""
        if isinstance(self._node, HostFile):
            raise Err("not-directory")
        return self._node

    def _resolve(self, path: str) -> Node:
        return resolve(self.directory(), path)

    def _refuse_create(self, path: str) -> NoReturn:
        parent, name = resolve_parent(self.directory(), path)
        raise Err("exist" if not name or name in parent.entries else "read-only")


def node_type(node: Node) -> str:
    """`descriptor-type`."""
    return "directory" if isinstance(node, Directory) else "regular-file"


def _host_stat(node: HostFile, file: OpenFile | None) -> os.stat_result:
    try:
        return node.stat() if file is None else os.fstat(file.descriptor)
    except OSError as error:
        raise Err(error_code(error)) from error


def _stat(node: Node, file: OpenFile | None) -> DescriptorStat:
    if isinstance(node, Directory):
        return DescriptorStat("directory", 1, 0, None, None, None)
    status = _host_stat(node, file)
    return DescriptorStat("regular-file", 1, status.st_size, None, datetime_from_ns(status.st_mtime_ns), None)


def _metadata_hash(node: Node, file: OpenFile | None) -> MetadataHash:
    if isinstance(node, Directory):
        identity: tuple[Any, ...] = (node.path,)
    else:
        status = _host_stat(node, file)
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    digest = hashlib.blake2b(repr(identity).encode(), digest_size=16, key=_HASH_KEY).digest()
    return MetadataHash(int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little"))
