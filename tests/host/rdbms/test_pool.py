"""Connections between requests, on connections in memory."""

from __future__ import annotations

import pytest
import trio

from edged.host.rdbms.failure import ConnectionFailed, ConnectionLost
from edged.host.rdbms.pool import Pool
from edged.limits import SQL_IDLE_S_MAX, SQL_RESET_S_MAX, SQL_WAIT_S_MAX


class Fake:
    def __init__(self, address: str) -> None:
        self.address = address
        self.is_ready = True
        self.is_closed = False
        self.has_news = False
        self.resets = 0
        self.answer: Exception | None = None
        self.is_stuck = False

    def is_quiet(self) -> bool:
        return not self.has_news

    async def reset(self) -> None:
        self.resets += 1
        if self.is_stuck:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        if self.answer is not None:
            raise self.answer

    def close(self) -> None:
        self.is_closed = True


async def make(address: str) -> Fake:
    await trio.lowlevel.checkpoint()
    if address == "refused":
        raise ConnectionFailed("refused")
    return Fake(address)


@pytest.fixture
async def pool(nursery):
    pool = Pool(make, 2)
    nursery.start_soon(pool.run)
    await trio.testing.wait_all_tasks_blocked()
    return pool


def counts(pool: Pool[str, Fake]) -> tuple[int, int]:
    return pool.statistics().used, pool.statistics().idle


async def test_a_connection_is_reset_and_used_again(pool, autojump_clock) -> None:
    first = await pool.acquire("a")
    pool.release("a", first)
    assert counts(pool) == (1, 0)
    await trio.testing.wait_all_tasks_blocked()
    assert (counts(pool), first.resets) == ((0, 1), 1)
    assert await pool.acquire("a") is first
    other = await pool.acquire("b")
    assert other is not first
    assert not first.is_closed


@pytest.mark.parametrize("change", ["is_ready", "answer", "is_stuck", "has_news"])
async def test_one_that_is_not_as_good_as_new_is_closed(pool, autojump_clock, change) -> None:
    first = await pool.acquire("a")
    setattr(first, change, {"is_ready": False, "answer": ConnectionLost("gone")}.get(change, True))
    pool.release("a", first)
    await trio.sleep(SQL_RESET_S_MAX)
    await trio.testing.wait_all_tasks_blocked()
    assert counts(pool) == (0, change == "has_news")
    assert await pool.acquire("a") is not first
    assert first.is_closed


async def test_at_the_limit_and_over(pool, autojump_clock) -> None:
    held = [await pool.acquire("a"), await pool.acquire("a")]
    began = trio.current_time()
    with pytest.raises(ConnectionFailed, match="too many"):
        await pool.acquire("a")
    assert trio.current_time() - began == SQL_WAIT_S_MAX
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def waiting() -> None:
            held.append(await pool.acquire("a"))

        await trio.testing.wait_all_tasks_blocked()
        pool.release("a", held[0])
    assert held[2] is held[0]


async def test_idle_ones_make_room_for_other_servers(pool, autojump_clock) -> None:
    first, second = await pool.acquire("a"), await pool.acquire("b")
    for connection in (first, second):
        pool.release(connection.address, connection)
        await trio.testing.wait_all_tasks_blocked()
    await pool.acquire("c")
    assert (first.is_closed, second.is_closed, counts(pool)) == (True, False, (1, 1))


async def test_idle_ones_are_closed_after_a_while(pool, autojump_clock) -> None:
    first = await pool.acquire("a")
    pool.release("a", first)
    await trio.sleep(SQL_IDLE_S_MAX / 2)
    assert not first.is_closed
    await trio.sleep(SQL_IDLE_S_MAX)
    assert first.is_closed


async def test_a_failure_and_a_cancellation_give_their_turn_back(pool, autojump_clock) -> None:
    with pytest.raises(ConnectionFailed):
        await pool.acquire("refused")
    with trio.CancelScope() as scope:
        scope.cancel()
        await pool.acquire("a")
    assert counts(pool) == (0, 0)


async def test_nothing_is_kept_without_run_or_after_close(pool, autojump_clock) -> None:
    apart = Pool(make, 1)
    first = await apart.acquire("a")
    apart.release("a", first)
    assert (first.is_closed, counts(apart)) == (True, (0, 0))
    kept, used = await pool.acquire("a"), await pool.acquire("a")
    pool.release("a", kept)
    await trio.testing.wait_all_tasks_blocked()
    pool.close()
    pool.release("a", used)
    assert (kept.is_closed, used.is_closed, counts(pool)) == (True, True, (0, 0))


async def test_the_end_of_run_closes_what_is_idle_or_being_reset(autojump_clock) -> None:
    pool = Pool(make, 2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)
        await trio.testing.wait_all_tasks_blocked()
        idle, stuck = await pool.acquire("a"), await pool.acquire("a")
        stuck.is_stuck = True
        pool.release("a", idle)
        pool.release("a", stuck)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert (idle.is_closed, stuck.is_closed, counts(pool)) == (True, True, (0, 0))


async def test_idle_connections_may_be_asked_to_go(pool, autojump_clock) -> None:
    first, second = await pool.acquire("a"), await pool.acquire("b")
    assert pool.count == 2
    assert not pool.close_one_idle()
    pool.release("b", second)
    await trio.testing.wait_all_tasks_blocked()
    pool.release("a", first)
    await trio.testing.wait_all_tasks_blocked()
    assert pool.count == 2
    assert pool.close_one_idle()
    assert (second.is_closed, first.is_closed, pool.count) == (True, False, 1)
    assert pool.close_one_idle()
    assert not pool.close_one_idle()
    assert pool.count == 0
