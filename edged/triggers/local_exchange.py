"""One request from a component to another of the same process: what the callee has of it is an `Exchange`.

    caller -- RequestBody --> LocalExchange.receive ---------------> callee
    caller <- ResponseBody -- LocalResponseBody <- LocalExchange.write -'

The two run in tasks of their own. What is under way between them is bounded as on a socket: a callee that writes faster
than its caller reads waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import trio

from edged.host.http.error import ErrorCode, HttpError
from edged.host.http.transport import InboundResponse, RequestBody, Respond
from edged.http.exchange import OURS, BodyError, ClientGone, Header, RequestHead
from edged.http.response import Response, check_trailers
from edged.limits import WRITE_BUFFER_BYTES, WRITE_TIMEOUT_S, GuestLimits

_BODY_BYTES_MAX = GuestLimits().request_body_bytes_max


class LocalExchange(Response):
    """See `edged.http.exchange.Exchange`.

    Args:
        respond: called once, when the callee's response begins.
    """

    __slots__ = ("_received", "_request_body", "_respond", "_response_body", "request", "request_body_bytes_max")

    def __init__(self, request: RequestHead, body: RequestBody | None, respond: Respond) -> None:
        super().__init__(request.method)
        self.request = request
        self.request_body_bytes_max = _BODY_BYTES_MAX
        self._request_body = body
        self._received = 0
        self._respond = respond
        self._response_body = LocalResponseBody()

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        if self._request_body is None:
            return b""
        data = self._request_body.receive_nowait(bytes_max)
        return None if data is None else self._count(data)

    async def receive(self, bytes_max: int) -> bytes:
        if self._request_body is None:
            return b""
        return self._count(await self._request_body.receive(bytes_max))

    def request_trailers(self) -> Sequence[Header]:
        sent = () if self._request_body is None else self._request_body.trailers()
        return [field for field in sent if not field[0].startswith(OURS)]

    async def flush(self) -> None:
        data = self._take()
        self._start()
        if data:
            await self._response_body.put(data)

    async def finish(self, trailers: Sequence[Header] = ()) -> None:
        assert not self._finished, "finish ends the exchange"
        self._check_whole()
        fields = check_trailers(trailers) if trailers and not self._bodyless else ()
        if not self._head_sent and self._announced is None and not self._bodyless and not fields:
            self._announced = self._written
        self._finished = True
        data = self._take()
        self._start()
        # At once, so that a caller that reads a small answer never waits for its end.
        self._response_body.end(data, fields)

    def abort(self) -> None:
        self._response_body.fail("HTTP-response-incomplete")

    def leave(self) -> None:
        """The callee is gone, since its caller was: nothing comes after what has come."""
        if not self._finished:
            self.abort()

    def _count(self, data: bytes) -> bytes:
        self._received += len(data)
        if self._received > self.request_body_bytes_max:
            raise BodyError(413, f"the body is longer than {self.request_body_bytes_max} bytes")
        return data

    def _start(self) -> None:
        if self._head_sent:
            return
        self._head_sent = True
        headers = list(self._headers)
        if self._announced is not None and self._status != 204:
            headers.append((b"content-length", b"%d" % self._announced))
        self._respond(InboundResponse(self._status, headers, self._response_body))


class LocalResponseBody:
    """The caller's side is `edged.host.http.transport.ResponseBody`; `put`, `end`, `fail` are the callee's."""

    __slots__ = ("_closed", "_ended", "_error", "_news", "_pieces", "_room", "_size", "_trailers")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._closed = False
        self._error: ErrorCode | None = None
        self._trailers: Sequence[Header] = ()
        self._news = trio.Event()
        self._room = trio.Event()

    # --- the caller's side ---

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        if not self._pieces:
            if self._error is not None:
                raise HttpError(self._error)
            return b"" if self._ended else None
        data = self._pieces.popleft()
        if len(data) > bytes_max:
            self._pieces.appendleft(data[bytes_max:])
            data = data[:bytes_max]
        self._size -= len(data)
        self._room.set()
        return data

    async def receive(self, bytes_max: int) -> bytes:
        while (data := self.receive_nowait(bytes_max)) is None:
            self._news = trio.Event()
            await self._news.wait()
        return data

    def trailers(self) -> Sequence[Header]:
        return self._trailers

    def close(self) -> None:
        self._closed = True
        self._room.set()

    # --- the callee's side ---

    async def put(self, data: bytes) -> None:
        """Add bytes; returns when there is room for more.

        Raises:
            ClientGone: the caller reads no more, or took nothing for `WRITE_TIMEOUT_S`.
        """
        self._add(data)
        while self._size >= WRITE_BUFFER_BYTES and not self._closed:
            self._room = trio.Event()
            with trio.move_on_after(WRITE_TIMEOUT_S) as scope:
                await self._room.wait()
            if scope.cancelled_caught:
                self.fail("connection-write-timeout")
                break
        if self._closed or self._error is not None:
            raise ClientGone("the calling component reads no more")

    def end(self, data: bytes, trailers: Sequence[Header]) -> None:
        """Add the last bytes. They wait for the caller for as long as it likes: they are bounded."""
        self._trailers = trailers
        self._ended = True
        self._add(data)

    def fail(self, error: ErrorCode) -> None:
        """The body ends here, and is not whole. The first reason counts."""
        self._error = self._error or error
        self._news.set()

    def _add(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)
        self._news.set()
