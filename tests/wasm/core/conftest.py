from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from edged.limits import GuestLimits
from edged.wasm.core.instance import CoreInstance
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine
from tests.wasm.core.hosts import Api
from tests.wasm.hosts import invocation
from tests.wasm.instances import begun, nothing_left

GUEST = Path(__file__).with_name("guest.wat")


@pytest.fixture
def api() -> Api:
    return Api()


Link = Callable[..., CoreProgram]


@pytest.fixture
def link(engine: Engine, api: Api) -> Link:
    """`link(wat, **limits)`: a core module as a program; guest.wat where none is given."""

    def make(wat: str | None = None, **limits: Any) -> CoreProgram:
        compiled = wasmtime.Module(engine.wasmtime, GUEST.read_text() if wat is None else wat)
        return CoreProgram(engine, compiled, [api], dataclasses.replace(GuestLimits(), **limits))

    return make


Run = Callable[..., Awaitable[int | None]]


@pytest.fixture
def run(engine: Engine, link: Link) -> Iterator[Run]:
    """`await run("add", 1, 2, **limits)`: one call in a fresh instance. Nothing may be left alive after the test."""

    async def call(function: str, *arguments: int, wat: str | None = None, **limits: Any) -> int | None:
        program = link(wat, **limits)
        export = program.export(function)
        assert export is not None
        async with begun(CoreInstance(program, invocation())) as instance:
            return await instance.call(export, *arguments)

    with nothing_left(engine):
        yield call
