"""Calls of a guest: answers, suspensions, cancellation, failures. Limits are in test_limits.py."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from wasmtime import component

from edged.errors import GuestRefused, GuestTrap, HostFailed
from edged.wasm.engine import Engine
from edged.wasm.linker import Program
from tests.wasm.conftest import Link, Run, instance_of
from tests.wasm.hosts import Api, Thing
from tests.wasm.instances import suspend_a_hundred


async def test_a_call_answers(run: Run) -> None:
    assert await run("add", 2, 40) == 42


async def test_each_instance_starts_fresh(run: Run) -> None:
    assert [await run("count"), await run("count")] == [1, 1]


async def test_calls_of_one_instance_share_its_state(link: Link) -> None:
    program = link()
    export = program.export("test:guest/run", "count")
    assert export is not None
    async with instance_of(program) as instance:
        assert [await instance.call(export), await instance.call(export)] == [1, 2]


async def test_an_export_that_is_not_there_is_none(link: Link) -> None:
    assert link().export("test:guest/run", "missing") is None
    assert link().export("test:other", "add") is None


async def test_a_hundred_suspended_guests_share_one_thread(run: Run, api: Api) -> None:
    await suspend_a_hundred(run, api)


@pytest.mark.parametrize(
    ("number", "answer"),
    [(6, 6), (7, 7), (100, 1000 + len("refused")), (101, 1000 + len("refused later"))],
    ids=["at once", "suspended", "err at once", "err suspended"],
)
async def test_a_function_may_suspend_or_not(run: Run, number: int, answer: int) -> None:
    assert await run("perhaps", number) == answer


async def test_cancelling_a_suspended_guest_frees_everything(run: Run, engine: Engine, api: Api) -> None:
    before = engine.instances
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "wait-twice", 1)
        await trio.testing.wait_all_tasks_blocked()
        assert engine.instances == before + 1
        nursery.cancel_scope.cancel()
    assert (engine.instances, api.waiting) == (before, 0)


async def test_cancelling_a_spinning_guest_frees_everything(run: Run, engine: Engine) -> None:
    before = engine.instances
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "spin")
        while engine.instances == before:
            await trio.lowlevel.checkpoint()
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert engine.instances == before


async def test_a_busy_guest_gives_way(run: Run) -> None:
    """Two endless loops and a guest that needs several turns: it gets them, one slice at a time."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "spin")
        nursery.start_soon(run, "spin")
        for _ in range(20):
            assert await run("perhaps", 7) == 7
        nursery.cancel_scope.cancel()


async def test_busy_guests_finish_their_work(run: Run) -> None:
    answers: list[int] = []

    async def one(number: int) -> None:
        answers.append(await run("work", number))

    async with trio.open_nursery() as nursery:
        for number in (30, 31, 32):
            nursery.start_soon(one, number)
    assert sorted(answers) == [30, 31, 32]


async def test_output_is_flushed_before_the_guest_waits(link: Link, api: Api) -> None:
    program = link()
    export = program.export("test:guest/run", "wait-twice")
    assert export is not None
    seen: list[int] = []
    api.released.set()

    async def before_wait() -> None:
        seen.append(api.waiting)
        await trio.lowlevel.checkpoint()

    async with instance_of(program, before_wait=before_wait) as instance:
        await instance.call(export, 1)
    assert seen == [0, 0], "once for each wait, and before the host function began"


async def test_a_failing_flush_ends_the_call(link: Link, api: Api) -> None:
    program = link()
    export = program.export("test:guest/run", "wait-twice")
    assert export is not None

    async def before_wait() -> None:
        raise BrokenPipeError("the client is gone")

    async with instance_of(program, before_wait=before_wait) as instance:
        with pytest.raises(BrokenPipeError):
            await instance.call(export, 1)
    assert api.waiting == 0


async def test_a_trap_names_itself(run: Run) -> None:
    with pytest.raises(GuestTrap, match="unreachable"):
        await run("trap")


async def test_a_refused_function_names_itself(run: Run) -> None:
    with pytest.raises(GuestRefused, match=r"test:host/absent@0\.2\.0#nothing"):
        await run("nothing")


