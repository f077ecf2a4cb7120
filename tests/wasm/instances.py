"""What tests of each path do with instances, whatever these are instances of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol, TypeVar

import trio
import trio.testing

from edged.wasm.engine import Engine


class _Instance(Protocol):
    async def instantiate(self) -> None: ...

    def close(self) -> None: ...


class _Waiting(Protocol):
    """A host whose function `wait` waits until it is released."""

    waiting: int
    released: trio.Event


InstanceT = TypeVar("InstanceT", bound=_Instance)


@asynccontextmanager
async def begun(instance: InstanceT) -> AsyncIterator[InstanceT]:
    try:
        await instance.instantiate()
        yield instance
    finally:
        instance.close()


@contextmanager
def nothing_left(engine: Engine) -> Iterator[None]:
    """No instance is left behind, and nobody's turn."""
    before = engine.instances
    yield
    assert engine.instances == before
    assert engine.guest is None


async def suspend_a_hundred(run: Callable[..., Awaitable[Any]], host: _Waiting) -> None:
    """A hundred guests that wait for the host share this thread, and each gets its own answers: it waits twice,
    is given its number plus one both times, and returns the sum.
    """
    answers: list[int] = []

    async def one(number: int) -> None:
        answers.append(await run("wait-twice", number))

    async with trio.open_nursery() as nursery:
        for number in range(100, 200):
            nursery.start_soon(one, number)
        await trio.testing.wait_all_tasks_blocked()
        assert host.waiting == 100
        host.released.set()
    assert sorted(answers) == [2 * (number + 1) for number in range(100, 200)]
