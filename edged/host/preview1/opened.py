"""What a file descriptor of a guest stands for: a stream, a log, a file, a directory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from edged.host.clocks import NANOSECONDS
from edged.host.files.filesystem import Descriptor, read_directory
from edged.host.interface import Err
from edged.host.output import OutputSink
from edged.host.poll import Waitable
from edged.host.preview1.abi import Errno, Failure, FileType
from edged.host.streams import CLOSED, Sink, Source
from edged.limits import FILE_READ_BYTES_MAX, READ_CHUNK_BYTES, WRITE_BUFFER_BYTES

_OFFSET_MAX = (1 << 63) - 1


class Stat(NamedTuple):
    """`filestat`, as far as it differs from one thing to the next. Size in bytes, time in nanoseconds since 1970."""

    inode: int
    file_type: FileType
    size: int
    modified_ns: int


class Opened:
    """Base: what a guest may not do with it is `BADF`, as for a descriptor that was not opened for that.

    Attributes:
        flags: `fdflags`.
        rights: `rights` that C libraries look at before they try.
        preopened: it is a directory that was there from the start.
    """

    file_type = FileType.UNKNOWN
    preopened = False

    def __init__(self, flags: int = 0, rights: int = 0) -> None:
        self.flags = flags
        self.rights = rights

    def read(self, bytes_max: int) -> bytes | None:  # noqa: ARG002
        """Bytes, none at the end; None where the guest has to wait."""
        raise Failure(Errno.BADF)

    def read_at(self, bytes_max: int, offset: int) -> bytes:  # noqa: ARG002
        raise Failure(Errno.SPIPE)

    def write_capacity(self) -> int:
        """How many bytes `write` takes now; 0 where the guest has to wait."""
        raise Failure(Errno.BADF)

    def write(self, data: bytes) -> None:  # noqa: ARG002
        raise Failure(Errno.BADF)

    def seek(self, delta: int, whence: int) -> int:  # noqa: ARG002
        """The new offset, in bytes."""
        raise Failure(Errno.SPIPE)

    def waitable(self) -> Waitable | None:
        """What tells that reading, or writing, can go on; None where it always can."""
        return None

    def descriptor(self) -> Descriptor:
        """The file or directory of wasi:filesystem behind it."""
        raise Failure(Errno.BADF)

    def directory(self) -> Directory:
        raise Failure(Errno.NOTDIR)

    def stat(self) -> Stat:
        return Stat(0, self.file_type, 0, 0)

    def close(self) -> None:
        """Release it."""


class Input(Opened):
    """A stream to read."""

    def __init__(self, source: Source, rights: int) -> None:
        super().__init__(rights=rights)
        self._source = source

    def read(self, bytes_max: int) -> bytes | None:
        try:
            return self._source.read(min(bytes_max, READ_CHUNK_BYTES)) or None
        except Err as err:
            if err.value == CLOSED:
                return b""
            raise

    def waitable(self) -> Waitable:
        return self._source

    def close(self) -> None:
        self._source.close()


class Output(Opened):
    """A stream to write."""

    def __init__(self, sink: Sink, rights: int) -> None:
        super().__init__(rights=rights)
        self._sink = sink

    def write_capacity(self) -> int:
        return self._sink.capacity()

    def write(self, data: bytes) -> None:
        self._sink.write(data)

    def waitable(self) -> Waitable:
        return self._sink

    def close(self) -> None:
        self._sink.close()


class Log(Opened):
    """The guest's log, which bounds itself and never makes it wait."""

    def __init__(self, output: OutputSink, rights: int) -> None:
        super().__init__(rights=rights)
        self._output = output

    def write_capacity(self) -> int:
        return WRITE_BUFFER_BYTES

    def write(self, data: bytes) -> None:
        self._output.write(data)


class File(Opened):
    """A regular file and where in it the guest is."""

    file_type = FileType.REGULAR_FILE

    def __init__(self, descriptor: Descriptor, flags: int, rights: int) -> None:
        super().__init__(flags, rights)
        self._descriptor = descriptor
        self._offset = 0

    def read(self, bytes_max: int) -> bytes:
        data = self.read_at(bytes_max, self._offset)
        self._offset += len(data)
        return data

    def read_at(self, bytes_max: int, offset: int) -> bytes:
        return self._descriptor.read(min(bytes_max, FILE_READ_BYTES_MAX), offset)[0]

    def seek(self, delta: int, whence: int) -> int:
        match whence:
            case 0:
                base = 0
            case 1:
                base = self._offset
            case 2:
                base = self._descriptor.stat().size
            case _:
                raise Failure(Errno.INVAL)
        if not 0 <= base + delta <= _OFFSET_MAX:
            raise Failure(Errno.INVAL)
        self._offset = base + delta
        return self._offset

    def descriptor(self) -> Descriptor:
        return self._descriptor

    def stat(self) -> Stat:
        return stat_of(self._descriptor)

    def close(self) -> None:
        self._descriptor.drop()


class Directory(Opened):
    """A directory."""

    file_type = FileType.DIRECTORY

    def __init__(self, descriptor: Descriptor, flags: int, rights: int, *, preopened: bool = False) -> None:
        super().__init__(flags, rights)
        self.preopened = preopened
        self._descriptor = descriptor

    def read_at(self, bytes_max: int, offset: int) -> bytes:  # noqa: ARG002
        raise Failure(Errno.BADF)

    def seek(self, delta: int, whence: int) -> int:  # noqa: ARG002
        raise Failure(Errno.BADF)

    def entries(self, cookie: int) -> Iterator[tuple[bytes, FileType]]:
        """Names and types, from the entry of that number on. Numbers stay good: the tree never changes."""
        own = ((b".", FileType.DIRECTORY), (b"..", FileType.DIRECTORY))
        yield from own[cookie:]
        stream = read_directory(self._descriptor, max(cookie - len(own), 0))
        while (entry := stream.read_directory_entry()) is not None:
            yield entry[1].encode(), _file_type(entry[0])

    def descriptor(self) -> Descriptor:
        return self._descriptor

    def directory(self) -> Directory:
        return self

    def stat(self) -> Stat:
        return stat_of(self._descriptor)

    def close(self) -> None:
        self._descriptor.drop()


def stat_of(descriptor: Descriptor, path: str | None = None) -> Stat:
    """Raises Err: an error-code of wasi:filesystem."""
    if path is None:
        stat, identity = descriptor.stat(), descriptor.metadata_hash()
    else:
        stat, identity = descriptor.stat_at(frozenset(), path), descriptor.metadata_hash_at(frozenset(), path)
    modified = stat.data_modification_timestamp
    modified_ns = 0 if modified is None else modified.seconds * NANOSECONDS + modified.nanoseconds
    return Stat(identity.lower, _file_type(stat.type), stat.size, modified_ns)


def _file_type(name: str) -> FileType:
    return FileType.DIRECTORY if name == "directory" else FileType.REGULAR_FILE
