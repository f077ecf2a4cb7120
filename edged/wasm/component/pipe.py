"""What joins the two ends of a stream or future: whoever comes first waits for the other, then values are copied.

    writer ── Buffer ──> Pipe <── Buffer ── reader

A buffer is memory of a guest, or a read of the host's (`edged.wasm.component.stream`). Only one side has one pending at
a time.

Source: CanonicalABI.md, "Buffer, Stream and Future State".
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from edged.errors import GuestTrap
from edged.limits import STREAM_TYPES_KNOWN_MAX
from edged.wasm import types as wit
from edged.wasm.component.messages import COUNT_TOO_LARGE, trap_if
from edged.wasm.component.waitable import Event, Waitable
from edged.wasm.linear.context import Context
from edged.wasm.linear.signature import compile_elements

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.stream import HostWriter

_INTRA = "cannot read from and write to intra-component future/stream with non-numeric payload"
_LENGTH_MAX = 2**28 - 1
_U8 = wit.Primitive("U8")
_NUMBERS = frozenset(
    wit.Primitive(kind) for kind in ("S8", "U8", "S16", "U16", "S32", "U32", "S64", "U64", "F32", "F64")
)


class Copy(IntEnum):
    """How a read or write ended: `CopyResult`."""

    COMPLETED = 0
    DROPPED = 1
    CANCELLED = 2


class Buffer(Protocol):
    """One side's read or write."""

    @property
    def owner(self) -> object | None:
        """The component instance, None for the host."""

    def remain(self) -> int:
        """Values that there is still room for, or that are still to be taken."""

    def is_zero_length(self) -> bool:
        """It asks only whether the other side is there."""

    def take(self, count: int) -> Sequence[Any]:
        """Of a writer: the next values."""

    def put(self, values: Sequence[Any]) -> None:
        """Of a reader: store values, at most `remain` of them."""

    def progress(self) -> None:
        """Something was copied, and this side may be told."""

    def done(self, result: Copy) -> None:
        """This read or write is over."""


class Kind:
    """A type of stream or future, compiled. There is one object for equal types.

    Attributes:
        name: `stream` or `future`.
        elements: codecs of its values.
    """

    __slots__ = ("__weakref__", "elements", "is_bytes", "is_future", "is_number", "name")

    def __init__(self, ty: wit.Stream | wit.Future) -> None:
        self.is_future = isinstance(ty, wit.Future)
        self.name = "future" if self.is_future else "stream"
        element = ty.payload if isinstance(ty, wit.Future) else ty.element
        self.is_bytes = element == _U8
        self.is_number = element is None or element in _NUMBERS
        self.elements = compile_elements(element)


_compiled: WeakValueDictionary[wit.Stream | wit.Future, Kind] = WeakValueDictionary()
_kinds: dict[int, tuple[wit.Stream | wit.Future, Kind]] = {}


def kind_of(ty: wit.Stream | wit.Future) -> Kind:
    """The kind of a type. To hash one takes longer than all else that is done with a stream, so they are known by
    identity, too; the types are those of codecs, which live as long as their program."""
    known = _kinds.get(id(ty))
    if known is None:
        if len(_kinds) >= STREAM_TYPES_KNOWN_MAX:
            _kinds.clear()
        kind = _compiled.get(ty)
        if kind is None:
            kind = _compiled[ty] = Kind(ty)
        known = _kinds[id(ty)] = ty, kind
    return known[1]


class Pipe:
    """
    Attributes:
        is_dropped: one end is gone.
        pending: the side that came first.
        ends: readable and writable, where a guest has them.
        writer: the host, where it writes.
    """

    __slots__ = ("ends", "instance", "is_dropped", "is_future", "kind", "pending", "writer")

    def __init__(self, instance: Instance, kind: Kind) -> None:
        self.instance = instance
        self.kind = kind
        self.is_future = kind.is_future
        self.is_dropped = False
        self.ends: list[End | None] = [None, None]
        self.pending: Buffer | None = None
        self.writer: HostWriter | None = None

    def read(self, buffer: Buffer) -> None:
        """A reader comes."""
        pending = self.pending
        if self.is_dropped:
            buffer.done(Copy.DROPPED)
        elif self.writer is not None:
            self.pending = buffer
            self.writer.feed()
        elif pending is None:
            self.pending = buffer
        elif self.is_future:
            self._check_apart(pending, buffer)
            self.pending = None
            buffer.put(pending.take(1))
            pending.done(Copy.COMPLETED)
            buffer.done(Copy.COMPLETED)
        elif pending.remain() > 0:
            self._check_apart(pending, buffer)
            self._move(pending, buffer, pending)
            buffer.done(Copy.COMPLETED)
        else:
            self._check_apart(pending, buffer)
            self.pending = None
            pending.done(Copy.COMPLETED)
            self.pending = buffer

    def write(self, buffer: Buffer) -> None:
        """A writer comes, which is a guest."""
        pending = self.pending
        if self.is_dropped:
            buffer.done(Copy.DROPPED)
        elif pending is None:
            self.pending = buffer
        elif self.is_future:
            self._check_apart(pending, buffer)
            self.pending = None
            pending.put(buffer.take(1))
            pending.done(Copy.COMPLETED)
            buffer.done(Copy.COMPLETED)
        elif pending.remain() > 0:
            self._check_apart(pending, buffer)
            self._move(buffer, pending, pending)
            buffer.done(Copy.COMPLETED)
        elif buffer.is_zero_length() and pending.is_zero_length():
            buffer.done(Copy.COMPLETED)
        else:
            self._check_apart(pending, buffer)
            self.pending = None
            pending.done(Copy.COMPLETED)
            self.pending = buffer

    def drop(self, is_writable: bool) -> None:
        """One end goes; the other is told. Idempotent."""
        if self.is_dropped:
            return
        self.is_dropped = True
        pending, self.pending = self.pending, None
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.close()
        other = self.ends[not is_writable]
        if pending is not None:
            pending.done(Copy.DROPPED)
        elif other is not None:
            other.notice_drop()

    @staticmethod
    def _move(source: Buffer, target: Buffer, pending: Buffer) -> None:
        count = min(source.remain(), target.remain())
        if count > 0:
            target.put(source.take(count))
            pending.progress()

    def _check_apart(self, one: Buffer, other: Buffer) -> None:
        """Values other than numbers are not copied inside one component instance: the specification leaves it open how
        its allocator could be called in the middle of its own call."""
        if not self.kind.is_number and one.owner is not None and one.owner is other.owner:
            raise GuestTrap(_INTRA)


