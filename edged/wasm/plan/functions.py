"""Canonical definitions with their references followed: lifted functions, and trampolines for everything else."""

from __future__ import annotations

from collections.abc import Sequence

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import COMPONENT_TRAMPOLINE_COUNT_MAX, COMPONENT_TRAMPOLINE_DEPTH_MAX
from edged.wasm.plan.definitions import CanonBuiltIn, CanonLift, CanonLower, Options
from edged.wasm.plan.plan import (
    BuiltIn,
    CanonOptions,
    CoreExport,
    CoreSignature,
    Lifted,
    Lower,
    ResourceType,
    Trampoline,
)
from edged.wasm.plan.resolve import Types
from edged.wasm.plan.scope import Scope
from edged.wasm.types import Future, Stream, WitType

_SIGNATURES = {
    "resource.new": CoreSignature("i", "i"),
    "resource.drop": CoreSignature("i", ""),
    "resource.rep": CoreSignature("i", "i"),
    "task.cancel": CoreSignature("", ""),
    "subtask.cancel": CoreSignature("i", "i"),
    "subtask.drop": CoreSignature("i", ""),
    "thread.yield": CoreSignature("", "i"),
    "stream.new": CoreSignature("", "I"),
    "stream.read": CoreSignature("iii", "i"),
    "stream.write": CoreSignature("iii", "i"),
    "stream.cancel-read": CoreSignature("i", "i"),
    "stream.cancel-write": CoreSignature("i", "i"),
    "stream.drop-readable": CoreSignature("i", ""),
    "stream.drop-writable": CoreSignature("i", ""),
    "future.new": CoreSignature("", "I"),
    "future.read": CoreSignature("ii", "i"),
    "future.write": CoreSignature("ii", "i"),
    "future.cancel-read": CoreSignature("i", "i"),
    "future.cancel-write": CoreSignature("i", "i"),
    "future.drop-readable": CoreSignature("i", ""),
    "future.drop-writable": CoreSignature("i", ""),
    "waitable-set.new": CoreSignature("", "i"),
    "waitable-set.wait": CoreSignature("ii", "i"),
    "waitable-set.poll": CoreSignature("ii", "i"),
    "waitable-set.drop": CoreSignature("i", ""),
    "waitable.join": CoreSignature("ii", ""),
    "backpressure.inc": CoreSignature("", ""),
    "backpressure.dec": CoreSignature("", ""),
}
"""Of built-ins whose signature is the same for all types; the rest are `context.*` and `task.return`."""

_BLOCKING = ("waitable-set.wait", "thread.yield")
_BLOCKING_UNLESS_ASYNC = ("read", "write", "cancel-read", "cancel-write", "cancel")
_SLOT_COUNT = 2  # of `context.get` and `context.set`


