"""`wasi:filesystem` 0.2: types and preopens, over a read-only tree. See `edged.host.files.descriptor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from edged.host.files.descriptor import READ, BaseDescriptor, node_type
from edged.host.files.file import FileFailure, FileSource
from edged.host.files.tree import Directory
from edged.host.interface import Err, Interface, Invocation, Resource
from edged.host.streams import InputStream, IoError, OutputStream


class DirectoryEntryStream(Resource):
    """`resource directory-entry-stream`. Names in order, each with its type."""

    __slots__ = ("_entries",)

    def __init__(self, directory: Directory, start: int) -> None:
        self._entries = iter(directory.listing()[start:])

    def read_directory_entry(self) -> tuple[str, str] | None:
        for name, node in self._entries:
            return node_type(node), name
        return None


class Descriptor(BaseDescriptor):
    """`resource descriptor`."""

    __slots__ = ()

    # --- reading ---

    def read_via_stream(self, offset: int) -> InputStream:
        return InputStream(FileSource(self.readable(), offset))

    def read(self, length: int, offset: int) -> tuple[bytes, bool]:
        """Bytes, and whether this was the end."""
        data = self.readable().read(length, offset)
        return data, bool(length) and not data

    def read_directory(self) -> DirectoryEntryStream:
        return read_directory(self, 0)

    # --- writing: refused ---

    def write_via_stream(self, _offset: int) -> OutputStream:
        raise Err("bad-descriptor")

    def append_via_stream(self) -> OutputStream:
        raise Err("bad-descriptor")

    def write(self, _buffer: bytes, _offset: int) -> int:
        raise Err("bad-descriptor")


def read_directory(descriptor: Descriptor, start: int) -> DirectoryEntryStream:
    """The entries of a directory but the first `start`, which preview 1 asks for by a cookie."""
    return DirectoryEntryStream(descriptor.directory(), start)


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
