"""The handler as an ASGI application: called by hand, and behind hypercorn."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import structlog
import trio
import trio.testing

from edged.errors import GuestTrap
from edged.http.exchange import Exchange, Handler
from edged.http.gateway import Gateway, serve_behind_hypercorn
from edged.limits import READ_CHUNK_BYTES
from tests.http.wire import echo, hello, read_all, stream_back

Message = MutableMapping[str, Any]


def scope(**changes: Any) -> Message:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "http_version": "1.1",
        "raw_path": b"/a%20b",
        "path": "/a b",
        "query_string": b"c",
        "headers": [(b"host", b"a.example"), (b"spin-x", b"1")],
        "client": ("192.0.2.1", 4711),
    } | changes


class Server:
    """The other side of an ASGI application."""

    def __init__(self) -> None:
        self.to_app, self._receive = trio.open_memory_channel[Message](1)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        return await self._receive.receive()

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def body(self, data: bytes = b"", *, more: bool = False) -> None:
        await self.to_app.send({"type": "http.request", "body": data, "more_body": more})

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def content(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


@asynccontextmanager
async def running(handler: Handler, **changes: Any) -> AsyncIterator[Server]:
    """An application's call, which must end by itself."""
    server = Server()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Gateway(handler), scope(**changes), server.receive, server.send)
        yield server


async def test_a_request() -> None:
    seen: list[Exchange] = []

    async def handler(exchange: Exchange) -> None:
        seen.append(exchange)
        await echo(exchange)

    async with running(handler, method="POST") as server:
        await server.body(b"hel", more=True)
        await server.body(b"lo")
    assert (server.status, server.content) == (200, b"hello")
    assert dict(server.sent[0]["headers"])[b"content-length"] == b"5"
    assert [message.get("more_body") for message in server.sent] == [None, False]
    request = seen[0].request
    assert (request.target, request.authority, request.client) == ("/a%20b?c", "a.example", ("192.0.2.1", 4711))
    assert request.headers == [(b"host", b"a.example")]


async def test_streaming_and_trailers() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        exchange.write(b"one")
        await exchange.flush()
        await exchange.finish([(b"x-sum", b"1")])

    async with running(handler) as server:
        await server.body()
    assert [message["type"] for message in server.sent] == ["http.response.start", *["http.response.body"] * 2]
    assert server.content == b"one"
    assert server.sent[-1]["more_body"] is False


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"raw_path": b"/../x"}, 400),
        ({"raw_path": b"/a%00"}, 400),
        ({"method": "TRACE"}, 501),
        ({"method": "CONNECT"}, 501),
        ({"headers": []}, 400),
        ({"headers": [(b"host", b"a"), (b"content-length", b"1"), (b"transfer-encoding", b"chunked")]}, 400),
        ({"headers": [(b"host", b"a"), (b"x", b"a\r\nb: c")]}, 400),
    ],
)
async def test_the_same_guard(changes: Message, status: int) -> None:
    async with running(hello, **changes) as server:
        await server.body()
    assert server.status == status
    assert "code" in json.loads(server.content)


async def test_a_disconnect_cancels_the_handler() -> None:
    ended: list[str] = []

    async def handler(exchange: Exchange) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append("cancelled")

    async with running(handler) as server:
        await server.body()
        await server.to_app.send({"type": "http.disconnect"})
    assert ended == ["cancelled"]
    assert server.sent == []


async def test_a_disconnect_in_the_middle_of_a_body() -> None:
    async with running(echo, method="POST") as server:
        await server.body(b"hel", more=True)
        await server.to_app.send({"type": "http.disconnect"})
    assert server.sent == []


async def test_no_more_is_taken_from_the_server_than_the_handler_reads() -> None:
    go = trio.Event()

    async def handler(exchange: Exchange) -> None:
        await go.wait()
        await echo(exchange)

    async with running(handler, method="POST") as server:
        sent = 0
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                nonlocal sent
                for _ in range(40):
                    await server.body(b"x" * 10_000, more=True)
                    sent += 10_000
                await server.body()

            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked()
            assert READ_CHUNK_BYTES <= sent <= READ_CHUNK_BYTES + 30_000
            go.set()
    assert len(server.content) == 400_000


async def test_an_error_before_anything_was_sent_is_answered() -> None:
    async def handler(exchange: Exchange) -> None:
        raise GuestTrap("unreachable")

    async with running(handler) as server:
        await server.body()
    assert (server.status, json.loads(server.content)["code"]) == (500, "guest.trap")


async def test_an_error_after_something_was_sent_leaves_the_application() -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.respond(200, [])
        exchange.write(b"part")
        await exchange.flush()
        raise GuestTrap("unreachable")

    server = Server()
    await server.body()
    with pytest.raises(Exception, match="unfinished"):
        await Gateway(handler)(scope(), server.receive, server.send)
    assert server.sent[-1]["more_body"] is True


async def test_other_protocols_are_refused() -> None:
    server = Server()
    with pytest.raises(AssertionError):
        await Gateway(hello)({"type": "websocket"}, server.receive, server.send)


# --- behind hypercorn ---


@asynccontextmanager
async def behind_hypercorn(handler: Handler) -> AsyncIterator[httpx.AsyncClient]:
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(serve_behind_hypercorn, handler, "127.0.0.1", 0)
        async with httpx.AsyncClient(base_url=url) as client:
            yield client
        nursery.cancel_scope.cancel()


async def test_hypercorn() -> None:
    async with behind_hypercorn(stream_back) as client:
        for body in (b"", b"x" * 1_000_000):
            answer = await client.post("/", content=body)
            assert (answer.status_code, answer.content) == (200, body)
        assert "server" not in answer.headers
        assert (await client.get("/..%2f")).status_code == 400


async def test_hypercorn_cuts_what_is_unfinished() -> None:
    async def handler(exchange: Exchange) -> None:
        await read_all(exchange)
        exchange.respond(200, [])
        exchange.write(b"part")
        await exchange.flush()
        raise GuestTrap("unreachable")

    with structlog.testing.capture_logs():
        async with behind_hypercorn(handler) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/")
