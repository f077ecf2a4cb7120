"""Calls of core modules: numbers, memory, suspensions, cancellation, failures, limits."""

from __future__ import annotations

import pytest
import trio
import trio.testing
import wasmtime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edged.errors import (
    EdgedError,
    GuestBudgetExhausted,
    GuestCpuExhausted,
    GuestMemoryExhausted,
    GuestStackExhausted,
    GuestTimeout,
    GuestTrap,
    HostFailed,
)
from edged.wasm.core.instance import CoreInstance, CorePool
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine, PoolConfig
from tests.wasm.core.conftest import Link, Run
from tests.wasm.core.hosts import Api
from tests.wasm.hosts import invocation
from tests.wasm.instances import suspend_a_hundred

PAGE = 65536
U32 = st.integers(0, 2**32 - 1) | st.integers(PAGE - 8, PAGE + 8)


async def test_numbers_come_and_go(run: Run) -> None:
    assert await run("add", 2, 2**40) == 2**40 + 2
    assert await run("add", 2**32 - 1, 2**64 - 1) == 2**32 - 2
    assert await run("nothing") is None


async def test_numbers_reach_the_host_unsigned_and_are_cut_to_their_type(run: Run) -> None:
    assert await run("widen", 2**32 - 1, 2**40) == 2**32 - 1 + 2**40
    assert await run("widen", 0, 0) == 2**64 - 1
    assert await run("widen", 1, 2**64 - 1) == 0
    assert await run("perhaps", 2**32 - 1) == 0
    assert await run("perhaps", 2**32 - 2) == 2**32 - 1


async def test_each_instance_starts_fresh(run: Run) -> None:
    assert [await run("count"), await run("count")] == [1, 1]


async def test_an_instance_has_one_session_which_is_closed_with_it(link: Link, api: Api) -> None:
    program = link()
    export = program.export("note")
    assert export is not None
    instance = CoreInstance(program, invocation())
    await instance.instantiate()
    assert api.opened == 0, "it has not called yet"
    await instance.call(export, 1)
    await instance.call(export, 2)
    assert (api.notes, api.opened, api.closed) == ([1, 2], 1, 0)
    assert len(api.sessions[0].memory.view) == PAGE
    instance.close()
    assert (api.closed, len(api.sessions[0].memory.view)) == (1, 0), "no way is left into memory that was freed"


async def test_the_host_reads_and_writes_memory(run: Run) -> None:
    assert await run("peek", 16, 3) == 6
    assert await run("poke", PAGE - 4, 99) == 99
    assert await run("poke-later", PAGE - 4, 99) == 99


@pytest.mark.parametrize(
    ("function", "address", "other"),
    [
        ("peek", PAGE - 2, 3),
        ("peek", 2**32 - 1, 1),
        ("peek", 0, 2**32 - 1),
        ("poke", PAGE - 3, 1),
        ("poke-later", PAGE - 3, 1),
        ("poke-later", 2**32 - 4, 1),
    ],
)
async def test_an_address_outside_of_memory_is_a_trap(run: Run, function: str, address: int, other: int) -> None:
    with pytest.raises(GuestTrap, match="outside of its memory"):
        await run(function, address, other)


async def test_memory_that_grew_is_seen(run: Run) -> None:
    assert await run("grow-and-poke", 3) == 42


async def test_a_guest_without_memory_has_none(run: Run) -> None:
    module = (
        '(module (import "host" "peek" (func $f (param i32 i32) (result i32))) (memory 1) (export "peek" (func $f)))'
    )
    assert await run("peek", 0, 0, wat=module) == 0
    with pytest.raises(GuestTrap):
        await run("peek", 0, 1, wat=module)


async def test_something_else_called_memory_is_no_memory(run: Run) -> None:
    module = """(module (import "host" "peek" (func $f (param i32 i32) (result i32)))
        (func (export "memory")) (func (export "go") (result i32) (call $f (i32.const 0) (i32.const 1))))"""
    with pytest.raises(GuestTrap):
        await run("go", wat=module)


async def test_a_start_function_may_call_the_host_with_its_memory(run: Run, api: Api) -> None:
    module = """(module (import "host" "poke" (func $poke (param i32 i32))) (memory (export "memory") 1)
        (func $start (call $poke (i32.const 8) (i32.const 7))) (start $start)
        (func (export "go") (result i32) (i32.load (i32.const 8))))"""
    assert await run("go", wat=module) == 7
    assert api.closed == 1


async def test_a_start_function_that_traps_is_an_error(run: Run) -> None:
    with pytest.raises(GuestTrap, match="unreachable"):
        await run("go", wat='(module (func $s unreachable) (start $s) (func (export "go")))')


