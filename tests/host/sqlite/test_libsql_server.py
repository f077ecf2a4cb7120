"""A guest's database on libSQL's own server."""

from __future__ import annotations

import ssl
from uuid import uuid4

import pytest

from edged.host.sqlite.engine import DatabaseFailed
from edged.host.sqlite.libsql import LibsqlDatabase
from edged.limits import SQLITE_ROW_COUNT_MAX

TLS = ssl.create_default_context()
COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ?) SELECT x FROM c"


@pytest.fixture
async def database(sqld):
    database = LibsqlDatabase(f"http://127.0.0.1:{sqld.port}", "", TLS)
    yield database
    database.close()


@pytest.fixture
def table() -> str:
    """A name that no other test has."""
    return f"t{uuid4().hex}"


async def test_values_rows_and_changes(database, table) -> None:
    connection = await database.open()
    values = [-(2**63), 2**63 - 1, 1.5, "é\0\n", b"\0\xff", b"", None]
    assert await connection.execute("SELECT ?, ?, ?, ?, ?, ?, ? AS last", values) == (
        ["?", "?", "?", "?", "?", "?", "last"],
        [values],
    )
    assert (connection.last_insert_rowid(), connection.changes()) == (0, 0)
    assert await connection.execute(f"CREATE TABLE {table} (a)", []) == ([], [])
    await connection.execute(f"INSERT INTO {table} VALUES (?), (?), (?)", [1, 2, 3])
    assert await connection.execute(f"SELECT a FROM {table} WHERE a > ?", [1]) == (["a"], [[2], [3]])
    assert (connection.last_insert_rowid(), connection.changes()) == (3, 3)
    await connection.execute(f"UPDATE {table} SET a = 1 WHERE a > 5", [])
    assert (connection.last_insert_rowid(), connection.changes()) == (3, 0)
    connection.close()


async def test_a_transaction_is_undone_with_its_connection_and_lets_go_of_the_lock(database, table) -> None:
    one, other = await database.open(), await database.open()
    await one.execute(f"CREATE TABLE {table} (a)", [])
    await one.execute("BEGIN IMMEDIATE", [])
    await one.execute(f"INSERT INTO {table} VALUES (1)", [])
    assert (await other.execute(f"SELECT a FROM {table}", [])).rows == []
    one.close()
    await other.execute(f"INSERT INTO {table} VALUES (2)", [])
    assert (await other.execute(f"SELECT a FROM {table}", [])).rows == [[2]]
    other.close()


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM absent", "no such table"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT ?", "parameter"),
        ("ATTACH 'other.db' AS o", "ATTACH"),
    ],
)
async def test_what_the_server_says(database, statement, reason) -> None:
    connection = await database.open()
    with pytest.raises(DatabaseFailed, match=reason):
        await connection.execute(statement, [])
    assert (await connection.execute("SELECT 1", [])).rows == [[1]]
    connection.close()


async def test_rows_at_the_limit_and_over(database) -> None:
    connection = await database.open()
    assert len((await connection.execute(COUNT, [SQLITE_ROW_COUNT_MAX])).rows) == SQLITE_ROW_COUNT_MAX
    with pytest.raises(DatabaseFailed, match="rows"):
        await connection.execute(COUNT, [SQLITE_ROW_COUNT_MAX + 1])
    connection.close()


async def test_a_stream_that_the_server_does_not_know(database) -> None:
    connection = await database.open()
    connection._baton = "of another day"
    assert (await connection.execute("SELECT 1", [])).rows == [[1]]
    await connection.execute("BEGIN", [])
    connection._baton = "of another day"
    with pytest.raises(DatabaseFailed, match="lost"):
        await connection.execute("SELECT 1", [])
    connection.close()
