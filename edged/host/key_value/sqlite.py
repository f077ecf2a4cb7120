"""Key-value stores in one SQLite file, the embedded default. The table is Spin's, so that files can be exchanged.

    task ── CapacityLimiter(1) ── a thread ── connection ── WAL file
    get_nowait ─────────────────────────────── reader ────────'

One thread at a time works on a file, so that tasks wait for each other instead of for a pool of threads; other
processes may use the same file. A single value is read on the loop itself, by a connection of its own: with a
write-ahead log a reader waits for nobody, and 3 us are not worth a thread, which costs 70. What is not in the page
cache takes a read from the disk, as the files of guests do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio

from edged.host.key_value.engine import LATER, Later, StoreFailed, incremented
from edged.limits import KEY_VALUE_FILE_BYTES_MAX, KEY_VALUE_LOOP_BYTES_MAX, SQLITE_BUSY_S_MAX

T = TypeVar("T")

_TABLE = """CREATE TABLE IF NOT EXISTS spin_key_value (
    store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key))"""
_GET = "SELECT value FROM spin_key_value WHERE store = ? AND key = ?"
_GET_SMALL = "SELECT CASE WHEN length(value) <= ? THEN value END FROM spin_key_value WHERE store = ? AND key = ?"
_SET = "INSERT INTO spin_key_value VALUES (?, ?, ?) ON CONFLICT (store, key) DO UPDATE SET value = excluded.value"
_DELETE = "DELETE FROM spin_key_value WHERE store = ? AND key = ?"
_KEYS = "SELECT key FROM spin_key_value WHERE store = ? AND key > ? ORDER BY key LIMIT ?"


class KeyValueFile:
    """A file of stores. Opening it blocks.

    Args:
        bytes_max: of the file; writes fail past it.

    Raises:
        sqlite3.Error: it cannot be opened, or is no database.
    """

    def __init__(self, path: Path, bytes_max: int = KEY_VALUE_FILE_BYTES_MAX) -> None:
        # Used by one thread at a time, but not always the same.
        self._connection = _open(path, SQLITE_BUSY_S_MAX)
        self._reader = self._connection
        self._limiter = trio.CapacityLimiter(1)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            (page_bytes,) = self._connection.execute("PRAGMA page_size").fetchone()
            self._connection.execute(f"PRAGMA max_page_count = {max(1, bytes_max // page_bytes)}")
            self._connection.execute(_TABLE)
            self._reader = _open(path, timeout_s=0)
            self._reader.execute("PRAGMA query_only = ON")
        except BaseException:
            self.close()
            raise

    def store(self, label: str) -> SqliteKeyValue:
        """The store of that name. It is there as soon as something is set."""
        return SqliteKeyValue(self, label)

    def close(self) -> None:
        """Call it when nobody uses a store of the file any more."""
        self._reader.close()
        self._connection.close()

    def read(self, statement: str, parameters: Sequence[Any]) -> tuple[Any, ...] | Later | None:
        """The first row, on the loop. `LATER` where it would have to wait, or fails: `run` says with what."""
        try:
            row: tuple[Any, ...] | None = self._reader.execute(statement, parameters).fetchone()
        except sqlite3.Error:
            return LATER
        return row

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in a thread, when it is this task's turn. Cancelling waits for it: it is short.

        Raises:
            StoreFailed: of SQLite, or of `work` itself.
        """
        try:
            return await trio.to_thread.run_sync(work, self._connection, limiter=self._limiter)
        except sqlite3.Error as error:
            raise StoreFailed(f"the store failed: {error}") from error


class SqliteKeyValue:
    """A `KeyValue` of a `KeyValueFile`."""

    def __init__(self, file: KeyValueFile, label: str) -> None:
        self._file = file
        self._label = label

    def get_nowait(self, key: str) -> bytes | Later | None:
        row = self._file.read(_GET_SMALL, (KEY_VALUE_LOOP_BYTES_MAX, self._label, key))
        if row is None or row is LATER:
            return row
        (value,) = row
        return LATER if value is None else _as_bytes(value)

    async def get_many(self, keys: Sequence[str], bytes_max: int) -> Sequence[bytes | None]:
        def work(connection: sqlite3.Connection) -> list[bytes | None]:
            values = []
            bytes_left = bytes_max
            with _transaction(connection, "DEFERRED"):
                for key in keys:
                    values.append(value := self._get(connection, key))
                    bytes_left -= len(value or b"")
                    if bytes_left < 0:
                        raise StoreFailed(f"the values have more than {bytes_max} bytes")
            return values

        return await self._file.run(work)

    async def set_many(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany(_SET, [(self._label, key, value) for key, value in pairs])

        await self._file.run(work)

    async def delete_many(self, keys: Sequence[str]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany(_DELETE, [(self._label, key) for key in keys])

        await self._file.run(work)

    async def exists(self, key: str) -> bool:
        return await self._file.run(
            lambda connection: connection.execute(_GET, (self._label, key)).fetchone() is not None
        )

    async def keys(self, after: str, count_max: int) -> Sequence[str]:
        # An empty key is a key as well, which no `after` would come before.
        statement = _KEYS if after else _KEYS.replace("key > ?", "key >= ?")
        rows = await self._file.run(
            lambda connection: connection.execute(statement, (self._label, after, count_max)).fetchall()
        )
        return [key for (key,) in rows]

    async def increment(self, key: str, delta: int) -> int:
        def work(connection: sqlite3.Connection) -> int:
            with _transaction(connection):
                number = incremented(self._get(connection, key), delta)
                connection.execute(_SET, (self._label, key, b"%d" % number))
            return number

        return await self._file.run(work)

    async def swap(self, key: str, expected: bytes | None, value: bytes) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            with _transaction(connection):
                if self._get(connection, key) != expected:
                    return False
                connection.execute(_SET, (self._label, key, value))
            return True

        return await self._file.run(work)

    def _get(self, connection: sqlite3.Connection, key: str) -> bytes | None:
        row = connection.execute(_GET, (self._label, key)).fetchone()
        return None if row is None else _as_bytes(row[0])


def _as_bytes(value: object) -> bytes:
    """A value as bytes, whatever tool wrote it: SQLite's columns take values of any type."""
    return value if isinstance(value, bytes) else str(value).encode()


def _open(path: Path, timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All or nothing. IMMEDIATE, so that what is read cannot be changed by another process before it is written."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has ended it itself where the file is full
            connection.execute("ROLLBACK")
        raise
