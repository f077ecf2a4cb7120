"""`fermyon:spin/sqlite` and `spin:sqlite/sqlite` over the databases of one component.

A name that the manifest does not give to the component is `access-denied`; one that it gives, but that nothing keeps
data for, is `no-such-database`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from edged.host.budget import Budget
from edged.host.channel import FutureReader, StreamReader
from edged.host.interface import Err, Interface, Invocation, Ok, Resource, may_suspend
from edged.host.pages import TOO_MANY_STREAMS, PagedStream, Rows, StreamingResource, taken
from edged.host.sqlite.engine import DatabaseFailed, SqlConnection, SqlDatabase, Value

Databases = Mapping[str, SqlDatabase | None]
"""Names that the component may open -> the database, None where there is none."""

_CASES = {int: "integer", float: "real", str: "text", bytes: "blob"}


class RowResult(NamedTuple):
    """`record row-result`"""

    values: Sequence[Any]


class QueryResult(NamedTuple):
    """`record query-result`"""

    columns: Sequence[str]
    rows: Sequence[RowResult]


class Connection(StreamingResource):
    """`resource connection` of fermyon:spin/sqlite. An open transaction ends with it, undone.

    Args:
        budget: of which one connection was taken; it is given back.
    """

    __slots__ = ("_budget", "_database")

    def __init__(self, database: SqlConnection, budget: Budget) -> None:
        super().__init__()
        self._database = database
        self._budget = budget

    def _release(self) -> None:
        self._database.close()
        self._budget.databases += 1

    async def execute(self, statement: str, parameters: list[Any]) -> QueryResult:
        """Errors: `database-full`, `io` for all else that SQLite says."""
        try:
            columns, rows = await self._database.execute(statement, _values(parameters))
        except DatabaseFailed as failed:
            raise _failure(failed) from None
        return QueryResult(columns, _rows(rows))


class Connection3(Connection):
    """`resource connection` of spin:sqlite@3.1.0."""

    __slots__ = ()

    async def execute_async(
        self, statement: str, parameters: list[Any]
    ) -> tuple[Sequence[str], StreamReader, FutureReader[Ok | Err]]:
        """The columns, the rows, and how those ended. Errors: as `execute`, before the first row or after the last one.

        Other statements may run while rows are read; the connection is given back when all rows are, and its handle.
        """
        with taken(self._budget, Err(("io", TOO_MANY_STREAMS))):
            try:
                cursor = await self._database.query(statement, _values(parameters))
            except DatabaseFailed as failed:
                raise _failure(failed) from None
            stream = PagedStream(Rows(cursor, self, DatabaseFailed, _failure, _rows), self._budget)
        await stream.start()
        return cursor.columns, stream, stream.outcome

    @may_suspend
    def last_insert_rowid(self) -> int | Coroutine[Any, Any, int]:
        return self._ask(self._database.last_insert_rowid)

    @may_suspend
    def changes(self) -> int | Coroutine[Any, Any, int]:
        return self._ask(self._database.changes)

    last_insert_rowid_async = last_insert_rowid
    changes_async = changes

    def _ask(self, question: Callable[[], int]) -> int | Coroutine[Any, Any, int]:
        return self._database.when_idle(question) if self._database.is_busy else question()


class _Sqlite(Interface):
    """What both versions share. Subclasses name their class of connections."""

    _connection: ClassVar[type[Connection]]

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def connection_open(self, invocation: Invocation, database: str) -> Connection:
        """Errors: `access-denied`, `no-such-database`, `io` where too many are open."""
        if database not in self._databases:
            raise Err("access-denied")
        found = self._databases[database]
        if found is None:
            raise Err("no-such-database")
        budget = invocation.budget
        with budget.taking("databases", Err(("io", "too many open connections"))):
            try:
                opened = await found.open()
            except DatabaseFailed as failed:
                raise Err(("io", str(failed))) from None
            return self._connection(opened, budget)


class SpinSqlite2(_Sqlite):
    """`fermyon:spin/sqlite@2.0.0`."""

    wit: ClassVar[str] = "fermyon:spin/sqlite"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection}
    _connection = Connection


class SpinSqlite3(_Sqlite):
    """`spin:sqlite/sqlite@3.1.0`, and 3.0.0, which has no asynchronous functions."""

    wit: ClassVar[str] = "spin:sqlite/sqlite"
    versions: ClassVar[tuple[str, ...]] = ("3.0.0", "3.1.0")
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection3}
    _connection = Connection3

    connection_open_async = _Sqlite.connection_open


def _failure(failed: DatabaseFailed) -> Err:
    return Err("database-full" if failed.is_full else ("io", str(failed)))


def _values(parameters: list[Any]) -> list[Value]:
    return [None if parameter == "null" else parameter[1] for parameter in parameters]


def _rows(rows: Sequence[Sequence[Value]]) -> list[RowResult]:
    return [RowResult([_variant(value) for value in row]) for row in rows]


def _variant(value: Value) -> Any:
    return "null" if value is None else (_CASES[type(value)], value)
