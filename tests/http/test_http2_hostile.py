"""HTTP/2 clients that flood, stall or send garbage, and connections by the clock."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest
import structlog
import trio
import trio.testing

from edged.http import http2 as http2_module
from edged.http.exchange import Exchange
from edged.limits import (
    HEADER_TIMEOUT_S,
    HTTP2_CHATTER_COUNT_MAX,
    HTTP2_RESET_COUNT_MAX,
    HTTP2_STREAM_COUNT_MAX,
    IDLE_TIMEOUT_S,
    SWEEP_INTERVAL_S,
)
from tests.http.http2_client import POST, connected, watcher
from tests.http.wire import hello

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
