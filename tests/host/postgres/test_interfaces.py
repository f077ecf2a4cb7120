"""fermyon:spin/postgres and spin:postgres against a real server: who may connect, every type, sessions, limits."""

from __future__ import annotations

import os
import signal
import struct

import pytest
import trio

from edged.host.interface import Err
from edged.host.network.gate import AddressGate
from edged.host.postgres import connection as connection_module
from edged.host.postgres.connection import postgres_pool
from edged.host.postgres.interfaces import SpinPostgres2, SpinPostgres3, SpinPostgres4
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
from tests.services import free_port, postgres_folder

ALL = pytest.mark.parametrize("interface", [SpinPostgres2, SpinPostgres3, SpinPostgres4])
F32 = struct.unpack(">f", struct.pack(">f", 0.1))[0]


async def ask(connection, statement: str, *parameters: object) -> list[list[object]]:
    return [list(row) for row in (await connection.query(statement, list(parameters))).rows]


# --- who may connect, and how ---


@ALL
async def test_granted_and_denied(postgres, pool, interface) -> None:
    where = f"postgres://owner:s3cret@localhost:{postgres.port}/shop?sslmode=disable"
    opened = await interface(grant(f"postgres://localhost:{postgres.port}"), pool).connection_open(invocation(), where)
    assert await opened.execute("SELECT 1", []) == 1
    opened.drop()
    for allowed in ((), ("postgres://localhost:1",), ("postgres://other.example:*",), ("mysql://localhost:*",)):
        with failed("connection-failed", "allowed_outbound_hosts"):
            await interface(grant(*allowed), pool).connection_open(invocation(), where)
    with failed("connection-failed", "no connections"):
        await interface(grant("postgres://*:*"), None).connection_open(invocation(), where)


async def test_an_allowed_name_that_leads_inside_is_refused(postgres) -> None:
    closed = postgres_pool(dialer(AddressGate()))
    where = f"postgres://owner:s3cret@localhost:{postgres.port}/shop"
    with failed("connection-failed", "not an address that guests may reach"):
        await SpinPostgres4(grant("postgres://*:*"), closed).connection_open(invocation(), where)
    with failed("connection-failed", "refused"):
        await SpinPostgres4(grant("postgres://*:*"), postgres_pool(dialer())).connection_open(
            invocation(), f"postgres://owner@localhost:{free_port()}"
        )


@pytest.mark.parametrize("user", ["owner", "legacy", "plain"])
@pytest.mark.parametrize("mode", ["disable", "prefer", "require"])
async def test_logins_with_and_without_tls(connect, user, mode) -> None:
    connection = await connect(user=user, query=f"sslmode={mode}")
    statement = "SELECT current_user::text, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert await ask(connection, statement) == [[("str", user), ("boolean", mode != "disable")]]
    connection.drop()


async def test_channel_binding(connect) -> None:
    (await connect(query="sslmode=require&channel_binding=require")).drop()
    (await connect(query="sslmode=require&channel_binding=disable")).drop()
    for user, query in (("owner", "sslmode=disable"), ("legacy", "sslmode=require"), ("plain", "sslmode=require")):
        with failed("connection-failed", "channel_binding"):
            await connect(user=user, query=query + "&channel_binding=require")


async def test_a_certificate_of_another_name_or_of_nobody(postgres, pool) -> None:
    for interface, host in (
        (SpinPostgres4(grant("postgres://*:*"), pool), "other.example"),
        (SpinPostgres4(grant("postgres://*:*"), postgres_pool(dialer())), "localhost"),
    ):
        where = f"postgres://owner:s3cret@{host}:{postgres.port}/shop"
        with failed("connection-failed", "certificate"):
            await interface.connection_open(invocation(), where)


@pytest.mark.parametrize("user", ["owner", "legacy", "plain"])
async def test_a_wrong_password(postgres, pool, user) -> None:
    where = f"postgres://{user}:hidden@localhost:{postgres.port}/shop?sslmode=disable"
    with failed("connection-failed", "28P01") as failure:
        await SpinPostgres4(grant("postgres://*:*"), pool).connection_open(invocation(), where)
    assert "hidden" not in repr(failure.value)


