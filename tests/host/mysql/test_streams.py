"""spin:mysql@3.0.0 against a real MariaDB: rows as a stream, several statements at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from edged.host.interface import Err, Ok
from edged.host.mysql import connection as connection_module
from edged.host.mysql.connection import MysqlPool
from edged.host.mysql.interfaces import Connection3, SpinMysql3
from edged.limits import (
    ROW_STREAMS_OPEN_MAX,
    ROWS_HELD_BYTES_MAX,
    ROWS_PAGE_BYTES,
    ROWS_PAGE_COUNT,
    SQL_CELL_OVERHEAD_BYTES,
    SQL_RESULT_BYTES_MAX,
    SQL_ROW_COUNT_MAX,
)
from tests.host.fakes import invocation
from tests.host.rdbms.grants import failed, grant
from tests.host.reading import outcome, read, read_all
from tests.services import SqlServer

Open = Callable[..., Awaitable[Any]]

SERIES = "SELECT seq FROM seq_1_to_{}"
PAGE = ROWS_PAGE_BYTES // (SQL_CELL_OVERHEAD_BYTES + 10)
"""Rows of one number in a page, about."""
MANY = 20 * PAGE
ENDLESS = 100_000_000


@pytest.fixture
def call():
    return invocation()


@pytest.fixture
def connect(mariadb: SqlServer, pool: MysqlPool) -> Open:
    async def connect(call: Any = None) -> Connection3:
        address = f"mysql://owner:s3cret@localhost:{mariadb.port}/shop"
        opened = await SpinMysql3(grant("mysql://localhost:*"), pool).connection_open(call or invocation(), address)
        assert isinstance(opened, Connection3)
        return opened

    return connect


@pytest.fixture
async def connection(connect: Open, call):
    opened = await connect(call)
    yield opened
    opened.drop()


def numbers(rows: list[Any]) -> list[int]:
    return [row[0][1] for row in rows]


async def ask(connection: Connection3, statement: str, *parameters: object) -> list[Any]:
    _, rows, ended = await connection.query(statement, list(parameters))
    values = await read_all(rows)
    assert await outcome(ended) == Ok()
    return values


async def idle(pool: MysqlPool) -> None:
    while pool.statistics().used:
        await trio.lowlevel.checkpoint()


# --- rows ---


async def test_granted_and_denied(mariadb: SqlServer, pool) -> None:
    where = f"mysql://owner:s3cret@localhost:{mariadb.port}/shop"
    opened = await SpinMysql3(grant("mysql://localhost:*"), pool).connection_open(invocation(), where)
    await opened.execute("DO 1", [])
    opened.drop()
    with failed("connection-failed", "allowed_outbound_hosts"):
        await SpinMysql3(grant(), pool).connection_open(invocation(), where)


async def test_columns_rows_and_how_it_went(connection) -> None:
    columns, rows, ended = await connection.query("SELECT CAST(? AS CHAR) a, NULL b, 7 c", [("str", "x")])
    assert [name for name, _ in columns] == ["a", "b", "c"]
    assert columns[0].data_type == "str"
    assert await read_all(rows) == [[("str", "x"), "db-null", ("int32", 7)]]
    assert await outcome(ended) == Ok()


@pytest.mark.parametrize("statement", ["DO 1", "SELECT 1 WHERE FALSE"])
async def test_statements_without_rows(connection, statement) -> None:
    assert await ask(connection, statement) == []
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]


async def test_a_procedure_gives_its_first_result(connection) -> None:
    await connection.execute("CREATE OR REPLACE PROCEDURE three() BEGIN SELECT 1; SELECT 'x', 2; DO 1; END", [])
    for _ in range(2):
        assert await ask(connection, "CALL three()") == [[("int32", 1)]]


@pytest.mark.parametrize("count", [ROWS_PAGE_COUNT - 1, ROWS_PAGE_COUNT, ROWS_PAGE_COUNT + 1, SQL_ROW_COUNT_MAX + 1])
async def test_as_many_rows_as_there_are(connection, count) -> None:
    """A stream has no limit of rows."""
    assert numbers(await ask(connection, SERIES.format(count))) == list(range(1, count + 1))


async def test_no_more_than_a_page_is_held(connection, call) -> None:
    _, rows, _ = await connection.query(SERIES.format(ENDLESS), [])
    for _ in range(10):
        assert ROWS_HELD_BYTES_MAX - call.budget.row_bytes < ROWS_PAGE_BYTES + 2 * SQL_CELL_OVERHEAD_BYTES
        assert await read(rows, ROWS_PAGE_COUNT)
    rows.close()
    assert call.budget.row_bytes == ROWS_HELD_BYTES_MAX


async def test_the_largest_row_and_one_that_is_larger(connection) -> None:
    statement = "SELECT REPEAT('x', ?) FROM seq_1_to_3"
    assert len(await ask(connection, statement, ("int32", SQL_RESULT_BYTES_MAX - 100))) == 3
    with failed("other", "bytes"):
        await connection.query(statement, [("int32", SQL_RESULT_BYTES_MAX)])


# --- errors ---


@pytest.mark.parametrize(
    ("statement", "parameters", "case"),
    [
        ("SELEC 1", [], "query-failed"),
        ("SELECT ?", [], "query-failed"),
        ("SELECT * FROM absent", [], "query-failed"),
        ("SELECT CURRENT_DATE", [], "value-conversion-failed"),
    ],
    ids=["syntax", "parameters", "absent", "type"],
)
async def test_errors_before_the_first_row(connection, call, statement, parameters, case) -> None:
    with pytest.raises(Err, check=lambda error: error.value[0] == case):
        await connection.query(statement, parameters)
    assert call.budget.row_streams == ROW_STREAMS_OPEN_MAX
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]


@pytest.mark.parametrize("fails_at", [2, MANY - 1])
async def test_an_error_in_the_middle(connection, fails_at) -> None:
    """The rows before it come first. A subquery of two rows is an error."""
    statement = f"SELECT IF(seq < {fails_at}, 'x', (SELECT 'y' UNION SELECT CONCAT('z', seq))) FROM seq_1_to_{MANY}"
    _, rows, ended = await connection.query(statement, [])
    assert len(await read_all(rows)) == fails_at - 1
    error = await outcome(ended)
    assert error.value[0] == "query-failed"
    assert "1242" in error.value[1]
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]


async def test_a_server_that_ends_the_session_in_the_middle(connection, connect) -> None:
    _, rows, ended = await connection.query(f"SELECT CONNECTION_ID() FROM seq_1_to_{ENDLESS}", [])
    (number,) = numbers(await read(rows, 1))
    killer = await connect()
    await killer.execute(f"KILL {number}", [])
    killer.drop()
    assert len(await read_all(rows, ROWS_PAGE_COUNT)) < ENDLESS
    assert (await outcome(ended)).value[0] == "query-failed"


async def test_the_time_of_a_page(connection, monkeypatch) -> None:
    """That of each page counts, and not that of the guest between them."""
    _, rows, ended = await connection.query(
        f"SELECT IF(seq > {2 * ROWS_PAGE_COUNT}, SLEEP(60), 0) FROM seq_1_to_{MANY}", []
    )
    assert await read(rows, 1) == [[("int32", 0)]]
    monkeypatch.setattr(connection_module, "SQL_STATEMENT_S_MAX", 0.0)
    assert await read_all(rows)
    assert "longer than" in (await outcome(ended)).value[1]


# --- streams that are not read to their end ---


async def test_a_stream_that_is_dropped_half_way(connection, call) -> None:
    """What is left is passed over, and the transaction goes on."""
    await connection.execute("CREATE TEMPORARY TABLE t (a INT)", [])
    await connection.execute("START TRANSACTION", [])
    await connection.execute("INSERT INTO t VALUES (1)", [])
    _, rows, ended = await connection.query(SERIES.format(MANY), [])
    assert numbers(await read(rows, 2)) == [1, 2]
    rows.close()
    assert await outcome(ended) == Ok()
    assert call.budget.row_streams == ROW_STREAMS_OPEN_MAX
    assert await ask(connection, "SELECT a FROM t") == [[("int32", 1)]]
    await connection.execute("COMMIT", [])


async def test_more_is_left_of_a_stream_than_is_passed_over(connection) -> None:
    _, rows, _ = await connection.query(SERIES.format(ENDLESS), [])
    rows.close()
    with failed("query-failed", "too many rows"):
        await connection.query("SELECT 1", [])
    with failed("query-failed", "closed"):
        await connection.query("SELECT 1", [])


@pytest.mark.parametrize("first", ["handle", "stream"])
async def test_the_connection_is_given_back_and_as_good_as_new(connect, pool, first) -> None:
    opened = await connect()
    number = await ask(opened, "SELECT CONNECTION_ID()")
    _, rows, _ = await opened.query(SERIES.format(MANY), [])
    (opened.drop if first == "handle" else rows.close)()
    assert pool.statistics().used == 1
    (rows.close if first == "handle" else opened.drop)()
    await idle(pool)
    assert pool.statistics().idle == 1
    again = await connect()
    assert await ask(again, "SELECT CONNECTION_ID()") == number
    again.drop()


async def test_a_handle_that_is_dropped_before_the_rows_are_read(connect, pool) -> None:
    opened = await connect()
    _, rows, ended = await opened.query(SERIES.format(MANY), [])
    opened.drop()
    assert numbers(await read_all(rows)) == list(range(1, MANY + 1))
    assert await outcome(ended) == Ok()
    await idle(pool)


async def test_a_cancelled_read_ends_the_session(connection) -> None:
    statement = f"SELECT IF(seq > {5 * ROWS_PAGE_COUNT}, SLEEP(60), 0) FROM seq_1_to_{MANY}"
    _, rows, ended = await connection.query(statement, [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_all, rows)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert await read_all(rows) == []
    assert (await outcome(ended)).value[0] == "query-failed"


async def test_a_connection_that_is_dropped_during_a_statement_is_nobodys_next(connect, pool) -> None:
    """As a guest can that has cancelled the statement."""
    opened = await connect()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(opened.query, "SELECT SLEEP(60)", [])
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        opened.drop()
    assert pool.count == 0


# --- statements while rows are to come ---


async def test_statements_between_rows(connection) -> None:
    """What is left is gathered first, in the order in which it comes."""
    _, rows, _ = await connection.query(SERIES.format(MANY), [])
    assert numbers(await read(rows, 1)) == [1]
    assert await ask(connection, "SELECT 'other'") == [[("str", "other")]]
    assert numbers(await read_all(rows)) == list(range(2, MANY + 1))


async def test_too_many_rows_to_gather(connection) -> None:
    _, rows, _ = await connection.query(SERIES.format(ENDLESS), [])
    with failed("other", "read or drop them first"):
        await connection.execute("DO 1", [])
    assert numbers(await read(rows, 3)) == [1, 2, 3]
    rows.close()


async def test_statements_at_once_go_one_after_the_other(connection) -> None:
    answers: dict[int, list[int]] = {}

    async def one(number: int) -> None:
        answers[number] = numbers(await ask(connection, "SELECT ? FROM seq_1_to_2000", ("int32", number)))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(one, number)
    assert answers == {number: [number] * 2000 for number in range(20)}
