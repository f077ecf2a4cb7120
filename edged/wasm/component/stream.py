"""Streams and futures between a guest and host functions: see `edged.host.channel` for what these see.

A host's coroutine never touches a guest: what it brings waits in the call's queue until no guest code is in the middle
of anything, since to store a value may mean to run the guest's allocator.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import trio

from edged.host.channel import Dropped
from edged.host.interface import Err
from edged.limits import STREAM_READ_BYTES_MAX, STREAM_READ_COUNT_MAX
from edged.wasm.component.pipe import Copy, Pipe
from edged.wasm.component.release import release

if TYPE_CHECKING:
    from edged.wasm.component.host_call import HostCall
    from edged.wasm.component.instance import Instance

_NOTHING: Sequence[Any] = ()


class HostRead:
    """A read of the host's that waits for a guest to write."""

    __slots__ = ("_count_max", "_task", "is_over", "owner", "pipe", "result", "values")

    def __init__(self, pipe: Pipe, count_max: int) -> None:
        self.pipe = pipe
        self.owner = None
        self._count_max = count_max
        self.values: Sequence[Any] = _NOTHING
        self.result = Copy.COMPLETED
        self.is_over = False
        self._task: trio.lowlevel.Task | None = None

    def remain(self) -> int:
        return self._count_max

    def is_zero_length(self) -> bool:
        return False

    def take(self, count: int) -> Sequence[Any]:
        raise AssertionError(f"a reader was asked for {count} values")

    def put(self, values: Sequence[Any]) -> None:
        self.values = values

    def progress(self) -> None:
        self.pipe.pending = None
        self._end()

    def done(self, result: Copy) -> None:
        self.result = result
        self._end()

    async def wait(self) -> Sequence[Any]:
        if not self.is_over:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._give_up)
        return self.values

    def _end(self) -> None:
        if not self.is_over:
            self.is_over = True
            if self._task is not None:
                trio.lowlevel.reschedule(self._task)

    def _give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        # At once, and not when the cancelled task comes to run: what a guest writes until then would be lost.
        self.is_over = True
        if self.pipe.pending is self:
            self.pipe.pending = None
        return trio.lowlevel.Abort.SUCCEEDED


class PipeReader:
    """The readable end of a stream that a guest gave away. See `edged.host.channel.StreamReader`.

    Attributes:
        pipe: None once it is closed, or was given on to a guest.
    """

    __slots__ = ("pipe",)

    def __init__(self, pipe: Pipe) -> None:
        self.pipe: Pipe | None = pipe

    def read(self, count_max: int) -> Any:
        pipe = self.pipe
        if pipe is None or pipe.is_dropped:
            return b""
        if pipe.writer is not None:
            return pipe.writer.read(count_max)
        pending = pipe.pending
        if pending is not None:
            remain = pending.remain()
            if remain > 0:
                count_max = min(count_max, STREAM_READ_BYTES_MAX if pipe.kind.is_bytes else STREAM_READ_COUNT_MAX)
                values = pending.take(min(remain, count_max))
                pipe.instance.hold(pending.progress)
                return values
        return self._wait(pipe, count_max)

    def close(self) -> None:
        pipe, self.pipe = self.pipe, None
        if pipe is not None:
            pipe.instance.hold(partial(pipe.drop, is_writable=False))

    @staticmethod
    async def _wait(pipe: Pipe, count_max: int) -> Any:
        read = HostRead(pipe, min(count_max, STREAM_READ_BYTES_MAX if pipe.kind.is_bytes else STREAM_READ_COUNT_MAX))
        pipe.instance.hold(partial(pipe.read, read))
        return (read.values if read.is_over else await read.wait()) or b""


class PipeFuture:
    """The readable end of a future that a guest gave away. See `edged.host.channel.FutureReader`."""

    __slots__ = ("pipe",)

    def __init__(self, pipe: Pipe) -> None:
        self.pipe: Pipe | None = pipe

    def read(self) -> Any:
        pipe = self.pipe
        if pipe is None or pipe.is_dropped:
            raise Dropped
        if pipe.writer is not None:
            return pipe.writer.value()
        read = HostRead(pipe, 1)
        pipe.instance.hold(partial(pipe.read, read))
        return read.values[0] if read.is_over else self._wait(read)

    def close(self) -> None:
        pipe, self.pipe = self.pipe, None
        if pipe is not None:
            pipe.instance.hold(partial(pipe.drop, is_writable=False))

    @staticmethod
    async def _wait(read: HostRead) -> Any:
        values = await read.wait()
        if read.result is not Copy.COMPLETED:
            raise Dropped
        return values[0]


class HostWriter:
    """The host as the writer of a stream or future.

    Args:
        source: a `StreamReader` or `FutureReader` of a host module's.
    """

    __slots__ = ("_call", "_instance", "_left", "_pipe", "source")

    def __init__(self, instance: Instance, pipe: Pipe, source: Any) -> None:
        self._instance = instance
        self._pipe = pipe
        self.source = source
        self._call: HostCall | None = None
        self._left: Sequence[Any] = _NOTHING
        """What was read for a guest that gave up meanwhile, or asked only whether there is something."""

    def feed(self) -> None:
        """The pipe's pending reader, a guest, wants something."""
        if self._left:
            self._give(self._left)
            return
        if self._call is not None and not self._call.is_lost:
            return  # what a read that the guest gave up has begun is for this one
        pipe = self._pipe
        if pipe.is_future:
            answer = self.source.read()
        else:
            buffer = pipe.pending
            assert buffer is not None
            count_max = STREAM_READ_BYTES_MAX if pipe.kind.is_bytes else STREAM_READ_COUNT_MAX
            answer = self.source.read(max(1, min(buffer.remain(), count_max)))
        if answer.__class__ is CoroutineType:
            self._call = self._instance.call_running.spawn(answer, self._arrived)
        else:
            self._arrived(answer)

    def read(self, count_max: int) -> Any:
        """For a reader of the host's, where a guest gave on what it was given."""
        if self._left:
            piece, self._left = self._left[:count_max], self._left[count_max:]
            return piece
        return self.source.read(count_max)

    def value(self) -> Any:
        """The same of a future."""
        return self._left[0] if self._left else self.source.read()

    def close(self) -> None:
        """Nobody reads any more."""
        if self._call is not None:
            self._call.cancel()
        release(self._left)
        self._left = _NOTHING
        self.source.close()

    def _arrived(self, answer: Any, caught: Err | None = None) -> None:
        self._call = None
        if caught is not None:
            raise caught
        pipe = self._pipe
        values = (answer,) if pipe.is_future else answer
        if pipe.is_dropped:
            release(values)
            return
        if not values:
            pipe.drop(is_writable=True)
        elif pipe.pending is None:
            self._left = values
        else:
            self._give(values)

    def _give(self, values: Sequence[Any]) -> None:
        pipe = self._pipe
        buffer, pipe.pending = pipe.pending, None
        assert buffer is not None
        room = buffer.remain()
        self._left = values[room:]
        if room:
            buffer.put(values[:room] if self._left else values)
        buffer.done(Copy.COMPLETED)