class Functions:
    """Follows canonical definitions.

    Attributes:
        trampolines: all that were made, in order.
    """

    def __init__(self, types: Types, resources: Sequence[ResourceType]) -> None:
        self.trampolines: list[Trampoline] = []
        self._types = types
        self._resources = resources
        self._options: dict[tuple[int, Options], CanonOptions] = {}
        self._depths: list[int] = []

    def core_export(self, scope: Scope, index: int, what: str) -> CoreExport:
        """A function that core code exports."""
        found = scope.core_function(index)
        if not isinstance(found, CoreExport):
            raise ComponentUnsupported(
                f"the component has {what} that no core module exports", remedy="Export it from a core module."
            )
        return found

    def lift(self, scope: Scope, definition: CanonLift) -> Lifted:
        function = self._types.function(scope, definition.type)
        self._types.use(function)
        options = self._canon_options(scope, definition.options)
        return Lifted(scope.core_function(definition.core), function, options, scope.instance)

    def lower(self, scope: Scope, definition: CanonLower) -> Trampoline:
        function = scope.function(definition.function)
        self._types.use(function.type)
        options = self._canon_options(scope, definition.options)
        depth = 1
        if isinstance(function, Lifted) and isinstance(function.core, Trampoline):
            depth += self._depths[function.core.index]
        if depth > COMPONENT_TRAMPOLINE_DEPTH_MAX:
            raise ComponentTooLarge(
                f"the component lifts and lowers a function more than {COMPONENT_TRAMPOLINE_DEPTH_MAX} times over",
                remedy="Pass the function itself.",
            )
        signature = self._types.layouts.lower_signature(function.type, options)
        blocking = function.type.is_async and not options.is_async
        return self._add(scope, Lower(function, options), signature, blocking, depth)

    def built_in(self, scope: Scope, definition: CanonBuiltIn) -> Trampoline:
        name = definition.name
        family, _, verb = name.partition(".")
        options = None if definition.options is None else self._canon_options(scope, definition.options)
        ty = self._carried(scope, definition)
        self._types.use(ty)
        is_cancel = "cancel" in verb
        is_async = (options is not None and options.is_async) or (is_cancel and definition.flag)
        operation = BuiltIn(
            name,
            resource=self._resource(scope, definition),
            type=ty,
            options=options,
            is_async=is_async,
            cancellable=definition.flag and not is_cancel,
            memory=None if definition.memory is None else self._memory(scope, definition.memory),
            slot=definition.slot,
            slot_kind=definition.slot_kind,
        )
        may_block = family in ("stream", "future", "subtask") and verb in _BLOCKING_UNLESS_ASYNC and not is_async
        signature = self._signature(definition, ty)
        return self._add(scope, operation, signature, may_block or name in _BLOCKING, 1)

    def _add(
        self, scope: Scope, operation: Lower | BuiltIn, signature: CoreSignature, blocking: bool, depth: int
    ) -> Trampoline:
        if len(self.trampolines) == COMPONENT_TRAMPOLINE_COUNT_MAX:
            raise ComponentTooLarge(
                f"the component lowers functions and names built-ins more than {COMPONENT_TRAMPOLINE_COUNT_MAX} times",
                remedy="Import only what the component uses.",
            )
        made = Trampoline(len(self.trampolines), scope.instance, operation, signature, blocking)
        self.trampolines.append(made)
        self._depths.append(depth)
        return made

    def _signature(self, definition: CanonBuiltIn, ty: WitType | None) -> CoreSignature:
        name, kind = definition.name, definition.slot_kind
        if name == "task.return":
            params = self._types.layouts.flat(() if ty is None else (ty,))
            return CoreSignature("i" if params is None else params, "")
        if name in ("context.get", "context.set"):
            if definition.slot >= _SLOT_COUNT:
                raise ComponentInvalid(f"the component uses {name} {definition.slot}, and there are {_SLOT_COUNT}")
            return CoreSignature("", kind) if name == "context.get" else CoreSignature(kind, "")
        return _SIGNATURES[name]

    def _resource(self, scope: Scope, definition: CanonBuiltIn) -> int | None:
        """The resource type that `resource.*` is about; only who defines it may make one, or look into it."""
        if definition.type is None or not definition.name.startswith("resource."):
            return None
        number = self._types.resource(scope, definition.type).number
        if definition.name != "resource.drop" and self._resources[number - 1].instance != scope.instance:
            raise ComponentInvalid(f"the component uses {definition.name} on a resource that it does not define")
        return number

    def _carried(self, scope: Scope, definition: CanonBuiltIn) -> WitType | None:
        """What `task.return`, `stream.*` and `future.*` pass on."""
        if definition.name == "task.return":
            return self._types.maybe(scope, definition.result)
        if definition.type is None or definition.name.startswith("resource."):
            return None
        found = scope.type(definition.type)
        if definition.name.startswith("stream.") and isinstance(found, Stream):
            return found.element
        if definition.name.startswith("future.") and isinstance(found, Future):
            return found.payload
        raise ComponentInvalid(f"the component uses {definition.name} on type {definition.type}, which is none")

    def _memory(self, scope: Scope, index: int) -> CoreExport:
        found: CoreExport = scope.get("core memory", index)
        return found

    def _canon_options(self, scope: Scope, options: Options) -> CanonOptions:
        """The same object for the same options: there is one context for each."""
        key = scope.instance, options
        known = self._options.get(key)
        if known is None:

            def function(index: int | None, what: str) -> CoreExport | None:
                return None if index is None else self.core_export(scope, index, what)

            known = self._options[key] = CanonOptions(
                scope.instance,
                options.encoding,
                None if options.memory is None else self._memory(scope, options.memory),
                function(options.realloc, "a realloc function"),
                function(options.post_return, "a post-return function"),
                options.is_async,
                function(options.callback, "a callback"),
            )
        return known
