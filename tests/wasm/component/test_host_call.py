"""Coroutines of host functions, and what becomes of what they give."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from edged.errors import HostFailed
from edged.host.interface import Invocation, may_suspend
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine
from edged.wasm.plan.compiled import CompiledPlan
from tests.wasm.component.conftest import Tasks, call, instance_of


class _Other(Tasks):
    """Answers with what is no number, at once and later: as to a guest that imports `wait` with another type."""

    def __init__(self, *, is_late: bool) -> None:
        super().__init__()
        self._is_late = is_late

    @may_suspend
    def wait(self, _invocation: Invocation, _number: int) -> Any:
        return self._late() if self._is_late else "text"

    async def _late(self) -> str:
        await trio.lowlevel.checkpoint()
        return "text"


@pytest.mark.parametrize("is_late", [False, True], ids=["at-once", "later"])
@pytest.mark.parametrize("function", ["wait", "block"])
async def test_an_answer_of_another_type(
    engine: Engine, tasks_plan: CompiledPlan, function: str, is_late: bool
) -> None:
    program = ComponentProgram(engine, tasks_plan, [_Other(is_late=is_late)])
    async with instance_of(program) as instance:
        with pytest.raises(HostFailed, match=r"test:host/tasks@0\.3\.0#wait: ") as raised:
            await call(instance, function, 5)
    assert raised.value.__cause__ is not None