class EndState(IntEnum):
    IDLE = 0
    SYNC_COPYING = 1
    ASYNC_COPYING = 2
    CANCELLING = 3
    DONE = 4


IDLE, SYNC_COPYING, ASYNC_COPYING, CANCELLING, DONE = EndState


class End(Waitable):
    """The end of a pipe that a guest has.

    Attributes:
        code: of its events.
        buffer: of its last read or write.
    """

    __slots__ = ("buffer", "code", "is_writable", "pipe", "state")

    def __init__(self, pipe: Pipe, is_writable: bool) -> None:
        super().__init__()
        self.pipe = pipe
        self.is_writable = is_writable
        self.code = (4 if pipe.is_future else 2) + is_writable
        self.state = EndState.IDLE
        self.buffer: GuestBuffer | None = None

    @property
    def is_copying(self) -> bool:
        return IDLE < self.state < DONE

    def notice_drop(self) -> None:
        """The other end is gone. One that is idle is told once, and then is of no use any more."""
        if self.state is IDLE and (self.is_writable or not self.pipe.is_future):
            self.set_event(self._dropped)

    def _dropped(self) -> Event:
        self.state = DONE
        return self.code, self.index, int(Copy.DROPPED)


class GuestBuffer:
    """Memory of a guest that is read into or written from, and the notice of it.

    Raises:
        GuestTrap: it is not all inside of the memory, not aligned, or too long.
    """

    __slots__ = ("_address", "_context", "_copied", "_elements", "_length", "end", "owner")

    def __init__(self, end: End, context: Context, address: int, length: int) -> None:
        trap_if(length > _LENGTH_MAX, COUNT_TOO_LARGE)
        elements = end.pipe.kind.elements
        if length:
            elements.check(context, address, length)
        self.end = end
        self.owner = context.instance
        self._context = context
        self._elements = elements
        self._address = address
        self._length = length
        self._copied = 0

    def remain(self) -> int:
        return self._length - self._copied

    def is_zero_length(self) -> bool:
        return self._length == 0

    def take(self, count: int) -> Sequence[Any]:
        start = self._address
        self._copied += count
        self._address = start + count * self._elements.size
        return self._elements.load(self._context, start, count)  # type: ignore[no-any-return]

    def put(self, values: Sequence[Any]) -> None:
        start, count = self._address, len(values)
        self._copied += count
        self._address = start + count * self._elements.size
        self._elements.store(self._context, start, values)

    def progress(self) -> None:
        self.end.set_event(self._progressed)

    def done(self, result: Copy) -> None:
        self.end.set_event(_Done(self, result))

    def _progressed(self) -> Event:
        """What has been copied by now; from here on no more is."""
        pipe = self.end.pipe
        if pipe.pending is self:
            pipe.pending = None
        return self.event(Copy.COMPLETED)

    def event(self, result: Copy) -> Event:
        end = self.end
        if end.pipe.is_future:
            end.state = IDLE if result is Copy.CANCELLED else DONE
            return end.code, end.index, int(result)
        end.state = DONE if result is Copy.DROPPED else IDLE
        if end.pipe.is_dropped:
            end.notice_drop()
        return end.code, end.index, int(result) | self._copied << 4

    def cancel(self) -> None:
        """The guest gives up. What was copied counts; a value of a future that was, too, and that the other end is
        gone."""
        pipe, end = self.end.pipe, self.end
        if pipe.pending is self:
            pipe.pending = None
        if end.event is None or not (pipe.is_dropped or pipe.is_future):
            end.set_event(_Done(self, Copy.CANCELLED))


class _Done:
    """The event of a read or write that is over."""

    __slots__ = ("_buffer", "_result")

    def __init__(self, buffer: GuestBuffer, result: Copy) -> None:
        self._buffer = buffer
        self._result = result

    def __call__(self) -> Event:
        return self._buffer.event(self._result)
