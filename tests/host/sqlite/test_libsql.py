"""A guest's database on a libSQL server."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trio

from edged.host.interface import Err, Ok
from edged.host.sqlite.engine import DatabaseFailed
from edged.host.sqlite.interfaces import Connection, Connection3, SpinSqlite2, SpinSqlite3
from edged.host.sqlite.libsql import LibsqlDatabase
from edged.limits import (
    LIBSQL_ANSWER_BYTES_MAX,
    LIBSQL_REASON_CHARS_MAX,
    LIBSQL_STREAM_COUNT_MAX,
    LIBSQL_TIMEOUT_S,
    SQLITE_CELL_OVERHEAD_BYTES,
    SQLITE_RESULT_BYTES_MAX,
    SQLITE_ROW_COUNT_MAX,
    SQLITE_STATEMENT_BYTES_MAX,
)
from tests.host.fakes import err, invocation, settled
from tests.host.json_server import JsonServer, always, json_server
from tests.host.reading import outcome, read_all
from tests.host.sqlite.hrana import Hrana

BOTH = pytest.mark.parametrize("interface", [SpinSqlite2, SpinSqlite3])
TLS = ssl.create_default_context()
COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ?) SELECT x FROM c"


@pytest.fixture
def hrana(tmp_path):
    hrana = Hrana(tmp_path / "served.db", "token-1")
    yield hrana
    hrana.close()


@pytest.fixture
async def server(hrana):
    async with json_server(hrana.answer) as server:
        yield server


@pytest.fixture
async def database(server):
    database = LibsqlDatabase(server.url, "token-1", TLS)
    yield database
    database.close()


async def connect(database: LibsqlDatabase) -> Connection3:
    opened = await SpinSqlite3({"default": database}).connection_open(invocation(), "default")
    assert isinstance(opened, Connection3)
    return opened


@pytest.fixture
async def connection(database):
    opened = await connect(database)
    yield opened
    opened.drop()
    await trio.testing.wait_all_tasks_blocked()


async def ask(connection: Connection, statement: str, *parameters: object) -> list[list[object]]:
    return [list(row.values) for row in (await connection.execute(statement, list(parameters))).rows]


def io(text: str):
    return pytest.raises(Err, check=lambda e: e.value[0] == "io" and text in e.value[1])


# --- which databases may be opened ---


@BOTH
async def test_granted_and_denied(database, interface) -> None:
    call, sqlite = invocation(), interface({"default": database})
    opened = await sqlite.connection_open(call, "default")
    assert await ask(opened, "SELECT 1") == [[("integer", 1)]]
    opened.drop()
    with err("access-denied"):
        await sqlite.connection_open(call, "other")
    assert database.connections.value == LIBSQL_STREAM_COUNT_MAX


async def test_connections_past_the_limit_wait(database, autojump_clock) -> None:
    for _ in range(LIBSQL_STREAM_COUNT_MAX - 1):
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
        ("text", "é\0\n"),
        ("blob", b"\0\xff"),
        ("blob", b""),
        "null",
    ]
    result = await connection.execute("SELECT ?, ?, ?, ?, ?, ?, ? AS last", values)
    assert result.columns[-1] == "last"
    assert [list(row.values) for row in result.rows] == [values]


async def test_numbers_that_json_does_not_have(connection) -> None:
    assert await ask(connection, "SELECT ?", ("real", float("nan"))) == [["null"]]
    with io("infinite"):
        await ask(connection, "SELECT ?", ("real", float("-inf")))
    with io("infinite"):
        await ask(connection, "SELECT 9e999")
    assert await ask(connection, "SELECT 1") == [[("integer", 1)]]


async def test_rows_as_a_stream(connection) -> None:
    """Of a result that is there already: Hrana over HTTP has no other."""
    columns, rows, ended = await connection.execute_async("SELECT 1 AS a UNION ALL SELECT 2", [])
    assert columns == ["a"]
    assert [list(row.values) for row in await read_all(rows, 1)] == [[("integer", 1)], [("integer", 2)]]
    assert await outcome(ended) == Ok()
    with io("no such table"):
        await connection.execute_async("SELECT * FROM absent", [])


async def test_statements_at_once_go_one_after_the_other(connection) -> None:
    await connection.execute("CREATE TABLE t (a)", [])

    async def insert(number: int) -> None:
        await connection.execute_async("INSERT INTO t VALUES (?)", [("integer", number)])
        assert await settled(connection.changes_async()) == 1

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(insert, number)
    assert await ask(connection, "SELECT count(*) FROM t") == [[("integer", 10)]]


async def test_rows_changes_and_rowid(connection) -> None:
    assert (connection.last_insert_rowid(), connection.changes()) == (0, 0)
    assert await connection.execute("CREATE TABLE t (a)", []) == ([], [])
    assert await connection.execute("INSERT INTO t VALUES (1), (2), (3)", []) == ([], [])
    assert (connection.last_insert_rowid(), connection.changes()) == (3, 3)
    assert await ask(connection, "SELECT a FROM t WHERE a > ?", ("integer", 1)) == [[("integer", 2)], [("integer", 3)]]
    assert (connection.last_insert_rowid(), connection.changes()) == (3, 3)
    await connection.execute("UPDATE t SET a = 1 WHERE a > 5", [])
    assert (connection.last_insert_rowid(), connection.changes()) == (3, 0)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [("SELEC 1", "syntax error"), ("SELECT * FROM absent", "no such table"), ("SELECT 1; SELECT 2", "one statement")],
)
async def test_what_the_server_says(connection, statement, reason) -> None:
    with io(reason):
        await connection.execute(statement, [])
    assert await ask(connection, "SELECT 1") == [[("integer", 1)]]


# --- connections and transactions ---


async def test_a_transaction_is_its_connections_own_and_undone_at_its_end(database, hrana) -> None:
    one, other = await connect(database), await connect(database)
    await one.execute("CREATE TABLE t (a)", [])
    await one.execute("BEGIN IMMEDIATE", [])
    await one.execute("INSERT INTO t VALUES (1)", [])
    assert await ask(other, "SELECT count(*) FROM t") == [[("integer", 0)]]
    with io("locked"):
        await other.execute("INSERT INTO t VALUES (2)", [])
    one.drop()
    await trio.testing.wait_all_tasks_blocked()
    await other.execute("INSERT INTO t VALUES (2)", [])
    assert await ask(other, "SELECT a FROM t") == [[("integer", 2)]]
    other.drop()
    await trio.testing.wait_all_tasks_blocked()
    assert not hrana.streams


async def test_a_stream_that_the_server_has_ended(database, hrana) -> None:
    connection = await connect(database)
    await connection.execute("CREATE TABLE t (a)", [])
    hrana.close()
    assert await ask(connection, "SELECT count(*) FROM t") == [[("integer", 0)]]
    await connection.execute("BEGIN", [])
    await connection.execute("INSERT INTO t VALUES (1)", [])
    hrana.close()
    for _ in range(2):
        with io("lost"):
            await connection.execute("INSERT INTO t VALUES (2)", [])
    connection.drop()
    other = await connect(database)
    assert await ask(other, "SELECT count(*) FROM t") == [[("integer", 0)]]
    other.drop()
    await trio.testing.wait_all_tasks_blocked()


async def test_a_statement_whose_answer_nobody_heard(database, server, hrana, autojump_clock) -> None:
    connection = await connect(database)
    assert await ask(connection, "SELECT 1") == [[("integer", 1)]]

    async def never(_asked: object) -> Any:
        await trio.sleep_forever()

    server.answer = never
    start = trio.current_time()
    with io("did not answer"):
        await connection.execute("INSERT INTO t VALUES (1)", [])
    assert trio.current_time() - start == pytest.approx(LIBSQL_TIMEOUT_S)
    server.answer = hrana.answer
    with io("lost"):
        await connection.execute("SELECT 1", [])
    connection.drop()


async def test_a_cancelled_statement(database, server, hrana) -> None:
    connection = await connect(database)

    async def never(_asked: object) -> Any:
        nursery.cancel_scope.cancel()
        await trio.sleep_forever()

    server.answer = never
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.execute, "SELECT 1", [])
    server.answer = hrana.answer
    with io("lost"):
        await connection.execute("SELECT 1", [])
    connection.drop()


async def test_closing_does_not_wait_for_a_server_that_is_gone(database, server, autojump_clock) -> None:
    connection = await connect(database)
    await connection.execute("SELECT 1", [])

    async def never(_asked: object) -> Any:
        await trio.sleep_forever()

    server.answer = never
    connection.drop()
    assert database.connections.value == LIBSQL_STREAM_COUNT_MAX
    await trio.sleep(LIBSQL_TIMEOUT_S)
    assert len(server.asked) == 2


async def test_a_connection_that_asked_nothing_says_no_goodbye(database, server) -> None:
    (await database.open()).close()
    await trio.testing.wait_all_tasks_blocked()
    assert not server.asked


# --- what a server may get wrong ---


async def test_a_token_that_is_not_taken(server) -> None:
    database = LibsqlDatabase(server.url, "token-2", TLS)
    connection = await database.open()
    with pytest.raises(DatabaseFailed) as caught:
        await connection.execute("SELECT 1", [])
    assert "token of the runtime config" in str(caught.value)
    assert "token-2" not in str(caught.value) + repr(database) + repr(connection)
    connection.close()
    database.close()


def answers(*values: object, **changes: object) -> dict[str, Any]:
    """An answer to one statement, with one row of one column each."""
    return {
        "baton": "b",
        "base_url": None,
        "results": [
            _ok(result={"cols": [{"name": "a"}], "rows": [[value] for value in values]}),
            _ok(result={"cols": [{"name": "a"}, {"name": "b"}], "rows": [[INTEGER, INTEGER]]}),
            _ok(is_autocommit=True),
        ],
    } | changes


def _ok(**response: object) -> object:
    return {"type": "ok", "response": response}


INTEGER = {"type": "integer", "value": "1"}


async def executed(server: JsonServer, status: int, body: object) -> Any:
    server.answer = always(status, body)
    database = LibsqlDatabase(server.url, "", TLS)
    connection = await database.open()
    try:
        return await connection.execute("SELECT 1", [])
    finally:
        connection.close()
        database.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        [],
        {},
        answers(baton=1),
        answers(results=[]),
        answers(results=[{"type": "error"}, 1, 2]),
        answers({"type": "integer", "value": str(2**63)}),
        answers({"type": "integer", "value": "x"}),
        answers({"type": "float", "value": "x"}),
        answers({"type": "text", "value": 1}),
        answers({"type": "text"}),
        answers({"type": "blob", "base64": "?"}),
        answers({"type": "jsonb"}),
        answers(None),
        answers(INTEGER) | {"results": [_ok(result={"cols": [], "rows": [[INTEGER]]})]},
    ],
)
async def test_no_hrana(server, body) -> None:
    with pytest.raises(DatabaseFailed, match="other than Hrana"):
        await executed(server, 200, body)


async def test_what_is_hrana(server) -> None:
    assert await executed(server, 200, answers(INTEGER, INTEGER)) == (["a"], [[1], [1]])


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
async def test_a_server_that_fails(server, status) -> None:
    with pytest.raises(DatabaseFailed, match=f"^the database answered {status}$"):
        await executed(server, status, b"Traceback of the server's own")


async def test_a_server_that_sends_us_elsewhere(server) -> None:
    with pytest.raises(DatabaseFailed, match="another address"):
        await executed(server, 200, answers(INTEGER, base_url="http://169.254.169.254"))


async def test_a_full_database(server) -> None:
    full = {"type": "error", "error": {"message": "database or disk is full", "code": "SQLITE_FULL"}}
    with pytest.raises(DatabaseFailed, match="full") as caught:
        await executed(server, 200, answers() | {"results": [full, *answers()["results"][1:]]})
    assert caught.value.is_full


# --- limits ---


async def test_its_words_at_the_limit_and_over(server) -> None:
    for length in (LIBSQL_REASON_CHARS_MAX, LIBSQL_REASON_CHARS_MAX + 1):
        error = {"type": "error", "error": {"message": "x" * length}}
        with pytest.raises(DatabaseFailed, match=f"^x{{{LIBSQL_REASON_CHARS_MAX}}}$"):
            await executed(server, 200, answers() | {"results": [error, *answers()["results"][1:]]})


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


async def test_an_answer_over_the_limit(server) -> None:
    with pytest.raises(DatabaseFailed, match="more than"):
        await executed(server, 200, b" " * (LIBSQL_ANSWER_BYTES_MAX + 1))


async def test_a_statement_at_the_limit_and_over(connection) -> None:
    longest = "SELECT 1".ljust(SQLITE_STATEMENT_BYTES_MAX)
    assert await ask(connection, longest) == [[("integer", 1)]]
    with io("too large"):
        await ask(connection, longest + " ")


@pytest.mark.parametrize("url", ["a.turso.io", "file:a.db", "libsql://a.turso.io"])
def test_no_urls(url) -> None:
    with pytest.raises(ValueError, match="URL"):
        LibsqlDatabase(url, "")
