"""One connection: requests out, responses in, byte by byte where that could matter, and servers that misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing

from edged.host.http.error import HttpError
from edged.host.http.fields import Fields
from edged.host.http.outgoing_body import BodySink, OutgoingBody
from edged.host.http.request_body import SinkReader
from edged.host.http.transport import Timeouts
from edged.host.http_client.fetch import WholeBody
from edged.http.exchange import ClientGone
from edged.limits import (
    HEADER_BYTES_MAX,
    HEADER_COUNT_MAX,
    HTTP_CLIENT_CHUNKS_AT_CLOSE,
    HTTP_CLIENT_INTERIM_COUNT_MAX,
    WRITE_BUFFER_BYTES,
    WRITE_TIMEOUT_S,
)
from tests.host.http_client.servers import OK, Call, Servers, read, request

wait = trio.testing.wait_all_tasks_blocked


@pytest.fixture
def servers() -> Servers:
    return Servers()


class Upload:
    """A guest's body under way."""

    def __init__(self, length: int | None = None, bytes_max: int = 1 << 20) -> None:
        self.sink = BodySink(length, bytes_max, "HTTP-request-body-size")
        self.body = OutgoingBody(self.sink)
        self.stream = self.body.write()
        self.reader = SinkReader(self.sink)

    def finish(self, trailers: Sequence[tuple[str, bytes]] = ()) -> None:
        self.stream.drop()
        self.body.finish(Fields.from_entries(trailers) if trailers else None)


async def exchange(nursery: Any, servers: Servers, answer: bytes, **options: Any) -> Call:
    call = Call(nursery, servers.client(), request(**options))
    await servers.answer(answer)
    return call


# --- requests ---


async def test_a_request_without_a_body_is_one_send(nursery, servers) -> None:
    call = await exchange(nursery, servers, OK, target="/a?b=c", headers=[(b"accept", b"*/*"), (b"x", b"\xff")])
    assert servers.wire.sent == b"GET /a?b=c HTTP/1.1\r\nhost: example.com\r\naccept: */*\r\nx: \xff\r\n\r\n"
    assert servers.wire.sends == 1
    assert call.done
    assert call.response.status == 200
    assert list(call.response.headers) == [(b"content-length", b"5")]
    assert await read(call.response) == b"hello"


async def test_the_host_is_the_authority_as_it_was_written(nursery, servers) -> None:
    await exchange(nursery, servers, OK, authority="Example.COM:8080")
    assert b"\r\nhost: Example.COM:8080\r\n" in servers.wire.sent
    assert servers.origins == [("http", "example.com", 8080, None)]


@pytest.mark.parametrize(
    ("method", "sends_length"),
    [("GET", False), ("HEAD", False), ("DELETE", False), ("POST", True), ("PUT", True), ("PATCH", True)],
)
async def test_only_methods_that_ask_for_a_body_say_that_there_is_none(nursery, servers, method, sends_length) -> None:
    await exchange(nursery, servers, OK, method=method)
    assert (b"content-length: 0\r\n" in servers.wire.sent) == sends_length


async def test_a_body_that_is_whole_is_one_send_with_its_length(nursery, servers) -> None:
    upload = Upload()
    upload.stream.write(b"some")
    upload.stream.write(b"thing")
    upload.finish()
    await exchange(nursery, servers, OK, method="POST", body=upload.reader)
    assert servers.wire.sent.endswith(b"\r\ncontent-length: 9\r\n\r\nsomething")
    assert servers.wire.sends == 1


async def test_a_body_that_is_not_whole_is_chunked(nursery, servers) -> None:
    upload = Upload()
    upload.stream.write(b"some")
    call = Call(nursery, servers.client(), request("POST", body=upload.reader))
    await wait()
    assert servers.wire.sent.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n")
    upload.stream.write(b"thing")
    await wait()
    upload.finish()
    await servers.answer(OK)
    assert servers.wire.sent.endswith(b"4\r\nsome\r\n5\r\nthing\r\n0\r\n\r\n")
    assert await read(call.response) == b"hello"


