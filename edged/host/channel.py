"""Streams and futures of WASI 0.3 as host modules see them, with no wasmtime in it.

A host function that takes a `stream<T>` or `future<T>` is given a reader. One that returns a stream or future returns a
source, which has the same two methods: so a reader that came from the guest, or from another host function, may be
returned as it is, and the runtime then joins both ends.

    guest ── stream<u8> ──> Reader.read() ── host        host ── Source.read() ──> runtime ──> guest

Values of a `stream<u8>` are bytes, of another stream a sequence of values as in `edged.host.interface`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)

Piece = bytes | Sequence[Any]
"""What a stream gives at once: not empty, but at its end."""


class StreamReader(Protocol):
    """The readable end of a stream."""

    def read(self, count_max: int) -> Piece | Coroutine[Any, Any, Piece]:
        """The next values, at least one and at most `count_max` of them; empty at the end, for ever after.

        As a method marked `@may_suspend`: what is there already is returned at once, anything else is awaited. One at a
        time. A read that is cancelled has taken nothing.
        """

    def close(self) -> None:
        """Nobody will read any more; the writer is told. Idempotent, and cheap."""


class FutureReader(Protocol[T_co]):
    """The readable end of a future."""

    def read(self) -> T_co | Coroutine[Any, Any, T_co]:
        """Its value; asked for once. As a method marked `@may_suspend`.

        Raises:
            Dropped: whoever would have written it has gone.
        """

    def close(self) -> None:
        """Nobody wants the value any more. Idempotent, and cheap."""


class Dropped(Exception):
    """The writable end of a future was dropped without a value, because its guest has ended."""


class Ready:
    """A future whose value is known."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def read(self) -> Any:
        return self._value

    def close(self) -> None:
        pass


class Pieces:
    """A stream of bytes that are there already, or of none."""

    __slots__ = ("_data", "_start")

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._start = 0

    def read(self, count_max: int) -> bytes:
        piece = self._data[self._start : self._start + count_max]
        self._start += len(piece)
        return piece

    def close(self) -> None:
        self._data = b""