async def test_nothing_of_the_node_is_taken_for_the_guest_s(postgres, pool, monkeypatch, tmp_path) -> None:
    (tmp_path / ".pgpass").write_text("*:*:*:*:s3cret\n")
    (tmp_path / ".pgpass").chmod(0o600)
    for name, value in {"HOME": tmp_path, "PGPASSFILE": tmp_path / ".pgpass", "PGPASSWORD": "s3cret"}.items():
        monkeypatch.setenv(name, str(value))
    with failed("connection-failed", ""):
        await SpinPostgres4(grant("postgres://*:*"), pool).connection_open(
            invocation(), f"postgres://owner@localhost:{postgres.port}/shop?sslmode=disable"
        )


@pytest.mark.parametrize("password", ["caf\u00e9 \U0001f600", "\u2168", "a\x07b", "x" * 500])
async def test_passwords_of_any_text(postgres, connect, pool, password) -> None:
    owner = await connect()
    await owner.execute("DROP ROLE IF EXISTS texts", [])
    await owner.execute(f"CREATE ROLE texts LOGIN PASSWORD '{password}'", [])
    where = f"host=localhost port={postgres.port} user=texts password='{password}' dbname=shop sslmode=disable"
    opened = await SpinPostgres4(grant("postgres://*:*"), pool).connection_open(invocation(), where)
    assert await ask(opened, "SELECT current_user::text") == [[("str", "texts")]]
    opened.drop()
    owner.drop()


async def test_connections_of_a_request_at_the_limit_and_over(connect) -> None:
    call = invocation()
    opened = [await connect(call=call) for _ in range(SQL_CONNECTIONS_OPEN_MAX)]
    with failed("connection-failed", "too many"):
        await connect(call=call)
    opened.pop().drop()
    opened.append(await connect(call=call))
    for connection in opened:
        connection.drop()
    assert call.budget.sql_connections == SQL_CONNECTIONS_OPEN_MAX


# --- types ---

BOTH_WAYS = [
    ("boolean", "bool", ("boolean", True)),
    ("boolean", "bool", ("boolean", False)),
    ("int16", "int2", ("int16", -(2**15))),
    ("int32", "int4", ("int32", 2**31 - 1)),
    ("int64", "int8", ("int64", -(2**63))),
    ("floating32", "float4", ("floating32", F32)),
    ("floating64", "float8", ("floating64", 0.1)),
    ("str", "text", ("str", "é'; DROP TABLE x; --")),
    ("str", "varchar(5)", ("str", "12345")),
    ("str", "char(3)", ("str", "a  ")),
    ("binary", "bytea", ("binary", bytes(range(256)))),
    ("date", "date", ("date", (2024, 2, 29))),
    ("date", "date", ("date", (-4712, 1, 1))),
    ("date", "date", ("date", (5874897, 12, 31))),
    ("time", "time", ("time", (23, 59, 59, 999_999_000))),
    ("datetime", "timestamp", ("datetime", (1969, 12, 31, 23, 59, 59, 1_000))),
]
BOTH_WAYS_4 = [
    ("uuid", "uuid", ("uuid", "12345678-9abc-def0-1234-56789abcdef0")),
    ("jsonb", "jsonb", ("jsonb", b'{"a": [1, null, "\xc3\xa9"]}')),
    *(
        ("decimal", "numeric", ("decimal", text))
        for text in ("0", "0.00", "1.50", "-0.00012", "12345678901234567890.0123456789", "10000", "100000000", "0.0001")
    ),
    ("range-int32", "int4range", ("range-int32", ((1, "inclusive"), (5, "exclusive")))),
    ("range-int32", "int4range", ("range-int32", (None, (5, "exclusive")))),
    ("range-int64", "int8range", ("range-int64", ((-(2**62), "inclusive"), None))),
    ("range-decimal", "numrange", ("range-decimal", (("1.5", "exclusive"), ("2.50", "inclusive")))),
    ("range-decimal", "numrange", ("range-decimal", (None, None))),
    ("array-int32", "int4[]", ("array-int32", [1, None, -3])),
    ("array-int32", "int4[]", ("array-int32", [])),
    ("array-int64", "int8[]", ("array-int64", [2**62, None])),
    ("array-decimal", "numeric[]", ("array-decimal", ["1.50", None, "-2"])),
    ("array-str", "text[]", ("array-str", ['a"b\\c,{}', "", "NULL", None])),
    ("array-str", "varchar[]", ("array-str", ["é"])),
    ("array-str", "text[]", ("array-str", [])),
    ("interval", "interval", ("interval", (-1_000_001, 40, -13))),
]


