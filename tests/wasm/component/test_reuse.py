"""Pools: fresh instances, and instances that serve several requests."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from edged.errors import GuestTrap, Overloaded
from edged.limits import FILES_OPEN_MAX, INSTANCE_IDLE_S
from edged.wasm.component.reuse import ComponentPool, ReusePool
from edged.wasm.engine import Engine
from tests.wasm.component.conftest import Link, Tasks
from tests.wasm.hosts import invocation


async def one(pool: ReusePool | ComponentPool, function: str, *arguments: Any) -> Any:
    export = pool.program.export("", function)
    assert export is not None
    visit = await pool.acquire(invocation())
    try:
        return await visit.call(export, *arguments)
    finally:
        pool.release(visit)  # type: ignore[arg-type]


async def test_a_fresh_instance_for_each_request(link: Link) -> None:
    pool = ComponentPool(link())
    assert [await one(pool, "count"), await one(pool, "count")] == [1, 1]


async def test_one_instance_for_several_requests(link: Link) -> None:
    pool = ReusePool(link())
    assert [await one(pool, "count"), await one(pool, "count")] == [1, 2]
    assert pool.instances == 1
    pool.close()


async def test_as_many_in_all_as_may(link: Link, engine: Engine) -> None:
    pool = ReusePool(link(instance_requests_max=3))
    before = engine.instances
    assert [await one(pool, "count") for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]
    assert engine.instances == before + 1
    pool.close()


async def test_as_many_at_once_as_may(link: Link, host: Tasks) -> None:
    pool = ReusePool(link(instance_concurrent_max=2))
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(one, pool, "wait", 5)
        await trio.testing.wait_all_tasks_blocked()
        assert pool.instances == 1
        nursery.start_soon(one, pool, "wait", 5)
        await trio.testing.wait_all_tasks_blocked()
        assert pool.instances == 2
        host.released.set()
    pool.close()


async def test_an_idle_instance_is_closed_in_time(
    link: Link, engine: Engine, autojump_clock: trio.testing.MockClock
) -> None:
    pool, before = ReusePool(link()), engine.instances
    await one(pool, "count")
    await trio.sleep(INSTANCE_IDLE_S / 2)
    assert await one(pool, "count") == 2, "still there"
    await trio.sleep(INSTANCE_IDLE_S * 0.9)
    assert engine.instances == before + 1
    await trio.sleep(INSTANCE_IDLE_S * 0.2)
    assert engine.instances == before
    assert await one(pool, "count") == 1
    pool.close()
    assert engine.instances == before
    assert autojump_clock.current_time() > INSTANCE_IDLE_S


async def test_a_poisoned_instance_is_used_no_more(link: Link, engine: Engine) -> None:
    pool, before = ReusePool(link()), engine.instances
    await one(pool, "count")
    with pytest.raises(GuestTrap):
        await one(pool, "trap", 5)
    assert engine.instances == before
    assert await one(pool, "count") == 1
    pool.close()


async def test_a_poisoned_instance_goes_with_its_last_request(link: Link, engine: Engine, host: Tasks) -> None:
    pool, before = ReusePool(link()), engine.instances
    failed: list[GuestTrap] = []

    async def waiting() -> None:
        try:
            await one(pool, "wait", 5)
        except GuestTrap as error:
            failed.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(GuestTrap):
            await one(pool, "trap", 5)
    assert len(failed) == 1
    assert engine.instances == before
    assert host.waiting == 0
    pool.close()


async def test_a_cancelled_request_leaves_the_instance_to_others(link: Link, host: Tasks) -> None:
    pool = ReusePool(link())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, pool, "wait", 7)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as inner:
            inner.start_soon(one, pool, "wait", 5)
            await trio.testing.wait_all_tasks_blocked()
            inner.cancel_scope.cancel()
        assert pool.instances == 1
        host.released.set()
    assert await one(pool, "count") == 1
    pool.close()


async def test_closed_while_in_use(link: Link, engine: Engine, host: Tasks) -> None:
    pool, before = ReusePool(link()), engine.instances
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, pool, "wait", 5)
        await trio.testing.wait_all_tasks_blocked()
        pool.close()
        assert engine.instances == before + 1
        host.released.set()
    assert engine.instances == before


async def test_more_requests_than_may_wait(link: Link, host: Tasks) -> None:
    pool = ReusePool(link(concurrent_max=1, queue_max=0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, pool, "wait", 5)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Overloaded):
            await one(pool, "count")
        host.released.set()
    pool.close()


async def test_instances_ahead(link: Link, engine: Engine) -> None:
    pool, before = ReusePool(link(instances_ahead=2)), engine.instances
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.keep_ahead, invocation())
        await trio.testing.wait_all_tasks_blocked()
        assert pool.statistics().ahead == 2
        assert engine.instances == before + 1
        assert await one(pool, "count") == 1
        nursery.cancel_scope.cancel()
    pool.close()
    assert engine.instances == before


async def test_one_made_ahead_whose_instance_has_ended_serves_nobody(link: Link) -> None:
    pool = ReusePool(link(instances_ahead=2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.keep_ahead, invocation())
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(GuestTrap):
            await one(pool, "trap", 5)
        assert await one(pool, "count") == 1
        await trio.testing.wait_all_tasks_blocked()
        assert pool.statistics().ahead == 2
        nursery.cancel_scope.cancel()
    pool.close()


async def test_what_requests_leave_behind_is_together_what_one_may_have(link: Link) -> None:
    pool = ReusePool(link())

    async def leaving(files: int) -> int:
        call = invocation()
        visit = await pool.acquire(call)
        try:
            call.budget.files -= files
            count: int = await visit.call(pool.program.exports["count"])
            return count
        finally:
            pool.release(visit)

    assert [await leaving(files) for files in (0, 1, 0, FILES_OPEN_MAX - 1)] == [1, 2, 3, 4]
    assert await leaving(1) == 5
    assert await leaving(0) == 1, "another instance"
    pool.close()


async def test_statistics_are_of_one_request(link: Link) -> None:
    pool = ReusePool(link())
    export = pool.program.export("", "wait")
    assert export is not None
    for _ in range(2):
        visit = await pool.acquire(invocation())
        await visit.call(export, 0)
        assert visit.statistics().host_calls == 1
        assert visit.statistics().handles == 0
        pool.release(visit)
    pool.close()
