"""Engines of key-value stores: what the interfaces rely on, on SQLite, Redis and the fake in memory alike."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from edged.errors import StateFolderError
from edged.host.key_value.engine import LATER, KeyValue, StoreFailed, incremented
from edged.host.key_value.redis import RedisKeyValue, store_prefix
from edged.host.key_value.sqlite import KeyValueFile
from edged.host.redis.address import RedisAddress
from edged.host.redis.pool import RedisPool
from edged.host.state import KEY_VALUE_FILE, open_state
from edged.limits import KEY_VALUE_LOOP_BYTES_MAX, MiB
from tests.host.key_value.memory import MemoryKeyValue
from tests.host.redis.fakes import LOCAL
from tests.services import Service


@pytest.fixture(params=["sqlite", "redis", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KeyValue]:
    if request.param == "memory":
        yield MemoryKeyValue()
        return
    if request.param == "redis":
        service: Service = request.getfixturevalue("redis")
        pool = RedisPool(LOCAL)
        yield RedisKeyValue(
            pool, RedisAddress("redis", "127.0.0.1", service.port), store_prefix(request.node.name, "a")
        )
        pool.close()
        return
    file = KeyValueFile(tmp_path / "a.db")
    yield file.store("default")
    file.close()


async def test_values(store: KeyValue) -> None:
    await store.set_many([("a", b"1"), ("", b"empty key"), ("é\0", b"")])
    await store.set_many([("a", b"2")])
    assert list(await store.get_many(["a", "", "é\0", "b"], 100)) == [b"2", b"empty key", b"", None]
    assert [await store.exists(key) for key in ("a", "é\0", "b")] == [True, True, False]
    await store.delete_many(["a", "never there"])
    assert await store.keys("", 10) == ["", "é\0"]


async def test_values_at_the_limit_and_over(store: KeyValue) -> None:
    await store.set_many([("a", b"12"), ("b", b"345")])
    assert list(await store.get_many(["a", "b"], 5)) == [b"12", b"345"]
    with pytest.raises(StoreFailed, match="more than 4 bytes"):
        await store.get_many(["a", "b"], 4)
    assert await store.exists("a"), "it still answers"


async def test_keys_in_pages(store: KeyValue) -> None:
    await store.set_many([(key, b"") for key in ("b", "", "\U0001f600", "\uffff", "a")])
    assert await store.keys("", 2) == ["", "a"]
    assert await store.keys("a", 2) == ["b", "\uffff"]
    assert await store.keys("\uffff", 2) == ["\U0001f600"]
    assert await store.keys("\U0001f600", 2) == []


async def test_increment(store: KeyValue) -> None:
    assert await store.increment("n", 5) == 5
    assert await store.increment("n", -7) == -2
    assert list(await store.get_many(["n"], 10)) == [b"-2"]
    await store.set_many([("n", b"many")])
    with pytest.raises(StoreFailed, match="not a decimal number"):
        await store.increment("n", 1)
    assert list(await store.get_many(["n"], 10)) == [b"many"]


async def test_concurrent_increments_lose_none(store: KeyValue) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(store.increment, "n", 1)
    assert await store.increment("n", 0) == 20


async def test_swap(store: KeyValue) -> None:
    assert await store.swap("a", None, b"1")
    assert not await store.swap("a", None, b"2")
    assert not await store.swap("a", b"0", b"2")
    assert await store.swap("a", b"1", b"2")
    assert list(await store.get_many(["a"], 10)) == [b"2"]


@pytest.mark.parametrize(
    ("value", "delta", "total"),
    [
        (None, 3, 3),
        (b"-1", 1, 0),
        (b"+4", 0, 4),
        (b"9223372036854775806", 1, 2**63 - 1),
        (b"-9223372036854775807", -1, -(2**63)),
    ],
)
def test_sums(value: bytes | None, delta: int, total: int) -> None:
    assert incremented(value, delta) == total


@pytest.mark.parametrize(
    ("value", "delta"),
    [
        (b"9223372036854775807", 1),
        (b"-9223372036854775808", -1),
        (b"9223372036854775808", -1),
        (b"", 1),
        (b" 1", 1),
        (b"1_0", 1),
        (b"1.0", 1),
        (b"1" * 5000, 1),
        ("٣".encode(), 1),
    ],
)
def test_what_is_no_number_of_64_bits(value: bytes, delta: int) -> None:
    with pytest.raises(StoreFailed):
        incremented(value, delta)


async def test_stores_of_a_file_are_apart_and_outlive_it(tmp_path: Path) -> None:
    first = KeyValueFile(tmp_path / "a.db")
    await first.store("one").set_many([("k", b"1")])
    assert not await first.store("two").exists("k")
    first.close()
    again = KeyValueFile(tmp_path / "a.db")
    assert list(await again.store("one").get_many(["k"], 10)) == [b"1"]
    again.close()


async def test_two_openings_of_a_file_see_each_other(tmp_path: Path) -> None:
    """As two workers have it, and the old and the new app during a swap."""
    one, other = KeyValueFile(tmp_path / "a.db"), KeyValueFile(tmp_path / "a.db")
    async with trio.open_nursery() as nursery:
        for file in (one, other) * 10:
            nursery.start_soon(file.store("s").increment, "n", 1)
    assert await one.store("s").increment("n", 0) == await other.store("s").increment("n", 0) == 20
    one.close()
    other.close()


async def test_a_file_at_its_limit_takes_no_more_and_still_answers(tmp_path: Path) -> None:
    file = KeyValueFile(tmp_path / "a.db", 1 * MiB)
    store = file.store("default")
    await store.set_many([("a", bytes(512 * 1024))])
    with pytest.raises(StoreFailed, match="full"):
        await store.set_many([("b", b"1"), ("c", bytes(600 * 1024))])
    assert await store.keys("", 10) == ["a"], "all or nothing"
    await store.delete_many(["a"])
    await store.set_many([("c", bytes(600 * 1024))])
    assert await store.exists("c")
    file.close()


async def test_what_another_tool_wrote_is_bytes(tmp_path: Path) -> None:
    file = KeyValueFile(tmp_path / "a.db")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("INSERT INTO spin_key_value VALUES ('s', 'text', 'é'), ('s', 'number', 5)")
    connection.close()
    assert list(await file.store("s").get_many(["text", "number"], 10)) == ["é".encode(), b"5"]
    file.close()


async def test_a_store_whose_table_is_gone_fails(tmp_path: Path) -> None:
    file = KeyValueFile(tmp_path / "a.db")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("DROP TABLE spin_key_value")
    connection.close()
    with pytest.raises(StoreFailed, match="no such table"):
        await file.store("s").exists("k")
    file.close()


def test_state_is_made_only_where_it_is_asked_for(tmp_path: Path) -> None:
    assert open_state(None, {"default"}).key_value == {}
    open_state(tmp_path / "s", ()).close()
    assert not (tmp_path / "s").exists()
    state = open_state(tmp_path / "s" / "t", {"default", "cache"})
    assert set(state.key_value) == {"default", "cache"}
    assert (tmp_path / "s" / "t" / KEY_VALUE_FILE).is_file()
    state.close()


def test_a_state_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderError, match="File exists"):
        open_state(tmp_path / "file", {"default"})
    (tmp_path / KEY_VALUE_FILE).write_text("no database at all, but longer than the header of one is " * 10)
    with pytest.raises(StateFolderError, match="not a database"):
        open_state(tmp_path, {"default"})


# --- reading on the loop ---


async def test_a_value_that_is_small_is_read_at_once(tmp_path: Path) -> None:
    file = KeyValueFile(tmp_path / "a.db")
    store = file.store("default")
    largest = bytes(KEY_VALUE_LOOP_BYTES_MAX)
    await store.set_many([("a", b""), ("b", largest), ("c", largest + b"x")])
    assert [store.get_nowait(key) for key in "abcd"] == [b"", largest, LATER, None]
    assert file.store("other").get_nowait("a") is None
    await store.set_many([("a", b"new")])
    assert store.get_nowait("a") == b"new", "what was set is seen"
    file.close()


async def test_a_file_that_another_process_holds_is_left_to_the_thread(tmp_path: Path) -> None:
    file = KeyValueFile(tmp_path / "a.db")
    store = file.store("default")
    await store.set_many([("a", b"1")])
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.get_nowait("a") == b"1", "a writer holds up no reader"
    other.execute("ROLLBACK")
    other.close()
    file.close()
    assert store.get_nowait("a") is LATER, "what is wrong is for get_many to say"