@pytest.mark.parametrize(("case", "sql", "value"), BOTH_WAYS + BOTH_WAYS_4)
async def test_every_type_both_ways(connect, case, sql, value) -> None:
    connection = await connect()
    result = await connection.query(f"SELECT $1::{sql} AS v, NULL::{sql}, $2::{sql}", [value, "db-null"])
    assert [list(row) for row in result.rows] == [[value, "db-null", "db-null"]]
    assert [column.data_type for column in result.columns] == [case] * 3
    assert result.columns[0].name == "v"
    connection.drop()


@pytest.mark.parametrize(("case", "sql", "value"), BOTH_WAYS + BOTH_WAYS_4)
@pytest.mark.parametrize(("interface", "types"), [(SpinPostgres2, 11), (SpinPostgres3, 16)])
async def test_older_versions_have_fewer_types(connect, interface, types, case, sql, value) -> None:
    known = (case, sql, value) in BOTH_WAYS[:types]
    connection = await connect(interface)
    helper = await connect()
    await helper.execute("DROP TABLE IF EXISTS older", [])
    await helper.execute(f"CREATE TABLE older (v {sql}, n {sql})", [])
    await helper.execute("INSERT INTO older (v) VALUES ($1)", [value])
    result = await connection.query("SELECT * FROM older", [])
    assert [column.data_type for column in result.columns] == [case if known else "other"] * 2
    assert [list(row) for row in result.rows] == [[value if known else "unsupported", "db-null"]]
    connection.drop()
    helper.drop()


@pytest.mark.parametrize(
    ("expression", "name", "value"),
    [
        ("'a'::name", "name", b"a"),
        ("'{}'::json", "json", b"{}"),
        ("'x'::\"char\"", "char", b"x"),
        ("'{t}'::bool[]", "_bool", None),
        ("B'101'", "bit", None),
        ("'12:00+02'::timetz", "timetz", None),
    ],
)
async def test_types_that_the_interface_lacks(connect, expression, name, value) -> None:
    connection = await connect()
    result = await connection.query(f"SELECT {expression}", [])
    assert result.columns[0].data_type == ("other", name)
    ((case, raw),) = result.rows[0]
    assert (case, raw) == ("unsupported", raw if value is None else value)
    connection.drop()


async def test_types_of_the_users_own(connect) -> None:
    connection = await connect()
    await connection.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'happy')", [])
    result = await connection.query("SELECT $1::pg_temp.mood", [("str", "happy")])
    assert result.columns[0].data_type == ("other", "mood")
    assert result.rows == [[("unsupported", b"happy")]]
    connection.drop()


async def test_timestamps_are_seconds_in_utc(connect) -> None:
    connection = await connect()
    await connection.execute("SET TIME ZONE 'Asia/Tokyo'", [])
    assert await ask(connection, "SELECT $1::timestamptz", ("timestamp", 86_399)) == [
        [("datetime", (1970, 1, 1, 23, 59, 59, 0))]
    ]
    assert await ask(connection, 'SELECT $1::"char"::text', ("int8", 65)) == [[("str", "A")]]
    assert await ask(connection, "SELECT $1::json ->> 'a'", ("jsonb", b'{"a":"b"}')) == [[("str", "b")]]
    connection.drop()


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("'infinity'::date", "infinite"),
        ("'-infinity'::timestamp", "infinite"),
        ("'{{1},{2}}'::int4[]", "dimension"),
    ],
)
async def test_values_that_do_not_fit(connect, expression, reason) -> None:
    connection = await connect()
    with failed("query-failed", reason):
        await connection.query(f"SELECT 1, {expression} UNION ALL SELECT 2, {expression}", [])
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]
    connection.drop()


@pytest.mark.parametrize(
    ("text", "expected"), [("NaN", "NaN"), ("Infinity", "Infinity"), ("1e20", "1" + "0" * 20), ("1e-9", "0.000000001")]
)
async def test_numbers_without_digits_or_with_many(connect, text, expected) -> None:
    connection = await connect()
    assert await ask(connection, f"SELECT '{text}'::numeric") == [[("decimal", expected)]]
    connection.drop()


