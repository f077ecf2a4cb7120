"""The Redis protocol, RESP2 and what RESP3 adds to it, without any I/O.

Each value is a line of a type, a number or text, and CR LF; strings of bytes and arrays have their length there:

    *2 CRLF $3 CRLF foo CRLF :42 CRLF    the array of foo and 42

`ReplyReader` takes bytes in any pieces and gives whole values. An array is kept open on a stack until as many values
have come as it said. Servers that guests name may say anything, so a length is held to the limits before anything is
made from it. hiredis would be faster, but makes room for as many values as the server announces, and hands out
statuses and strings of bytes alike, which `redis-result` tells apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edged.limits import (
    REDIS_LINE_BYTES_MAX,
    REDIS_REPLY_BYTES_MAX,
    REDIS_REPLY_COUNT_MAX,
    REDIS_REPLY_DEPTH_MAX,
)


class ProtocolError(Exception):
    """The server does not speak RESP. The connection is of no use any more."""


class ReplyTooLarge(Exception):
    """A reply is over a limit. It was not read, so the connection is of no use any more."""


class Status(str):
    """A simple string, as `OK`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """What the server says is wrong, as `WRONGTYPE Operation against ...`."""

    text: str

    @property
    def code(self) -> str:
        """The first word."""
        return self.text.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A value of RESP3 that has no place in RESP2: `map` or `verbatim string`. What was in it is left out."""

    kind: str


class Push(list[Any]):
    """A message of RESP3 that is not a reply to anything."""

    __slots__ = ()


Reply = None | int | bytes | Status | ErrorReply | Unsupported | list[Any]
"""Lists hold replies."""

INCOMPLETE: Final = object()
"""There is no whole value yet."""

_S64 = range(-(2**63), 2**63)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _integer(raw: bytes) -> int:
    number = int(raw)
    if number not in _S64:
        raise ValueError
    return number


_SCALARS: Mapping[int, Callable[[bytes], Reply]] = {
    ord("+"): lambda raw: Status(_text(raw)),
    ord("-"): lambda raw: ErrorReply(_text(raw)),
    ord(":"): _integer,
    ord("_"): lambda _raw: None,
    ord("#"): lambda raw: int(raw == b"t"),
    ord(","): bytes,  # a double, in its digits
    ord("("): bytes,  # a number of any size, likewise
}
_STRINGS: Mapping[int, Callable[[bytes], Reply]] = {
    ord("$"): bytes,
    ord("!"): lambda raw: ErrorReply(_text(raw)),
    ord("="): lambda _raw: Unsupported("verbatim string"),
}
_ARRAYS: Mapping[int, tuple[int, Callable[[list[Any]], Reply]]] = {
    ord("*"): (1, list),
    ord("~"): (1, list),
    ord(">"): (1, Push),
    ord("%"): (2, lambda _values: Unsupported("map")),
}
"""Type -> values for each one announced, and what is made of them."""


@dataclass(slots=True)
class _Open:
    """An array whose values are still coming."""

    left: int
    close: Callable[[list[Any]], Reply]
    values: list[Any]


class ReplyReader:
    """Gives whole values from bytes in pieces.

    Attributes:
        bytes_max: of one value, framing included; may be changed between values.
    """

    __slots__ = ("_at", "_buffer", "_bytes_before", "_count", "_length", "_make", "_stack", "bytes_max")

    def __init__(self, bytes_max: int = REDIS_REPLY_BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self._buffer = bytearray()
        self._at = 0  # how much of the buffer has been read
        self._bytes_before = 0  # of this value, no more in the buffer
        self._count = 0  # values that this one has announced
        self._stack: list[_Open] = []
        self._length: int | None = None  # of the string of bytes that is being read
        self._make: Callable[[bytes], Reply] = bytes

    @property
    def is_empty(self) -> bool:
        """Nothing has come since the last value."""
        return not self._buffer and not self._stack and self._length is None

    def feed(self, data: bytes | bytearray) -> None:
        self._buffer += data

    def next(self) -> Reply | object:
        """The next value, or INCOMPLETE.

        Raises:
            ProtocolError, ReplyTooLarge: and again at each further call.
        """
        while True:
            value = self._string() if self._length is not None else self._line()
            if value is INCOMPLETE:
                self._forget()
                return INCOMPLETE
            if value is _OPENED:
                continue
            while self._stack:
                top = self._stack[-1]
                top.values.append(value)
                top.left -= 1
                if top.left:
                    break
                value = self._stack.pop().close(top.values)
            else:
                self._forget()
                self._bytes_before = self._count = 0
                return value

    def _forget(self) -> None:
        del self._buffer[: self._at]
        self._bytes_before += self._at
        self._at = 0

    def _line(self) -> Reply | object:
        end = self._buffer.find(b"\r\n", self._at, self._at + REDIS_LINE_BYTES_MAX)
        if end < 0:
            if len(self._buffer) - self._at >= REDIS_LINE_BYTES_MAX:
                raise ProtocolError("a line is too long")
            self._check(0)
            return INCOMPLETE
        self._check(end + 2 - self._at)
        if end == self._at:
            raise ProtocolError("a line is empty")
        kind, rest = self._buffer[self._at], bytes(self._buffer[self._at + 1 : end])
        if kind not in _SCALARS and kind not in _STRINGS and kind not in _ARRAYS:
            raise ProtocolError("a value is of no known type")
        try:
            if make := _SCALARS.get(kind):
                value = make(rest)
                self._at = end + 2
                return value
            size = _integer(rest)
        except ValueError:
            raise ProtocolError("a number is malformed") from None
        if size < -1:
            raise ProtocolError("a length is negative")
        if size == -1:
            self._at = end + 2
            return None
        if kind in _STRINGS:
            self._check(end + 2 - self._at + size + 2)
            self._at = end + 2
            self._length, self._make = size, _STRINGS[kind]
            return self._string()
        per_item, close = _ARRAYS[kind]
        self._count += size * per_item
        if self._count > REDIS_REPLY_COUNT_MAX:
            raise ReplyTooLarge(f"a reply has more than {REDIS_REPLY_COUNT_MAX} values")
        if len(self._stack) >= REDIS_REPLY_DEPTH_MAX:
            raise ReplyTooLarge(f"a reply has more than {REDIS_REPLY_DEPTH_MAX} arrays inside each other")
        self._at = end + 2
        if not size:
            return close([])
        self._stack.append(_Open(size * per_item, close, []))
        return _OPENED

    def _string(self) -> Reply | object:
        assert self._length is not None
        end = self._at + self._length
        if len(self._buffer) < end + 2:
            return INCOMPLETE
        if self._buffer[end : end + 2] != b"\r\n":
            raise ProtocolError("a string does not end where it should")
        with memoryview(self._buffer) as view:
            value = bytes(view[self._at : end])
        self._at = end + 2
        self._length = None
        return self._make(value)

    def _check(self, more_bytes: int) -> None:
        if self._bytes_before + self._at + more_bytes > self.bytes_max:
            raise ReplyTooLarge(f"a reply has more than {self.bytes_max} bytes")


_OPENED: Final = object()
"""An array has begun."""


def encode_command(arguments: Iterable[bytes | str | int]) -> bytes:
    """A command as an array of strings, as servers take it in every version of the protocol."""
    parts = [
        argument if isinstance(argument, bytes) else str(argument).encode()  # int or str
        for argument in arguments
    ]
    pieces = [b"*%d\r\n" % len(parts)]
    for part in parts:
        pieces += (b"$%d\r\n" % len(part), part, b"\r\n")
    return b"".join(pieces)
