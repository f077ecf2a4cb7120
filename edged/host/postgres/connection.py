"""A session with a PostgreSQL server: statements, one after the other, each in a thread.

Whatever ends one early - a result too large, no time left, the guest gone - ends the session too, after the server was
asked to stop working on it. The thread ends with the connection, at once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import trio
from pg8000.exceptions import InterfaceError
from scramp import ScramException

from edged.host.network.dialer import Dialer, DialFailed
from edged.host.network.trust import ContextOf, system_roots, with_authority
from edged.host.pages import Page
from edged.host.postgres.address import PostgresAddress
from edged.host.postgres.blocking import BlockingWire
from edged.host.postgres.client import Answer, Client, Field
from edged.host.postgres.login import STRANGE
from edged.host.postgres.report import StatementRefused
from edged.host.rdbms.failure import (
    BadParameter,
    ConnectionFailed,
    ConnectionLost,
    QueryFailed,
    ResultTooLarge,
    SqlFailed,
)
from edged.host.rdbms.pool import Pool
from edged.limits import (
    SQL_CANCEL_S_MAX,
    SQL_CONNECT_S_MAX,
    SQL_CONNECTION_COUNT_MAX,
    SQL_PARAMETER_COUNT_MAX,
    SQL_STATEMENT_BYTES_MAX,
    SQL_STATEMENT_S_MAX,
)

T = TypeVar("T")

_TYPE_NAME = "SELECT typname::text FROM pg_catalog.pg_type WHERE oid = $1::int8::oid"
_SSL_REQUEST = struct.pack(">II", 8, 1234 << 16 | 5679)
_CANCEL_REQUEST = 1234 << 16 | 5678

_STRANGERS = (ValueError, LookupError, struct.error, InterfaceError, ScramException)
"""What pg8000 raises where a server does not keep to the protocol: it does not look before."""


class Way:
    """From an address to a server that waits for a thread of this pool.

    Args:
        threads_max: that block at the same time.
        context_of: what certificates are verified with.
    """

    def __init__(self, dialer: Dialer, threads_max: int, context_of: ContextOf) -> None:
        self._dialer = dialer
        self._threads = trio.CapacityLimiter(threads_max)
        self._context_of = context_of

    async def connect(self, address: PostgresAddress) -> PostgresConnection:
        """Log in.

        Raises:
            ConnectionFailed
        """
        wire: BlockingWire | None = None
        try:
            with trio.fail_after(SQL_CONNECT_S_MAX):
                wire = await self._dial(address)
                return PostgresConnection(self, address, wire, await self.block(wire, self._log_in, wire, address))
        except BaseException as error:
            if wire is not None:
                wire.close()
            if isinstance(error, trio.TooSlowError):
                raise ConnectionFailed(f"{address.host} did not answer in time") from None
            if isinstance(error, ResultTooLarge):
                raise ConnectionFailed(STRANGE) from None
            if isinstance(error, SqlFailed) and not isinstance(error, ConnectionFailed):
                raise ConnectionFailed(str(error)) from None
            raise

    async def cancel(self, address: PostgresAddress, key: bytes) -> None:
        """Ask the server to stop the work on the statement of a session. Raises: SqlFailed"""
        request = struct.pack(">II", 8 + len(key), _CANCEL_REQUEST) + key
        wire = await self._dial(address)
        try:
            await self.block(wire, self._say, wire, address, request)
        finally:
            wire.close()

    async def block(self, wire: BlockingWire, call: Callable[..., T], *arguments: Any) -> T:
        """Call it in a thread, which ends when the wire is closed. Nobody waits for that.

        Raises:
            ConnectionLost: the server does not speak the protocol. Whatever `call` raises.
        """
        use = partial(wire.use, partial(call, *arguments))
        try:
            return await trio.to_thread.run_sync(use, abandon_on_cancel=True, limiter=self._threads)
        except _STRANGERS:
            raise ConnectionLost(STRANGE) from None

    async def _dial(self, address: PostgresAddress) -> BlockingWire:
        try:
            return BlockingWire(await self._dialer.dial(address.host, address.port, SQL_CONNECT_S_MAX))
        except DialFailed as failed:
            raise ConnectionFailed(str(failed)) from None

    # --- in a thread ---

    def _log_in(self, wire: BlockingWire, address: PostgresAddress) -> Client:
        self._secure(wire, address)
        return Client(wire, address)

    def _say(self, wire: BlockingWire, address: PostgresAddress, request: bytes) -> None:
        self._secure(wire, address)
        wire.write(request)
        wire.flush()

    def _secure(self, wire: BlockingWire, address: PostgresAddress) -> None:
        """TLS, as far as the address asks for it: pg8000 knows no `prefer` with a certificate that is verified."""
        if address.tls == "disable":
            return
        wire.write(_SSL_REQUEST)
        wire.flush()
        answer = wire.read(1)
        if answer == b"S":
            trusted = with_authority(address.ca_root) if address.ca_root else self._context_of(address.host)
            wire.start_tls(trusted, address.host)
        elif answer != b"N":
            raise ConnectionLost(STRANGE)
        elif address.tls == "require":
            raise ConnectionFailed("the server has no TLS, which sslmode asks for")


class PostgresConnection:
    """For one task at a time. Made by `Way.connect`."""

    def __init__(self, way: Way, address: PostgresAddress, wire: BlockingWire, client: Client) -> None:
        self._way = way
        self._address = address
        self._wire = wire
        self._client = client
        self._is_closed = False
        self._is_busy = False
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
        _check(statement, parameters)
        return await self._exchange(partial(self._client.run, statement, parameters, keep_rows=keep_rows))

    async def query(self, statement: str, parameters: Sequence[Any]) -> PostgresRows:
        """Run one statement up to its first page. Whatever else is done on the connection ends it.

        Raises:
            As `run`.
        """
        _check(statement, parameters)
        opened = await self._exchange(partial(self._client.open, statement, parameters, self._type_names))
        if opened.missing:
            # Asked for while nothing is under way: it could not be between two pages.
            for oid in opened.missing:
                await self.type_name(oid)
            opened = await self._exchange(partial(self._client.open, statement, parameters, self._type_names))
        return PostgresRows(self, opened.fields, opened.first)

    async def fetch(self) -> Page:
        """The next page of the statement under way. Raises: as `run`"""
        return await self._exchange(self._client.fetch)

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
        if self._client.is_in_transaction:
            await self.run("ROLLBACK", (), keep_rows=False)  # DISCARD ALL is refused inside of one
        await self.run("DISCARD ALL", (), keep_rows=False)

    async def _exchange(self, talk: Callable[[], T]) -> T:
        if not self.is_ready:
            raise ConnectionLost("the connection is closed")
        self._is_busy = True
        try:
            with trio.fail_after(SQL_STATEMENT_S_MAX):
                answer = await self._way.block(self._wire, talk)
        except (QueryFailed, BadParameter) as failed:
            if isinstance(failed, ConnectionLost) or self._client.is_over:
                self.close()
            self._is_busy = False
            raise
        except BaseException as error:
            await self._give_up()
            if isinstance(error, trio.TooSlowError):
                raise QueryFailed(f"the statement took longer than {SQL_STATEMENT_S_MAX:g} s") from None
            raise
        self._is_busy = False
        return answer

    async def _give_up(self) -> None:
        """Nobody waits for this statement any more. The server would go on with it until it has rows to send."""
        self.close()
        with trio.move_on_after(SQL_CANCEL_S_MAX, shield=True), suppress(SqlFailed):
            await self._way.cancel(self._address, self._client.cancel_key)


class PostgresRows:
    """The rows of a statement of `PostgresConnection.query`: a `edged.host.pages.Cursor`."""

    def __init__(self, connection: PostgresConnection, fields: Sequence[Field], first: Page) -> None:
        self.fields = fields
        self._connection = connection
        self._first: Page | None = first

    async def page(self) -> Page:
        """Raises: SqlFailed"""
        first, self._first = self._first, None
        return await self._connection.fetch() if first is None else first

    def close(self) -> None:
        """The server is told with what is said to it next."""


def _check(statement: str, parameters: Sequence[Any]) -> None:
    if len(statement.encode()) > SQL_STATEMENT_BYTES_MAX:
        raise QueryFailed(f"the statement has more than {SQL_STATEMENT_BYTES_MAX} bytes")
    if "\0" in statement:
        raise QueryFailed("there is a NUL in the statement")
    if len(parameters) > SQL_PARAMETER_COUNT_MAX:
        raise BadParameter(f"there are more than {SQL_PARAMETER_COUNT_MAX} parameters")


PostgresPool = Pool[PostgresAddress, PostgresConnection]


def postgres_pool(
    dialer: Dialer, connections_max: int = SQL_CONNECTION_COUNT_MAX, context_of: ContextOf = system_roots
) -> PostgresPool:
    """Connections of one app.

    Args:
        dialer: of the app.
        connections_max: `max_connections` of `[outbound_pg]`, where the operator wrote one. As many threads.
        context_of: what certificates are verified with.
    """
    return Pool(Way(dialer, connections_max, context_of).connect, connections_max)
