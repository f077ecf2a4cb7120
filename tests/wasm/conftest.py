from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from wasmtime import component

from edged.limits import GuestLimits
from edged.wasm.engine import Engine, PoolConfig
from edged.wasm.instance import Instance
from edged.wasm.linker import Program
from tests.wasm.hosts import Api, invocation
from tests.wasm.instances import begun, nothing_left

GUEST = Path(__file__).with_name("guest.wat")
ASYNC = Path(__file__).with_name("async.wat")
SMALL_POOL = PoolConfig(instances=200, core_instances=2_000, memories=400, tables=400)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    engine = Engine(SMALL_POOL)
    engine.start_ticking()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def guest(engine: Engine) -> component.Component:
    return component.Component(engine.wasmtime, GUEST.read_text())


@pytest.fixture
def api() -> Api:
    return Api()


Link = Callable[..., Program]


@pytest.fixture
def link(engine: Engine, guest: component.Component, api: Api) -> Link:
    """`link(**limits)`: guest.wat as a program, with limits that differ from the defaults."""

    def make(**limits: Any) -> Program:
        changed = dataclasses.replace(GuestLimits(), **limits)
        return Program(engine, guest, [api], ("test:host/absent",), changed)

    return make


def instance_of(program: Program, **options: Any) -> AbstractAsyncContextManager[Instance]:
    return begun(Instance(program, invocation(), **options))


Run = Callable[..., Awaitable[Any]]


@pytest.fixture
def run(engine: Engine, link: Link) -> Iterator[Run]:
    """`await run("add", 1, 2, **limits)`: one call in a fresh instance. Nothing may be left alive after the test."""

    async def call(function: str, *arguments: Any, **limits: Any) -> Any:
        program = link(**limits)
        export = program.export("test:guest/run", function)
        assert export is not None
        async with instance_of(program) as instance:
            return await instance.call(export, *arguments)

    with nothing_left(engine):
        yield call
