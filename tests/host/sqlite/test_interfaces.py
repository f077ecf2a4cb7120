"""fermyon:spin/sqlite and spin:sqlite/sqlite, and the database below them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from edged.host.budget import is_whole
from edged.host.interface import Err
from edged.host.sqlite.database import Database
from edged.host.sqlite.engine import DatabaseFailed
from edged.host.sqlite.interfaces import Connection, Connection3, SpinSqlite2, SpinSqlite3
from edged.host.state import open_state
from edged.limits import (
    SQLITE_CELL_OVERHEAD_BYTES,
    SQLITE_CONNECTION_COUNT_MAX,
    SQLITE_CONNECTIONS_OPEN_MAX,
    SQLITE_RESULT_BYTES_MAX,
    SQLITE_ROW_COUNT_MAX,
    SQLITE_STATEMENT_BYTES_MAX,
    SQLITE_STATEMENT_S_MAX,
    SQLITE_VALUE_BYTES_MAX,
    MiB,
)
from tests.host.fakes import err, invocation

BOTH = pytest.mark.parametrize("interface", [SpinSqlite2, SpinSqlite3])
COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ?) SELECT x FROM c"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "a.db")
    yield database
    database.close()


async def connect(database: Database) -> Connection3:
    opened = await SpinSqlite3({"default": database}).connection_open(invocation(), "default")
    assert isinstance(opened, Connection3)
    return opened


@pytest.fixture
async def connection(database: Database):
    opened = await connect(database)
    yield opened
    opened.drop()


async def ask(connection: Connection, statement: str, *parameters: object) -> list[list[object]]:
    return [list(row.values) for row in (await connection.execute(statement, list(parameters))).rows]


def io(text: str):
    return pytest.raises(Err, check=lambda e: e.value[0] == "io" and text in e.value[1])


# --- which databases may be opened ---


@BOTH
async def test_granted_denied_and_absent(database, interface) -> None:
    call, sqlite = invocation(), interface({"default": database, "unbacked": None})
    (await sqlite.connection_open(call, "default")).drop()
    with err("no-such-database"):
        await sqlite.connection_open(call, "unbacked")
    for name in ("secret", "", "../a", "a.db"):
        with err("access-denied"):
            await sqlite.connection_open(call, name)


@BOTH
async def test_connections_of_a_request_at_the_limit_and_over(database, interface) -> None:
    call, sqlite = invocation(), interface({"default": database})
    opened = [await sqlite.connection_open(call, "default") for _ in range(SQLITE_CONNECTIONS_OPEN_MAX)]
    with io("too many"):
        await sqlite.connection_open(call, "default")
    opened.pop().drop()
    opened.append(await sqlite.connection_open(call, "default"))
    for connection in opened:
        connection.drop()
    assert database.connections.value == SQLITE_CONNECTION_COUNT_MAX


async def test_connections_that_are_opened_at_once(database: Database) -> None:
    """A guest of WASI 0.3 need not wait for one before it asks for the next."""
    sqlite, call, refused = SpinSqlite3({"default": database}), invocation(), []
    opened: list[Connection] = []

    async def one() -> None:
        try:
            opened.append(await sqlite.connection_open_async(call, "default"))
        except Err as err:
            refused.append(err.value)

    async with trio.open_nursery() as nursery:
        for _ in range(SQLITE_CONNECTIONS_OPEN_MAX + 3):
            nursery.start_soon(one)
    assert len(opened) == SQLITE_CONNECTIONS_OPEN_MAX
    assert refused == [("io", "too many open connections")] * 3
    for connection in opened:
        connection.drop()
    assert is_whole(call.budget)


async def test_requests_past_the_connections_of_a_database_wait(database, autojump_clock) -> None:
    for _ in range(SQLITE_CONNECTION_COUNT_MAX - 1):
        database.connections.acquire_nowait()
    last = await database.open()
    with trio.move_on_after(1) as waited:
        await database.open()
    assert waited.cancelled_caught
    last.close()
    (await database.open()).close()


# --- statements ---


async def test_every_kind_of_value(connection) -> None:
    values = [
        ("integer", -(2**63)),
        ("integer", 2**63 - 1),
        ("real", 1.5),
        ("text", "é\0"),
        ("blob", b"\0\xff"),
        "null",
    ]
    result = await connection.execute("SELECT ?, ?, ?, ?, ?, ? AS last", values)
    assert result.columns[-1] == "last"
    assert [list(row.values) for row in result.rows] == [values]


async def test_rows_changes_and_rowid(connection) -> None:
    assert (connection.last_insert_rowid(), connection.changes()) == (0, 0)
    assert await connection.execute("CREATE TABLE t (a)", []) == ([], [])
    assert await connection.execute("INSERT INTO t VALUES (1), (2), (3)", []) == ([], [])
    assert (connection.last_insert_rowid(), connection.changes()) == (3, 3)
    assert await ask(connection, "SELECT a FROM t WHERE a > ?", ("integer", 1)) == [[("integer", 2)], [("integer", 3)]]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM absent", "no such table"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT ?", "bindings"),
        ("SELECT \0", ""),
        ("SELECT CAST(x'ff' AS TEXT)", "UTF-8"),
    ],
)
async def test_what_sqlite_says(connection, statement, reason) -> None:
    with io(reason):
        await connection.execute(statement, [])
    assert await ask(connection, "SELECT 1") == [[("integer", 1)]]


async def test_a_transaction_is_its_connections_own_and_undone_at_its_end(database) -> None:
    one, other = await connect(database), await connect(database)
    await one.execute("CREATE TABLE t (a)", [])
    await one.execute("BEGIN", [])
    await one.execute("INSERT INTO t VALUES (1)", [])
    assert await ask(other, "SELECT count(*) FROM t") == [[("integer", 0)]]
    one.drop()
    await other.execute("INSERT INTO t VALUES (2)", [])
    assert await ask(other, "SELECT a FROM t") == [[("integer", 2)]]
    other.drop()


# --- what reaches files ---


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'other.db' AS o",
        "ATTACH ':memory:' AS o",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x')",
        "SELECT LOAD_EXTENSION('x', 'y')",
        "PRAGMA temp_store_directory = '/tmp'",
        "PRAGMA data_store_directory = '/tmp'",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA max_page_count = 1000000000",
        "PRAGMA hard_heap_limit = 0",
        "PRAGMA main.mmap_size = 100",
        "SELECT * FROM pragma_database_list",
        "CREATE VIRTUAL TABLE d USING dbstat",
    ],
)
async def test_refused(connection, tmp_path, monkeypatch, statement) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Err) as caught:
        await connection.execute(statement, [])
    assert caught.value.value[0] == "io"
    assert re.search("not authorized|authorization denied|prohibited", caught.value.value[1])
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA foreign_keys = ON",
        "PRAGMA user_version = 3",
        "PRAGMA journal_mode",
        "SELECT * FROM pragma_table_info('t')",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "CREATE TEMP TABLE x AS SELECT 1",
    ],
)
async def test_allowed(connection, statement) -> None:
    await connection.execute(statement, [])


# --- limits ---


async def test_the_time_of_a_statement(tmp_path) -> None:
    """At the limit it goes on, over it is interrupted: a clock that each look moves on."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    database = Database(tmp_path / "a.db", clock=clock)
    connection = await connect(database)
    step = 0.0
    assert await ask(connection, f"SELECT count(*) FROM ({COUNT})", ("integer", 50_000)) == [[("integer", 50_000)]]
    step = SQLITE_STATEMENT_S_MAX / 2
    with io("longer than"):
        await connection.execute(ENDLESS, [])
    step = 0.0
    assert await ask(connection, "SELECT 1") == [[("integer", 1)]]
    connection.drop()
    database.close()


