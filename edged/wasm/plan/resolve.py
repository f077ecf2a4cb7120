"""Type definitions as plain types: indices followed, resources numbered, sizes bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import (
    COMPONENT_TYPE_BYTES_MAX,
    COMPONENT_TYPE_DEPTH_MAX,
    COMPONENT_TYPE_NODE_COUNT_MAX,
    COMPONENT_TYPE_USE_COUNT_MAX,
)
from edged.wasm.plan.definitions import (
    ERROR_CONTEXT,
    ComponentTypeDefinition,
    EnumType,
    FlagsType,
    FunctionType,
    FutureType,
    HandleType,
    InstanceTypeDefinition,
    ListType,
    MapType,
    OptionType,
    PrimitiveType,
    RecordType,
    ResultType,
    StreamType,
    TupleType,
    ValueType,
    VariantType,
)
from edged.wasm.plan.layout import Layouts
from edged.wasm.plan.scope import OpenType, Resource, Scope, TypeItem
from edged.wasm.types import (
    Enum,
    FixedList,
    Flags,
    Function,
    Future,
    Handle,
    List,
    Option,
    Primitive,
    Record,
    Result,
    Stream,
    Tuple,
    Variant,
    WitType,
)

_VALUES = get_args(WitType)
_PRIMITIVES: dict[str, WitType] = {
    kind: Primitive(kind)
    for kind in ("BOOL", "S8", "U8", "S16", "U16", "S32", "U32", "S64", "U64", "F32", "F64", "CHAR", "STRING")
}


class Types:
    """Makes types of definitions.

    Args:
        take: counts the parts of what is made: a definition is followed as often as what it stands in.

    Attributes:
        layouts: of all of them.
    """

    def __init__(self, take: Callable[[int], None]) -> None:
        self.layouts = Layouts()
        self._take = take
        self._uses_left = COMPONENT_TYPE_USE_COUNT_MAX

    def define(self, scope: Scope, definition: Any) -> TypeItem:
        """What a type definition other than a resource's stands for.

        Raises:
            ComponentInvalid: it refers to what is not there, or is no type of values.
            ComponentUnsupported: there are no such values.
            ComponentTooLarge: written out, it is larger or deeper than a type may be.
        """
        if isinstance(definition[0], tuple):
            self._take(len(definition[0]))
        made = _MAKERS[type(definition)](self, scope, definition)
        if isinstance(made, _VALUES):
            self._check(made)
        return made

    def value(self, scope: Scope, ty: ValueType) -> WitType:
        """The type of a value."""
        if isinstance(ty, str):
            if ty == ERROR_CONTEXT:
                raise ComponentUnsupported("the component uses error-context, which edged does not have")
            return _PRIMITIVES[ty]
        found = scope.type(ty)
        if isinstance(found, Function | Resource | OpenType):
            raise ComponentInvalid(f"type {ty} is used as the type of a value, which it is not")
        return found

    def maybe(self, scope: Scope, ty: ValueType | None) -> WitType | None:
        return None if ty is None else self.value(scope, ty)

    def function(self, scope: Scope, index: int) -> Function:
        found = scope.type(index)
        if not isinstance(found, Function):
            raise ComponentInvalid(f"type {index} is used as the type of a function, which it is not")
        return found

    def resource(self, scope: Scope, index: int) -> Resource:
        found = scope.type(index)
        if not isinstance(found, Resource):
            raise ComponentInvalid(f"type {index} is used as a resource, which it is not")
        return found

    def use(self, ty: Function | WitType | None) -> None:
        """Count a type that a codec is going to be found for: that takes time by its size, written out.

        Raises:
            ComponentTooLarge
        """
        for part in (*ty.params, ty.result) if isinstance(ty, Function) else (ty,):
            self._uses_left -= self.layouts.of(part).nodes
        if self._uses_left < 0:
            raise ComponentTooLarge(
                f"the types of the component's functions, written out, have more than {COMPONENT_TYPE_USE_COUNT_MAX} "
                "parts",
                remedy="Import and export only what the component uses.",
            )

    def _check(self, ty: WitType) -> None:
        layout = self.layouts.of(ty)
        if (
            layout.nodes > COMPONENT_TYPE_NODE_COUNT_MAX
            or layout.depth > COMPONENT_TYPE_DEPTH_MAX
            or layout.size > COMPONENT_TYPE_BYTES_MAX
        ):
            raise ComponentTooLarge(
                f"the component has a type of {layout.nodes} parts, {layout.depth} deep, of {layout.size} bytes: "
                f"{COMPONENT_TYPE_NODE_COUNT_MAX}, {COMPONENT_TYPE_DEPTH_MAX} and {COMPONENT_TYPE_BYTES_MAX} "
                "are the most that may be",
                remedy="Pass large values as lists or streams of small ones.",
            )

    # --- one of each kind ---

    def _primitive(self, scope: Scope, definition: PrimitiveType) -> WitType:
        return self.value(scope, definition.kind)

    def _list(self, scope: Scope, definition: ListType) -> WitType:
        element = self.value(scope, definition.element)
        return List(element) if definition.length is None else FixedList(element, definition.length)

    def _map(self, scope: Scope, definition: MapType) -> WitType:
        # A map is a list of pairs to the canonical ABI.
        return List(Tuple((self.value(scope, definition.key), self.value(scope, definition.value))))

    def _tuple(self, scope: Scope, definition: TupleType) -> WitType:
        return Tuple(tuple([self.value(scope, element) for element in definition.elements]))

    def _record(self, scope: Scope, definition: RecordType) -> WitType:
        return Record(tuple([(name, self.value(scope, ty)) for name, ty in definition.fields]))

    def _variant(self, scope: Scope, definition: VariantType) -> WitType:
        return Variant(tuple([(name, self.maybe(scope, ty)) for name, ty in definition.cases]))

    def _enum(self, _scope: Scope, definition: EnumType) -> WitType:
        return Enum(definition.names)

    def _flags(self, _scope: Scope, definition: FlagsType) -> WitType:
        return Flags(definition.names)

    def _option(self, scope: Scope, definition: OptionType) -> WitType:
        return Option(self.value(scope, definition.payload))

    def _result(self, scope: Scope, definition: ResultType) -> WitType:
        return Result(self.maybe(scope, definition.ok), self.maybe(scope, definition.err))

    def _handle(self, scope: Scope, definition: HandleType) -> WitType:
        return Handle(self.resource(scope, definition.resource).number, definition.owned)

    def _stream(self, scope: Scope, definition: StreamType) -> WitType:
        return Stream(self._unborrowed(self.maybe(scope, definition.element)))

    def _future(self, scope: Scope, definition: FutureType) -> WitType:
        return Future(self._unborrowed(self.maybe(scope, definition.payload)))

    def _function(self, scope: Scope, definition: FunctionType) -> Function:
        params = tuple([self.value(scope, ty) for _, ty in definition.params])
        result = self._unborrowed(self.maybe(scope, definition.result))
        return Function(params, result, definition.is_async)

    def _open(self, scope: Scope, definition: InstanceTypeDefinition | ComponentTypeDefinition) -> OpenType:
        return OpenType(definition.declarations, scope)

    def _unborrowed(self, ty: WitType | None) -> WitType | None:
        """A borrowed handle ends with the call that it was given to."""
        if ty is not None and self.layouts.of(ty).borrows:
            raise ComponentInvalid("the component hands out a borrowed handle, in a result, stream or future")
        return ty


_MAKERS: dict[type, Callable[[Types, Scope, Any], TypeItem]] = {
    PrimitiveType: Types._primitive,
    ListType: Types._list,
    MapType: Types._map,
    TupleType: Types._tuple,
    RecordType: Types._record,
    VariantType: Types._variant,
    EnumType: Types._enum,
    FlagsType: Types._flags,
    OptionType: Types._option,
    ResultType: Types._result,
    HandleType: Types._handle,
    StreamType: Types._stream,
    FutureType: Types._future,
    FunctionType: Types._function,
    InstanceTypeDefinition: Types._open,
    ComponentTypeDefinition: Types._open,
}
