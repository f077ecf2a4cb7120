"""What the connections of both interfaces share: the way to one, and its end with the guest's handle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Generic, NamedTuple

import trio

from edged.host.budget import Budget
from edged.host.interface import Err
from edged.host.network.grant import Grant
from edged.host.pages import Cursor, PagedStream, Rows, StreamingResource
from edged.host.rdbms.failure import SqlFailed
from edged.host.rdbms.pool import A, C, Pool


class Column(NamedTuple):
    """`record column`"""

    name: str
    data_type: Any


class RowSet(NamedTuple):
    """`record row-set`"""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]


class Held(StreamingResource, Generic[A, C]):
    """A connection of the pool that a request has, with its transaction and all that it set, until the handle goes and
    no rows are to come over it any more.

    Args:
        budget: of which one connection was taken, as by `admit`; it is given back.
    """

    __slots__ = ("_address", "_budget", "_pool", "_stream", "_turn", "connection")

    def __init__(self, pool: Pool[A, C], address: A, connection: C, budget: Budget) -> None:
        super().__init__()
        self._pool = pool
        self._address = address
        self._budget = budget
        self._stream: PagedStream | None = None  # of the last statement, where it was one with a stream
        self._turn = trio.Lock()
        self.connection = connection

    def _release(self) -> None:
        if self._turn.locked():  # by a statement that was cancelled and has not ended yet
            self.connection.close()
        self._pool.release(self._address, self.connection)
        self._budget.sql_connections += 1

    @asynccontextmanager
    async def _statement(self) -> AsyncIterator[C]:
        """The connection, for one statement: those that a guest of WASI 0.3 begins at once go one after the other.

        The rows of the one before come over the same connection, so what is left of them is gathered first.

        Raises:
            Err: `other`, they are too many to be gathered.
        """
        async with self._turn:
            if self._stream is not None:
                if not await self._stream.gather():
                    raise Err(("other", "the rows of the statement before are too many: read or drop them first"))
                self._stream = None
            yield self.connection

    def _streamed(self, rows: Cursor, failed: Callable[[SqlFailed], Err]) -> PagedStream:
        """The rows of the statement whose turn it is. Called in a block of `taken`.

        Args:
            failed: the interface's error.
        """
        self._stream = PagedStream(Rows(rows, self, SqlFailed, failed), self._budget)
        return self._stream


def admit(grant: Grant, scheme: str, host: str, port: int, budget: Budget) -> AbstractContextManager[None]:
    """Take one of the connections that a request may have, for a `Held` that is made in the block, if the component may
    have one there.

    Raises:
        Err: `connection-failed`
    """
    if not grant.allows(scheme, host, port):
        shown = f"[{host}]" if ":" in host else host
        destination = f"{scheme}://{shown}:{port}"
        raise Err(("connection-failed", f"{destination} is not in this component's allowed_outbound_hosts"))
    return budget.taking("sql_connections", Err(("connection-failed", "too many connections")))


def failure(failed: SqlFailed) -> Err:
    """The `variant error` whose payloads are all text."""
    return Err((failed.case, str(failed)))
