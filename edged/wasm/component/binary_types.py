"""Type sections of a component, and the reader that all of its sections are read with.

Source: component model, `design/mvp/Binary.md`, "Type Definitions".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edged.errors import ComponentTooLarge, ComponentUnsupported
from edged.limits import COMPONENT_DEPTH_MAX, COMPONENT_ITEM_COUNT_MAX, FLAGS_COUNT_MAX
from edged.wasm.component.definitions import (
    ERROR_CONTEXT,
    AliasCoreExport,
    AliasExport,
    AliasOuter,
    ComponentTypeDefinition,
    CoreType,
    Declaration,
    EnumType,
    ExportDeclaration,
    ExternType,
    FlagsType,
    FunctionType,
    FutureType,
    HandleType,
    Import,
    InstanceTypeDefinition,
    ListType,
    MapType,
    OptionType,
    PrimitiveType,
    RecordType,
    ResourceDefinition,
    ResultType,
    Sort,
    StreamType,
    TupleType,
    TypeDefinition,
    ValueType,
    VariantType,
)
from edged.wasm.component.reader import Reader

_Item = TypeVar("_Item")

_PRIMITIVES = {
    0x7F: "BOOL",
    0x7E: "S8",
    0x7D: "U8",
    0x7C: "S16",
    0x7B: "U16",
    0x7A: "S32",
    0x79: "U32",
    0x78: "S64",
    0x77: "U64",
    0x76: "F32",
    0x75: "F64",
    0x74: "CHAR",
    0x73: "STRING",
    0x64: ERROR_CONTEXT,
}
_SORTS: dict[int, Sort] = {1: "func", 2: "value", 3: "type", 4: "component", 5: "instance"}
_CORE_SORTS: dict[int, Sort] = {
    0x00: "core func",
    0x01: "core table",
    0x02: "core memory",
    0x03: "core global",
    0x04: "core tag",
    0x10: "core type",
    0x11: "core module",
    0x12: "core instance",
}
_NUMBERS = {0x7F: "i", 0x7E: "I", 0x7D: "f", 0x7C: "F"}
_VECTOR = 0x7B
_REFERENCES = range(0x69, 0x75)  # abbreviations: funcref, externref, exnref and those of the GC proposal
_REF_NULL, _REF = 0x63, 0x64
_CORE_FUNC, _CORE_MODULE = 0x60, 0x50
_ASYNC_FUNC = 0x43
_NAME_PLAIN = (0x00, 0x01)  # the second has been an interface's in older drafts
_NAME_WITH_ATTRIBUTES = 0x02
_ATTRIBUTES = ("implements", "versionsuffix", "external-id")


class Budget:
    """How many items of all kinds a component may still have: sections, definitions, fields, arguments, options."""

    __slots__ = ("left",)

    def __init__(self, items: int = COMPONENT_ITEM_COUNT_MAX) -> None:
        self.left = items

    def take(self, count: int) -> None:
        """
        Raises:
            ComponentTooLarge: there are not as many left.
        """
        self.left -= count
        if self.left < 0:
            raise ComponentTooLarge(
                f"the component has more than {COMPONENT_ITEM_COUNT_MAX} definitions, types and names",
                remedy="Import and export only what the component uses.",
            )


class DefinitionReader(Reader):
    """Reads what sections of a component have in common, and types.

    Args:
        budget: shared by all readers of one file.
        depth: components and types that stand around this part.
    """

    __slots__ = ("budget", "depth")

    def __init__(self, data: bytes | memoryview, start: int, end: int, budget: Budget, depth: int) -> None:
        super().__init__(data, start, end)
        self.budget = budget
        self.depth = depth

    def vector(self, read: Callable[[], _Item], what: str, *, least: int = 0) -> tuple[_Item, ...]:
        """Items that `read` reads, counted."""
        count = self.count(COMPONENT_ITEM_COUNT_MAX, what)
        if count < least:
            raise self.malformed(f"{count} {what}: {least} are the fewest that may be")
        self.budget.take(count)
        return tuple([read() for _ in range(count)])

    def optional(self, read: Callable[[], _Item]) -> _Item | None:
        return read() if self.flag() else None

    def flag(self) -> bool:
        byte = self.byte()
        if byte > 1:
            raise self.malformed(f"0x{byte:02x} where 0 or 1 has to be")
        return byte == 1

    def expect(self, byte: int, what: str) -> None:
        found = self.byte()
        if found != byte:
            raise self.malformed(f"0x{found:02x} where {what} has to be")

    def sort(self) -> Sort:
        byte = self.byte()
        known = _CORE_SORTS if byte == 0 else _SORTS
        key = self.byte() if byte == 0 else byte
        if key not in known:
            raise self.malformed(f"an unknown sort, 0x{key:02x}")
        return known[key]

    def core_sort(self) -> Sort:
        byte = self.byte()
        if byte not in _CORE_SORTS:
            raise self.malformed(f"an unknown core sort, 0x{byte:02x}")
        return _CORE_SORTS[byte]

    def sort_index(self) -> tuple[Sort, int]:
        return self.sort(), self.u32()

    def extern_name(self) -> str:
        """A name of an import or export. Its attributes are for tools: linking goes by the name."""
        form = self.byte()
        if form not in _NAME_PLAIN and form != _NAME_WITH_ATTRIBUTES:
            raise self.malformed(f"an unknown form of name, 0x{form:02x}")
        name = self.name()
        if form == _NAME_WITH_ATTRIBUTES:
            given = self.vector(self._attribute, "attributes of a name")
            if len(set(given)) != len(given):
                raise self.malformed("an attribute of a name given twice")
        return name

    def _attribute(self) -> str:
        kind = self.byte()
        if kind >= len(_ATTRIBUTES):
            raise self.malformed(f"an unknown attribute of a name, 0x{kind:02x}")
        self.name()
        return _ATTRIBUTES[kind]

    def alias(self) -> AliasExport | AliasCoreExport | AliasOuter:
        sort = self.sort()
        target = self.byte()
        if target == 0:
            return AliasExport(sort, self.u32(), self.name())
        if target == 1:
            return AliasCoreExport(sort, self.u32(), self.name())
        if target == 2:
            return AliasOuter(sort, self.u32(), self.u32())
        raise self.malformed(f"an unknown target of an alias, 0x{target:02x}")

    # --- types ---

    def value_type(self) -> ValueType:
        primitive = _PRIMITIVES.get(self.peek())
        if primitive is not None:
            self.position += 1
            return primitive
        index = self.s33()
        if index < 0:
            raise self.malformed(f"an unknown type, 0x{index & 0x7F:02x}")
        return index

    def type(self) -> TypeDefinition:
        opcode = self.byte()
        if opcode in _PRIMITIVES:
            return PrimitiveType(_PRIMITIVES[opcode])
        read = _TYPES.get(opcode)
        if read is None:
            raise self.malformed(f"an unknown kind of type, 0x{opcode:02x}")
        return read(self)

    def _labelled(self) -> tuple[str, ValueType]:
        return self.name(), self.value_type()

    def _case(self) -> tuple[str, ValueType | None]:
        name, payload = self.name(), self.optional(self.value_type)
        self.expect(0, "the end of a case")
        return name, payload

    def _list(self) -> ListType:
        return ListType(self.value_type(), None)

    def _fixed_list(self) -> ListType:
        element, length = self.value_type(), self.u32()
        if length == 0:
            raise self.malformed("a list type of length 0")
        return ListType(element, length)

    def _map(self) -> MapType:
        return MapType(self.value_type(), self.value_type())

    def _record(self) -> RecordType:
        return RecordType(self.vector(self._labelled, "fields", least=1))

    def _variant(self) -> VariantType:
        return VariantType(self.vector(self._case, "cases", least=1))

    def _tuple(self) -> TupleType:
        return TupleType(self.vector(self.value_type, "elements of a tuple", least=1))

    def _flags(self) -> FlagsType:
        names = self.vector(self.name, "flags", least=1)
        if len(names) > FLAGS_COUNT_MAX:
            raise self.malformed(f"{len(names)} flags: {FLAGS_COUNT_MAX} are the most that may be")
        return FlagsType(names)

    def _enum(self) -> EnumType:
        return EnumType(self.vector(self.name, "names of an enum", least=1))

    def _option(self) -> OptionType:
        return OptionType(self.value_type())

    def _result(self) -> ResultType:
        return ResultType(self.optional(self.value_type), self.optional(self.value_type))

    def _own(self) -> HandleType:
        return HandleType(self.u32(), owned=True)

    def _borrow(self) -> HandleType:
        return HandleType(self.u32(), owned=False)

    def _stream(self) -> StreamType:
        return StreamType(self.optional(self.value_type))

    def _future(self) -> FutureType:
        return FutureType(self.optional(self.value_type))

    def _function(self) -> FunctionType:
        return FunctionType(self.vector(self._labelled, "parameters"), self.result(), is_async=False)

    def _async_function(self) -> FunctionType:
        return self._function()._replace(is_async=True)

    def result(self) -> ValueType | None:
        """A `resultlist`. More than one result, with names, was a form of old drafts."""
        if not self.flag():
            return self.value_type()
        self.expect(0, "the end of a function's results")
        return None

    def _resource(self) -> ResourceDefinition:
        representation = self.byte()
        if representation != 0x7F:
            raise ComponentUnsupported(
                f"the component defines a resource that is not represented by an i32 (0x{representation:02x})",
                remedy="Build the component for 32-bit WebAssembly.",
            )
        return ResourceDefinition(self.optional(self.u32))

    def _component_type(self) -> ComponentTypeDefinition:
        return ComponentTypeDefinition(self._declarations(imports=True))

    def _instance_type(self) -> InstanceTypeDefinition:
        return InstanceTypeDefinition(self._declarations(imports=False))

    def _declarations(self, *, imports: bool) -> tuple[Declaration, ...]:
        self.enter()
        found = self.vector(self._import_or_declaration if imports else self._declaration, "declarations")
        self.depth -= 1
        return found

    def enter(self) -> None:
        """Go one component or type deeper.

        Raises:
            ComponentTooLarge
        """
        self.depth += 1
        if self.depth > COMPONENT_DEPTH_MAX:
            raise ComponentTooLarge(
                f"the component nests components and types more than {COMPONENT_DEPTH_MAX} deep",
                remedy="Compose the component of fewer layers.",
            )

    def _import_or_declaration(self) -> Declaration:
        if self.peek() == 3:
            self.position += 1
            return Import(self.extern_name(), self.extern_type())
        return self._declaration()

    def _declaration(self) -> Declaration:
        kind = self.byte()
        if kind == 0:
            return self.core_type()
        if kind == 1:
            return self.type()
        if kind == 2:
            alias = self.alias()
            if isinstance(alias, AliasCoreExport):
                raise self.malformed("an alias of a core export in a type")
            return alias
        if kind == 4:
            return ExportDeclaration(self.extern_name(), self.extern_type())
        raise self.malformed(f"an unknown declaration, 0x{kind:02x}")

    def extern_type(self) -> ExternType:
        kind = self.byte()
        if kind == 0:
            self.expect(0x11, "the sort of a core module")
            return ExternType("core module", self.u32())
        if kind == 1:
            return ExternType("func", self.u32())
        if kind == 2:
            raise ComponentUnsupported("the component imports or exports a value", remedy="Use a function instead.")
        if kind == 3:
            return ExternType("type", None if self.flag() else self.u32())
        if kind == 4:
            return ExternType("component", self.u32())
        if kind == 5:
            return ExternType("instance", self.u32())
        raise self.malformed(f"an unknown kind of import or export, 0x{kind:02x}")

    # --- core types ---

    def core_type(self) -> CoreType:
        opcode = self.byte()
        if opcode == _CORE_FUNC:
            self._core_signature()
            return CoreType("func")
        if opcode == _CORE_MODULE:
            self.vector(self._module_declaration, "declarations of a module type")
            return CoreType("module")
        raise ComponentUnsupported(
            f"the component has a core type that is not a function's or a module's (0x{opcode:02x})",
            remedy="Build the component without garbage-collected types.",
        )

    def _core_signature(self) -> None:
        self.vector(self._core_value, "parameters")
        self.vector(self._core_value, "results")

    def _core_value(self) -> None:
        kind = self.byte()
        if kind in (_REF, _REF_NULL):
            self.s33()
        elif kind not in _NUMBERS and kind != _VECTOR and kind not in _REFERENCES:
            raise self.malformed(f"an unknown core type, 0x{kind:02x}")

    def number(self) -> str:
        """A core number type, as its letter."""
        kind = self.byte()
        if kind not in _NUMBERS:
            raise self.malformed(f"0x{kind:02x} where a core number type has to be")
        return _NUMBERS[kind]

    def _module_declaration(self) -> None:
        kind = self.byte()
        if kind == 0:
            self.name()
            self.name()
            self._core_extern()
        elif kind == 1:
            self.expect(_CORE_FUNC, "a core function type")
            self._core_signature()
        elif kind == 2:
            self.expect(0x10, "the sort of a core type")
            self.expect(0x01, "an alias of something outside")
            self.u32()
            self.u32()
        elif kind == 3:
            self.name()
            self._core_extern()
        else:
            raise self.malformed(f"an unknown declaration of a module type, 0x{kind:02x}")

    def _core_extern(self) -> None:
        kind = self.byte()
        if kind == 0:
            self.u32()
        elif kind == 1:
            self._core_value()
            self._core_limits()
        elif kind == 2:
            self._core_limits()
        elif kind == 3:
            self._core_value()
            self.flag()
        elif kind == 4:
            self.expect(0, "the attribute of a tag")
            self.u32()
        else:
            raise self.malformed(f"an unknown kind of core import or export, 0x{kind:02x}")

    def _core_limits(self) -> None:
        """Flags: 1 there is a maximum, 2 shared, 4 of 64 bits, 8 with a page size."""
        flags = self.byte()
        if flags > 0x0F:
            raise self.malformed(f"unknown limits, 0x{flags:02x}")
        self.u64()
        if flags & 1:
            self.u64()
        if flags & 8:
            self.u32()


_TYPES: dict[int, Callable[[DefinitionReader], TypeDefinition]] = {
    0x72: DefinitionReader._record,
    0x71: DefinitionReader._variant,
    0x70: DefinitionReader._list,
    0x6F: DefinitionReader._tuple,
    0x6E: DefinitionReader._flags,
    0x6D: DefinitionReader._enum,
    0x6B: DefinitionReader._option,
    0x6A: DefinitionReader._result,
    0x69: DefinitionReader._own,
    0x68: DefinitionReader._borrow,
    0x67: DefinitionReader._fixed_list,
    0x66: DefinitionReader._stream,
    0x65: DefinitionReader._future,
    0x63: DefinitionReader._map,
    0x43: DefinitionReader._async_function,
    0x42: DefinitionReader._instance_type,
    0x41: DefinitionReader._component_type,
    0x40: DefinitionReader._function,
    0x3F: DefinitionReader._resource,
}
