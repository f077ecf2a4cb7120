"""Clients that keep connections: what they count, and when they open another."""

from __future__ import annotations

from collections.abc import Callable

import trio

from tests.lab.client import Answer
from tests.lab.kept_client import _Kept

BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nams"
LAST = BODY.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
Answers = Callable[[int, int], bytes]
"""What is sent for a request, by the number of its connection and its own on that; empty: the connection is ended."""


async def asked(answers: Answers, count: int, *, rest_s: float = 0.0) -> tuple[list[Answer], int]:
    """So many requests of one client, and the connections that it made."""
    connections = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal connections
        own, number = connections, 0
        connections += 1
        while await stream.receive_some(4096):
            said = answers(own, number)
            if not said:
                return
            await stream.send_all(said)
            if b"close" in said:
                return
            number += 1

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        kept = _Kept("127.0.0.1", listeners[0].socket.getsockname()[1], "www.example")
        found = []
        for _ in range(count):
            found.append(await kept.ask(30.0))
            if rest_s:
                await kept.rest(trio.current_time() + rest_s)
        await kept.rest(trio.current_time())
        await kept._close()
        nursery.cancel_scope.cancel()
    return found, connections


async def test_one_connection() -> None:
    found, connections = await asked(lambda *_: BODY, 5)
    assert [(each.body, each.failure) for each in found] == [("ams", "")] * 5
    assert connections == 1


async def test_the_server_says_that_one_ends() -> None:
    found, connections = await asked(lambda _, number: LAST if number == 1 else BODY, 6)
    assert [each.failure for each in found] == [""] * 6
    assert connections == 3


async def test_a_connection_that_ends_with_a_request_has_failed() -> None:
    found, connections = await asked(lambda own, number: b"" if (own, number) == (0, 1) else BODY, 4)
    assert [each.failure for each in found] == ["", "reset", "", ""]
    assert connections == 2


async def test_other_answers_have_failed() -> None:
    found, _ = await asked(lambda *_: BODY.replace(b"200 OK", b"503 No"), 2)
    assert [(each.body, each.failure) for each in found] == [("", "status")] * 2


async def test_half_an_answer_has_failed() -> None:
    half = LAST.replace(b"content-length: 3", b"content-length: 4")
    found, connections = await asked(lambda own, _: half if own == 0 else BODY, 2)
    assert [each.failure for each in found] == ["reset", ""]
    assert connections == 2


async def test_nobody_listens() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    assert (await _Kept("127.0.0.1", port, "www.example").ask(30.0)).failure == "refused"
