"""One HTTP/1.1 connection to a server (RFC 9112), over h11.

    send(), in one task:            Upload ──► h11 ──► wire
    in another:          Http1ResponseBody ◄── h11 ◄── wire

h11 keeps the state of both directions. When both are over and nothing is left on the wire, the connection goes back to
its pool; when either fails, or its owner lets go before the end, it is closed. The wire is read only as fast as the
response's body is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import h11
import trio

from edged.host.http.error import CONNECTION_TERMINATED, HttpError
from edged.host.http.transport import InboundResponse, OutboundRequest, Respond
from edged.host.http_client.failure import (
    HEAD_TOO_LARGE,
    INCOMPLETE,
    PROTOCOL_ERROR,
    READ_TIMEOUT,
    WRITE_TIMEOUT,
    failure_of,
    failure_of_response,
)
from edged.host.http_client.response_body import Http1ResponseBody
from edged.host.http_client.upload import Upload
from edged.host.http_client.wire import Origin, Wire
from edged.http.exchange import ClientGone
from edged.limits import (
    HEADER_BYTES_MAX,
    HEADER_COUNT_MAX,
    HTTP_CLIENT_INTERIM_COUNT_MAX,
    READ_CHUNK_BYTES,
    WRITE_TIMEOUT_S,
)

_OVER = frozenset({h11.DONE, h11.MUST_CLOSE, h11.CLOSED})
_LINES_MAX = HEADER_COUNT_MAX + 2  # of a head: the status before its fields, and the blank line after them
_match_lines = re.compile(rb"(?:[^\n]*+\n){%d}" % _LINES_MAX).match


class ConnectionLost(HttpError):
    """The server closed the connection before the first byte of its response.

    Attributes:
        repeatable: it had served a request before, and nothing of this request's body was taken: the server may have
            closed it without having seen the request.
    """

    def __init__(self, *, repeatable: bool) -> None:
        super().__init__(CONNECTION_TERMINATED)
        self.repeatable = repeatable


class Connection:
    """One connection; one request at a time.

    Args:
        on_reusable, on_closed: called with it, one of them once for each request.
    """

    __slots__ = (
        "_busy",
        "_closed",
        "_eof",
        "_failure",
        "_fed",
        "_h11",
        "_in_lines",
        "_last",
        "_lines",
        "_on_closed",
        "_on_reusable",
        "_received",
        "_reusable",
        "_sending",
        "_served",
        "_taken",
        "_wire",
        "origin",
    )

    def __init__(
        self,
        wire: Wire,
        origin: Origin,
        on_reusable: Callable[[Connection], None],
        on_closed: Callable[[Connection], None],
    ) -> None:
        self.origin = origin
        self._wire = wire
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_BYTES_MAX)
        self._on_reusable = on_reusable
        self._on_closed = on_closed
        self._served = 0  # requests, up to the response's head
        self._busy = False  # from a request's beginning until both directions are over
        self._sending = False
        self._closed = False
        self._eof = False
        self._reusable = True
        self._failure: HttpError | None = None
        self._last = b""  # received last
        self._fed = 0  # how much of that was given to h11
        self._in_lines = True  # what comes next may be lines: a head, chunks, trailers
        self._lines = 0  # given to h11 since its last event
        self._received = False  # a byte of the response
        self._taken = False  # a byte of the request's body

    # --- for the pool ---

    def stale(self) -> bool:
        return self._wire.readable()

    def close(self) -> None:
        """Close the wire. Does not call `on_closed`: that is for who is not the pool, in `abandon`."""
        self._closed = True
        self._wire.close()

    def abandon(self, failure: HttpError | None = None) -> None:
        """Close it in the middle of a request. Idempotent; nothing once the request is over.

        Args:
            failure: what who reads the response's body is told.
        """
        if self._busy:
            self._busy = False
            self._failure = self._failure or failure
            self.close()
            self._on_closed(self)

    # --- a request ---

    async def send(self, request: OutboundRequest, respond: Respond) -> None:
        """As `edged.host.http.transport.Transport.send`. If it fails, or is cancelled, the connection is closed.

        Raises:
            ConnectionLost: and other HttpErrors.
            ClientGone: the request's body was dropped.
        """
        self._busy = self._sending = True
        self._received = self._taken = False
        self._in_lines = True
        try:
            await self._send(request, respond)
        except HttpError as error:
            self.abandon(error)
            raise
        except BaseException:
            self.abandon()
            raise
        self._served += 1
        self._sending = False
        self.settle()

    async def _send(self, request: OutboundRequest, respond: Respond) -> None:
        upload = Upload(self._h11, request)
        data = upload.start()
        self._taken = upload.taken
        if upload.complete:
            # Mostly so: the request is one send, and nothing has to go on beside the response.
            with trio.move_on_after(request.timeouts.first_byte_s) as scope:
                await self._write(data)
                response = await self._receive_head(request)
            if scope.cancelled_caught:
                raise HttpError(READ_TIMEOUT)
            respond(response)
            return
        failure: list[HttpError | ClientGone] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._upload, upload, data, failure, nursery.cancel_scope)
            try:
                with trio.move_on_after(request.timeouts.first_byte_s) as scope:
                    response = await self._receive_head(request)
                if scope.cancelled_caught:
                    raise HttpError(READ_TIMEOUT)
                respond(response)
            except HttpError as error:
                failure.append(error)
                nursery.cancel_scope.cancel()
        if failure:
            raise failure[0]

    async def _upload(
        self, upload: Upload, data: bytes, failure: list[HttpError | ClientGone], others: trio.CancelScope
    ) -> None:
        """Send the body while it comes, as far as the server takes it."""
        try:
            while await self._write(data) and not upload.complete:
                data = await upload.wait_next()
                self._taken = upload.taken
        except (HttpError, ClientGone) as error:
            failure.append(error)
            others.cancel()

    async def _write(self, data: bytes) -> bool:
        """False when the server takes no more. It may have answered all the same, so that is no failure yet."""
        try:
            with trio.move_on_after(WRITE_TIMEOUT_S) as scope:
                await self._wire.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._reusable = False
            return False
        if scope.cancelled_caught:
            raise HttpError(WRITE_TIMEOUT)
        return True

    async def _receive_head(self, request: OutboundRequest) -> InboundResponse:
        interim = 0
        while True:
            event = self._next_event(in_head=True)
            if event is h11.NEED_DATA:
                await self.fill()
            elif isinstance(event, h11.InformationalResponse):
                interim += 1
                if interim > HTTP_CLIENT_INTERIM_COUNT_MAX:
                    raise HttpError(PROTOCOL_ERROR)
            elif isinstance(event, h11.Response):
                return self._response(request, event)
            else:
                raise self._lost()

    def _response(self, request: OutboundRequest, head: h11.Response) -> InboundResponse:
        headers = list(head.headers)
        if len(headers) > HEADER_COUNT_MAX:
            raise HttpError(HEAD_TOO_LARGE)
        lengths = [value for name, value in headers if name == b"content-length"]
        self._in_lines = any(name == b"transfer-encoding" for name, _ in headers)
        if lengths and self._in_lines:
            # RFC 9112 6.3: the framing that another recipient might read differently ends the connection.
            self._reusable = False
        without_body = request.method == "HEAD" or head.status_code in (204, 304)
        if lengths and not without_body and int(lengths[0]) > request.response_body_bytes_max:
            raise HttpError(("HTTP-response-body-size", int(lengths[0])))
        body = Http1ResponseBody(self, request.timeouts.between_bytes_s, request.response_body_bytes_max)
        return InboundResponse(head.status_code, headers, body)

    # --- what the response's body uses ---

    async def fill(self) -> None:
        """Receive what comes next. After the end it returns at once.

        Raises:
            HttpError: the connection broke.
        """
        if self._eof:
            return
        try:
            data = await self._wire.receive_some(READ_CHUNK_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            failure = self._failure or failure_of(error)
            # TLS 1.3 refuses a client's certificate after the handshake: an alert is more than a connection that broke.
            if failure.code == CONNECTION_TERMINATED and self._failure is None and not self._received:
                failure = self._lost()
            raise failure from None
        self._received = self._received or bool(data)
        self._eof = not data
        if data:
            self._last, self._fed = bytes(data), 0
        else:
            self._h11.receive_data(b"")

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Of the response's body.

        Raises:
            HttpError: the response is not HTTP, or ended before its end; the connection is closed.
        """
        if self._closed:
            raise self._failure or HttpError(CONNECTION_TERMINATED)
        try:
            return self._next_event(in_head=False)
        except HttpError as error:
            self.abandon(error)
            raise

    def settle(self) -> None:
        """Once both directions are over: back to the pool, or closed if that cannot be."""
        if not self._busy or self._sending or self._h11.their_state not in _OVER:
            return
        protocol = self._h11
        # Bytes that nobody asked for would be read as the next response.
        clean = self._reusable and not self._eof and self._fed == len(self._last) and not protocol.trailing_data[0]
        if clean and protocol.our_state is h11.DONE and protocol.their_state is h11.DONE:
            self._busy = False
            protocol.start_next_cycle()
            self._last, self._fed = b"", 0  # an idle connection holds no memory
            self._on_reusable(self)
        else:
            self.abandon()

    def _next_event(self, *, in_head: bool) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                if self._eof:
                    raise (HttpError(INCOMPLETE) if self._received else self._lost()) from None
                raise failure_of_response(error, in_head=in_head) from None
            if event is not h11.NEED_DATA:
                self._lines = 0
                return event
            if self._fed == len(self._last):
                return event
            if not self._feed():
                raise HttpError(HEAD_TOO_LARGE if in_head else PROTOCOL_ERROR)

    def _feed(self) -> bool:
        """Give h11 more of what was received. False where that would be more lines than a head may have.

        h11 bounds the size of a head, but not its lines, of which it takes 4 us each: 128 KiB of the shortest would
        hold the loop for 100 ms.
        """
        data, start = self._last, self._fed
        end = len(data)
        if self._in_lines:
            if match := _match_lines(data, start):
                end = match.end()
            self._lines += data.count(b"\n", start, end)
        self._fed = end
        self._h11.receive_data(data[start:end])
        return self._lines <= _LINES_MAX

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(repeatable=self._served > 0 and not self._taken)
