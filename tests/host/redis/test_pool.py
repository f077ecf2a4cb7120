"""Connections that are kept: which, how many, for how long."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from edged.host.redis.address import RedisAddress
from edged.host.redis.connection import RedisFailed
from edged.host.redis.pool import PoolExhausted, PoolStatistics, RedisPool
from edged.limits import REDIS_IDLE_S_MAX, REDIS_WAIT_S_MAX
from tests.host.redis.fakes import LOCAL, Played
from tests.services import Service

ONE, TWO, THREE = (RedisAddress("redis", "127.0.0.1", port) for port in (1, 2, 3))


@pytest.fixture
async def played():
    played = Played()
    yield played
    played.close()


def pool_of(played: Played, connections_max: int = 2) -> RedisPool:
    return RedisPool(played.dialer, connections_max)


async def test_a_connection_is_used_again(redis: Service) -> None:
    pool = RedisPool(LOCAL)
    address = RedisAddress("redis", "127.0.0.1", redis.port)
    first = await pool.acquire(address)
    assert pool.statistics() == PoolStatistics(used=1, idle=0, waiting=0)
    assert await first.command("PING") == "PONG"
    pool.release(first)
    assert pool.statistics() == PoolStatistics(used=0, idle=1, waiting=0)
    again = await pool.acquire(address)
    assert again is first
    other = await pool.acquire(address)
    assert other is not first
    pool.release(again)
    pool.release(other)
    assert await pool.command(address, "PING") == "PONG"
    pool.close()
    assert first.is_closed
    assert other.is_closed


async def test_other_databases_and_passwords_are_other_connections(played: Played) -> None:
    pool = pool_of(played, 10)
    first = await pool.acquire(ONE)
    pool.release(first)
    for address in (TWO, RedisAddress("redis", "127.0.0.1", 1, password="p")):
        with trio.move_on_after(0):
            pool.release(await pool.acquire(address))
    assert not first.is_closed
    assert pool.statistics().used == 0
    pool.close()


@pytest.mark.parametrize("harm", ["changed", "closed", "left", "told"])
async def test_what_is_not_as_good_as_new_is_not_kept(played: Played, harm: str) -> None:
    pool = pool_of(played)
    first = await pool.acquire(ONE)
    server = await played.accepted()
    if harm == "changed":
        first.is_changed = True
    if harm == "closed":
        first.close()
    pool.release(first)
    if harm == "left":
        await server.aclose()
    if harm == "told":
        await server.send_all(b"+surprise\r\n")
    second = await pool.acquire(ONE)
    assert second is not first
    assert first.is_closed
    pool.release(second)
    pool.close()
    await server.aclose()


async def test_a_cancelled_command_costs_its_connection_only(played: Played, autojump_clock: MockClock) -> None:
    pool = pool_of(played)
    with trio.move_on_after(1):
        await pool.command(ONE, "GET", "a")
    assert pool.statistics() == PoolStatistics(used=0, idle=0, waiting=0)
    pool.close()


async def test_connections_at_the_limit_and_over(played: Played, autojump_clock: MockClock) -> None:
    pool = pool_of(played, 2)
    first, second = await pool.acquire(ONE), await pool.acquire(TWO)
    before = trio.current_time()
    with pytest.raises(PoolExhausted):
        await pool.acquire(ONE)
    assert trio.current_time() - before == REDIS_WAIT_S_MAX
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            assert await pool.acquire(ONE) is first

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert pool.statistics() == PoolStatistics(used=2, idle=0, waiting=1)
        pool.release(first)
    pool.release(first)
    pool.release(second)
    pool.close()


async def test_idle_connections_make_room(played: Played, mock_clock: MockClock) -> None:
    pool = pool_of(played, 2)
    first, second = await pool.acquire(ONE), await pool.acquire(TWO)
    pool.release(second)
    mock_clock.jump(1)
    pool.release(first)
    third = await pool.acquire(THREE)
    assert second.is_closed, "it was unused for longest"
    assert not first.is_closed
    assert pool.statistics() == PoolStatistics(used=1, idle=1, waiting=0)
    pool.release(third)
    pool.close()


async def test_a_connection_that_cannot_be_made_gives_its_turn_back(redis: Service) -> None:
    pool = RedisPool(LOCAL, 1)
    for _ in range(3):
        with pytest.raises(RedisFailed, match="refused the database"):
            await pool.acquire(RedisAddress("redis", "127.0.0.1", redis.port, database=99))
        with pytest.raises(RedisFailed, match="not an address that guests may reach"):
            await pool.acquire(RedisAddress("redis", "192.168.0.1"))
    assert pool.statistics() == PoolStatistics(used=0, idle=0, waiting=0)


async def test_idle_connections_are_closed_in_time(played: Played, autojump_clock: MockClock) -> None:
    pool = pool_of(played)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)
        kept, left = await pool.acquire(ONE), await pool.acquire(ONE)
        pool.release(left)
        await trio.sleep(REDIS_IDLE_S_MAX - 1)
        assert not left.is_closed
        pool.release(kept)
        await trio.sleep(REDIS_IDLE_S_MAX / 2)
        assert left.is_closed
        assert not kept.is_closed
        nursery.cancel_scope.cancel()
    pool.close()


async def test_a_closed_pool_keeps_nothing(played: Played) -> None:
    pool = pool_of(played)
    first = await pool.acquire(ONE)
    pool.close()
    assert not first.is_closed, "someone uses it"
    pool.release(first)
    assert first.is_closed
