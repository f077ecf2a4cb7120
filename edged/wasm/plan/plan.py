"""What a component comes to once it is elaborated: core modules to instantiate in order, and what joins them.

Nested components, aliases, type imports and inline instances are gone: each has been followed to what it stands for.
What is left is flat, and the same for every instance of the component:

    modules ── steps ── core instances ── exports of theirs ── lifted functions ── what the component exports
                 └ imports: exports of earlier steps, or trampolines ── lowered functions, built-ins ── host

Core values are letters: `i` i32, `I` i64, `f` f32, `F` f64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edged.wasm.canonical_abi import Encoding
from edged.wasm.types import ComponentType, Function, WitType

CoreKind = Literal["func", "table", "memory", "global", "tag"]


@dataclass(frozen=True, slots=True)
class CoreExport:
    """What a core instance exports.

    Attributes:
        step: index of the step that makes the instance.
    """

    step: int
    name: str
    kind: CoreKind


@dataclass(frozen=True, slots=True)
class CoreSignature:
    """Of a core function; one letter for each value."""

    params: str
    results: str


@dataclass(frozen=True, slots=True)
class CanonOptions:
    """The `canonopt`s of one lift, lowering or built-in.

    Attributes:
        instance: the component instance whose memory and handles it is about.
        callback: of a lift with `async`; None lifts "stackful".
    """

    instance: int
    encoding: Encoding = "utf8"
    memory: CoreExport | None = None
    realloc: CoreExport | None = None
    post_return: CoreExport | None = None
    is_async: bool = False
    callback: CoreExport | None = None


@dataclass(frozen=True, slots=True)
class Lifted:
    """`canon lift`: a core function as a function of the component model.

    Attributes:
        core: verified to have the signature that `type` and `options` ask for.
        instance: the component instance that it belongs to.
    """

    core: CoreExport | Trampoline
    type: Function
    options: CanonOptions
    instance: int


@dataclass(frozen=True, slots=True)
class HostImport:
    """A function that the component imports from its host.

    Attributes:
        interface: full name, as `wasi:http/types@0.3.0`.
        name: as in WIT, `[method]request.get-headers` for one.
    """

    interface: str
    name: str
    type: Function


@dataclass(frozen=True, slots=True)
class Lower:
    """`canon lower`."""

    function: Lifted | HostImport
    options: CanonOptions


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Any other `canon` definition, by the name that the specification gives to it: `stream.read`.

    Attributes:
        resource: number of the resource type, of `resource.*`.
        type: of `task.return` its result, of `stream.*` and `future.*` the element or payload.
        options: where it has some.
        is_async: of those that say whether they may block: `stream.cancel-read async`, `subtask.cancel async`.
        cancellable: of `waitable-set.wait`, `waitable-set.poll` and `thread.yield`.
        memory: of `waitable-set.wait` and `waitable-set.poll`.
        slot: of `context.get` and `context.set`.
        slot_kind: of the same: letter of the value.
    """

    name: str
    resource: int | None = None
    type: WitType | None = None
    options: CanonOptions | None = None
    is_async: bool = False
    cancellable: bool = False
    memory: CoreExport | None = None
    slot: int = 0
    slot_kind: str = "i"


@dataclass(frozen=True, slots=True)
class Trampoline:
    """A core function that edged provides.

    Attributes:
        index: in `Plan.trampolines`.
        instance: the component instance that it belongs to.
        blocking: it may have to suspend whoever calls it, by what it is: a lowering without `async` of a function that
            may wait, `waitable-set.wait`, a synchronous `stream.read`. Host functions that suspend are the linker's to
            find out.
    """

    index: int
    instance: int
    operation: Lower | BuiltIn
    signature: CoreSignature
    blocking: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One core instantiation.

    Attributes:
        module: index in `Plan.modules`.
        instance: the component instance that it belongs to.
        imports: what each import of the module is given, in the module's own order.
    """

    module: int
    instance: int
    imports: tuple[CoreExport | Trampoline, ...]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One resource type of the component: distinct, whatever names it has.

    Attributes:
        interface, name: where it is imported from; empty for one that the component defines.
        instance: the component instance that defines it, or None for the host's.
        destructor: of one that the component defines.
    """

    interface: str = ""
    name: str = ""
    instance: int | None = None
    destructor: CoreExport | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A component, elaborated.

    Attributes:
        module_count: core modules that the component contains, in the order of its bytes, nested components included.
        instance_count: component instances, the outermost one included.
        instance_parents: of each, the index of the instance that instantiated it, or None.
        resources: number - 1 -> resource type; `edged.wasm.types.Handle` names the number.
        exports: interface -> function -> what is behind it.
        functions: exports that are in no interface.
        type: the same as its world: for checks and messages.
    """

    module_count: int
    steps: tuple[Step, ...]
    trampolines: tuple[Trampoline, ...]
    instance_count: int
    instance_parents: tuple[int | None, ...]
    resources: tuple[ResourceType, ...]
    exports: Mapping[str, Mapping[str, Lifted]]
    functions: Mapping[str, Lifted]
    type: ComponentType = field(default_factory=lambda: ComponentType({}, {}, ()))
