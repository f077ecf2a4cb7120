"""HTTP/2: against h2's own client over memory streams, and against httpx over TLS."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import httpx
import pytest
import structlog
import trio
import trio.testing

from edged.errors import GuestTrap
from edged.http import http2 as http2_module
from edged.http.connection_set import ConnectionSet
from edged.http.exchange import BodyError, ClientGone, Exchange, Handler, Header
from edged.http.http2 import Http2Connection
from edged.http.listener import Listener, ListenOptions, serve
from edged.http.tls import TlsFiles
from edged.limits import (
    BODY_TIMEOUT_S,
    HEADER_COUNT_MAX,
    HEADER_TIMEOUT_S,
    HTTP2_CHATTER_COUNT_MAX,
    HTTP2_RESET_COUNT_MAX,
    HTTP2_STREAM_COUNT_MAX,
    IDLE_TIMEOUT_S,
    READ_CHUNK_BYTES,
    REQUEST_LINE_BYTES_MAX,
    SWEEP_INTERVAL_S,
    WRITE_BUFFER_BYTES,
    WRITE_TIMEOUT_S,
)
from tests.http.wire import MemoryTransport, echo, hello, read_all, stream_back

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


# --- requests and responses ---


async def test_hello() -> None:
    async with connected(hello) as client:
        for _ in range(3):
            stream = await client.request()
            assert await client.answer(stream) == (200, b"hello")
            assert client.header(stream, b"content-type") == b"text/plain"
            assert client.header(stream, b"content-length") == b"5"
            assert client.header(stream, b"date")


async def test_the_handler_sees_who_asks() -> None:
    seen: list[Exchange] = []

    async def handler(exchange: Exchange) -> None:
        seen.append(exchange)
        await hello(exchange)

    async with connected(handler) as client:
        await client.answer(
            await client.request(
                [
                    *GET[:3],
                    (b":path", b"/a%20b?c"),
                    (b"cookie", b"a=1"),
                    (b"spin-client-addr", b"1.2.3.4:5"),
                    (b"te", b"trailers"),
                    (b"x", b"y"),
                    (b"cookie", b"b=2"),
                ]
            )
        )
    request = seen[0].request
    assert (request.method, request.scheme, request.authority, request.target) == (
        "GET",
        "https",
        "a.example",
        "/a%20b?c",
    )
    assert (request.http_version, request.client) == ("2", ("192.0.2.1", 4711))
    assert request.headers == [(b"host", b"a.example"), (b"x", b"y"), (b"cookie", b"a=1; b=2")]


async def test_bodies_and_trailers() -> None:
    async with connected(echo) as client:
        stream = await client.request(POST, b"hello", end=False)
        client.h2.send_data(stream, b" world", pad_length=10)
        client.h2.send_headers(stream, [(b"x-sum", b"1"), (b"spin-x", b"2")], end_stream=True)
        await client.flush()
        assert await client.answer(stream) == (200, b"hello world")
        assert client.header(stream, b"x-sum") == b"1"
        assert client.header(stream, b"spin-x") is None


async def test_response_trailers() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        exchange.write(b"abc")
        await exchange.finish([(b"x-sum", b"6")])

    async with connected(handler) as client:
        stream = await client.request()
        await client.answer(stream)
        trailers = await client.until(h2.events.TrailersReceived, stream)
        assert trailers.headers == [(b"x-sum", b"6")]  # type: ignore[attr-defined]
        assert client.body(stream) == b"abc"


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
async def test_responses_without_a_body(method: bytes, status: int) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(status, [])
        exchange.write(b"hello")
        await exchange.finish()

    async with connected(handler) as client:
        stream = await client.request([(b":method", method), *GET[1:]])
        assert await client.answer(stream) == (status, b"")
        assert client.header(stream, b"content-length") is None


async def test_streaming_both_ways_at_once() -> None:
    async with connected(stream_back) as client:
        stream = await client.request(POST, b"one", end=False)
        while client.body(stream) != b"one":
            await client.pump()
        client.h2.send_data(stream, b"two", end_stream=True)
        await client.flush()
        assert await client.answer(stream) == (200, b"onetwo")


async def test_expect_continue() -> None:
    async with connected(echo) as client:
        stream = await client.request([*POST, (b"expect", b"100-continue"), (b"content-length", b"2")], end=False)
        await client.until(h2.events.InformationalResponseReceived, stream)
        client.h2.send_data(stream, b"ok", end_stream=True)
        await client.flush()
        assert await client.answer(stream) == (200, b"ok")


async def test_a_slow_stream_holds_up_no_other() -> None:
    go = trio.Event()

    async def handler(exchange: Exchange) -> None:
        if exchange.request.method == "POST":
            await go.wait()
        await echo(exchange)

    async with connected(handler) as client:
        slow = await client.request(POST, b"x" * 16_384, end=False)
        for _ in range(2):
            client.h2.send_data(slow, b"x" * 16_384)
        client.h2.send_data(slow, b"x" * 16_000, end_stream=True)  # nearly its whole window
        await client.flush()
        for _ in range(3):
            assert (await client.answer(await client.request()))[0] == 200
        go.set()
        assert (await client.answer(slow))[1] == b"x" * (3 * 16_384 + 16_000)


# --- back-pressure ---


async def test_the_window_is_given_back_as_the_handler_reads() -> None:
    go = trio.Event()

    async def handler(exchange: Exchange) -> None:
        await go.wait()
        await echo(exchange)

    async with connected(handler) as client:
        await client.until(h2.events.RemoteSettingsChanged)
        stream = await client.request(POST, end=False)
        sent = 0
        while (window := client.h2.local_flow_control_window(stream)) > 0:
            size = min(window, 16_384)
            client.h2.send_data(stream, b"x" * size)
            sent += size
            await client.flush()
            await trio.testing.wait_all_tasks_blocked()
        assert sent == READ_CHUNK_BYTES
        go.set()
        while client.h2.local_flow_control_window(stream) == 0:
            await client.pump()
        client.h2.send_data(stream, b"y", end_stream=True)
        await client.flush()
        assert await client.answer(stream) == (200, b"x" * sent + b"y")


async def test_the_handler_waits_for_the_clients_window() -> None:
    flushed: list[int] = []

    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        for number in range(20):
            exchange.write(b"x" * 10_000)
            await exchange.flush()
            flushed.append(number)
        await exchange.finish()

    async with connected(handler) as client:
        client.generous = False
        stream = await client.request()
        await trio.testing.wait_all_tasks_blocked()
        assert len(flushed) == 6  # of 65 535 bytes
        while len(client.body(stream)) < 65_535:
            await client.pump()
        client.h2.increment_flow_control_window(10**6)
        client.h2.increment_flow_control_window(10**6, stream)
        await client.flush()
        assert await client.answer(stream) == (200, b"x" * 200_000)


async def test_the_handler_waits_for_the_socket() -> None:
    """A client with endless windows that does not read: what is kept for it is bounded."""
    written = 0

    async def handler(exchange: Exchange) -> None:
        nonlocal written
        exchange.respond(200, [])
        while True:
            exchange.write(b"x" * 10_000)
            await exchange.flush()
            written += 10_000

    async with connected(handler) as client:
        gate = trio.Event()
        real = client.transport.send_all

        async def send_all(data: bytes) -> None:
            await gate.wait()
            await real(data)

        client.transport.send_all = send_all  # type: ignore[method-assign]
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
        client.h2.increment_flow_control_window(2**31 - 1 - 65_535)
        await client.request()
        await trio.testing.wait_all_tasks_blocked()
        assert WRITE_BUFFER_BYTES <= written + 10_000 < 2 * WRITE_BUFFER_BYTES + 20_000
        gate.set()


async def test_a_client_that_takes_nothing(autojump_clock: trio.testing.MockClock) -> None:
    gone: list[float] = []

    async def handler(exchange: Exchange) -> None:
        try:
            exchange.respond(200, [])
            exchange.write(b"x" * 100_000)
            await exchange.flush()
        except ClientGone:
            gone.append(trio.current_time())
            raise

    async with connected(handler) as client:
        client.generous = False
        stream = await client.request()
        reset = await client.until(h2.events.StreamReset, stream)
        assert isinstance(reset, h2.events.StreamReset)
        assert gone == [pytest.approx(WRITE_TIMEOUT_S, abs=0.1)]


async def test_a_body_that_nobody_read_is_not_wanted() -> None:
    async with connected(hello) as client:
        stream = await client.request(POST, b"x" * 1000, end=False)
        assert await client.answer(stream) == (200, b"hello")
        reset = await client.until(h2.events.StreamReset, stream)
        assert reset.error_code == h2.errors.ErrorCodes.NO_ERROR  # type: ignore[attr-defined]
        assert await client.answer(await client.request()) == (200, b"hello")


async def test_the_connections_window_survives_unread_bodies() -> None:
    """Bytes that no handler took are given back: a thousand such requests do not starve the connection."""
    async with connected(hello) as client:
        for _ in range(100):
            stream = await client.request(POST, b"x" * 16_000)
            assert await client.answer(stream) == (200, b"hello")


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ([*GET[:3], (b":path", b"/../x")], 400, "http.bad-request"),
        ([*GET[:3], (b":path", b"/a%00")], 400, "http.bad-request"),
        ([*GET[:2], (b":authority", b"a b"), (b":path", b"/")], 400, "http.bad-request"),
        ([(b":method", b"TRACE"), *GET[1:]], 501, "http.not-implemented"),
        ([*GET[:3], (b":path", b"/" + b"a" * REQUEST_LINE_BYTES_MAX)], 414, "http.uri-too-long"),
        ([*GET, *[(b"x", b"y")] * (HEADER_COUNT_MAX - 3)], 431, "http.headers-too-large"),
        ([*GET, (b"expect", b"more"), (b"content-length", b"0")], 417, "http.expectation-failed"),
    ],
)
async def test_refused(fields: list[Header], status: int, code: str) -> None:
    async with connected(hello) as client:
        stream = await client.request(fields)
        got, body = await client.answer(stream)
        assert (got, json.loads(body)["code"]) == (status, code)
        assert await client.answer(await client.request()) == (200, b"hello")  # the connection lives
        assert (client.connections.served, client.connections.refused) == (1, 1)


async def test_as_many_fields_as_allowed() -> None:
    async with connected(hello) as client:
        stream = await client.request([*GET, *[(b"x", b"y")] * (HEADER_COUNT_MAX - 4)])
        assert await client.answer(stream) == (200, b"hello")


async def test_a_refused_head_has_no_body() -> None:
    async with connected(hello) as client:
        stream = await client.request([(b":method", b"HEAD"), *GET[1:3], (b":path", b"/..")])
        assert await client.answer(stream) == (400, b"")


@pytest.mark.parametrize("error", [GuestTrap("unreachable"), ValueError("ours"), BodyError(413, "long")])
async def test_an_error_before_anything_was_sent(error: Exception) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        exchange.write(b"part")
        raise error

    with structlog.testing.capture_logs():
        async with connected(handler) as client:
            status, body = await client.answer(await client.request())
            assert status == (413 if isinstance(error, BodyError) else 500)
            assert "code" in json.loads(body)


async def test_an_error_after_something_was_sent_resets_the_stream() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        exchange.write(b"part")
        await exchange.flush()
        raise GuestTrap("unreachable")

    async with connected(handler) as client:
        stream = await client.request()
        reset = await client.until(h2.events.StreamReset, stream)
        assert reset.error_code == h2.errors.ErrorCodes.INTERNAL_ERROR  # type: ignore[attr-defined]
        assert client.body(stream) == b"part"


async def test_a_slow_body(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(echo) as client:
        stream = await client.request(POST, b"x", end=False)
        status, _ = await client.answer(stream)
        assert status == 408
        assert trio.current_time() == pytest.approx(BODY_TIMEOUT_S, abs=0.1)


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
@pytest.mark.parametrize("announced", [False, True])
async def test_the_longest_body(size: int, status: int, announced: bool) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.request_body_bytes_max = 1000
        await read_all(exchange, 300)
        await hello(exchange)

    async with connected(handler) as client:
        length = [(b"content-length", b"%d" % size)] if announced else []
        stream = await client.request([*POST, *length], b"x" * size)
        assert (await client.answer(stream))[0] == status


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


@pytest.mark.parametrize("read", [False, True])
async def test_a_reset_stream_cancels_its_handler(read: bool) -> None:
    ended: list[str] = []
    async with connected(watcher(ended, read=read)) as client:
        stream = await client.request(POST, b"x", end=False)
        await trio.testing.wait_all_tasks_blocked()
        client.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        await client.flush()
        await trio.testing.wait_all_tasks_blocked()
        assert ended == ["cancelled"]
        assert client.connections.active == 0


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_a_lost_connection_cancels_all_handlers(how: str, autojump_clock: trio.testing.MockClock) -> None:
    ended: list[str] = []
    async with connected(watcher(ended)) as client:
        for _ in range(3):
            await client.request()
        await trio.testing.wait_all_tasks_blocked()
        if how == "reset":
            client.transport.break_off()
        else:
            await client.stream.send_eof()
        await trio.sleep(10)
        assert ended == ["cancelled"] * 3
        assert (client.connections.active, len(client.connections)) == (0, 0)


# --- floods ---


async def test_the_most_streams_at_once() -> None:
    async with connected(watcher([])) as client:
        await client.until(h2.events.RemoteSettingsChanged)
        for _ in range(HTTP2_STREAM_COUNT_MAX):
            await client.request()
        await trio.testing.wait_all_tasks_blocked()
        assert client.connections.active == HTTP2_STREAM_COUNT_MAX
        # h2's client keeps to the limit by itself; this one does not
        client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        client.h2.remote_settings.acknowledge()
        await client.request()
        assert await client.goodbye() != h2.errors.ErrorCodes.NO_ERROR


async def test_handlers_that_outlive_their_streams_count() -> None:
    """A client that opens and resets does not get more handlers than streams."""
    go = trio.Event()

    async def handler(exchange: Exchange) -> None:
        with trio.CancelScope(shield=True):
            await go.wait()

    async with connected(handler) as client:
        for _ in range(HTTP2_STREAM_COUNT_MAX):
            client.h2.reset_stream(await client.request())
            await client.flush()
            await trio.testing.wait_all_tasks_blocked()
        assert client.connections.active == HTTP2_STREAM_COUNT_MAX
        stream = await client.request()
        reset = await client.until(h2.events.StreamReset, stream)
        assert reset.error_code == h2.errors.ErrorCodes.REFUSED_STREAM  # type: ignore[attr-defined]
        go.set()


@pytest.mark.parametrize(("count", "flooded"), [(HTTP2_RESET_COUNT_MAX, False), (HTTP2_RESET_COUNT_MAX + 1, True)])
async def test_rapid_reset(count: int, flooded: bool) -> None:
    with structlog.testing.capture_logs() as logs:
        async with connected(watcher([])) as client:
            for _ in range(count):
                client.h2.reset_stream(await client.request())
                await client.flush()
                await trio.testing.wait_all_tasks_blocked()
            if flooded:
                assert await client.goodbye() == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
    assert [entry["event"] for entry in logs] == (["connection.flooded"] if flooded else [])


@pytest.mark.parametrize("kind", ["ping", "settings", "data"])
async def test_chatter(kind: str) -> None:
    with structlog.testing.capture_logs():
        async with connected(watcher([])) as client:
            stream = await client.request(POST, end=False)
            for _ in range(HTTP2_CHATTER_COUNT_MAX + 2):
                if kind == "ping":
                    client.h2.ping(b"12345678")
                elif kind == "settings":
                    client.h2.update_settings({})
                else:
                    client.h2.send_data(stream, b"")
            await client.flush()
            assert await client.goodbye() == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM


async def test_a_long_life_is_not_chatter() -> None:
    async with connected(hello) as client:
        for _ in range(HTTP2_CHATTER_COUNT_MAX // 2):
            client.h2.ping(b"12345678")
            client.h2.ping(b"12345678")
            assert await client.answer(await client.request()) == (200, b"hello")


async def test_answers_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_module, "HTTP2_BACKLOG_BYTES_MAX", 1000)
    with structlog.testing.capture_logs() as logs:
        async with connected(hello) as client:
            await trio.testing.wait_all_tasks_blocked()

            async def send_all(data: bytes) -> None:
                await trio.sleep_forever()

            client.transport.send_all = send_all  # type: ignore[method-assign]
            for _ in range(100):
                client.h2.ping(b"12345678")
            await client.flush()
            await trio.testing.wait_all_tasks_blocked()
            assert [entry["event"] for entry in logs] == ["connection.flooded"]


@pytest.mark.parametrize(
    "wire", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100]
)
async def test_garbage(wire: bytes, autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello, start=False) as client:
        await client.stream.send_all(wire)
        received = b""
        while piece := await client.stream.receive_some():
            received += piece
        assert not received.startswith(b"HTTP")
        assert len(client.connections) == 0


# --- time, and stopping ---


async def test_an_idle_connection_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello) as client:
        await client.answer(await client.request())
        assert await client.goodbye() == h2.errors.ErrorCodes.NO_ERROR
        assert trio.current_time() == pytest.approx(IDLE_TIMEOUT_S, abs=SWEEP_INTERVAL_S + 0.1)


async def test_a_connection_without_a_request(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello) as client:
        assert await client.goodbye() == h2.errors.ErrorCodes.NO_ERROR
        assert trio.current_time() == pytest.approx(HEADER_TIMEOUT_S, abs=SWEEP_INTERVAL_S + 0.1)


async def test_stop_idle() -> None:
    async with connected(hello) as client:
        await client.answer(await client.request())
        client.connections.stop()
        assert await client.goodbye() == h2.errors.ErrorCodes.NO_ERROR


async def test_stop_lets_requests_end_and_refuses_new_ones() -> None:
    go = trio.Event()

    async def handler(exchange: Exchange) -> None:
        await go.wait()
        await hello(exchange)

    async with connected(handler) as client:
        first = await client.request()
        await trio.testing.wait_all_tasks_blocked()
        client.connections.stop()
        second = await client.request()
        reset = await client.until(h2.events.StreamReset, second)
        assert reset.error_code == h2.errors.ErrorCodes.REFUSED_STREAM  # type: ignore[attr-defined]
        go.set()
        assert await client.answer(first) == (200, b"hello")
        assert await client.goodbye() == h2.errors.ErrorCodes.NO_ERROR


async def test_the_most_requests_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_module, "REQUEST_PER_CONNECTION_MAX", 2)
    async with connected(hello) as client:
        for _ in range(2):
            assert await client.answer(await client.request()) == (200, b"hello")
        assert await client.goodbye() == h2.errors.ErrorCodes.NO_ERROR


# --- with a real client over TLS ---


@asynccontextmanager
async def secure(
    handler: Handler, files: TlsFiles, context: ssl.SSLContext
) -> AsyncIterator[tuple[httpx.AsyncClient, Listener]]:
    async with trio.open_nursery() as nursery:
        listener: Listener = await nursery.start(serve, handler, ListenOptions(tls=files))
        async with httpx.AsyncClient(http2=True, verify=context, base_url=listener.urls[0]) as client:
            yield client, listener
        nursery.cancel_scope.cancel()


async def test_httpx(tls_files: TlsFiles, client_context: Callable[..., ssl.SSLContext]) -> None:
    async with secure(echo, tls_files, client_context("h2", "http/1.1")) as (client, listener):
        async with trio.open_nursery() as nursery:

            async def ask(number: int) -> None:
                body = bytes([number]) * 50_000
                answer = await client.post("/x", content=body)
                assert (answer.http_version, answer.status_code, answer.content) == ("HTTP/2", 200, body)

            for number in range(30):
                nursery.start_soon(ask, number)
        assert listener.statistics().connections_open == 1
        assert listener.statistics().exchanges_served == 30


async def test_a_large_body_both_ways_at_once(
    tls_files: TlsFiles, client_context: Callable[..., ssl.SSLContext]
) -> None:
    """httpx reads nothing while it has window to send: a server that gave windows away would deadlock with it."""
    async with secure(stream_back, tls_files, client_context("h2")) as (client, _):
        body = bytes(range(256)) * 32_768
        answer = await client.post("/", content=body)
        assert (answer.http_version, answer.content == body) == ("HTTP/2", True)
