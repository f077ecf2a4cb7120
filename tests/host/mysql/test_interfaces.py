"""fermyon:spin/mysql against a real MariaDB: who may connect, every type, sessions, limits."""

from __future__ import annotations

import struct

import pytest
import trio

from edged.host.mysql import connection as connection_module
from edged.host.mysql.connection import mysql_pool
from edged.host.mysql.interfaces import SpinMysql
from edged.host.network.gate import AddressGate
from edged.limits import (
    SQL_CELL_OVERHEAD_BYTES,
    SQL_CONNECTIONS_OPEN_MAX,
    SQL_PARAMETER_BYTES_MAX,
    SQL_RESULT_BYTES_MAX,
    SQL_ROW_COUNT_MAX,
    SQL_STATEMENT_BYTES_MAX,
)
from tests.host.fakes import invocation
from tests.host.rdbms.grants import dialer, failed, grant
from tests.services import mariadb_folder

F32 = struct.unpack("<f", struct.pack("<f", 0.1))[0]


async def ask(connection, statement: str, *parameters: object) -> list[list[object]]:
    return [list(row) for row in (await connection.query(statement, list(parameters))).rows]


async def is_idle(pool) -> None:
    while pool.statistics().used:
        await trio.lowlevel.checkpoint()


# --- who may connect, and how ---


async def test_granted_and_denied(mariadb, pool) -> None:
    where = f"mysql://owner:s3cret@localhost:{mariadb.port}/shop"
    opened = await SpinMysql(grant(f"mysql://localhost:{mariadb.port}"), pool).connection_open(invocation(), where)
    assert await ask(opened, "SELECT 1") == [[("int32", 1)]]
    opened.drop()
    for allowed in ((), ("mysql://localhost:1",), ("mysql://other.example:*",), ("postgres://localhost:*",)):
        with failed("connection-failed", "allowed_outbound_hosts"):
            await SpinMysql(grant(*allowed), pool).connection_open(invocation(), where)
    with failed("connection-failed", "no connections"):
        await SpinMysql(grant("mysql://*:*"), None).connection_open(invocation(), where)
    with failed("connection-failed", "not an address that guests may reach"):
        await SpinMysql(grant("mysql://*:*"), mysql_pool(dialer(AddressGate()))).connection_open(invocation(), where)


@pytest.mark.parametrize("mode", ["disabled", "required", "verify_identity"])
async def test_with_and_without_tls(connect, mode) -> None:
    connection = await connect(f"shop?ssl-mode={mode}")
    ((_, (_, cipher)),) = await ask(connection, "SHOW STATUS LIKE 'Ssl_cipher'")
    assert bool(cipher) == (mode != "disabled")
    connection.drop()


async def test_a_certificate_of_another_name_or_of_nobody(mariadb, pool) -> None:
    for pool_, host in ((pool, "other.example"), (mysql_pool(dialer()), "localhost")):
        where = f"mysql://owner:s3cret@{host}:{mariadb.port}/shop?ssl-mode=required"
        with failed("connection-failed", "certificate"):
            await SpinMysql(grant("mysql://*:*"), pool_).connection_open(invocation(), where)


@pytest.mark.parametrize("login", ["owner:hidden", "owner", "nobody:hidden"])
async def test_a_wrong_password(mariadb, pool, login) -> None:
    where = f"mysql://{login}@localhost:{mariadb.port}/shop"
    with failed("connection-failed", "1045") as failure:
        await SpinMysql(grant("mysql://*:*"), pool).connection_open(invocation(), where)
    assert "hidden" not in repr(failure.value)


async def test_connections_of_a_request_at_the_limit_and_over(connect) -> None:
    call = invocation()
    opened = [await connect(call=call) for _ in range(SQL_CONNECTIONS_OPEN_MAX)]
    with failed("connection-failed", "too many"):
        await connect(call=call)
    for connection in opened:
        connection.drop()
    assert call.budget.sql_connections == SQL_CONNECTIONS_OPEN_MAX


