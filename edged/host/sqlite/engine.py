"""What a database has to be able to do for a guest, whoever keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from edged.host.pages import Cursor, Page

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


class SqlCursor(Cursor, Protocol):
    """The rows of a statement, page by page. What it raises is `DatabaseFailed`.

    Attributes:
        columns: their names.
    """

    @property
    def columns(self) -> Sequence[str]: ...


class SqlConnection(Protocol):
    """A connection, with a transaction of its own. Many tasks may call it; statements go one after the other.

    Attributes:
        is_busy: a statement is under way, and the next call would wait for it.
    """

    @property
    def is_busy(self) -> bool: ...

    async def when_idle(self, question: Callable[[], int]) -> int:
        """The answer to one of the questions below, as soon as it may be asked."""

    async def execute(self, statement: str, parameters: Sequence[Value]) -> Result:
        """Run one statement.

        Raises:
            DatabaseFailed
        """

    async def query(self, statement: str, parameters: Sequence[Value]) -> SqlCursor:
        """Begin one statement, and read its first page. Others may be executed before the last one is read.

        Raises:
            DatabaseFailed
        """

    def last_insert_rowid(self) -> int:
        """Of this connection; 0 before its first insert. Does no input or output. Not while it is busy."""

    def changes(self) -> int:
        """Rows that the last insert, update or delete of this connection changed. Likewise."""

    def close(self) -> None:
        """Roll back what was not committed, and give the connection back. Call it when no cursor is open any more."""


class Whole:
    """A cursor over a result that is there already."""

    def __init__(self, result: Result, size_bytes: int) -> None:
        self.columns = result.columns
        self._page = Page(result.rows, size_bytes, is_last=True)

    async def page(self) -> Page:
        return self._page

    def close(self) -> None:
        pass


class SqlDatabase(Protocol):
    """A database that many tasks may use."""

    async def open(self) -> SqlConnection:
        """A connection, as soon as there is one to have.

        Raises:
            DatabaseFailed
        """

    def close(self) -> None:
        """Call it when no connection is open any more."""
