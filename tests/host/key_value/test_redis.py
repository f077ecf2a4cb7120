"""What is peculiar to key-value stores on Redis. What all engines do is in test_engine.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from trio.testing import MockClock

from edged.host.key_value.engine import StoreFailed
from edged.host.key_value.redis import RedisKeyValue, store_prefix
from edged.host.redis.address import RedisAddress
from edged.host.redis.pool import RedisPool
from edged.limits import (
    KEY_VALUE_BATCH_BYTES_MAX,
    KEY_VALUE_BATCH_COUNT_MAX,
    KEY_VALUE_REDIS_KEYS_MAX,
    KEY_VALUE_VALUE_BYTES_MAX,
)
from tests.host.redis.fakes import LOCAL, Played
from tests.services import Service

PLAYED = RedisAddress("redis", "127.0.0.1")
Make = Callable[[str], RedisKeyValue]

_numbers = itertools.count()


@pytest.fixture
async def pool():
    pool = RedisPool(LOCAL)
    yield pool
    pool.close()


@pytest.fixture
def address(redis: Service) -> RedisAddress:
    """An own database, so that what others keep does not count."""
    return RedisAddress("redis", "127.0.0.1", redis.port, database=5)


@pytest.fixture
async def make(pool: RedisPool, address: RedisAddress):
    await pool.command(address, "FLUSHDB")
    return lambda prefix: RedisKeyValue(pool, address, prefix)


def test_no_prefix_begins_with_another() -> None:
    names = ["", "a", "b", "a:b", ":", "a:", "%3A", "é", "*"]
    prefixes = [store_prefix(app, label) for app in names for label in names]
    assert len(set(prefixes)) == len(names) ** 2
    assert not [(one, other) for one, other in itertools.permutations(prefixes, 2) if one.startswith(other)]


async def test_labels_and_apps_are_apart(make: Make) -> None:
    stores = [make(store_prefix(app, label)) for app in ("a", "b") for label in ("one", "two")]
    for number, store in enumerate(stores):
        await store.set_many([("k", b"%d" % number), (f"only {number}", b"")])
    for number, store in enumerate(stores):
        assert await store.get_many(["k"], 10) == [b"%d" % number]
        assert await store.keys("", 10) == ["k", f"only {number}"]
    await stores[0].delete_many(["k"])
    assert await stores[1].exists("k")


async def test_with_an_empty_prefix_the_keys_are_those_of_spin(
    make: Make, pool: RedisPool, address: RedisAddress
) -> None:
    await pool.command(address, "SET", "set by Spin", b"1")
    assert await make("").get_many(["set by Spin"], 10) == [b"1"]
    await make("").set_many([("set by edged", b"2")])
    assert await pool.command(address, "GET", "set by edged") == b"2"
    assert await make("").keys("", 10) == ["set by Spin", "set by edged"]


async def test_a_prefix_is_no_pattern(make: Make) -> None:
    await make("a").set_many([("x", b"")])
    for prefix in ("?", "*", "[a]", "[^b]", "\\a", "[a-b]"):
        store = make(prefix)
        assert await store.keys("", 10) == []
        await store.set_many([("k", b"")])
        assert await store.keys("", 10) == ["k"]


async def test_many_keys_in_pages(make: Make) -> None:
    store = make("many:")
    names = [f"{number:05}" for number in range(5_000)]
    for start in range(0, 5_000, KEY_VALUE_BATCH_COUNT_MAX):
        await store.set_many([(name, b"") for name in names[start : start + KEY_VALUE_BATCH_COUNT_MAX]])
    assert await store.keys("", 10_000) == names
    assert await store.keys("", 3) == names[:3]
    assert await store.keys("00999", 1_001) == names[1_000:2_001]


async def test_a_database_at_the_limit_of_keys_and_over(make: Make, pool: RedisPool, address: RedisAddress) -> None:
    fill = "for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do redis.call('SET', i, '') end"
    await pool.command(address, "EVAL", fill, 0, 2, KEY_VALUE_REDIS_KEYS_MAX)
    store = make("mine:")
    await store.set_many([("k", b"")])
    assert await store.keys("", 10) == ["k"]
    await store.set_many([("l", b"")])
    with pytest.raises(StoreFailed, match="too many to list"):
        await store.keys("", 10)
    assert await store.exists("k")
    await pool.command(address, "FLUSHDB")


async def test_batches_at_the_limits(make: Make) -> None:
    store = make("batch:")
    names = [f"{number:0250}" for number in range(KEY_VALUE_BATCH_COUNT_MAX)]
    await store.set_many([(name, b"x") for name in names])
    assert await store.get_many(names, KEY_VALUE_BATCH_COUNT_MAX) == [b"x"] * KEY_VALUE_BATCH_COUNT_MAX
    await store.delete_many(names)
    assert await store.keys("", 1) == []
    large = bytes(KEY_VALUE_VALUE_BYTES_MAX)
    assert KEY_VALUE_BATCH_BYTES_MAX == 4 * KEY_VALUE_VALUE_BYTES_MAX
    await store.set_many([(str(number), large) for number in range(4)])
    assert await store.get_many(["0", "1", "2", "3"], KEY_VALUE_BATCH_BYTES_MAX) == [large] * 4
    with pytest.raises(StoreFailed, match=f"more than {KEY_VALUE_BATCH_BYTES_MAX} bytes"):
        await store.get_many(["0", "1", "2", "3", "0"], KEY_VALUE_BATCH_BYTES_MAX)
    assert await store.exists("0"), "it still answers"


async def test_nothing_asked_is_nothing_done(make: Make) -> None:
    store = make("nothing:")
    assert await store.get_many([], 0) == []
    await store.set_many([])
    await store.delete_many([])


async def test_numbers_that_do_not_fit(make: Make) -> None:
    store = make("number:")
    await store.set_many([("n", b"9223372036854775807")])
    with pytest.raises(StoreFailed, match="64 bits"):
        await store.increment("n", 1)
    assert await store.get_many(["n"], 100) == [b"9223372036854775807"]


async def test_what_another_tool_keeps_there(make: Make, pool: RedisPool, address: RedisAddress) -> None:
    store = make("other:")
    await pool.command(address, "LPUSH", "other:list", "a")
    await pool.command(address, "SET", b"other:\xff", "a")
    for call in (store.get_many(["list"], 10), store.increment("list", 1), store.swap("list", b"a", b"b")):
        with pytest.raises(StoreFailed, match="refused: WRONGTYPE"):
            await call
    assert await store.keys("", 10) == ["list"]


async def test_a_server_that_cannot_be_reached() -> None:
    store = RedisKeyValue(RedisPool(LOCAL), RedisAddress("redis", "127.0.0.1", 1, password="geheim"), "p:")
    for call in (store.get_many(["a"], 10), store.set_many([("a", b"")]), store.keys("", 1)):
        with pytest.raises(StoreFailed) as failure:
            await call
        assert str(failure.value) == "the store cannot be reached, or did not answer"


@pytest.mark.parametrize("answer", [b"$-1\r\n", b":1\r\n", b"*1\r\n:1\r\n", b"+OK\r\n"])
async def test_answers_of_the_wrong_type(answer: bytes, autojump_clock: MockClock) -> None:
    for ask in (
        lambda store: store.get_many(["a", "b"], 10),
        lambda store: store.keys("", 10),
    ):
        played = Played()
        pool = RedisPool(played.dialer)
        async with played.answering(answer):
            with pytest.raises(StoreFailed):
                await ask(RedisKeyValue(pool, PLAYED, "p:"))
        pool.close()