# --- types ---


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("TINYINT", ("int8", -(2**7))),
        ("TINYINT UNSIGNED", ("uint8", 2**8 - 1)),
        ("BOOLEAN", ("int8", 1)),
        ("SMALLINT", ("int16", -(2**15))),
        ("SMALLINT UNSIGNED", ("uint16", 2**16 - 1)),
        ("MEDIUMINT", ("int32", -(2**23))),
        ("MEDIUMINT UNSIGNED", ("uint32", 2**24 - 1)),
        ("INT", ("int32", -(2**31))),
        ("INT UNSIGNED", ("uint32", 2**32 - 1)),
        ("BIGINT", ("int64", -(2**63))),
        ("BIGINT UNSIGNED", ("uint64", 2**64 - 1)),
        ("FLOAT", ("floating32", F32)),
        ("DOUBLE", ("floating64", 0.1)),
        ("CHAR(3)", ("str", "abc")),
        ("VARCHAR(40)", ("str", "é'; DROP TABLE x; -- ?")),
        ("VARCHAR(40) COLLATE utf8mb4_bin", ("binary", b"x")),
        ("TINYTEXT", ("str", "x")),
        ("TEXT", ("str", "\U0001f600")),
        ("LONGTEXT", ("str", "x" * 70_000)),
        ("ENUM('a', 'b')", ("str", "b")),
        ("SET('a', 'b')", ("str", "a,b")),
        ("BINARY(2)", ("binary", b"\0\xff")),
        ("VARBINARY(300)", ("binary", bytes(range(256)))),
        ("BLOB", ("binary", b"\xff")),
        ("MEDIUMBLOB", ("binary", b"")),
        ("LONGBLOB", ("binary", b"\0" * 70_000)),
    ],
)
async def test_every_type_both_ways(connect, sql, value) -> None:
    connection = await connect()
    charset = "" if "COLLATE" in sql else "DEFAULT CHARACTER SET utf8mb4"
    await connection.execute(f"CREATE TEMPORARY TABLE t (v {sql}, n {sql}) {charset}", [])
    await connection.execute("INSERT INTO t VALUES (?, ?)", [value, "db-null"])
    result = await connection.query("SELECT v, n FROM t WHERE v = ? OR true", [value])
    assert result.columns == [("v", value[0]), ("n", value[0])]
    assert result.rows == [[value, "db-null"]]
    connection.drop()


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("DECIMAL(10, 2)", "1.50"),
        ("DATE", "2024-02-29"),
        ("DATETIME(6)", "2024-02-29 23:59:59.000001"),
        ("TIMESTAMP", "2024-02-29 23:59:59"),
        ("TIME(3)", "-838:59:58.999"),
        ("YEAR", "2024"),
        ("BIT(3)", "5"),
    ],
)
async def test_types_that_the_interface_lacks(connect, sql, text) -> None:
    connection = await connect()
    await connection.execute(f"CREATE TEMPORARY TABLE t (v {sql})", [])
    await connection.execute("INSERT INTO t VALUES (NULL)", [])
    nothing = await connection.query("SELECT v, 1 FROM t WHERE v IS NULL", [])
    assert (nothing.columns[0].data_type, nothing.rows[0][0]) in (("other", "db-null"),) or sql == "TIMESTAMP"
    await connection.execute("DELETE FROM t", [])
    await connection.execute("INSERT INTO t VALUES (?)", [("int32", 5) if sql == "BIT(3)" else ("str", text)])
    with failed("value-conversion-failed", "column v"):
        await connection.query("SELECT v, 1 FROM t", [])
    assert await ask(
        connection, "SELECT CAST(v + 0 AS CHAR) FROM t" if sql == "BIT(3)" else "SELECT CAST(v AS CHAR) FROM t"
    ) == [[("str", text)]]
    connection.drop()


async def test_every_parameter(connect) -> None:
    connection = await connect()
    values = [
        *(("boolean", value) for value in (True, False)),
        *((f"int{bits}", -(2 ** (bits - 1))) for bits in (8, 16, 32, 64)),
        *((f"uint{bits}", 2**bits - 1) for bits in (8, 16, 32, 64)),
        ("str", "a'\\\"\0b"),
        ("binary", b"'\0\xff"),
        "db-null",
    ]
    ((*row,),) = await ask(connection, "SELECT " + "?, " * 11 + "CAST(? AS BINARY), ?", *values)
    assert [cell if cell == "db-null" else cell[1] for cell in row] == [
        value if value == "db-null" else value[1] for value in values
    ]
    connection.drop()


