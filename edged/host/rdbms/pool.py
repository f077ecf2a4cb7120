"""Connections of one app to servers of one kind, kept between its requests.

    acquire(address) ── an idle one of that address, or a new one ── a request ── release ── reset ── idle

A connection has one user at a time. Before it is idle, the server is asked to make it as good as new; one that is in
the middle of a statement, or does not answer, is closed instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import trio

from edged.host.rdbms.failure import ConnectionFailed, SqlFailed
from edged.limits import SQL_CONNECTION_COUNT_MAX, SQL_IDLE_S_MAX, SQL_RESET_S_MAX, SQL_WAIT_S_MAX


class PooledConnection(Protocol):
    """What the pool asks of a connection."""

    @property
    def is_ready(self) -> bool:
        """No statement is under way, and the connection was not closed."""

    def is_quiet(self) -> bool:
        """Whether nothing has come from the server since. Does not wait."""

    async def reset(self) -> None:
        """Undo whatever its user did to it. Raises: SqlFailed"""

    def close(self) -> None: ...


A = TypeVar("A", bound=Hashable)
C = TypeVar("C", bound=PooledConnection)


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """Connections: in use, being made or being reset; and idle."""

    used: int
    idle: int


class Pool(Generic[A, C]):
    """Of one app.

    Args:
        connect: makes a connection or raises SqlFailed.
        connections_max: in use and idle, to all servers together.
    """

    def __init__(self, connect: Callable[[A], Awaitable[C]], connections_max: int = SQL_CONNECTION_COUNT_MAX) -> None:
        self._connect = connect
        self._connections_max = connections_max
        self._turns = trio.Semaphore(connections_max, max_value=connections_max)
        self._idle: list[tuple[float, A, C]] = []  # by when they became idle
        self._nursery: trio.Nursery | None = None
        self._is_closed = False

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(self._connections_max - self._turns.value, len(self._idle))

    @property
    def count(self) -> int:
        """Connections: in use, being made or being reset; and idle."""
        return self._connections_max - self._turns.value + len(self._idle)

    def close_one_idle(self) -> bool:
        """Close the connection that has been idle for longest; False if none is."""
        if self._idle:
            self._idle.pop(0)[2].close()
            return True
        return False

    async def acquire(self, address: A) -> C:
        """A connection for the caller alone, until `release`.

        Raises:
            ConnectionFailed: none can be made, or too many are in use.
        """
        with trio.move_on_after(SQL_WAIT_S_MAX) as waiting:
            await self._turns.acquire()
        if waiting.cancelled_caught:
            raise ConnectionFailed("too many connections")
        try:
            found = self._take_idle(address)
            if found is not None:
                return found
            # One more in use must not be too many with those that are idle: the one longest unused goes.
            while self.count > self._connections_max:
                self.close_one_idle()
            return await self._connect(address)
        except BaseException:
            self._turns.release()
            raise

    def release(self, address: A, connection: C) -> None:
        """Give a connection back. Outside of `run` none is kept."""
        if connection.is_ready and self._nursery is not None and not self._is_closed:
            self._nursery.start_soon(self._recycle, address, connection)
        else:
            connection.close()
            self._turns.release()

    async def run(self) -> None:
        """Make connections that come back as good as new, and close those idle for too long, until cancelled.

        Never raises.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                while True:
                    await trio.sleep(SQL_IDLE_S_MAX / 2)
                    self._close_idle(trio.current_time() - SQL_IDLE_S_MAX)
            finally:
                self._nursery = None
                self._close_idle(float("inf"))

    def close(self) -> None:
        """Close what is idle now, and what is in use when it is given back."""
        self._is_closed = True
        self._close_idle(float("inf"))

    def _take_idle(self, address: A) -> C | None:
        # The one used last: it is the least likely to have been closed by the server.
        for index in range(len(self._idle) - 1, -1, -1):
            if self._idle[index][1] == address:
                connection = self._idle.pop(index)[2]
                if connection.is_quiet():
                    return connection
                connection.close()
        return None

    def _close_idle(self, since: float) -> None:
        while self._idle and self._idle[0][0] <= since:
            self._idle.pop(0)[2].close()

    async def _recycle(self, address: A, connection: C) -> None:
        is_good = False
        try:
            with trio.move_on_after(SQL_RESET_S_MAX):
                await connection.reset()
                is_good = True
        except SqlFailed:
            pass  # it is closed below, and the next request gets another one
        finally:
            if is_good and not self._is_closed and self._nursery is not None:
                self._idle.append((trio.current_time(), address, connection))
            else:
                connection.close()
            self._turns.release()
