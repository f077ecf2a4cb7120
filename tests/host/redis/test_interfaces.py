"""fermyon:spin/redis and spin:redis, on a real server."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from edged.host.interface import Err
from edged.host.network.dialer import Dialer
from edged.host.network.gate import AddressGate
from edged.host.network.grant import Grant
from edged.host.redis.interfaces import RedisConnection, SpinRedis, SpinRedis3
from edged.host.redis.pool import PoolStatistics, RedisPool
from edged.limits import LIST_COUNT_MAX, REDIS_CONNECTIONS_OPEN_MAX
from edged.manifest.outbound import AllowedHosts, parse_host
from tests.host.fakes import err, invocation
from tests.host.redis.fakes import LOCAL, Played
from tests.services import Service

ANY = AllowedHosts((parse_host("redis://*:*"), parse_host("rediss://*:*")))
NONE = PoolStatistics(used=0, idle=0, waiting=0)

_numbers = itertools.count()


def other(text: str):
    return pytest.raises(Err, check=lambda e: e.value[0] == "other" and text in e.value[1])


@pytest.fixture
async def pool():
    pool = RedisPool(LOCAL)
    yield pool
    pool.close()


@pytest.fixture
def address(redis: Service) -> str:
    return f"redis://127.0.0.1:{redis.port}"


@pytest.fixture(params=[SpinRedis, SpinRedis3])
async def connection(request: pytest.FixtureRequest, pool: RedisPool, address: str):
    opened = await request.param(Grant(ANY, LOCAL), pool).connection_open(invocation(), address)
    yield opened
    opened.drop()


@pytest.fixture
def key() -> str:
    return f"interfaces:{next(_numbers)}"


# --- which servers may be reached ---


@pytest.mark.parametrize("interface", [SpinRedis, SpinRedis3])
async def test_granted_and_denied(pool: RedisPool, redis: Service, address: str, interface: type[SpinRedis]) -> None:
    granted = Grant(AllowedHosts((parse_host(f"redis://127.0.0.1:{redis.port}"),)), LOCAL)
    call = invocation()
    (await interface(granted, pool).connection_open(call, address)).drop()
    for denied in (
        Grant(),
        Grant(AllowedHosts((parse_host(f"redis://127.0.0.1:{redis.port + 1}"),)), LOCAL),
        Grant(AllowedHosts((parse_host(f"redis://localhost:{redis.port}"),)), LOCAL),
        Grant(AllowedHosts((parse_host(f"rediss://127.0.0.1:{redis.port}"),)), LOCAL),
    ):
        with err("invalid-address"):
            await interface(denied, pool).connection_open(call, address)
    with err("invalid-address"):
        await interface(granted, None).connection_open(call, address)
    assert call.budget.redis_connections == REDIS_CONNECTIONS_OPEN_MAX


async def test_an_allowed_name_that_leads_where_guests_may_not_go(address: str) -> None:
    closed = Dialer(AddressGate())
    call = invocation()
    with other("not an address that guests may reach"):
        await SpinRedis(Grant(ANY, closed), RedisPool(closed)).connection_open(call, address)
    assert call.budget.redis_connections == REDIS_CONNECTIONS_OPEN_MAX


@pytest.mark.parametrize("text", ["", "127.0.0.1", "http://127.0.0.1", "redis://127.0.0.1/x", "redis://127.0.0.1:x"])
async def test_what_is_no_address(pool: RedisPool, text: str) -> None:
    with err("invalid-address"):
        await SpinRedis(Grant(ANY, LOCAL), pool).connection_open(invocation(), text)


async def test_a_server_that_is_not_there(pool: RedisPool) -> None:
    with other("refused the connection"):
        await SpinRedis(Grant(ANY, LOCAL), pool).connection_open(invocation(), "redis://127.0.0.1:1")


async def test_connections_of_a_request_at_the_limit_and_over(pool: RedisPool, address: str) -> None:
    redis, call = SpinRedis(Grant(ANY, LOCAL), pool), invocation()
    opened = [await redis.connection_open(call, address) for _ in range(REDIS_CONNECTIONS_OPEN_MAX)]
    with err("too-many-connections"):
        await redis.connection_open(call, address)
    opened.pop().drop()
    opened.append(await redis.connection_open(call, address))
    for connection in opened:
        connection.drop()
    assert call.budget.redis_connections == REDIS_CONNECTIONS_OPEN_MAX


async def test_connections_of_an_app_over_the_limit(address: str, autojump_clock: MockClock) -> None:
    played = Played()
    pool = RedisPool(played.dialer, 1)
    redis, call = SpinRedis(Grant(ANY, LOCAL), pool), invocation()
    first = await redis.connection_open(call, "redis://127.0.0.1")
    with err("too-many-connections"):
        await redis.connection_open(call, "redis://127.0.0.1")
    assert call.budget.redis_connections == REDIS_CONNECTIONS_OPEN_MAX - 1
    first.drop()
    pool.close()
    played.close()


# --- the functions ---


async def test_values(connection: RedisConnection, key: str) -> None:
    assert await connection.get(key) is None
    await connection.set(key, b"\0\xff")
    assert await connection.get(key) == b"\0\xff"
    await connection.set(key, b"")
    assert await connection.get(key) == b""
    assert await getattr(connection, "del")([key, key + "x"]) == 1
    assert await connection.get(key) is None


async def test_numbers(connection: RedisConnection, key: str) -> None:
    assert await connection.incr(key) == 1
    assert await connection.incr(key) == 2
    await connection.set(key, b"many")
    with other("not an integer"):
        await connection.incr(key)


async def test_sets(connection: RedisConnection, key: str) -> None:
    assert await connection.smembers(key) == []
    assert await connection.sadd(key, ["a", "é", "a"]) == 2
    assert sorted(await connection.smembers(key)) == ["a", "é"]
    assert await connection.srem(key, ["a", "b"]) == 1
    await connection.execute("SADD", [("binary", key.encode()), ("binary", b"\xff")])
    with err("type-error"):
        await connection.smembers(key)


async def test_types_and_arguments_that_are_wrong(connection: RedisConnection, key: str) -> None:
    await connection.set(key, b"a")
    with other("WRONGTYPE"):
        await connection.sadd(key, ["a"])
    with other("wrong number of arguments"):
        await connection.srem(key, [])
    await connection.execute("MULTI", [])
    with err("type-error"):
        await connection.sadd(key, ["QUEUED is no number"])
    with err("type-error"):
        await connection.incr(key)
    with err("type-error"):
        await connection.smembers(key)
    assert await connection.get(key) == b"QUEUED"


async def test_messages(connection: RedisConnection, pool: RedisPool, redis: Service, key: str) -> None:
    subscriber = await SpinRedis(Grant(ANY, LOCAL), pool).connection_open(
        invocation(), f"redis://127.0.0.1:{redis.port}"
    )
    listener = subscriber._connection
    assert await listener.command("SUBSCRIBE", key) == [b"subscribe", key.encode(), 1]
    await connection.publish(key, b"\0news")
    assert await listener.receive(10) == [b"message", key.encode(), b"\0news"]
    listener.is_changed = True
    subscriber.drop()


async def test_execute_gives_values_of_all_types(connection: RedisConnection, key: str) -> None:
    name = ("binary", key.encode())
    assert await connection.execute("ping", []) == [("status", "PONG")]
    assert await connection.execute("SET", [name, ("int64", -5)]) == [("status", "OK")]
    assert await connection.execute("GET", [name]) == [("binary", b"-5")]
    assert await connection.execute("INCRBY", [name, ("int64", 7)]) == [("int64", 2)]
    assert await connection.execute("GET", [("binary", b"never there")]) == ["nil"]
    assert await connection.execute("MGET", [name, ("binary", b"never there")]) == [("binary", b"2"), "nil"]
    assert await connection.execute("KEYS", [("binary", b"never there")]) == []
    nested = [("binary", b"return {1, {'a', {{}, 'b'}}, redis.status_reply('X')}"), ("int64", 0)]
    assert await connection.execute("EVAL", nested) == [
        ("int64", 1),
        ("binary", b"a"),
        ("binary", b"b"),
        ("status", "X"),
    ]


async def test_execute_says_what_went_wrong(connection: RedisConnection, key: str) -> None:
    with other("unknown command"):
        await connection.execute("NOSUCH", [])
    with other("unknown command"):
        await connection.execute("", [])
    with other("inside"):
        await connection.execute("EVAL", [("binary", b"return {1, redis.error_reply('ERR inside')}"), ("int64", 0)])
    await connection.execute("HELLO", [("int64", 2)])
    assert await connection.get(key) is None, "it still answers"


async def test_execute_with_values_of_resp3(connection: RedisConnection, key: str) -> None:
    with other("map"):
        await connection.execute("HELLO", [("int64", 3)])
    assert await connection.sadd(key, ["a"]) == 1
    assert await connection.smembers(key) == ["a"]
    assert await connection.execute("GET", [("binary", b"never there")]) == ["nil"]
    await connection.execute("ZADD", [("binary", key.encode() + b"z"), ("binary", b"1.5"), ("binary", b"m")])
    score = [("binary", key.encode() + b"z"), ("binary", b"m")]
    assert await connection.execute("ZSCORE", score) == [("binary", b"1.5")]


@pytest.mark.parametrize("command", ["subscribe", "PSUBSCRIBE", "monitor", "SYNC"])
async def test_streams_of_messages_are_refused(connection: RedisConnection, command: str) -> None:
    with other("not possible here"):
        await connection.execute(command, [("binary", b"c")])
    assert await connection.execute("PING", []) == [("status", "PONG")]


async def test_as_many_arguments_as_a_list_may_have(connection: RedisConnection, key: str) -> None:
    assert await connection.sadd(key, [str(number) for number in range(LIST_COUNT_MAX)]) == LIST_COUNT_MAX
    assert len(await connection.smembers(key)) == LIST_COUNT_MAX


# --- what the next request gets ---


async def test_a_connection_goes_to_the_next_request(pool: RedisPool, address: str, key: str) -> None:
    redis = SpinRedis(Grant(ANY, LOCAL), pool)
    for _ in range(3):
        connection = await redis.connection_open(invocation(), address)
        await connection.execute("SET", [("binary", key.encode()), ("binary", b"1")])
        connection.drop()
        assert pool.statistics() == PoolStatistics(used=0, idle=1, waiting=0)


@pytest.mark.parametrize(
    "command", ["SELECT 1", "MULTI", "WATCH k", "CLIENT SETNAME n", "AUTH p", "HELLO 3", "RESET", "QUIT", "FOO.BAR"]
)
async def test_a_connection_that_may_be_changed_does_not(pool: RedisPool, address: str, command: str) -> None:
    connection = await SpinRedis(Grant(ANY, LOCAL), pool).connection_open(invocation(), address)
    name, *arguments = command.split()
    with suppress(Err):  # AUTH without a password, HELLO 3 whose answer is a map, what no module has
        await connection.execute(name.lower(), [("binary", argument.encode()) for argument in arguments])
    connection.drop()
    assert pool.statistics() == NONE


async def test_a_request_that_is_cancelled(autojump_clock: MockClock) -> None:
    played = Played()
    pool, call = RedisPool(played.dialer), invocation()
    connection = await SpinRedis(Grant(ANY, LOCAL), pool).connection_open(call, "redis://127.0.0.1")
    with trio.move_on_after(1):
        await connection.get("a")
    with other("closed"):
        await connection.get("a")
    connection.drop()
    assert pool.statistics() == NONE
    assert call.budget.redis_connections == REDIS_CONNECTIONS_OPEN_MAX
    played.close()


async def test_a_transaction_of_one_connection(connection: RedisConnection, key: str) -> None:
    name = ("binary", key.encode())
    await connection.execute("MULTI", [])
    assert await connection.execute("INCR", [name]) == [("status", "QUEUED")]
    await connection.execute("SET", [name, ("binary", b"x")])
    assert await connection.execute("EXEC", []) == [("int64", 1), ("status", "OK")]


async def test_commands_at_once_go_one_after_the_other(connection: RedisConnection, key: str) -> None:
    """As a guest of WASI 0.3 gives them: each has its own reply."""
    replies: dict[int, bytes | None] = {}

    async def one(number: int) -> None:
        await connection.set(f"{key}:{number}", b"%d" % number)
        replies[number] = await connection.get(f"{key}:{number}")

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
    assert replies == {number: b"%d" % number for number in range(50)}


async def test_a_connection_that_is_dropped_during_a_command_is_nobodys_next(address: str) -> None:
    """As a guest can that has cancelled the command."""
    played = Played()
    pool = RedisPool(played.dialer)
    connection = await SpinRedis3(Grant(ANY, LOCAL), pool).connection_open(invocation(), "redis://127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.get, "k")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        connection.drop()
        assert pool.statistics() == NONE
    pool.close()
    played.close()