async def test_text_that_is_not_utf_8(connect) -> None:
    connection = await connect()
    await connection.execute("SET NAMES latin1", [])
    with failed("value-conversion-failed", "UTF-8"):
        await connection.query("SELECT CONVERT(X'E9' USING latin1) AS v", [])
    connection.drop()


# --- statements ---


@pytest.mark.parametrize(
    ("statement", "parameters", "text"),
    [
        ("SELEC", [], "1064"),
        ("SELECT 1; SELECT 2", [], "1064"),
        ("SELECT ?", [], "takes 1 parameters, but there are 0"),
        ("SELECT 1", [("int32", 1)], "takes 0 parameters, but there are 1"),
        ("SELECT * FROM nowhere", [], "1146"),
    ],
)
async def test_errors_leave_the_connection_sound(connect, statement, parameters, text) -> None:
    connection = await connect()
    with failed("query-failed", text):
        await connection.query(statement, parameters)
    assert await ask(connection, "SELECT ?", ("int64", 7)) == [[("int64", 7)]]
    connection.drop()


async def test_a_server_file_is_never_sent_from_here(connect) -> None:
    connection = await connect()
    await connection.execute("CREATE TEMPORARY TABLE t (v TEXT)", [])
    with failed("query-failed", ""):
        await connection.execute("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t", [])
    connection.drop()


async def test_a_procedure_gives_its_first_result(connect) -> None:
    connection = await connect()
    await connection.execute("CREATE OR REPLACE PROCEDURE two() BEGIN SELECT 1; SELECT 'x', 2; END", [])
    assert await ask(connection, "CALL two()") == [[("int32", 1)]]
    assert await ask(connection, "SELECT 3") == [[("int32", 3)]]
    assert await connection.query("DO 1", []) == ([], [])
    connection.drop()


# --- limits ---


async def test_rows_at_the_limit_and_over(connect) -> None:
    connection = await connect()
    rows = "SELECT seq FROM seq_1_to_%d"
    assert len(await ask(connection, rows % SQL_ROW_COUNT_MAX)) == SQL_ROW_COUNT_MAX
    with failed("other", f"{SQL_ROW_COUNT_MAX} rows"):
        await connection.query(rows % (SQL_ROW_COUNT_MAX + 1), [])
    with failed("query-failed", "closed"):
        await connection.query("SELECT 1", [])
    connection.drop()


async def test_bytes_at_the_limit_and_over(connect) -> None:
    connection = await connect()
    overhead = SQL_CELL_OVERHEAD_BYTES + 4096  # its packets too
    ((value,),) = await ask(connection, "SELECT REPEAT('x', ?)", ("int32", SQL_RESULT_BYTES_MAX - overhead))
    assert len(value[1]) == SQL_RESULT_BYTES_MAX - overhead
    with failed("other", "bytes"):
        await connection.query("SELECT REPEAT('x', ?)", [("int32", SQL_RESULT_BYTES_MAX)])
    connection.drop()


async def test_rows_that_nobody_keeps_are_not_counted(connect) -> None:
    connection = await connect()
    await connection.execute("SELECT REPEAT('x', 1000) FROM seq_1_to_20000", [])
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]
    connection.drop()


async def test_statement_and_parameters_at_the_limit_and_over(connect) -> None:
    connection = await connect()
    statement = "SELECT 1".ljust(SQL_STATEMENT_BYTES_MAX)
    await connection.execute(statement, [])
    with failed("query-failed", "statement"):
        await connection.execute(statement + " ", [])
    most = SQL_PARAMETER_BYTES_MAX - (1 + 1 + 2) - 4  # which are NULL, types, length
    await connection.execute("SELECT LENGTH(?)", [("binary", bytes(most))])
    with failed("bad-parameter", "bytes"):
        await connection.execute("SELECT LENGTH(?)", [("binary", bytes(most + 1))])
    connection.drop()


# --- sessions ---


