"""A component's definitions as its bytes have them: in order, and by index, before anything is followed.

Every index counts in the index space of its sort, in the component or type that the definition stands in; spaces grow
with each definition. What an index means is `elaborate.py`'s to find out.

Source: component model, `design/mvp/Binary.md`; names are those of `Explainer.md`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from edged.wasm.canonical_abi import Encoding

Sort = Literal[
    "func",
    "value",
    "type",
    "component",
    "instance",
    "core func",
    "core table",
    "core memory",
    "core global",
    "core tag",
    "core type",
    "core module",
    "core instance",
]

ValueType = str | int
"""Kind of a primitive, as `edged.wasm.types.Primitive` has it, or the index of a type."""

ERROR_CONTEXT = "ERROR-CONTEXT"
"""A primitive that can be read, and that edged has no values for."""


SortIndex = tuple[Sort, int]


# --- types ---


class PrimitiveType(NamedTuple):
    kind: str


class ListType(NamedTuple):
    """`length` is that of a list of fixed length, or None."""

    element: ValueType
    length: int | None


class MapType(NamedTuple):
    key: ValueType
    value: ValueType


class TupleType(NamedTuple):
    elements: tuple[ValueType, ...]


class RecordType(NamedTuple):
    fields: tuple[tuple[str, ValueType], ...]


class VariantType(NamedTuple):
    cases: tuple[tuple[str, ValueType | None], ...]


class EnumType(NamedTuple):
    names: tuple[str, ...]


class FlagsType(NamedTuple):
    names: tuple[str, ...]


class OptionType(NamedTuple):
    payload: ValueType


class ResultType(NamedTuple):
    ok: ValueType | None
    err: ValueType | None


class HandleType(NamedTuple):
    """`own` and `borrow`; `resource` is the index of a type."""

    resource: int
    owned: bool


class StreamType(NamedTuple):
    element: ValueType | None


class FutureType(NamedTuple):
    payload: ValueType | None


DefinedType = (
    PrimitiveType
    | ListType
    | MapType
    | TupleType
    | RecordType
    | VariantType
    | EnumType
    | FlagsType
    | OptionType
    | ResultType
    | HandleType
    | StreamType
    | FutureType
)


class FunctionType(NamedTuple):
    params: tuple[tuple[str, ValueType], ...]
    result: ValueType | None
    is_async: bool


class ResourceDefinition(NamedTuple):
    """A resource type of the component's own, represented by an i32. `destructor` is the index of a core function."""

    destructor: int | None


class CoreType(NamedTuple):
    """A core function or module type. It is read over: nothing that edged runs refers to what it says."""

    sort: Literal["func", "module"]


class InstanceTypeDefinition(NamedTuple):
    declarations: tuple[Declaration, ...]


class ComponentTypeDefinition(NamedTuple):
    declarations: tuple[Declaration, ...]


TypeDefinition = (
    DefinedType | FunctionType | ResourceDefinition | InstanceTypeDefinition | ComponentTypeDefinition | CoreType
)

_Described = Literal["func", "type", "instance", "component", "core module", "value"]


class ExternType(NamedTuple):
    """What is imported or exported.

    Attributes:
        type: index of what describes it; None for a fresh resource type, `(sub resource)`, and for a value.
    """

    sort: _Described
    type: int | None


# --- definitions ---


class CoreModule(NamedTuple):
    """`number` counts all modules of the file, in the order of their bytes; they are `data[start:end]`."""

    number: int
    start: int
    end: int


class CoreInstantiate(NamedTuple):
    """Arguments are names and core instances."""

    module: int
    arguments: tuple[tuple[str, int], ...]


class CoreInline(NamedTuple):
    """A core instance made of what there is."""

    exports: tuple[tuple[str, SortIndex], ...]


class NestedComponent(NamedTuple):
    component: Component


class Instantiate(NamedTuple):
    component: int
    arguments: tuple[tuple[str, SortIndex], ...]


class Inline(NamedTuple):
    """An instance made of what there is."""

    exports: tuple[tuple[str, SortIndex], ...]


class AliasExport(NamedTuple):
    sort: Sort
    instance: int
    name: str


class AliasCoreExport(NamedTuple):
    sort: Sort
    instance: int
    name: str


class AliasOuter(NamedTuple):
    """The item with the index `item`, `outwards` components or types further out; 0 is where the alias stands."""

    sort: Sort
    outwards: int
    item: int


class Import(NamedTuple):
    name: str
    extern: ExternType


class Export(NamedTuple):
    """`ascribed` is the type that it has for others, where that is written."""

    name: str
    item: SortIndex
    ascribed: ExternType | None


class ExportDeclaration(NamedTuple):
    """What an instance of a type exports."""

    name: str
    extern: ExternType


# --- canonical definitions ---


class Options(NamedTuple):
    """The `canonopt`s; numbers are indexes of a core memory and of core functions."""

    encoding: Encoding = "utf8"
    memory: int | None = None
    realloc: int | None = None
    post_return: int | None = None
    is_async: bool = False
    callback: int | None = None


class CanonLift(NamedTuple):
    core: int
    options: Options
    type: int


class CanonLower(NamedTuple):
    function: int
    options: Options


class CanonBuiltIn(NamedTuple):
    """Any other, by its name.

    Attributes:
        type: index of a resource, stream or future type.
        result: of `task.return`.
        flag: `async` of those that cancel, `cancellable` of those that wait.
        memory: of `waitable-set.wait` and `waitable-set.poll`.
        slot, slot_kind: of `context.get` and `context.set`; the kind is a letter, as in `plan.py`.
    """

    name: str
    type: int | None = None
    result: ValueType | None = None
    options: Options | None = None
    flag: bool = False
    memory: int | None = None
    slot: int = 0
    slot_kind: str = "i"


Declaration = TypeDefinition | AliasExport | AliasOuter | Import | ExportDeclaration
Definition = (
    TypeDefinition
    | CoreModule
    | CoreInstantiate
    | CoreInline
    | NestedComponent
    | Instantiate
    | Inline
    | AliasExport
    | AliasCoreExport
    | AliasOuter
    | Import
    | Export
    | CanonLift
    | CanonLower
    | CanonBuiltIn
)


class Component(NamedTuple):
    """Definitions of all sections, in order."""

    definitions: tuple[Definition, ...]
