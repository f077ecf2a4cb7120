"""One exchange on a stream of something that carries many: an HTTP/2 connection, or hypercorn's ASGI interface.

The carrier pushes request bytes in (`feed`, `end`, `lose`) and is asked to send. What was fed and not yet received is
bounded by the carrier's flow control, which gets its credit back when the handler takes the bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import trio

from edged.http.exchange import BodyError, ClientGone, Header
from edged.http.guard import CHUNKED, Guarded
from edged.http.response import Response, check_trailers, date_value, dated
from edged.limits import BODY_TIMEOUT_S, GuestLimits

_BODY_BYTES_MAX = GuestLimits().request_body_bytes_max


class Carrier(Protocol):
    """What an exchange asks of its stream. The coroutines raise ClientGone."""

    async def send_head(self, status: int, fields: Sequence[Header], *, end: bool) -> None:
        """Send the response head; `end`: no body follows."""

    async def send_continue(self) -> None:
        """Send `100 Continue`, where the carrier can."""

    async def send_data(self, data: bytes, *, end: bool) -> None:
        """Send body bytes, as fast as the client takes them; `end`: these were the last."""

    async def send_trailers(self, fields: Sequence[Header]) -> None:
        """End the response with trailer fields."""

    def credit(self, size: int) -> None:
        """The handler took `size` bytes of what was fed."""

    def reset(self) -> None:
        """Break the stream off, so that the client knows that the response is not whole."""


class StreamExchange(Response):
    """See `edged.http.exchange.Exchange`."""

    __slots__ = (
        "_announced_length",
        "_body_error",
        "_carrier",
        "_continue_owed",
        "_ended",
        "_lost",
        "_news",
        "_received",
        "_trailers",
        "_unread",
        "request",
        "request_body_bytes_max",
        "unread_bytes",
    )

    def __init__(self, guarded: Guarded, carrier: Carrier) -> None:
        super().__init__(guarded.request.method)
        self.request = guarded.request
        self.request_body_bytes_max = _BODY_BYTES_MAX
        self.unread_bytes = 0
        """Fed and not yet received."""
        self._carrier = carrier
        self._announced_length = 0 if guarded.body_length == CHUNKED else guarded.body_length
        self._unread: deque[bytes] = deque()
        self._received = 0
        self._trailers: Sequence[Header] = ()
        self._continue_owed = guarded.expects_continue
        self._ended = False
        self._lost = False
        self._body_error: BodyError | None = None
        self._news = trio.Event()

    # --- the carrier's side ---

    def feed(self, data: bytes) -> None:
        """Add request body bytes."""
        self._unread.append(data)
        self.unread_bytes += len(data)
        self._news.set()

    def end(self, trailers: Sequence[Header] = ()) -> None:
        """The request body is whole."""
        self._ended = True
        self._trailers = trailers
        self._news.set()

    def lose(self) -> None:
        """The client broke off."""
        self._lost = True
        self._news.set()

    @property
    def finished(self) -> bool:
        """Whether the response ended."""
        return self._finished

    @property
    def request_ended(self) -> bool:
        return self._ended

    # --- the handler's side ---

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        assert bytes_max > 0
        if self._body_error is not None:
            raise self._body_error
        if max(self._received + self.unread_bytes, self._announced_length) > self.request_body_bytes_max:
            raise self._fail_body(BodyError(413, f"the body is longer than {self.request_body_bytes_max} bytes"))
        if not self._unread:
            if self._lost:
                raise ClientGone("the client broke off before the body's end")
            return b"" if self._ended else None
        data = self._unread.popleft()
        if len(data) > bytes_max:
            self._unread.appendleft(data[bytes_max:])
            data = data[:bytes_max]
        self.unread_bytes -= len(data)
        self._received += len(data)
        self._carrier.credit(len(data))
        return data

    async def receive(self, bytes_max: int) -> bytes:
        while True:
            data = self.receive_nowait(bytes_max)
            if data is not None:
                return data
            if self._continue_owed:
                self._continue_owed = False
                if not self._head_sent:
                    await self._send_interim(self._carrier.send_continue())
                continue
            self._news = trio.Event()
            with trio.move_on_after(BODY_TIMEOUT_S) as scope:
                await self._news.wait()
            if scope.cancelled_caught:
                raise self._fail_body(BodyError(408, f"no byte of the body came for {BODY_TIMEOUT_S} s"))

    def request_trailers(self) -> Sequence[Header]:
        return self._trailers

    def _fail_body(self, error: BodyError) -> BodyError:
        self._body_error = error
        return error

    async def flush(self) -> None:
        if self._interim is not None:
            await self._interim.wait()
        data = self._take()
        await self._start(end=False)
        if data:
            await self._carrier.send_data(data, end=False)

    async def finish(self, trailers: Sequence[Header] = ()) -> None:
        assert not self._finished, "finish ends the exchange"
        self._check_whole()
        fields = check_trailers(trailers) if trailers and not self._bodyless else ()
        if self._interim is not None:
            await self._interim.wait()
        data = self._take()
        if not self._head_sent and self._announced is None and not self._bodyless and not fields:
            self._announced = len(data)
        self._finished = True
        if not self._head_sent and not data and not fields:
            await self._start(end=True)
            return
        await self._start(end=False)
        if data or not fields:
            await self._carrier.send_data(data, end=not fields)
        if fields:
            await self._carrier.send_trailers(fields)

    def abort(self) -> None:
        self._carrier.reset()

    async def _start(self, *, end: bool) -> None:
        if self._head_sent:
            return
        self._head_sent = True
        fields = list(self._headers)
        if self._announced is not None and self._status != 204:
            fields.append((b"content-length", b"%d" % self._announced))
        if not dated(fields):
            fields.append((b"date", date_value()))
        await self._carrier.send_head(self._status, fields, end=end)
