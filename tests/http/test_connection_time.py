"""An HTTP/1.1 connection by the clock: deadlines, clients that go away, listeners that stop."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing

from edged.http.exchange import Exchange
from edged.limits import (
    BODY_TIMEOUT_S,
    HEADER_TIMEOUT_S,
    IDLE_TIMEOUT_S,
    READ_CHUNK_BYTES,
    SWEEP_INTERVAL_S,
)
from tests.http.wire import GET, connected, echo, hello, post, read_all, respond

# --- time ---


async def test_an_idle_connection_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello) as client:
        await client.send(GET)
        await client.answer()
        started = trio.current_time()
        assert await client.closed()
        assert trio.current_time() - started == pytest.approx(IDLE_TIMEOUT_S, abs=SWEEP_INTERVAL_S + 0.01)


async def test_a_connection_that_says_nothing_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello) as client:
        assert await client.closed()
        assert trio.current_time() == pytest.approx(IDLE_TIMEOUT_S, abs=SWEEP_INTERVAL_S + 0.01)


async def test_a_slow_head(autojump_clock: trio.testing.MockClock) -> None:
    """One byte a second does not help: the clock runs from the first."""
    async with connected(hello) as client:
        async with trio.open_nursery() as nursery:

            async def drip() -> None:
                for position in range(len(GET) - 1):
                    await client.send(GET[position : position + 1])
                    await trio.sleep(1)

            nursery.start_soon(drip)
            answer = await client.answer()
            nursery.cancel_scope.cancel()
        assert (answer.status, json.loads(answer.body)["code"]) == (408, "http.request-timeout")
        assert trio.current_time() == pytest.approx(HEADER_TIMEOUT_S, abs=SWEEP_INTERVAL_S + 0.01)


async def test_a_head_just_in_time(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello) as client:
        await client.send(GET[:1])
        await trio.sleep(HEADER_TIMEOUT_S - 0.01)
        await client.send(GET[1:])
        assert (await client.answer()).status == 200


async def test_a_second_head_has_its_own_time(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello) as client:
        for _ in range(3):
            await client.send(GET[:1])
            await trio.sleep(HEADER_TIMEOUT_S - 0.01)
            await client.send(GET[1:])
            assert (await client.answer()).status == 200


async def test_a_slow_body(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(echo) as client:
        await client.send(post(b"hello")[:-1])
        answer = await client.answer()
        assert (answer.status, answer.header("connection")) == (408, "close")
        assert trio.current_time() == pytest.approx(BODY_TIMEOUT_S, abs=0.01)


async def test_a_body_just_in_time(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(echo) as client:
        await client.send(post(b"hello")[:-2])
        for byte in (b"l", b"o"):
            await trio.sleep(BODY_TIMEOUT_S - 0.01)
            await client.send(byte)
        assert (await client.answer()).body == b"hello"


async def test_a_slow_handler_has_no_deadline_here(autojump_clock: trio.testing.MockClock) -> None:
    async def handler(exchange: Exchange) -> None:
        await trio.sleep(1_000)
        await hello(exchange)

    async with connected(handler) as client:
        await client.send(GET)
        assert (await client.answer()).status == 200


# --- a client that goes away while a handler runs ---


def sleeper(ended: list[str]) -> object:
    async def handler(exchange: Exchange) -> None:
        try:
            await trio.sleep(100)
            ended.append("slept")
            await hello(exchange)
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    return handler


async def test_a_reset_cancels_the_handler(autojump_clock: trio.testing.MockClock) -> None:
    ended: list[str] = []
    async with connected(sleeper(ended)) as client:  # type: ignore[arg-type]
        await client.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        client.vanish()
        await trio.sleep(3 * SWEEP_INTERVAL_S)
        assert ended == ["cancelled"]
        assert (client.connections.active, len(client.connections)) == (0, 0)


async def test_an_end_of_the_clients_side_does_not(autojump_clock: trio.testing.MockClock) -> None:
    ended: list[str] = []
    async with connected(sleeper(ended)) as client:  # type: ignore[arg-type]
        await client.send(GET)
        await trio.sleep(2)
        await client.send_eof()
        assert (await client.answer()).body == b"hello"
        assert ended == ["slept"]
        assert await client.closed()


async def test_what_came_while_a_handler_ran_is_not_lost(autojump_clock: trio.testing.MockClock) -> None:
    ended: list[str] = []
    async with connected(sleeper(ended)) as client:  # type: ignore[arg-type]
        await client.send(GET + GET[:5])
        await trio.sleep(2)
        await client.send(GET[5:])
        await trio.sleep(1)
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 200


async def test_a_body_that_came_while_the_handler_did_not_read(autojump_clock: trio.testing.MockClock) -> None:
    async def handler(exchange: Exchange) -> None:
        await trio.sleep(5)
        body = await exchange.receive(3)
        await trio.sleep(5)
        await respond(exchange, 200, [], body + await read_all(exchange))

    async with connected(handler) as client:
        await client.send(post(b"hello world")[:-6])
        await trio.sleep(1)
        await client.send(b" wor")
        await trio.sleep(6)
        await client.send(b"ld")
        assert (await client.answer()).body == b"hello world"


async def test_reading_ahead_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(sleeper([])) as client:  # type: ignore[arg-type]
        await client.send(GET)
        await trio.sleep(1)
        for _ in range(100):
            await client.send(b"x" * 10_000)
            await trio.sleep(0.01)
        assert READ_CHUNK_BYTES <= client.transport.received < 2 * READ_CHUNK_BYTES


# --- stopping ---


async def test_stop_closes_idle_connections_and_lets_requests_end(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello) as idle, connected(sleeper([])) as busy:  # type: ignore[arg-type]
        await idle.send(GET)
        await idle.answer()
        await busy.send(GET + GET)
        await trio.testing.wait_all_tasks_blocked()
        for client in (idle, busy):
            client.connections.stop()
        assert await idle.closed()
        answer = await busy.answer()
        assert (answer.body, answer.header("connection")) == (b"hello", "close")
        with trio.fail_after(1000):
            await busy.connections.wait_empty()