async def test_nothing_of_a_session_is_left_for_the_next(connect, pool) -> None:
    first = await connect()
    number = await ask(first, "SELECT CONNECTION_ID()")
    await first.execute("CREATE OR REPLACE TABLE leaks (a int) ENGINE = InnoDB", [])
    await first.execute("CREATE TEMPORARY TABLE t (a int)", [])
    for statement in ("SET @a = 5", "SET NAMES latin1", "USE mysql", "SET sql_mode = ''", "SELECT GET_LOCK('x', 0)"):
        await first.execute(statement, [])
    await first.execute("BEGIN", [])
    await first.execute("INSERT INTO shop.leaks VALUES (1)", [])
    first.drop()
    await is_idle(pool)
    second = await connect()
    assert await ask(second, "SELECT CONNECTION_ID()") == number
    assert await ask(
        second, "SELECT COUNT(*), @a, DATABASE(), @@character_set_results, IS_FREE_LOCK('x') FROM leaks"
    ) == [[("int64", 0), "db-null", ("str", "shop"), ("str", "utf8mb4"), ("int32", 1)]]
    assert await ask(second, "SELECT @@sql_mode = @@global.sql_mode") == [[("int32", 1)]]
    with failed("query-failed", "1146"):
        await second.query("SELECT * FROM t", [])
    second.drop()


async def test_a_database_that_was_chosen_where_there_was_none(connect, pool) -> None:
    connection = await connect("")
    connection.drop()
    await is_idle(pool)
    assert pool.statistics().idle == 1
    connection = await connect("")
    await connection.execute("USE shop", [])
    connection.drop()
    await is_idle(pool)
    assert pool.statistics().idle == 0


async def test_a_cancelled_statement_ends_the_connection(connect, pool) -> None:
    connection = await connect()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.query, "SELECT SLEEP(600)", [])
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with failed("query-failed", "closed"):
        await connection.query("SELECT 1", [])
    connection.drop()
    assert (pool.statistics().used, pool.statistics().idle) == (0, 0)
    again = await connect()
    assert await ask(again, "SELECT 1") == [[("int32", 1)]]
    again.drop()


async def test_a_statement_that_takes_too_long(connect, monkeypatch) -> None:
    connection = await connect()
    monkeypatch.setattr(connection_module, "SQL_STATEMENT_S_MAX", 0.01)
    with failed("query-failed", "took longer"):
        await connection.query("SELECT SLEEP(600)", [])
    connection.drop()


async def test_many_at_once(connect, pool) -> None:
    async def work(number: int) -> None:
        for _ in range(3):
            connection = await connect()
            assert await ask(connection, "SELECT ?", ("int64", number)) == [[("int64", number)]]
            connection.drop()

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(work, number)
    await is_idle(pool)
    assert 1 <= pool.statistics().idle <= 64


async def test_a_session_that_the_server_ends(connect) -> None:
    connection, killer = await connect(), await connect()
    (((_, number),),) = await ask(connection, "SELECT CONNECTION_ID()")
    await killer.execute(f"KILL HARD {number}", [])
    with failed("query-failed", ""):
        await connection.query("SELECT 1", [])
    connection.drop()
    killer.drop()


async def test_a_server_that_goes_and_comes_back(nursery) -> None:
    with mariadb_folder() as server:
        pool = mysql_pool(dialer())
        nursery.start_soon(pool.run)
        interface = SpinMysql(grant("mysql://*:*"), pool)
        where = f"mysql://owner:s3cret@localhost:{server.port}/shop"
        with server.start():
            idle = await interface.connection_open(invocation(), where)
            held = await interface.connection_open(invocation(), where)
            idle.drop()
            await is_idle_but_one(pool)
        with failed("query-failed", ""):
            await held.query("SELECT 1", [])
        held.drop()
        with failed("connection-failed", "refused"):
            await interface.connection_open(invocation(), where)
        with server.start():
            again = await interface.connection_open(invocation(), where)
            assert await ask(again, "SELECT 1") == [[("int32", 1)]]
            again.drop()
            await is_idle(pool)
            pool.close()


async def is_idle_but_one(pool) -> None:
    while pool.statistics().used > 1:
        await trio.lowlevel.checkpoint()
