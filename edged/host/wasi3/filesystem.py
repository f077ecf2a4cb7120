"""`wasi:filesystem` 0.3: types and preopens, over 0.2's read-only tree. Contents of files and directories are streams.

guest <- stream, future <- a source that reads the file, or the tree, when it is asked
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from edged.host.channel import FutureReader, Pieces, Ready, StreamReader
from edged.host.files.descriptor import READ, BaseDescriptor, node_type
from edged.host.files.file import OpenFile
from edged.host.files.tree import Directory, Node
from edged.host.interface import Err, Interface, Invocation, Ok, Resource
from edged.host.wasi3 import VERSIONS
from edged.host.wasi3.promise import Promise
from edged.limits import LIST_COUNT_MAX

Reading = tuple[StreamReader, FutureReader[Ok | Err]]
"""`tuple<stream<..>, future<result<_, error-code>>>`: the future says how the stream ended."""


class Descriptor(BaseDescriptor):
    """`resource descriptor`."""

    __slots__ = ()

    def read_via_stream(self, offset: int) -> Reading:
        try:
            stream = FileStream(self.readable(), offset)
        except Err as err:
            return Pieces(), Ready(err)
        return stream, stream.result

    def read_directory(self) -> Reading:
        try:
            return DirectoryStream(self.directory()), Ready(Ok())
        except Err as err:
            return Pieces(), Ready(err)

    def write_via_stream(self, data: StreamReader, _offset: int) -> FutureReader[Err]:
        """As writes through a descriptor that is not open for writing."""
        return self.append_via_stream(data)

    def append_via_stream(self, data: StreamReader) -> FutureReader[Err]:
        """As writes through a descriptor that is not open for writing."""
        data.close()
        return Ready(Err("bad-descriptor"))


class FileStream:
    """The source of a file's contents. `result` is the source of the future."""

    __slots__ = ("_file", "_offset", "result")

    def __init__(self, file: OpenFile, offset: int) -> None:
        self._file = file.share()
        self._offset = offset
        self.result = Promise()

    def read(self, count_max: int) -> bytes:
        if self.result.resolved:
            return b""
        try:
            data = self._file.read(count_max, self._offset)
        except Err as err:
            self._end(err)
            return b""
        self._offset += len(data)
        if not data:
            self._end(Ok())
        return data

    def close(self) -> None:
        if not self.result.resolved:
            self._end(Ok())

    def __del__(self) -> None:
        # It never reached its guest, whose handles were used up.
        self.close()

    def _end(self, result: Ok | Err) -> None:
        self.result.resolve(result)
        self._file.close()


class DirectoryStream:
    """The source of a directory's entries, names in order, each with its type."""

    __slots__ = ("_entries", "_start")

    def __init__(self, directory: Directory) -> None:
        self._entries: Sequence[tuple[str, Node]] = directory.listing()
        self._start = 0

    def read(self, count_max: int) -> Sequence[tuple[str, str]]:
        """`list<directory-entry>`."""
        start = self._start
        self._start = end = start + min(count_max, LIST_COUNT_MAX)
        return [(node_type(node), name) for name, node in self._entries[start:end]]

    def close(self) -> None:
        self._entries = ()


class FilesystemTypes(Interface):
    """`wasi:filesystem/types`."""

    wit: ClassVar[str] = "wasi:filesystem/types"
    versions: ClassVar[tuple[str, ...]] = VERSIONS
    resources: ClassVar[Mapping[str, type[Resource]]] = {"descriptor": Descriptor}


class Preopens(Interface):
    """`wasi:filesystem/preopens` of one component.

    Args:
        root: the component's files, mounted at `/`. None: there are none, and no directory either.
    """

    wit: ClassVar[str] = "wasi:filesystem/preopens"
    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def __init__(self, root: Directory | None) -> None:
        self._root = root

    def get_directories(self, invocation: Invocation) -> Sequence[tuple[Descriptor, str]]:
        if self._root is None:
            return ()
        return ((Descriptor(self._root, READ, invocation.budget), "/"),)
