"""Connections of one app to Redis servers, kept between its requests.

    acquire(address) ── an idle one of that address, or a new one ── Connection ── release

A connection has one user at a time. It is kept only if it is as good as new: not broken, not left in the middle of a
command, no state changed. Those that nobody uses are closed after a while, by `run`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import trio

from edged.host.network.dialer import Dialer
from edged.host.redis.address import RedisAddress
from edged.host.redis.connection import Connection, RedisFailed, connect
from edged.host.redis.resp import Reply
from edged.limits import REDIS_CONNECTION_COUNT_MAX, REDIS_IDLE_S_MAX, REDIS_REPLY_BYTES_MAX, REDIS_WAIT_S_MAX


class PoolExhausted(RedisFailed):
    """All connections were in use for as long as anyone may wait."""


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """Connections: in use or being made, and idle; and how many tasks wait for one."""

    used: int
    idle: int
    waiting: int


class RedisPool:
    """Of one app.

    Args:
        dialer: makes the connections.
        connections_max: in use and idle, to all servers together.
        tls: see `edged.host.redis.connection.connect`.
    """

    def __init__(
        self, dialer: Dialer, connections_max: int = REDIS_CONNECTION_COUNT_MAX, tls: ssl.SSLContext | None = None
    ) -> None:
        self._dialer = dialer
        self._tls = tls
        self._connections_max = connections_max
        self._turns = trio.Semaphore(connections_max, max_value=connections_max)
        self._idle: dict[RedisAddress, list[Connection]] = {}  # each list by when they were used
        self._is_closed = False

    def statistics(self) -> PoolStatistics:
        waiting = self._turns.statistics().tasks_waiting
        return PoolStatistics(self._used, sum(map(len, self._idle.values())), waiting)

    @property
    def count(self) -> int:
        """Connections: in use, being made, and idle."""
        return self._used + sum(map(len, self._idle.values()))

    def close_one_idle(self) -> bool:
        """Close the connection that has been idle for longest; False if none is."""
        oldest = min(self._oldest(), key=lambda connection: connection.used_at, default=None)
        if oldest is None:
            return False
        self._idle[oldest.address].remove(oldest)
        oldest.close()
        return True

    @property
    def _used(self) -> int:
        return self._connections_max - self._turns.value

    async def acquire(self, address: RedisAddress) -> Connection:
        """A connection for the caller alone, until `release`.

        Raises:
            PoolExhausted: too many are in use.
            RedisFailed: it cannot be made.
        """
        with trio.move_on_after(REDIS_WAIT_S_MAX) as waiting:
            await self._turns.acquire()
        if waiting.cancelled_caught:
            raise PoolExhausted("too many connections are open")
        try:
            idle = self._idle.get(address)
            while idle:
                connection = idle.pop()
                if connection.is_alive():
                    return connection
                connection.close()
            self._make_room()
            return await connect(address, self._dialer.dial, self._tls)
        except BaseException:
            self._turns.release()
            raise

    def release(self, connection: Connection) -> None:
        """Give a connection back."""
        self._turns.release()
        if self._is_closed or connection.is_closed or connection.is_changed:
            connection.close()
            return
        connection.used_at = trio.current_time()
        self._idle.setdefault(connection.address, []).append(connection)

    async def command(
        self, address: RedisAddress, *arguments: bytes | str | int, bytes_max: int = REDIS_REPLY_BYTES_MAX
    ) -> Reply:
        """One command that leaves no state behind, on any connection.

        Raises:
            RedisFailed: see `acquire` and `Connection.command`.
        """
        connection = await self.acquire(address)
        try:
            return await connection.command(*arguments, bytes_max=bytes_max)
        finally:
            self.release(connection)

    async def run(self) -> None:
        """Close what has been idle for too long, until cancelled. Never raises."""
        while True:
            await trio.sleep(REDIS_IDLE_S_MAX / 2)
            self._expire(trio.current_time() - REDIS_IDLE_S_MAX)

    def close(self) -> None:
        """Close what is idle now, and what is in use when it is given back."""
        self._is_closed = True
        self._expire(float("inf"))

    def _expire(self, used_before: float) -> None:
        for address, idle in list(self._idle.items()):
            for connection in idle:
                if connection.used_at <= used_before:
                    connection.close()
            idle[:] = [connection for connection in idle if not connection.is_closed]
            if not idle:
                del self._idle[address]

    def _make_room(self) -> None:
        """Close the idle connections that would be too many with one more in use: those longest unused."""
        while self.count > self._connections_max:
            self.close_one_idle()

    def _oldest(self) -> Iterator[Connection]:
        """Of each address."""
        return (idle[0] for idle in self._idle.values() if idle)
