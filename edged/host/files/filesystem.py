"""`wasi:filesystem`: types and preopens, over a read-only tree.

Everything that would change the tree fails the way Linux fails on a read-only file system: the path is looked at first
(`no-entry`, `not-permitted`, `exist`, ...), and what would otherwise succeed is `read-only`. Descriptors are never open
for writing, so writes through one are `bad-descriptor`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

from edged.host.budget import Budget
from edged.host.clocks import Datetime, datetime_from_ns
from edged.host.files.file import FileFailure, FileSource, OpenFile, error_code
from edged.host.files.tree import Directory, HostFile, Node, resolve, resolve_parent
from edged.host.interface import Err, Interface, Invocation, Resource
from edged.host.streams import InputStream, IoError, OutputStream

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


class DirectoryEntryStream(Resource):
    """`resource directory-entry-stream`. Names in order, each with its type."""

    __slots__ = ("_entries",)

    def __init__(self, directory: Directory, start: int) -> None:
        self._entries = iter(directory.listing()[start:])

    def read_directory_entry(self) -> tuple[str, str] | None:
        for name, node in self._entries:
            return _type(node), name
        return None


class Descriptor(Resource):
    """`resource descriptor`. Every method may raise Err of `enum error-code`.

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

    # --- reading a file ---

    def read_via_stream(self, offset: int) -> InputStream:
        return InputStream(FileSource(self._readable(), offset))

    def read(self, length: int, offset: int) -> tuple[bytes, bool]:
        """Bytes, and whether this was the end."""
        data = self._readable().read(length, offset)
        return data, bool(length) and not data

    def advise(self, _offset: int, _length: int, _advice: str) -> None:
        """Advice is welcome and has no effect."""
        self._opened()

    # --- reading a directory ---

    def read_directory(self) -> DirectoryEntryStream:
        return read_directory(self, 0)

    def open_at(self, _path_flags: Flags, path: str, open_flags: Flags, flags: Flags) -> Descriptor:
        directory = self._directory()
        if not (flags.isdisjoint(_MUTATING_FLAGS) and open_flags.isdisjoint(_MUTATING_OPEN_FLAGS)):
            raise Err("read-only")
        node = resolve(directory, path)
        if "exclusive" in open_flags:
            raise Err("exist")
        if "directory" in open_flags and isinstance(node, HostFile):
            raise Err("not-directory")
        return Descriptor(node, flags, self._budget)

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
        return _type(self._node)

    def stat(self) -> DescriptorStat:
        return _stat(self._node, self._file)

    def metadata_hash(self) -> MetadataHash:
        return _metadata_hash(self._node, self._file)

    def is_same_object(self, other: Descriptor) -> bool:
        if self._file is None or other._file is None:
            return self._node is other._node
        return os.path.sameopenfile(self._file.descriptor, other._file.descriptor)

    def sync_data(self) -> None:
        """Nothing was written, so nothing is left to do."""

    def sync(self) -> None:
        """Nothing was written, so nothing is left to do."""

    # --- writing a file: refused ---

    def write_via_stream(self, _offset: int) -> OutputStream:
        raise Err("bad-descriptor")

    def append_via_stream(self) -> OutputStream:
        raise Err("bad-descriptor")

    def write(self, _buffer: bytes, _offset: int) -> int:
        raise Err("bad-descriptor")

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

    def link_at(self, _path_flags: Flags, old_path: str, new_descriptor: Descriptor, new_path: str) -> None:
        self._resolve(old_path)
        new_descriptor._refuse_create(new_path)

    def rename_at(self, old_path: str, new_descriptor: Descriptor, new_path: str) -> None:
        self._resolve(old_path)
        resolve_parent(new_descriptor._directory(), new_path)
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

    def _readable(self) -> OpenFile:
        if "read" not in self._flags:
            raise Err("bad-descriptor")
        return self._opened()

    def _directory(self) -> Directory:
        if isinstance(self._node, HostFile):
            raise Err("not-directory")
        return self._node

    def _resolve(self, path: str) -> Node:
        return resolve(self._directory(), path)

    def _refuse_create(self, path: str) -> NoReturn:
        parent, name = resolve_parent(self._directory(), path)
        raise Err("exist" if not name or name in parent.entries else "read-only")


def _type(node: Node) -> str:
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


def read_directory(descriptor: Descriptor, start: int) -> DirectoryEntryStream:
    """The entries of a directory but the first `start`, which preview 1 asks for by a cookie."""
    return DirectoryEntryStream(descriptor._directory(), start)


class FilesystemTypes(Interface):
    """`wasi:filesystem/types`."""

    wit: ClassVar[str] = "wasi:filesystem/types"
    resources: ClassVar[Mapping[str, type[Resource]]] = {
        "descriptor": Descriptor,
        "directory-entry-stream": DirectoryEntryStream,
    }

    def filesystem_error_code(self, _invocation: Invocation, error: IoError) -> str | None:
        return error.code if isinstance(error, FileFailure) else None


class Preopens(Interface):
    """`wasi:filesystem/preopens` of one component.

    Args:
        root: the component's files, mounted at `/`. None: there are none, and no directory either.
    """

    wit: ClassVar[str] = "wasi:filesystem/preopens"

    def __init__(self, root: Directory | None) -> None:
        self._root = root

    def get_directories(self, invocation: Invocation) -> Sequence[tuple[Descriptor, str]]:
        if self._root is None:
            return ()
        return ((Descriptor(self._root, READ, invocation.budget), "/"),)
