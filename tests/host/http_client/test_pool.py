"""Who gets which connection, and who waits."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.host.http.error import HttpError
from edged.host.http_client.pool import Pool, PoolStatistics
from edged.host.http_client.wire import Origin
from edged.limits import (
    HTTP_CLIENT_CONNECTION_COUNT_MAX,
    HTTP_CLIENT_CONNECTION_PER_ORIGIN_MAX,
    HTTP_CLIENT_IDLE_COUNT_MAX,
    HTTP_CLIENT_IDLE_S,
    HTTP_CLIENT_QUEUE_MAX,
)

A, B, C = (Origin("http", name, 80) for name in "abc")
wait = trio.testing.wait_all_tasks_blocked


class Fake:
    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.closed = False
        self.left = False

    def stale(self) -> bool:
        return self.left

    def close(self) -> None:
        self.closed = True


async def take(pool: Pool[Fake], origin: Origin, **options: bool) -> Fake:
    return await pool.acquire(origin, **options) or Fake(origin)


class Waiting:
    def __init__(self, nursery: trio.Nursery, pool: Pool[Fake], origin: Origin, **options: bool) -> None:
        self.got: list[Fake | HttpError | None] = []
        self.scope = trio.CancelScope()
        nursery.start_soon(self._run, pool, origin, options)

    async def _run(self, pool, origin, options) -> None:
        with self.scope:
            try:
                self.got.append(await pool.acquire(origin, **options))
            except HttpError as error:
                self.got.append(error)


def counts(pool: Pool[Fake]) -> tuple[int, int, int]:
    found = pool.statistics()
    assert isinstance(found, PoolStatistics)
    return found.active, found.idle, found.waiting


async def test_a_connection_is_used_again_for_its_origin_only() -> None:
    pool: Pool[Fake] = Pool()
    first = await take(pool, A)
    pool.release(first)
    assert counts(pool) == (0, 1, 0)
    assert await pool.acquire(B) is None
    assert await pool.acquire(Origin("https", "a", 80)) is None
    assert await pool.acquire(Origin("http", "a", 81)) is None
    assert await pool.acquire(A) is first
    assert counts(pool) == (4, 0, 0)


async def test_the_one_used_last_comes_first() -> None:
    pool: Pool[Fake] = Pool()
    first, second = await take(pool, A), await take(pool, A)
    pool.release(first)
    pool.release(second)
    assert await pool.acquire(A) is second
    assert await pool.acquire(A) is first


async def test_one_that_the_server_has_closed_is_not_given_out() -> None:
    pool: Pool[Fake] = Pool()
    first, second = await take(pool, A), await take(pool, A)
    pool.release(first)
    pool.release(second)
    second.left = True
    assert await pool.acquire(A) is first
    assert second.closed
    assert counts(pool) == (1, 0, 0)


async def test_who_wants_a_fresh_one_gets_no_idle_one() -> None:
    pool: Pool[Fake] = Pool()
    first = await take(pool, A)
    pool.release(first)
    assert await pool.acquire(A, fresh=True) is None
    assert counts(pool) == (1, 1, 0)


async def test_without_pooling_every_connection_is_closed() -> None:
    pool: Pool[Fake] = Pool(keep_alive=False)
    first = await take(pool, A)
    pool.release(first)
    assert first.closed
    assert counts(pool) == (0, 0, 0)


# --- limits ---


@pytest.mark.parametrize("asked", [3, HTTP_CLIENT_CONNECTION_COUNT_MAX + 1])
async def test_an_app_has_only_so_many(nursery, asked) -> None:
    pool: Pool[Fake] = Pool(connections_max=asked)
    limit = min(asked, HTTP_CLIENT_CONNECTION_COUNT_MAX)
    for number in range(limit):
        assert await pool.acquire(Origin("http", f"host{number}", 80)) is None
    waiting = Waiting(nursery, pool, A)
    await wait()
    assert (waiting.got, counts(pool)) == ([], (limit, 0, 1))
    pool.forget(Origin("http", "host0", 80))
    await wait()
    assert (waiting.got, counts(pool)) == ([None], (limit, 0, 0))


async def test_an_origin_has_only_so_many(nursery) -> None:
    pool: Pool[Fake] = Pool()
    for _ in range(HTTP_CLIENT_CONNECTION_PER_ORIGIN_MAX):
        assert await pool.acquire(A) is None
    waiting = Waiting(nursery, pool, A)
    await wait()
    assert waiting.got == []
    assert await pool.acquire(B) is None, "another origin is not held up"
    pool.forget(A)
    await wait()
    assert waiting.got == [None]


async def test_idle_ones_make_room(nursery) -> None:
    pool: Pool[Fake] = Pool(connections_max=2)
    first, second = await take(pool, A), await take(pool, B)
    pool.release(first)
    pool.release(second)
    assert await pool.acquire(C) is None
    assert (first.closed, second.closed) == (True, False)
    assert await pool.acquire(B) is second
    waiting = Waiting(nursery, pool, A)
    await wait()
    pool.release(second)
    await wait()
    assert waiting.got == [None]
    assert second.closed


async def test_a_fresh_one_takes_the_place_of_an_idle_one_of_its_origin() -> None:
    pool: Pool[Fake] = Pool()
    taken = [await take(pool, A) for _ in range(HTTP_CLIENT_CONNECTION_PER_ORIGIN_MAX)]
    pool.release(taken[0])
    assert await pool.acquire(A, fresh=True) is None
    assert taken[0].closed


@pytest.mark.parametrize("count", [HTTP_CLIENT_IDLE_COUNT_MAX, HTTP_CLIENT_IDLE_COUNT_MAX + 1])
async def test_only_so_many_are_kept_idle(count) -> None:
    pool: Pool[Fake] = Pool()
    taken = [await take(pool, A) for _ in range(count)]
    for connection in taken:
        pool.release(connection)
    assert counts(pool) == (0, HTTP_CLIENT_IDLE_COUNT_MAX, 0)
    assert [connection.closed for connection in taken].count(True) == count - HTTP_CLIENT_IDLE_COUNT_MAX
    assert taken[0].closed == (count > HTTP_CLIENT_IDLE_COUNT_MAX)


async def test_only_so_many_wait(nursery) -> None:
    pool: Pool[Fake] = Pool(connections_max=1)
    await pool.acquire(A)
    waiting = [Waiting(nursery, pool, A) for _ in range(HTTP_CLIENT_QUEUE_MAX)]
    await wait()
    assert counts(pool) == (1, 0, HTTP_CLIENT_QUEUE_MAX)
    with pytest.raises(HttpError, match="connection-limit-reached"):
        await pool.acquire(A)
    for one in waiting:
        one.scope.cancel()
    await wait()
    assert counts(pool) == (1, 0, 0)


async def test_the_first_in_line_is_the_first_served(nursery) -> None:
    pool: Pool[Fake] = Pool(connections_max=1)
    held = await take(pool, A)
    line = []
    for _ in range(3):
        line.append(Waiting(nursery, pool, A))
        await wait()
    for served in range(3):
        pool.release(held)
        await wait()
        assert [waiting.got for waiting in line] == [[held]] * (served + 1) + [[]] * (2 - served)


async def test_nobody_overtakes_those_in_line(nursery) -> None:
    pool: Pool[Fake] = Pool(connections_max=1)
    held = await take(pool, A)
    first = Waiting(nursery, pool, A)
    await wait()
    pool.release(held)
    later = Waiting(nursery, pool, A)
    await wait()
    assert (first.got, later.got) == ([held], [])


async def test_who_leaves_just_before_the_pool_is_closed_only_leaves(nursery) -> None:
    pool: Pool[Fake] = Pool(connections_max=1)
    await take(pool, A)
    leaver = Waiting(nursery, pool, A)
    await wait()
    leaver.scope.cancel()
    pool.close()
    await wait()
    assert leaver.got == []
    assert counts(pool) == (1, 0, 0)


@pytest.mark.parametrize("release", ["idle", "place"])
async def test_who_leaves_just_before_he_is_called_gives_back_what_he_got(nursery, release) -> None:
    pool: Pool[Fake] = Pool(connections_max=1)
    held = await take(pool, A)
    leaver = Waiting(nursery, pool, A)
    await wait()
    leaver.scope.cancel()  # known to his task at its next turn only
    if release == "idle":
        pool.release(held)
    else:
        pool.forget(A)
    await wait()
    assert leaver.got == []
    assert counts(pool) == (0, 1 if release == "idle" else 0, 0)


# --- time ---


async def test_an_idle_connection_is_closed_when_another_is_asked_for_too_late(mock_clock) -> None:
    pool: Pool[Fake] = Pool()
    first = await take(pool, A)
    pool.release(first)
    mock_clock.jump(HTTP_CLIENT_IDLE_S - 0.1)
    assert await pool.acquire(B) is None
    assert not first.closed
    mock_clock.jump(0.1)
    assert await pool.acquire(B) is None
    assert first.closed
    assert counts(pool) == (2, 0, 0)


async def test_or_when_its_time_has_come(nursery, autojump_clock) -> None:
    pool: Pool[Fake] = Pool()
    nursery.start_soon(pool.expire)
    await wait()
    for _ in range(2):
        first = await take(pool, A)
        pool.release(first)
        await trio.sleep(HTTP_CLIENT_IDLE_S / 2)
        second = await take(pool, B)
        pool.release(second)
        await trio.sleep(HTTP_CLIENT_IDLE_S / 2 + 1)
        assert (first.closed, second.closed) == (True, False)
        await trio.sleep(HTTP_CLIENT_IDLE_S / 2)
        assert second.closed
    nursery.cancel_scope.cancel()


async def test_a_closed_pool_gives_out_nothing_and_keeps_nothing(nursery) -> None:
    pool: Pool[Fake] = Pool(connections_max=2)
    idle, used = await take(pool, A), await take(pool, B)
    pool.release(idle)
    other = await take(pool, A)
    assert other is idle
    waiting = Waiting(nursery, pool, C)
    await wait()
    pool.close()
    await wait()
    assert isinstance(waiting.got[0], HttpError)
    pool.release(used)
    pool.release(idle)
    assert used.closed
    assert idle.closed
    with pytest.raises(HttpError):
        await pool.acquire(A)
    assert counts(pool) == (0, 0, 0)
    pool.close()