@pytest.mark.parametrize(
    ("case", "statement", "parameter"),
    [
        ("query-failed", "SELECT $1::int8", ("int32", 1)),
        ("query-failed", "SELECT $1::int4", ("str", "1")),
        ("query-failed", "SELECT $1::date", ("str", "2024-01-01")),
        ("query-failed", "SELECT $1::text", ("array-str", ["a"])),
        ("query-failed", "SELECT $1::uuid::text", ("int32", 1)),
        ("query-failed", "SELECT $1::text", ("str", "a\0b")),
        ("query-failed", "SELECT $1::jsonb", ("jsonb", b"{")),
        ("query-failed", "SELECT $1::text, $2::text", ("str", "one")),
        ("query-failed", "SELECT 1", ("str", "one")),
        ("bad-parameter", "SELECT $1::date", ("date", (2023, 2, 29))),
        ("bad-parameter", "SELECT $1::date", ("date", (2**31 - 1, 1, 1))),
        ("bad-parameter", "SELECT $1::time", ("time", (24, 0, 0, 0))),
        ("bad-parameter", "SELECT $1::timestamp", ("datetime", (2024, 1, 1, 0, 0, 0, 10**9))),
        ("bad-parameter", "SELECT $1::timestamptz", ("timestamp", 2**62)),
        ("bad-parameter", "SELECT $1::uuid", ("uuid", "x")),
        ("bad-parameter", "SELECT $1::numeric", ("decimal", "1e5")),
        ("bad-parameter", "SELECT $1::numeric", ("decimal", "NaN")),
        ("bad-parameter", "SELECT $1::numeric[]", ("array-decimal", ["1,2"])),
        ("bad-parameter", "SELECT $1::numrange", ("range-decimal", (("1,2", "inclusive"), None))),
    ],
)
async def test_wrong_parameters_leave_the_connection_sound(connect, case, statement, parameter) -> None:
    connection = await connect()
    with failed(case, ""):
        await connection.query(statement, [parameter])
    assert await ask(connection, "SELECT $1::int4", ("int32", 1)) == [[("int32", 1)]]
    connection.drop()


async def test_unsigned_integers_of_version_2(connect) -> None:
    connection = await connect(SpinPostgres2)
    for case in ("uint8", "uint16", "uint32", "uint64"):
        with failed("value-conversion-failed", "unsigned"):
            await connection.query("SELECT $1::int8", [(case, 1)])
    connection.drop()


# --- statements ---


async def test_rows_affected(connect) -> None:
    connection = await connect()
    assert await connection.execute("CREATE TEMPORARY TABLE t (a int)", []) == 0
    assert await connection.execute("INSERT INTO t SELECT generate_series(1, 5)", []) == 5
    assert await connection.execute("UPDATE t SET a = 0 WHERE a > $1", [("int32", 2)]) == 3
    assert await connection.execute("", []) == 0
    assert (await connection.query("SELECT a FROM t WHERE false", [])).columns == [("a", "int32")]
    assert (await connection.query("DELETE FROM t", [])) == ([], [])
    connection.drop()


async def test_errors_say_what_the_server_says(connect) -> None:
    connection = await connect()
    await connection.execute("CREATE TEMPORARY TABLE t (a int CONSTRAINT sole UNIQUE)", [])
    with pytest.raises(Err) as failure:
        await connection.execute("INSERT INTO t VALUES (1), (1)", [])
    case, (kind, error) = failure.value.value
    assert (case, kind, error.severity, error.code) == ("query-failed", "db-error", "ERROR", "23505")
    assert "sole" in error.message
    assert "(1)" in error.detail
    assert {("constraint", "sole"), ("table", "t")} < set(error.extras)
    assert error.code in error.as_text
    connection.drop()
    older = await connect(SpinPostgres3)
    with pytest.raises(Err) as failure:
        await older.query("SELEC", [])
    assert failure.value.value == ("query-failed", 'ERROR: syntax error at or near "SELEC" (42601)')
    older.drop()


@pytest.mark.parametrize("statement", ["SELECT 1; SELECT 2", "SELECT 1\0"])
async def test_one_statement_at_a_time(connect, statement) -> None:
    connection = await connect()
    with failed("query-failed", ""):
        await connection.query(statement, [])
    connection.drop()


