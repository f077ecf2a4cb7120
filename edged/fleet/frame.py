"""Frames: how two parties of a fleet put messages on a link.

    message (a map) -> msgpack -> 4 bytes big-endian length + payload -> ... -> FrameReader -> Frame -> message

Bytes in, messages out; nothing is kept beyond one frame and one read. The length is looked at before anything of the
payload is kept, and how many values a payload holds while it is decoded. A long one is for a thread to decode: 200 000
empty arrays take 0.1 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from edged.errors import ProtocolError
from edged.limits import FRAME_BYTES_MAX, FRAME_DEPTH_MAX, FRAME_INLINE_VALUE_COUNT_MAX, FRAME_ITEM_COUNT_MAX

_LENGTH_BYTES = 4

Message = dict[str, Any]
"""A decoded frame: text keys; values are None, booleans, numbers, text, bytes, lists and such maps."""


def encode_frame(message: Mapping[str, Any]) -> bytes:
    """A message as it goes on the link.

    Raises:
        ProtocolError: it is larger than `FRAME_BYTES_MAX`, or holds what msgpack does not know.
    """
    try:
        payload: bytes = msgpack.packb(message)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"a message that cannot be sent: {error}") from None
    if len(payload) > FRAME_BYTES_MAX:
        raise ProtocolError(f"a message of {len(payload)} bytes, of at most {FRAME_BYTES_MAX}")
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, not decoded yet.

    Attributes:
        item_count_max: values that it may hold.
    """

    payload: bytes
    item_count_max: int

    @property
    def is_long(self) -> bool:
        """Whether to decode it in a thread. A value takes a byte at least."""
        return min(len(self.payload), self.item_count_max) > FRAME_INLINE_VALUE_COUNT_MAX

    def decode(self) -> Message:
        """
        Raises:
            ProtocolError: it holds no message.
        """
        return _decode(self.payload, self.item_count_max)


class FrameReader:
    """Cuts what was received into frames.

    Attributes:
        bytes_max: of one payload; may be changed between two frames.
        item_count_max: values of one payload; likewise. They cost far more time and memory than bytes.
    """

    __slots__ = ("_buffer", "bytes_max", "item_count_max")

    def __init__(self, bytes_max: int = FRAME_BYTES_MAX, item_count_max: int = FRAME_ITEM_COUNT_MAX) -> None:
        self.bytes_max = bytes_max
        self.item_count_max = item_count_max
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray) -> None:
        """Bytes that were received. Take all frames with `cut` or `next` before feeding more."""
        self._buffer += data

    @property
    def is_empty(self) -> bool:
        """Whether the bytes so far end with a frame."""
        return not self._buffer

    def cut(self) -> Frame | None:
        """The next frame, or None until more bytes are fed.

        Raises:
            ProtocolError: what came is no frame; the reader is of no use any more.
        """
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
        if length > self.bytes_max:
            raise ProtocolError(f"a frame of {length} bytes, of at most {self.bytes_max}")
        end = _LENGTH_BYTES + length
        if len(self._buffer) < end:
            return None
        payload = bytes(memoryview(self._buffer)[_LENGTH_BYTES:end])
        del self._buffer[:end]
        return Frame(payload, self.item_count_max)

    def next(self) -> Message | None:
        """`cut` and `Frame.decode` in one."""
        frame = self.cut()
        return None if frame is None else frame.decode()


_TEXT: Final = frozenset({str})


class _Counter:
    """Counts values while they are decoded: afterwards the memory would be spent."""

    __slots__ = ("count", "count_max")

    def __init__(self, count_max: int) -> None:
        self.count = 0
        self.count_max = count_max

    def add(self, count: int) -> None:
        self.count += count
        if self.count > self.count_max:
            raise ProtocolError(f"a frame with more than {self.count_max} values")

    def array(self, items: list[Any]) -> list[Any]:
        self.add(len(items))
        return items

    def map(self, pairs: list[tuple[Any, Any]]) -> Message:
        self.add(2 * len(pairs))
        shape = dict(pairs)
        if len(shape) != len(pairs):
            raise ProtocolError("a map that has a key twice")
        if not _TEXT.issuperset(map(type, shape)):
            raise ProtocolError("a map with a key that is no text")
        return shape


def _decode(payload: bytes, item_count_max: int) -> Message:
    counter = _Counter(item_count_max)
    try:
        message = msgpack.unpackb(
            payload,
            raw=False,
            list_hook=counter.array,
            object_pairs_hook=counter.map,
            max_array_len=item_count_max,
            max_map_len=item_count_max,
            max_ext_len=0,  # none at all, not even timestamps
        )
    except ProtocolError:
        raise
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ProtocolError(f"a frame that is not msgpack: {error or type(error).__name__}") from None
    if not isinstance(message, dict):
        raise ProtocolError("a frame that is no map")
    _check_depth(message)
    return message


def _check_depth(message: Message) -> None:
    """Refuse what later code, which walks values by recursion, could not take."""
    level: list[Any] = [message]
    for _ in range(FRAME_DEPTH_MAX):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ProtocolError(f"a frame with values nested deeper than {FRAME_DEPTH_MAX}")
