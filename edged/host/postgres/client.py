"""pg8000's connection, as guests need it: logins that cannot be cut short, values in binary, rows counted as they come.

    Parse, Describe, Flush ─► types of the parameters ─► Bind, Execute, Sync ─► rows ... ─► ReadyForQuery

pg8000 reads and writes all messages; the `handle_...` here are its own for single messages, replaced. It would have all
values as text, which a guest's own DateStyle changes, and would follow whatever encoding a server names. It blocks: all
of this runs in a thread.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ssl import SSLSocket
from typing import Any, NamedTuple

from pg8000.core import NULL_BYTE, SYNC_MSG, Context, CoreConnection
from pg8000.exceptions import DatabaseError
from scramp import ScramClient, ScramException
from scramp.utils import saslprep

from edged.host.postgres.address import PostgresAddress
from edged.host.postgres.blocking import BlockingWire
from edged.host.postgres.report import Report, StatementRefused
from edged.host.postgres.values import decode, encode
from edged.host.rdbms.failure import BadParameter, ConnectionFailed, ConnectionLost, QueryFailed
from edged.host.rdbms.result import ResultBudget
from edged.limits import SQL_COLUMN_COUNT_MAX, SQL_PARAMETER_BYTES_MAX, SQL_SCRAM_ITERATIONS_MAX

STRANGE = "the server does not speak PostgreSQL's protocol"

_PLUS, _PLAIN = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"
_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12
_AFTER: Mapping[int, frozenset[int]] = {
    _OK: frozenset(),
    _CLEARTEXT: frozenset({_OK}),
    _MD5: frozenset({_OK}),
    _SASL: frozenset({_SASL_CONTINUE}),
    _SASL_CONTINUE: frozenset({_SASL_FINAL}),
    _SASL_FINAL: frozenset({_OK}),
}
"""Message of a login -> what may follow, so that nothing but a whole one is taken for one."""

_UNBOUND = "the server does not bind its login to TLS, which channel_binding asks for"


class Field(NamedTuple):
    """A column of a result, with the OID of its type."""

    name: str
    oid: int


class Answer(NamedTuple):
    """What a statement answered.

    Attributes:
        rows: of `db-value` of spin:postgres@4.0.0.
        affected: rows, as the server counts them.
    """

    fields: Sequence[Field]
    rows: Sequence[Sequence[Any]]
    affected: int


class _Scram(ScramClient):  # type: ignore[misc]  # untyped
    """One login, of limited work.

    Raises:
        ScramException: the certificate of `tls` has no hash that RFC 5929 names, as those of Ed25519.
    """

    def __init__(self, mechanism: str, password: str, tls: SSLSocket | None) -> None:
        binding = None if tls is None else ("tls-server-end-point", tls)
        # The name is that of the startup message. What SASLprep refuses is a password all the same, as for libpq.
        super().__init__([mechanism], "-", "-", channel_binding=binding)
        try:
            self.password = saslprep(password).encode()
        except ScramException:
            self.password = password.encode()

    def get_client_final(self) -> Any:
        if int(self.iterations) > SQL_SCRAM_ITERATIONS_MAX:
            raise ConnectionFailed(f"the server asks for more than {SQL_SCRAM_ITERATIONS_MAX} hashes of the password")
        return super().get_client_final()

    def set_server_final(self, message: str) -> None:
        try:
            super().set_server_final(message)
        except ScramException:
            raise ConnectionFailed("the server does not know the password") from None


class Client(CoreConnection):  # type: ignore[misc]  # untyped
    """For one thread at a time. Made by logging in.

    Attributes:
        cancel_key: what a request to cancel must name.
        is_over: the server has ended the session, or waits for what it will not get.

    Raises:
        SqlFailed, ScramException, ValueError, LookupError, struct.error: the login failed.
    """

    def __init__(self, wire: BlockingWire, address: PostgresAddress) -> None:
        self._wire = wire
        self._address = address
        self._expected = frozenset({_SASL} if address.channel_binding == "require" else {_OK, _CLEARTEXT, _MD5, _SASL})
        self.cancel_key = b""
        self.is_in_transaction = False
        self.is_over = False
        self._is_synced = True  # until the first statement
        self._keep_rows = False
        self._fields: list[Field] = []
        self._parameters: Sequence[Any] = ()
        self._oids: Sequence[int] = ()
        self._budget = ResultBudget()
        self._unfit: QueryFailed | BadParameter | None = None
        settings = dict(address.settings)
        name = settings.pop("application_name", None)
        try:
            super().__init__(
                address.user, address.host, address.database, password=address.password, application_name=name,
                startup_params=settings | {"client_encoding": "UTF8"}, sock=wire, ssl_context=False,
            )  # fmt: skip
        except DatabaseError as refused:
            raise ConnectionFailed(str(Report.of(refused.args[0]))) from None
        if _OK in self._expected:  # neither was there a login
            raise ConnectionLost(STRANGE)

    def run(self, statement: str, parameters: Sequence[Any], *, keep_rows: bool) -> Answer:
        """Run one statement.

        Raises:
            QueryFailed, BadParameter: the session goes on, if not `is_over`.
            ConnectionLost, ResultTooLarge, ValueError, LookupError, struct.error: it does not.
        """
        self._keep_rows, self._parameters, self._oids = keep_rows, parameters, ()
        self._fields, self._unfit, self._is_synced = [], None, False
        self._budget = ResultBudget()
        context = Context(statement)
        self.send_PARSE(NULL_BYTE, statement)
        self.send_DESCRIBE_STATEMENT(NULL_BYTE)
        if not parameters:  # nothing of them has to be known first
            self._bind([])
        self._wire.flush()
        try:
            self.handle_messages(context)
        except DatabaseError as refused:
            raise StatementRefused(Report.of(refused.args[0])) from None
        except ConnectionLost:
            if context.error is None:
                raise
            self.is_over = True
            raise StatementRefused(Report.of(context.error.args[0])) from None
        if self._unfit is not None:
            raise self._unfit
        return Answer(self._fields, context.rows or [], max(0, context.row_count))

    def close(self) -> None:
        """Nothing is said: the server finds out by itself."""
        self._wire.close()

    # --- login ---

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: Any) -> None:
        method = int.from_bytes(data[:4])
        if method not in _AFTER and self._expected:
            raise ConnectionFailed(f"the server asks for a login of kind {method}, which is not supported")
        if method not in self._expected:
            is_unbound = self._expected == {_SASL}
            raise ConnectionFailed(_UNBOUND) if is_unbound else ConnectionLost(STRANGE)
        self._expected = _AFTER[method]
        if method == _SASL:
            self._begin_scram(data[4:].decode("ascii", "replace").split("\0"))
        else:
            super().handle_AUTHENTICATION_REQUEST(data, context)

    def _begin_scram(self, offered: Sequence[str]) -> None:
        address, tls = self._address, self._wire.tls
        auth: _Scram | None = None
        if address.channel_binding != "disable" and tls is not None and _PLUS in offered:
            with suppress(ScramException):
                auth = _Scram(_PLUS, address.password, tls)
        if auth is None and address.channel_binding == "require":
            raise ConnectionFailed(_UNBOUND)
        if auth is None and _PLAIN not in offered:
            raise ConnectionFailed("the server offers no login that is supported")
        self.auth = auth or _Scram(_PLAIN, address.password, None)
        first = self.auth.get_client_first().encode()
        body = self.auth.mechanism_name.encode() + struct.pack(">xI", len(first)) + first
        self._write(b"p", body)
        self._wire.flush()

    def handle_BACKEND_KEY_DATA(self, data: bytes, context: Any) -> None:
        self.cancel_key = data

    # --- what nobody here asks for, and what would change how the rest is read ---

    def _pass_over(self, data: bytes, context: Any) -> None:
        pass

    handle_NOTICE_RESPONSE = handle_NOTIFICATION_RESPONSE = handle_PARAMETER_STATUS = _pass_over

    # --- statements ---

    def handle_PARAMETER_DESCRIPTION(self, data: bytes, context: Any) -> None:
        self._oids = struct.unpack(f">{int.from_bytes(data[:2])}I", data[2:])

    def handle_ROW_DESCRIPTION(self, data: bytes, context: Any) -> None:
        if int.from_bytes(data[:2]) > SQL_COLUMN_COUNT_MAX:
            raise ConnectionLost(STRANGE)
        self._budget.spend(len(data))
        super().handle_ROW_DESCRIPTION(data, context)
        self._fields = [Field(column["name"], column["type_oid"] & 0xFFFF_FFFF) for column in context.columns]
        self._go_on()

    def handle_NO_DATA(self, data: bytes, context: Any) -> None:
        self._go_on()

    def handle_ERROR_RESPONSE(self, data: bytes, context: Any) -> None:
        super().handle_ERROR_RESPONSE(data, context)
        self._sync()

    def handle_DATA_ROW(self, data: bytes, context: Any) -> None:
        if not self._keep_rows or self._unfit is not None:
            return
        cells = _cells(data)
        if context.rows is None or len(cells) != len(self._fields):
            raise ConnectionLost(STRANGE)
        self._budget.row(len(cells), len(data))
        try:
            spend = self._budget.spend
            row = [decode(field.oid, cell, spend) for field, cell in zip(self._fields, cells, strict=True)]
        except QueryFailed as failed:
            self._unfit = failed
        else:
            context.rows.append(row)

    def handle_COMMAND_COMPLETE(self, data: bytes, context: Any) -> None:
        # pg8000's own takes the end of a failed transaction for an error.
        last = data.rstrip(b"\0").rpartition(b" ")[2]
        context.row_count = int(last) if last.isdigit() and len(last) < 20 else 0

    def handle_READY_FOR_QUERY(self, data: bytes, context: Any) -> None:
        self.is_in_transaction = data != b"I"

    def _refuse_copy(self, data: bytes, context: Any) -> None:
        self.is_over = True
        raise QueryFailed("COPY from or to the client is not supported")

    handle_COPY_IN_RESPONSE = handle_COPY_OUT_RESPONSE = handle_COPY_DATA = _refuse_copy

    def _go_on(self) -> None:
        """The statement is known now."""
        if self._is_synced:
            return
        try:
            self._bind(self._encode())
        except (QueryFailed, BadParameter) as failed:
            self._unfit = failed
        self._sync()

    def _encode(self) -> list[tuple[int, bytes | None]]:
        given, oids = self._parameters, self._oids
        if len(oids) != len(given):
            raise QueryFailed(f"the statement takes {len(oids)} parameters, but there are {len(given)}")
        values = [
            encode(number, parameter, oid) for number, (parameter, oid) in enumerate(zip(given, oids, strict=True), 1)
        ]
        if sum(len(raw or b"") for _, raw in values) > SQL_PARAMETER_BYTES_MAX:
            raise BadParameter(f"the parameters have more than {SQL_PARAMETER_BYTES_MAX} bytes")
        return values

    def _bind(self, values: Sequence[tuple[int, bytes | None]]) -> None:
        """These formats and values; all columns are to come in binary. Then to the end of the exchange."""
        count = struct.pack(">H", len(values))
        body = [b"\0\0", count, *(struct.pack(">H", format_) for format_, _ in values), count]
        for _, raw in values:
            body += (struct.pack(">i", -1 if raw is None else len(raw)), raw or b"")
        body.append(b"\0\x01\0\x01")
        self._write(b"B", b"".join(body))
        self.send_EXECUTE()
        self._sync()

    def _sync(self) -> None:
        """Once for each statement: after it, the server says that it is ready."""
        if not self._is_synced:
            self._is_synced = True
            self._wire.write(SYNC_MSG)
            self._wire.flush()

    def _write(self, kind: bytes, body: bytes) -> None:
        self._wire.write(kind + struct.pack(">I", len(body) + 4) + body)


def _cells(data: bytes) -> list[bytes | None]:
    """DataRow. Raises: struct.error, ValueError"""
    (count,) = struct.unpack_from(">H", data)
    at = 2
    cells: list[bytes | None] = []
    for _ in range(count):
        (length,) = struct.unpack_from(">i", data, at)
        at += 4
        if length < 0:
            cells.append(None)
            continue
        cells.append(data[at : at + length])
        at += length
    if at != len(data):
        raise ValueError("a row is cut off")
    return cells