async def test_an_announced_length_is_said_once(nursery, servers) -> None:
    upload = Upload(length=9)
    call = Call(nursery, servers.client(), request("PUT", headers=[(b"content-length", b"9")], body=upload.reader))
    await wait()
    upload.stream.write(b"something")
    upload.finish()
    await servers.answer(OK)
    assert servers.wire.sent.count(b"content-length: 9\r\n") == 1
    assert servers.wire.sent.endswith(b"\r\n\r\nsomething")
    assert call.done


async def test_trailers_of_a_request_need_chunks(nursery, servers) -> None:
    upload = Upload()
    upload.stream.write(b"body")
    upload.finish([("x-sum", b"1")])
    await exchange(nursery, servers, OK, method="POST", body=upload.reader)
    assert servers.wire.sent.endswith(b"transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n")


async def test_with_a_length_there_are_no_trailers(nursery, servers) -> None:
    upload = Upload(length=4)
    upload.stream.write(b"body")
    upload.finish([("x-sum", b"1")])
    await exchange(nursery, servers, OK, method="POST", body=upload.reader)
    assert servers.wire.sent.endswith(b"content-length: 4\r\n\r\nbody")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_get_whose_body_has_not_begun_is_sent_without(nursery, servers, method) -> None:
    upload = Upload()
    call = await exchange(nursery, servers, OK, method=method, body=upload.reader)
    assert call.done
    assert b"chunked" not in servers.wire.sent
    assert upload.sink.gone


async def test_but_what_a_guest_has_written_is_sent(nursery, servers) -> None:
    upload = Upload()
    upload.stream.write(b"query")
    upload.finish()
    await exchange(nursery, servers, OK, method="GET", body=upload.reader)
    assert servers.wire.sent.endswith(b"content-length: 5\r\n\r\nquery")


async def test_no_100_continue_is_asked_for(nursery, servers) -> None:
    await exchange(nursery, servers, OK, headers=[(b"expect", b"100-continue")])
    assert b"expect" not in servers.wire.sent


async def test_the_trace_context_of_a_guest_passes(nursery, servers) -> None:
    context = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    await exchange(nursery, servers, OK, headers=[context])
    assert b"\r\ntraceparent: " + context[1] + b"\r\n" in servers.wire.sent


@pytest.mark.parametrize("size", [WRITE_BUFFER_BYTES, WRITE_BUFFER_BYTES + 1, 5 * WRITE_BUFFER_BYTES])
async def test_a_large_body_is_sent_in_pieces(nursery, servers, size) -> None:
    call = await exchange(nursery, servers, OK, method="POST", body=WholeBody(b"x" * size))
    assert servers.wire.sent.endswith(b"\r\n\r\n" + b"x" * size)
    assert await read(call.response) == b"hello"


async def test_a_guest_writes_no_faster_than_the_server_takes(nursery, servers) -> None:
    upload = Upload(bytes_max=1 << 30)
    call = Call(nursery, servers.client(), request("POST", body=upload.reader))
    await wait()
    servers.wire.stalled = True
    written = 0
    while room := upload.stream.check_write():
        upload.stream.write(b"x" * min(room, 1 << 16))
        written += min(room, 1 << 16)
        await wait()
    assert written <= (1 << 20) + 2 * WRITE_BUFFER_BYTES
    ready = trio.Event()
    nursery.start_soon(_then, upload.sink.wait, ready)
    await wait()
    assert not ready.is_set()
    servers.wire.resume()
    await wait()
    assert ready.is_set()
    upload.finish()
    await servers.answer(OK)
    assert servers.wire.sent.count(b"x") == written + b"example.com".count(b"x")
    assert call.done


async def _then(wait_for, event) -> None:
    await wait_for()
    event.set()


async def test_a_body_dropped_before_its_end_ends_the_request(nursery, servers) -> None:
    upload = Upload()
    upload.stream.write(b"some")
    call = Call(nursery, servers.client(), request("POST", body=upload.reader))
    await wait()
    upload.stream.drop()
    upload.body.drop()
    await wait()
    assert isinstance(call.error, ClientGone)
    assert servers.wire.closed
    assert b"0\r\n\r\n" not in servers.wire.sent


