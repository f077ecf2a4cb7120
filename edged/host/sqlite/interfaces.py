"""`fermyon:spin/sqlite` and `spin:sqlite/sqlite` over the databases of one component.

A name that the manifest does not give to the component is `access-denied`; one that it gives, but that nothing keeps
data for, is `no-such-database`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from edged.host.budget import Budget
from edged.host.interface import Err, Interface, Invocation, Resource
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


class Connection(Resource):
    """`resource connection` of fermyon:spin/sqlite. An open transaction ends with it, undone."""

    __slots__ = ("_budget", "_database")

    def __init__(self, database: SqlConnection, budget: Budget) -> None:
        self._database = database
        self._budget = budget

    def drop(self) -> None:
        self._database.close()
        self._budget.databases += 1

    async def execute(self, statement: str, parameters: list[Any]) -> QueryResult:
        """Errors: `database-full`, `io` for all else that SQLite says."""
        values: list[Value] = [None if parameter == "null" else parameter[1] for parameter in parameters]
        try:
            columns, rows = await self._database.execute(statement, values)
        except DatabaseFailed as failed:
            raise Err("database-full" if failed.is_full else ("io", str(failed))) from None
        return QueryResult(columns, [RowResult([_variant(value) for value in row]) for row in rows])


class Connection3(Connection):
    """`resource connection` of spin:sqlite@3.0.0."""

    __slots__ = ()

    def last_insert_rowid(self) -> int:
        return self._database.last_insert_rowid()

    def changes(self) -> int:
        return self._database.changes()


class _Sqlite(Interface):
    """What both versions share. Subclasses name their class of connections."""

    connection: ClassVar[type[Connection]]

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
        if budget.databases < 1:
            raise Err(("io", "too many open connections"))
        try:
            opened = await found.open()
        except DatabaseFailed as failed:
            raise Err(("io", str(failed))) from None
        budget.databases -= 1
        return self.connection(opened, budget)


class SpinSqlite2(_Sqlite):
    """`fermyon:spin/sqlite@2.0.0`."""

    wit: ClassVar[str] = "fermyon:spin/sqlite"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection}
    connection = Connection


class SpinSqlite3(_Sqlite):
    """`spin:sqlite/sqlite@3.0.0`."""

    wit: ClassVar[str] = "spin:sqlite/sqlite"
    versions: ClassVar[tuple[str, ...]] = ("3.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection3}
    connection = Connection3


def _variant(value: Value) -> Any:
    return "null" if value is None else (_CASES[type(value)], value)
