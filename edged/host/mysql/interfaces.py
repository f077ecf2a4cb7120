"""`fermyon:spin/mysql`: connections of one component to MySQL servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from edged.host.interface import Err, Interface, Invocation, Resource
from edged.host.mysql.address import MysqlAddress, parse_address
from edged.host.mysql.connection import Answer, MysqlConnection, MysqlPool
from edged.host.mysql.values import data_type
from edged.host.network.grant import Grant
from edged.host.rdbms.failure import SqlFailed
from edged.host.rdbms.interfaces import Column, Held, RowSet, admit, failure


class Connection(Held[MysqlAddress, MysqlConnection]):
    """`resource connection`. An open transaction ends with it, undone."""

    __slots__ = ()

    async def query(self, statement: str, parameters: list[Any]) -> RowSet:
        """Errors: `query-failed`, `bad-parameter`, `value-conversion-failed` for a type that the interface has no place
        for, `other` for a result that is too large."""
        answer = await self._run(statement, parameters, keep_rows=True)
        return RowSet([Column(column.name, data_type(column)) for column in answer.columns], answer.rows)

    async def execute(self, statement: str, parameters: list[Any]) -> None:
        """Errors: as `query`."""
        await self._run(statement, parameters, keep_rows=False)

    async def _run(self, statement: str, parameters: list[Any], *, keep_rows: bool) -> Answer:
        try:
            return await self.connection.run(statement, parameters, keep_rows=keep_rows)
        except SqlFailed as failed:
            raise failure(failed) from None


class SpinMysql(Interface):
    """`fermyon:spin/mysql@2.0.0`."""

    wit: ClassVar[str] = "fermyon:spin/mysql"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection}

    def __init__(self, grant: Grant, pool: MysqlPool | None) -> None:
        self._grant = grant
        self._pool = pool

    async def connection_open(self, invocation: Invocation, address: str) -> Connection:
        """Errors: `connection-failed`, for an address that the manifest does not allow too."""
        try:
            parsed = parse_address(address)
            admit(self._grant, "mysql", parsed.host, parsed.port, invocation.budget)
            if self._pool is None:
                raise Err(("connection-failed", "there are no connections to MySQL here"))
            connection = await self._pool.acquire(parsed)
        except SqlFailed as failed:
            raise failure(failed) from None
        return Connection(self._pool, parsed, connection, invocation.budget)