@pytest.mark.parametrize("statement", ["COPY (SELECT 1) TO STDOUT", "COPY pg_temp.t FROM STDIN"])
async def test_copy_ends_the_connection(connect, pool, statement) -> None:
    connection = await connect()
    await connection.execute("CREATE TEMPORARY TABLE t (a int)", [])
    with failed("query-failed", "COPY"):
        await connection.execute(statement, [])
    with failed("query-failed", "closed"):
        await connection.execute("SELECT 1", [])
    connection.drop()
    assert (pool.statistics().used, pool.statistics().idle) == (0, 0)


# --- limits ---


async def test_rows_at_the_limit_and_over(connect) -> None:
    connection = await connect()
    rows = "SELECT 1::int2 FROM generate_series(1, $1::int4)"
    assert len(await ask(connection, rows, ("int32", SQL_ROW_COUNT_MAX))) == SQL_ROW_COUNT_MAX
    with failed("other", f"{SQL_ROW_COUNT_MAX} rows"):
        await connection.query(rows, [("int32", SQL_ROW_COUNT_MAX + 1)])
    with failed("query-failed", "closed"):
        await connection.query("SELECT 1", [])
    connection.drop()


async def test_bytes_at_the_limit_and_over(connect) -> None:
    statement = "SELECT repeat('x', $1::int4) AS v"
    # A RowDescription of one field, and what a DataRow has besides its value.
    most = SQL_RESULT_BYTES_MAX - SQL_CELL_OVERHEAD_BYTES - (2 + len("v\0") + 18) - (2 + 4)
    connection = await connect()
    ((value,),) = await ask(connection, statement, ("int32", most))
    assert len(value[1]) == most
    with failed("other", "bytes"):
        await connection.query(statement, [("int32", most + 1)])
    connection.drop()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT repeat('x', 100000000)",
        "SELECT array_fill(NULL::int4, ARRAY[100000])",
        "SELECT 10::numeric ^ 100000 FROM generate_series(1, 100)",
    ],
)
async def test_what_is_small_on_its_way_but_not_here(connect, statement) -> None:
    connection = await connect()
    with failed("other", "bytes"):
        await connection.query(statement, [])
    connection.drop()


async def test_rows_that_nobody_keeps_are_not_counted(connect) -> None:
    connection = await connect()
    assert await connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 20000)", []) == 20_000
    connection.drop()


async def test_statement_and_parameters_at_the_limit_and_over(connect) -> None:
    connection = await connect()
    statement = "SELECT 1".ljust(SQL_STATEMENT_BYTES_MAX)
    assert await connection.execute(statement, []) == 1
    with failed("query-failed", "statement"):
        await connection.execute(statement + " ", [])
    assert await connection.execute("SELECT length($1::bytea)", [("binary", bytes(SQL_PARAMETER_BYTES_MAX))]) == 1
    with failed("bad-parameter", "bytes"):
        await connection.execute("SELECT length($1::bytea)", [("binary", bytes(SQL_PARAMETER_BYTES_MAX + 1))])
    assert await connection.execute("SELECT 1", []) == 1
    connection.drop()


# --- sessions ---


async def is_idle(pool) -> None:
    while pool.statistics().used:
        await trio.lowlevel.checkpoint()


