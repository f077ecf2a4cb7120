"""The engine's pool: what it has room for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
import trio.testing
import wasmtime
from wasmtime import component

from edged.errors import GuestMemoryExhausted
from edged.wasm.core.instance import CoreInstance
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine, PoolConfig, new_validator
from tests.wasm.core.hosts import Api
from tests.wasm.hosts import invocation

WAITS = """(module (import "host" "wait" (func $wait (param i64) (result i64)))
    (func (export "run") (param i64) (result i64) (call $wait (local.get 0))))"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(PoolConfig(instances=1, core_instances=10, memories=10, tables=10))
    yield engine
    engine.close()


async def test_a_pool_has_two_stacks_for_each_instance(engine: Engine) -> None:
    """Fibers that wait hold them: an allocator that is called for one that waits needs another."""
    api = Api()
    program = CoreProgram(engine, wasmtime.Module(engine.wasmtime, WAITS), [api])
    export = program.export("run")
    assert export is not None
    answers: list[object] = []

    async def wait(number: int) -> None:
        instance = CoreInstance(program, invocation())
        try:
            await instance.instantiate()
            answers.append(await instance.call(export, number))
        finally:
            instance.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, 1)
        nursery.start_soon(wait, 2)
        await trio.testing.wait_all_tasks_blocked()
        assert api.waiting == 2
        with pytest.raises(GuestMemoryExhausted, match="no free slot"):
            await wait(3)
        api.released.set()
    assert sorted(answers, key=str) == [2, 3]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("(component)", ""),
        ('(component (import "f" (func async)))', ""),
        ("(component (type (stream u8)) (core func (canon stream.new 0)))", ""),
        ("(component (core func (canon subtask.cancel async)))", ""),
        (
            '(component (core module $m (func (export "f"))) (core instance $m (instantiate $m))'
            ' (func (export "f") async (canon lift (core func $m "f") async)))',
            "",
        ),
        ("(component (type (map string u32)))", ""),
        ('(component (import "a" (implements "b:c/d") (instance)))', ""),
        ("(component (core func (canon error-context.drop)))", "error-context"),
        ("(component (type (list u8 4)))", "fixed-length lists"),
        ("(component (core func (canon thread.index)))", "threading"),
        ('(component (import "v" (value u32)))', "`value`s"),
        ("(component (core module (memory 1 1 shared)))", "threads"),
        ("(component (core func (canon resource.drop 0)))", "unknown type 0"),
    ],
    ids=[
        "empty",
        "asynchronous function",
        "stream",
        "more built-ins",
        "stackful lift",
        "map",
        "implements",
        "error context",
        "fixed length",
        "thread",
        "value",
        "shared memory",
        "invalid",
    ],
)
def test_the_validator_knows_what_edged_can_run(text: str, refusal: str) -> None:
    data = bytes(wasmtime.wat2wasm(text))
    if not refusal:
        component.Component(new_validator(), data)
        return
    with pytest.raises(wasmtime.WasmtimeError, match=refusal):
        component.Component(new_validator(), data)
