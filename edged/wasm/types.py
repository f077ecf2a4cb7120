"""WIT types as plain values, and how they are read off a compiled component.

Codecs are compiled from these, never from wasmtime's own type objects, so that a second codec (on linear memory) can
be compiled from the same. All are frozen and hashable: one codec per distinct type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from wasmtime import Engine, _ffi, component

from edged.errors import ComponentTooLarge, ComponentUnsupported
from edged.limits import INTERFACE_ITEM_COUNT_MAX, INTERFACE_TYPE_COUNT_MAX


@dataclass(frozen=True, slots=True)
class Primitive:
    """`bool`, integers, floats, `char`, `string`; the name is the C API's kind (`U32`)."""

    kind: str


NUMBER_FORMATS = {
    "BOOL": "?",
    "S8": "b",
    "U8": "B",
    "S16": "h",
    "U16": "H",
    "S32": "i",
    "U32": "I",
    "S64": "q",
    "U64": "Q",
    "F32": "f",
    "F64": "d",
}
"""How `struct` has a `bool` and each number, by kind."""


@dataclass(frozen=True, slots=True)
class List:
    element: WitType


@dataclass(frozen=True, slots=True)
class FixedList:
    """A list whose length is part of its type."""

    element: WitType
    length: int


@dataclass(frozen=True, slots=True)
class Tuple:
    elements: tuple[WitType, ...]


@dataclass(frozen=True, slots=True)
class Record:
    fields: tuple[tuple[str, WitType], ...]


@dataclass(frozen=True, slots=True)
class Variant:
    cases: tuple[tuple[str, WitType | None], ...]


@dataclass(frozen=True, slots=True)
class Enum:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flags:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    payload: WitType


@dataclass(frozen=True, slots=True)
class Result:
    ok: WitType | None
    err: WitType | None


@dataclass(frozen=True, slots=True)
class Handle:
    """`own<r>` or `borrow<r>`; `resource` numbers the component's distinct resource types from 1: those it imports, and
    on the core API (`edged.wasm.component`) those it defines."""

    resource: int
    owned: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """`stream<T>`, or a stream of nothing. The C API has no such values."""

    element: WitType | None


@dataclass(frozen=True, slots=True)
class Future:
    """`future<T>`, or a future of nothing. The C API has no such values."""

    payload: WitType | None


WitType = (
    Primitive | List | FixedList | Tuple | Record | Variant | Enum | Flags | Option | Result | Handle | Stream | Future
)


