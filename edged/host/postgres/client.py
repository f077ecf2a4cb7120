"""pg8000's connection, as guests need it: values in binary, rows counted as they come, a page of them at a time.

    Parse, Describe, Flush ─► types of the parameters ─► Bind, Execute, Sync ─► rows ... ─► ReadyForQuery
                                                         Bind, Execute(so many) ─► rows, PortalSuspended ─► Execute ...

The second is how rows are read page by page: between two pages the server waits, and its portal is closed before
anything else if nobody wants the rest.

pg8000 would have all values as text, which a guest's own DateStyle changes. The `handle_...` here are its own for
single messages, replaced.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

from pg8000.core import FLUSH_MSG, NULL_BYTE, SYNC_MSG, Context

from edged.host.pages import Page
from edged.host.postgres.address import PostgresAddress
from edged.host.postgres.blocking import BlockingWire
from edged.host.postgres.login import STRANGE, LoggedIn
from edged.host.postgres.report import Report, StatementRefused
from edged.host.postgres.values import data_type, decode, encode
from edged.host.rdbms.failure import BadParameter, ConnectionLost, QueryFailed
from edged.host.rdbms.result import ResultBudget
from edged.limits import ROWS_PAGE_COUNT, SQL_COLUMN_COUNT_MAX, SQL_PARAMETER_BYTES_MAX

_HEAD = struct.Struct(">cI")
"""Of a message: its kind, and its length with these four bytes."""


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


class Opened(NamedTuple):
    """A statement under way.

    Attributes:
        first: its first page.
        missing: OIDs of types whose names are to be found out before; nothing was executed.
    """

    fields: Sequence[Field]
    first: Page
    missing: Sequence[int]


class Client(LoggedIn):
    """For one thread at a time. Made by logging in.

    Attributes:
        is_over: the server has ended the session, or waits for what it will not get.

    Raises:
        SqlFailed, ScramException, ValueError, LookupError, struct.error: the login failed.
    """

    def __init__(self, wire: BlockingWire, address: PostgresAddress) -> None:
        self.is_in_transaction = False
        self.is_over = False
        self._is_synced = True  # until the first statement
        self._is_ready = True  # for the next one: nothing of the last is to come
        self._is_bound = False
        self._is_suspended = False  # the server has sent as many rows as it was asked for
        self._portion = 0  # rows that one Execute asks for; 0 for all
        self._missing: Sequence[int] = ()
        self._type_names: Container[int] = ()
        self._context = Context("")
        self._kept: Exception | None = None  # an error that comes after the rows before it were read
        self._keep_rows = False
        self._fields: list[Field] = []
        self._parameters: Sequence[Any] = ()
        self._oids: Sequence[int] = ()
        self._budget = ResultBudget()
        self._unfit: QueryFailed | BadParameter | None = None
        super().__init__(wire, address)

    def run(self, statement: str, parameters: Sequence[Any], *, keep_rows: bool) -> Answer:
        """Run one statement.

        Raises:
            QueryFailed, BadParameter: the session goes on, if not `is_over`.
            ConnectionLost, ResultTooLarge, ValueError, LookupError, struct.error: it does not.
        """
        self._begin(statement, parameters, keep_rows=keep_rows, portion=0)
        self._read(lambda: self._is_ready)
        failed = self._failure()
        if failed is not None:
            raise failed
        return Answer(self._fields, self._context.rows or [], max(0, self._context.row_count))

    def open(self, statement: str, parameters: Sequence[Any], type_names: Container[int]) -> Opened:
        """Run one statement up to its first page. Whatever is done next but `fetch` ends it.

        Args:
            type_names: OIDs of types besides those of `values`, whose names are known.

        Raises:
            As `run`.
        """
        self._type_names = type_names
        self._begin(statement, parameters, keep_rows=True, portion=ROWS_PAGE_COUNT)
        page = self._page()
        return Opened(self._fields, page, self._missing)

    def fetch(self) -> Page:
        """The next page, where the one before was not the last.

        Raises:
            As `run`.
        """
        kept, self._kept = self._kept, None
        if kept is not None:
            raise kept
        if self._is_suspended:
            self._execute()
        return self._page()

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
        self._sync()

    def handle_EMPTY_QUERY_RESPONSE(self, data: bytes, context: Any) -> None:
        self._sync()

    def handle_READY_FOR_QUERY(self, data: bytes, context: Any) -> None:
        self.is_in_transaction = data != b"I"
        self._is_ready = True

    def handle_PORTAL_SUSPENDED(self, data: bytes, context: Any) -> None:
        self._is_suspended = True

    def _refuse_copy(self, data: bytes, context: Any) -> None:
        self.is_over = True
        raise QueryFailed("COPY from or to the client is not supported")

    handle_COPY_IN_RESPONSE = handle_COPY_OUT_RESPONSE = handle_COPY_DATA = _refuse_copy

    def _begin(self, statement: str, parameters: Sequence[Any], *, keep_rows: bool, portion: int) -> None:
        self._finish()
        self._keep_rows, self._parameters, self._oids = keep_rows, parameters, ()
        self._fields, self._missing, self._unfit, self._kept = [], (), None, None
        self._is_synced = self._is_ready = self._is_bound = self._is_suspended = False
        self._portion = portion
        self._budget = ResultBudget()
        self._context = Context(statement)
        self.send_PARSE(NULL_BYTE, statement)
        self.send_DESCRIBE_STATEMENT(NULL_BYTE)
        if not parameters and not portion:  # nothing of them has to be known first
            self._bind([])
        self._wire.flush()

    def _finish(self) -> None:
        """Have the server forget the rows of a statement that nobody reads to its end."""
        if self._is_ready:
            return
        self._keep_rows = False
        self._write(b"C", b"P\0")
        self._sync()
        self._read(lambda: self._is_ready)

    def _page(self) -> Page:
        """Rows until the server has sent a portion, or there are enough of them, or none is left."""
        self._budget = ResultBudget()
        if self._context.rows:
            self._context.rows = []
        self._read(lambda: self._is_ready or self._is_suspended or self._budget.fills_page)
        failed = self._failure()
        if failed is not None:
            self._finish()
        rows = self._context.rows or []
        if failed is not None and not rows:
            raise failed
        self._kept = failed
        return Page(rows, self._budget.spent_bytes, is_last=self._is_ready and failed is None)

    def _read(self, is_done: Callable[[], bool]) -> None:
        """Take messages until that is so."""
        try:
            while not is_done():
                kind, length = _HEAD.unpack(self._wire.read(_HEAD.size))
                self.message_types[kind](self._wire.read(length - 4), self._context)
        except ConnectionLost:
            if self._context.error is None:
                raise
            self.is_over = self._is_ready = True

    def _failure(self) -> QueryFailed | BadParameter | None:
        error = self._context.error
        return self._unfit if error is None else StatementRefused(Report.of(error.args[0]))

    def _go_on(self) -> None:
        """The statement is known now."""
        if self._is_bound:
            return
        if self._portion:
            fields = self._fields
            self._missing = [
                field.oid for field in fields if data_type(field.oid) is None and field.oid not in self._type_names
            ]
        try:
            values = self._encode()
        except (QueryFailed, BadParameter) as failed:
            self._unfit = failed
        if self._missing or self._unfit is not None:
            self._sync()
        else:
            self._bind(values)

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
        self._is_bound = True
        self._execute()

    def _execute(self) -> None:
        self._is_suspended = False
        self._write(b"E", b"\0" + struct.pack(">I", self._portion))
        if self._portion:
            self._wire.write(FLUSH_MSG)
            self._wire.flush()
        else:
            self._sync()

    def _sync(self) -> None:
        """Once for each statement: after it, the server says that it is ready."""
        if not self._is_synced:
            self._is_synced = True
            self._wire.write(SYNC_MSG)
            self._wire.flush()


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
