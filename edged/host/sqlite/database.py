"""A guest's SQLite database: one file, a connection for each handle, statements in threads.

    handle ── OpenDatabase ── CapacityLimiter ── a thread ── sqlite3.Connection ── authorizer, limits, deadline

A connection of its own keeps a request's transaction apart from those of others. What a guest's SQL may reach is its
file only: an authorizer refuses, when a statement is prepared, whatever names another file or changes the connection.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import trio

from edged.host.pages import Page
from edged.host.sqlite.engine import DatabaseFailed, Result, Value
from edged.limits import (
    ROWS_PAGE_BYTES,
    SQLITE_BUSY_S_MAX,
    SQLITE_CELL_OVERHEAD_BYTES,
    SQLITE_CONNECTION_COUNT_MAX,
    SQLITE_FILE_BYTES_MAX,
    SQLITE_HEAP_BYTES_MAX,
    SQLITE_RESULT_BYTES_MAX,
    SQLITE_ROW_COUNT_MAX,
    SQLITE_STATEMENT_BYTES_MAX,
    SQLITE_STATEMENT_S_MAX,
    SQLITE_STEPS_PER_LOOK,
    SQLITE_THREAD_COUNT_MAX,
    SQLITE_VALUE_BYTES_MAX,
)

T = TypeVar("T")

_PRAGMAS = frozenset(
    {
        "application_id", "case_sensitive_like", "collation_list", "data_version", "defer_foreign_keys",
        "foreign_key_check", "foreign_key_list", "foreign_keys", "index_info", "index_list", "index_xinfo",
        "integrity_check", "quick_check", "recursive_triggers", "table_info", "table_list", "table_xinfo",
        "user_version",
    }
)  # fmt: skip
_PRAGMAS_READ = frozenset(
    {"auto_vacuum", "encoding", "freelist_count", "journal_mode", "max_page_count", "page_count", "page_size"}
)
_VIRTUAL_TABLES = frozenset({"fts4", "fts5", "rtree"})
_FUNCTIONS_REFUSED = frozenset({"load_extension", "fts3_tokenizer"})

_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: SQLITE_VALUE_BYTES_MAX,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: SQLITE_STATEMENT_BYTES_MAX,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


class Database:
    """A file. Opening it blocks.

    Args:
        bytes_max: of the file.
        clock: seconds; what a statement's time is measured with.

    Raises:
        sqlite3.Error: it cannot be opened, or is no database.
    """

    def __init__(
        self,
        path: Path,
        *,
        bytes_max: int = SQLITE_FILE_BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self.clock = clock
        self.limiter = trio.CapacityLimiter(SQLITE_THREAD_COUNT_MAX)
        self.connections = trio.Semaphore(SQLITE_CONNECTION_COUNT_MAX)
        # Stays open, so that closing a guest's is never the last close, which would write the whole log into the file.
        self._anchor = self._connect()

    def close(self) -> None:
        """Call it when no handle is open any more."""
        self._anchor.close()

    async def open(self) -> OpenDatabase:
        """A connection, as soon as there is one to have.

        Raises:
            DatabaseFailed
        """
        await self.connections.acquire()
        try:
            connection = await trio.to_thread.run_sync(self._connect, limiter=self.limiter)
        except BaseException as error:
            self.connections.release()
            if isinstance(error, sqlite3.Error):
                raise DatabaseFailed(str(error)) from error
            raise
        return OpenDatabase(self, connection)

    def _connect(self) -> sqlite3.Connection:
        # Used by one thread at a time, but not always the same.
        connection = sqlite3.connect(
            self._path, timeout=SQLITE_BUSY_S_MAX, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            for setting in (
                "synchronous = NORMAL",
                "temp_store = MEMORY",  # which the heap limit bounds; nothing bounds files in /tmp
                "trusted_schema = OFF",
                f"hard_heap_limit = {SQLITE_HEAP_BYTES_MAX}",
                f"max_page_count = {max(1, self._bytes_max // page_bytes)}",
            ):
                connection.execute(f"PRAGMA {setting}")
            for limit, value in _LIMITS.items():
                connection.setlimit(limit, value)
            connection.set_authorizer(authorize)
        except BaseException:
            connection.close()
            raise
        return connection


class OpenDatabase:
    """A connection: a `SqlConnection`."""

    def __init__(self, database: Database, connection: sqlite3.Connection) -> None:
        self._database = database
        self._connection = connection
        self._turn = trio.Lock()
        self._ended: list[sqlite3.Cursor] = []  # to be closed when no thread works on the connection
        self._is_closed = self._is_free = False

    @property
    def is_busy(self) -> bool:
        return self._turn.locked()

    async def when_idle(self, question: Callable[[], int]) -> int:
        async with self._its_turn():
            return question()

    async def execute(self, statement: str, parameters: Sequence[Value]) -> Result:
        """Run one statement in a thread. Cancelling interrupts it.

        Raises:
            DatabaseFailed
        """
        return await self.run(lambda: _read(self._connection.execute(statement, parameters)))

    async def query(self, statement: str, parameters: Sequence[Value]) -> OpenCursor:
        """Begin one statement in a thread. Cancelling interrupts it.

        Raises:
            DatabaseFailed
        """

        def begin() -> tuple[sqlite3.Cursor, Page]:
            cursor = self._connection.execute(statement, parameters)
            return cursor, _read_page(cursor)

        return OpenCursor(self, *await self.run(begin))

    def last_insert_rowid(self) -> int:
        """Of this connection; 0 before its first insert. Does no input or output."""
        return int(self._connection.execute("SELECT last_insert_rowid()").fetchone()[0])

    def changes(self) -> int:
        """Rows that the last insert, update or delete of this connection changed. Does no input or output."""
        return int(self._connection.execute("SELECT changes()").fetchone()[0])

    def close(self) -> None:
        """Roll back what was not committed, and give the connection back: now, or as soon as no thread works on it, as
        for a statement that was cancelled. SQLite would go on with what is freed."""
        self._is_closed = True
        if not self.is_busy:
            self._free()

    def _free(self) -> None:
        if not self._is_free:
            self._is_free = True
            self._connection.close()
            self._database.connections.release()

    @asynccontextmanager
    async def _its_turn(self) -> AsyncIterator[None]:
        async with self._turn:
            try:
                if self._is_closed:
                    raise DatabaseFailed("the connection is closed")
                yield
            finally:
                if self._is_closed:
                    self._free()

    async def run(self, work: Callable[[], T]) -> T:
        """Let a thread work on the connection, when it is this task's turn. Cancelling interrupts it.

        Raises:
            DatabaseFailed
        """
        async with self._its_turn():
            return await trio.to_thread.run_sync(self._guarded, work, limiter=self._database.limiter)

    def end(self, cursor: sqlite3.Cursor) -> None:
        """End a statement that is under way, without waiting for a thread that works on another one."""
        if self.is_busy:
            self._ended.append(cursor)
        else:
            cursor.close()

    def _guarded(self, work: Callable[[], T]) -> T:
        clock = self._database.clock
        deadline = clock() + SQLITE_STATEMENT_S_MAX
        self._connection.set_progress_handler(lambda: clock() > deadline or _is_cancelled(), SQLITE_STEPS_PER_LOOK)
        try:
            while self._ended:
                self._ended.pop().close()
            return work()
        except MemoryError:
            raise DatabaseFailed("out of memory") from None
        # Warning: more than one statement. ValueError: a NUL in the statement.
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_INTERRUPT:
                raise DatabaseFailed(f"the statement took longer than {SQLITE_STATEMENT_S_MAX:g} s") from None
            raise DatabaseFailed(str(error), is_full=code == sqlite3.SQLITE_FULL) from None
        finally:
            self._connection.set_progress_handler(None, 0)


class OpenCursor:
    """A statement under way, of which a thread reads a page at a time."""

    def __init__(self, connection: OpenDatabase, cursor: sqlite3.Cursor, first: Page) -> None:
        self.columns = _columns(cursor)
        self._connection = connection
        self._cursor = cursor
        self._first: Page | None = first

    async def page(self) -> Page:
        """The next rows. Cancelling ends the statement.

        Raises:
            DatabaseFailed
        """
        first, self._first = self._first, None
        if first is not None:
            return first
        return await self._connection.run(lambda: _read_page(self._cursor))

    def close(self) -> None:
        self._connection.end(self._cursor)


def authorize(action: int, first: str | None, second: str | None, *_where: str | None) -> int:
    """SQLite's question about each thing that a statement would do, as `sqlite3_set_authorizer` asks it."""
    match action:
        case sqlite3.SQLITE_ATTACH | sqlite3.SQLITE_DETACH:  # also VACUUM, and VACUUM INTO a file
            allowed = False
        case sqlite3.SQLITE_PRAGMA:
            name = (first or "").lower()
            allowed = name in _PRAGMAS or (name in _PRAGMAS_READ and second is None)
        case sqlite3.SQLITE_FUNCTION:
            allowed = (second or "").lower() not in _FUNCTIONS_REFUSED
        case sqlite3.SQLITE_CREATE_VTABLE:
            allowed = (second or "").lower() in _VIRTUAL_TABLES
        case _:
            allowed = True
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _read(cursor: sqlite3.Cursor) -> Result:
    columns = _columns(cursor)
    rows: list[Sequence[Value]] = []
    bytes_left = SQLITE_RESULT_BYTES_MAX
    try:
        for row in cursor:
            bytes_left -= sum(_size_bytes(value) for value in row)
            if bytes_left < 0:
                raise DatabaseFailed(f"the result has more than {SQLITE_RESULT_BYTES_MAX} bytes")
            if len(rows) == SQLITE_ROW_COUNT_MAX:
                raise DatabaseFailed(f"the result has more than {SQLITE_ROW_COUNT_MAX} rows")
            rows.append(row)
    finally:
        cursor.close()
    return Result(columns, rows)


def _read_page(cursor: sqlite3.Cursor) -> Page:
    rows: list[Sequence[Value]] = []
    size_bytes = 0
    for row in cursor:
        rows.append(row)
        size_bytes += sum(_size_bytes(value) for value in row)
        if size_bytes >= ROWS_PAGE_BYTES:
            return Page(rows, size_bytes, is_last=False)
    return Page(rows, size_bytes, is_last=True)


def _columns(cursor: sqlite3.Cursor) -> list[str]:
    return [description[0] for description in cursor.description or ()]


def _size_bytes(value: Value) -> int:
    return SQLITE_CELL_OVERHEAD_BYTES + (len(value) if isinstance(value, (str, bytes)) else 0)


def _is_cancelled() -> bool:
    """Whether the task that waits for this thread was cancelled."""
    try:
        trio.from_thread.check_cancelled()
    except trio.Cancelled:
        return True
    return False
