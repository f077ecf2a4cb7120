"""Type sections of a component.

Source: component model, `design/mvp/Binary.md`, "Type Definitions".
"""

from __future__ import annotations

from collections.abc import Callable

from edged.errors import ComponentUnsupported
from edged.limits import FLAGS_COUNT_MAX
from edged.wasm.plan.binary_core import read_core_type
from edged.wasm.plan.definition_reader import DefinitionReader
from edged.wasm.plan.definitions import (
    ERROR_CONTEXT,
    AliasCoreExport,
    ComponentTypeDefinition,
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
    StreamType,
    TupleType,
    TypeDefinition,
    ValueType,
    VariantType,
)

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


class TypeReader(DefinitionReader):
    """Reads types, and what imports and exports are."""

    __slots__ = ()

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

    def _import_or_declaration(self) -> Declaration:
        if self.peek() == 3:
            self.position += 1
            return Import(self.extern_name(), self.extern_type())
        return self._declaration()

    def _declaration(self) -> Declaration:
        kind = self.byte()
        if kind == 0:
            return read_core_type(self)
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


_TYPES: dict[int, Callable[[TypeReader], TypeDefinition]] = {
    0x72: TypeReader._record,
    0x71: TypeReader._variant,
    0x70: TypeReader._list,
    0x6F: TypeReader._tuple,
    0x6E: TypeReader._flags,
    0x6D: TypeReader._enum,
    0x6B: TypeReader._option,
    0x6A: TypeReader._result,
    0x69: TypeReader._own,
    0x68: TypeReader._borrow,
    0x67: TypeReader._fixed_list,
    0x66: TypeReader._stream,
    0x65: TypeReader._future,
    0x63: TypeReader._map,
    0x43: TypeReader._async_function,
    0x42: TypeReader._instance_type,
    0x41: TypeReader._component_type,
    0x40: TypeReader._function,
    0x3F: TypeReader._resource,
}
