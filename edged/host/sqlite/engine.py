"""What a database has to be able to do for a guest, whoever keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Value = int | float | str | bytes | None


class DatabaseFailed(Exception):
    """A statement failed. The message is for the guest.

    Attributes:
        is_full: the file has reached its limit, or the disk is full.
    """

    def __init__(self, message: str, *, is_full: bool = False) -> None:
        super().__init__(message)
        self.is_full = is_full


class Result(NamedTuple):
    """What a statement answered."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]


class SqlConnection(Protocol):
    """A connection, with a transaction of its own. For one task."""

    async def execute(self, statement: str, parameters: Sequence[Value]) -> Result:
        """Run one statement.

        Raises:
            DatabaseFailed
        """

    def last_insert_rowid(self) -> int:
        """Of this connection; 0 before its first insert. Does no input or output."""

    def changes(self) -> int:
        """Rows that the last insert, update or delete of this connection changed. Does no input or output."""

    def close(self) -> None:
        """Roll back what was not committed, and give the connection back."""


class SqlDatabase(Protocol):
    """A database that many tasks may use."""

    async def open(self) -> SqlConnection:
        """A connection, as soon as there is one to have.

        Raises:
            DatabaseFailed
        """

    def close(self) -> None:
        """Call it when no connection is open any more."""
