"""A session with a MySQL server: prepared statements, one after the other.

    PREPARE ─► number, parameters ─► EXECUTE ─► definitions of columns, rows ... ─► EOF

Rows that are read page by page wait in the socket and in the server. Those that nobody wants are passed over with the
next statement, up to the bytes of a result.

Whatever ends a statement early - a result too large, no time left, the guest gone - ends the session too.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import trio

from edged.host.mysql import packets
from edged.host.mysql.address import MysqlAddress
from edged.host.mysql.handshake import log_in
from edged.host.mysql.packets import Definition, Refused
from edged.host.mysql.values import decode_row, encode
from edged.host.mysql.wire import STRANGE, Wire
from edged.host.network.dialer import Dialer, DialFailed
from edged.host.network.trust import ContextOf, system_roots
from edged.host.pages import Page
from edged.host.rdbms.failure import (
    BadParameter,
    ConnectionFailed,
    ConnectionLost,
    ConversionFailed,
    QueryFailed,
    ResultTooLarge,
    SqlFailed,
)
from edged.host.rdbms.pool import Pool
from edged.host.rdbms.result import ResultBudget
from edged.limits import (
    SQL_COLUMN_COUNT_MAX,
    SQL_CONNECT_S_MAX,
    SQL_CONNECTION_COUNT_MAX,
    SQL_PARAMETER_BYTES_MAX,
    SQL_PARAMETER_COUNT_MAX,
    SQL_RESULT_BYTES_MAX,
    SQL_STATEMENT_BYTES_MAX,
    SQL_STATEMENT_S_MAX,
)

T = TypeVar("T")


class Answer(NamedTuple):
    """What a statement answered: its first result.

    Attributes:
        rows: of `db-value`.
    """

    columns: Sequence[Definition]
    rows: Sequence[Sequence[Any]]


class MysqlConnection:
    """For one task at a time."""

    def __init__(self, wire: Wire, address: MysqlAddress) -> None:
        self._wire = wire
        self._address = address
        self._is_closed = False
        self._is_busy = False
        self._unsent = b""  # goes with the next command: nobody waits for an answer to it
        self._coming: Sequence[Definition] | None = None  # columns of the rows that are still to be read
        self._kept: SqlFailed | None = None  # an error that comes after the rows before it were read

    @property
    def is_ready(self) -> bool:
        return not self._is_closed and not self._is_busy

    def is_quiet(self) -> bool:
        return self._wire.is_quiet()

    def close(self) -> None:
        self._is_closed = True
        self._wire.close()

    async def run(self, statement: str, parameters: Sequence[Any], *, keep_rows: bool = True) -> Answer:
        """Run one statement with `?` for the parameters.

        Args:
            parameters: of `parameter-value`.
            keep_rows: False where nobody looks at them.

        Raises:
            QueryFailed, BadParameter, ConversionFailed: the connection goes on, and its transaction.
            ConnectionLost, ResultTooLarge: it does not.
        """
        raw, values = _encoded(statement, parameters)
        return await self._exchange(partial(self._run, raw, len(parameters), values, keep_rows))

    async def query(self, statement: str, parameters: Sequence[Any]) -> MysqlRows:
        """Run one statement up to its first page. Whatever else is done on the connection ends it.

        Raises:
            As `run`.
        """
        raw, values = _encoded(statement, parameters)
        columns, first = await self._exchange(partial(self._open, raw, len(parameters), values))
        return MysqlRows(self, columns, first)

    async def fetch(self) -> Page:
        """The next page, where the one before was not the last. Raises: as `run`"""
        return await self._exchange(self._page)

    async def reset(self) -> None:
        """Roll back, and drop all that belongs to the session; then its database and character set as they were.

        Raises:
            SqlFailed: also where the guest chose a database and there was none, which cannot be undone.
        """
        self._unsent = b""  # statements are dropped too
        await self._exchange(partial(self._command, packets.COM_RESET_CONNECTION))
        await self._exchange(partial(self._command, packets.COM_QUERY, b"SET NAMES utf8mb4"))
        if self._address.database:
            await self._exchange(partial(self._command, packets.COM_INIT_DB, self._address.database.encode()))
        elif (await self.run("SELECT DATABASE()", ())).rows != [["db-null"]]:
            raise ConnectionLost("the connection has a database")

    async def _exchange(self, talk: Callable[[], Awaitable[T]]) -> T:
        if not self.is_ready:
            raise ConnectionLost("the connection is closed")
        self._is_busy = True
        try:
            with trio.fail_after(SQL_STATEMENT_S_MAX):
                answer = await talk()
        except (QueryFailed, BadParameter, ConversionFailed) as failed:
            if isinstance(failed, ConnectionLost):
                self.close()
            self._is_busy = False
            raise
        except BaseException as error:
            self.close()
            if isinstance(error, trio.TooSlowError):
                raise QueryFailed(f"the statement took longer than {SQL_STATEMENT_S_MAX:g} s") from None
            if isinstance(error, (ValueError, LookupError, struct.error)):
                raise ConnectionLost(STRANGE) from None
            raise
        self._is_busy = False
        return answer

    async def _run(self, statement: bytes, count: int, values: bytes, keep_rows: bool) -> Answer:
        columns = await self._execute(statement, count, values)
        budget = ResultBudget()
        rows: list[list[Any]] = []
        unfit: ConversionFailed | None = None
        while (body := await self._row()) is not None:
            if not keep_rows or unfit is not None:
                continue
            budget.row(len(columns), len(body))
            try:
                rows.append(decode_row(columns, body))
            except ConversionFailed as failed:
                unfit = failed
        if unfit is not None:
            raise unfit
        return Answer(columns, rows)

    async def _open(self, statement: bytes, count: int, values: bytes) -> tuple[Sequence[Definition], Page]:
        return await self._execute(statement, count, values), await self._page()

    async def _page(self) -> Page:
        kept, self._kept = self._kept, None
        if kept is not None:
            raise kept
        budget = ResultBudget()
        rows: list[list[Any]] = []
        columns = self._coming or ()
        try:
            while not budget.fills_page:
                body = await self._row()
                if body is None:
                    return Page(rows, budget.spent_bytes, is_last=True)
                budget.row(len(columns), len(body))
                rows.append(decode_row(columns, body))
        except (QueryFailed, ConversionFailed) as failed:
            if not rows or isinstance(failed, ConnectionLost):
                raise
            self._kept = failed
        return Page(rows, budget.spent_bytes, is_last=False)

    async def _execute(self, statement: bytes, count: int, values: bytes) -> Sequence[Definition]:
        """The columns of the first result; none where it has no rows. They are for `_row` to be read."""
        body = await self._command(packets.COM_STMT_PREPARE, statement)
        prepared = packets.parse_prepared(body)
        number = struct.pack("<I", prepared.number)
        for definitions in (prepared.parameter_count, prepared.column_count):
            for _ in range(definitions):
                await self._wire.receive()
            if definitions and not packets.is_eof(await self._wire.receive()):
                raise ConnectionLost(STRANGE)
        self._unsent = packets.packet(0, bytes((packets.COM_STMT_CLOSE,)) + number)
        if prepared.parameter_count != count:
            raise QueryFailed(f"the statement takes {prepared.parameter_count} parameters, but there are {count}")
        execute = number + b"\0" + struct.pack("<I", 1) + values  # without a cursor, once
        # Closing must wait for what is executed now.
        close, self._unsent = self._unsent, b""
        body = await self._command(packets.COM_STMT_EXECUTE, execute)
        self._unsent = close
        columns = await self._columns(body)
        if columns is None:
            await self._pass_over_others(packets.parse_status(body))
        self._coming = columns
        return columns or ()

    async def _columns(self, body: bytes) -> Sequence[Definition] | None:
        """Of a result that begins with this packet; None where it has no rows."""
        if body[0] == packets.OK:
            return None
        if body[0] == packets.LOCAL_INFILE:
            raise ConnectionLost("the server asks for a file")
        count = packets.Reader(body).lenenc()
        if count > SQL_COLUMN_COUNT_MAX:
            raise ResultTooLarge(f"the result has more than {SQL_COLUMN_COUNT_MAX} columns")
        budget = ResultBudget()
        columns = []
        for _ in range(count):
            definition = await self._wire.receive()
            budget.spend(len(definition))
            columns.append(packets.parse_definition(definition))
        if not packets.is_eof(await self._wire.receive()):
            raise ConnectionLost(STRANGE)
        return columns

    async def _row(self) -> bytes | None:
        """The packet of the next row, None after the last one.

        Raises:
            Refused: in its place; none is to come.
        """
        if self._coming is None:
            return None
        body = await self._wire.receive()
        if body[0] == packets.ERROR:
            self._coming = None
            raise packets.parse_error(body)
        if not packets.is_eof(body):
            return body
        await self._pass_over_others(packets.parse_status(body))
        self._coming = None
        return None

    async def _pass_over_others(self, status: int) -> None:
        """The results after the first, of a procedure; Spin gives the first one too."""
        while status & packets.MORE_RESULTS:
            body = await self._wire.receive_checked()
            if await self._columns(body) is not None:
                while not packets.is_eof(body := await self._wire.receive_checked()):
                    pass
            status = packets.parse_status(body)

    async def _pass_over_rows(self) -> None:
        """Those of a statement that nobody reads to its end."""
        self._kept = None
        left = SQL_RESULT_BYTES_MAX
        with suppress(Refused):
            while (body := await self._row()) is not None:
                left -= len(body)
                if left < 0:
                    raise ConnectionLost("too many rows of the statement before were not read")

    async def _command(self, command: int, argument: bytes = b"") -> bytes:
        """The first packet of the answer.

        Raises:
            Refused
        """
        await self._pass_over_rows()
        unsent, self._unsent = self._unsent, b""
        await self._wire.send_command(bytes((command,)) + argument, before=unsent)
        return await self._wire.receive_checked()


class MysqlRows:
    """The rows of a statement of `MysqlConnection.query`: a `edged.host.pages.Cursor`."""

    def __init__(self, connection: MysqlConnection, columns: Sequence[Definition], first: Page) -> None:
        self.columns = columns
        self._connection = connection
        self._first: Page | None = first

    async def page(self) -> Page:
        """Raises: SqlFailed"""
        first, self._first = self._first, None
        return await self._connection.fetch() if first is None else first

    def close(self) -> None:
        """What is still to come is passed over with the next statement."""


def _encoded(statement: str, parameters: Sequence[Any]) -> tuple[bytes, bytes]:
    """Both as the server takes them. Raises: QueryFailed, BadParameter"""
    raw = statement.encode()
    if len(raw) > SQL_STATEMENT_BYTES_MAX:
        raise QueryFailed(f"the statement has more than {SQL_STATEMENT_BYTES_MAX} bytes")
    if len(parameters) > SQL_PARAMETER_COUNT_MAX:
        raise BadParameter(f"there are more than {SQL_PARAMETER_COUNT_MAX} parameters")
    values = encode(parameters) if parameters else b""
    if len(values) > SQL_PARAMETER_BYTES_MAX:
        raise BadParameter(f"the parameters have more than {SQL_PARAMETER_BYTES_MAX} bytes")
    return raw, values


MysqlPool = Pool[MysqlAddress, MysqlConnection]


def mysql_pool(
    dialer: Dialer, connections_max: int = SQL_CONNECTION_COUNT_MAX, context_of: ContextOf = system_roots
) -> MysqlPool:
    """Connections of one app.

    Args:
        dialer: of the app.
        connections_max: `max_connections` of `[outbound_mysql]`, where the operator wrote one.
        context_of: what certificates are verified with.
    """

    async def connect(address: MysqlAddress) -> MysqlConnection:
        connection: MysqlConnection | None = None
        try:
            with trio.fail_after(SQL_CONNECT_S_MAX):
                stream = await dialer.dial(address.host, address.port, SQL_CONNECT_S_MAX)
                wire = Wire(stream)
                connection = MysqlConnection(wire, address)
                await log_in(wire, address, context_of)
            return connection
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, trio.TooSlowError):
                raise ConnectionFailed(f"{address.host} did not answer in time") from None
            if isinstance(error, (ValueError, struct.error, ResultTooLarge)):
                raise ConnectionFailed(STRANGE) from None
            if isinstance(error, (SqlFailed, DialFailed)) and not isinstance(error, ConnectionFailed):
                raise ConnectionFailed(str(error)) from None
            raise

    return Pool(connect, connections_max)
