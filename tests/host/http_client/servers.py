"""Servers of the test's own: in memory, the test is the server; over loopback, a function for each connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
import trio.testing

from edged.host.http.transport import InboundResponse, OutboundRequest, RequestBody, Timeouts
from edged.host.http_client.client import HttpClient
from edged.host.http_client.wire import Origin
from edged.host.network.dialer import Dialer
from edged.host.network.gate import LOOPBACK, AddressGate

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
TIMEOUTS = Timeouts(connect_s=10, first_byte_s=20, between_bytes_s=30)
DIALER = Dialer(AddressGate(opened=LOOPBACK))


class MemoryWire:
    """A wire whose server is the test.

    The server sends with `feed` and `end`, breaks the connection with `cut`, and takes nothing while it is `stalled`.
    What it got is in `sent`.
    """

    def __init__(self) -> None:
        self.sent = b""
        self.sends = 0
        self.closed = False
        self.unasked = False
        self.stalled = False
        self._incoming = bytearray()
        self._ended = False
        self._broken = False
        self._news = trio.Event()

    # --- the server ---

    def feed(self, data: bytes) -> None:
        self._incoming += data
        self._tell()

    def end(self) -> None:
        self._ended = True
        self._tell()

    def cut(self) -> None:
        self._broken = True
        self._tell()

    def resume(self) -> None:
        self.stalled = False
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    # --- the wire ---

    async def send_all(self, data: bytes, /) -> None:
        await trio.lowlevel.checkpoint()
        while self.stalled and not self.closed:
            await self._news.wait()
        self._check()
        self.sent += data
        self.sends += 1

    async def receive_some(self, bytes_max: int, /) -> bytes | bytearray:
        while not (self._incoming or self._ended or self._broken or self.closed):
            await self._news.wait()
        if not self._incoming:
            self._check()
        data = self._incoming[:bytes_max]
        del self._incoming[:bytes_max]
        return data

    def readable(self) -> bool:
        return self.unasked

    def close(self) -> None:
        self.closed = True
        self._tell()

    def _check(self) -> None:
        if self.closed:
            raise trio.ClosedResourceError
        if self._broken:
            raise trio.BrokenResourceError


class Servers:
    """Makes memory wires for a client; the test plays the server at the other end of each."""

    def __init__(self) -> None:
        self.wires: list[MemoryWire] = []
        self.origins: list[Origin] = []
        self.failure: Exception | None = None

    async def open_wire(self, dialer: Any, origin: Origin, timeout_s: float) -> MemoryWire:
        if self.failure is not None:
            raise self.failure
        self.origins.append(origin)
        self.wires.append(MemoryWire())
        return self.wires[-1]

    def client(self, **options: Any) -> HttpClient:
        return HttpClient(DIALER, open_wire=self.open_wire, **options)

    @property
    def wire(self) -> MemoryWire:
        return self.wires[-1]

    async def answer(self, data: bytes) -> None:
        await trio.testing.wait_all_tasks_blocked()
        self.wire.feed(data)
        await trio.testing.wait_all_tasks_blocked()


class Call:
    """`send` in a task beside the test."""

    def __init__(self, nursery: trio.Nursery, client: HttpClient, request: OutboundRequest) -> None:
        self.responses: list[InboundResponse] = []
        self.error: BaseException | None = None
        self.finished = trio.Event()
        self.scope = trio.CancelScope()
        nursery.start_soon(self._run, client, request)

    async def _run(self, client: HttpClient, request: OutboundRequest) -> None:
        try:
            with self.scope:
                await client.send(request, self.responses.append)
        except Exception as error:
            self.error = error
        self.finished.set()

    @property
    def done(self) -> bool:
        return self.finished.is_set()

    @property
    def response(self) -> InboundResponse:
        (response,) = self.responses
        return response

    @property
    def code(self) -> Any:
        return getattr(self.error, "code", self.error)


def request(
    method: str = "GET",
    target: str = "/",
    *,
    authority: str = "example.com",
    scheme: str = "http",
    port: int | None = None,
    headers: Any = (),
    body: RequestBody | None = None,
    timeouts: Timeouts = TIMEOUTS,
    body_bytes_max: int = 1 << 20,
) -> OutboundRequest:
    host, _, given = authority.partition(":")
    return OutboundRequest(
        method=method,
        scheme=scheme,
        authority=authority,
        host=host,
        port=port or int(given or (443 if scheme == "https" else 80)),
        target=target,
        headers=headers,
        body=body,
        timeouts=timeouts,
        response_body_bytes_max=body_bytes_max,
    )


async def read(response: InboundResponse) -> bytes:
    data = b""
    while piece := await response.body.receive(65536):
        data += piece
    response.body.close()
    return data


Serve = Callable[[trio.SocketStream], Awaitable[None]]


async def listen(nursery: trio.Nursery, serve: Serve) -> int:
    """A server on loopback; its port."""

    async def one(stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await serve(stream)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, one, listeners)
    return int(listeners[0].socket.getsockname()[1])


async def head(stream: trio.abc.ReceiveStream) -> bytes:
    """A request's head, and what came with it; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some(65536)
        if not more:
            return b""
        data += more
    return data


async def hello(stream: trio.abc.Stream) -> None:
    """Answers every request without a body."""
    while await head(stream):
        await stream.send_all(OK)
