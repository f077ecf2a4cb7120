"""The client against servers that answer, and that do what the far end of a dead path does. On loopback, no root."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio

from tests.lab.client import ask

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nams"
Serve = Callable[[trio.SocketStream], Awaitable[None]]


async def asked(serve: Serve, nursery: trio.Nursery) -> tuple[str, str]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(partial(trio.serve_listeners, serve, [listener]))
    port = listener.socket.getsockname()[1]
    answer = await ask("127.0.0.1", port, "a.example", timeout_s=0.05 if serve is silent else 10.0)
    assert answer.took_s >= 0
    return answer.body, answer.failure


async def silent(_stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


def says(text: bytes) -> Serve:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(text)
        await stream.aclose()

    return serve


async def resets(stream: trio.SocketStream) -> None:
    await stream.receive_some(65536)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


@pytest.mark.parametrize(
    ("serve", "seen"),
    [
        (says(OK), ("ams", "")),
        (says(OK[:-1]), ("", "reset")),
        (says(b""), ("", "reset")),
        (resets, ("", "reset")),
        (says(OK.replace(b"200 OK", b"503 No")), ("", "status")),
        (says(b"no HTTP\r\n\r\n"), ("", "protocol")),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\n" + b"x" * 4096), ("x" * 4096, "")),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 4097\r\n\r\n" + b"x" * 4097), ("", "protocol")),
        (silent, ("", "timeout")),
    ],
    ids=["answer", "cut", "closed", "reset", "status", "nonsense", "largest", "too large", "silence"],
)
async def test_answers_and_failures(serve: Serve, seen: tuple[str, str], nursery: trio.Nursery) -> None:
    assert await asked(serve, nursery) == seen


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        answer = await ask("127.0.0.1", taken.getsockname()[1], "a.example", timeout_s=10.0)
    assert (answer.body, answer.failure) == ("", "refused")
