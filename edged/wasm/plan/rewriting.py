"""A core module with other import names, and without the exports that nobody uses.

A core module names its imports as its compiler liked, and a component says at each instantiation what they are. Once
that is known, the names can say it themselves: then one linker serves every step of a plan, and instantiating is a
single call. Exports that nothing uses would each be looked up and registered on every instantiation; Python guests
have thousands.

Nothing else changes: no index, no byte of a function.

Source: WebAssembly core specification 3.0, chapter "Binary Format".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edged.limits import CORE_ITEM_COUNT_MAX
from edged.wasm.plan.module import CODE, DATA, DATA_COUNT, ELEMENTS, EXPORTS, IMPORTS, read_extern
from edged.wasm.plan.reader import PREAMBLE_BYTES, Malformed, Reader, sections

_FUNCTION = 0
_DECLARATIVE = b"\x03\x00"  # an element segment that only declares, of functions by index
_AFTER_ELEMENTS = (DATA_COUNT, CODE, DATA)


def rewrite(data: memoryview, names: Sequence[tuple[str, str]], keep: Collection[str]) -> bytes:
    """The module with these import names, and only these of its exports.

    Args:
        data: a whole module; whether it is valid is found out by whoever compiles the result, since what is changed
            here is valid before if and only if it is afterwards (and the skeleton, which has both, is validated).
        names: module and name of each import, in the module's own order.
        keep: names of exports.

    Raises:
        ComponentInvalid, ComponentUnsupported: the module is malformed where it is read.
    """
    written: list[bytes | memoryview] = [data[:PREAMBLE_BYTES]]
    dropped: list[int] = []
    renamed = declared = False
    for section in sections(data):
        reader = Reader(data, section.start, section.end)
        if section.id == IMPORTS:
            content = _rename(reader, names)
            renamed = True
        elif section.id == EXPORTS:
            content = _select(reader, keep, dropped)
        elif section.id == ELEMENTS:
            content = _declare(reader, dropped)
            declared = True
        else:
            if section.id in _AFTER_ELEMENTS and not declared:
                written += _declaration(dropped)
                declared = True
            written += as_section(section.id, data[section.start : section.end])
            continue
        written += as_section(section.id, content)
    if not declared:
        written += _declaration(dropped)
    if names and not renamed:
        raise Malformed(f"0 imports, of which {len(names)} are given", 0)
    return b"".join(written)


def leb(number: int) -> bytes:
    """An unsigned number as the binary format has it, in as few bytes as can be."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def as_section(section_id: int, content: bytes | memoryview) -> list[bytes | memoryview]:
    """A section, in pieces to be joined."""
    return [bytes((section_id,)) + leb(len(content)), content]


def _rename(reader: Reader, names: Sequence[tuple[str, str]]) -> bytes:
    count = reader.count(CORE_ITEM_COUNT_MAX, "imports")
    if count != len(names):
        raise reader.malformed(f"{count} imports, of which {len(names)} are given")
    content = [leb(count)]
    for module, name in names:
        reader.name()
        reader.name()
        start = reader.position
        read_extern(reader)
        content += (_name(module), _name(name), bytes(reader.data[start : reader.position]))
    reader.expect_end("the imports of a module")
    return b"".join(content)


def _select(reader: Reader, keep: Collection[str], dropped: list[int]) -> bytes:
    """The exports in `keep`; the functions of the others are added to `dropped`, by index."""
    kept = []
    for _ in range(reader.count(CORE_ITEM_COUNT_MAX, "exports")):
        start = reader.position
        name, kind, index = reader.name(), reader.byte(), reader.u32()
        if name in keep:
            kept.append(bytes(reader.data[start : reader.position]))
        elif kind == _FUNCTION:
            dropped.append(index)
    reader.expect_end("the exports of a module")
    return leb(len(kept)) + b"".join(kept)


def _declare(reader: Reader, dropped: Sequence[int]) -> bytes:
    """The element segments, and one more.

    An export is a declaration too: without it, a function that takes another's reference may be no longer valid.
    """
    count = reader.count(CORE_ITEM_COUNT_MAX, "element segments")
    segments = reader.take(reader.end - reader.position)
    if not dropped:
        return leb(count) + segments
    return leb(count + 1) + segments + _segment(dropped)


def _declaration(dropped: Sequence[int]) -> list[bytes | memoryview]:
    return as_section(ELEMENTS, leb(1) + _segment(dropped)) if dropped else []


def _segment(functions: Sequence[int]) -> bytes:
    return _DECLARATIVE + leb(len(functions)) + b"".join(map(leb, functions))


def _name(text: str) -> bytes:
    encoded = text.encode()
    return leb(len(encoded)) + encoded
