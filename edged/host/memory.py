"""The linear memory of a core module, as host functions see it. Every access is checked; none can leave it."""

from __future__ import annotations

import struct
from typing import Any

_U8, _U16, _U32, _U64 = (struct.Struct(f"<{code}") for code in "BHIQ")


class MemoryFault(Exception):
    """A guest's address or length that is not inside its memory. The interface answers with an error of its own, or the
    guest traps."""


class Memory:
    """A window on the bytes of one guest's memory.

    Addresses and lengths are a guest's u32 or u64: never negative, but otherwise anything.

    Attributes:
        view: all of the memory, for writing too. The engine sets it anew for each host call, since a guest may grow
            between two.
    """

    __slots__ = ("view",)

    def __init__(self, view: memoryview) -> None:
        self.view = view

    def check(self, address: int, length: int) -> None:
        """Raises MemoryFault unless `length` bytes at `address` are there."""
        if address < 0 or length < 0 or address + length > len(self.view):
            raise MemoryFault

    def read(self, address: int, length: int) -> bytes:
        self.check(address, length)
        return bytes(self.view[address : address + length])

    def write(self, address: int, data: bytes | memoryview) -> None:
        self.check(address, len(data))
        self.view[address : address + len(data)] = data

    def unpack(self, layout: struct.Struct, address: int) -> tuple[Any, ...]:
        self.check(address, layout.size)
        return layout.unpack_from(self.view, address)

    def pack(self, layout: struct.Struct, address: int, *values: Any) -> None:
        self.check(address, layout.size)
        layout.pack_into(self.view, address, *values)

    def set_u8(self, address: int, value: int) -> None:
        self.pack(_U8, address, value)

    def set_u16(self, address: int, value: int) -> None:
        self.pack(_U16, address, value)

    def set_u32(self, address: int, value: int) -> None:
        self.pack(_U32, address, value)

    def set_u64(self, address: int, value: int) -> None:
        self.pack(_U64, address, value)
