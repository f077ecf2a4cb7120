"""HTTP/1.1 on one connection, from the first byte to the last, without sockets."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing

from edged.http import connection as connection_module
from edged.http.exchange import ClientGone, Exchange
from edged.limits import (
    READ_CHUNK_BYTES,
    WRITE_BUFFER_BYTES,
)
from tests.http.wire import GET, chunked, connected, echo, hello, post, read_all, respond, stream_back

# --- requests and responses ---


@pytest.mark.parametrize("bytewise", [False, True])
async def test_hello(autojump_clock: trio.testing.MockClock, bytewise: bool) -> None:
    async with connected(hello) as client:
        for _ in range(3):
            await client.send(GET, bytewise=bytewise)
            answer = await client.answer()
            assert (answer.status, answer.body, answer.version) == (200, b"hello", "1.1")
            assert [name for name, _ in answer.headers] == [b"content-type", b"content-length", b"date"]
        assert len(client.transport.sends) == 3  # a small answer is one send


@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize(
    "request_bytes", [post(b"body"), chunked(b"bo", b"dy"), chunked(b"body", trailers=b"X-Sum: 1\r\n")]
)
async def test_bodies(autojump_clock: trio.testing.MockClock, request_bytes: bytes, bytewise: bool) -> None:
    async with connected(echo) as client:
        for _ in range(2):
            await client.send(request_bytes, bytewise=bytewise)
            answer = await client.answer()
            assert (answer.body, answer.header("x-line")) == (b"body", "POST /x")
            assert answer.header("x-sum") == ("1" if b"X-Sum" in request_bytes else None)


@pytest.mark.parametrize("bytewise", [False, True])
async def test_pipelined_requests_are_answered_in_order(autojump_clock: trio.testing.MockClock, bytewise: bool) -> None:
    async def slow_first(exchange: Exchange) -> None:
        if exchange.request.target == "/1":
            await trio.sleep(3)
        await echo(exchange)

    requests = (
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" + chunked(b"two") + post(b"three") + b"GET /4 HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    async with connected(slow_first) as client:
        await client.send(requests, bytewise=bytewise)
        lines = []
        for _ in range(4):
            answer = await client.answer()
            lines.append((answer.header("x-line"), answer.body))
        assert lines == [("GET /1", b""), ("POST /x", b"two"), ("POST /x", b"three"), ("GET /4", b"")]


async def test_empty_lines_before_a_request_are_skipped() -> None:
    async with connected(hello) as client:
        await client.send(b"\r\n\r\n" + GET + b"\r\n" + GET)
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 200


async def test_the_handler_sees_who_asks() -> None:
    seen: list[Exchange] = []

    async def handler(exchange: Exchange) -> None:
        seen.append(exchange)
        await hello(exchange)

    async with connected(handler, scheme="https") as client:
        await client.send(b"GET /a?b HTTP/1.1\r\nHost: A.example\r\nSpin-Client-Addr: 1.2.3.4:5\r\nX: y\r\n\r\n")
        await client.answer()
    request = seen[0].request
    assert (request.scheme, request.authority, request.target) == ("https", "A.example", "/a?b")
    assert (request.client, request.http_version) == (("192.0.2.1", 4711), "1.1")
    assert request.headers == [(b"host", b"A.example"), (b"x", b"y")]


async def test_a_flushed_response_is_chunked() -> None:
    async with connected(lambda exchange: respond(exchange, 200, (), b"one", b"two", flush=True)) as client:
        await client.send(GET + GET)
        for _ in range(2):
            answer = await client.answer()
            assert (answer.body, answer.header("transfer-encoding")) == (b"onetwo", "chunked")
            assert answer.header("content-length") is None


async def test_the_head_can_leave_before_the_body() -> None:
    finish = trio.Event()

    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        await exchange.flush()
        await finish.wait()
        await exchange.finish()

    async with connected(handler) as client:
        await client.send(GET)
        assert (await client.receive_some()).startswith(b"HTTP/1.1 200 OK\r\n")
        finish.set()
        assert await client.receive_some() == b"0\r\n\r\n"


async def test_response_trailers() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [(b"trailer", b"x-sum")])
        exchange.write(b"abc")
        await exchange.finish([(b"X-Sum", b"6"), (b"content-length", b"3")])

    async with connected(handler) as client:
        await client.send(GET)
        answer = await client.answer()
        assert (answer.body, answer.trailers) == (b"abc", [(b"x-sum", b"6")])
        assert len(client.transport.sends) == 1


async def test_a_content_length_is_kept_whatever_is_flushed() -> None:
    headers = [(b"content-length", b"6")]
    async with connected(lambda exchange: respond(exchange, 200, headers, b"one", b"two", flush=True)) as client:
        await client.send(GET + GET)
        for _ in range(2):
            answer = await client.answer()
            assert (answer.body, answer.header("content-length")) == (b"onetwo", "6")
            assert answer.header("transfer-encoding") is None


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("length", [None, b"5"])
async def test_head_has_no_body(flush: bool, length: bytes | None) -> None:
    headers = [] if length is None else [(b"content-length", length)]
    async with connected(lambda exchange: respond(exchange, 200, headers, b"hello", flush=flush)) as client:
        await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        for _ in range(2):
            answer = await client.answer("HEAD")
            assert (answer.status, answer.body) == (200, b"")
            assert answer.header("content-length") == (None if length is None else "5")
            assert answer.header("transfer-encoding") is None


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_a_body(status: int, flush: bool) -> None:
    async with connected(lambda exchange: respond(exchange, status, [], b"hello", flush=flush)) as client:
        await client.send(GET + GET)
        for _ in range(2):
            answer = await client.answer()
            assert (answer.status, answer.body, answer.complete) == (status, b"", True)
            assert answer.header("content-length") is answer.header("transfer-encoding") is None


async def test_a_304_may_tell_the_length_and_a_204_may_not() -> None:
    for status, told in ((304, "5"), (204, None)):
        async with connected(
            lambda exchange, status=status: respond(exchange, status, [(b"content-length", b"5")])
        ) as c:  # type: ignore[misc]
            await c.send(GET)
            assert (await c.answer()).header("content-length") == told


@pytest.mark.parametrize("status", [100, 101, 199, 0, 1000])
async def test_statuses_that_are_not_final(status: int) -> None:
    async with connected(lambda exchange: respond(exchange, status)) as client:
        await client.send(GET)
        answer = await client.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (500, "guest.response-invalid")


async def test_the_handlers_own_date_and_framing_fields() -> None:
    headers = [(b"Date", b"today"), (b"connection", b"close"), (b"transfer-encoding", b"gzip")]
    async with connected(lambda exchange: respond(exchange, 200, headers)) as client:
        await client.send(GET)
        answer = await client.answer()
        assert answer.headers == [(b"date", b"today"), (b"content-length", b"0")]


# --- back-pressure ---


async def test_the_body_is_read_only_as_the_handler_asks() -> None:
    go = trio.Event()

    async def handler(exchange: Exchange) -> None:
        await go.wait()
        size = len(await read_all(exchange))
        await respond(exchange, 200, [], b"%d" % size)

    async with connected(handler) as client:
        await client.send(post(b"x" * 10_000_000))
        await trio.testing.wait_all_tasks_blocked()
        assert client.transport.received == READ_CHUNK_BYTES
        go.set()
        assert (await client.answer()).body == b"10000000"


async def test_write_capacity() -> None:
    capacities = []

    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        capacities.append(exchange.write_capacity())
        exchange.write(b"x" * 100)
        capacities.append(exchange.write_capacity())
        exchange.write(b"x" * WRITE_BUFFER_BYTES)
        capacities.append(exchange.write_capacity())
        await exchange.flush()
        capacities.append(exchange.write_capacity())
        await exchange.finish()

    async with connected(handler) as client:
        await client.send(GET)
        assert len((await client.answer()).body) == WRITE_BUFFER_BYTES + 100
    assert capacities == [WRITE_BUFFER_BYTES, WRITE_BUFFER_BYTES - 100, 0, WRITE_BUFFER_BYTES]


async def test_streaming_both_ways_at_once() -> None:
    async with connected(stream_back) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"one", b"two", b"three"):
            await client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            received = b""
            while piece not in received:
                received += await client.receive_some()
        await client.send(b"0\r\nX-Sum: 1\r\n\r\n")
        assert await client.receive_some() == b"0\r\nx-sum: 1\r\n\r\n"


async def test_receive_nowait() -> None:
    seen: list[bytes | None] = []

    async def handler(exchange: Exchange) -> None:
        seen.append(exchange.receive_nowait(100))
        seen.append(await exchange.receive(2))
        seen.append(exchange.receive_nowait(2))
        seen.append(exchange.receive_nowait(2))
        seen.append(await exchange.receive(100))
        seen.append(exchange.receive_nowait(100))
        await respond(exchange)

    async with connected(handler) as client:
        await client.send(post(b"hello!")[:-6])
        await trio.testing.wait_all_tasks_blocked()
        await client.send(b"hell")
        await trio.testing.wait_all_tasks_blocked()
        await client.send(b"o!")
        assert (await client.answer()).status == 200
    assert seen == [None, b"he", b"ll", None, b"o!", b""]


# --- how connections end ---


@pytest.mark.parametrize(
    ("request_bytes", "told"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close"),
        (b"GET / HTTP/1.0\r\n\r\n", "close"),
        (b"GET / HTTP/1.0\r\nConnection: close, keep-alive-not\r\n\r\n", "close"),
    ],
)
async def test_the_last_request(request_bytes: bytes, told: str) -> None:
    async with connected(hello) as client:
        await client.send(request_bytes)
        answer = await client.answer()
        assert (answer.body, answer.header("connection")) == (b"hello", told)
        assert answer.header("content-length") == "5"
        assert await client.closed()


async def test_http_1_0_keep_alive() -> None:
    async with connected(hello) as client:
        for _ in range(2):
            await client.send(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            answer = await client.answer()
            assert (answer.body, answer.header("connection")) == (b"hello", "keep-alive")


async def test_http_1_0_bodies_of_unknown_length_end_with_the_connection() -> None:
    async with connected(lambda exchange: respond(exchange, 200, [], b"one", b"two", flush=True)) as client:
        await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await client.answer()
        assert (answer.body, answer.header("connection")) == (b"onetwo", "close")
        assert answer.header("transfer-encoding") is answer.header("content-length") is None


async def test_the_most_requests_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "REQUEST_PER_CONNECTION_MAX", 3)
    async with connected(hello) as client:
        await client.send(GET * 4)
        assert [(await client.answer()).header("connection") for _ in range(3)] == [None, None, "close"]
        assert await client.closed()
        assert client.connections.served == 3


async def test_a_client_that_ended_its_side_gets_its_answers() -> None:
    async def handler(exchange: Exchange) -> None:
        await trio.testing.wait_all_tasks_blocked()
        await echo(exchange)

    async with connected(handler) as client:
        await client.send(GET + post(b"hello"))
        await client.send_eof()
        assert (await client.answer()).status == 200
        assert (await client.answer()).body == b"hello"
        assert await client.closed()


async def test_a_client_that_ended_in_the_middle_of_a_head() -> None:
    async with connected(hello) as client:
        await client.send(GET + b"GET / HT")
        await client.send_eof()
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 400
        assert await client.closed()


@pytest.mark.parametrize("request_bytes", [post(b"hello")[:-1], chunked(b"hello")[:-1], chunked(b"hello")[:-8]])
async def test_a_client_that_ended_in_the_middle_of_a_body(request_bytes: bytes) -> None:
    gone: list[ClientGone] = []

    async def handler(exchange: Exchange) -> None:
        try:
            await read_all(exchange)
        except ClientGone as error:
            gone.append(error)
            raise

    async with connected(handler) as client:
        await client.send(request_bytes)
        await client.send_eof()
        assert await client.closed()
        assert len(gone) == 1
