"""The same handler behind hypercorn: an ASGI application that makes an Exchange of each request.

`edged.http.listener` does not go through here. This is the way to put an app behind any ASGI server, and to measure
what that costs (`benchmarks/requests`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve as hypercorn_serve
from hypercorn.typing import ASGIFramework

from edged.errors import EdgedError, RequestRefused
from edged.http.connection_set import ConnectionSet
from edged.http.exchange import ClientGone, Handler, Header, RequestHead
from edged.http.guard import Guarded, check_field_names, guard
from edged.http.stream_exchange import StreamExchange
from edged.limits import IDLE_TIMEOUT_S, READ_CHUNK_BYTES, REQUEST_PER_CONNECTION_MAX, SHUTDOWN_GRACE_S

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _AsgiCarrier:
    """An ASGI request's channels, as its exchange sees them: `edged.http.stream_exchange.Carrier`."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.room = trio.Event()
        self.broken = False
        self.gone = False

    async def send_head(self, status: int, fields: Sequence[Header], *, end: bool) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": list(fields)})
        if end:
            await self.send_data(b"", end=True)

    async def send_continue(self) -> None:
        """The server's business: hypercorn sends it when the application first receives."""

    async def send_data(self, data: bytes, *, end: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": not end})

    async def send_trailers(self, fields: Sequence[Header]) -> None:
        """Hypercorn takes trailers of HTTP/2 and 3 only; here the body just ends."""
        del fields
        await self.send_data(b"", end=True)

    def credit(self, size: int) -> None:
        del size
        self.room.set()

    def reset(self) -> None:
        self.broken = True  # ASGI has no word for it: an exception after the head makes the server cut


class _Broken(Exception):
    """Leaves the application so that the server cuts an unfinished response."""


class Gateway:
    """An ASGI 3 application for the `http` and `lifespan` protocols; others are refused by raising.

    Args:
        handler: called for each request.

    Attributes:
        connections: counts of exchanges; it holds no connections, which are the server's.
    """

    def __init__(self, handler: Handler) -> None:
        self.connections = ConnectionSet(handler)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        assert scope["type"] == "http", "only HTTP is served here"
        carrier = _AsgiCarrier(send)
        refusal: EdgedError | None = None
        try:
            guarded = _guard(scope)
        except RequestRefused as error:
            refusal = error
            self.connections.refused += 1
            guarded = Guarded(
                RequestHead(scope["method"], scope["scheme"], "", "/", scope["http_version"], (), ("", 0))
            )
        exchange = StreamExchange(guarded, carrier)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, exchange, carrier, receive, nursery.cancel_scope)
            try:
                failure = refusal or await self.connections.handle(exchange)
                await exchange.conclude(failure)
            except ClientGone:
                carrier.broken = not (exchange.finished or carrier.gone)
            nursery.cancel_scope.cancel()
        if carrier.broken:
            raise _Broken("the response is unfinished")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _pump(
        self, exchange: StreamExchange, carrier: _AsgiCarrier, receive: Receive, handling: trio.CancelScope
    ) -> None:
        """Feed the request body, as fast as the handler reads it; end the handler if the client goes."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                carrier.gone = True
                exchange.lose()
                handling.cancel()
                return
            if message.get("body"):
                exchange.feed(message["body"])
            if not message.get("more_body"):
                exchange.end()
            while exchange.unread_bytes >= READ_CHUNK_BYTES:
                carrier.room = trio.Event()
                await carrier.room.wait()


def _guard(scope: Message) -> Guarded:
    """The request of an ASGI scope.

    Raises:
        RequestRefused
    """
    headers: list[Header] = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
    check_field_names(headers)
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    return guard(
        scope["method"],
        target,
        scope["http_version"],
        headers,
        scheme=scope["scheme"],
        client=scope["client"] or ("", 0),
    )


async def serve_behind_hypercorn(
    handler: Handler, host: str, port: int, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve plain HTTP/1.1 through hypercorn's own protocol implementation, until cancelled.

    `task_status` is started with the URLs.
    """
    config = Config()
    config.bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    config.errorlog = None
    config.include_server_header = False
    config.include_date_header = False  # the exchange gives one
    config.keep_alive_timeout = IDLE_TIMEOUT_S
    config.keep_alive_max_requests = REQUEST_PER_CONNECTION_MAX
    config.graceful_timeout = SHUTDOWN_GRACE_S
    await hypercorn_serve(cast("ASGIFramework", Gateway(handler)), config, task_status=task_status)
