"""A component with the insides of its core modules left out: all that its validity and its plan depend on.

wasmtime is what says whether a component is valid, and to ask it means to compile the component, which takes seconds
and gigabytes, for code that is then thrown away. So it is asked about a component whose core modules have the same
imports, exports, types, tables, memories, globals and start function, and functions that only trap. What was left out,
function bodies, elements and data, wasmtime validates when the modules themselves are compiled.

Source: component model, `design/mvp/Binary.md`; WebAssembly core specification 3.0, chapter "Binary Format".
"""

from __future__ import annotations

from collections.abc import Iterator

from edged.errors import ComponentTooLarge
from edged.limits import COMPONENT_DEPTH_MAX, CORE_ITEM_COUNT_MAX
from edged.wasm.plan.module import CODE, DATA, DATA_COUNT, ELEMENTS, FUNCTIONS
from edged.wasm.plan.reader import PREAMBLE_BYTES, Malformed, Reader, is_component, sections
from edged.wasm.plan.rewriting import as_section, leb

CUSTOM = 0
CORE_MODULE, COMPONENT = 1, 4
"""Ids of sections of a component."""

_TRAP = b"\x03\x00\x00\x0b"  # a body of 3 bytes: no locals, unreachable, end. Valid whatever the function's type
_INSIDE = (CUSTOM, ELEMENTS, CODE, DATA, DATA_COUNT)


def skeleton(data: bytes) -> bytes:
    """The component with skeletons of its core modules, and without custom sections.

    Raises:
        ComponentInvalid: not a component, or malformed where it is read.
        ComponentTooLarge: components inside each other, too deep.
    """
    if not is_component(data):
        raise Malformed("a core module where a component has to be", 0)
    return b"".join(_component(memoryview(data), 0, len(data), 1))


def core_modules(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Where each core module of a component stands: `(start, end)`, in the order of the bytes, those of nested
    components too. Errors as of `skeleton`."""
    return _core_modules(data, start, len(data) if end is None else end, 1)


def _core_modules(data: bytes, start: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
    _check_depth(start, depth)
    for section in sections(data, start, end):
        if section.id == CORE_MODULE:
            yield section.start, section.end
        elif section.id == COMPONENT:
            yield from _core_modules(data, section.start, section.end, depth + 1)


def _component(data: memoryview, start: int, end: int, depth: int) -> Iterator[bytes | memoryview]:
    _check_depth(start, depth)
    yield data[start : start + PREAMBLE_BYTES]
    for section in sections(data, start, end):
        if section.id == CUSTOM:
            Reader(data, section.start, section.end).name()
        elif section.id == CORE_MODULE:
            yield from as_section(CORE_MODULE, b"".join(_module(data, section.start, section.end)))
        elif section.id == COMPONENT:
            nested = b"".join(_component(data, section.start, section.end, depth + 1))
            yield from as_section(COMPONENT, nested)
        else:
            yield from as_section(section.id, data[section.start : section.end])


def _module(data: memoryview, start: int, end: int) -> Iterator[bytes | memoryview]:
    yield data[start : start + PREAMBLE_BYTES]
    functions = 0
    for section in sections(data, start, end):
        if section.id in _INSIDE:
            continue
        if section.id == FUNCTIONS:
            functions += Reader(data, section.start, section.end).count(CORE_ITEM_COUNT_MAX, "functions")
        yield from as_section(section.id, data[section.start : section.end])
    if functions:
        yield from as_section(CODE, leb(functions) + _TRAP * functions)


def _check_depth(start: int, depth: int) -> None:
    if depth > COMPONENT_DEPTH_MAX:
        raise ComponentTooLarge(
            f"the component nests components more than {COMPONENT_DEPTH_MAX} deep (at byte {start})",
            remedy="Compose it of fewer layers.",
        )
