"""Streams and futures between a guest and its host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from edged.host.channel import Dropped
from edged.wasm.component.pipe import Pipe, kind_of
from edged.wasm.component.stream import PipeFuture, PipeReader
from edged.wasm.types import Future, Primitive, Stream
from tests.wasm.component.conftest import Link, Run, Tasks, call, instance_of

NO_INSTANCE: Any = SimpleNamespace(hold=lambda action: action())
SIZES = [0, 1, 4095, 4096, 4097, 100_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("drips", [False, True], ids=["at once", "piece by piece"])
async def test_a_guest_reads_what_its_host_gives(run: Run, host: Tasks, size: int, drips: bool) -> None:
    host.drips = drips
    assert await run("read", size) == size
    assert all(source.closed == 1 for source in host.sources)


async def test_several_guests_read_at_once(link: Link, host: Tasks) -> None:
    host.drips = True
    answers: list[int] = []

    async def one(size: int) -> None:
        async with instance_of(link()) as instance:
            answers.append(await call(instance, "read", size))

    async with trio.open_nursery() as nursery:
        for size in SIZES:
            nursery.start_soon(one, size)
    assert sorted(answers) == SIZES


async def read_all(reader: Any, count_max: int = 1000) -> bytes:
    pieces: list[bytes] = []
    while True:
        piece = reader.read(count_max)
        piece = piece if isinstance(piece, bytes) else await piece
        if not piece:
            return b"".join(pieces)
        assert len(piece) <= count_max
        pieces.append(piece)


@pytest.mark.parametrize("size", SIZES)
async def test_a_host_reads_what_its_guest_writes(link: Link, size: int) -> None:
    read: list[int] = []

    async def returned(reader: PipeReader) -> None:
        read.append(len(await read_all(reader)))
        assert reader.read(1) == b"", "for ever after"
        reader.close()

    async with instance_of(link()) as instance:
        await call(instance, "write", size, returned=returned)
        assert instance.handles() == 0
    assert read == [size]


async def test_a_host_that_stops_reading(link: Link) -> None:
    async def returned(reader: PipeReader) -> None:
        assert len(await one(reader)) == 10
        reader.close()
        reader.close()

    async def one(reader: PipeReader) -> bytes:
        piece = reader.read(10)
        return piece if isinstance(piece, bytes) else await piece

    async with instance_of(link()) as instance:
        await call(instance, "write", 100_000, returned=returned)
        assert instance.handles() == 0


async def test_a_read_that_is_cancelled_has_taken_nothing(link: Link) -> None:
    read: list[int] = []

    async def returned(reader: PipeReader) -> None:
        assert reader.pipe is not None
        await trio.testing.wait_all_tasks_blocked()
        first = reader.read(4096)
        assert isinstance(first, bytes)
        second = reader.read(1)
        if not isinstance(second, bytes):
            with trio.CancelScope() as scope:
                scope.cancel()
                await second
            assert scope.cancelled_caught
            second = b""
        read.append(len(first) + len(second) + len(await read_all(reader)))
        reader.close()

    async with instance_of(link()) as instance:
        await call(instance, "write", 9000, returned=returned)
    assert read == [9000]


@pytest.mark.parametrize("number", [0, 5], ids=["known", "comes later"])
async def test_a_guest_reads_a_future(run: Run, host: Tasks, number: int) -> None:
    host.released.set()
    assert await run("later", number) == number


async def test_a_source_is_closed_when_its_guest_ends(link: Link, host: Tasks) -> None:
    host.drips = True
    async with instance_of(link()) as instance, trio.open_nursery() as nursery:
        nursery.start_soon(call, instance, "read", 10_000_000)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert [source.closed for source in host.sources] == [1]


async def test_a_future_whose_writer_has_gone() -> None:
    pipe = Pipe(NO_INSTANCE, kind_of(Future(Primitive("U32"))))
    future = PipeFuture(pipe)
    pending = future.read()

    async def wait() -> None:
        with pytest.raises(Dropped):
            await pending

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        pipe.drop(is_writable=True)
    with pytest.raises(Dropped):
        future.read()


async def test_a_stream_whose_writer_has_gone() -> None:
    pipe = Pipe(NO_INSTANCE, kind_of(Stream(Primitive("U8"))))
    reader = PipeReader(pipe)
    pipe.drop(is_writable=True)
    assert reader.read(5) == b""
    reader.close()
    assert reader.read(5) == b""


def test_equal_types_are_one_kind() -> None:
    assert kind_of(Stream(Primitive("U8"))) is kind_of(Stream(Primitive("U8")))
    assert kind_of(Stream(Primitive("U8"))) is not kind_of(Stream(Primitive("S8")))
    assert kind_of(Stream(None)) is not kind_of(Future(None))
