"""The binary format's primitives: bounded numbers, names and sections, of modules and components alike.

Bytes of a guest: every read is checked against the end of what holds it, and every fault says where it is.

Source: WebAssembly core specification, chapter "Binary Format"; component model, `design/mvp/Binary.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from edged.errors import ComponentInvalid
from edged.limits import COMPONENT_NAME_BYTES_MAX

MODULE_PREAMBLE = b"\0asm\x01\0\0\0"
COMPONENT_PREAMBLE = b"\0asm\x0d\0\x01\0"
PREAMBLE_BYTES = 8


class Malformed(ComponentInvalid):
    """Bytes that are not the binary format of a module or a component.

    Attributes:
        offset: where, in bytes from the start of the file.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(f"{message} (at byte {offset})")
        self.offset = offset


class Section(NamedTuple):
    """One section's content: `data[start:end]`."""

    id: int
    start: int
    end: int


class Reader:
    """Reads on from `position`, and never past `end`.

    Args:
        data: the whole file, so that offsets are the file's.
        start, end: the part of it to read, in bytes.
    """

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes | memoryview, start: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = start
        self.end = len(data) if end is None else end

    def malformed(self, message: str) -> Malformed:
        """An error about where the reader is; to be raised."""
        return Malformed(message, self.position)

    def at_end(self) -> bool:
        return self.position >= self.end

    def expect_end(self, what: str) -> None:
        """
        Raises:
            Malformed: there are bytes left in `what`.
        """
        if self.position != self.end:
            raise self.malformed(f"{what} is longer than what it holds")

    def byte(self) -> int:
        position = self.position
        if position >= self.end:
            raise self.malformed("the bytes end early")
        self.position = position + 1
        return self.data[position]

    def peek(self) -> int:
        """The next byte, which is not taken."""
        if self.position >= self.end:
            raise self.malformed("the bytes end early")
        return self.data[self.position]

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.position
        if count > self.end - start:
            raise self.malformed("the bytes end early")
        self.position = start + count
        return bytes(self.data[start : start + count])

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        if count > self.end - self.position:
            raise self.malformed("the bytes end early")
        self.position += count

    def u32(self) -> int:
        # Nearly every number takes one or two bytes.
        position = self.position
        if position + 1 < self.end:
            value = self.data[position]
            if value < 0x80:
                self.position = position + 1
                return value
            high = self.data[position + 1]
            if high < 0x80:
                self.position = position + 2
                return value & 0x7F | high << 7
        return self._unsigned(32)

    def u64(self) -> int:
        return self._unsigned(64)

    def s32(self) -> int:
        return self._signed(32)

    def s33(self) -> int:
        """A type index, or a type's opcode as a negative number."""
        return self._signed(33)

    def s64(self) -> int:
        return self._signed(64)

    def count(self, limit: int, what: str) -> int:
        """The length of a vector, each item of which takes a byte or more.

        Raises:
            Malformed: more than `limit`, or more than there are bytes.
        """
        count = self.u32()
        if count > limit:
            raise self.malformed(f"{count} {what}: {limit} are the most that may be")
        if count > self.end - self.position:
            raise self.malformed(f"{count} {what}, and not as many bytes")
        return count

    def name(self) -> str:
        """Text in UTF-8 of at most COMPONENT_NAME_BYTES_MAX."""
        length = self.u32()
        if length > COMPONENT_NAME_BYTES_MAX:
            raise self.malformed(f"a name of {length} bytes: {COMPONENT_NAME_BYTES_MAX} are the most that may be")
        start = self.position
        if length > self.end - start:
            raise self.malformed("the bytes end early")
        self.position = start + length
        try:
            return str(self.data[start : start + length], "utf-8")
        except UnicodeDecodeError:
            raise self.malformed("a name that is not UTF-8") from None

    def _unsigned(self, bits: int) -> int:
        """LEB128 as the specification bounds it: no more bytes than `bits` need, unused bits zero."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= bits:
                raise self.malformed("a number of too many bytes")
        if value >> bits:
            raise self.malformed(f"a number of more than {bits} bits")
        return value

    def _signed(self, bits: int) -> int:
        """The same with a sign, which unused bits repeat."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= bits:
                raise self.malformed("a number of too many bytes")
        if byte & 0x40:
            value -= 1 << shift
        if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            raise self.malformed(f"a number of more than {bits} bits")
        return value


def is_component(data: bytes | memoryview, start: int = 0) -> bool:
    """Whether a component begins at `start`, as its first bytes say.

    Raises:
        Malformed: neither a component nor a module begins there, or one of another version.
    """
    preamble = bytes(data[start : start + PREAMBLE_BYTES])
    if preamble == COMPONENT_PREAMBLE:
        return True
    if preamble == MODULE_PREAMBLE:
        return False
    raise Malformed("neither a core module nor a component of a version that edged knows", start)


def sections(data: bytes | memoryview, start: int = 0, end: int | None = None) -> Iterator[Section]:
    """The sections of the module or component in `data[start:end]`, in order, custom ones (id 0) too.

    Ids are not looked at, nor their order: which may stand where, their readers know.

    Raises:
        Malformed: no preamble, or a section that is longer than what holds it.
    """
    is_component(data, start)
    reader = Reader(data, start, end)
    reader.skip(PREAMBLE_BYTES)
    while not reader.at_end():
        section_id = reader.byte()
        size = reader.u32()
        content = reader.position
        reader.skip(size)
        yield Section(section_id, content, content + size)
