"""Numbers, names and sections: what is read, and what is refused where."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edged.limits import COMPONENT_NAME_BYTES_MAX
from edged.wasm.plan.reader import (
    COMPONENT_PREAMBLE,
    MODULE_PREAMBLE,
    Malformed,
    Reader,
    Section,
    is_component,
    sections,
)


def leb(value: int) -> bytes:
    """LEB128, unsigned."""
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("00", 0),
        ("7f", 127),
        ("8001", 128),
        ("8080808000", 0),
        ("ffffffff0f", 2**32 - 1),
    ],
)
def test_u32(encoded: str, value: int) -> None:
    reader = Reader(bytes.fromhex(encoded))
    assert reader.u32() == value
    assert reader.at_end()


@pytest.mark.parametrize("encoded", ["", "80", "ffffffff1f", "808080808000", "ffffffff7f"])
def test_u32_refused(encoded: str) -> None:
    with pytest.raises(Malformed):
        Reader(bytes.fromhex(encoded)).u32()


def test_u64_to_its_bounds() -> None:
    assert Reader(leb(2**64 - 1)).u64() == 2**64 - 1
    with pytest.raises(Malformed):
        Reader(leb(2**64)).u64()


@pytest.mark.parametrize(
    ("encoded", "value"),
    [("00", 0), ("3f", 63), ("40", -64), ("7f", -1), ("c000", 64), ("ffffffff0f", 2**32 - 1), ("8080808070", -(2**32))],
)
def test_s33(encoded: str, value: int) -> None:
    assert Reader(bytes.fromhex(encoded)).s33() == value


@pytest.mark.parametrize(
    ("read", "encoded"),
    [
        pytest.param(Reader.s32, "8080808008", id="s32-over"),
        pytest.param(Reader.s33, "8080808010", id="s33-over"),
        pytest.param(Reader.s33, "808080808000", id="s33-long"),
        pytest.param(Reader.s64, "80808080808080808001", id="s64-over"),
    ],
)
def test_signed_refused(read: Callable[[Reader], int], encoded: str) -> None:
    with pytest.raises(Malformed):
        read(Reader(bytes.fromhex(encoded)))


def test_signed_at_their_bounds() -> None:
    assert Reader(bytes.fromhex("8080808078")).s32() == -(2**31)
    assert Reader(bytes.fromhex("80808080808080808000")).s64() == 0
    assert Reader(bytes.fromhex("8080808080808080807f")).s64() == -(2**63)


def test_names_are_text_of_bounded_length() -> None:
    longest = b"x" * COMPONENT_NAME_BYTES_MAX
    assert Reader(leb(len(longest)) + longest).name() == longest.decode()
    assert Reader("\x03ö!".encode()).name() == "ö!"
    with pytest.raises(Malformed, match="100001 bytes"):
        Reader(leb(len(longest) + 1) + longest + b"x").name()
    with pytest.raises(Malformed, match="UTF-8"):
        Reader(b"\x02\xff\xfe").name()
    with pytest.raises(Malformed, match="end early"):
        Reader(b"\x03ab").name()


def test_counts_are_held_to_the_limit_and_to_what_is_there() -> None:
    assert Reader(b"\x03abc").count(3, "things") == 3
    with pytest.raises(Malformed, match="4 things: 3 are the most"):
        Reader(b"\x04abcd").count(3, "things")
    with pytest.raises(Malformed, match="3 things, and not as many bytes"):
        Reader(b"\x03ab").count(3, "things")


def test_nothing_is_read_past_the_end_of_a_part() -> None:
    reader = Reader(b"abcdef", 1, 3)
    assert reader.take(2) == b"bc"
    for read in (reader.byte, reader.peek, lambda: reader.take(1), lambda: reader.skip(1), reader.u32):
        with pytest.raises(Malformed, match="end early"):
            read()
    assert reader.position == 3


def test_bytes_that_are_left_are_a_fault() -> None:
    reader = Reader(b"ab")
    reader.byte()
    with pytest.raises(Malformed, match="at byte 1") as caught:
        reader.expect_end("a section")
    assert caught.value.offset == 1


def test_sections() -> None:
    data = COMPONENT_PREAMBLE + b"\x07\x01\x00" + b"\x00\x03\x02hi" + b"\x0b\x81\x00\x00"
    assert list(sections(data)) == [Section(7, 10, 11), Section(0, 13, 16), Section(11, 19, 20)]
    inside = b"??" + data + b"??"
    assert [section.id for section in sections(inside, 2, len(inside) - 2)] == [7, 0, 11]


@pytest.mark.parametrize("rest", [b"\x07", b"\x07\x80", b"\x07\x02\x00", b"\x07\xff\xff\xff\xff\x0f"])
def test_sections_longer_than_what_holds_them(rest: bytes) -> None:
    with pytest.raises(Malformed):
        list(sections(MODULE_PREAMBLE + rest))


def test_preambles() -> None:
    assert is_component(COMPONENT_PREAMBLE)
    assert not is_component(b"x" + MODULE_PREAMBLE, 1)
    for cut in range(8):
        with pytest.raises(Malformed):
            is_component(COMPONENT_PREAMBLE[:cut])
    for other in (b"\0asm\x0c\0\x01\0", b"\0asm\x0d\0\x00\0", b"\0asm\x02\0\0\0", b"\0ASM\x01\0\0\0"):
        with pytest.raises(Malformed):
            is_component(other)
