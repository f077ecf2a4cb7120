"""spin:sqlite@3.1.0's asynchronous functions: rows as a stream, and several statements at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from edged.host.interface import Err, Ok
from edged.host.sqlite.database import Database
from edged.host.sqlite.interfaces import Connection3, SpinSqlite3
from edged.limits import (
    ROW_STREAMS_OPEN_MAX,
    ROWS_HELD_BYTES_MAX,
    ROWS_PAGE_BYTES,
    SQLITE_CELL_OVERHEAD_BYTES,
    SQLITE_CONNECTION_COUNT_MAX,
    SQLITE_ROW_COUNT_MAX,
    SQLITE_STATEMENT_S_MAX,
    SQLITE_VALUE_BYTES_MAX,
)
from tests.host.fakes import err, invocation, settled
from tests.host.reading import outcome, read, read_all

COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ?) SELECT x FROM c"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
SILENT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x < 1"
PAGE = ROWS_PAGE_BYTES // SQLITE_CELL_OVERHEAD_BYTES
"""Rows of one number in a page."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "a.db")
    yield database
    assert database.connections.value == SQLITE_CONNECTION_COUNT_MAX
    database.close()


@pytest.fixture
def call():
    return invocation()


@pytest.fixture
async def connection(database: Database, call):
    opened = await SpinSqlite3({"default": database}).connection_open_async(call, "default")
    assert isinstance(opened, Connection3)
    yield opened
    opened.drop()


def numbers(rows: list[object]) -> list[int]:
    return [row.values[0][1] for row in rows]


async def test_granted_and_denied(database) -> None:
    sqlite = SpinSqlite3({"default": database, "unbacked": None})
    (await sqlite.connection_open_async(invocation(), "default")).drop()
    with err("no-such-database"):
        await sqlite.connection_open_async(invocation(), "unbacked")
    with err("access-denied"):
        await sqlite.connection_open_async(invocation(), "secret")


async def test_columns_rows_and_how_it_went(connection) -> None:
    columns, rows, ended = await connection.execute_async("SELECT ? AS a, NULL AS b", [("text", "x")])
    assert columns == ["a", "b"]
    assert [list(row.values) for row in await read_all(rows)] == [[("text", "x"), "null"]]
    assert await outcome(ended) == Ok()


async def test_a_statement_without_rows(connection) -> None:
    columns, rows, ended = await connection.execute_async("CREATE TABLE t (a)", [])
    assert (columns, await read_all(rows), await outcome(ended)) == ([], [], Ok())
    await connection.execute_async("INSERT INTO t VALUES (1), (2), (3)", [])
    assert await settled(connection.changes_async()) == 3
    assert await settled(connection.last_insert_rowid_async()) == 3


@pytest.mark.parametrize("count", [PAGE - 1, PAGE, PAGE + 1, SQLITE_ROW_COUNT_MAX + 1], ids=str)
async def test_as_many_rows_as_there_are(connection, count) -> None:
    """A stream has no limit of rows."""
    _, rows, ended = await connection.execute_async(COUNT, [("integer", count)])
    assert numbers(await read_all(rows)) == list(range(1, count + 1))
    assert await outcome(ended) == Ok()


async def test_no_more_than_a_page_is_held(connection, call) -> None:
    _, rows, _ = await connection.execute_async(ENDLESS, [])
    for _ in range(10):
        assert ROWS_HELD_BYTES_MAX - call.budget.row_bytes <= ROWS_PAGE_BYTES
        assert await read(rows, PAGE)
    rows.close()
    assert call.budget.row_bytes == ROWS_HELD_BYTES_MAX


@pytest.mark.parametrize(
    ("statement", "reason"),
    [("SELEC 1", "syntax error"), ("SELECT ?", "bindings"), ("ATTACH 'x' AS y", "not authorized|prohibited|denied")],
    ids=["syntax", "parameters", "refused"],
)
async def test_errors_before_the_first_row(connection, call, statement, reason) -> None:
    with pytest.raises(Err) as raised:
        await connection.execute_async(statement, [])
    assert raised.value.value[0] == "io"
    assert any(word in raised.value.value[1] for word in reason.split("|"))
    assert call.budget.row_streams == ROW_STREAMS_OPEN_MAX


async def test_an_error_in_the_middle(connection) -> None:
    """The rows of the pages before it come first."""
    statement = f"SELECT CASE WHEN x < {2 * PAGE} THEN x ELSE abs(-9223372036854775808) END FROM ({COUNT})"
    _, rows, ended = await connection.execute_async(statement, [("integer", 3 * PAGE)])
    assert numbers(await read_all(rows)) == list(range(1, PAGE + 1))
    assert await outcome(ended) == Err(("io", "integer overflow"))
    _, rows, _ = await connection.execute_async("SELECT 7", [])
    assert numbers(await read_all(rows)) == [7]


