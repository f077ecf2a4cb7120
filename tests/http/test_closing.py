"""Clients are to go elsewhere: what each protocol says and does, so that no request fails by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h2.connection
import h2.errors
import h2.events
import pytest
import trio
import trio.testing
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import ErrorCode, FrameType, encode_frame
from aioquic.quic.events import StreamDataReceived
from hyperframe.frame import DataFrame, Frame, GoAwayFrame

from edged.http.connection_set import ConnectionSet
from edged.http.exchange import Exchange
from edged.http.listener import Listener, ListenOptions
from edged.limits import CLOSING_COUNT_PER_SWEEP, CLOSING_IDLE_S, IDLE_TIMEOUT_S, LINGER_TIMEOUT_S, SWEEP_INTERVAL_S
from tests.http import http2_client
from tests.http.test_http3 import connected as connected  # noqa: PLC0414 - a fixture
from tests.http.wire import GET, hello
from tests.http.wire import connected as connected1

_A_SWEEP_S = SWEEP_INTERVAL_S + 0.01


class Gate:
    """A handler that answers when it may."""

    def __init__(self) -> None:
        self.begun, self.go = trio.Event(), trio.Event()

    async def handle(self, exchange: Exchange) -> None:
        self.begun.set()
        await self.go.wait()
        await hello(exchange)


# --- HTTP/1.1 ---


async def test_a_new_connection_is_answered_and_told(autojump_clock: trio.testing.MockClock) -> None:
    async with connected1(hello) as client:
        client.connections.closing = True
        await client.send(GET)
        answer = await client.answer()
        assert (answer.status, answer.body, answer.header("connection")) == (200, b"hello", "close")
        assert await client.closed()


async def test_without_closing_a_connection_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    async with connected1(hello) as client:
        for _ in range(2):
            await client.send(GET)
            assert (await client.answer()).header("connection") is None
            await trio.sleep(IDLE_TIMEOUT_S - 1)


async def test_what_is_under_way_ends_and_is_told(autojump_clock: trio.testing.MockClock) -> None:
    gate = Gate()
    async with connected1(gate.handle) as client:
        await client.send(GET)
        await gate.begun.wait()
        client.connections.closing = True
        await trio.sleep(10)
        gate.go.set()
        answer = await client.answer()
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert await client.closed()


async def test_a_kept_connection_is_closed_gently(autojump_clock: trio.testing.MockClock) -> None:
    """A request that crosses the end gets that, and no reset: the client may send it again."""
    async with connected1(hello) as client:
        await client.send(GET)
        await client.answer()
        client.connections.closing = True
        began = trio.current_time()
        await trio.sleep(CLOSING_IDLE_S + 2 * _A_SWEEP_S)
        await client.send(GET)  # a reset connection would not take it
        assert await client.closed()
        assert trio.current_time() - began < CLOSING_IDLE_S + 3 * _A_SWEEP_S
        await trio.sleep(LINGER_TIMEOUT_S)
        assert client.transport.cuts == []
        assert not client.transport.is_open
        assert len(client.connections) == 0


async def test_a_kept_connection_has_time_for_the_request_that_tells_it(autojump_clock: trio.testing.MockClock) -> None:
    """A client that asks again within a second loses nothing, however its request crosses."""
    async with connected1(hello) as client:
        await client.send(GET)
        await client.answer()
        client.connections.closing = True
        await trio.sleep(CLOSING_IDLE_S - _A_SWEEP_S)
        await client.send(GET)
        assert (await client.answer()).header("connection") == "close"
        assert await client.closed()


async def test_who_has_only_just_connected_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    async with connected1(hello) as client, connected1(hello) as other:
        for each in (client, other):
            each.connections.closing = True
        await trio.sleep(CLOSING_IDLE_S)
        await client.send(GET)
        assert (await client.answer()).status == 200
        assert await other.closed()
        assert trio.current_time() <= CLOSING_IDLE_S + 2 * _A_SWEEP_S


async def test_closing_can_be_undone(autojump_clock: trio.testing.MockClock) -> None:
    async with connected1(hello) as client:
        client.connections.closing = True
        client.connections.closing = False
        await client.send(GET)
        assert (await client.answer()).header("connection") is None
        await trio.sleep(10)
        await client.send(GET)
        assert (await client.answer()).status == 200


class _Leaves:
    """A member that only counts."""

    deadline = float("inf")
    idle = True
    request_count = 1
    swept_request = 0
    told = 0

    def expire(self) -> None:
        raise AssertionError("its deadline did not pass")

    def leave(self) -> bool:
        self.told += 1
        return self.told == 1

    def start_watch(self, nursery: trio.Nursery) -> None:
        raise AssertionError("it is idle")


async def test_so_many_are_told_at_a_time(nursery: trio.Nursery) -> None:
    connections = ConnectionSet(hello)
    members = [_Leaves() for _ in range(CLOSING_COUNT_PER_SWEEP + 1)]
    for member in members:
        connections.add(member)
    connections.sweep(0.0, nursery)
    assert not any(member.told for member in members), "nobody asked for it"
    connections.closing = True
    connections.sweep(0.0, nursery)
    assert sum(bool(member.told) for member in members) == CLOSING_COUNT_PER_SWEEP
    connections.sweep(0.0, nursery)
    assert all(member.told for member in members)


async def test_a_listener_tells_its_connections() -> None:
    listener = Listener(hello, ListenOptions())
    listener.set_closing(True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listener.run)
        async with await trio.open_tcp_stream(*listener.addresses[0]) as stream:
            await stream.send_all(GET)
            assert b"\r\nconnection: close\r\n" in b"".join([data async for data in stream])
        listener.set_closing(False)
        async with await trio.open_tcp_stream(*listener.addresses[0]) as stream:
            await stream.send_all(GET)
            assert b"connection: close" not in await stream.receive_some()
        nursery.cancel_scope.cancel()


# --- HTTP/2 ---


class Frames:
    """What a server sends, frame by frame: h2's own client takes nothing more after a GOAWAY."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._held = b""

    async def next(self) -> Frame | None:
        """None at the end."""
        while len(self._held) < 9 or len(self._held) < 9 + self._length():
            data = bytes(await self._stream.receive_some())
            if not data:
                return None
            self._held += data
        frame, length = Frame.parse_frame_header(memoryview(self._held[:9]))
        frame.parse_body(memoryview(self._held[9 : 9 + length]))
        self._held = self._held[9 + length :]
        return frame

    async def until(self, kind: type[Frame]) -> Any:
        while not isinstance(frame := await self.next(), kind):
            assert frame is not None
        return frame

    async def rest(self) -> list[Frame]:
        found = []
        while (frame := await self.next()) is not None:
            found.append(frame)
        return found

    def _length(self) -> int:
        return int.from_bytes(self._held[:3], "big")