async def test_a_cancelled_request_interrupts_its_statement(tmp_path) -> None:
    """Time stands still, so that nothing else can end it."""
    scope = trio.CancelScope()
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        if looks == 1:
            trio.from_thread.run_sync(scope.cancel)
        return 0.0

    database = Database(tmp_path / "a.db", clock=clock)
    connection = await connect(database)
    with scope, pytest.raises(Err):
        await connection.execute(ENDLESS, [])
    assert scope.cancel_called
    assert await ask(connection, "SELECT 1") == [[("integer", 1)]]
    connection.drop()
    database.close()


async def test_rows_at_the_limit_and_over(connection) -> None:
    assert len(await ask(connection, COUNT, ("integer", SQLITE_ROW_COUNT_MAX))) == SQLITE_ROW_COUNT_MAX
    with io("rows"):
        await ask(connection, COUNT, ("integer", SQLITE_ROW_COUNT_MAX + 1))


async def test_bytes_of_a_result_at_the_limit_and_over(connection) -> None:
    two = "SELECT zeroblob(?) UNION ALL SELECT zeroblob(?)"
    half = SQLITE_RESULT_BYTES_MAX // 2 - SQLITE_CELL_OVERHEAD_BYTES
    assert len(await ask(connection, two, ("integer", half), ("integer", half))) == 2
    with io("bytes"):
        await ask(connection, two, ("integer", half), ("integer", half + 1))


async def test_a_value_over_the_limit(connection) -> None:
    length = "SELECT length(zeroblob(?))"
    assert await ask(connection, length, ("integer", SQLITE_VALUE_BYTES_MAX)) == [[("integer", SQLITE_VALUE_BYTES_MAX)]]
    with io("too big"):
        await ask(connection, length, ("integer", SQLITE_VALUE_BYTES_MAX + 1))


async def test_a_statement_at_the_limit_and_over(connection) -> None:
    longest = "SELECT 1".ljust(SQLITE_STATEMENT_BYTES_MAX)
    assert await ask(connection, longest) == [[("integer", 1)]]
    with io("too large"):
        await ask(connection, longest + " ")


async def test_memory(connection) -> None:
    with io("memory"):
        await ask(
            connection,
            f"SELECT count(*) FROM (SELECT randomblob(1000000) b FROM ({COUNT}) ORDER BY b)",
            ("integer", 400),
        )
    assert await ask(connection, "SELECT 1") == [[("integer", 1)]]


async def test_a_full_database_still_answers(tmp_path) -> None:
    database = Database(tmp_path / "a.db", bytes_max=1 * MiB)
    connection = await connect(database)
    await connection.execute("CREATE TABLE t (a)", [])
    await connection.execute("INSERT INTO t VALUES (zeroblob(500000))", [])
    with err("database-full"):
        await connection.execute("INSERT INTO t VALUES (zeroblob(600000))", [])
    assert await ask(connection, "SELECT length(a) FROM t") == [[("integer", 500_000)]]
    connection.drop()
    database.close()


def test_a_file_for_each_label(tmp_path) -> None:
    state = open_state(tmp_path, (), {"default", "other"})
    assert set(state.databases) == {"default", "other"}
    assert {path.name for path in tmp_path.glob("*.db")} == {"sqlite_db.db", "sqlite_db-other.db"}
    state.close()


async def test_a_database_that_breaks_while_it_is_open(tmp_path, database, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr("edged.host.sqlite.database.sqlite3.connect", broken)
    with pytest.raises(DatabaseFailed, match="unable to open"):
        await database.open()
    assert database.connections.value == SQLITE_CONNECTION_COUNT_MAX
