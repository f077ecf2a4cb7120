"""`fermyon:spin/mysql` and `spin:mysql/mysql`: connections of one component to MySQL servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from edged.host.channel import FutureReader, StreamReader
from edged.host.interface import Err, Interface, Invocation, Ok, Resource
from edged.host.mysql.address import MysqlAddress, parse_address
from edged.host.mysql.connection import Answer, MysqlConnection, MysqlPool
from edged.host.mysql.packets import Definition
from edged.host.mysql.values import data_type
from edged.host.network.grant import Grant
from edged.host.pages import TOO_MANY_STREAMS, taken
from edged.host.rdbms.failure import SqlFailed
from edged.host.rdbms.interfaces import Column, Held, RowSet, admit, failure


class _Connection(Held[MysqlAddress, MysqlConnection]):
    """What the versions share. An open transaction ends with it, undone."""

    __slots__ = ()

    async def execute(self, statement: str, parameters: list[Any]) -> None:
        """Errors: as `query`."""
        await self._run(statement, parameters, keep_rows=False)

    async def _run(self, statement: str, parameters: list[Any], *, keep_rows: bool) -> Answer:
        async with self._statement() as connection:
            try:
                return await connection.run(statement, parameters, keep_rows=keep_rows)
            except SqlFailed as failed:
                raise failure(failed) from None


class Connection(_Connection):
    """`resource connection` of fermyon:spin/mysql@2.0.0."""

    __slots__ = ()

    async def query(self, statement: str, parameters: list[Any]) -> RowSet:
        """Errors: `query-failed`, `bad-parameter`, `value-conversion-failed` for a type that the interface has no place
        for, `other` for a result that is too large."""
        answer = await self._run(statement, parameters, keep_rows=True)
        return RowSet(_columns(answer.columns), answer.rows)


class Connection3(_Connection):
    """`resource connection` of spin:mysql@3.0.0."""

    __slots__ = ()

    async def query(
        self, statement: str, parameters: list[Any]
    ) -> tuple[Sequence[Column], StreamReader, FutureReader[Ok | Err]]:
        """The columns, the rows, and how those ended. Errors: as of version 2, before the first row or after the last
        one; `other` for too many rows that are not read."""
        with taken(self._budget, Err(("other", TOO_MANY_STREAMS))):
            async with self._statement() as connection:
                try:
                    rows = await connection.query(statement, parameters)
                except SqlFailed as failed:
                    raise failure(failed) from None
                stream = self._streamed(rows, failure)
        await stream.start()
        return _columns(rows.columns), stream, stream.outcome


class _Mysql(Interface):
    """What the versions share. Subclasses name their class of connections."""

    _connection: ClassVar[type[_Connection]]

    def __init__(self, grant: Grant, pool: MysqlPool | None) -> None:
        self._grant = grant
        self._pool = pool

    async def connection_open(self, invocation: Invocation, address: str) -> _Connection:
        """Errors: `connection-failed`, for an address that the manifest does not allow too."""
        try:
            parsed = parse_address(address)
            with admit(self._grant, "mysql", parsed.host, parsed.port, invocation.budget):
                if self._pool is None:
                    raise Err(("connection-failed", "there are no connections to MySQL here"))
                connection = await self._pool.acquire(parsed)
                return self._connection(self._pool, parsed, connection, invocation.budget)
        except SqlFailed as failed:
            raise failure(failed) from None


class SpinMysql(_Mysql):
    """`fermyon:spin/mysql@2.0.0`."""

    wit: ClassVar[str] = "fermyon:spin/mysql"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection}
    _connection = Connection


class SpinMysql3(_Mysql):
    """`spin:mysql/mysql@3.0.0`."""

    wit: ClassVar[str] = "spin:mysql/mysql"
    versions: ClassVar[tuple[str, ...]] = ("3.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection3}
    _connection = Connection3


def _columns(definitions: Sequence[Definition]) -> list[Column]:
    return [Column(column.name, data_type(column)) for column in definitions]
