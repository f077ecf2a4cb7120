"""A guest's database on a libSQL server, by Hrana 3 over HTTP (libsql/docs/HRANA_3_SPEC.md).

    handle ── LibsqlConnection ── POST /v3/pipeline {baton, requests} ─► ◄─ {baton, results} ── a stream of the server

A stream is an SQLite connection that the server keeps; the baton of its last answer is what names it. The server ends a
stream that says nothing for some seconds: outside of a transaction that is made good by a new one, inside of one it is
an error, since what was done before is gone. There is a client on PyPI (libsql), but it blocks a thread for each
statement and reads results of any size.
"""

from __future__ import annotations

import contextlib
import math
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import trio

from edged.host.json_service import Answer, JsonService, ServiceFailed
from edged.host.sqlite.engine import DatabaseFailed, Result, Value, Whole
from edged.limits import (
    LIBSQL_ANSWER_BYTES_MAX,
    LIBSQL_CLOSE_S,
    LIBSQL_REASON_CHARS_MAX,
    LIBSQL_STREAM_COUNT_MAX,
    LIBSQL_TIMEOUT_S,
    SQLITE_CELL_OVERHEAD_BYTES,
    SQLITE_RESULT_BYTES_MAX,
    SQLITE_ROW_COUNT_MAX,
    SQLITE_STATEMENT_BYTES_MAX,
)

_PIPELINE = "/v3/pipeline"
_S64 = range(-(2**63), 2**63)
_LOST = "the connection to the database was lost"
_UNREADABLE = "the database answered something other than Hrana 3"


class LibsqlDatabase:
    """`[sqlite_database.LABEL] type = "libsql"`. Making one neither blocks nor connects.

    Args:
        url: of the server, http or https.
        tls: as for `JsonService`.

    Raises:
        ValueError: as `JsonService`.
    """

    def __init__(self, url: str, token: str, tls: ssl.SSLContext | None = None) -> None:
        self._service = JsonService(
            url,
            token,
            connections_max=LIBSQL_STREAM_COUNT_MAX,
            answer_bytes_max=LIBSQL_ANSWER_BYTES_MAX,
            timeout_s=LIBSQL_TIMEOUT_S,
            tls=tls,
        )
        self.connections = trio.Semaphore(LIBSQL_STREAM_COUNT_MAX)

    def close(self) -> None:
        """Call it when no handle is open any more."""
        self._service.close()

    async def open(self) -> LibsqlConnection:
        """A connection, as soon as there is one to have. The server hears of it with its first statement."""
        await self.connections.acquire()
        return LibsqlConnection(self)

    async def ask(self, baton: str | None, requests: Sequence[object]) -> Answer:
        """Raises:
        DatabaseFailed: no answer.
        """
        try:
            return await self._service.post(_PIPELINE, {"baton": baton, "requests": requests})
        except ServiceFailed as failed:
            raise DatabaseFailed(f"the database {failed}") from None

    async def end(self, baton: str) -> None:
        """Have the server end a stream, and with it a transaction; left alone, it ends some seconds later."""
        # All exceptions, since this runs as a task of trio's own: one that raises ends the process.
        with trio.move_on_after(LIBSQL_CLOSE_S), contextlib.suppress(Exception):
            await self._service.post(_PIPELINE, {"baton": baton, "requests": [{"type": "close"}]})


