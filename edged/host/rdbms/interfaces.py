"""What the connections of both interfaces share: the way to one, and its end with the guest's handle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple

from edged.host.budget import Budget
from edged.host.interface import Err, Resource
from edged.host.network.grant import Grant
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


class Held(Resource, Generic[A, C]):
    """A connection of the pool that a request has, with its transaction and all that it set, until the handle goes."""

    __slots__ = ("_address", "_budget", "_pool", "connection")

    def __init__(self, pool: Pool[A, C], address: A, connection: C, budget: Budget) -> None:
        self._pool = pool
        self._address = address
        self._budget = budget
        self.connection = connection
        budget.sql_connections -= 1

    def drop(self) -> None:
        self._pool.release(self._address, self.connection)
        self._budget.sql_connections += 1


def admit(grant: Grant, scheme: str, host: str, port: int, budget: Budget) -> None:
    """Look whether a component may have one more connection, there.

    Raises:
        Err: `connection-failed`
    """
    if not grant.allows(scheme, host, port):
        shown = f"[{host}]" if ":" in host else host
        destination = f"{scheme}://{shown}:{port}"
        raise Err(("connection-failed", f"{destination} is not in this component's allowed_outbound_hosts"))
    if budget.sql_connections < 1:
        raise Err(("connection-failed", "too many connections"))


def failure(failed: SqlFailed) -> Err:
    """The `variant error` whose payloads are all text."""
    return Err((failed.case, str(failed)))
