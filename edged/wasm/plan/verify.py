"""The second fence: every core function that is called or given without a check has the signature it is called with.

wasmtime validates the component that a plan is made of. But calls of exports through the C API check nothing, and a
wrong signature or a missing item there is a crash of the process and not an error. So all of it is checked once more,
on the plan itself, before anything is instantiated.

Source: component model, `design/mvp/CanonicalABI.md`, "canon lift", "canon lower" and the built-ins.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import GuestLimits
from edged.wasm.canonical_abi import ASYNC_PARAMS_FLAT_MAX, PARAMS_FLAT_MAX, RESULTS_FLAT_MAX
from edged.wasm.plan.layout import Layouts
from edged.wasm.plan.module import CoreMemory, CoreType, ModuleTypes
from edged.wasm.plan.plan import (
    BuiltIn,
    CanonOptions,
    CoreExport,
    CoreKind,
    CoreSignature,
    Lifted,
    Lower,
    Plan,
    Trampoline,
)
from edged.wasm.plan.scope import shown

REALLOC = CoreSignature("iiii", "i")
CALLBACK = CoreSignature("iii", "i")
DESTRUCTOR = CoreSignature("i", "")
_LETTERS_SHOWN = 32


def verify(plan: Plan, modules: Sequence[ModuleTypes], limits: GuestLimits | None = None) -> None:
    """Check all that a plan has core code called with, or gives to it.

    Args:
        modules: types of the plan's core modules, by number.
        limits: if given, what the app may have of core instances, memories and tables.

    Raises:
        ComponentInvalid: a core item that is not there, or of another type than the canonical ABI asks for.
        ComponentUnsupported: a memory of 64 bits, or a shared one; a function lifted with `async` that is no core
            module's.
        ComponentTooLarge: more than `limits` allow.
    """
    check = _Check(plan, modules)
    for index in range(len(plan.steps)):
        check.step(index)
    for trampoline in plan.trampolines:
        check.trampoline(trampoline)
    for name, lifted in plan.functions.items():
        check.lifted(lifted, f"the export {shown(name)}")
    for interface, functions in plan.exports.items():
        for name, lifted in functions.items():
            check.lifted(lifted, f"the export {shown(name)} of {shown(interface)}")
    for resource in plan.resources:
        if resource.destructor is not None:
            check.function(resource.destructor, DESTRUCTOR, "a destructor")
    if limits is not None:
        _verify_counts(plan, modules, limits)


class _Check:
    def __init__(self, plan: Plan, modules: Sequence[ModuleTypes]) -> None:
        self.plan = plan
        self.modules = modules
        self.layouts = Layouts()
        self.options_known: set[int] = set()
        self.lifted_known: set[int] = set()

    # --- core items ---

    def find(self, export: CoreExport, kind: CoreKind, steps: int) -> CoreType | None:
        """The type of a core export, if one of the first `steps` core instances has it."""
        if 0 <= export.step < steps and export.kind == kind:
            module = self.modules[self.plan.steps[export.step].module]
            found = module.exports.get(export.name)
            if found is not None and found[0] == kind:
                return found[1]
        return None

    def type_of(self, export: CoreExport, kind: CoreKind, what: str) -> CoreType:
        """The type of a core export that has to be there."""
        found = self.find(export, kind, len(self.plan.steps))
        if found is None:
            raise ComponentInvalid(f"{what} is the {kind} {shown(export.name)} of a core instance that has none")
        return found

    def function(self, export: CoreExport, wanted: CoreSignature, what: str) -> None:
        _expect(self.type_of(export, "func", what), wanted, f"{what}, {shown(export.name)},")

    def memory(self, export: CoreExport, what: str) -> None:
        ty = self.type_of(export, "memory", what)
        if not isinstance(ty, CoreMemory) or ty.limits.is_64 or ty.limits.shared:
            raise ComponentUnsupported(
                f"{what}, {shown(export.name)}, has 64 bits or is shared",
                remedy="Build the component for 32-bit WebAssembly without threads.",
            )

    def step(self, index: int) -> None:
        """A core instantiation gets what is there by then, and functions of the types that it asks for."""
        step = self.plan.steps[index]
        wanted = self.modules[step.module].imports
        if len(wanted) != len(step.imports):
            raise ComponentInvalid(f"a core module has {len(wanted)} imports, and is given {len(step.imports)}")
        for ask, given in zip(wanted, step.imports, strict=True):
            found = given.signature if isinstance(given, Trampoline) else self.find(given, ask.kind, index)
            # Tables, memories and globals may be larger than asked for: that is wasmtime's to compare.
            if found is None or (ask.kind == "func" and found != ask.type):
                what = f"the import {shown(ask.name)} of {shown(ask.module)} by a core module"
                raise ComponentInvalid(f"{what} is of type {_shown(ask.type)}, and is given {_shown(found)}")

    # --- canonical definitions ---

    def options(self, options: CanonOptions, what: str, *, lifts: bool = False) -> None:
        """What all canonical definitions have in common."""
        if not lifts and (options.post_return is not None or options.callback is not None):
            raise ComponentInvalid(f"{what} has a post-return function or a callback, which only lifted functions have")
        if id(options) in self.options_known:
            return
        self.options_known.add(id(options))
        if options.realloc is not None and options.memory is None:
            raise ComponentInvalid(f"{what} has a realloc function, and names no memory")
        if options.memory is not None:
            self.memory(options.memory, "a memory of a canonical definition")
        if options.realloc is not None:
            self.function(options.realloc, REALLOC, "a realloc function")
        if options.callback is not None:
            self.function(options.callback, CALLBACK, "a callback")

    def needs(self, options: CanonOptions | None, what: str, *, memory: bool, realloc: bool = False) -> None:
        """A canonical definition has the memory, and the way to allocate in it, that its types need."""
        if (memory or realloc) and (options is None or options.memory is None):
            raise ComponentInvalid(f"{what} passes values in memory, and names no memory")
        if realloc and (options is None or options.realloc is None):
            raise ComponentInvalid(f"{what} allocates memory, and names no realloc function")

    def lifted(self, lifted: Lifted, what: str) -> None:
        """`canon lift`: core code is called, and its `post-return` and callback."""
        if id(lifted) in self.lifted_known:
            return
        self.lifted_known.add(id(lifted))
        options, function = lifted.options, lifted.type
        self.options(options, what, lifts=True)
        if options.is_async and not function.is_async:
            raise ComponentInvalid(f"{what} is lifted with async, and its type is not async")
        wanted = self.layouts.lift_signature(function, options)
        if isinstance(lifted.core, CoreExport):
            self.function(lifted.core, wanted, what)
        elif options.is_async:
            raise ComponentUnsupported(f"{what} is lifted with async, and is no core module's own function")
        else:
            _expect(lifted.core.signature, wanted, what)
        if options.post_return is not None:
            if options.is_async:
                raise ComponentInvalid(f"{what} is lifted with async, and has a post-return function")
            self.function(options.post_return, CoreSignature(wanted.results, ""), "a post-return function")
        if options.callback is not None and not options.is_async:
            raise ComponentInvalid(f"{what} has a callback, and is lifted without async")
        params = self.layouts.flat(function.params)
        self.needs(options, what, memory=False, realloc=params is None or self.layouts.points(function.params))
        # With async the result comes by `task.return`, as parameters do.
        result, count_max = self.layouts.of(function.result), PARAMS_FLAT_MAX if options.is_async else RESULTS_FLAT_MAX
        self.needs(options, what, memory=result.points or _spills(result.flat, count_max))

    def trampoline(self, trampoline: Trampoline) -> None:
        operation = trampoline.operation
        if isinstance(operation, Lower):
            self.lower(operation)
        else:
            self.built_in(operation)

    def lower(self, lower: Lower) -> None:
        """`canon lower`: parameters come out of the caller's memory, the result goes into it."""
        function, options = lower.function.type, lower.options
        what = "a lowered function"
        self.options(options, what)
        if options.is_async and not function.is_async:
            raise ComponentInvalid(f"{what} is lowered with async, and its type is not async")
        result = self.layouts.of(function.result)
        params = self.layouts.flat(function.params)
        if options.is_async:
            spills = _spills(params, ASYNC_PARAMS_FLAT_MAX) or function.result is not None
        else:
            spills = _spills(params, PARAMS_FLAT_MAX) or _spills(result.flat, RESULTS_FLAT_MAX)
        self.needs(
            options, what, memory=spills or self.layouts.points(function.params) or result.points, realloc=result.points
        )
        if isinstance(lower.function, Lifted):
            self.lifted(lower.function, "a lifted function")

    def built_in(self, built_in: BuiltIn) -> None:
        name, layout = built_in.name, self.layouts.of(built_in.type)
        if built_in.options is not None:
            self.options(built_in.options, name)
            if name == "task.return" and (built_in.options.is_async or built_in.options.realloc is not None):
                raise ComponentInvalid(f"{name} has async or a realloc function, for which it has no use")
        if built_in.memory is not None:
            self.memory(built_in.memory, f"the memory of {name}")
        if name == "task.return":
            self.needs(built_in.options, name, memory=layout.points or layout.flat is None)
        elif name in ("stream.read", "stream.write", "future.read", "future.write"):
            realloc = layout.points and name.endswith("read")
            self.needs(built_in.options, name, memory=built_in.type is not None, realloc=realloc)


def _spills(flat: str | None, count_max: int) -> bool:
    """Whether values are passed in memory, `count_max` core values being the most that are passed as such."""
    return flat is None or len(flat) > count_max


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise ComponentInvalid(f"{what} is of type {_shown(found)}, and has to be {_shown(wanted)}")


def _shown(ty: object) -> str:
    if not isinstance(ty, CoreSignature):
        return "another kind"
    return f"({ty.params[:_LETTERS_SHOWN]}) -> ({ty.results[:_LETTERS_SHOWN]})"


def _verify_counts(plan: Plan, modules: Sequence[ModuleTypes], limits: GuestLimits) -> None:
    used = [modules[step.module] for step in plan.steps]
    counts = (
        ("core instances", len(used), limits.instance_count_max, "instance_count_max"),
        ("memories", sum(len(module.memories) for module in used), limits.memory_count_max, "memory_count_max"),
        ("tables", sum(len(module.tables) for module in used), limits.table_count_max, "table_count_max"),
    )
    for what, count, count_max, setting in counts:
        if count > count_max:
            raise ComponentTooLarge(
                f"the component has {count} {what}: {count_max} are the most that this app may have",
                remedy=f"Make the component of fewer core modules, or raise {setting}.",
            )
