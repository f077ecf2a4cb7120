"""Redis servers for tests: dialers that lead to loopback, and a server that the test plays."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from edged.host.network.dialer import Dialer
from edged.host.network.gate import LOOPBACK, Address, AddressGate

LOCAL = Dialer(AddressGate(LOOPBACK))
"""What an operator has who opens loopback to guests."""


class Played:
    """Servers that the test plays: each connection that is made has its other end in `accepted`."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.SocketStream](100)
        self.dialer = Dialer(AddressGate(LOOPBACK), connect=self._connect)

    async def _connect(self, _address: Address, _port: int) -> trio.SocketStream:
        ours, theirs = trio.socket.socketpair(socket.AF_UNIX)
        self._send.send_nowait(trio.SocketStream(theirs))
        return trio.SocketStream(ours)

    def close(self) -> None:
        """End the connections that nobody has asked for."""
        while True:
            try:
                self._receive.receive_nowait().socket.close()
            except trio.WouldBlock:
                return

    async def accepted(self) -> trio.SocketStream:
        return await self._receive.receive()

    @asynccontextmanager
    async def answering(self, *answers: bytes) -> AsyncIterator[list[bytes]]:
        """A server that answers what each recv takes with one of `answers`, and then reads on without a word."""
        heard: list[bytes] = []

        async def serve() -> None:
            async with await self.accepted() as stream:
                for answer in answers:
                    heard.append(bytes(await stream.receive_some(1 << 20)))
                    await stream.send_all(answer)
                while data := await stream.receive_some(1 << 20):
                    heard.append(bytes(data))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            yield heard
            nursery.cancel_scope.cancel()
