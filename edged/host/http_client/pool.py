"""Which connections one app has, and who may have the next.

Every connection is counted from before it is made until it is closed; in between it is in use, or idle and waits here
for the next request to its origin. A request that may not have one yet waits in line; the first in line that can be
served is, whenever something is given back. Nothing here does any input or output.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import trio

from edged.host.http.error import HttpError
from edged.host.http_client.failure import LIMIT_REACHED
from edged.host.http_client.wire import Origin
from edged.limits import (
    HTTP_CLIENT_CONNECTION_COUNT_MAX,
    HTTP_CLIENT_CONNECTION_PER_ORIGIN_MAX,
    HTTP_CLIENT_IDLE_COUNT_MAX,
    HTTP_CLIENT_IDLE_S,
    HTTP_CLIENT_QUEUE_MAX,
)


class Pooled(Protocol):
    """A connection, as far as a pool cares."""

    origin: Origin

    def stale(self) -> bool:
        """It is idle, and the server has closed it or sent something nobody asked for."""

    def close(self) -> None:
        """Close it, without telling the pool. Idempotent."""


C = TypeVar("C", bound=Pooled)


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """Connections of one app, and requests that wait for one."""

    active: int
    idle: int
    waiting: int


class Pool(Generic[C]):
    """The connections of one app.

    Args:
        connections_max: in all; the operator's choice up to the limit.
        keep_alive: False closes every connection after one request.
    """

    def __init__(self, *, connections_max: int = HTTP_CLIENT_CONNECTION_COUNT_MAX, keep_alive: bool = True) -> None:
        self._connections_max = min(connections_max, HTTP_CLIENT_CONNECTION_COUNT_MAX)
        self.keep_alive = keep_alive
        self._count = 0
        self._counts: Counter[Origin] = Counter()
        self._idle: OrderedDict[C, float] = OrderedDict()  # the longest idle first -> when it is closed
        self._idle_by_origin: dict[Origin, deque[C]] = {}  # likewise
        self._line: deque[_Waiter[C]] = deque()
        self._closed = False
        self._became_idle = trio.Event()

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(self._count - len(self._idle), len(self._idle), len(self._line))

    @property
    def count(self) -> int:
        """Connections: in use, being made, and idle."""
        return self._count

    def close_one_idle(self) -> bool:
        """Close the connection that has been idle for longest; False if none is."""
        if self._idle:
            self._close_oldest()
            return True
        return False

    async def acquire(self, origin: Origin, *, fresh: bool = False) -> C | None:
        """An idle connection, or None: the caller may make one, and gives that back likewise.

        Args:
            fresh: the caller wants no idle one.

        Raises:
            HttpError: connection-limit-reached, if too many wait already or the pool is closed.
        """
        self._expire()
        # Who comes later does not overtake. A line for another origin is not in the way.
        if not any(waiter.origin == origin for waiter in self._line) and (served := self._serve(origin, fresh)):
            return served.connection
        if self._closed or len(self._line) >= HTTP_CLIENT_QUEUE_MAX:
            raise HttpError(LIMIT_REACHED)
        waiter: _Waiter[C] = _Waiter(origin, fresh)
        self._line.append(waiter)
        try:
            await waiter.called.wait()
        except trio.Cancelled:
            if waiter.served is None:
                self._line.remove(waiter)
            elif waiter.served.connection is None:
                self.forget(origin)
            else:
                self.release(waiter.served.connection)
            raise
        if waiter.served is None:
            raise HttpError(LIMIT_REACHED)
        return waiter.served.connection

    def release(self, connection: C) -> None:
        """Give back a connection that the next request may use."""
        if self._closed or not self.keep_alive:
            connection.close()
            self.forget(connection.origin)
            return
        self._idle[connection] = trio.current_time() + HTTP_CLIENT_IDLE_S
        self._idle_by_origin.setdefault(connection.origin, deque()).append(connection)
        self._became_idle.set()
        if len(self._idle) > HTTP_CLIENT_IDLE_COUNT_MAX:
            self._close_oldest()
        self._call()

    def forget(self, origin: Origin) -> None:
        """Give back the place of a connection that was closed, or never made."""
        self._uncount(origin)
        self._call()

    def close(self) -> None:
        """Close what is idle, at once; what is in use is closed when it is given back. Nobody gets any more."""
        self._closed = True
        while self._idle:
            self._close_oldest()
        while self._line:
            self._line.popleft().called.set()

    async def expire(self) -> None:
        """Close connections when they have been idle for too long, for as long as it runs. Without this, they are
        closed when the next one is asked for."""
        while True:
            while self._idle:
                await trio.sleep_until(next(iter(self._idle.values())))
                self._expire()
            self._became_idle = trio.Event()
            await self._became_idle.wait()

    # --- inside ---

    def _serve(self, origin: Origin, fresh: bool) -> _Served[C] | None:
        """A connection, or the place for one; None if neither is to be had."""
        if self._closed:
            return None
        if not fresh:
            while (idle := self._idle_by_origin.get(origin)) is not None:
                connection = idle[-1]  # the one used last is the least likely to have been closed
                self._take_out(connection)
                if not connection.stale():
                    return _Served(connection)
                connection.close()
                self._uncount(origin)
        if self._counts[origin] >= HTTP_CLIENT_CONNECTION_PER_ORIGIN_MAX:
            if origin not in self._idle_by_origin:
                return None
            self._close(self._idle_by_origin[origin][0])
        elif self._count >= self._connections_max:
            if not self._idle:
                return None
            self._close_oldest()
        self._count += 1
        self._counts[origin] += 1
        return _Served(None)

    def _call(self) -> None:
        """Serve who is in line, the first first."""
        passed: set[tuple[Origin, bool]] = set()
        for waiter in list(self._line) if self._line else ():
            wanted = waiter.origin, waiter.fresh
            if wanted in passed:
                continue
            waiter.served = self._serve(*wanted)
            if waiter.served is None:
                passed.add(wanted)
                if self._count >= self._connections_max and not self._idle:
                    return
                continue
            self._line.remove(waiter)
            waiter.called.set()

    def _expire(self) -> None:
        now = trio.current_time()
        while self._idle and next(iter(self._idle.values())) <= now:
            self._close_oldest()

    def _close_oldest(self) -> None:
        self._close(next(iter(self._idle)))

    def _close(self, connection: C) -> None:
        self._take_out(connection)
        connection.close()
        self._uncount(connection.origin)

    def _take_out(self, connection: C) -> None:
        del self._idle[connection]
        of_origin = self._idle_by_origin[connection.origin]
        of_origin.remove(connection)
        if not of_origin:
            del self._idle_by_origin[connection.origin]

    def _uncount(self, origin: Origin) -> None:
        self._count -= 1
        self._counts[origin] -= 1
        if not self._counts[origin]:
            del self._counts[origin]


@dataclass(frozen=True, slots=True)
class _Served(Generic[C]):
    connection: C | None


class _Waiter(Generic[C]):
    __slots__ = ("called", "fresh", "origin", "served")

    def __init__(self, origin: Origin, fresh: bool) -> None:
        self.origin = origin
        self.fresh = fresh
        self.called = trio.Event()
        self.served: _Served[C] | None = None
