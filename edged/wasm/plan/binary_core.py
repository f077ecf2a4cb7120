"""Core types of a component: they are read over, for nothing that edged runs refers to what they say.

Source: component model, `design/mvp/Binary.md`, "Type Definitions"; WebAssembly core specification, "Types".
"""

from __future__ import annotations

from edged.errors import ComponentUnsupported
from edged.wasm.plan.definition_reader import DefinitionReader
from edged.wasm.plan.definitions import CoreType
from edged.wasm.plan.module import read_extern

_VALUES = (0x7F, 0x7E, 0x7D, 0x7C, 0x7B, *range(0x69, 0x75))  # numbers, v128, and short forms of references
_REFERENCES = (0x63, 0x64)
_FUNC, _MODULE = 0x60, 0x50


def read_core_type(reader: DefinitionReader) -> CoreType:
    """One core type."""
    opcode = reader.byte()
    if opcode == _FUNC:
        _read_signature(reader)
        return CoreType("func")
    if opcode == _MODULE:
        reader.vector(lambda: _read_declaration(reader), "declarations of a module type")
        return CoreType("module")
    raise _unsupported(f"that is not a module's either (0x{opcode:02x})")


def _unsupported(where: str) -> ComponentUnsupported:
    return ComponentUnsupported(
        f"the component has a core type that is not a function's, {where}",
        remedy="Build the component without garbage-collected types.",
    )


def _read_signature(reader: DefinitionReader) -> None:
    reader.vector(lambda: _read_value(reader), "parameters")
    reader.vector(lambda: _read_value(reader), "results")


def _read_value(reader: DefinitionReader) -> None:
    kind = reader.byte()
    if kind in _REFERENCES:
        reader.s33()
    elif kind not in _VALUES:
        raise reader.malformed(f"an unknown core type, 0x{kind:02x}")


def _read_declaration(reader: DefinitionReader) -> None:
    kind = reader.byte()
    if kind == 0:
        reader.name()
        reader.name()
        read_extern(reader)
    elif kind == 1:
        if reader.byte() != _FUNC:
            raise _unsupported("in a module type")
        _read_signature(reader)
    elif kind == 2:
        reader.expect(0x10, "the sort of a core type")
        reader.expect(0x01, "an alias of something outside")
        reader.u32()
        reader.u32()
    elif kind == 3:
        reader.name()
        read_extern(reader)
    else:
        raise reader.malformed(f"an unknown declaration of a module type, 0x{kind:02x}")
