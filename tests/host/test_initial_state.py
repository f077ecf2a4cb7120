"""`--key-value` and `--sqlite`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.errors import InitialStateFailed
from edged.host.initial_state import InitialState, SqlScript, set_initial_state, statements
from edged.host.state import KEY_VALUE_FILE, State, open_state
from edged.limits import SQLITE_STATEMENT_BYTES_MAX

SECRET = "geheim-1234"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = open_state(tmp_path, {"default"}, {"default", "other"})
    yield state
    state.close()


async def rows(state: State, label: str, statement: str) -> list[tuple[object, ...]]:
    opened = await state.databases[label].open()
    try:
        return [tuple(row) for row in (await opened.execute(statement, [])).rows]
    finally:
        opened.close()


async def failure(initial: InitialState, state: State) -> str:
    with pytest.raises(InitialStateFailed) as caught:
        await set_initial_state(initial, state)
    assert SECRET not in caught.value.message + repr(initial)
    return caught.value.message


async def test_nothing() -> None:
    await set_initial_state(InitialState(), State())


async def test_pairs(state: State) -> None:
    store = state.key_value["default"]
    await store.set_many([("a", b"old"), ("kept", b"1")])
    await set_initial_state(InitialState((("a", "1"), ("b", "ä=x"), ("a", "2"))), state)
    assert await store.get_many(["a", "b", "kept"], 100) == [b"2", "ä=x".encode(), b"1"]


async def test_scripts(state: State) -> None:
    first = "-- schema; in a comment\nCREATE TABLE t (a);\nINSERT INTO t VALUES ('x;y'), (2)\n"
    scripts = (SqlScript("default", first), SqlScript("other", "CREATE TABLE u (a)"), SqlScript("default", "DELETE"))
    assert await failure(InitialState(scripts=scripts), state) == "--sqlite, statement 1: incomplete input"
    assert await rows(state, "default", "SELECT a FROM t") == [("x;y",), (2,)]
    assert await rows(state, "other", "SELECT count(*) FROM u") == [(0,)]


async def test_a_transaction_is_undone_unless_it_is_committed(state: State) -> None:
    text = "CREATE TABLE t (a); BEGIN; INSERT INTO t VALUES (1); COMMIT; BEGIN; INSERT INTO t VALUES (2);"
    await set_initial_state(InitialState(scripts=(SqlScript("default", text),)), state)
    assert await rows(state, "default", "SELECT a FROM t") == [(1,)]


async def test_what_a_guest_may_not_a_script_may_not(state: State, tmp_path: Path) -> None:
    script = SqlScript("default", f"SELECT 1; ATTACH '{tmp_path / KEY_VALUE_FILE}' AS kv", "--sqlite @a.sql")
    assert await failure(InitialState(scripts=(script,)), state) == "--sqlite @a.sql, statement 2: not authorized"


async def test_what_is_not_there() -> None:
    assert await failure(InitialState((("a", SECRET),)), State()) == "--key-value: the app has no store `default`"
    message = await failure(InitialState(scripts=(SqlScript("x", SECRET),)), State())
    assert message == "--sqlite: the app has no database `x`"


async def test_a_store_that_fails(tmp_path: Path, state: State) -> None:
    broken = open_state(tmp_path / "broken", {"default"}, ())
    broken.close()
    assert "--key-value: the store failed" in await failure(InitialState((("a", SECRET),)), broken)


async def test_a_long_statement(state: State) -> None:
    await set_initial_state(InitialState(scripts=(SqlScript("default", "CREATE TABLE t (a)"),)), state)
    short = "INSERT INTO t VALUES ('');"
    longest = short.replace("''", "'%s'" % ("x" * (SQLITE_STATEMENT_BYTES_MAX - len(short))))
    await set_initial_state(InitialState(scripts=(SqlScript("default", longest),)), state)
    too_long = longest.replace("'x", "'xx", 1)
    assert "too large" in await failure(InitialState(scripts=(SqlScript("default", too_long),)), state)


def test_what_must_be_open() -> None:
    assert (InitialState().stores, InitialState().databases) == (frozenset(), frozenset())
    initial = InitialState((("a", "1"),), (SqlScript("x", ""), SqlScript("y", "")))
    assert (initial.stores, initial.databases) == ({"default"}, {"x", "y"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2 ;\n", ["SELECT 1;", "SELECT 2 ;"]),
        ("SELECT ';', \";\", [;], `;`; x", ["SELECT ';', \";\", [;], `;`;", "x"]),
        ("/* ; */ SELECT 1; -- ;", ["/* ; */ SELECT 1;", "-- ;"]),
        (
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t; SELECT 1; END; SELECT 2",
            ["CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t; SELECT 1; END;", "SELECT 2"],
        ),
        ("SELECT 'open; SELECT 2;", ["SELECT 'open; SELECT 2;"]),
    ],
)
def test_statements(text: str, expected: list[str]) -> None:
    assert list(statements(text)) == expected


async def test_comments_and_empty_statements_do_nothing(state: State) -> None:
    await set_initial_state(InitialState(scripts=(SqlScript("default", ";; -- a;\n/* b */"),)), state)