async def test_http2_is_told_between_two_requests(autojump_clock: trio.testing.MockClock) -> None:
    async with http2_client.connected(hello) as client:
        assert await client.answer(await client.request()) == (200, b"hello")
        client.connections.closing = True
        began = trio.current_time()
        assert await client.goodbye() == h2.errors.ErrorCodes.NO_ERROR
        assert trio.current_time() - began <= CLOSING_IDLE_S + 2 * _A_SWEEP_S
        first = client.seen(h2.events.ConnectionTerminated)[0]
        assert isinstance(first, h2.events.ConnectionTerminated)
        assert first.last_stream_id == 2**31 - 1, "streams that are on their way are taken"


async def test_http2_takes_what_is_on_its_way(autojump_clock: trio.testing.MockClock) -> None:
    async with http2_client.connected(hello) as client:
        await client.answer(await client.request())
        client.connections.closing = True
        frames = Frames(client.stream)
        await frames.until(GoAwayFrame)
        crossing = await client.request()  # the client has not read it yet
        data = await frames.until(DataFrame)
        assert (data.stream_id, data.data) == (crossing, b"hello")
        (last,) = [frame for frame in await frames.rest() if isinstance(frame, GoAwayFrame)]
        assert (last.last_stream_id, last.error_code) == (crossing, h2.errors.ErrorCodes.NO_ERROR)


async def test_http2_ends_a_request_before_it_is_told(autojump_clock: trio.testing.MockClock) -> None:
    gate = Gate()
    async with http2_client.connected(gate.handle) as client:
        stream = await client.request()
        await gate.begun.wait()
        client.connections.closing = True
        await trio.sleep(CLOSING_IDLE_S / 2)
        gate.go.set()
        assert await client.answer(stream) == (200, b"hello")
        await client.goodbye()


async def test_http2_is_told_during_a_long_request(autojump_clock: trio.testing.MockClock) -> None:
    gate = Gate()
    async with http2_client.connected(gate.handle) as client:
        stream = await client.request()
        await gate.begun.wait()
        client.connections.closing = True
        frames = Frames(client.stream)
        await frames.until(GoAwayFrame)
        assert CLOSING_IDLE_S <= trio.current_time() <= CLOSING_IDLE_S + 2 * _A_SWEEP_S
        await trio.sleep(10)
        gate.go.set()
        data = await frames.until(DataFrame)
        assert (data.stream_id, data.data) == (stream, b"hello")
        assert [type(frame) for frame in await frames.rest() if isinstance(frame, GoAwayFrame)] == [GoAwayFrame]


async def test_http2_without_a_request_yet(autojump_clock: trio.testing.MockClock) -> None:
    async with http2_client.connected(hello) as client:
        client.connections.closing = True
        await trio.sleep(CLOSING_IDLE_S / 2)
        assert await client.answer(await client.request()) == (200, b"hello")
        await client.goodbye()


# --- HTTP/3 ---


@pytest.mark.parametrize("busy", [False, True])
async def test_http3(connected: Callable[..., Any], autojump_clock: trio.testing.MockClock, busy: bool) -> None:
    gate = Gate()
    goaway = encode_frame(FrameType.GOAWAY, encode_uint_var(2**62 - 4))
    async with connected(gate.handle) as (client, listener):
        stream = await client.request()
        await gate.begun.wait()
        if not busy:
            gate.go.set()
            assert await client.answer(stream) == (200, b"hello")
        listener.set_closing(True)

        def told() -> bool:
            return any(isinstance(each, StreamDataReceived) and goaway in each.data for each in client.events)

        await client.until(told)
        second = await client.request()  # as if it had crossed
        gate.go.set()
        assert await client.answer(stream) == await client.answer(second) == (200, b"hello")
        await client.until(lambda: client.terminated is not None)
        assert client.terminated.error_code == ErrorCode.H3_NO_ERROR