async def test_nothing_of_a_session_is_left_for_the_next(connect, pool) -> None:
    first = await connect()
    backend = await ask(first, "SELECT pg_backend_pid()")
    await first.execute("CREATE TABLE IF NOT EXISTS leaks (a int)", [])
    await first.execute("CREATE TEMPORARY TABLE t (a int)", [])
    await first.execute("SET search_path = pg_temp", [])
    await first.execute("SELECT pg_advisory_lock(1)", [])
    await first.execute("BEGIN", [])
    await first.execute("INSERT INTO public.leaks VALUES (1)", [])
    first.drop()
    await is_idle(pool)
    second = await connect()
    assert await ask(second, "SELECT pg_backend_pid()") == backend
    assert await ask(second, "SELECT count(*) FROM leaks") == [[("int64", 0)]]
    assert await ask(second, "SELECT to_regclass('pg_temp.t') IS NULL") == [[("boolean", True)]]
    assert await ask(second, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [[("int64", 0)]]
    second.drop()


async def test_a_transaction_lasts_as_long_as_the_handle(connect) -> None:
    one, other = await connect(), await connect()
    await one.execute("CREATE TABLE IF NOT EXISTS kept (a int)", [])
    await one.execute("DELETE FROM kept", [])
    await one.execute("BEGIN", [])
    await one.execute("INSERT INTO kept VALUES (1)", [])
    assert await ask(other, "SELECT count(*) FROM kept") == [[("int64", 0)]]
    await one.execute("COMMIT", [])
    assert await ask(other, "SELECT count(*) FROM kept") == [[("int64", 1)]]
    one.drop()
    other.drop()


async def test_a_failed_transaction_goes_on_as_one(connect, pool) -> None:
    connection = await connect()
    await connection.execute("BEGIN", [])
    with failed("query-failed", "42601"):
        await connection.execute("SELEC", [])
    with failed("query-failed", "25P02"):
        await connection.execute("SELECT $1::text", [("str", "x")])
    connection.drop()
    await is_idle(pool)
    assert pool.statistics().idle == 1


@pytest.mark.parametrize("end", ["COMMIT", "/* enough */ ROLLBACK"])
async def test_the_end_of_a_failed_transaction_is_no_failure(connect, end) -> None:
    connection = await connect()
    await connection.execute("BEGIN", [])
    with failed("query-failed", "42601"):
        await connection.execute("SELEC", [])
    assert await connection.execute(end, []) == 0
    assert await ask(connection, "SELECT 1") == [[("int32", 1)]]
    connection.drop()


async def test_settings_of_a_session_change_no_value(connect) -> None:
    connection = await connect()
    for setting in ("DateStyle = 'German'", "IntervalStyle = 'iso_8601'", "bytea_output = 'escape'",
                    "extra_float_digits = -10", "client_encoding = 'UTF8'"):  # fmt: skip
        await connection.execute(f"SET {setting}", [])
    values = [("date", (2024, 2, 29)), ("interval", (1, 2, 3)), ("binary", b"\0\xff"), ("floating64", 1 / 3)]
    assert await ask(connection, "SELECT $1::date, $2::interval, $3::bytea, $4::float8", *values) == [values]
    connection.drop()


async def test_a_cancelled_statement_is_cancelled_at_the_server(connect, pool) -> None:
    connection, watcher = await connect(), await connect()
    ((pid,),) = await ask(connection, "SELECT pg_backend_pid()")
    running = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::int4 AND state = 'active'"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.query, "SELECT pg_sleep(600)", [])
        while await ask(watcher, running, pid) == [[("int64", 0)]]:
            pass
        nursery.cancel_scope.cancel()
    while await ask(watcher, running, pid) != [[("int64", 0)]]:
        pass
    with failed("query-failed", "closed"):
        await connection.query("SELECT 1", [])
    connection.drop()
    watcher.drop()
    await is_idle(pool)
    assert pool.statistics().idle == 1


async def test_a_statement_that_takes_too_long(connect, monkeypatch) -> None:
    connection = await connect()
    monkeypatch.setattr(connection_module, "SQL_STATEMENT_S_MAX", 0.01)
    with failed("query-failed", "took longer"):
        await connection.query("SELECT pg_sleep(600)", [])
    connection.drop()


async def test_many_at_once(connect, pool) -> None:
    async def work(number: int) -> None:
        for _ in range(3):
            connection = await connect()
            assert await ask(connection, "SELECT $1::int4", ("int32", number)) == [[("int32", number)]]
            connection.drop()

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(work, number)
    await is_idle(pool)
    assert 1 <= pool.statistics().idle <= 64


async def test_a_session_that_the_server_ends(connect) -> None:
    connection, killer = await connect(), await connect()
    ((pid,),) = await ask(connection, "SELECT pg_backend_pid()")
    await killer.execute("SELECT pg_terminate_backend($1, 5000)", [pid])
    with failed("query-failed", ""):
        await connection.query("SELECT 1", [])
    with failed("query-failed", "closed"):
        await connection.query("SELECT 1", [])
    connection.drop()
    killer.drop()


async def test_a_server_that_goes_and_comes_back(nursery) -> None:
    with postgres_folder() as server:
        pool = postgres_pool(dialer())
        nursery.start_soon(pool.run)
        interface = SpinPostgres4(grant("postgres://*:*"), pool)
        where = f"postgres://owner:s3cret@localhost:{server.port}/shop?sslmode=disable"
        with server.start() as running:
            idle = await interface.connection_open(invocation(), where)
            idle.drop()
            await is_idle(pool)
            held = await interface.connection_open(invocation(), where)
            os.kill(running.pid, signal.SIGQUIT)  # ends all sessions at once, as if it had crashed
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
