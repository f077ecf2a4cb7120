"""WASI preview 1 on the memory of a real guest: whatever numbers it passes, it gets an errno and the process lives."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edged.errors import GuestBudgetExhausted, GuestExit
from edged.host.files.tree import build_tree
from edged.host.preview1.abi import Errno
from edged.host.preview1.module import Preview1
from edged.wasm.core.instance import CoreInstance
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine
from tests.wasm.hosts import invocation

PAGE = 65536
_TYPES = {"i": "i32", "I": "i64"}
SUSPENDING = {"poll_oneoff"}  # random subscriptions would be waited for; tests/host/preview1 has them


def everything() -> str:
    """A module that exports each function of the interface, called from inside. Its memory is full of small numbers."""
    imports, exports = [], []
    for name, (params, result) in Preview1.functions.items():
        types = "".join(f" (param {_TYPES[letter]})" for letter in params)
        types += "".join(f" (result {_TYPES[letter]})" for letter in result)
        imports.append(f'(import "wasi_snapshot_preview1" "{name}" (func ${name}{types}))')
        gets = " ".join(f"(local.get {number})" for number in range(len(params)))
        exports.append(f'(func (export "{name}"){types} (call ${name} {gets}))')
    data = "\\10\\00\\00\\00\\08\\00\\00\\00\\fc\\ff\\00\\00\\04\\00\\00\\00a\\00\\ff\\ff" * 100
    return (
        f'(module {" ".join(imports)} (memory (export "memory") 1) (data (i32.const 0) "{data}") {" ".join(exports)})'
    )


@pytest.fixture(scope="module")
def program(engine: Engine) -> CoreProgram:
    root = build_tree({"/a": Path(__file__), "/b/c": Path(__file__)})
    return CoreProgram(engine, wasmtime.Module(engine.wasmtime, everything()), [Preview1(root, ["x"], {"y": "z"})])


NUMBER = st.integers(0, 2_000) | st.integers(PAGE - 64, PAGE + 8) | st.integers(0, 2**32 - 1) | st.just(2**32 - 1)
WIDE = NUMBER | st.integers(0, 2**64 - 1)
CALL = st.sampled_from(sorted(Preview1.functions.keys() - SUSPENDING)).flatmap(
    lambda name: st.tuples(
        st.just(name), st.tuples(*(NUMBER if letter == "i" else WIDE for letter in Preview1.functions[name].params))
    )
)


@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(CALL, min_size=1, max_size=8))
async def test_any_numbers_are_answered(program: CoreProgram, calls: list[tuple[str, tuple[int, ...]]]) -> None:
    instance = CoreInstance(program, invocation())
    try:
        await instance.instantiate()
        for name, numbers in calls:
            export = program.export(name)
            assert export is not None
            try:
                assert await instance.call(export, *numbers) in set(Errno)
            except (GuestExit, GuestBudgetExhausted):
                return
    finally:
        instance.close()


async def test_the_calls_reach_memory(program: CoreProgram) -> None:
    """That the fuzzing above meets more than refusals."""
    instance = CoreInstance(program, invocation())
    await instance.instantiate()

    async def call(name: str, *numbers: int) -> int | None:
        export = program.export(name)
        assert export is not None
        return await instance.call(export, *numbers)

    assert await call("clock_time_get", 0, 0, PAGE - 8) == Errno.SUCCESS
    assert await call("clock_time_get", 0, 0, PAGE - 7) == Errno.FAULT
    assert await call("path_open", 3, 0, 16, 1, 0, 2, 0, 0, 1000) == Errno.SUCCESS
    assert await call("fd_read", 4, 0, 1, 1000) == Errno.SUCCESS
    instance.close()
