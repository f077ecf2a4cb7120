"""h2's client on a memory stream, with the server on its other end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import trio
import trio.testing

from edged.http.connection_set import ConnectionSet
from edged.http.exchange import Exchange, Handler, Header
from edged.http.http2 import Http2Connection
from tests.http.wire import MemoryTransport, read_all

GET: list[Header] = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.example"), (b":path", b"/")]
POST: list[Header] = [(b":method", b"POST"), *GET[1:]]


class Client:
    """h2's client on a memory stream; what arrives is kept by stream."""

    def __init__(self, stream: trio.abc.HalfCloseableStream, transport: MemoryTransport, connections: ConnectionSet):
        self.stream = stream
        self.transport = transport
        self.connections = connections
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self.events: list[h2.events.Event] = []
        self.generous = True
        """Give windows back as data comes."""
        self.ended = False

    async def start(self) -> None:
        self.h2.initiate_connection()
        await self.flush()

    async def flush(self) -> None:
        await self.stream.send_all(self.h2.data_to_send())

    async def request(self, fields: Sequence[Header] = GET, body: bytes | None = None, *, end: bool = True) -> int:
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, list(fields), end_stream=body is None and end)
        if body is not None:
            self.h2.send_data(stream_id, body, end_stream=end)
        await self.flush()
        return stream_id

    async def pump(self) -> None:
        """Receive once."""
        data = bytes(await self.stream.receive_some())
        if not data:
            self.ended = True
            return
        for event in self.h2.receive_data(data):
            self.events.append(event)
            if isinstance(event, h2.events.DataReceived) and self.generous and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        await self.flush()

    def seen(self, kind: type[h2.events.Event], stream_id: int | None = None) -> list[h2.events.Event]:
        return [
            event
            for event in self.events
            if isinstance(event, kind) and (stream_id is None or getattr(event, "stream_id", None) == stream_id)
        ]

    async def until(self, kind: type[h2.events.Event], stream_id: int | None = None) -> h2.events.Event:
        while not (found := self.seen(kind, stream_id)):
            assert not self.ended
            await self.pump()
        return found[-1]

    def status(self, stream_id: int) -> int:
        (response,) = self.seen(h2.events.ResponseReceived, stream_id)
        return int(dict(response.headers)[b":status"])  # type: ignore[attr-defined]

    def header(self, stream_id: int, name: bytes) -> bytes | None:
        (response,) = self.seen(h2.events.ResponseReceived, stream_id)
        return dict(response.headers).get(name)  # type: ignore[attr-defined]

    def body(self, stream_id: int) -> bytes:
        return b"".join(event.data for event in self.seen(h2.events.DataReceived, stream_id))  # type: ignore[attr-defined]

    async def answer(self, stream_id: int) -> tuple[int, bytes]:
        await self.until(h2.events.StreamEnded, stream_id)
        return self.status(stream_id), self.body(stream_id)

    async def goodbye(self) -> h2.errors.ErrorCodes:
        """Wait for GOAWAY and the end."""
        event = await self.until(h2.events.ConnectionTerminated)
        while not self.ended:
            await self.pump()
        assert isinstance(event, h2.events.ConnectionTerminated)
        return h2.errors.ErrorCodes(event.error_code)


@asynccontextmanager
async def connected(handler: Handler, *, start: bool = True) -> AsyncIterator[Client]:
    ours, theirs = trio.testing.memory_stream_pair()
    connections = ConnectionSet(handler)
    transport = MemoryTransport(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connections.sweep_forever)
        nursery.start_soon(Http2Connection(connections, transport, ("192.0.2.1", 4711)).run)
        client = Client(ours, transport, connections)
        if start:
            await client.start()
        yield client
        nursery.cancel_scope.cancel()


def watcher(ended: list[str], *, read: bool = False) -> Handler:
    async def handler(exchange: Exchange) -> None:
        try:
            if read:
                await read_all(exchange)
            await trio.sleep_forever()
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    return handler
