from __future__ import annotations

import dataclasses

import pytest
import trio
import trio.testing
from wasmtime import component

from edged.errors import HostFailed, Overloaded
from edged.limits import CHAIN_WAIT_S_MAX, GuestLimits
from edged.wasm.engine import Engine
from edged.wasm.instance import Instance
from edged.wasm.linker import Program
from edged.wasm.pool import InstancePool
from tests.wasm.conftest import Link
from tests.wasm.hosts import Api, invocation


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


async def test_a_chained_call_waits_less(link: Link, autojump_clock: trio.testing.MockClock) -> None:
    """Whoever is to let it in may be waiting for it."""
    pool = InstancePool(link(concurrent_max=1, queue_max=1, wall_s_max=50))
    caller = await pool.acquire(invocation())
    with invocation().chain.call() as chain:
        started = trio.current_time()
        with pytest.raises(Overloaded):
            await pool.acquire(dataclasses.replace(invocation(), chain=chain))
        assert trio.current_time() - started == CHAIN_WAIT_S_MAX
    pool.release(caller)
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


async def test_a_start_that_fails_ends_no_more_than_making_ahead(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a start function did: the worker, whose task this is, goes on."""

    async def fail(_instance: Instance) -> None:
        raise HostFailed("a fault of the host")

    monkeypatch.setattr(Instance, "instantiate", fail)
    pool = InstancePool(link(instances_ahead=1))
    await pool.keep_ahead(invocation())
    assert pool.statistics().ahead == 0


SLOW_START = """
(component
  (import "test:host/api@0.2.0" (instance $host (export "wait" (func (param "n" u32) (result u32)))))
  (core func $wait (canon lower (func $host "wait")))
  (core module $main
    (import "h" "wait" (func $wait (param i32) (result i32)))
    (func $work (local $i i32) (local.set $i (i32.const 50000000))
      (loop $next (br_if $next (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
    (start $work)
    (func (export "run") (result i32) (call $wait (i32.const 1))))
  (core instance $main (instantiate $main (with "h" (instance (export "wait" (func $wait))))))
  (func $run (result u32) (canon lift (core func $main "run")))
  (instance $guest (export "run" (func $run)))
  (export "test:guest/run" (instance $guest)))
"""


async def test_the_time_of_a_request_starts_with_the_request(
    engine: Engine, api: Api, autojump_clock: trio.testing.MockClock
) -> None:
    limits = dataclasses.replace(GuestLimits(), instances_ahead=1, wall_s_max=2.0)
    program = Program(engine, component.Component(engine.wasmtime, SLOW_START), [api], (), limits)
    export = program.export("test:guest/run", "run")
    assert export is not None
    pool = InstancePool(program)

    async def release_after(seconds: float) -> None:
        await trio.sleep(seconds)
        api.released.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.keep_ahead, invocation())
        while not pool.statistics().ahead:
            await trio.lowlevel.checkpoint()
        await trio.sleep(3.0)
        instance = await pool.acquire(invocation())
        assert (instance.cpu_s, instance.yields) == (0, 0)
        nursery.start_soon(release_after, 1.9)
        assert await instance.call(export) == 2
        pool.release(instance)
        nursery.cancel_scope.cancel()
