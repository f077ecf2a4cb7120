"""Requests over the network, and the connections of one app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from edged.host.http.error import HttpError
from edged.host.http.transport import OutboundRequest, Respond
from edged.host.http_client.connection import Connection, ConnectionLost
from edged.host.http_client.pool import Pool, PoolStatistics
from edged.host.http_client.wire import Origin, Wire, open_wire
from edged.host.network.dialer import Dialer
from edged.host.network.trust import ContextOf, system_roots_http
from edged.limits import HTTP_CLIENT_CONNECTION_COUNT_MAX

Open = Callable[[Dialer, Origin, float], Awaitable[Wire]]

_IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})
"""Methods that may be sent again (RFC 9110 9.2.2)."""


class HttpClient:
    """The HTTP client of one app; nothing of it is shared with others. It follows no redirects.

    See `edged.host.http.transport.Transport` for `send`.

    Args:
        dialer: of the app.
        connection_pooling: False opens a connection for each request.
        connections_max: at once; more requests wait.
        context_of: TLS settings for a host, where `send` is given no others. Requests share a connection only with the
            same object, so it should not make one each time.
        open_wire: replaced in tests.
    """

    def __init__(
        self,
        dialer: Dialer,
        *,
        connection_pooling: bool = True,
        connections_max: int = HTTP_CLIENT_CONNECTION_COUNT_MAX,
        context_of: ContextOf = system_roots_http,
        open_wire: Open = open_wire,
    ) -> None:
        self._dialer = dialer
        self._context_of = context_of
        self._open_wire = open_wire
        self._pool: Pool[Connection] = Pool(connections_max=connections_max, keep_alive=connection_pooling)

    async def send(self, request: OutboundRequest, respond: Respond, context_of: ContextOf | None = None) -> None:
        tls = (context_of or self._context_of)(request.host) if request.scheme == "https" else None
        origin = Origin(request.scheme, request.host.lower(), request.port, tls)
        try:
            connection = await self._connection(request, origin, fresh=False)
            await connection.send(request, respond)
        except ConnectionLost as lost:
            if not lost.repeatable or request.method not in _IDEMPOTENT:
                raise
            connection = await self._connection(request, origin, fresh=True)
            await connection.send(request, respond)

    async def run(self) -> None:
        """Close connections that nobody has used for long, until cancelled. One task for an app."""
        await self._pool.expire()

    def statistics(self) -> PoolStatistics:
        return self._pool.statistics()

    @property
    def count(self) -> int:
        """Connections: in use, being made, and idle."""
        return self._pool.count

    def close_one_idle(self) -> bool:
        """Close the connection that has been idle for longest; False if none is."""
        return self._pool.close_one_idle()

    def close(self) -> None:
        """Close what is idle now and what is in use when it becomes so."""
        self._pool.close()

    async def _connection(self, request: OutboundRequest, origin: Origin, *, fresh: bool) -> Connection:
        deadline = trio.current_time() + request.timeouts.connect_s
        connection = None
        with trio.move_on_at(deadline) as scope:
            connection = await self._pool.acquire(origin, fresh=fresh)
        if scope.cancelled_caught:
            raise HttpError("connection-timeout")
        if connection is not None:
            return connection
        try:
            left = max(0.0, deadline - trio.current_time())
            wire = await self._open_wire(self._dialer, origin, left)
        except BaseException:
            self._pool.forget(origin)
            raise
        return Connection(wire, origin, self._pool.release, self._closed)

    def _closed(self, connection: Connection) -> None:
        self._pool.forget(connection.origin)


@dataclass(frozen=True, slots=True)
class ComponentClient:
    """The client of its app, with TLS settings of one component."""

    client: HttpClient
    context_of: ContextOf

    async def send(self, request: OutboundRequest, respond: Respond) -> None:
        await self.client.send(request, respond, self.context_of)
