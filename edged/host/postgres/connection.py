"""A session with a PostgreSQL server: statements, one after the other.

    Parse, Describe, Flush ─► types of the parameters ─► Bind, Execute, Sync ─► rows ... ─► ReadyForQuery

A statement without parameters is one round trip. Whatever ends one early - a result too large, no time left, the guest
gone - ends the session too, after the server was asked to stop working on it.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import trio

from edged.host.network.dialer import Dialer
from edged.host.postgres import messages
from edged.host.postgres.address import PostgresAddress
from edged.host.postgres.login import Session, log_in, open_wire, receive
from edged.host.postgres.messages import Field, StatementRefused
from edged.host.postgres.values import decode, encode
from edged.host.rdbms.failure import BadParameter, ConnectionLost, QueryFailed, SqlFailed
from edged.host.rdbms.pool import Pool
from edged.host.rdbms.result import ResultBudget
from edged.host.rdbms.wire import ContextOf, system_roots
from edged.limits import (
    SQL_CANCEL_S_MAX,
    SQL_CONNECTION_COUNT_MAX,
    SQL_PARAMETER_BYTES_MAX,
    SQL_PARAMETER_COUNT_MAX,
    SQL_STATEMENT_BYTES_MAX,
    SQL_STATEMENT_S_MAX,
)

T = TypeVar("T")

_TYPE_NAME = "SELECT typname::text FROM pg_catalog.pg_type WHERE oid = $1::int8::oid"


class Answer(NamedTuple):
    """What a statement answered.

    Attributes:
        rows: of `db-value` of spin:postgres@4.0.0.
        affected: rows, as the server counts them.
    """

    fields: Sequence[Field]
    rows: Sequence[Sequence[Any]]
    affected: int


class PostgresConnection:
    """For one task at a time."""

    def __init__(self, session: Session, cancel: Callable[[bytes], Awaitable[None]]) -> None:
        self._session = session
        self._wire = session.wire
        self._cancel = cancel
        self._is_closed = False
        self._is_busy = False
        self._is_in_transaction = False
        self._type_names: dict[int, str] = {}

    @property
    def is_ready(self) -> bool:
        return not self._is_closed and not self._is_busy

    def is_quiet(self) -> bool:
        return self._wire.is_quiet()

    def close(self) -> None:
        self._is_closed = True
        self._wire.close()

    async def run(self, statement: str, parameters: Sequence[Any], *, keep_rows: bool = True) -> Answer:
        """Run one statement with `$1`, `$2` for the parameters.

        Args:
            parameters: of `parameter-value`.
            keep_rows: False where only the number of them is of interest.

        Raises:
            StatementRefused, QueryFailed, BadParameter: the connection goes on; so does its transaction, aborted.
            ConnectionLost, ResultTooLarge: it does not.
        """
        if len(statement.encode()) > SQL_STATEMENT_BYTES_MAX:
            raise QueryFailed(f"the statement has more than {SQL_STATEMENT_BYTES_MAX} bytes")
        if "\0" in statement:
            raise QueryFailed("there is a NUL in the statement")
        if len(parameters) > SQL_PARAMETER_COUNT_MAX:
            raise BadParameter(f"there are more than {SQL_PARAMETER_COUNT_MAX} parameters")
        return await self._exchange(partial(self._run, statement, parameters, keep_rows))

    async def type_name(self, oid: int) -> str:
        """The name of a type that the interface has no word for. Empty where the server does not tell it.

        Raises:
            ConnectionLost
        """
        if oid not in self._type_names:
            try:
                answer = await self.run(_TYPE_NAME, [("int64", oid)])
                name = answer.rows[0][0][1] if answer.rows else ""
            except StatementRefused:
                name = ""
            self._type_names[oid] = name
        return self._type_names[oid]

    async def reset(self) -> None:
        """Roll back, and drop all that belongs to the session: settings, temporary tables, locks, cursors.

        Raises:
            SqlFailed
        """
        self._type_names.clear()
        if self._is_in_transaction:
            await self.run("ROLLBACK", (), keep_rows=False)  # DISCARD ALL is refused inside of one
        await self.run("DISCARD ALL", (), keep_rows=False)

    async def _exchange(self, talk: Callable[[], Awaitable[T]]) -> T:
        if not self.is_ready:
            raise ConnectionLost("the connection is closed")
        self._is_busy = True
        try:
            with trio.fail_after(SQL_STATEMENT_S_MAX):
                answer = await talk()
        except (QueryFailed, BadParameter) as failed:
            if isinstance(failed, ConnectionLost):
                self.close()
            self._is_busy = False
            raise
        except BaseException as error:
            await self._give_up()
            if isinstance(error, trio.TooSlowError):
                raise QueryFailed(f"the statement took longer than {SQL_STATEMENT_S_MAX:g} s") from None
            if isinstance(error, (ValueError, LookupError, struct.error)):
                raise ConnectionLost("the server does not speak PostgreSQL's protocol") from None
            raise
        self._is_busy = False
        return answer

    async def _give_up(self) -> None:
        """Nobody waits for this statement any more. The server would go on with it until it has rows to send."""
        self.close()
        with trio.move_on_after(SQL_CANCEL_S_MAX, shield=True):
            with suppress(SqlFailed):
                await self._cancel(messages.cancel_request(self._session.process, self._session.secret))

    async def _run(self, statement: str, parameters: Sequence[Any], keep_rows: bool) -> Answer:
        values: list[tuple[int, bytes | None]] = []
        request = messages.parse(statement)
        if parameters:
            await self._wire.send(request + messages.describe_statement() + messages.FLUSH)
            try:
                values = await self._encode(parameters)
            except (QueryFailed, BadParameter) as failed:
                if not isinstance(failed, ConnectionLost):
                    await self._wire.send(messages.SYNC)
                    await self._until_ready()
                raise
            request = b""
        await self._wire.send(request + messages.bind_and_execute(values) + messages.SYNC)
        try:
            return await self._read(keep_rows)
        except StatementRefused:
            await self._until_ready()
            raise

    async def _encode(self, parameters: Sequence[Any]) -> list[tuple[int, bytes | None]]:
        oids: list[int] = []
        while True:
            kind, body = await self._receive()
            if kind == 0x74:  # t
                oids = messages.parse_parameter_types(body)
            elif kind in b"Tn":
                break
            elif kind != 0x31:
                raise ConnectionLost("the server does not speak PostgreSQL's protocol")
        if len(oids) != len(parameters):
            raise QueryFailed(f"the statement takes {len(oids)} parameters, but there are {len(parameters)}")
        pairs = enumerate(zip(parameters, oids, strict=True), 1)
        values = [encode(number, parameter, oid) for number, (parameter, oid) in pairs]
        if sum(len(raw or b"") for _, raw in values) > SQL_PARAMETER_BYTES_MAX:
            raise BadParameter(f"the parameters have more than {SQL_PARAMETER_BYTES_MAX} bytes")
        return values

    async def _read(self, keep_rows: bool) -> Answer:
        fields: list[Field] = []
        rows: list[list[Any]] = []
        affected = 0
        budget = ResultBudget()
        unfit: QueryFailed | None = None
        while True:
            kind, body = await self._receive()
            match kind:
                case 0x44:  # D
                    if not keep_rows or unfit is not None:
                        continue
                    raw = messages.parse_row(body)
                    if len(raw) != len(fields):
                        raise ConnectionLost("the server does not speak PostgreSQL's protocol")
                    budget.row(len(raw), len(body))
                    try:
                        rows.append([decode(f.oid, cell, budget.spend) for f, cell in zip(fields, raw, strict=True)])
                    except QueryFailed as failed:
                        unfit = failed
                case 0x54:  # T
                    fields = messages.parse_fields(body)
                    budget.spend(len(body))
                case 0x43:  # C
                    affected = messages.rows_affected(body)
                case 0x5A:  # Z
                    self._is_in_transaction = body != b"I"
                    if unfit is not None:
                        raise unfit
                    return Answer(fields, rows, affected)
                case 0x31 | 0x32 | 0x6E | 0x49:  # 1, 2, n, I
                    pass
                case 0x47 | 0x48 | 0x57:  # G, H, W
                    self.close()
                    raise QueryFailed("COPY from or to the client is not supported")
                case _:
                    raise ConnectionLost("the server does not speak PostgreSQL's protocol")

    async def _receive(self) -> tuple[int, bytes]:
        kind, body = await receive(self._wire)
        if kind == 0x45:  # E
            raise StatementRefused(messages.parse_report(body))
        return kind, body

    async def _until_ready(self) -> None:
        """Skip to the end of an exchange that has failed. A server that ends the session instead has done with it."""
        try:
            kind = body = None
            while kind != 0x5A:
                kind, body = await receive(self._wire)
            self._is_in_transaction = body != b"I"
        except ConnectionLost:
            self.close()


PostgresPool = Pool[PostgresAddress, PostgresConnection]


def postgres_pool(
    dialer: Dialer, connections_max: int = SQL_CONNECTION_COUNT_MAX, context_of: ContextOf = system_roots
) -> PostgresPool:
    """Connections of one app.

    Args:
        dialer: of the app.
        connections_max: `max_connections` of `[outbound_pg]`, where the operator wrote one.
        context_of: what certificates are verified with.
    """

    async def connect(address: PostgresAddress) -> PostgresConnection:
        async def cancel(request: bytes) -> None:
            wire = await open_wire(address, dialer, context_of)
            try:
                await wire.send(request)
            finally:
                wire.close()

        return PostgresConnection(await log_in(address, dialer, context_of), cancel)

    return Pool(connect, connections_max)
