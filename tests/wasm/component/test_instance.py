"""Components of WASI 0.2 on the core API: the guest of the C API's tests, which answers here as it does there."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from edged.errors import (
    ComponentUnsupported,
    GuestBudgetExhausted,
    GuestCpuExhausted,
    GuestRefused,
    GuestStackExhausted,
    GuestTrap,
    HostFailed,
)
from edged.limits import GuestLimits
from edged.wasm.component.instance import Instance
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine
from edged.wasm.plan.compiled import CompiledPlan
from tests.wasm.component.conftest import compiled, instance_of
from tests.wasm.conftest import GUEST
from tests.wasm.hosts import Api, Thing, invocation
from tests.wasm.instances import suspend_a_hundred

Run = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="session")
def plan(engine: Engine) -> CompiledPlan:
    return compiled(engine, GUEST.read_text())


@pytest.fixture
def api() -> Api:
    return Api()


def program_of(engine: Engine, plan: CompiledPlan, api: Api, **limits: Any) -> ComponentProgram:
    changed = dataclasses.replace(GuestLimits(), **limits)
    return ComponentProgram(engine, plan, [api], ("test:host/absent",), changed)


async def call(instance: Instance, function: str, *arguments: Any) -> Any:
    export = instance.program.export("test:guest/run", function)
    assert export is not None
    return await instance.call(export, *arguments)


@pytest.fixture
def run(engine: Engine, plan: CompiledPlan, api: Api) -> Run:
    async def one(function: str, *arguments: Any, **limits: Any) -> Any:
        async with instance_of(program_of(engine, plan, api, **limits)) as instance:
            return await call(instance, function, *arguments)

    return one


@pytest.mark.parametrize(
    ("function", "arguments", "answer"),
    [
        ("add", (2, 40), 42),
        ("count", (), 1),
        ("perhaps", (6,), 6),
        ("perhaps", (7,), 7),
        ("perhaps", (100,), 1000 + len("refused")),
        ("perhaps", (101,), 1000 + len("refused later")),
        ("work", (3,), 3),
    ],
    ids=["add", "count", "at once", "suspended", "err at once", "err suspended", "work"],
)
async def test_a_call_answers(run: Run, function: str, arguments: tuple[int, ...], answer: int) -> None:
    assert await run(function, *arguments) == answer


async def test_a_hundred_suspended_guests_share_one_thread(run: Run, api: Api) -> None:
    await suspend_a_hundred(run, api)


async def test_cancelling_a_suspended_guest_frees_everything(run: Run, engine: Engine, api: Api) -> None:
    before = engine.instances
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "wait-twice", 1)
        await trio.testing.wait_all_tasks_blocked()
        assert engine.instances == before + 1
        nursery.cancel_scope.cancel()
    assert (engine.instances, api.waiting) == (before, 0)


async def test_things_are_dropped_at_the_end(run: Run, api: Api) -> None:
    await run("keep-things", 3)
    assert (api.things, api.dropped) == (3, 3)
    await run("drop-things", 3)
    assert (api.things, api.dropped) == (6, 6)


async def test_a_thing_that_cannot_be_dropped(
    engine: Engine, plan: CompiledPlan, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop(_thing: Thing) -> None:
        raise ZeroDivisionError("a fault of the host")

    before = engine.instances
    instance = Instance(program_of(engine, plan, api), invocation())
    await instance.instantiate()
    await call(instance, "keep-things", 2)
    monkeypatch.setattr(Thing, "drop", drop)
    with pytest.raises(HostFailed, match="ZeroDivisionError"):
        instance.close()
    instance.close()
    assert engine.instances == before


@pytest.mark.parametrize(
    ("function", "arguments", "limits", "error"),
    [
        ("trap", (), {}, GuestTrap),
        ("recurse", (), {}, GuestStackExhausted),
        ("nothing", (), {}, GuestRefused),
        ("spin", (), {"cpu_s_max": 0.02}, GuestCpuExhausted),
        ("note-many", (11,), {"host_calls_max": 10}, GuestBudgetExhausted),
        ("keep-things", (11,), {"handles_max": 10}, GuestBudgetExhausted),
    ],
    ids=["trap", "recursion", "refused", "cpu", "host calls", "handles"],
)
async def test_a_guest_is_ended(
    run: Run, function: str, arguments: tuple[int, ...], limits: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await run(function, *arguments, **limits)


@pytest.mark.parametrize(
    ("function", "limits"),
    [("note-many", {"host_calls_max": 10}), ("keep-things", {"handles_max": 10, "host_calls_max": 100})],
    ids=["host calls", "handles"],
)
async def test_a_guest_at_its_limit(run: Run, function: str, limits: dict[str, int]) -> None:
    await run(function, 10, **limits)


async def test_a_host_function_that_fails(run: Run, api: Api) -> None:
    def fail(_number: int) -> None:
        raise ZeroDivisionError("a fault of the host")

    api.on_note = fail
    with pytest.raises(HostFailed, match=r"test:host/api@.*#note: ZeroDivisionError"):
        await run("note", 1)


async def test_instances_of_one_program_are_made_at_the_same_time(engine: Engine, plan: CompiledPlan, api: Api) -> None:
    """They share a linker, in which each defines its own."""
    program = program_of(engine, plan, api)
    instances = [Instance(program, invocation()) for _ in range(5)]
    async with trio.open_nursery() as nursery:
        for instance in instances:
            nursery.start_soon(instance.instantiate)
    for instance in instances:
        assert await call(instance, "add", 1, 2) == 3
        instance.close()


def test_an_import_that_nobody_knows(engine: Engine, plan: CompiledPlan, api: Api) -> None:
    with pytest.raises(ComponentUnsupported, match="test:host/absent"):
        ComponentProgram(engine, plan, [api])
    program = ComponentProgram(engine, plan, [api], ("test:host/absent",))
    assert program.refusals == ["test:host/absent@0.2.0"]
    assert not program.reusable
    assert program.export("test:guest/run", "missing") is None
    assert program.export("test:other", "add") is None
