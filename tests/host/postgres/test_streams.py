"""spin:postgres@4.2.0's asynchronous functions against a real server: rows as a stream, several statements at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from edged.host.interface import Err, Ok
from edged.host.postgres import connection as connection_module
from edged.host.postgres.connection import PostgresPool, postgres_pool
from edged.host.postgres.interfaces import Connection4, SpinPostgres4
from edged.limits import (
    ROW_STREAMS_OPEN_MAX,
    ROWS_HELD_BYTES_MAX,
    ROWS_PAGE_BYTES,
    ROWS_PAGE_COUNT,
    SQL_ADDRESS_CHARS_MAX,
    SQL_CA_ROOT_CHARS_MAX,
    SQL_CELL_OVERHEAD_BYTES,
    SQL_CONNECTIONS_OPEN_MAX,
    SQL_RESULT_BYTES_MAX,
    SQL_ROW_COUNT_MAX,
)
from tests.host.fakes import invocation
from tests.host.rdbms.grants import dialer, failed, grant
from tests.host.reading import outcome, read, read_all
from tests.services import SqlServer

Open = Callable[..., Awaitable[Any]]

SERIES = "SELECT g FROM generate_series(1, $1) g"
PAGE = ROWS_PAGE_BYTES // (SQL_CELL_OVERHEAD_BYTES + 10)
"""Rows of one number in a page, about."""
MANY = 20 * PAGE


@pytest.fixture
def call():
    return invocation()


@pytest.fixture
async def connection(connect: Open, call):
    opened = await connect(call=call)
    assert isinstance(opened, Connection4)
    yield opened
    opened.drop()


def numbers(rows: list[Any]) -> list[int]:
    return [row[0][1] for row in rows]


async def ask(connection: Connection4, statement: str, *parameters: object) -> list[Any]:
    _, rows, ended = await connection.query_async(statement, list(parameters))
    values = await read_all(rows)
    assert await outcome(ended) == Ok()
    return values


async def idle(pool: PostgresPool) -> None:
    while pool.statistics().used:
        await trio.lowlevel.checkpoint()


# --- rows ---


async def test_granted_and_denied(postgres: SqlServer, pool) -> None:
    where = f"postgres://owner:s3cret@localhost:{postgres.port}/shop?sslmode=disable"
    allowed = SpinPostgres4(grant("postgres://localhost:*"), pool)
    opened = await allowed.connection_open_async(invocation(), where)
    assert await opened.execute_async("SELECT 1", []) == 1
    opened.drop()
    with failed("connection-failed", "allowed_outbound_hosts"):
        await SpinPostgres4(grant(), pool).connection_open_async(invocation(), where)


async def test_columns_rows_and_how_it_went(connection) -> None:
    columns, rows, ended = await connection.query_async("SELECT $1::text a, NULL::int b", [("str", "x")])
    assert columns == [("a", "str"), ("b", "int32")]
    assert await read_all(rows) == [[("str", "x"), "db-null"]]
    assert await outcome(ended) == Ok()


@pytest.mark.parametrize("statement", ["SET application_name = 'x'", "", "SELECT 1 WHERE false"])
async def test_statements_without_rows(connection, statement) -> None:
    assert await ask(connection, statement) == []
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]


async def test_types_that_have_no_word(connection) -> None:
    await connection.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'happy')", [])
    statement = "SELECT 'happy'::pg_temp.mood a, '{}'::json b, g FROM generate_series(1, $1) g"
    for _ in range(2):  # names are known the second time
        columns, rows, ended = await connection.query_async(statement, [("int32", MANY)])
        assert columns == [("a", ("other", "mood")), ("b", ("other", "json")), ("g", "int32")]
        assert (await read_all(rows))[-1] == [("unsupported", b"happy"), ("unsupported", b"{}"), ("int32", MANY)]
        assert await outcome(ended) == Ok()


@pytest.mark.parametrize("count", [ROWS_PAGE_COUNT - 1, ROWS_PAGE_COUNT, ROWS_PAGE_COUNT + 1, SQL_ROW_COUNT_MAX + 1])
async def test_as_many_rows_as_there_are(connection, count) -> None:
    """A stream has no limit of rows."""
    assert numbers(await ask(connection, SERIES, ("int32", count))) == list(range(1, count + 1))


async def test_rows_without_columns(connection) -> None:
    assert len(await ask(connection, "SELECT FROM generate_series(1, $1)", ("int32", 2500))) == 2500


async def test_no_more_than_a_page_is_held(connection, call) -> None:
    _, rows, _ = await connection.query_async(SERIES, [("int32", 10_000_000)])
    for _ in range(10):
        assert ROWS_HELD_BYTES_MAX - call.budget.row_bytes < ROWS_PAGE_BYTES + 2 * SQL_CELL_OVERHEAD_BYTES
        assert await read(rows, ROWS_PAGE_COUNT)
    rows.close()
    assert call.budget.row_bytes == ROWS_HELD_BYTES_MAX


async def test_the_largest_row_and_one_that_is_larger(connection) -> None:
    statement = "SELECT repeat('x', $1) FROM generate_series(1, 3)"
    assert len(await ask(connection, statement, ("int32", SQL_RESULT_BYTES_MAX - 100))) == 3
    with failed("other", "bytes"):
        await connection.query_async(statement, [("int32", SQL_RESULT_BYTES_MAX)])


# --- errors ---


@pytest.mark.parametrize(
    ("statement", "parameters", "case"),
    [
        ("SELEC 1", [], "query-failed"),
        ("SELECT $1::int", [("str", "x")], "query-failed"),
        ("SELECT $1::date", [("date", (2026, 13, 1))], "bad-parameter"),
        ("SELECT 1 / 0", [], "query-failed"),
        ("COPY (SELECT 1) TO STDOUT", [], "query-failed"),
    ],
    ids=["syntax", "misfit", "parameter", "division", "copy"],
)
async def test_errors_before_the_first_row(connection, call, statement, parameters, case) -> None:
    with pytest.raises(Err, check=lambda error: error.value[0] == case):
        await connection.query_async(statement, parameters)
    assert call.budget.row_streams == ROW_STREAMS_OPEN_MAX


@pytest.mark.parametrize("fails_at", [2, MANY - 1])
async def test_an_error_in_the_middle(connection, fails_at) -> None:
    """The rows before it come first, if the server sent them."""
    _, rows, ended = await connection.query_async(
        "SELECT 1 / (g - $2) FROM generate_series(1, $1) g", [("int32", MANY), ("int32", fails_at)]
    )
    assert len(await read_all(rows)) == fails_at - 1
    error = await outcome(ended)
    assert error.value[0] == "query-failed"
    assert error.value[1][1].code == "22012"  # division by zero
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]


async def test_a_value_that_the_interface_has_no_place_for(connection) -> None:
    _, rows, ended = await connection.query_async(
        "SELECT CASE WHEN g < 5 THEN date '2026-01-02' ELSE 'infinity' END FROM generate_series(1, $1) g",
        [("int32", MANY)],
    )
    assert await read_all(rows) == [[("date", (2026, 1, 2))]] * 4
    assert (await outcome(ended)).value[1] == ("text", "an infinite date has no year")
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]


async def test_what_fails_when_it_is_committed(connection) -> None:
    await connection.execute("CREATE TEMP TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)", [])
    with pytest.raises(Err, check=lambda error: error.value[1][1].code == "23505"):
        await connection.query_async("INSERT INTO t VALUES (1), (1)", [])
    _, rows, ended = await connection.query_async("INSERT INTO t VALUES (2), (2) RETURNING a", [])
    assert numbers(await read_all(rows)) == [2, 2]
    assert (await outcome(ended)).value[1][1].code == "23505"
    assert await ask(connection, "SELECT a FROM t") == []


async def test_a_server_that_ends_the_session_in_the_middle(connection, connect) -> None:
    _, rows, ended = await connection.query_async(
        "SELECT pg_backend_pid() FROM generate_series(1, $1)", [("int32", MANY)]
    )
    (pid,) = numbers(await read(rows, 1))
    killer = await connect()
    await killer.execute("SELECT pg_terminate_backend($1)", [("int32", pid)])
    killer.drop()
    assert len(await read_all(rows)) < MANY - 1
    assert (await outcome(ended)).value[0] == "query-failed"
    with failed("query-failed", "closed"):
        await connection.query_async("SELECT 1", [])


async def test_the_time_of_a_page(connection, call, monkeypatch) -> None:
    """That of each page counts, and not that of the guest between them."""
    statement = "SELECT CASE WHEN g > $2 THEN pg_sleep(60)::text ELSE 'x' END FROM generate_series(1, $1) g"
    _, rows, ended = await connection.query_async(statement, [("int32", MANY), ("int32", 2 * ROWS_PAGE_COUNT)])
    assert await read(rows, 1) == [[("str", "x")]]
    monkeypatch.setattr(connection_module, "SQL_STATEMENT_S_MAX", 0.0)
    assert await read_all(rows)
    assert "longer than" in repr((await outcome(ended)).value)


# --- streams that are not read to their end ---


async def test_a_stream_that_is_dropped_half_way(connection, call) -> None:
    """In a transaction, which goes on."""
    await connection.execute("BEGIN", [])
    _, rows, ended = await connection.query_async(SERIES, [("int32", 10_000_000)])
    assert numbers(await read(rows, 2)) == [1, 2]
    rows.close()
    assert await outcome(ended) == Ok()
    assert call.budget.row_streams == ROW_STREAMS_OPEN_MAX
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]
    assert await connection.execute("COMMIT", []) == 0


@pytest.mark.parametrize("first", ["handle", "stream"])
async def test_the_connection_is_given_back_and_as_good_as_new(connect, pool, first) -> None:
    opened = await connect()
    ((_, pid),) = (await ask(opened, "SELECT pg_backend_pid()"))[0]
    _, rows, _ = await opened.query_async(SERIES, [("int32", 10_000_000)])
    (opened.drop if first == "handle" else rows.close)()
    assert pool.statistics().used == 1
    (rows.close if first == "handle" else opened.drop)()
    await idle(pool)
    assert pool.statistics().idle == 1
    again = await connect()
    assert await ask(again, "SELECT pg_backend_pid()") == [[("int32", pid)]]
    again.drop()


async def test_a_handle_that_is_dropped_before_the_rows_are_read(connect, pool) -> None:
    opened = await connect()
    _, rows, ended = await opened.query_async(SERIES, [("int32", MANY)])
    opened.drop()
    assert numbers(await read_all(rows)) == list(range(1, MANY + 1))
    assert await outcome(ended) == Ok()
    await idle(pool)


async def test_a_cancelled_read_ends_the_session(connection) -> None:
    statement = "SELECT CASE WHEN g > $2 THEN pg_sleep(60)::text END FROM generate_series(1, $1) g"
    _, rows, ended = await connection.query_async(statement, [("int32", MANY), ("int32", ROWS_PAGE_COUNT)])
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
        nursery.start_soon(opened.query_async, "SELECT pg_sleep(60)", [])
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        opened.drop()
    assert pool.count == 0


# --- statements while rows are to come ---


async def test_statements_between_rows(connection, call) -> None:
    """What is left is gathered first, in the order in which it comes."""
    _, rows, _ = await connection.query_async(SERIES, [("int32", MANY)])
    assert numbers(await read(rows, 1)) == [1]
    assert await ask(connection, "SELECT 'other'") == [[("str", "other")]]
    assert call.budget.row_bytes < ROWS_HELD_BYTES_MAX - MANY * SQL_CELL_OVERHEAD_BYTES + ROWS_PAGE_BYTES
    assert numbers(await read_all(rows)) == list(range(2, MANY + 1))


async def test_too_many_rows_to_gather(connection) -> None:
    _, rows, ended = await connection.query_async(SERIES, [("int32", 10_000_000)])
    with failed("other", "read or drop them first"):
        await connection.execute_async("SELECT 1", [])
    assert numbers(await read(rows, 3)) == [1, 2, 3]
    rows.close()
    assert await connection.execute_async("SELECT 1", []) == 1
    assert await outcome(ended) == Ok()


async def test_statements_at_once_go_one_after_the_other(connection) -> None:
    answers: dict[int, list[int]] = {}

    async def one(number: int) -> None:
        answers[number] = numbers(
            await ask(connection, "SELECT $1::int FROM generate_series(1, 2000)", ("int32", number))
        )

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(one, number)
    assert answers == {number: [number] * 2000 for number in range(20)}


async def test_streams_at_the_limit_and_over(connection, call) -> None:
    call.budget.row_streams = 2
    streams = [(await connection.query_async("SELECT 1", []))[1]]
    assert call.budget.row_streams == 2  # it was at its end at once
    streams += [(await connection.query_async(SERIES, [("int32", 5000)]))[1]]
    streams += [(await connection.query_async(SERIES, [("int32", 5000)]))[1]]
    assert call.budget.row_streams == 1
    call.budget.row_streams = 0
    with failed("other", "too many rows"):
        await connection.query_async("SELECT 1", [])
    for stream in streams:
        stream.close()


# --- the builder ---


async def test_a_builder_with_an_authority_of_the_guests(postgres: SqlServer, nursery) -> None:
    pool = postgres_pool(dialer())  # which trusts the system's
    nursery.start_soon(pool.run)
    interface = SpinPostgres4(grant("postgres://localhost:*"), pool)
    where = f"postgres://owner:s3cret@localhost:{postgres.port}/shop?sslmode=require"
    builder = interface.connection_builder_constructor(invocation(), where)
    with failed("connection-failed", "certificate is not valid"):
        await builder.build()
    builder.set_ca_root(postgres.authority.cert_pem.bytes().decode())
    for build in (builder.build, builder.build_async):
        opened = await build()
        assert await ask(opened, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [[("boolean", True)]]
        opened.drop()
        await idle(pool)
    with failed("connection-failed", "certificate is not valid"):  # not the connection that trusts it
        await interface.connection_open(invocation(), where)
    pool.close()


@pytest.mark.parametrize("text", ["", "x", "é", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_no_certificate(text) -> None:
    builder = SpinPostgres4(grant(), None).connection_builder_constructor(invocation(), "")
    with failed("other", "no certificate"):
        builder.set_ca_root(text)


def test_a_certificate_at_the_limit_and_over(postgres: SqlServer) -> None:
    pem = postgres.authority.cert_pem.bytes().decode()
    builder = SpinPostgres4(grant(), None).connection_builder_constructor(invocation(), "")
    builder.set_ca_root(pem + "\n" * (SQL_CA_ROOT_CHARS_MAX - len(pem)))
    with failed("other", "characters"):
        builder.set_ca_root(pem + "\n" * (SQL_CA_ROOT_CHARS_MAX - len(pem) + 1))


async def test_what_a_builder_may_not(postgres: SqlServer, pool) -> None:
    where = f"postgres://owner:s3cret@localhost:{postgres.port}/shop?sslmode=disable"
    with failed("connection-failed", "allowed_outbound_hosts"):
        await SpinPostgres4(grant(), pool).connection_builder_constructor(invocation(), where).build()
    allowed = SpinPostgres4(grant("postgres://localhost:*"), pool)
    with failed("connection-failed", "characters"):
        await allowed.connection_builder_constructor(invocation(), where + "x" * SQL_ADDRESS_CHARS_MAX).build()
    call = invocation()
    builder = allowed.connection_builder_constructor(call, where)
    opened = [await builder.build() for _ in range(SQL_CONNECTIONS_OPEN_MAX)]
    with failed("connection-failed", "too many connections"):
        await builder.build()
    for connection in opened:
        connection.drop()
