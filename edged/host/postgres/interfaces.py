"""`fermyon:spin/postgres` and `spin:postgres/postgres`: connections of one component to PostgreSQL servers.

All versions are the newest with less of its types: what an older one has no word for is `other` as a type and
`unsupported` as a value.
"""

from __future__ import annotations

import ssl
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

from edged.host.budget import Budget
from edged.host.channel import FutureReader, StreamReader
from edged.host.interface import Err, Interface, Invocation, Ok, Resource
from edged.host.network.grant import Grant
from edged.host.pages import TOO_MANY_STREAMS, taken
from edged.host.postgres.address import PostgresAddress, parse_address
from edged.host.postgres.client import Answer, Field
from edged.host.postgres.connection import PostgresConnection, PostgresPool
from edged.host.postgres.report import StatementRefused
from edged.host.postgres.values import data_type
from edged.host.rdbms.failure import ConversionFailed, QueryFailed, SqlFailed
from edged.host.rdbms.interfaces import Column, Held, RowSet, admit, failure
from edged.limits import SQL_ADDRESS_CHARS_MAX, SQL_CA_ROOT_CHARS_MAX

_UNSIGNED = frozenset({"uint8", "uint16", "uint32", "uint64"})
_TYPES_2 = frozenset({"boolean", "int16", "int32", "int64", "floating32", "floating64", "str", "binary"})
_TYPES_3 = _TYPES_2 | {"date", "time", "datetime"}


class DbError(NamedTuple):
    """`record db-error`"""

    as_text: str
    severity: str
    code: str
    message: str
    detail: str | None
    extras: Sequence[tuple[str, str]]


class _Connection(Held[PostgresAddress, PostgresConnection]):
    """What the versions share. `query` and `execute` are those of their `resource connection`."""

    __slots__ = ()

    async def query(self, statement: str, parameters: list[Any]) -> RowSet:
        """Errors: `query-failed`, `bad-parameter`, `other` for a result that is too large."""
        async with self._statement() as connection:
            return await self._row_set(await self._run(connection, statement, parameters, keep_rows=True))

    async def execute(self, statement: str, parameters: list[Any]) -> int:
        """The number of rows that were affected. Errors: as `query`."""
        async with self._statement() as connection:
            return (await self._run(connection, statement, parameters, keep_rows=False)).affected

    async def _run(
        self, connection: PostgresConnection, statement: str, parameters: list[Any], *, keep_rows: bool
    ) -> Answer:
        try:
            return await connection.run(statement, parameters, keep_rows=keep_rows)
        except SqlFailed as failed:
            raise self._failure(failed) from None

    @abstractmethod
    async def _row_set(self, answer: Answer) -> RowSet:
        """A result in the types that the version has."""

    def _failure(self, failed: SqlFailed) -> Err:
        return failure(failed)


class Connection3(_Connection):
    """`resource connection` of spin:postgres@3.0.0."""

    __slots__ = ()
    types: ClassVar[frozenset[str]] = _TYPES_3

    async def _row_set(self, answer: Answer) -> RowSet:
        known = [_known(data_type(field.oid), self.types) for field in answer.fields]
        columns = [Column(field.name, case) for field, case in zip(answer.fields, known, strict=True)]
        if "other" not in known:
            return RowSet(columns, answer.rows)
        rows = [
            [
                "unsupported" if case == "other" and value != "db-null" else value
                for value, case in zip(row, known, strict=True)
            ]
            for row in answer.rows
        ]
        return RowSet(columns, rows)


class Connection2(Connection3):
    """`resource connection` of fermyon:spin/postgres@2.0.0."""

    __slots__ = ()
    types: ClassVar[frozenset[str]] = _TYPES_2

    async def _run(
        self, connection: PostgresConnection, statement: str, parameters: list[Any], *, keep_rows: bool
    ) -> Answer:
        if any(parameter[0] in _UNSIGNED for parameter in parameters):
            raise failure(ConversionFailed("PostgreSQL has no unsigned integers"))
        return await super()._run(connection, statement, parameters, keep_rows=keep_rows)


