"""One exchange on an HTTP/1.1 connection (RFC 9112).

What the handler writes is gathered; the head leaves with the first bytes that do. So an answer that is whole before
anything was flushed is one send with a content-length, and everything else is chunked, or, for HTTP/1.0, ends with the
connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from edged.errors import EdgedError
from edged.http.body import Body, encode_chunk
from edged.http.exchange import BodyError, ClientGone, Header
from edged.http.guard import Guarded
from edged.http.response import Response, check_trailers, encode_fields, encode_head
from edged.limits import BODY_TIMEOUT_S, DRAIN_BYTES_MAX, DRAIN_TIMEOUT_S, READ_CHUNK_BYTES, GuestLimits

if TYPE_CHECKING:
    from edged.http.connection import Connection

_BODY_BYTES_MAX = GuestLimits().request_body_bytes_max
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Http1Exchange(Response):
    """See `edged.http.exchange.Exchange`."""

    __slots__ = (
        "_body",
        "_body_error",
        "_chunked",
        "_connection",
        "_continue_owed",
        "_keep_alive",
        "_received",
        "request",
        "request_body_bytes_max",
    )

    def __init__(self, connection: Connection, guarded: Guarded, body: Body) -> None:
        request = guarded.request
        super().__init__(request.method)
        self.request = request
        self.request_body_bytes_max = _BODY_BYTES_MAX
        self._connection = connection
        self._body = body
        self._body_error: BodyError | None = None
        self._received = 0
        self._continue_owed = guarded.expects_continue
        self._keep_alive = guarded.keep_alive if request.http_version == "1.0" else not guarded.close
        self._chunked = False

    # --- the request body ---

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        assert bytes_max > 0
        body = self._body
        if body.complete:
            return b""
        if self._body_error is not None:
            raise self._body_error
        if self._received + (body.remaining() or 0) > self.request_body_bytes_max:
            raise self._fail_body(BodyError(413, f"the body is longer than {self.request_body_bytes_max} bytes"))
        try:
            data = body.take(self._connection.buffer, bytes_max)
        except BodyError as error:
            raise self._fail_body(error) from None
        if data:
            self._received += len(data)
            if self._received > self.request_body_bytes_max:
                raise self._fail_body(BodyError(413, f"the body is longer than {self.request_body_bytes_max} bytes"))
            return data
        return None if self.unread else b""

    async def receive(self, bytes_max: int) -> bytes:
        connection = self._connection
        while True:
            data = self.receive_nowait(bytes_max)
            if data is not None:
                return data
            if self._continue_owed:
                self._continue_owed = False
                if not self._head_sent:
                    await self._send_interim(connection.transport.send_all(_CONTINUE))
            with trio.move_on_after(BODY_TIMEOUT_S) as scope:
                more = await connection.fill()
            if scope.cancelled_caught:
                raise self._fail_body(BodyError(408, f"no byte of the body came for {BODY_TIMEOUT_S} s"))
            if not more:
                raise ClientGone("the client ended its side before the body's end")

    def request_trailers(self) -> Sequence[Header]:
        return self._body.trailers

    def _fail_body(self, error: BodyError) -> BodyError:
        """Remember that nobody knows any more where the next request starts."""
        self._body_error = error
        self._keep_alive = False
        return error

    # --- the response ---

    async def flush(self) -> None:
        if self._interim is not None:
            await self._interim.wait()
        data = self._take()
        head = b"" if self._head_sent else self._start(whole=None, trailers=False)
        if data and self._chunked:
            data = encode_chunk(data)
        if head or data:
            await self._connection.transport.send_all(head + data)
        # Where the socket took everything at once nothing yielded yet, and others wait.
        await trio.lowlevel.checkpoint()

    async def finish(self, trailers: Sequence[Header] = ()) -> None:
        assert not self._finished, "finish ends the exchange"
        self._check_whole()
        fields = check_trailers(trailers) if trailers else ()
        if self._interim is not None:
            await self._interim.wait()
        data = self._take()
        head = b"" if self._head_sent else self._start(whole=len(data), trailers=bool(fields))
        if self._chunked:
            data = b"%b0\r\n%b\r\n" % (encode_chunk(data) if data else b"", encode_fields(fields))
        self._finished = True
        await self._connection.transport.send_all(head + data)

    def abort(self) -> None:
        self._keep_alive = False
        # Without framing the end of the stream would look like the end of the body: only a reset tells.
        framed = self._chunked or self._announced is not None or self._bodyless or not self._head_sent
        self._connection.transport.cut(reset=not framed)

    def _start(self, *, whole: int | None, trailers: bool) -> bytes:
        """The head, and with it the decision how the body and the connection end.

        Args:
            whole: the body's length, where nothing will follow what was gathered.
        """
        self._head_sent = True
        version_1_0 = self.request.http_version == "1.0"
        framing = b""
        if self._bodyless:
            if self._announced is not None and self._status != 204:
                framing = b"content-length: %d\r\n" % self._announced
        elif self._announced is not None:
            framing = b"content-length: %d\r\n" % self._announced
        elif whole is not None and (not trailers or version_1_0):
            framing = b"content-length: %d\r\n" % whole
        elif not version_1_0:
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        else:
            self._keep_alive = False
        if self._connection.closing or (whole is not None and self._too_much_unread()):
            self._keep_alive = False
        if not self._keep_alive:
            framing += b"connection: close\r\n"
        elif version_1_0:
            framing += b"connection: keep-alive\r\n"
        if self._connection.alt_svc is not None:
            framing += b"alt-svc: %b\r\n" % self._connection.alt_svc
        return encode_head(self._status, self._headers, framing)

    # --- after the handler ---

    async def conclude(self, failure: EdgedError | None) -> bool:
        """Answer for a handler that did not, and read what it left unread.

        Returns:
            Whether the connection can carry another exchange.

        Raises:
            ClientGone
        """
        whole = await super().conclude(failure)
        return whole and self._keep_alive and (self._body.complete or await self._drain())

    @property
    def unread(self) -> bool:
        """Whether some of the request body is still in the buffer or on the wire."""
        return not self._body.complete

    def _too_much_unread(self) -> bool:
        if self._body.complete:
            return False
        # A client that was not told to continue may send its body or not: nobody knows what comes next.
        return self._continue_owed or (self._body.remaining() or 0) > DRAIN_BYTES_MAX

    async def _drain(self) -> bool:
        """Swallow the rest of the request body, within reason; True if the next request can be found."""
        if self._too_much_unread():
            return False
        budget = DRAIN_BYTES_MAX
        with trio.move_on_after(DRAIN_TIMEOUT_S), suppress(BodyError):
            while self.unread and budget > 0:
                budget -= len(await self.receive(READ_CHUNK_BYTES))
        return not self.unread
