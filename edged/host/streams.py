"""`wasi:io/streams` and `wasi:io/error`.

`InputStream` and `OutputStream` are the guest's side, the same for every kind of stream. The other side is a `Source`
or a `Sink`: a request body, a file, stdout. Both are small and synchronous; only `wait` suspends.

There is no flush in a `Sink`. Written bytes are gathered, and the engine sends them before the guest waits for anything
and whenever it gives way to other guests, at the latest after two epoch ticks. So nothing is held back from the other
end, `flush` has nothing left to do but report a failure, and a small answer written in pieces leaves in one send.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar, Protocol

from edged.errors import GuestTrap
from edged.host.interface import Err, Interface, Resource, may_suspend
from edged.host.poll import Pollable, Waitable
from edged.limits import BLOCKING_WRITE_BYTES_MAX, READ_CHUNK_BYTES

CLOSED = "closed"
"""The stream-error for a stream that has ended: nothing more will come, or nothing more is taken."""


class IoError(Resource):
    """`wasi:io/error`'s `error`. Kinds of streams have subclasses that carry their own error code."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message

    def to_debug_string(self) -> str:
        return self.message


def operation_failed(error: IoError) -> Err:
    """The stream-error `last-operation-failed`, to raise."""
    return Err(("last-operation-failed", error))


class Source(Waitable, Protocol):
    """Where the bytes of an input stream come from."""

    def read(self, bytes_max: int) -> bytes:
        """What is there now, at most `bytes_max` bytes; empty when nothing is. Asked for 0 it only looks for the end.

        Raises:
            Err: a stream-error.
        """

    def close(self) -> None:
        """The guest dropped the stream. Pollables of it may live on."""


class Sink(Waitable, Protocol):
    """Where the bytes of an output stream go."""

    def capacity(self) -> int:
        """How many bytes `write` takes now; 0 when the guest has to wait.

        Raises:
            Err: a stream-error.
        """

    def write(self, data: bytes) -> None:
        """Take bytes, at most `capacity()` of them. Same errors."""

    def close(self) -> None:
        """The guest dropped the stream. Pollables of it may live on."""


class InputStream(Resource):
    """`resource input-stream`. One call gives at most `READ_CHUNK_BYTES`, however many the guest asks for."""

    __slots__ = ("source",)

    def __init__(self, source: Source) -> None:
        self.source = source

    def read(self, length: int) -> bytes:
        return self.source.read(length if length < READ_CHUNK_BYTES else READ_CHUNK_BYTES)

    @may_suspend
    def blocking_read(self, length: int) -> bytes | Coroutine[Any, Any, bytes]:
        # A read of nothing is answered at once: waiting for a byte that may not be taken would never end.
        data = self.read(length)
        return data if data or not length else self._wait_and_read(length)

    async def _wait_and_read(self, length: int) -> bytes:
        while True:
            await self.source.wait()
            if data := self.read(length):
                return data

    def skip(self, length: int) -> int:
        return len(self.read(length))

    @may_suspend
    def blocking_skip(self, length: int) -> int | Coroutine[Any, Any, int]:
        skipped = len(self.read(length))
        return skipped if skipped or not length else self._wait_and_skip(length)

    async def _wait_and_skip(self, length: int) -> int:
        return len(await self._wait_and_read(length))

    def subscribe(self) -> Pollable:
        return Pollable(self.source)

    def drop(self) -> None:
        self.source.close()


class OutputStream(Resource):
    """`resource output-stream`.

    The permit of `check-write` is what the sink takes at the moment of the write, so a guest that skips `check-write`
    is forgiven as long as it writes no more than would have been permitted.
    """

    __slots__ = ("sink",)

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def check_write(self) -> int:
        return self.sink.capacity()

    def write(self, contents: bytes) -> None:
        """Raises GuestTrap for more bytes than permitted."""
        sink = self.sink
        permitted = sink.capacity()
        if len(contents) > permitted:
            raise GuestTrap(f"output-stream.write of {len(contents)} bytes where {permitted} were permitted")
        sink.write(contents)

    def write_zeroes(self, length: int) -> None:
        """Raises GuestTrap for more bytes than permitted."""
        sink = self.sink
        permitted = sink.capacity()
        if length > permitted:
            raise GuestTrap(f"output-stream.write-zeroes of {length} bytes where {permitted} were permitted")
        sink.write(bytes(length))

    @may_suspend
    def blocking_write_and_flush(self, contents: bytes) -> Coroutine[Any, Any, None] | None:
        """Raises GuestTrap for more than `BLOCKING_WRITE_BYTES_MAX` bytes."""
        length = len(contents)
        if length > BLOCKING_WRITE_BYTES_MAX:
            raise GuestTrap(f"a blocking write of {length} bytes where {BLOCKING_WRITE_BYTES_MAX} are the most")
        sink = self.sink
        if length > sink.capacity():
            return self._wait_and_write(contents)
        sink.write(contents)
        return None

    async def _wait_and_write(self, contents: bytes) -> None:
        sink = self.sink
        while contents:
            await sink.wait()
            permitted = sink.capacity()
            sink.write(contents[:permitted])
            contents = contents[permitted:]

    @may_suspend
    def blocking_write_zeroes_and_flush(self, length: int) -> Coroutine[Any, Any, None] | None:
        """Raises GuestTrap for more than `BLOCKING_WRITE_BYTES_MAX` bytes."""
        # Cut before it is allocated; one byte over still traps.
        return self.blocking_write_and_flush(bytes(min(length, BLOCKING_WRITE_BYTES_MAX + 1)))

    def flush(self) -> None:
        self.sink.capacity()

    def blocking_flush(self) -> None:
        self.sink.capacity()

    def splice(self, src: InputStream, length: int) -> int:
        permitted = min(length, self.sink.capacity())
        if not permitted:
            return 0
        if data := src.read(permitted):
            self.sink.write(data)
        return len(data)

    @may_suspend
    def blocking_splice(self, src: InputStream, length: int) -> int | Coroutine[Any, Any, int]:
        spliced = self.splice(src, length)
        return spliced if spliced or not length else self._wait_and_splice(src, length)

    async def _wait_and_splice(self, src: InputStream, length: int) -> int:
        while True:
            await self.sink.wait()
            await src.source.wait()
            if spliced := self.splice(src, length):
                return spliced

    def subscribe(self) -> Pollable:
        return Pollable(self.sink)

    def drop(self) -> None:
        self.sink.close()


class IoErrors(Interface):
    """`wasi:io/error`."""

    wit: ClassVar[str] = "wasi:io/error"
    resources: ClassVar[Mapping[str, type[Resource]]] = {"error": IoError}


class Streams(Interface):
    """`wasi:io/streams`."""

    wit: ClassVar[str] = "wasi:io/streams"
    resources: ClassVar[Mapping[str, type[Resource]]] = {"input-stream": InputStream, "output-stream": OutputStream}
