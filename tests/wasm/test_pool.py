from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import Overloaded
from edged.wasm.engine import Engine
from edged.wasm.pool import InstancePool
from tests.wasm.conftest import Link
from tests.wasm.hosts import invocation


async def test_at_the_limit_requests_wait_and_one_more_is_refused(link: Link, engine: Engine) -> None:
    before = engine.instances
    pool = InstancePool(link(concurrent_max=2, queue_max=1))
    first = await pool.acquire(invocation())
    second = await pool.acquire(invocation())
    got: list[object] = []

    async def wait_for_one() -> None:
        instance = await pool.acquire(invocation())
        got.append(instance)
        pool.release(instance)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_one)
        await trio.testing.wait_all_tasks_blocked()
        assert pool.statistics().waiting == 1
        with pytest.raises(Overloaded):
            await pool.acquire(invocation())
        assert not got
        pool.release(first)
    assert len(got) == 1
    pool.release(second)
    used = pool.statistics()
    assert (used.alive, used.waiting, used.refused) == (0, 0, 1)
    assert engine.instances == before


async def test_a_request_does_not_wait_for_ever(link: Link, autojump_clock: trio.testing.MockClock) -> None:
    pool = InstancePool(link(concurrent_max=1, wall_s_max=2.0))
    first = await pool.acquire(invocation())
    with pytest.raises(Overloaded, match="within 2 s"):
        await pool.acquire(invocation())
    assert trio.current_time() == 2.0
    pool.release(first)
    assert pool.statistics().alive == 0


async def test_a_cancelled_wait_leaves_its_place(link: Link) -> None:
    pool = InstancePool(link(concurrent_max=1, queue_max=1))
    first = await pool.acquire(invocation())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.acquire, invocation())
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    pool.release(first)
    pool.release(await pool.acquire(invocation()))
    assert pool.statistics().alive == 0


async def test_a_component_that_cannot_start_gives_its_place_back(link: Link) -> None:
    pool = InstancePool(link(memory_bytes_max=1, concurrent_max=1))
    for _ in range(3):
        with pytest.raises(Exception, match="memory"):
            await pool.acquire(invocation())
    assert pool.statistics().alive == 0


async def test_instances_are_made_ahead(link: Link, engine: Engine) -> None:
    before = engine.instances
    program = link(instances_ahead=3)
    export = program.export("test:guest/run", "count")
    assert export is not None
    pool = InstancePool(program)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.keep_ahead, invocation())
        await trio.testing.wait_all_tasks_blocked()
        assert pool.statistics().ahead == 3
        for _ in range(10):
            mine = invocation()
            instance = await pool.acquire(mine)
            assert instance.invocation is mine
            assert await instance.call(export) == 1, "fresh"
            pool.release(instance)
            await trio.testing.wait_all_tasks_blocked()
        assert pool.statistics().ahead == 3
        nursery.cancel_scope.cancel()
    assert pool.statistics().ahead == 0
    assert engine.instances == before
