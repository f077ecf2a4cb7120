"""What an HTTP/1.1 connection refuses, and what it does with a body that nobody wants."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing

from edged.http.exchange import BodyError, Exchange
from edged.limits import (
    DRAIN_BYTES_MAX,
    HEADER_BYTES_MAX,
    LINGER_BYTES_MAX,
    LINGER_TIMEOUT_S,
    READ_CHUNK_BYTES,
    REQUEST_LINE_BYTES_MAX,
)
from tests.http.wire import GET, chunked, connected, echo, hello, post, read_all, respond

# --- what a handler leaves unread ---


@pytest.mark.parametrize("request_bytes", [post(b"x" * DRAIN_BYTES_MAX), chunked(*[b"x" * 50_000] * 5)])
async def test_a_body_that_nobody_read_is_swallowed(request_bytes: bytes) -> None:
    async with connected(hello) as client:
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send, request_bytes)
                answer = await client.answer()
            assert (answer.body, answer.header("connection")) == (b"hello", None)


async def test_a_larger_one_ends_the_connection_but_not_before_the_answer_was_read() -> None:
    async with connected(hello) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, post(b"x" * (DRAIN_BYTES_MAX + 1)))
            answer = await client.answer()
            assert (answer.body, answer.header("connection")) == (b"hello", "close")
        await client.send_eof()
        assert await client.closed()


async def test_a_larger_chunked_one_ends_the_connection_too() -> None:
    async with connected(hello) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, chunked(*[b"x" * 50_000] * 8))
            answer = await client.answer()
            assert (answer.body, answer.header("connection")) == (b"hello", None)  # it was not known to be larger
        await client.send_eof()
        assert await client.closed()


async def test_an_unread_body_that_does_not_come(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello) as client:
        await client.send(post(b"hello")[:-1])
        assert (await client.answer()).body == b"hello"
        assert await client.closed()


async def test_lingering_has_an_end(autojump_clock: trio.testing.MockClock) -> None:
    """A client that sends on and on after an error is cut off."""
    async with connected(hello) as client:
        await client.send(b"BAD\r\n\r\n")
        assert (await client.answer()).status == 501
        started = trio.current_time()
        sent = 0
        while client.transport.is_open:
            await client.send(b"x" * 10_000)
            await trio.testing.wait_all_tasks_blocked()
            sent += 10_000
        assert sent <= LINGER_BYTES_MAX + READ_CHUNK_BYTES + 10_000
        assert trio.current_time() - started < LINGER_TIMEOUT_S


async def test_lingering_has_an_end_in_time(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(hello) as client:
        await client.send(b"BAD\r\n\r\n")
        await client.answer()
        started = trio.current_time()
        while client.transport.is_open:
            await client.send(b"x")
            await trio.sleep(0.1)
        assert trio.current_time() - started == pytest.approx(LINGER_TIMEOUT_S, abs=0.2)


# --- expect: 100-continue ---


async def test_continue_is_sent_when_the_handler_first_receives() -> None:
    async with connected(echo) as client:
        request = post(b"hello", b"Expect: 100-continue")
        await client.send(request[:-5])
        assert await client.receive_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(request[-5:] + GET)
        assert (await client.answer()).body == b"hello"
        assert (await client.answer()).status == 200


async def test_continue_is_not_sent_to_a_client_that_did_not_wait() -> None:
    async with connected(echo) as client:
        await client.send(post(b"hello", b"Expect: 100-continue"))
        answer = await client.answer()
        assert (answer.body, answer.interim) == (b"hello", [])


async def test_continue_goes_before_a_response_of_another_task(monkeypatch) -> None:
    """As where a guest of WASI 0.3 answers while it begins to read."""

    async def respond_meanwhile(exchange: Exchange) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange.receive, 100)
            await receiving.wait()
            exchange.respond(200, [])
            await exchange.flush()
        await exchange.finish()

    receiving = trio.Event()
    under_way = []
    async with connected(respond_meanwhile) as client:
        send_all = client.transport.send_all

        async def send_slowly(data: bytes) -> None:
            under_way.append(data)
            receiving.set()
            await trio.testing.wait_all_tasks_blocked()
            assert under_way == [data]
            await send_all(data)
            under_way.clear()

        monkeypatch.setattr(client.transport, "send_all", send_slowly)
        request = post(b"hello", b"Expect: 100-continue")
        await client.send(request[:-5])
        assert (await client.receive_some()).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert (await client.receive_some()).startswith(b"HTTP/1.1 200 OK\r\n")
        await client.send(request[-5:])
        assert (await client.receive_some()) == b"0\r\n\r\n"


async def test_without_continue_nobody_knows_where_the_next_request_is() -> None:
    async with connected(lambda exchange: respond(exchange, 403)) as client:
        await client.send(post(b"hello", b"Expect: 100-continue")[:-5])
        answer = await client.answer()
        assert (answer.status, answer.interim, answer.header("connection")) == (403, [], "close")
        await client.send_eof()
        assert await client.closed()


async def test_another_expectation_is_refused() -> None:
    async with connected(hello) as client:
        await client.send(post(b"", b"Expect: more"))
        assert (await client.answer()).status == 417


# --- requests that no handler sees ---


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "http.bad-request"),
        (b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n", 400, "http.bad-request"),
        (b"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http.bad-request"),
        (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "http.bad-request"),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "http.not-implemented"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501, "http.not-implemented"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "http.not-implemented"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http.version-unsupported"),
        (b"GET /" + b"a" * REQUEST_LINE_BYTES_MAX, 414, "http.uri-too-long"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * (HEADER_BYTES_MAX + 20_000), 431, "http.headers-too-large"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "http.bad-request",
        ),
    ],
)
async def test_refused_and_closed(request_bytes: bytes, status: int, code: str) -> None:
    async with connected(hello) as client:
        await client.send(request_bytes + GET)
        answer = await client.answer()
        assert (answer.status, answer.header("connection")) == (status, "close")
        assert answer.header("content-type") == "application/json"
        told = json.loads(answer.body)
        assert told["code"] == code
        assert told["message"]
        assert told["remedy"]
        await client.send_eof()
        assert await client.closed()
        assert (client.connections.served, client.connections.refused) == (0, 1)


async def test_h2c_is_answered_in_http_1_1() -> None:
    async with connected(hello) as client:
        await client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
        )
        answer = await client.answer()
        assert (answer.status, answer.version, answer.body) == (200, "1.1", b"hello")
        await client.send(GET)
        assert (await client.answer()).status == 200


async def test_broken_chunks_reach_the_handler_and_end_the_connection() -> None:
    caught: list[int] = []

    async def handler(exchange: Exchange) -> None:
        for _ in range(2):  # it does not heal
            with pytest.raises(BodyError) as error:
                await read_all(exchange)
            caught.append(error.value.status)
        raise error.value

    async with connected(handler) as client:
        await client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n" + GET
        )
        answer = await client.answer()
        assert (answer.status, answer.header("connection")) == (400, "close")
        assert caught == [400, 400]
        await client.send_eof()
        assert await client.closed()


@pytest.mark.parametrize("make", [lambda size: post(b"x" * size), lambda size: chunked(b"x" * size)])
@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
async def test_the_longest_body(make: object, size: int, status: int) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.request_body_bytes_max = 1000
        await respond(exchange, 200, [], b"%d" % len(await read_all(exchange, 300)))

    async with connected(handler) as client:
        await client.send(make(size))  # type: ignore[operator]
        answer = await client.answer()
        assert answer.status == status
        assert answer.header("connection") == (None if status == 200 else "close")


async def test_a_body_announced_too_long_is_refused_before_it_comes() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.request_body_bytes_max = 1000
        await read_all(exchange)

    async with connected(handler) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")
        assert (await client.answer()).status == 413