async def test_a_stream_that_is_dropped_half_way(connection, call) -> None:
    _, rows, ended = await connection.execute_async(ENDLESS, [])
    assert numbers(await read(rows, 2)) == [1, 2]
    rows.close()
    assert await outcome(ended) == Ok()
    assert call.budget.row_streams == ROW_STREAMS_OPEN_MAX
    await connection.execute("CREATE TABLE t (a)", [])  # nothing is locked


async def test_statements_between_rows(connection) -> None:
    await connection.execute("CREATE TABLE t (a)", [])
    _, rows, _ = await connection.execute_async(COUNT, [("integer", 3 * PAGE)])
    while piece := await read(rows, PAGE):
        await connection.execute_async("INSERT INTO t VALUES (?)", [("integer", numbers(piece)[0])])
    _, rows, _ = await connection.execute_async("SELECT a FROM t", [])
    assert numbers(await read_all(rows)) == [1, PAGE + 1, 2 * PAGE + 1]


async def test_statements_at_once_go_one_after_the_other(connection) -> None:
    await connection.execute("CREATE TABLE t (a)", [])

    async def insert(number: int) -> None:
        await connection.execute_async("INSERT INTO t VALUES (?)", [("integer", number)])
        assert await settled(connection.changes_async()) == 1

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(insert, number)
    _, rows, _ = await connection.execute_async("SELECT a FROM t ORDER BY a", [])
    assert numbers(await read_all(rows)) == list(range(50))


async def test_the_connection_stays_until_its_streams_have_ended(database, call) -> None:
    opened = await SpinSqlite3({"default": database}).connection_open_async(call, "default")
    _, rows, _ = await opened.execute_async(COUNT, [("integer", 2 * PAGE)])
    opened.drop()
    assert database.connections.value == SQLITE_CONNECTION_COUNT_MAX - 1
    assert numbers(await read_all(rows)) == list(range(1, 2 * PAGE + 1))
    assert database.connections.value == SQLITE_CONNECTION_COUNT_MAX


async def test_streams_at_the_limit_and_over(connection) -> None:
    streams = [(await connection.execute_async(ENDLESS, []))[1] for _ in range(ROW_STREAMS_OPEN_MAX)]
    with pytest.raises(Err, check=lambda error: error.value[0] == "io"):
        await connection.execute_async("SELECT 1", [])
    for stream in streams:
        stream.close()
    await connection.execute_async("SELECT 1", [])


async def test_the_largest_rows(connection, call) -> None:
    """One is a page; two that are not read are as much as there is room for."""
    largest = "SELECT zeroblob(?)" + " UNION ALL SELECT zeroblob(?)" * 2
    size = ("integer", SQLITE_VALUE_BYTES_MAX - 100)
    _, rows, ended = await connection.execute_async(largest, [size] * 3)
    assert ROWS_HELD_BYTES_MAX - call.budget.row_bytes < SQLITE_VALUE_BYTES_MAX + ROWS_PAGE_BYTES
    assert len(await read_all(rows)) == 3
    assert await outcome(ended) == Ok()


async def test_the_time_of_a_page(tmp_path) -> None:
    """That of each page counts, and not that of the guest between them: a clock that each look moves on."""
    now, step = 0.0, 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    database = Database(tmp_path / "b.db", clock=clock)
    opened = await SpinSqlite3({"default": database}).connection_open_async(invocation(), "default")
    _, rows, _ = await opened.execute_async(ENDLESS, [])
    for _ in range(3):
        assert await read(rows, PAGE)
        now += 10 * SQLITE_STATEMENT_S_MAX
    rows.close()
    step = SQLITE_STATEMENT_S_MAX / 2
    with pytest.raises(Err, match="longer than"):
        await opened.execute_async(SILENT, [])
    opened.drop()
    database.close()


async def test_a_connection_that_is_dropped_while_a_statement_ends(tmp_path) -> None:
    """As a guest can that has cancelled it: the connection is not closed under the thread, but after it, and whoever
    waits for it is told. Time stands still, so that nothing but the cancellation ends the statement."""
    dropped = trio.Event()
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        if looks == 2:
            trio.from_thread.run_sync(opened.drop)
            trio.from_thread.run_sync(dropped.set)
        return 0.0

    database = Database(tmp_path / "b.db", clock=clock)
    opened = await SpinSqlite3({"default": database}).connection_open_async(invocation(), "default")
    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def endless() -> None:
            with scope, pytest.raises(Err):
                await opened.execute_async(SILENT, [])

        async def waiting() -> None:
            with pytest.raises(Err, match="closed"):
                await opened.execute_async("SELECT 1", [])

        nursery.start_soon(endless)
        await dropped.wait()
        assert database.connections.value == SQLITE_CONNECTION_COUNT_MAX - 1
        nursery.start_soon(waiting)
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
    assert database.connections.value == SQLITE_CONNECTION_COUNT_MAX
    database.close()