@pytest.mark.parametrize("function", ["note", "wait-twice"], ids=["at once", "suspended"])
async def test_a_fault_of_the_host_is_ours(run: Run, api: Api, function: str) -> None:
    def fail(_number: int) -> None:
        raise ZeroDivisionError("a fault of the host")

    api.on_note = fail
    api.released.set()
    with pytest.raises(HostFailed, match="ZeroDivisionError: a fault of the host") as caught:
        await run(function, 13)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, trio.Cancelled, GeneratorExit])
async def test_whatever_leaves_a_host_function_comes_out_as_itself(
    run: Run, api: Api, failure: type[BaseException]
) -> None:
    """An exception that crossed wasmtime's frames would kill the process."""

    def fail(_number: int) -> None:
        if failure is trio.Cancelled:
            raise trio.Cancelled._create(source="deadline")
        raise failure

    api.on_note = fail
    with pytest.raises(failure):
        await run("note", 1)


async def test_two_thousand_failures_leave_nothing(run: Run, api: Api) -> None:
    def fail(_number: int) -> None:
        raise ZeroDivisionError

    api.on_note = fail
    for _ in range(2_000):
        with pytest.raises(HostFailed):
            await run("note", 1)


async def test_a_dropped_handle_drops_its_object(run: Run, api: Api) -> None:
    assert await run("drop-things", 5) == 5
    assert api.dropped == 5


async def test_handles_left_over_are_dropped_at_the_end(run: Run, api: Api) -> None:
    assert await run("keep-things", 5) == 5
    assert api.dropped == 5


async def test_statistics_count_what_was_used(link: Link) -> None:
    program = link()
    export = program.export("test:guest/run", "keep-things")
    assert export is not None
    async with instance_of(program) as instance:
        await instance.call(export, 3)
        used = instance.statistics()
        assert (used.host_calls, used.handles, used.yields) == (6, 3, 0)
        assert used.cpu_s > 0
    assert instance.statistics().handles == 0


async def test_close_is_idempotent(link: Link, engine: Engine) -> None:
    before = engine.instances
    async with instance_of(link()) as instance:
        instance.close()
        assert engine.instances == before
    assert engine.instances == before


async def test_a_resource_that_cannot_be_dropped_keeps_none_of_the_others(
    link: Link, engine: Engine, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, drop = engine.instances, Thing.drop

    def fail(thing: Thing) -> None:
        drop(thing)
        raise ZeroDivisionError("a fault of the host")

    monkeypatch.setattr(Thing, "drop", fail)
    program = link()
    export = program.export("test:guest/run", "keep-things")
    assert export is not None
    with pytest.raises(HostFailed, match="ZeroDivisionError: a fault of the host"):
        async with instance_of(program) as instance:
            await instance.call(export, 3)
    assert (api.dropped, engine.instances) == (3, before)


async def test_a_trap_is_what_the_engine_says_not_what_functions_are_called(engine: Engine) -> None:
    name = r"x\n\nCaused by:\n    wasm trap: call stack exhausted\n"
    text = f"""(component
      (core module $main (func $"{name}" (export "run") unreachable))
      (core instance $main (instantiate $main))
      (func $run (canon lift (core func $main "run")))
      (instance $guest (export "run" (func $run)))
      (export "test:guest/run" (instance $guest)))"""
    program = Program(engine, component.Component(engine.wasmtime, text), [])
    export = program.export("test:guest/run", "run")
    assert export is not None
    async with instance_of(program) as instance:
        with pytest.raises(GuestTrap) as caught:
            await instance.call(export)
    assert str(caught.value).startswith("wasm trap: wasm `unreachable`")


OPTION = """(component
  (core module $m
    (func (export "take") (param i32 i32) (result i32) (local.get 1))
    (func (export "give") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func (export "take") (param "n" (option u32)) (result u32) (canon lift (core func $i "take")))
  (func (export "give") (result u32) (canon lift (core func $i "give"))))"""


async def test_arguments_of_one_call_are_freed_once(engine: Engine) -> None:
    """The result of the next call is written to where the argument of the last one was, which wasmtime would free."""
    program = Program(engine, component.Component(engine.wasmtime, OPTION), [])
    take, give = program.export("", "take"), program.export("", "give")
    assert take is not None
    assert give is not None
    async with instance_of(program) as instance:
        for number in range(100):
            assert await instance.call(take, number) == number
            assert await instance.call(give) == 7
