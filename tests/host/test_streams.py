"""wasi:io/streams and wasi:io/error"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import GuestTrap
from edged.host.interface import Err
from edged.host.streams import CLOSED, InputStream, IoError, OutputStream, operation_failed
from edged.limits import BLOCKING_WRITE_BYTES_MAX, READ_CHUNK_BYTES
from tests.host.fakes import err, settled, suspends


class Pipe:
    """A source and a sink in one, with a limited buffer."""

    def __init__(self, data: bytes = b"", size: int = 10_000) -> None:
        self.data = bytearray(data)
        self.size = size
        self.error: Err | None = None
        self.closed = False
        self._news = trio.Event()

    def put(self, data: bytes) -> None:
        self.data += data
        self._tell()

    def fail(self, error: Err) -> None:
        self.error = error
        self._tell()

    def take_all(self) -> bytes:
        data = bytes(self.data)
        self.data.clear()
        self._tell()
        return data

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def close(self) -> None:
        self.closed = True


class PipeSource(Pipe):
    def ready(self) -> bool:
        return bool(self.data) or self.error is not None

    async def wait(self) -> None:
        while not self.ready():
            await self._news.wait()

    def read(self, bytes_max: int) -> bytes:
        if not self.data and self.error is not None:
            raise self.error
        data = bytes(self.data[:bytes_max])
        del self.data[:bytes_max]
        return data


class PipeSink(Pipe):
    def ready(self) -> bool:
        return self.error is not None or len(self.data) < self.size

    async def wait(self) -> None:
        while not self.ready():
            await self._news.wait()

    def capacity(self) -> int:
        if self.error is not None:
            raise self.error
        return self.size - len(self.data)

    def write(self, data: bytes) -> None:
        assert len(data) <= self.capacity()
        self.data += data


async def during(answer, then):
    """Let a guest wait, do something, and give its answer."""
    result = []

    async def guest():
        try:
            result.append(await settled(answer))
        except Err as error:
            result.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest)
        await trio.testing.wait_all_tasks_blocked()
        assert not result
        then()
    return result[0]


# --- error ---


def test_an_error_tells_what_happened() -> None:
    assert IoError("the disk is gone").to_debug_string() == "the disk is gone"


# --- input-stream ---


def test_read_gives_what_is_there_and_never_waits() -> None:
    stream = InputStream(PipeSource(b"hello"))
    assert stream.read(2) == b"he"
    assert stream.read(100) == b"llo"
    assert stream.read(100) == b""


def test_one_read_is_bounded() -> None:
    stream = InputStream(PipeSource(b"x" * (READ_CHUNK_BYTES + 1)))
    assert len(stream.read(2**64 - 1)) == READ_CHUNK_BYTES
    assert stream.read(READ_CHUNK_BYTES) == b"x"


@pytest.mark.parametrize("error", [Err(CLOSED), operation_failed(IoError("broken"))])
def test_an_error_reaches_every_way_of_reading(error) -> None:
    source = PipeSource()
    source.fail(error)
    stream = InputStream(source)
    for method in (stream.read, stream.blocking_read, stream.skip, stream.blocking_skip):
        with err(error.value):
            method(1)


async def test_blocking_read_answers_at_once_or_waits_for_a_byte() -> None:
    source = PipeSource(b"a")
    stream = InputStream(source)
    assert stream.blocking_read(10) == b"a"
    assert await during(stream.blocking_read(10), lambda: source.put(b"bc")) == b"bc"
    assert await during(stream.blocking_read(10), lambda: source.fail(Err(CLOSED))) == Err(CLOSED)


def test_reading_nothing_does_not_wait() -> None:
    stream = InputStream(PipeSource())
    assert stream.blocking_read(0) == b""
    assert stream.blocking_skip(0) == 0
    assert suspends(stream.blocking_read(1))
    assert suspends(stream.blocking_skip(1))


async def test_skip_counts_what_it_threw_away() -> None:
    source = PipeSource(b"hello")
    stream = InputStream(source)
    assert stream.skip(2) == 2
    assert stream.blocking_skip(100) == 3
    assert stream.skip(1) == 0
    assert await during(stream.blocking_skip(100), lambda: source.put(b"four")) == 4


async def test_the_pollable_of_an_input_stream_outlives_it() -> None:
    source = PipeSource()
    stream = InputStream(source)
    pollable = stream.subscribe()
    assert not pollable.ready()
    stream.drop()
    assert source.closed
    source.put(b"x")
    assert pollable.ready()


# --- output-stream ---


def test_check_write_tells_the_permit() -> None:
    sink = PipeSink(b"12", size=10)
    assert OutputStream(sink).check_write() == 8


def test_write_takes_the_permit_and_traps_one_byte_over() -> None:
    sink = PipeSink(size=10)
    stream = OutputStream(sink)
    stream.write(b"x" * 10)
    with pytest.raises(GuestTrap):
        stream.write(b"x")
    stream.write(b"")
    assert sink.take_all() == b"x" * 10
    with pytest.raises(GuestTrap):
        stream.write(b"x" * 11)


def test_write_zeroes_takes_the_permit_and_traps_one_byte_over() -> None:
    sink = PipeSink(size=10)
    stream = OutputStream(sink)
    with pytest.raises(GuestTrap):
        stream.write_zeroes(11)
    with pytest.raises(GuestTrap):
        stream.write_zeroes(2**64 - 1)
    stream.write_zeroes(10)
    assert sink.data == bytes(10)


def test_a_blocking_write_that_fits_answers_at_once() -> None:
    sink = PipeSink(size=BLOCKING_WRITE_BYTES_MAX)
    stream = OutputStream(sink)
    assert stream.blocking_write_and_flush(b"x" * BLOCKING_WRITE_BYTES_MAX) is None
    assert len(sink.data) == BLOCKING_WRITE_BYTES_MAX


def test_a_blocking_write_traps_one_byte_over_its_limit() -> None:
    stream = OutputStream(PipeSink(size=BLOCKING_WRITE_BYTES_MAX * 2))
    with pytest.raises(GuestTrap):
        stream.blocking_write_and_flush(b"x" * (BLOCKING_WRITE_BYTES_MAX + 1))
    with pytest.raises(GuestTrap):
        stream.blocking_write_zeroes_and_flush(BLOCKING_WRITE_BYTES_MAX + 1)
    with pytest.raises(GuestTrap):
        stream.blocking_write_zeroes_and_flush(2**64 - 1)


async def test_a_blocking_write_waits_until_all_of_it_is_taken() -> None:
    sink = PipeSink(b"abc", size=4)
    taken = []
    answer = OutputStream(sink).blocking_write_and_flush(b"0123456789")

    async def reader():
        while True:
            await trio.testing.wait_all_tasks_blocked()
            if not sink.data:
                return
            taken.append(sink.take_all())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await answer
    assert b"".join(taken) == b"abc0123456789"
    assert all(len(piece) <= 4 for piece in taken)


async def test_blocking_write_zeroes() -> None:
    sink = PipeSink(size=8)
    stream = OutputStream(sink)
    assert stream.blocking_write_zeroes_and_flush(8) is None
    assert sink.take_all() == bytes(8)
    sink.put(b"x" * 8)
    await during(stream.blocking_write_zeroes_and_flush(3), sink.take_all)
    assert sink.data == bytes(3)


async def test_a_blocking_write_ends_with_the_error_of_the_sink() -> None:
    sink = PipeSink(size=0)
    assert await during(OutputStream(sink).blocking_write_and_flush(b"x"), lambda: sink.fail(Err(CLOSED))) == Err(
        CLOSED
    )


@pytest.mark.parametrize("error", [Err(CLOSED), operation_failed(IoError("broken"))])
def test_an_error_reaches_every_way_of_writing(error) -> None:
    sink = PipeSink()
    sink.fail(error)
    stream = OutputStream(sink)
    for call in (
        stream.check_write,
        lambda: stream.write(b"x"),
        lambda: stream.write_zeroes(1),
        lambda: stream.blocking_write_and_flush(b"x"),
        lambda: stream.blocking_write_zeroes_and_flush(1),
        stream.flush,
        stream.blocking_flush,
        lambda: stream.splice(InputStream(PipeSource(b"x")), 1),
        lambda: stream.blocking_splice(InputStream(PipeSource(b"x")), 1),
    ):
        with err(error.value):
            call()


def test_flush_has_nothing_to_wait_for() -> None:
    stream = OutputStream(PipeSink(b"x", size=1))
    assert stream.flush() is None
    assert stream.blocking_flush() is None


async def test_the_pollable_of_an_output_stream_outlives_it() -> None:
    sink = PipeSink(b"x", size=1)
    stream = OutputStream(sink)
    pollable = stream.subscribe()
    assert not pollable.ready()
    stream.drop()
    assert sink.closed
    sink.take_all()
    assert pollable.ready()


# --- splice ---


def test_splice_moves_the_least_of_what_is_asked_there_and_permitted() -> None:
    sink = PipeSink(size=4)
    stream = OutputStream(sink)
    assert stream.splice(InputStream(PipeSource(b"hello")), 2) == 2
    assert stream.splice(InputStream(PipeSource(b"hello")), 100) == 2
    assert stream.splice(InputStream(PipeSource(b"hello")), 100) == 0
    assert sink.data == b"hehe"


def test_splice_leaves_the_input_alone_while_there_is_no_permit() -> None:
    source = PipeSource(b"hello")
    OutputStream(PipeSink(size=0)).splice(InputStream(source), 5)
    assert source.data == b"hello"


def test_splice_ends_with_the_error_of_the_input() -> None:
    source = PipeSource()
    source.fail(Err(CLOSED))
    with err(CLOSED):
        OutputStream(PipeSink()).splice(InputStream(source), 1)


async def test_blocking_splice_waits_for_both_sides() -> None:
    source, sink = PipeSource(), PipeSink(b"x", size=1)
    stream = OutputStream(sink)

    def both():
        sink.take_all()
        source.put(b"abc")

    assert await during(stream.blocking_splice(InputStream(source), 100), both) == 1
    assert sink.data == b"a"
    sink.take_all()
    assert stream.blocking_splice(InputStream(source), 100) == 1
    assert stream.blocking_splice(InputStream(source), 0) == 0
