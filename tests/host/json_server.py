"""An HTTP server on a loopback port for tests: what it answers is up to the test, what it was asked is in `asked`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import h11
import trio


class Asked(NamedTuple):
    """A request, its body parsed."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Reply = tuple[int, Any]
"""Status, and a body: bytes as they are, everything else as JSON."""


@dataclass
class JsonServer:
    """Attributes:
    answer: asked for each request.
    connections: how many were made.
    """

    answer: Callable[[Asked], Awaitable[Reply]]
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        connection = h11.Connection(h11.SERVER)
        async with stream:
            while (request := await self._request(connection, stream)) is not None:
                self.asked.append(request)
                status, body = await self.answer(request)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                head = h11.Response(status_code=status, headers=[("content-length", str(len(data)))])
                try:
                    for event in (head, h11.Data(data=data), h11.EndOfMessage()):
                        await stream.send_all(connection.send(event) or b"")
                except trio.BrokenResourceError:
                    return
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return
                connection.start_next_cycle()

    async def _request(self, connection: h11.Connection, stream: trio.SocketStream) -> Asked | None:
        body, request = b"", None
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                try:
                    connection.receive_data(await stream.receive_some(65536))
                except trio.BrokenResourceError:
                    return None
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                headers = {name.decode(): value.decode() for name, value in request.headers}
                return Asked(request.method.decode(), request.target.decode(), headers, json.loads(body))
            else:
                return None


@asynccontextmanager
async def json_server(answer: Callable[[Asked], Awaitable[Reply]]) -> AsyncIterator[JsonServer]:
    """Serve until the block ends."""
    server = JsonServer(answer)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, server.handle, 0, host="127.0.0.1"))
        server.port = listeners[0].socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()


def always(status: int, body: Any) -> Callable[[Asked], Awaitable[Reply]]:
    async def answer(_asked: Asked) -> Reply:
        return status, body

    return answer
