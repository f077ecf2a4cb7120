"""A connection without sockets: the server on one end of a memory stream, the test on the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import h11
import trio
import trio.testing

from edged.http.connection import Connection
from edged.http.connection_set import ConnectionSet
from edged.http.exchange import ClientGone, Exchange, Handler, Header

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes = b"", *fields: bytes, version: bytes = b"1.1") -> bytes:
    lines = [b"POST /x HTTP/" + version, b"Host: a", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes, trailers: bytes = b"", fields: Sequence[bytes] = ()) -> bytes:
    head = b"\r\n".join([b"POST /x HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", *fields]) + b"\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


class MemoryTransport:
    """A `Transport` over a memory stream."""

    def __init__(self, stream: trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]):
        self._stream = stream
        self.sends: list[bytes] = []
        """What `send_all` was given, call by call."""
        self.received = 0
        self.is_open = True
        self.cuts: list[bool] = []
        """The `reset` of each `cut`."""

    async def receive_some(self, bytes_max: int) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(bytes_max))
            self.received += len(data)
            return data
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ClientGone from error

    async def send_all(self, data: bytes) -> None:
        self.sends.append(data)
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ClientGone from error

    async def send_eof(self) -> None:
        with suppress(trio.ClosedResourceError):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        self._close()

    def cut(self, *, reset: bool) -> None:
        self.cuts.append(reset)
        self._close()

    def break_off(self) -> None:
        """As if the client had reset the connection."""
        self._stream.receive_stream.close()

    def _close(self) -> None:
        self.is_open = False
        self._stream.send_stream.close()
        self._stream.receive_stream.close()


@dataclass
class Answer:
    """One response as a client reads it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    version: str
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    complete: bool = False
    interim: list[int] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        found = [value.decode() for key, value in self.headers if key == name.encode()]
        assert len(found) <= 1, found
        return found[0] if found else None


class Client:
    """The test's end: raw bytes out, responses parsed by h11 in."""

    def __init__(
        self,
        stream: trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream],
        transport: MemoryTransport,
        connections: ConnectionSet,
    ) -> None:
        self._stream = stream
        self._rest = b""
        self._ended = False
        self.transport = transport
        self.connections = connections

    async def send(self, data: bytes, *, bytewise: bool = False) -> None:
        if not bytewise:
            await self._stream.send_all(data)
            return
        for position in range(len(data)):
            await self._stream.send_all(data[position : position + 1])
            await trio.testing.wait_all_tasks_blocked()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    def vanish(self) -> None:
        """Reset the connection: both reading and writing fail on the server's side."""
        self._stream.receive_stream.close()
        self.transport.break_off()

    async def receive_some(self) -> bytes:
        """Raw bytes; `b""` when the server ended its side."""
        return bytes(await self._stream.receive_some())

    async def answer(self, method: str = "GET") -> Answer:
        """The next response."""
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
        parser.send(h11.EndOfMessage())
        if self._rest:  # to h11, no bytes are the end
            parser.receive_data(self._rest)
            self._rest = b""
        if self._ended:
            parser.receive_data(b"")
        answer: Answer | None = None
        interim: list[int] = []
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                data = await self.receive_some()
                if not data:
                    self._ended = True
                    if parser.their_state is h11.SEND_BODY and answer is not None and not _ends_by_close(answer):
                        return answer
                parser.receive_data(data)
            elif isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                headers = [(bytes(name), bytes(value)) for name, value in event.headers]
                answer = Answer(event.status_code, headers, event.http_version.decode(), interim=interim)
            elif isinstance(event, h11.Data):
                assert answer is not None
                answer.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert answer is not None
                answer.trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
                answer.complete = True
                self._rest = parser.trailing_data[0]
                return answer
            else:
                raise AssertionError(event)

    async def closed(self) -> bool:
        """Whether the server ends its side now, without another byte."""
        with trio.move_on_after(1000):
            return not self._rest and await self.receive_some() == b""
        return False


def _ends_by_close(answer: Answer) -> bool:
    return answer.header("content-length") is None and answer.header("transfer-encoding") is None


@asynccontextmanager
async def connected(handler: Handler, *, scheme: str = "http") -> AsyncIterator[Client]:
    """A client of a connection that is served, and swept, until the block ends."""
    ours, theirs = trio.testing.memory_stream_pair()
    connections = ConnectionSet(handler)
    transport = MemoryTransport(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connections.sweep_forever)
        nursery.start_soon(Connection(connections, transport, ("192.0.2.1", 4711), scheme).run)
        yield Client(ours, transport, connections)
        nursery.cancel_scope.cancel()


async def read_all(exchange: Exchange, bytes_max: int = 65536) -> bytes:
    pieces = []
    while data := await exchange.receive(bytes_max):
        pieces.append(data)
    return b"".join(pieces)


async def hello(exchange: Exchange) -> None:
    exchange.respond(200, [(b"content-type", b"text/plain")])
    exchange.write(b"hello")
    await exchange.finish()


async def echo(exchange: Exchange) -> None:
    """Answers with the whole body, and the request's line and trailers in headers."""
    body = await read_all(exchange)
    request = exchange.request
    exchange.respond(200, [(b"x-line", f"{request.method} {request.target}".encode()), *exchange.request_trailers()])
    exchange.write(body)
    await exchange.finish()


async def stream_back(exchange: Exchange) -> None:
    """Answers while it reads."""
    exchange.respond(200, [])
    while data := await exchange.receive(65536):
        exchange.write(data)
        await exchange.flush()
    await exchange.finish(exchange.request_trailers())


async def respond(
    exchange: Exchange, status: int = 200, headers: Sequence[Header] = (), *pieces: bytes, flush: bool = False
) -> None:
    exchange.respond(status, headers)
    if flush:
        await exchange.flush()
    for piece in pieces:
        exchange.write(piece)
        if flush:
            await exchange.flush()
    await exchange.finish()
