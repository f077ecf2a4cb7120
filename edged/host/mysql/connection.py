"""A session with a MySQL server: prepared statements, one after the other.

    PREPARE ─► number, parameters ─► EXECUTE ─► definitions of columns, rows ... ─► EOF

Whatever ends a statement early - a result too large, no time left, the guest gone - ends the session too.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import trio

from edged.host.mysql import packets
from edged.host.mysql.address import MysqlAddress
from edged.host.mysql.login import CACHING, encrypt, prove
from edged.host.mysql.packets import Definition
from edged.host.mysql.values import decode_row, encode
from edged.host.mysql.wire import Wire
from edged.host.network.dialer import Dialer, DialFailed
from edged.host.network.trust import ContextOf, system_roots
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

_STRANGE = "the server does not speak MySQL's protocol"


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
        self._sequence = 0
        self._unsent = b""  # goes with the next command: nobody waits for an answer to it

    @property
    def is_ready(self) -> bool:
        return not self._is_closed and not self._is_busy

    def is_quiet(self) -> bool:
        return self._wire.is_quiet()

    def close(self) -> None:
        self._is_closed = True
        self._wire.close()

    async def log_in(self, context_of: ContextOf) -> None:
        """Raises: SqlFailed"""
        address = self._address
        handshake = packets.parse_handshake(await self._receive())
        capabilities = packets.CAPABILITIES
        if address.database:
            capabilities |= packets.CONNECT_WITH_DB
        if address.counts_found:
            capabilities |= packets.FOUND_ROWS
        if address.has_tls:
            if not handshake.capabilities & packets.SSL:
                raise ConnectionFailed("the server has no TLS, which ssl-mode asks for")
            capabilities |= packets.SSL
            await self._send(packets.ssl_request(capabilities))
            await self._wire.start_tls(context_of(address.host), address.host)
        # A server that begins with another plugin is told ours, and asks again.
        plugin = handshake.plugin if handshake.plugin == CACHING else "mysql_native_password"
        nonce = handshake.nonce
        answer = prove(plugin, address.password, nonce)
        await self._send(packets.handshake_response(capabilities, address.user, answer, address.database, plugin))
        while True:
            body = await self._receive()
            reader = packets.Reader(body, 1)
            match body[0]:
                case packets.OK:
                    return
                case packets.ERROR:
                    raise packets.parse_error(body)
                case packets.EOF:  # another plugin
                    plugin = reader.until_nul().decode("ascii", "replace")
                    nonce = reader.rest()[:20]
                    await self._send(prove(plugin, address.password, nonce))
                case packets.MORE_DATA if plugin == CACHING and body[1:] == b"\x03":
                    pass  # the proof was good; OK follows
                case packets.MORE_DATA if plugin == CACHING and body[1:] == b"\x04":
                    await self._send_password(nonce)
                case _:
                    raise ConnectionLost(_STRANGE)

    async def run(self, statement: str, parameters: Sequence[Any], *, keep_rows: bool = True) -> Answer:
        """Run one statement with `?` for the parameters.

        Args:
            parameters: of `parameter-value`.
            keep_rows: False where nobody looks at them.

        Raises:
            QueryFailed, BadParameter, ConversionFailed: the connection goes on, and its transaction.
            ConnectionLost, ResultTooLarge: it does not.
        """
        raw = statement.encode()
        if len(raw) > SQL_STATEMENT_BYTES_MAX:
            raise QueryFailed(f"the statement has more than {SQL_STATEMENT_BYTES_MAX} bytes")
        if len(parameters) > SQL_PARAMETER_COUNT_MAX:
            raise BadParameter(f"there are more than {SQL_PARAMETER_COUNT_MAX} parameters")
        values = encode(parameters) if parameters else b""
        if len(values) > SQL_PARAMETER_BYTES_MAX:
            raise BadParameter(f"the parameters have more than {SQL_PARAMETER_BYTES_MAX} bytes")
        return await self._exchange(partial(self._run, raw, len(parameters), values, keep_rows))

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
                raise ConnectionLost(_STRANGE) from None
            raise
        self._is_busy = False
        return answer

    async def _run(self, statement: bytes, count: int, values: bytes, keep_rows: bool) -> Answer:
        body = await self._command(packets.COM_STMT_PREPARE, statement)
        prepared = packets.parse_prepared(body)
        number = struct.pack("<I", prepared.number)
        for definitions in (prepared.parameter_count, prepared.column_count):
            for _ in range(definitions):
                await self._receive()
            if definitions and not packets.is_eof(await self._receive()):
                raise ConnectionLost(_STRANGE)
        self._unsent = packets.packet(0, bytes((packets.COM_STMT_CLOSE,)) + number)
        if prepared.parameter_count != count:
            raise QueryFailed(f"the statement takes {prepared.parameter_count} parameters, but there are {count}")
        execute = number + b"\0" + struct.pack("<I", 1) + values  # without a cursor, once
        # Closing must wait for what is executed now.
        close, self._unsent = self._unsent, b""
        body = await self._command(packets.COM_STMT_EXECUTE, execute)
        self._unsent = close
        answer, status = await self._result(body, keep_rows)
        while status & packets.MORE_RESULTS:  # of a procedure; Spin gives the first one too
            _, status = await self._result(await self._receive_checked(), keep_rows=False)
        return answer

    async def _result(self, body: bytes, keep_rows: bool) -> tuple[Answer, int]:
        """One result, which begins with this packet, and the status at its end."""
        if body[0] == packets.OK:
            return Answer((), ()), packets.parse_status(body)
        if body[0] == packets.LOCAL_INFILE:
            raise ConnectionLost("the server asks for a file")
        count = packets.Reader(body).lenenc()
        if count > SQL_COLUMN_COUNT_MAX:
            raise ResultTooLarge(f"the result has more than {SQL_COLUMN_COUNT_MAX} columns")
        budget = ResultBudget()
        columns = []
        for _ in range(count):
            definition = await self._receive()
            budget.spend(len(definition))
            columns.append(packets.parse_definition(definition))
        if not packets.is_eof(await self._receive()):
            raise ConnectionLost(_STRANGE)
        rows: list[list[Any]] = []
        unfit: ConversionFailed | None = None
        while not packets.is_eof(body := await self._receive_checked()):
            if not keep_rows or unfit is not None:
                continue
            budget.row(count, len(body))
            try:
                rows.append(decode_row(columns, body))
            except ConversionFailed as failed:
                unfit = failed
        if unfit is not None:
            raise unfit
        return Answer(columns, rows), packets.parse_status(body)

    async def _command(self, command: int, argument: bytes = b"") -> bytes:
        """The first packet of the answer.

        Raises:
            Refused
        """
        self._sequence = 0
        unsent, self._unsent = self._unsent, b""
        await self._send(bytes((command,)) + argument, before=unsent)
        return await self._receive_checked()

    async def _send_password(self, nonce: bytes) -> None:
        password = self._address.password
        if self._wire.tls is not None:
            await self._send(password.encode() + b"\0")
            return
        await self._send(b"\x02")  # which key?
        key = await self._receive()
        if key[0] != packets.MORE_DATA:
            raise ConnectionLost(_STRANGE)
        await self._send(encrypt(password, nonce, key[1:]))

    async def _send(self, body: bytes, before: bytes = b"") -> None:
        await self._wire.send(before + packets.packet(self._sequence, body))
        self._sequence += 1

    async def _receive_checked(self) -> bytes:
        body = await self._receive()
        if body[0] == packets.ERROR:
            raise packets.parse_error(body)
        return body

    async def _receive(self) -> bytes:
        """The next packet, of one byte at least.

        Raises:
            ConnectionLost
            ResultTooLarge: it has more bytes than a result may have; they are not read.
        """
        whole = b""
        while True:
            header = await self._wire.take(4)
            length = int.from_bytes(header[:3], "little")
            self._sequence = header[3] + 1
            if len(whole) + length > SQL_RESULT_BYTES_MAX:
                raise ResultTooLarge(f"the result has more than {SQL_RESULT_BYTES_MAX} bytes")
            whole += await self._wire.take(length)
            if length < packets.PACKET_BYTES_MAX:
                break
        if not whole:
            raise ConnectionLost(_STRANGE)
        return whole


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
                connection = MysqlConnection(Wire(stream), address)
                await connection.log_in(context_of)
            return connection
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, trio.TooSlowError):
                raise ConnectionFailed(f"{address.host} did not answer in time") from None
            if isinstance(error, (ValueError, struct.error, ResultTooLarge)):
                raise ConnectionFailed(_STRANGE) from None
            if isinstance(error, (SqlFailed, DialFailed)) and not isinstance(error, ConnectionFailed):
                raise ConnectionFailed(str(error)) from None
            raise

    return Pool(connect, connections_max)