@pytest.mark.parametrize(("number", "answer"), [(6, 7), (7, 8)], ids=["at once", "suspended"])
async def test_a_function_may_suspend_or_not(run: Run, number: int, answer: int) -> None:
    assert await run("perhaps", number) == answer


async def test_a_hundred_suspended_guests_share_one_thread(run: Run, api: Api) -> None:
    await suspend_a_hundred(run, api)


@pytest.mark.parametrize("function", ["wait-twice", "spin"])
async def test_cancelling_a_guest_frees_everything(run: Run, engine: Engine, api: Api, function: str) -> None:
    before = engine.instances
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, function, *([1] if function == "wait-twice" else []))
        while engine.instances == before:
            await trio.lowlevel.checkpoint()
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert (engine.instances, api.waiting, api.opened - api.closed) == (before, 0, 0)


async def test_a_busy_guest_gives_way(run: Run) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "spin")
        nursery.start_soon(run, "spin")
        for _ in range(20):
            assert await run("perhaps", 7) == 8
        nursery.cancel_scope.cancel()


async def test_a_fault_of_the_host_is_ours(run: Run, api: Api) -> None:
    def fail(_number: int) -> None:
        raise ZeroDivisionError("secret")

    api.on_note = fail
    with pytest.raises(HostFailed) as failed:
        await run("note", 1)
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    api.released.set()
    with pytest.raises(HostFailed, match="host#wait"):
        await run("wait-twice", 13)


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, GuestTrap("own"), GeneratorExit])
async def test_whatever_leaves_a_host_function_leaves_the_call(
    run: Run, api: Api, exception: BaseException | type[BaseException]
) -> None:
    def fail(_number: int) -> None:
        raise exception

    api.on_note = fail
    with pytest.raises(exception if isinstance(exception, type) else type(exception)):
        await run("note", 1)


@pytest.mark.parametrize(
    ("function", "arguments", "limits", "error"),
    [
        ("trap", (), {}, GuestTrap),
        ("recurse", (), {}, GuestStackExhausted),
        ("spin", (), {"cpu_s_max": 0.05}, GuestCpuExhausted),
        ("wait-twice", (1,), {"wall_s_max": 0.001}, GuestTimeout),
        ("calls", (11,), {"host_calls_max": 10}, GuestBudgetExhausted),
        ("nothing", (), {"memory_bytes_max": PAGE - 1}, GuestMemoryExhausted),
    ],
)
async def test_limits_end_a_guest(
    run: Run, function: str, arguments: tuple[int, ...], limits: dict[str, float], error: type[EdgedError]
) -> None:
    with pytest.raises(error) as raised:
        await run(function, *arguments, **limits)
    assert type(raised.value) is error


async def test_a_guest_at_its_limits_is_served(run: Run) -> None:
    assert await run("calls", 10, host_calls_max=10) is None
    assert await run("nothing", memory_bytes_max=PAGE) is None
    assert await run("grow", 1, memory_bytes_max=2 * PAGE) == 1
    assert await run("grow", 2, memory_bytes_max=2 * PAGE) == 2**32 - 1


async def test_a_pool_makes_instances_ahead(link: Link, api: Api) -> None:
    pool = CorePool(link(instances_ahead=2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.keep_ahead, invocation())
        await trio.testing.wait_all_tasks_blocked()
        assert pool.statistics().ahead == 2
        mine = invocation()
        instance = await pool.acquire(mine)
        export = pool.program.export("note")
        assert export is not None
        await instance.call(export, 1)
        assert api.sessions[0].invocation is mine
        pool.release(instance)
        nursery.cancel_scope.cancel()
    assert pool.statistics().alive == 0


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(address=U32, length=U32)
async def test_no_address_or_length_gets_out_of_memory(link: Link, address: int, length: int) -> None:
    program = link()
    instance = CoreInstance(program, invocation())
    export = program.export("peek")
    assert export is not None
    try:
        await instance.instantiate()
        try:
            await instance.call(export, address, length)
            assert address + length <= PAGE
        except GuestTrap:
            assert address + length > PAGE
    finally:
        instance.close()


async def test_a_pool_without_a_free_slot() -> None:
    engine = Engine(PoolConfig(instances=2, core_instances=2, memories=2, tables=2))
    program = CoreProgram(engine, wasmtime.Module(engine.wasmtime, '(module (memory (export "memory") 1))'), [])
    alive = [CoreInstance(program, invocation()) for _ in range(3)]
    await alive[0].instantiate()
    await alive[1].instantiate()
    with pytest.raises(GuestMemoryExhausted, match="no free slot"):
        await alive[2].instantiate()
    for instance in alive:
        instance.close()
        instance.close()
    assert engine.instances == 0