async def test_and_one_dropped_before_it_began_too(nursery, servers) -> None:
    upload = Upload()
    upload.stream.drop()
    upload.body.drop()
    client = servers.client()
    call = Call(nursery, client, request("POST", body=upload.reader))
    await wait()
    assert isinstance(call.error, ClientGone)
    assert servers.wire.closed
    assert client.statistics().active == 0


async def test_a_server_that_takes_nothing(nursery, servers, autojump_clock) -> None:
    upload = Upload()
    client = servers.client()
    call = Call(nursery, client, request("POST", body=upload.reader, timeouts=Timeouts(1000, 1000, 1000)))
    await trio.testing.wait_all_tasks_blocked()
    servers.wire.stalled = True
    started = trio.current_time()
    upload.stream.write(b"more")
    await call.finished.wait()
    assert call.code == "connection-write-timeout"
    assert trio.current_time() - started == pytest.approx(WRITE_TIMEOUT_S)
    assert client.statistics().active == 0


# --- responses ---

RESPONSES = {
    "by length": (b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world", b"hello world", ()),
    "chunked": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
        b"hello world",
        (),
    ),
    "with trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
        b"hello",
        ((b"x-sum", b"1"), (b"y", b"2")),
    ),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"", ()),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", ()),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n", b"", ()),
    "after interim ones": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok",
        b"ok",
        (),
    ),
}


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("whole", [True, False])
async def test_responses_whole_and_byte_by_byte(nursery, servers, name, whole) -> None:
    raw, body, trailers = RESPONSES[name]
    client = servers.client()
    call = Call(nursery, client, request())
    got: list[bytes] = []

    async def reader() -> None:
        while not call.responses:
            await trio.lowlevel.checkpoint()
        got.append(await read(call.response))

    nursery.start_soon(reader)
    for piece in [raw] if whole else [raw[i : i + 1] for i in range(len(raw))]:
        await trio.lowlevel.checkpoint()
        while not servers.wires:
            await trio.lowlevel.checkpoint()
        servers.wire.feed(piece)
        for _ in range(4):
            await trio.lowlevel.checkpoint()
    while not got:
        await trio.lowlevel.checkpoint()
    assert got == [body]
    assert tuple(call.response.body.trailers()) == trailers
    assert (client.statistics().active, client.statistics().idle) == (0, 1)
    assert not servers.wire.closed


