"""A component's bytes as definitions: strict, in one pass, bounded.

Everything that is not known is refused. wasmtime validates the same bytes (`edged.wasm.compiler`); this reader does not
count on it for anything but what definitions mean to each other.

Source: component model, `design/mvp/Binary.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edged.errors import ComponentUnsupported
from edged.wasm.plan.binary_canon import read_canon
from edged.wasm.plan.binary_core import read_core_type
from edged.wasm.plan.binary_types import TypeReader
from edged.wasm.plan.definition_reader import Budget
from edged.wasm.plan.definitions import (
    Component,
    CoreInline,
    CoreInstantiate,
    CoreModule,
    Definition,
    Export,
    Import,
    Inline,
    Instantiate,
    NestedComponent,
    SortIndex,
)
from edged.wasm.plan.reader import Malformed, Section, is_component, sections

_CUSTOM, _CORE_MODULE, _COMPONENT = 0, 1, 4
_CORE_INSTANCE = 0x12


def parse(data: bytes | memoryview) -> Component:
    """Read a component.

    Raises:
        ComponentInvalid: not a component, or malformed.
        ComponentUnsupported: it has something that edged does not know or does not do.
        ComponentTooLarge: it has more items, or nests deeper, than may be.
    """
    return _Parser(data).component(0, len(data), depth=0)


class _Parser:
    """One file: its modules are numbered through, its items counted."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = data
        self.modules = 0
        self.budget = Budget()

    def component(self, start: int, end: int, depth: int) -> Component:
        if not is_component(self.data, start):
            raise Malformed("a core module where a component has to be", start)
        definitions: list[Definition] = []
        for section in sections(self.data, start, end):
            definitions.extend(self._section(section, depth))
        return Component(tuple(definitions))

    def _section(self, section: Section, depth: int) -> Iterable[Definition]:
        self.budget.take(1)
        reader = TypeReader(self.data, section.start, section.end, self.budget, depth)
        if section.id == _CUSTOM:
            reader.name()
            return ()
        if section.id == _CORE_MODULE:
            self.modules += 1
            return (CoreModule(self.modules - 1, section.start, section.end),)
        if section.id == _COMPONENT:
            reader.enter()
            return (NestedComponent(self.component(section.start, section.end, reader.depth)),)
        read = _SECTIONS.get(section.id)
        if read is None:
            raise _unknown_section(section)
        definitions = reader.vector(lambda: read(reader), "definitions")
        reader.expect_end("a section")
        return definitions


def _unknown_section(section: Section) -> Exception:
    names = {9: "a start function", 12: "values"}
    if section.id in names:
        return ComponentUnsupported(
            f"the component has {names[section.id]}", remedy="Do at the first call what it does at its start."
        )
    return Malformed(f"an unknown section, {section.id}", section.start)


def _core_instance(reader: TypeReader) -> CoreInstantiate | CoreInline:
    def argument() -> tuple[str, int]:
        name = reader.name()
        reader.expect(_CORE_INSTANCE, "the sort of a core instance")
        return name, reader.u32()

    def export() -> tuple[str, SortIndex]:
        return reader.name(), (reader.core_sort(), reader.u32())

    if reader.flag():
        return CoreInline(reader.vector(export, "exports"))
    return CoreInstantiate(reader.u32(), reader.vector(argument, "arguments"))


def _instance(reader: TypeReader) -> Instantiate | Inline:
    def argument() -> tuple[str, SortIndex]:
        return reader.name(), reader.sort_index()

    def export() -> tuple[str, SortIndex]:
        return reader.extern_name(), reader.sort_index()

    if reader.flag():
        return Inline(reader.vector(export, "exports"))
    return Instantiate(reader.u32(), reader.vector(argument, "arguments"))


def _import(reader: TypeReader) -> Import:
    return Import(reader.extern_name(), reader.extern_type())


def _export(reader: TypeReader) -> Export:
    return Export(reader.extern_name(), reader.sort_index(), reader.optional(reader.extern_type))


_SECTIONS: dict[int, Callable[[TypeReader], Definition]] = {
    2: _core_instance,
    3: read_core_type,
    5: _instance,
    6: TypeReader.alias,
    7: TypeReader.type,
    8: read_canon,
    10: _import,
    11: _export,
}
