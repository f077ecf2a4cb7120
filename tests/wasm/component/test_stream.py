"""Ends of streams and futures that hosts have, against a guest's that are the test's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio
import trio.testing

from edged.host.channel import Dropped
from edged.wasm import types as wit
from edged.wasm.component.pipe import Copy, Pipe, kind_of
from edged.wasm.component.stream import PipeFuture, PipeReader

U8 = wit.Primitive("U8")
STREAM = wit.Stream(U8)
FUTURE = wit.Future(U8)

wait = trio.testing.wait_all_tasks_blocked


class GuestWrite:
    """A guest's write, and what it was told."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.owner = object()
        self.values = values
        self.results: list[Copy] = []
        self.progressed = 0

    def remain(self) -> int:
        return len(self.values)

    def is_zero_length(self) -> bool:
        return not self.values

    def take(self, count: int) -> Sequence[Any]:
        taken, self.values = self.values[:count], self.values[count:]
        return taken

    def put(self, values: Sequence[Any]) -> None:
        raise AssertionError(f"{values} for a writer")

    def progress(self) -> None:
        self.progressed += 1

    def done(self, result: Copy) -> None:
        self.results.append(result)


async def read_into(values: list[Any], read: Callable[[], Any], scope: trio.CancelScope) -> None:
    with scope:
        values.append(await read())


@pytest.mark.parametrize("ty", [STREAM, FUTURE], ids=["stream", "future"])
async def test_a_read_that_is_cancelled_has_taken_nothing(ty) -> None:
    """Not even what a guest writes between the cancellation and the moment that its task runs."""
    pipe = Pipe(None, kind_of(ty))
    stream, future = PipeReader(pipe), PipeFuture(pipe)
    read: Callable[[], Any] = future.read if pipe.is_future else lambda: stream.read(10)
    values: list[Any] = []
    scope = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_into, values, read, scope)
        await wait()
        scope.cancel()
        write = GuestWrite(b"7")
        pipe.write(write)
    assert values == []
    assert write.remain() == 1
    assert read() == (ord("7") if pipe.is_future else b"7")
    assert write.remain() == 0


async def test_a_read_that_was_answered_is_not_cancelled_any_more() -> None:
    pipe = Pipe(None, kind_of(STREAM))
    stream = PipeReader(pipe)
    values: list[Any] = []
    scope = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_into, values, lambda: stream.read(10), scope)
        await wait()
        pipe.write(GuestWrite(b"hello"))
        scope.cancel()
    assert values == [b"hello"]
    assert not scope.cancelled_caught


async def test_a_writer_that_goes_ends_the_read() -> None:
    pipe = Pipe(None, kind_of(STREAM))
    stream = PipeReader(pipe)
    values: list[Any] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_into, values, lambda: stream.read(10), trio.CancelScope())
        await wait()
        pipe.drop(is_writable=True)
    assert values == [b""]
    assert stream.read(10) == b""


async def test_a_future_that_is_dropped_has_no_value() -> None:
    pipe = Pipe(None, kind_of(FUTURE))
    future = PipeFuture(pipe)
    raised = []

    async def read() -> None:
        with pytest.raises(Dropped) as error:
            await future.read()
        raised.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait()
        pipe.drop(is_writable=True)
    assert len(raised) == 1
    with pytest.raises(Dropped):
        future.read()
