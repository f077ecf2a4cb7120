"""Calls that wait in the middle of a guest's code: each has a stack, of which a worker has so many."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import GuestBudgetExhausted, GuestError
from edged.limits import FIBER_COUNT_MAX, FIBER_OWN_COUNT, FIBER_SPARE_COUNT_MAX
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine
from tests.wasm.component.conftest import call, compiled, instance_of
from tests.wasm.component.test_async_host_calls import GUEST, Store


async def refusals(engine: Engine, count: int) -> list[str]:
    """Why so many calls that block cannot all be in one instance."""
    store, said = Store(), []
    program = ComponentProgram(engine, compiled(engine, GUEST), [store])
    async with instance_of(program) as instance:

        async def one(number: int) -> None:
            try:
                assert await call(instance, "block", number, 10) == number
            except GuestError as error:
                if isinstance(error, GuestBudgetExhausted):
                    said.append(error.message)

        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(one, number)
            await trio.testing.wait_all_tasks_blocked()
            store.released.set()
    return said


@pytest.mark.parametrize("over", [0, 1])
async def test_stacks_of_one_instance(engine: Engine, over: int) -> None:
    said = await refusals(engine, FIBER_COUNT_MAX + over)
    assert [f"more than {FIBER_COUNT_MAX} calls" in each for each in said] == [True] * over
    assert engine.fibers_spare == 0


@pytest.mark.parametrize("over", [0, 1])
async def test_stacks_of_all_instances(engine: Engine, monkeypatch: pytest.MonkeyPatch, over: int) -> None:
    taken = FIBER_SPARE_COUNT_MAX - 3
    monkeypatch.setattr(engine, "fibers_spare", taken)
    said = await refusals(engine, FIBER_OWN_COUNT + 3 + over)
    assert ["the worker has no more stacks" in each for each in said] == [True] * over
    assert engine.fibers_spare == taken


async def test_an_instance_has_stacks_of_its_own_in_any_case(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "fibers_spare", FIBER_SPARE_COUNT_MAX)
    assert await refusals(engine, FIBER_OWN_COUNT) == []
