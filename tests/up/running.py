"""A session in the test's own process: its events one by one, and clients for it."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
import trio

from edged.up import session
from edged.up.event import Event, Listening
from edged.up.options import UpOptions

E = TypeVar("E", bound=Event)

TEST_S_MAX = 60
"""How long a test waits for what must come, before it fails."""


class Running:
    """A session that was started."""

    def __init__(self) -> None:
        self._shown, self._events = trio.open_memory_channel[Event](1000)
        self._ended = trio.Event()
        self._stopped = False
        self.url = ""

    async def start(self, options: UpOptions) -> None:
        try:
            await session.run(options, self._shown.send_nowait)
        finally:
            self._shown.close()
            self._ended.set()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """As Ctrl-C does."""
        self._stopped = True
        signal.raise_signal(number)

    async def wait_ended(self) -> None:
        """Stop it if nobody did, and wait until nothing of it is left."""
        if not self._stopped and not self._ended.is_set():
            self.stop()
        await self._ended.wait()

    async def wait_for(self, kind: type[E]) -> E:
        """The next event of a kind; those before it are passed over."""
        async for event in self._events:
            if isinstance(event, kind):
                return event
        raise AssertionError(f"the session ended without {kind.__name__}")

    async def wait_listening(self) -> None:
        listening = await self.wait_for(Listening)
        self.url = listening.urls[0]

    async def get(self, path: str = "/", host: str | None = None) -> str:
        async with httpx.AsyncClient() as client:
            response = await client.get(self.url + path, headers={} if host is None else {"host": host})
            assert response.status_code == 200, response.text
            return response.text


@asynccontextmanager
async def running(options: UpOptions, *, wait: bool = True) -> AsyncIterator[Running]:
    """Start a session; at the end stop it, if it still runs."""
    it = Running()
    try:
        with trio.fail_after(TEST_S_MAX):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(it.start, options)
                if wait:
                    await it.wait_listening()
                yield it
                await it.wait_ended()
    finally:
        # An engine reserves 17 TiB of address space until it is collected, and a process has 128.
        gc.collect()


class Upload:
    """A POST whose body the test sends piece by piece, on a connection of its own."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    @staticmethod
    @asynccontextmanager
    async def begin(url: str, size: int) -> AsyncIterator[Upload]:
        """Send a head that announces `size` bytes, and nothing more."""
        host, _, port = url.removeprefix("http://").partition(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            head = f"POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n"
            await stream.send_all(head.encode())
            yield Upload(stream)

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def response(self) -> bytes:
        """All that comes until the connection ends."""
        received = b""
        async for piece in self._stream:
            received += piece
        return received


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
