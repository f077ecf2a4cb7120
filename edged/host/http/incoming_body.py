"""Incoming bodies of `wasi:http/types`: incoming-body and future-trailers.

    client or server -> BodyReader -> BodySource -> input-stream    -> guest
                                                 -> future-trailers -> guest

The guest reads the stream, or has given it up and waits for the trailers; never both at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from edged.errors import GuestTrap
from edged.host.http.error import ErrorCode, HttpError, HttpFailure, code_of
from edged.host.http.fields import Fields
from edged.host.interface import Err, Ok, Resource
from edged.host.poll import Pollable
from edged.host.streams import CLOSED, InputStream, operation_failed
from edged.http.exchange import BodyError, ClientGone, Header
from edged.limits import BODY_DISCARD_READS, READ_CHUNK_BYTES


class BodyReader(Protocol):
    """Where a body comes from: an `Exchange`, whose contract it is, or a `ResponseBody`.

    Cancelling `receive` must not lose bytes.
    """

    async def receive(self, bytes_max: int) -> bytes: ...

    def receive_nowait(self, bytes_max: int) -> bytes | None: ...


class BodySource:
    """The source of an incoming body's stream. How large a body may be is the reader's affair."""

    __slots__ = ("_ahead", "_reader", "_reported", "ended", "error_code", "streaming")

    def __init__(self, reader: BodyReader) -> None:
        self._reader = reader
        self._ahead = memoryview(b"")
        self._reported = False
        self.ended = False
        """No more bytes come from the reader."""
        self.error_code: ErrorCode | None = None
        """Why the body ended before its end."""
        self.streaming = False
        """The guest holds a stream of this source. A pollable that outlives the stream is ready."""

    # --- the stream ---

    def ready(self) -> bool:
        return not self.streaming or self._filled()

    async def wait(self) -> None:
        if not self.ready():
            await self._fill()

    def read(self, bytes_max: int) -> bytes:
        if not bytes_max and (not self._filled() or self._ahead):
            return b""
        ahead = self._ahead
        if ahead:
            self._ahead = ahead[bytes_max:]
            return bytes(ahead[:bytes_max])
        if not self.ended:
            data = self._pull(bytes_max)
            if not self.ended:
                return data
        if self.error_code is not None and not self._reported:
            self._reported = True
            raise operation_failed(HttpFailure(self.error_code))
        raise Err(CLOSED)

    def close(self) -> None:
        self.streaming = False

    # --- the trailers ---

    def discard(self) -> bool:
        """Throw away some of what is there now, on the way to the end. True when that is reached."""
        for _ in range(BODY_DISCARD_READS):
            if not self._filled() or self.ended:
                break
            self._ahead = memoryview(b"")
        return self.ended

    async def wait_ended(self) -> None:
        while not self.discard():
            await trio.lowlevel.checkpoint()  # there may be more, which nobody waits for
            await self._fill()

    # --- inside ---

    def _filled(self) -> bool:
        """Something is there to read, or the end is known."""
        if not self._ahead and not self.ended:
            self._ahead = memoryview(self._pull(READ_CHUNK_BYTES))
        return self.ended or bool(self._ahead)

    async def _fill(self) -> None:
        try:
            self._ahead = memoryview(self._take(await self._reader.receive(READ_CHUNK_BYTES)))
        except (BodyError, ClientGone, HttpError) as error:
            self._fail(code_of(error))

    def _pull(self, bytes_max: int) -> bytes:
        """What is there now: empty when nothing is, or when that was the end."""
        try:
            data = self._reader.receive_nowait(bytes_max)
        except (BodyError, ClientGone, HttpError) as error:
            self._fail(code_of(error))
            return b""
        return b"" if data is None else self._take(data)

    def _take(self, data: bytes) -> bytes:
        if not data:
            self.ended = True
        return data

    def _fail(self, code: ErrorCode) -> None:
        self.ended = True
        self.error_code = code


class FutureTrailers(Resource):
    """`resource future-trailers`. Reading it to the end throws away what is left of the body."""

    __slots__ = ("_body", "_consumed")

    def __init__(self, body: IncomingBody) -> None:
        self._body = body
        self._consumed = False

    def ready(self) -> bool:
        return self._body.source.discard()

    async def wait(self) -> None:
        await self._body.source.wait_ended()

    def subscribe(self) -> Pollable:
        return Pollable(self)

    def get(self) -> Ok | Err | None:
        """`option<result<result<option<trailers>, error-code>>>`: the answer once, an error from then on."""
        if self._consumed:
            return Err()
        if not self.ready():
            return None
        self._consumed = True
        body = self._body
        if body.source.error_code is not None:
            return Ok(Err(body.source.error_code))
        trailers = Fields.received(body.trailers())
        return Ok(Ok(trailers if trailers.entries() else None))

    def drop(self) -> None:
        self._body.drop()


class IncomingBody(Resource):
    """`resource incoming-body`.

    Args:
        trailers: gives the trailer fields once the reader is at its end.
        on_drop: called when the guest is no longer interested in the body nor its trailers.
    """

    __slots__ = ("_on_drop", "_streamed", "source", "trailers")

    def __init__(
        self,
        source: BodySource,
        trailers: Callable[[], Sequence[Header]],
        on_drop: Callable[[], None] | None = None,
    ) -> None:
        self.source = source
        self.trailers = trailers
        self._on_drop = on_drop
        self._streamed = False

    def stream(self) -> InputStream:
        """Raises Err the second time."""
        if self._streamed:
            raise Err
        self._streamed = self.source.streaming = True
        return InputStream(self.source)

    def finish(self) -> FutureTrailers:
        """The static `finish`, which consumes the body.

        Raises:
            GuestTrap: the body's stream is still open.
        """
        if self.source.streaming:
            raise GuestTrap("incoming-body.finish was called while the body's stream was open")
        return FutureTrailers(self)

    def drop(self) -> None:
        if self._on_drop is not None:
            self._on_drop()
