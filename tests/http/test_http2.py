"""HTTP/2: against h2's own client over memory streams, and against httpx over TLS."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
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
from edged.http.exchange import BodyError, ClientGone, Exchange, Handler, Header
from edged.http.listener import Listener, ListenOptions, serve
from edged.http.tls import TlsFiles
from edged.limits import (
    BODY_TIMEOUT_S,
    HEADER_COUNT_MAX,
    HTTP2_WINDOW_BYTES,
    READ_CHUNK_BYTES,
    REQUEST_LINE_BYTES_MAX,
    WRITE_BUFFER_BYTES,
    WRITE_TIMEOUT_S,
)
from tests.http.http2_client import GET, POST, connected, watcher
from tests.http.wire import echo, hello, read_all, stream_back

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


async def test_unread_bodies_of_a_connection_are_bounded() -> None:
    async with connected(watcher([])) as client:
        await client.until(h2.events.RemoteSettingsChanged)
        while client.h2.outbound_flow_control_window < HTTP2_WINDOW_BYTES:
            await client.pump()
        sent = 0
        while client.h2.outbound_flow_control_window:
            stream = await client.request(POST, end=False)
            while (window := client.h2.local_flow_control_window(stream)) > 0:
                size = min(window, 16_384)
                client.h2.send_data(stream, b"x" * size)
                sent += size
                await client.flush()
                await trio.testing.wait_all_tasks_blocked()
        assert sent == HTTP2_WINDOW_BYTES


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
