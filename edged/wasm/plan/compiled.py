"""A component as its plan and its compiled core modules: what the runtime is given.

    component ── skeleton ── validated by wasmtime ── Plan ── verified
        └ core modules ── rewritten, one for each step ── compiled, which validates them

Done in the compile child, where hostile bytes may cost what they like; `compile_in_process` is the same for tests. The
loader makes the plan again from the skeleton, which is small, and finds the modules in the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import wasmtime
from wasmtime import component

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import COMPONENT_SKELETON_BYTES_MAX, MiB
from edged.wasm.engine import Engine, new_validator
from edged.wasm.plan.elaborate import build_plan
from edged.wasm.plan.plan import (
    BuiltIn,
    CanonOptions,
    CoreExport,
    HostImport,
    Lifted,
    Lower,
    Plan,
    Step,
    Trampoline,
)
from edged.wasm.plan.rewriting import rewrite
from edged.wasm.plan.skeleton import core_modules, skeleton
from edged.wasm.trap import lacks_feature, reason

HOST = "h"
"""Module name of trampolines: `("h", "12")` is number 12."""


@dataclass(frozen=True, slots=True)
class CompiledPlan:
    """
    Attributes:
        modules: of each step of the plan, with imports named for what they are given: `step_name(3)` and an export's
            name, or `HOST` and a trampoline's index. They export what the plan uses and nothing else. Steps that
            came to the same bytes share one.
    """

    plan: Plan
    modules: tuple[wasmtime.Module, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """A valid component, taken apart.

    Attributes:
        data: all of it; modules are cut out of it as they are compiled.
        skeleton: what the plan was made from.
    """

    data: bytes
    skeleton: bytes
    plan: Plan

    def modules(self) -> Iterator[bytes]:
        """The core module of each step, rewritten. One by one: together they may be as large as the component."""
        places = list(core_modules(self.data))
        view = memoryview(self.data)
        kept = _exports_used(self.plan)
        for index, step in enumerate(self.plan.steps):
            start, end = places[step.module]
            yield rewrite(view[start:end], import_names(step), kept[index])

    def unused_modules(self) -> Iterator[bytes]:
        """Core modules that no step instantiates: the component is valid only if they are."""
        used = {step.module for step in self.plan.steps}
        for index, (start, end) in enumerate(core_modules(self.data)):
            if index not in used:
                yield self.data[start:end]


def take_apart(data: bytes) -> Parts:
    """Validate a component but for the insides of its core modules, and elaborate it.

    Args:
        data: the component's binary.

    Raises:
        ComponentInvalid, ComponentUnsupported, ComponentTooLarge
    """
    bones = skeleton(data)
    if len(bones) > COMPONENT_SKELETON_BYTES_MAX:
        raise ComponentTooLarge(
            f"the component has {len(bones) / MiB:.1f} MiB of types, imports, exports and functions, their code not "
            f"counted, and may have {COMPONENT_SKELETON_BYTES_MAX / MiB:g} MiB",
            remedy="Divide it into several components.",
        )
    _validate(bones)
    return Parts(data, bones, build_plan(bones))


def compile_module(engine: wasmtime.Engine, data: bytes) -> wasmtime.Module:
    """Compile one of `Parts.modules`.

    Raises:
        ComponentInvalid, ComponentUnsupported: it is not valid inside.
    """
    try:
        return wasmtime.Module(engine, data)
    except wasmtime.WasmtimeError as error:
        raise _refusal("a core module of the component", error) from None


def check_module(engine: wasmtime.Engine, data: bytes) -> None:
    """Validate one of `Parts.unused_modules`. Errors as of `compile_module`."""
    try:
        wasmtime.Module.validate(engine, data)
    except wasmtime.WasmtimeError as error:
        raise _refusal("a core module of the component", error) from None


def compile_in_process(engine: Engine, data: bytes) -> CompiledPlan:
    """All of it at once, without limits and without a cache: for bytes that are trusted, as those of tests.

    Args:
        data: the component's binary.

    Raises:
        ComponentInvalid, ComponentUnsupported, ComponentTooLarge
    """
    parts = take_apart(data)
    for unused in parts.unused_modules():
        check_module(engine.wasmtime, unused)
    compiled: dict[bytes, wasmtime.Module] = {}
    modules = []
    for rewritten in parts.modules():
        if rewritten not in compiled:
            compiled[rewritten] = compile_module(engine.wasmtime, rewritten)
        modules.append(compiled[rewritten])
    return CompiledPlan(parts.plan, tuple(modules))


def step_name(step: int) -> str:
    """What the exports of a step's instance are imported from."""
    return f"s{step}"


def import_names(step: Step) -> list[tuple[str, str]]:
    """Module and name of each import of a rewritten module."""
    return [
        (step_name(source.step), source.name) if isinstance(source, CoreExport) else (HOST, str(source.index))
        for source in step.imports
    ]


def wiring(plan: Plan) -> str:
    """A hash of how the plan joins its modules and what its trampolines are.

    Rewritten modules name trampolines by number, and have only the exports that were used. They belong to a plan only
    if it counts as the one did that they were rewritten for, and an edged of another version may count otherwise.
    """
    hashed = hashlib.sha256()
    for step, exports in zip(plan.steps, _exports_used(plan), strict=True):
        hashed.update(f"{step.module} {step.instance} {import_names(step)} {sorted(exports)}\n".encode())
    for trampoline in plan.trampolines:
        hashed.update(f"{trampoline.instance} {trampoline.signature} {_describe(trampoline.operation)}\n".encode())
    return hashed.hexdigest()


def _describe(operation: Lower | BuiltIn) -> str:
    if isinstance(operation, BuiltIn):
        return f"{operation.name} {operation.resource} {operation.slot} {operation.is_async}"
    if isinstance(operation.function, HostImport):
        return f"{operation.function.interface} {operation.function.name}"
    return f"{operation.function.instance} {operation.function.core}"


def _exports_used(plan: Plan) -> list[set[str]]:
    """Of each step, the names of the exports that something of the plan refers to."""
    used: list[set[str]] = [set() for _ in plan.steps]

    def use(*sources: CoreExport | Trampoline | None) -> None:
        for source in sources:
            if isinstance(source, CoreExport):
                used[source.step].add(source.name)

    def use_options(options: CanonOptions | None) -> None:
        if options is not None:
            use(options.memory, options.realloc, options.post_return, options.callback)

    def use_lifted(lifted: Lifted) -> None:
        use(lifted.core)
        use_options(lifted.options)

    for step in plan.steps:
        use(*step.imports)
    for trampoline in plan.trampolines:
        operation = trampoline.operation
        use_options(operation.options)
        if isinstance(operation, BuiltIn):
            use(operation.memory)
        elif isinstance(operation.function, Lifted):
            use_lifted(operation.function)
    for resource in plan.resources:
        use(resource.destructor)
    for functions in (*plan.exports.values(), plan.functions):
        for lifted in functions.values():
            use_lifted(lifted)
    return used


def _validate(bones: bytes) -> None:
    try:
        component.Component(new_validator(), bones)
    except wasmtime.WasmtimeError as error:
        raise _refusal("the component", error) from None


def _refusal(what: str, error: wasmtime.WasmtimeError) -> ComponentInvalid | ComponentUnsupported:
    said = reason(str(error))
    if lacks_feature(said):
        return ComponentUnsupported(
            f"{what} uses what edged does not run: {said}",
            remedy="Build it without that feature; see docs/compatibility.md for what runs.",
        )
    return ComponentInvalid(f"{what} is not valid: {said}")