async def test_a_head_request_has_no_body_whatever_is_announced(nursery, servers) -> None:
    call = await exchange(nursery, servers, b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n", method="HEAD")
    assert await read(call.response) == b""


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
async def test_a_body_that_ends_with_its_connection(nursery, servers, head) -> None:
    client = servers.client()
    call = Call(nursery, client, request())
    await servers.answer(head + b"hello")
    assert call.response.body.receive_nowait(100) == b"hello"
    assert call.response.body.receive_nowait(100) is None
    servers.wire.feed(b" world")
    servers.wire.end()
    assert await read(call.response) == b" world"
    assert servers.wire.closed
    assert client.statistics().active == client.statistics().idle == 0


async def test_content_is_passed_as_it_is(nursery, servers) -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x00"
    call = await exchange(nursery, servers, raw)
    assert (b"content-encoding", b"gzip") in call.response.headers
    assert await read(call.response) == b"\x1f\x8b\x00"


async def test_a_redirect_is_an_answer_like_any_other(nursery, servers) -> None:
    raw = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
    call = await exchange(nursery, servers, raw)
    assert call.response.status == 302
    assert len(servers.wires) == 1


async def test_nothing_is_received_that_nobody_asks_for(nursery, servers) -> None:
    call = await exchange(nursery, servers, b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    servers.wire.feed(b"x" * 1_000_000)
    await wait()
    assert len(servers.wire._incoming) == 1_000_000
    assert len(await call.response.body.receive(1000)) == 1000
    assert len(servers.wire._incoming) >= 1_000_000 - 65536
    call.response.body.close()
    assert servers.wire.closed


async def test_a_response_before_the_request_was_read(nursery, servers) -> None:
    """Both go on at once; the connection is done when both are."""
    upload = Upload()
    client = servers.client()
    call = Call(nursery, client, request("POST", body=upload.reader))
    await servers.answer(OK)
    assert not call.done
    assert await read(call.response) == b"hello"
    assert client.statistics().active == 1
    upload.stream.write(b"late")
    upload.finish()
    await wait()
    assert call.done
    assert servers.wire.sent.endswith(b"4\r\nlate\r\n0\r\n\r\n")
    assert (client.statistics().active, client.statistics().idle) == (0, 1)


async def test_a_server_that_answers_and_takes_no_more(nursery, servers) -> None:
    upload = Upload()
    client = servers.client()
    call = Call(nursery, client, request("POST", body=upload.reader))
    await servers.answer(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
    servers.wire.cut()
    upload.stream.write(b"more")
    await wait()
    assert call.done
    assert call.error is None
    assert (call.response.status, await read(call.response)) == (413, b"big")
    assert servers.wire.closed
    assert client.statistics().active == 0


# --- servers that misbehave ---

FLOOD = b"HTTP/1.1 100 Continue\r\n\r\n"

BROKEN_HEADS = {
    "closed at once": (b"", "connection-terminated"),
    "closed in the head": (b"HTTP/1.1 200 OK\r\ncontent-", "HTTP-response-incomplete"),
    "closed after an interim one": (FLOOD, "HTTP-response-incomplete"),
    "no http": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP-protocol-error"),
    "binary": (b"\x00\x01\x02\x03\x04\x05", "HTTP-protocol-error"),
    "bad status": (b"HTTP/1.1 abc OK\r\n\r\n", "HTTP-protocol-error"),
    "bad header": (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "HTTP-protocol-error"),
    "two lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", "HTTP-protocol-error"),
    "no length": (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "HTTP-protocol-error"),
    "negative length": (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "HTTP-protocol-error"),
    "coding": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", ("HTTP-response-transfer-coding", None)),
    "upgrade": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", "HTTP-protocol-error"),
    "long line": (
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * (HEADER_BYTES_MAX + 65536),
        ("HTTP-response-header-section-size", None),
    ),
    "many headers": (
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * (HEADER_COUNT_MAX + 1) + b"\r\n",
        ("HTTP-response-header-section-size", None),
    ),
    "shortest headers": (
        b"HTTP/1.1 200 OK\r\n" + b"x:\r\n" * (HEADER_BYTES_MAX // 4) + b"\r\n",
        ("HTTP-response-header-section-size", None),
    ),
    "interim flood": (FLOOD * (HTTP_CLIENT_INTERIM_COUNT_MAX + 1), "HTTP-protocol-error"),
    "announced too large": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n",
        ("HTTP-response-body-size", 1_048_577),
    ),
}


@pytest.mark.parametrize("name", BROKEN_HEADS)
async def test_heads_that_are_none(nursery, servers, name) -> None:
    raw, code = BROKEN_HEADS[name]
    client = servers.client()
    call = Call(nursery, client, request())
    await wait()
    servers.wire.feed(raw)
    servers.wire.end()
    await wait()
    assert call.responses == []
    assert call.code == code
    assert servers.wire.closed
    assert client.statistics().active == 0


async def test_heads_at_the_limits(nursery, servers) -> None:
    raw = FLOOD * HTTP_CLIENT_INTERIM_COUNT_MAX + b"HTTP/1.1 200 OK\r\ncontent-length: 1048576\r\n"
    raw += b"x: y\r\n" * (HEADER_COUNT_MAX - 2) + b"z: " + b"y" * (HEADER_BYTES_MAX // 2) + b"\r\n\r\n"
    call = await exchange(nursery, servers, raw)
    assert len(call.response.headers) == HEADER_COUNT_MAX
    call.response.body.close()


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

BROKEN_BODIES = {
    "too short": (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", b"hello", "HTTP-response-incomplete"),
    "no last chunk": (CHUNKED + b"5\r\nhello\r\n", b"hello", "HTTP-response-incomplete"),
    "half a chunk": (CHUNKED + b"9\r\nhello", b"hello", "HTTP-response-incomplete"),
    "no chunk": (CHUNKED + b"5\r\nhello\r\nxyz\r\n", b"hello", "HTTP-protocol-error"),
    "longer chunk": (CHUNKED + b"3\r\nhello\r\n0\r\n\r\n", b"hel", "HTTP-protocol-error"),
    "bad trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", b"hello", "HTTP-protocol-error"),
    "one trailer too many": (
        CHUNKED + b"5\r\nhello\r\n0\r\n" + b"x: y\r\n" * (HEADER_COUNT_MAX + 1) + b"\r\n",
        b"hello",
        ("HTTP-response-trailer-section-size", None),
    ),
    "many trailers": (
        CHUNKED + b"5\r\nhello\r\n0\r\n" + b"x:\r\n" * 10_000 + b"\r\n",
        b"hello",
        "HTTP-protocol-error",
    ),
    "endless trailers": (
        CHUNKED + b"5\r\nhello\r\n0\r\n" + b"x: y\r\n" * 30_000,
        b"hello",
        "HTTP-protocol-error",
    ),
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
async def test_bodies_that_break(nursery, servers, name) -> None:
    raw, whole, code = BROKEN_BODIES[name]
    client = servers.client()
    call = Call(nursery, client, request())
    await servers.answer(raw)
    servers.wire.end()
    got = [await call.response.body.receive(1) for _ in whole]
    assert b"".join(got) == whole
    with pytest.raises(HttpError) as raised:
        await call.response.body.receive(3)
    assert raised.value.code == code
    with pytest.raises(HttpError):
        call.response.body.receive_nowait(3)
    assert servers.wire.closed
    assert client.statistics().active == 0


async def test_trailers_at_the_limit(nursery, servers) -> None:
    raw = CHUNKED + b"5\r\nhello\r\n0\r\n" + b"x: y\r\n" * HEADER_COUNT_MAX + b"\r\n"
    call = await exchange(nursery, servers, raw)
    assert await read(call.response) == b"hello"
    assert len(call.response.body.trailers()) == HEADER_COUNT_MAX


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n"]
)
async def test_a_body_may_have_any_number_of_lines(nursery, servers, head) -> None:
    call = await exchange(nursery, servers, head)
    servers.wire.feed(b"%x\r\n%b\r\n0\r\n\r\n" % (100_000, b"\n" * 100_000) if head is CHUNKED else b"\n" * 100_000)
    servers.wire.end()
    assert await read(call.response) == b"\n" * 100_000


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1])
@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n"], ids=["chunked", "to the end"])
async def test_a_body_at_the_limit_and_over(nursery, servers, head, size) -> None:
    client = servers.client()
    call = Call(nursery, client, request())
    await servers.answer(head)
    servers.wire.feed(b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size) if head is CHUNKED else b"x" * size)
    servers.wire.end()
    if size <= 1 << 20:
        assert len(await read(call.response)) == size
    else:
        with pytest.raises(HttpError, match="HTTP-response-body-size"):
            await read(call.response)
    assert client.statistics().active == 0


