from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import trio
import wasmtime

from edged.host.channel import Pieces, Ready
from edged.host.interface import Interface, Invocation, may_suspend
from edged.limits import GuestLimits
from edged.wasm.component.instance import Instance
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine
from edged.wasm.plan.compiled import CompiledPlan, compile_in_process
from tests.wasm.hosts import invocation
from tests.wasm.instances import begun
from tests.wasm.instances import nothing_left as leaves_nothing

TASKS = Path(__file__).with_name("tasks.wat")


def compiled(engine: Engine, text: str) -> CompiledPlan:
    return compile_in_process(engine, bytes(wasmtime.wat2wasm(text)))


class Drip:
    """A stream that gives its bytes one piece at a time, and each only when asked for twice."""

    def __init__(self, size: int, piece: int = 1000) -> None:
        self.left = size
        self.piece = piece
        self.closed = 0

    @may_suspend
    def read(self, count_max: int) -> bytes | Coroutine[Any, Any, bytes]:
        return self._later(count_max)

    async def _later(self, count_max: int) -> bytes:
        await trio.lowlevel.checkpoint()
        size = min(self.left, self.piece, count_max)
        self.left -= size
        return b"x" * size

    def close(self) -> None:
        self.closed += 1


class Later:
    """A future whose value comes once `released` is set."""

    def __init__(self, released: trio.Event, value: int) -> None:
        self._released = released
        self._value = value

    async def read(self) -> int:
        await self._released.wait()
        return self._value

    def close(self) -> None: ...


class Tasks(Interface):
    """`test:host/tasks`, which tasks.wat imports.

    Attributes:
        released: what `wait` waits for, but for 0, which it answers at once.
        waiting: how many calls of it are under way.
    """

    wit = "test:host/tasks"
    versions: ClassVar[tuple[str, ...]] = ("0.3",)

    def __init__(self) -> None:
        self.released = trio.Event()
        self.waiting = 0
        self.started: list[int] = []
        self.notes: list[int] = []
        self.sources: list[Drip] = []
        self.drips = False

    @may_suspend
    def wait(self, _invocation: Invocation, number: int) -> int | Coroutine[Any, Any, int]:
        self.started.append(number)
        return number + 1 if number == 0 else self._wait(number)

    async def _wait(self, number: int) -> int:
        self.waiting += 1
        try:
            await self.released.wait()
        finally:
            self.waiting -= 1
        if number == 13:
            raise ZeroDivisionError("a fault of the host")
        return number + 1

    def note(self, _invocation: Invocation, number: int) -> None:
        self.notes.append(number)

    def source(self, _invocation: Invocation, size: int) -> Drip | Pieces:
        if not self.drips:
            return Pieces(b"x" * size)
        source = Drip(size)
        self.sources.append(source)
        return source

    def later(self, _invocation: Invocation, number: int) -> Later | Ready:
        return Ready(number) if number == 0 else Later(self.released, number)


@pytest.fixture(scope="session")
def tasks_plan(engine: Engine) -> CompiledPlan:
    return compiled(engine, TASKS.read_text())


@pytest.fixture
def host() -> Tasks:
    return Tasks()


Link = Callable[..., ComponentProgram]


@pytest.fixture
def link(engine: Engine, tasks_plan: CompiledPlan, host: Tasks) -> Link:
    """`link(**limits)`: tasks.wat as a program, with limits that differ from the defaults."""

    def make(**limits: Any) -> ComponentProgram:
        return ComponentProgram(engine, tasks_plan, [host], (), dataclasses.replace(GuestLimits(), **limits))

    return make


def instance_of(program: ComponentProgram, **options: Any) -> AbstractAsyncContextManager[Instance]:
    return begun(Instance(program, invocation(), **options))


async def call(instance: Instance, function: str, *arguments: Any, **options: Any) -> Any:
    export = instance.program.export("", function)
    assert export is not None
    return await instance.call(export, *arguments, **options)


Run = Callable[..., Awaitable[Any]]


@pytest.fixture
def run(link: Link) -> Run:
    """`await run("wait", 1, **limits)`: one call in a fresh instance."""

    async def one(function: str, *arguments: Any, **limits: Any) -> Any:
        async with instance_of(link(**limits)) as instance:
            return await call(instance, function, *arguments)

    return one


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does, no instance is left behind, and nobody's turn."""
    if "engine" not in request.fixturenames:
        yield
        return
    with leaves_nothing(request.getfixturevalue("engine")):
        yield


def numbers(count: int) -> Sequence[int]:
    """Arguments that all make `wait` wait."""
    return range(100, 100 + count)
