"""Outgoing bodies of `wasi:http/types`: outgoing-body.

    guest -> output-stream -> BodySink -> BodyWriter -> client

A `BodySink` may be written to before anyone has attached a writer: a guest may write the body of a response first and
set the response afterwards. The body of a request never gets a writer: it is taken out at the other side
(`edged.host.http.request_body`), and what a sink gathers without a writer is the bounded buffer between both tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import trio

from edged.errors import GuestTrap
from edged.host.budget import Budget
from edged.host.http.error import ErrorCode, HttpFailure
from edged.host.http.fields import Fields
from edged.host.interface import Err, Resource
from edged.host.streams import CLOSED, OutputStream, operation_failed
from edged.http.exchange import ClientGone, Header
from edged.limits import BODY_WRITE_BYTES_MAX


class BodyWriter(Protocol):
    """Where a body goes. See `Exchange` for the contract.

    A cancelled `flush` may lose bytes. Only the end of the request cancels one: before a guest waits for anything its
    output was sent (`HttpCall.settle`), so that a sink with a writer is ready and `poll` never races its flush.
    """

    def write_capacity(self) -> int: ...

    def write(self, data: bytes) -> None: ...

    async def flush(self) -> None: ...


class BodySink:
    """The sink of an outgoing body's stream, and what became of the body.

    Args:
        length: of the content-length header, in bytes. The body must have exactly that.
        bytes_max: what the operator allows.
        size_case: the error-code case for a body of the wrong size, whose payload is the size in bytes.
        budget: pays for what is held here; None where the writer's back-pressure is bound enough.
    """

    __slots__ = (
        "_ahead",
        "_ahead_bytes",
        "_budget",
        "_changed",
        "_limit",
        "_size_case",
        "_writer",
        "aborted",
        "dirty",
        "error_code",
        "finished",
        "gone",
        "length",
        "may_be_absent",
        "streaming",
        "trailers",
        "written",
    )

    def __init__(self, length: int | None, bytes_max: int, size_case: str, budget: Budget | None = None) -> None:
        self._budget = budget
        self.length = length
        """Announced in bytes, or None."""
        self._limit = bytes_max if length is None else min(length, bytes_max)
        self._size_case = size_case
        self._writer: BodyWriter | None = None
        self._ahead: deque[bytes] = deque()
        self._ahead_bytes = 0
        self._changed: trio.Event | None = None
        self.written = 0
        """Bytes taken from the guest."""
        self.dirty = False
        """Something waits to be sent: bytes, or the head of the message."""
        self.may_be_absent = False
        """The message may announce a content-length and have no body: an answer to HEAD, a 304."""
        self.streaming = False
        """The guest holds a stream of this sink. A pollable that outlives the stream is ready."""
        self.finished = False
        self.aborted = False
        """The guest dropped the body, or its size was wrong: the message is incomplete."""
        self.gone = False
        """Nobody is there to take the body."""
        self.error_code: ErrorCode | None = None
        self.trailers: Sequence[Header] = ()

    # --- the guest's side ---

    def ready(self) -> bool:
        return not self.streaming or self.aborted or self.gone or self._room() > 0

    async def wait(self) -> None:
        while not self.ready():
            if self._writer is None:
                await self._change()
            else:
                await self.drain()

    def capacity(self) -> int:
        if self.gone or self.aborted:
            raise Err(CLOSED)
        return self._room()

    def write(self, data: bytes) -> None:
        if not data:
            return
        written = self.written + len(data)
        if written > self._limit:
            raise operation_failed(HttpFailure(self._fail(written)))
        self.written = written
        self.dirty = True
        writer = self._writer
        if writer is not None:
            room = writer.write_capacity()
            if len(data) <= room:
                writer.write(data)
                return
            writer.write(data[:room])
            data = data[room:]
        self._hold(len(data))
        self._ahead.append(data)
        self._note_change()

    def close(self) -> None:
        self.streaming = False

    def finish(self, trailers: Fields | None) -> None:
        """The guest says that the body is whole.

        Raises:
            Err: an error-code; the body is aborted.
        """
        if self.error_code is not None:
            raise Err(self.error_code)
        if self.length not in (None, self.written) and not (self.may_be_absent and not self.written):
            raise Err(self._fail(self.written))
        if trailers is not None:
            self.trailers = trailers.trailers()
        self.finished = True
        self._note_change()

    def abort(self) -> None:
        """The guest dropped the body. Nothing if it had finished it."""
        if not self.finished:
            self.aborted = True
            self._forget()
            self._note_change()

    # --- the other side ---

    @property
    def held(self) -> bool:
        """Bytes are kept here that the writer had no room for."""
        return bool(self._ahead)

    def attach(self, writer: BodyWriter) -> None:
        """Give the body its way out. Called once."""
        self._writer = writer
        self.dirty = True
        self._push()
        self._note_change()

    async def drain(self) -> None:
        """Send all that was gathered, here and in the writer. Sets `gone` instead of raising."""
        writer = self._writer
        assert writer is not None
        left = True
        try:
            while left:
                left = self._push()
                await writer.flush()
        except ClientGone:
            self.gone = True
        self.dirty = False

    def take(self, bytes_max: int) -> bytes:
        """Take gathered bytes out, for a sink without a writer; empty where nothing was gathered."""
        pieces: list[bytes] = []
        room = bytes_max
        ahead = self._ahead
        while ahead and room:
            data = ahead.popleft()
            if len(data) > room:
                ahead.appendleft(data[room:])
                data = data[:room]
            pieces.append(data)
            room -= len(data)
        self._hold(room - bytes_max)
        if pieces:
            self._note_change()
        return b"".join(pieces)

    def leave(self) -> None:
        """Nobody takes any more: what was gathered is gone, and what the guest still writes is refused."""
        self.gone = True
        self._forget()
        self._note_change()

    async def wait_changed(self) -> None:
        """Return when the guest has written, finished or aborted, or something was taken."""
        await self._change()

    async def wait_ended(self) -> None:
        """Return when the guest finished or aborted the body."""
        while not (self.finished or self.aborted):
            await self._change()

    # --- inside ---

    def _room(self) -> int:
        writer = self._writer
        if writer is None:
            return BODY_WRITE_BYTES_MAX - self._ahead_bytes
        # All or nothing, and more than the writer's own buffer: JS guests write a whole body of up to 1 MiB in one call
        # and do not look at the permit. What the writer has no room for is kept here until it has.
        return BODY_WRITE_BYTES_MAX if not self._ahead and writer.write_capacity() > 0 else 0

    def _push(self) -> bool:
        """Move what is gathered here to the writer, as far as it has room. True when some is left."""
        writer, ahead = self._writer, self._ahead
        assert writer is not None
        while ahead and (room := writer.write_capacity()) > 0:
            data = ahead.popleft()
            if len(data) > room:
                ahead.appendleft(data[room:])
                data = data[:room]
            writer.write(data)
            self._hold(-len(data))
        return bool(ahead)

    def _hold(self, count_bytes: int) -> None:
        if self._budget is not None:
            self._budget.hold_body(count_bytes)
        self._ahead_bytes += count_bytes

    def _forget(self) -> None:
        self._ahead.clear()
        self._hold(-self._ahead_bytes)

    def _fail(self, size: int) -> ErrorCode:
        self.aborted = True
        self.error_code = code = (self._size_case, size)
        self._note_change()
        return code

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def _note_change(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


class OutgoingBody(Resource):
    """`resource outgoing-body`."""

    __slots__ = ("_streamed", "sink")

    def __init__(self, sink: BodySink) -> None:
        self.sink = sink
        self._streamed = False

    def write(self) -> OutputStream:
        """Raises Err the second time."""
        if self._streamed:
            raise Err
        self._streamed = self.sink.streaming = True
        return OutputStream(self.sink)

    def finish(self, trailers: Fields | None) -> None:
        """The static `finish`, which consumes the body.

        Raises:
            GuestTrap: the body's stream is still open.
            Err: an error-code.
        """
        if self.sink.streaming:
            raise GuestTrap("outgoing-body.finish was called while the body's stream was open")
        self.sink.finish(trailers)

    def drop(self) -> None:
        self.sink.abort()