async def test_a_connection_that_breaks(nursery, servers) -> None:
    call = await exchange(nursery, servers, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
    servers.wire.cut()
    with pytest.raises(HttpError, match="connection-terminated"):
        await read(call.response)
    assert servers.wire.closed


async def test_a_million_tiny_chunks_do_not_hold_the_loop(nursery, servers) -> None:
    call = await exchange(nursery, servers, CHUNKED)
    servers.wire.feed(b"1\r\nx\r\n" * 10_000)
    first = await call.response.body.receive(65536)
    assert 0 < len(first) <= 256
    call.response.body.close()


# --- time ---


async def test_a_server_that_never_answers(nursery, servers, autojump_clock) -> None:
    client = servers.client()
    call = Call(nursery, client, request())
    started = trio.current_time()
    await call.finished.wait()
    assert call.code == "connection-read-timeout"
    assert trio.current_time() - started == pytest.approx(20)
    assert servers.wire.closed
    assert client.statistics().active == 0


@pytest.mark.parametrize("drop", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
async def test_one_that_drips_its_head(nursery, servers, autojump_clock, drop) -> None:
    call = Call(nursery, servers.client(), request())
    await trio.testing.wait_all_tasks_blocked()
    started = trio.current_time()
    for byte in drop[:-1]:
        servers.wire.feed(bytes([byte]))
        await trio.sleep(19 / len(drop))
    await call.finished.wait()
    assert call.code == "connection-read-timeout"
    assert trio.current_time() - started == pytest.approx(20)


async def test_one_that_stops_in_the_body(nursery, servers, autojump_clock) -> None:
    call = await exchange(nursery, servers, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
    started = trio.current_time()
    with pytest.raises(HttpError, match="connection-read-timeout"):
        await read(call.response)
    assert trio.current_time() - started == pytest.approx(30)
    assert servers.wire.closed


async def test_looking_again_does_not_put_the_end_off(nursery, servers, autojump_clock) -> None:
    call = await exchange(nursery, servers, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
    started = trio.current_time()

    async def look_again_and_again() -> None:
        while True:
            with trio.move_on_after(1):
                await call.response.body.receive(1)

    with pytest.raises(HttpError, match="connection-read-timeout"):
        await look_again_and_again()
    assert trio.current_time() - started == pytest.approx(30)


async def test_but_each_byte_does(nursery, servers, autojump_clock) -> None:
    call = await exchange(nursery, servers, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
    for _ in range(9):
        with trio.move_on_after(29):
            await call.response.body.receive(1)
        servers.wire.feed(b"x")
        assert await call.response.body.receive(1) == b"x"
    assert await call.response.body.receive(1) == b""


# --- who lets go ---


async def test_a_cancelled_request_closes_its_connection(nursery, servers) -> None:
    client = servers.client()
    call = Call(nursery, client, request())
    await wait()
    call.scope.cancel()
    await wait()
    assert servers.wire.closed
    assert client.statistics().active == client.statistics().idle == 0


async def test_a_response_let_go_of_early_closes_its_connection(nursery, servers) -> None:
    client = servers.client()
    call = Call(nursery, client, request())
    await servers.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
    call.response.body.close()
    call.response.body.close()
    assert servers.wire.closed
    assert client.statistics().active == client.statistics().idle == 0
    with pytest.raises(HttpError):
        await call.response.body.receive(1)


async def test_one_whose_end_is_here_keeps_it(nursery, servers) -> None:
    client = servers.client()
    call = Call(nursery, client, request())
    await servers.answer(OK)
    call.response.body.close()
    assert not servers.wire.closed
    assert client.statistics().idle == 1


@pytest.mark.parametrize(("chunks", "closed"), [(HTTP_CLIENT_CHUNKS_AT_CLOSE - 1, False), (20_000, True)])
async def test_one_whose_end_is_many_chunks_away_does_not(nursery, servers, chunks, closed) -> None:
    client = servers.client()
    call = Call(nursery, client, request())
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    await servers.answer(head + b"1\r\nx\r\n" * chunks + b"0\r\n\r\n")
    events = 0
    connection = call.response.body._connection
    next_event = connection.next_event

    class Counting:
        settle, abandon = connection.settle, connection.abandon

        def next_event(self):
            nonlocal events
            events += 1
            return next_event()

    call.response.body._connection = Counting()
    call.response.body.close()
    assert events <= HTTP_CLIENT_CHUNKS_AT_CLOSE
    assert servers.wire.closed is closed
    assert client.statistics().idle == (not closed)


async def test_a_response_let_go_of_while_the_request_goes_on_ends_both(nursery, servers) -> None:
    upload = Upload()
    client = servers.client()
    call = Call(nursery, client, request("POST", body=upload.reader))
    await servers.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
    call.response.body.close()
    upload.stream.write(b"more")
    await wait()
    assert call.done
    assert servers.wire.closed
    assert client.statistics().active == 0


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
    ids=["more than one response", "close", "1.0", "two framings"],
)
async def test_connections_that_are_not_used_again(nursery, servers, raw) -> None:
    client = servers.client()
    call = Call(nursery, client, request())
    await servers.answer(raw)
    assert await read(call.response) == b"hello"
    assert servers.wire.closed
    assert client.statistics().active == client.statistics().idle == 0
