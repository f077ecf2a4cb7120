"""HTTP/1.1 on one connection, from the first byte to the last, without sockets."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import structlog
import trio
import trio.testing

from edged.errors import GuestResponseInvalid, GuestTrap
from edged.http import connection as connection_module
from edged.http.exchange import BodyError, ClientGone, Exchange, Header
from edged.limits import (
    BODY_TIMEOUT_S,
    DRAIN_BYTES_MAX,
    HEADER_BYTES_MAX,
    HEADER_TIMEOUT_S,
    IDLE_TIMEOUT_S,
    LINGER_BYTES_MAX,
    LINGER_TIMEOUT_S,
    READ_CHUNK_BYTES,
    REQUEST_LINE_BYTES_MAX,
    SWEEP_INTERVAL_S,
    WRITE_BUFFER_BYTES,
)
from tests.http.wire import connected, echo, hello, read_all, stream_back

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes = b"", *fields: bytes, version: bytes = b"1.1") -> bytes:
    lines = [b"POST /x HTTP/" + version, b"Host: a", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes, trailers: bytes = b"", fields: Sequence[bytes] = ()) -> bytes:
    head = b"\r\n".join([b"POST /x HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", *fields]) + b"\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


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


async def test_client_gone_from_a_handler_ends_the_connection() -> None:
    async def handler(exchange: Exchange) -> None:
        raise ClientGone

    async with connected(handler) as client:
        await client.send(GET)
        assert await client.closed()


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
