"""Handlers that fail, before and after something was sent."""

from __future__ import annotations

import json

import pytest
import structlog
import trio
import trio.testing

from edged.errors import GuestResponseInvalid, GuestTrap
from edged.http.exchange import BodyError, ClientGone, Exchange
from tests.http.wire import GET, connected, respond

# --- handlers that fail ---


def failing(error: Exception, *, after: str) -> object:
    async def handler(exchange: Exchange) -> None:
        if after != "nothing":
            exchange.respond(200, [(b"x", b"y")])
            exchange.write(b"part")
        if after == "flush":
            await exchange.flush()
        raise error

    return handler


@pytest.mark.parametrize("after", ["nothing", "write"])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (GuestTrap("unreachable"), 500, "guest.trap"),
        (BodyError(408, "slow"), 408, "http.request-timeout"),
        (ValueError("ours"), 500, "host.failed"),
        (ExceptionGroup("ours", [ValueError("ours")]), 500, "host.failed"),
        (ExceptionGroup("ours", [ValueError("ours"), GuestTrap("too")]), 500, "host.failed"),
        (ExceptionGroup("a nursery's", [ExceptionGroup("ours", [GuestTrap("unreachable")])]), 500, "guest.trap"),
    ],
)
async def test_an_error_before_anything_was_sent_is_answered(
    error: Exception, status: int, code: str, after: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with connected(failing(error, after=after)) as client:  # type: ignore[arg-type]
            for _ in range(2):  # and the connection lives
                await client.send(GET)
                answer = await client.answer()
                assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
                assert answer.header("x") is answer.header("connection") is None
                assert "ours" not in answer.body.decode()
    assert [entry["event"] for entry in logs if entry["event"] == "handler.failed"] == (
        ["handler.failed"] * 2 if code == "host.failed" else []
    )


@pytest.mark.parametrize("error", [GuestTrap("unreachable"), ValueError("ours")])
async def test_an_error_after_something_was_sent_cuts_the_connection(error: Exception) -> None:
    async with connected(failing(error, after="flush")) as client:  # type: ignore[arg-type]
        await client.send(GET)
        answer = await client.answer()
        assert (answer.status, answer.body, answer.complete) == (200, b"part", False)
        assert client.transport.cuts == [False]


async def test_a_cut_that_only_a_reset_shows() -> None:
    async with connected(failing(GuestTrap("unreachable"), after="flush")) as client:  # type: ignore[arg-type]
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.answer()).body == b"part"
        assert client.transport.cuts == [True]


async def test_a_handler_that_does_nothing() -> None:
    async def handler(exchange: Exchange) -> None:
        pass

    async with connected(handler) as client:
        await client.send(GET)
        answer = await client.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (500, "guest.no-response")


async def test_a_handler_that_does_not_finish() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])

    async with connected(handler) as client:
        await client.send(GET)
        answer = await client.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (500, "host.failed")


@pytest.mark.parametrize("error", [ClientGone(), ExceptionGroup("a nursery's", [ClientGone()])])
async def test_client_gone_from_a_handler_ends_the_connection(error: Exception) -> None:
    async def handler(exchange: Exchange) -> None:
        raise error

    async with connected(handler) as client:
        await client.send(GET)
        assert await client.closed()


async def test_a_failure_while_cancelled_ends_with_the_connection(autojump_clock: trio.testing.MockClock) -> None:
    async def handler(exchange: Exchange) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("ours")

    with structlog.testing.capture_logs() as logs:
        async with connected(handler) as client:
            await client.send(GET)
            await trio.testing.wait_all_tasks_blocked()
            client.vanish()
            await trio.sleep(3)
            assert len(client.connections) == 0
    assert [entry["event"] for entry in logs] == ["handler.failed"]


async def test_abort() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        exchange.write(b"part")
        await exchange.flush()
        exchange.abort()

    async with connected(handler) as client:
        await client.send(GET)
        answer = await client.answer()
        assert (answer.body, answer.complete) == (b"part", False)


@pytest.mark.parametrize(("size", "status"), [(5, 200), (4, 500), (6, 500)])
async def test_a_wrong_content_length_before_anything_was_sent(size: int, status: int) -> None:
    async with connected(lambda ex: respond(ex, 200, [(b"content-length", b"5")], b"x" * size)) as client:
        for _ in range(2):
            await client.send(GET)
            answer = await client.answer()
            assert answer.status == status
            assert answer.complete


@pytest.mark.parametrize(("size", "complete"), [(5, True), (4, False), (6, False)])
async def test_a_wrong_content_length_after_something_was_sent(size: int, complete: bool) -> None:
    raised: list[GuestResponseInvalid] = []

    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [(b"content-length", b"5")])
        await exchange.flush()
        try:
            exchange.write(b"x" * size)
            await exchange.finish()
        except GuestResponseInvalid as error:
            raised.append(error)
            raise

    async with connected(handler) as client:
        await client.send(GET)
        answer = await client.answer()
        assert answer.complete is complete
        assert len(answer.body) <= 5
        assert len(raised) == (not complete)
