from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.host.memory import Memory, MemoryFault

SIZE = 64


def memory() -> Memory:
    return Memory(memoryview(bytearray(range(SIZE))))


def test_reading_and_writing() -> None:
    m = memory()
    assert m.read(2, 3) == b"\2\3\4"
    m.write(2, b"abc")
    m.write(5, memoryview(b"d"))
    assert m.read(1, 6) == b"\1abcd\6"
    assert m.unpack(struct.Struct("<HB"), 2) == (0x6261, 0x63)
    m.pack(struct.Struct("<HB"), 2, 1, 2)
    assert m.read(2, 3) == b"\1\0\2"


def test_numbers_are_little_endian() -> None:
    m = memory()
    m.set_u8(0, 1)
    m.set_u16(1, 2)
    m.set_u32(3, 3)
    m.set_u64(7, 4)
    assert m.read(0, 15) == b"\1\2\0\3\0\0\0\4\0\0\0\0\0\0\0"


@given(address=st.integers(-2, 2**64), length=st.integers(-2, 2**64) | st.integers(0, SIZE))
def test_nothing_outside_is_reached(address: int, length: int) -> None:
    inside = address >= 0 and length >= 0 and address + length <= SIZE
    if inside:
        assert memory().read(address, length) == bytes(range(address, address + length))
    else:
        with pytest.raises(MemoryFault):
            memory().read(address, length)


@pytest.mark.parametrize(("name", "size"), [("set_u8", 1), ("set_u16", 2), ("set_u32", 4), ("set_u64", 8)])
def test_a_number_at_the_end_and_one_byte_over(name: str, size: int) -> None:
    m = memory()
    getattr(m, name)(SIZE - size, 0)
    for address in (SIZE - size + 1, SIZE, 2**32 - 1, -1):
        with pytest.raises(MemoryFault):
            getattr(m, name)(address, 0)


def test_a_write_that_does_not_fit_writes_nothing() -> None:
    m = memory()
    with pytest.raises(MemoryFault):
        m.write(SIZE - 2, b"abc")
    assert m.view.tobytes() == bytes(range(SIZE))


def test_no_memory_at_all() -> None:
    m = Memory(memoryview(bytearray()))
    assert m.read(0, 0) == b""
    m.write(0, b"")
    with pytest.raises(MemoryFault):
        m.write(0, b"x")