class LibsqlConnection:
    """A `SqlConnection`."""

    def __init__(self, database: LibsqlDatabase) -> None:
        self._database = database
        self._baton: str | None = None
        self._in_transaction = False
        self._lost = False
        self._last_insert_rowid = 0
        self._changes = 0
        self._turn = trio.Lock()

    @property
    def is_busy(self) -> bool:
        return self._turn.locked()

    async def when_idle(self, question: Callable[[], int]) -> int:
        async with self._turn:
            return question()

    async def execute(self, statement: str, parameters: Sequence[Value]) -> Result:
        """Run one statement. Where its answer is not heard, the connection is of no more use.

        Raises:
            DatabaseFailed
        """
        async with self._turn:
            return await self._execute(statement, parameters)

    async def query(self, statement: str, parameters: Sequence[Value]) -> Whole:
        """As `execute`: Hrana over HTTP tells no rows before it has all."""
        result = await self.execute(statement, parameters)
        return Whole(result, sum(_size_bytes(row) for row in result.rows))

    async def _execute(self, statement: str, parameters: Sequence[Value]) -> Result:
        if self._lost:
            raise DatabaseFailed(_LOST)
        if len(statement.encode()) > SQLITE_STATEMENT_BYTES_MAX:
            raise DatabaseFailed("the statement is too large")
        arguments = [_sent(value) for value in parameters]
        asked = [
            {"type": "execute", "stmt": {"sql": statement, "args": arguments, "want_rows": True}},
            # Hrana tells what a statement changed, but not, after one that only reads, what the last one before did.
            {"type": "execute", "stmt": {"sql": "SELECT last_insert_rowid(), changes()", "want_rows": True}},
            {"type": "get_autocommit"},
        ]
        self._lost = True  # until the answer is there
        answer = await self._database.ask(self._baton, asked)
        if answer.status in (400, 404, 410) and self._baton is not None and not self._in_transaction:
            self._baton = None
            answer = await self._database.ask(None, asked)
        if answer.status != 200:
            raise DatabaseFailed(self._refusal(answer.status))
        try:
            result, state, autocommit = answer.body["results"]
            if answer.body.get("base_url") is not None:
                raise DatabaseFailed("the database wants to be asked at another address")
            baton = answer.body["baton"]
            if not isinstance(baton, str | None):
                raise TypeError
            ((self._last_insert_rowid, self._changes),) = cast("Any", _result(state).rows)
            self._in_transaction = autocommit["response"]["is_autocommit"] is not True
            self._baton = baton
            self._lost = baton is None and self._in_transaction
            return _result(result)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise DatabaseFailed(_UNREADABLE) from None

    def last_insert_rowid(self) -> int:
        return self._last_insert_rowid

    def changes(self) -> int:
        return self._changes

    def close(self) -> None:
        if self._baton is not None and not self._lost:
            # Whoever closes cannot wait, and the server would keep the stream, and a transaction's lock, for seconds.
            trio.lowlevel.spawn_system_task(self._database.end, self._baton, name="end of a libSQL stream")
        self._baton, self._lost = None, True
        self._database.connections.release()

    def _refusal(self, status: int) -> str:
        if status in (401, 403):
            return "the database did not take the token of the runtime config"
        return _LOST if self._baton is not None and status < 500 else f"the database answered {status}"


def _result(result: Mapping[str, Any]) -> Result:
    """One of the `results` of a pipeline.

    Raises:
        DatabaseFailed: it is an error, or too much.
        LookupError, TypeError, ValueError: it is neither.
    """
    if result["type"] == "error":
        error = result["error"]
        raise DatabaseFailed(
            str(error["message"])[:LIBSQL_REASON_CHARS_MAX], is_full=error.get("code") == "SQLITE_FULL"
        )
    found = result["response"]["result"]
    columns = [str(column["name"]) for column in found["cols"]]
    if len(found["rows"]) > SQLITE_ROW_COUNT_MAX:
        raise DatabaseFailed(f"the result has more than {SQLITE_ROW_COUNT_MAX} rows")
    rows: list[Sequence[Value]] = []
    bytes_left = SQLITE_RESULT_BYTES_MAX
    for received in found["rows"]:
        row = [_received(value) for value in received]
        if len(row) != len(columns):
            raise ValueError
        bytes_left -= _size_bytes(row)
        if bytes_left < 0:
            raise DatabaseFailed(f"the result has more than {SQLITE_RESULT_BYTES_MAX} bytes")
        rows.append(row)
    return Result(columns, rows)


def _size_bytes(row: Sequence[Value]) -> int:
    return sum(SQLITE_CELL_OVERHEAD_BYTES + (len(value) if isinstance(value, str | bytes) else 0) for value in row)


def _sent(value: Value) -> object:
    """A value as Hrana's JSON has it.

    Raises:
        DatabaseFailed: JSON has no infinite numbers.
    """
    match value:
        case None:
            return {"type": "null"}
        case int():
            return {"type": "integer", "value": str(value)}
        case float():
            if math.isnan(value):  # SQLite binds it as NULL
                return {"type": "null"}
            if math.isinf(value):
                raise DatabaseFailed("an infinite number cannot be sent to this database")
            return {"type": "float", "value": value}
        case str():
            return {"type": "text", "value": value}
        case bytes():
            return {"type": "blob", "base64": b64encode(value).decode()}


def _received(value: Mapping[str, Any]) -> Value:
    match value["type"]:
        case "null":
            return None
        case "integer":
            integer = int(value["value"])
            if integer not in _S64:
                raise ValueError
            return integer
        case "float":
            if value["value"] is None:
                raise DatabaseFailed("an infinite number cannot be read from this database")
            return float(value["value"])
        case "text":
            if not isinstance(value["value"], str):
                raise ValueError
            return value["value"]
        case "blob":
            encoded = value["base64"]
            return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        case _:
            raise ValueError