@dataclass(frozen=True, slots=True)
class Function:
    params: tuple[WitType, ...]
    result: WitType | None
    is_async: bool = False


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An imported or exported interface: its functions, and its resources by their number."""

    functions: Mapping[str, Function] = field(default_factory=dict)
    resources: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ComponentType:
    """What a component imports and exports. Keys are full names: `wasi:io/streams@0.2.0`.

    Attributes:
        resource_names: number - 1 -> the first import that has this resource: `("wasi:io/poll@0.2.0", "pollable")`.
        functions: exports that are in no interface, as far as their types are known.
    """

    imports: Mapping[str, InstanceType]
    exports: Mapping[str, InstanceType]
    resource_names: tuple[tuple[str, str], ...]
    functions: Mapping[str, Function] = field(default_factory=dict)


def signature(function: Function, resource_names: Sequence[tuple[str, str]]) -> str:
    """A function's type as WIT writes it, without the names of its parameters.

    Args:
        resource_names: of the component.
    """

    def text(ty: WitType | None) -> str:
        match ty:
            case None:
                return "_"
            case Primitive(kind):
                return kind.lower()
            case List(element):
                return f"list<{text(element)}>"
            case FixedList(element, length):
                return f"list<{text(element)}, {length}>"
            case Tuple(elements):
                return f"tuple<{', '.join(map(text, elements))}>"
            case Record(fields):
                return f"record{{{', '.join(f'{name}: {text(field)}' for name, field in fields)}}}"
            case Variant(cases):
                shown = (name if payload is None else f"{name}({text(payload)})" for name, payload in cases)
                return f"variant{{{', '.join(shown)}}}"
            case Enum(names):
                return f"enum{{{', '.join(names)}}}"
            case Flags(names):
                return f"flags{{{', '.join(names)}}}"
            case Option(payload):
                return f"option<{text(payload)}>"
            case Result(ok, err):
                return "result" if ok is err is None else f"result<{text(ok)}, {text(err)}>"
            case Handle(resource, owned):
                return f"{'own' if owned else 'borrow'}<{resource_names[resource - 1][1]}>"
            case Stream(element):
                return "stream" if element is None else f"stream<{text(element)}>"
            case Future(payload):
                return "future" if payload is None else f"future<{text(payload)}>"

    result = "" if function.result is None else f" -> {text(function.result)}"
    return f"{'async ' if function.is_async else ''}func({', '.join(map(text, function.params))}){result}"


class _Resources:
    """Numbers resource types. Interfaces `use` each other's: the same type under another name is equal.

    It also counts all that is read of a component: a small file can name a type that is written out a million times.
    """

    def __init__(self) -> None:
        self._types: list[component.ResourceType] = []
        self._read = 0
        self.names: list[tuple[str, str]] = []

    def count(self, items: int) -> None:
        """Take note of what is read.

        Raises:
            ComponentTooLarge: of that there is more than may be.
        """
        self._read += items
        if self._read > INTERFACE_TYPE_COUNT_MAX:
            raise _too_large(f"more than {INTERFACE_TYPE_COUNT_MAX} functions, parameters and types")

    def find(self, resource: component.ResourceType) -> int | None:
        for index, known in enumerate(self._types):
            if known == resource:
                return index + 1
        return None

    def add(self, resource: component.ResourceType, interface: str, name: str) -> int:
        found = self.find(resource)
        if found is not None:
            return found
        self._types.append(resource)
        self.names.append((interface, name))
        return len(self._types)


def describe(compiled: component.Component, engine: Engine) -> ComponentType:
    """Read a component's imports and exports.

    Raises:
        ComponentUnsupported: an import that is not an interface (a bare function, a core module), or a type that
            the C API has no values for.
        ComponentTooLarge: reading them would take too long.
    """
    resources = _Resources()
    ty = compiled.type
    _check_length("imports", _ffi.wasmtime_component_type_import_count(ty.ptr(), engine.ptr()))
    _check_length("exports", _ffi.wasmtime_component_type_export_count(ty.ptr(), engine.ptr()))
    items = {name: _item(extern) for name, extern in ty.exports(engine).items()}
    exported = {name: item for name, item in items.items() if isinstance(item, component.ComponentInstanceType)}
    imported = {name: _item(extern) for name, extern in ty.imports(engine).items()}
    try:
        imports = {name: _instance(name, item, engine, resources) for name, item in imported.items()}
        exports = {name: _instance(name, item, engine, resources) for name, item in exported.items()}
    except ComponentUnsupported as error:
        message = f"the component exports {', '.join(exported) or 'nothing'}; {error.message}"
        raise ComponentUnsupported(message, remedy=error.remedy) from None
    functions = {}
    for name, item in items.items():
        if isinstance(item, component.FuncType):
            # SDKs export functions of their own (`init`), which nobody is going to call.
            with suppress(ComponentUnsupported):
                functions[name] = _function(name, item, resources)
    return ComponentType(imports, exports, tuple(resources.names), functions)


def _too_large(what: str) -> ComponentTooLarge:
    return ComponentTooLarge(
        f"the component's interfaces have {what}", remedy="Import and export only what the component uses."
    )


def _check_length(what: str, count: int) -> None:
    """wasmtime takes quadratic time to list them."""
    if count > INTERFACE_ITEM_COUNT_MAX:
        raise _too_large(f"more than {INTERFACE_ITEM_COUNT_MAX} {what} in one place")


def _item(extern: Any) -> Any:
    """The type inside an extern; wasmtime-py has it as a method on some classes and a property on others."""
    inner = extern.ty
    return inner() if callable(inner) else inner


def _instance(name: str, item: Any, engine: Engine, resources: _Resources) -> InstanceType:
    if not isinstance(item, component.ComponentInstanceType):
        raise ComponentUnsupported(
            f"the component imports {name!r}, which is not an interface",
            remedy="Build the component for a world that imports interfaces only (wasi:http/proxy).",
        )
    count = _ffi.wasmtime_component_instance_type_export_count(item.ptr(), engine.ptr())
    _check_length("functions and types", count)
    resources.count(count)
    items = [(inner, _item(extern)) for inner, extern in item.exports(engine).items()]
    numbers = {inner: resources.add(ty, name, inner) for inner, ty in items if isinstance(ty, component.ResourceType)}
    functions = {
        inner: _function(f"{name}#{inner}", ty, resources) for inner, ty in items if isinstance(ty, component.FuncType)
    }
    return InstanceType(functions, numbers)


def _function(name: str, ty: component.FuncType, resources: _Resources) -> Function:
    result = ty.result
    return Function(
        tuple(_convert(name, inner, resources) for _, inner in ty.params),
        None if result is None else _convert(name, result, resources),
    )


_PRIMITIVES = {
    component.Bool: "BOOL",
    component.S8: "S8",
    component.U8: "U8",
    component.S16: "S16",
    component.U16: "U16",
    component.S32: "S32",
    component.U32: "U32",
    component.S64: "S64",
    component.U64: "U64",
    component.F32: "F32",
    component.F64: "F64",
    component.Char: "CHAR",
    component.String: "STRING",
}


def _convert(name: str, ty: Any, resources: _Resources) -> WitType:
    resources.count(1)

    def inner(other: Any) -> WitType:
        return _convert(name, other, resources)

    def maybe(other: Any) -> WitType | None:
        return None if other is None else inner(other)

    def counted(names: Iterable[Any]) -> tuple[Any, ...]:
        found = tuple(names)
        resources.count(len(found))
        return found

    match ty:
        case component.ListType():
            return List(inner(ty.element))
        case component.TupleType():
            return Tuple(tuple(inner(element) for element in ty.elements))
        case component.RecordType():
            return Record(tuple((key, inner(value)) for key, value in ty.fields))
        case component.VariantType():
            return Variant(counted((key, maybe(value)) for key, value in ty.cases))
        case component.EnumType():
            return Enum(counted(ty.names))
        case component.FlagsType():
            return Flags(counted(ty.names))
        case component.OptionType():
            return Option(inner(ty.payload))
        case component.ResultType():
            return Result(maybe(ty.ok), maybe(ty.err))
        case component.OwnType() | component.BorrowType():
            number = resources.find(ty.ty)
            if number is None:
                raise ComponentUnsupported(f"{name} uses a resource that no interface defines")
            return Handle(number, isinstance(ty, component.OwnType))
    kind = _PRIMITIVES.get(type(ty))
    if kind is None:
        raise ComponentUnsupported(
            f"{name} uses a type that edged has no values for: {type(ty).__name__}",
            remedy="Build the component for a WASI 0.2 world.",
        )
    return Primitive(kind)
