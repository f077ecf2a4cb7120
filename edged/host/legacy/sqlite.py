"""`fermyon:spin/sqlite` without a version, on what version 2 stands on. Connections are numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from edged.host.interface import Err, Invocation
from edged.host.legacy.session import Numbers, SessionInterface
from edged.host.sqlite.interfaces import Connection, Databases, QueryResult, SpinSqlite2


class SqliteSession:
    """Its functions. Errors: those of version 2, and `invalid-connection` for a number that is no open connection."""

    def __init__(self, interface: SpinSqlite2, invocation: Invocation) -> None:
        self._interface = interface
        self._invocation = invocation
        self._connections: Numbers[Connection] = Numbers()

    async def open(self, database: str) -> int:
        return self._connections.add(await self._interface.connection_open(self._invocation, database))

    async def execute(self, number: int, statement: str, parameters: list[Any]) -> QueryResult:
        connection = self._connections.get(number)
        if connection is None:
            raise Err("invalid-connection")
        return await connection.execute(statement, parameters)

    def close_connection(self, number: int) -> None:
        self._connections.drop(number)

    def close(self) -> None:
        self._connections.close()


class Sqlite1(SessionInterface):
    """`fermyon:spin/sqlite` of one component.

    Args:
        databases: names that it may open.
    """

    wit: ClassVar[str] = "fermyon:spin/sqlite"
    versions: ClassVar[tuple[str, ...]] = ("",)
    session = SqliteSession
    functions: ClassVar[Mapping[str, str]] = {"open": "open", "execute": "execute", "close": "close_connection"}

    def __init__(self, databases: Databases) -> None:
        self._interface = SpinSqlite2(databases)

    def open(self, invocation: Invocation) -> SqliteSession:
        return SqliteSession(self._interface, invocation)
