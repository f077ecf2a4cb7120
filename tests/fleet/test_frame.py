"""Frames: what goes in comes out, however it is cut; what is no frame is refused before it costs anything."""

from __future__ import annotations

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edged.errors import ProtocolError
from edged.fleet.frame import Frame, FrameReader, encode_frame
from edged.limits import FRAME_BYTES_MAX, FRAME_DEPTH_MAX, FRAME_INLINE_VALUE_COUNT_MAX, FRAME_ITEM_COUNT_MAX

values = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**64 - 1)
    | some.text(max_size=20)
    | some.binary(max_size=99),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
messages = some.dictionaries(some.text(max_size=8), values, max_size=4)


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def read(data: bytes, step: int = 0) -> list[object]:
    reader = FrameReader()
    found: list[object] = []
    for start in range(0, len(data), step or len(data) or 1):
        reader.feed(data[start : start + (step or len(data))])
        while (message := reader.next()) is not None:
            found.append(message)
    assert reader.is_empty
    return found


@given(some.lists(messages, max_size=4))
def test_whole_and_byte_by_byte(said: list[dict[str, object]]) -> None:
    data = b"".join(map(encode_frame, said))
    assert read(data) == read(data, 1) == said


@given(some.binary(max_size=300))
def test_rubbish_is_refused_or_read_but_nothing_else(data: bytes) -> None:
    reader = FrameReader()
    reader.feed(frame(data))
    with suppress(ProtocolError):
        assert isinstance(reader.next(), dict)


@pytest.mark.parametrize("over", [0, 1])
def test_bytes_at_the_limit_and_over(over: int) -> None:
    size = FRAME_BYTES_MAX - len(msgpack.packb({"a": b""})) - 3 + over  # bin 32 in place of bin 8
    if over:
        with pytest.raises(ProtocolError, match="of at most"):
            encode_frame({"a": bytes(size)})
    else:
        assert read(encode_frame({"a": bytes(size)}), 100_000) == [{"a": bytes(size)}]


def test_a_length_over_the_limit_is_refused_before_anything_of_it_comes() -> None:
    reader = FrameReader()
    reader.feed((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
    with pytest.raises(ProtocolError, match="of at most"):
        reader.next()
    smaller = FrameReader(10)
    smaller.feed((11).to_bytes(4, "big"))
    with pytest.raises(ProtocolError):
        smaller.next()


@pytest.mark.parametrize("over", [0, 1])
def test_values_at_the_limit_and_over(over: int) -> None:
    half = FRAME_ITEM_COUNT_MAX // 2
    data = frame(msgpack.packb({"a": [0] * half, "b": [0] * (half - 4 + over)}))  # and two keys with their values
    if over:
        with pytest.raises(ProtocolError, match="more than"):
            read(data)
    else:
        assert read(data)


@pytest.mark.parametrize("over", [0, 1])
def test_a_long_frame_is_one_that_may_hold_many_values(over: int) -> None:
    many = FRAME_INLINE_VALUE_COUNT_MAX + over
    assert Frame(bytes(many), FRAME_ITEM_COUNT_MAX).is_long == bool(over)
    assert Frame(bytes(2 * many), many).is_long == bool(over)


@pytest.mark.parametrize("over", [0, 1])
def test_depth_at_the_limit_and_over(over: int) -> None:
    value: object = 1
    for _ in range(FRAME_DEPTH_MAX - 1 + over):
        value = [value]
    data = frame(msgpack.packb({"a": value}))
    if over:
        with pytest.raises(ProtocolError, match="deeper"):
            read(data)
    else:
        assert read(data) == [{"a": value}]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "not msgpack"),
        (b"\x93\x01\x02", "not msgpack"),
        (b"\x80\x80", "not msgpack"),
        (b"\x01", "no map"),
        (b"\x82\xa1a\x01\xa1a\x02", "twice"),
        (b"\x81\xc4\x01a\x01", "no text"),
        (b"\x81\x01\x01", "not msgpack"),
        (b"\x81\xa1a\xd4\x01x", "not msgpack"),
        (b"\x81\xa1a\xd6\xff\x00\x00\x00\x00", "not msgpack"),
        (b"\x81\xa1\xff\x01", "not msgpack"),
        (b"\x81\xa1a" + b"\x91" * 3000, "not msgpack"),
        (b"\xdf\xff\xff\xff\xff", "not msgpack"),
    ],
)
def test_what_is_no_message(payload: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        read(frame(payload))


@pytest.mark.parametrize("value", [object(), 2**70, "\ud800"])
def test_what_cannot_be_sent(value: object) -> None:
    with pytest.raises(ProtocolError, match="cannot be sent"):
        encode_frame({"a": value})