class Connection4(_Connection):
    """`resource connection` of spin:postgres@4.2.0."""

    __slots__ = ()

    async def query_async(
        self, statement: str, parameters: list[Any]
    ) -> tuple[Sequence[Column], StreamReader, FutureReader[Ok | Err]]:
        """The columns, the rows, and how those ended. Errors: as `query`, before the first row or after the last one;
        `other` for too many rows that are not read."""
        with taken(self._budget, Err(("other", TOO_MANY_STREAMS))):
            async with self._statement() as connection:
                try:
                    rows = await connection.query(statement, parameters)
                except SqlFailed as failed:
                    raise self._failure(failed) from None
                columns = await self._columns(rows.fields)
                stream = self._streamed(rows, self._failure)
        await stream.start()
        return columns, stream, stream.outcome

    execute_async = _Connection.execute

    async def _row_set(self, answer: Answer) -> RowSet:
        return RowSet(await self._columns(answer.fields), answer.rows)

    async def _columns(self, fields: Sequence[Field]) -> list[Column]:
        columns = []
        for field in fields:
            case: Any = data_type(field.oid)
            if case is None:
                try:
                    case = "other", await self.connection.type_name(field.oid)
                except SqlFailed as failed:
                    raise self._failure(failed) from None
            columns.append(Column(field.name, case))
        return columns

    def _failure(self, failed: SqlFailed) -> Err:
        if not isinstance(failed, QueryFailed):
            return failure(failed)
        if not isinstance(failed, StatementRefused):
            return Err((failed.case, ("text", str(failed))))
        report = failed.report
        error = DbError(str(report), report.severity, report.code, report.message, report.detail, report.extras)
        return Err((failed.case, ("db-error", error)))


class ConnectionBuilder(Resource):
    """`resource connection-builder`.

    Args:
        connect: to an address, trusting an authority.
    """

    __slots__ = ("_address", "_ca_root", "_connect")

    def __init__(self, connect: Callable[[str, str], Awaitable[_Connection]], address: str) -> None:
        self._connect = connect
        # Of one that is too long no more is kept than what shows it.
        self._address = address[: SQL_ADDRESS_CHARS_MAX + 1]
        self._ca_root = ""

    def set_ca_root(self, certificate: str) -> None:
        """Trust this authority too: one certificate or more, in PEM.

        Errors: `other` for what is no certificate, or too long.
        """
        if len(certificate) > SQL_CA_ROOT_CHARS_MAX:
            raise Err(("other", f"the certificate has more than {SQL_CA_ROOT_CHARS_MAX} characters"))
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate)
        except (ssl.SSLError, ValueError, TypeError):
            raise Err(("other", "that is no certificate in PEM")) from None
        self._ca_root = certificate

    async def build(self) -> _Connection:
        """Errors: as `connection.open`."""
        return await self._connect(self._address, self._ca_root)

    build_async = build


class _Postgres(Interface):
    """What the versions share. Subclasses name their class of connections."""

    _connection: ClassVar[type[_Connection]]

    def __init__(self, grant: Grant, pool: PostgresPool | None) -> None:
        self._grant = grant
        self._pool = pool

    async def connection_open(self, invocation: Invocation, address: str) -> _Connection:
        """Errors: `connection-failed`, for an address that the manifest does not allow too."""
        return await self._connect(invocation.budget, address)

    async def _connect(self, budget: Budget, address: str, ca_root: str = "") -> _Connection:
        try:
            parsed = replace(parse_address(address), ca_root=ca_root)
            with admit(self._grant, "postgres", parsed.host, parsed.port, budget):
                if self._pool is None:
                    raise Err(("connection-failed", "there are no connections to PostgreSQL here"))
                connection = await self._pool.acquire(parsed)
                return self._connection(self._pool, parsed, connection, budget)
        except SqlFailed as failed:
            raise failure(failed) from None


class SpinPostgres2(_Postgres):
    """`fermyon:spin/postgres@2.0.0`."""

    wit: ClassVar[str] = "fermyon:spin/postgres"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection2}
    _connection = Connection2


class SpinPostgres3(_Postgres):
    """`spin:postgres/postgres@3.0.0`."""

    wit: ClassVar[str] = "spin:postgres/postgres"
    versions: ClassVar[tuple[str, ...]] = ("3.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection3}
    _connection = Connection3


class SpinPostgres4(_Postgres):
    """`spin:postgres/postgres@4.2.0`; 4.1.0, which has no asynchronous functions; 4.0.0, which has no builder."""

    wit: ClassVar[str] = "spin:postgres/postgres"
    versions: ClassVar[tuple[str, ...]] = ("4.0.0", "4.1.0", "4.2.0")
    resources: ClassVar[Mapping[str, type[Resource]]] = {
        "connection": Connection4,
        "connection-builder": ConnectionBuilder,
    }
    _connection = Connection4

    connection_open_async = _Postgres.connection_open

    def connection_builder_constructor(self, invocation: Invocation, address: str) -> ConnectionBuilder:
        return ConnectionBuilder(partial(self._connect, invocation.budget), address)


def _known(case: str | None, types: frozenset[str]) -> str:
    return case if case is not None and case in types else "other"
