"""The Redis protocol without any I/O: whole, byte by byte, and what no server should say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.host.redis.resp import (
    INCOMPLETE,
    ErrorReply,
    ProtocolError,
    Push,
    ReplyReader,
    ReplyTooLarge,
    Status,
    Unsupported,
    encode_command,
)
from edged.limits import REDIS_LINE_BYTES_MAX, REDIS_REPLY_COUNT_MAX, REDIS_REPLY_DEPTH_MAX

VALUES = [
    (b"+OK\r\n", Status("OK")),
    (b"+\r\n", Status("")),
    (b"-ERR no\r\n", ErrorReply("ERR no")),
    (b":-12\r\n", -12),
    (b":9223372036854775807\r\n", 2**63 - 1),
    (b"$5\r\na\r\nb\0\r\n", b"a\r\nb\0"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*2\r\n$3\r\nfoo\r\n:42\r\n", [b"foo", 42]),
    (b"*3\r\n*1\r\n+a\r\n*0\r\n*2\r\n$-1\r\n-E\r\n", [[Status("a")], [], [None, ErrorReply("E")]]),
    (b"_\r\n", None),
    (b"#t\r\n", 1),
    (b"#f\r\n", 0),
    (b",1.5\r\n", b"1.5"),
    (b"(123456789012345678901234567890\r\n", b"123456789012345678901234567890"),
    (b"!5\r\nE a\r\n\r\n", ErrorReply("E a\r\n")),
    (b"=7\r\ntxt:abc\r\n", Unsupported("verbatim string")),
    (b"~2\r\n+a\r\n+b\r\n", [Status("a"), Status("b")]),
    (b"%1\r\n+a\r\n*1\r\n:1\r\n", Unsupported("map")),
    (b">2\r\n+message\r\n:1\r\n", Push([Status("message"), 1])),
]


def read(data: bytes) -> object:
    reader = ReplyReader()
    reader.feed(data)
    return reader.next()


@pytest.mark.parametrize(("data", "value"), VALUES)
def test_values_whole_and_byte_by_byte(data: bytes, value: object) -> None:
    found = read(data)
    assert found == value
    assert type(found) is type(value)
    reader = ReplyReader()
    for position in range(len(data) - 1):
        reader.feed(data[position : position + 1])
        assert reader.next() is INCOMPLETE
        assert not reader.is_empty
    reader.feed(data[-1:])
    assert reader.next() == value
    assert reader.is_empty


def test_values_one_after_the_other() -> None:
    reader = ReplyReader()
    reader.feed(b"".join(data for data, _ in VALUES))
    assert [reader.next() for _ in VALUES] == [value for _, value in VALUES]
    assert reader.next() is INCOMPLETE


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"?1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b":\r\n",
        b":1.0\r\n",
        b":9223372036854775808\r\n",
        b"$-2\r\n",
        b"$x\r\n",
        b"$?\r\n",
        b"*-3\r\n",
        b"$3\r\nabcd\r\n",
        b"*" + b"9" * 5000 + b"\r\n",
    ],
)
def test_what_is_not_the_protocol(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(data)


def test_a_line_at_the_limit_and_over() -> None:
    line = b"+" + b"a" * (REDIS_LINE_BYTES_MAX - 3) + b"\r\n"
    assert read(line) == "a" * (REDIS_LINE_BYTES_MAX - 3)
    with pytest.raises(ProtocolError, match="too long"):
        read(b"+a" + line[1:])


def test_bytes_at_the_limit_and_over() -> None:
    for data in (b"$8\r\n12345678\r\n", b"*2\r\n:1\r\n:1000\r\n"):
        reader = ReplyReader(len(data))
        for _ in range(3):  # each value has all of it
            reader.feed(data)
            assert reader.next() is not INCOMPLETE
    for bytes_max, start in ((13, b"$8\r\n"), (14, b"*2\r\n:1\r\n:1000\r\n")):  # known before its bytes have come
        reader = ReplyReader(bytes_max)
        reader.feed(start)
        with pytest.raises(ReplyTooLarge, match=f"more than {bytes_max} bytes"):
            reader.next()


def test_values_in_bytes_come_in_pieces_within_the_limit() -> None:
    reader = ReplyReader(30)
    for piece in (b"*9\r\n", *[b":123456\r\n"] * 2):
        reader.feed(piece)
        assert reader.next() is INCOMPLETE
    reader.feed(b":123456\r\n")
    with pytest.raises(ReplyTooLarge):
        reader.next()


def test_values_at_the_limit_and_over() -> None:
    found = read(b"*%d\r\n" % REDIS_REPLY_COUNT_MAX + b":1\r\n" * REDIS_REPLY_COUNT_MAX)
    assert isinstance(found, list)
    assert len(found) == REDIS_REPLY_COUNT_MAX
    for data in (
        b"*%d\r\n" % (REDIS_REPLY_COUNT_MAX + 1),
        b"%%%d\r\n" % (REDIS_REPLY_COUNT_MAX // 2 + 1),
        b"*2\r\n*5000\r\n" + b":1\r\n" * 5000 + b"*5000\r\n",
    ):
        with pytest.raises(ReplyTooLarge, match="values"):
            read(data)


def test_depth_at_the_limit_and_over() -> None:
    assert read(b"*1\r\n" * REDIS_REPLY_DEPTH_MAX + b":1\r\n") is not INCOMPLETE
    with pytest.raises(ReplyTooLarge, match="inside each other"):
        read(b"*1\r\n" * (REDIS_REPLY_DEPTH_MAX + 1))


def test_commands() -> None:
    assert encode_command(["SET", b"\0\r\n", -5, "é"]) == (
        b"*4\r\n$3\r\nSET\r\n$3\r\n\0\r\n\r\n$2\r\n-5\r\n$2\r\n\xc3\xa9\r\n"
    )


@given(st.binary(max_size=200))
def test_any_bytes_end_well(data: bytes) -> None:
    reader = ReplyReader(100)
    reader.feed(data)
    try:
        while reader.next() is not INCOMPLETE:
            pass
    except (ProtocolError, ReplyTooLarge):
        return
