"""A component on the core API, joined to the host: everything that is the same for all of its instances.

    CompiledPlan ── trampolines defined in one linker ── ComponentProgram ── Instance, Instance, ...
         └ what is looked up in an instance gets a number (`item`, `context`), so that it is found once

Steps import each other's exports by the names that the rewritten modules have; each instance defines its own under
them, in the same linker, right before it needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import wasmtime

from edged.host.interface import Interface
from edged.limits import GuestLimits
from edged.wasm import ffi, provide
from edged.wasm.binding import HostFunction
from edged.wasm.canonical_abi import Encoding
from edged.wasm.component import trampoline as binding
from edged.wasm.component.builtins import operation
from edged.wasm.component.code import Code
from edged.wasm.component.fiber import Deadlines
from edged.wasm.engine import Engine
from edged.wasm.linear.context import Boundary
from edged.wasm.plan.compiled import HOST, CompiledPlan, step_name
from edged.wasm.plan.plan import CanonOptions, CoreExport, HostImport, Lifted, Trampoline


class ContextPlan(NamedTuple):
    """What a `Context` is made of, as items."""

    part: int
    memory: int | None
    realloc: int | None
    encoding: Encoding
    boundary: Boundary


class StepPlan(NamedTuple):
    """One core instantiation.

    Attributes:
        module: `wasmtime_module_t*`.
        part: index of the component instance.
        name: what its exports are imported from, or None if nothing imports them.
    """

    module: int
    part: int
    name: bytes | None


class ComponentProgram:
    """One component, linked. Instances of it are made by `edged.wasm.component.instance.Instance`.

    Args:
        compiled: the component.
        interfaces: what the host provides to it.
        refusable: name prefixes of interfaces that are known but not provided (`fermyon:spin/`).
        limits: what one request may use.

    Attributes:
        type: what it imports and exports.
        refusals: full names of imported interfaces and functions that are refused when called.
        reusable: an instance may serve more than one request: some export is asynchronous.
        defines: by component instance, numbers of the resource types that it defines.

    Raises:
        ComponentUnsupported: an import that nobody knows, or a built-in that edged does not have.
    """

    def __init__(
        self,
        engine: Engine,
        compiled: CompiledPlan,
        interfaces: Iterable[Interface],
        refusable: Sequence[str] = (),
        limits: GuestLimits | None = None,
    ) -> None:
        plan = compiled.plan
        self.engine = engine
        self.plan = plan
        self.limits = GuestLimits() if limits is None else limits
        self.type = plan.type
        self.refusals: list[str] = []
        self.reusable = any(
            lifted.type.is_async
            for functions in (*plan.exports.values(), plan.functions)
            for lifted in functions.values()
        )
        self.defines = [
            frozenset(number for number, resource in enumerate(plan.resources, 1) if resource.instance == part)
            for part in range(plan.instance_count)
        ]
        self.deadlines = Deadlines(engine)
        self.continuations = binding.Continuations(engine)
        self.linked: object = None
        """The instance whose steps the linker has; an instance that finds another here defines its own again."""
        self.spare_buffers: list[Any] = []
        self._compiled = compiled
        self._codes: dict[tuple[int, bool], Code] = {}
        self._items: dict[CoreExport, int] = {}
        self.items: list[CoreExport] = []
        """What instances look up; the number of an item is its index and one."""
        self._contexts: dict[tuple[CanonOptions, int], int] = {}
        self.contexts: list[ContextPlan] = []
        self._keep: list[Any] = []
        self._forwarders: dict[int, CoreExport] = {}
        self._forwarder_modules: list[tuple[wasmtime.Module, int]] = []
        self.linker = int(ffi.lib.wasmtime_linker_new(engine.address))
        ffi.lib.wasmtime_linker_allow_shadowing(self.linker, True)
        self._functions = self._resolve(provide.providers(plan.type.imports, interfaces, refusable))
        for each in plan.trampolines:
            self._keep.append(binding.define(self, each, operation(self, each)))
        self.exports = {
            f"{interface}#{name}" if interface else name: self.code(f"{interface}#{name}", lifted)
            for interface, functions in (*plan.exports.items(), ("", plan.functions))
            for name, lifted in functions.items()
        }
        self.steps = self._steps()

    def __del__(self) -> None:
        linker = self.__dict__.pop("linker", None)
        if linker is not None:
            ffi.lib.wasmtime_linker_delete(linker)

    def export(self, interface_prefix: str, function: str) -> Code | None:
        """The function of the exported interface whose name starts with a prefix, or None.

        Args:
            interface_prefix: empty for a function that is in no interface.
        """
        if not interface_prefix:
            return self.exports.get(function)
        for interface, functions in self.plan.exports.items():
            if interface.startswith(interface_prefix) and function in functions:
                return self.exports[f"{interface}#{function}"]
        return None

    # --- numbers for what an instance has ---

    def item(self, export: CoreExport) -> int:
        """The number of a core export, for `Instance.item`."""
        number = self._items.get(export)
        if number is None:
            self.items.append(export)
            number = self._items[export] = len(self.items)
        return number

    def core(self, function: CoreExport | Trampoline) -> int:
        """The same of a core function that may be a trampoline: a module of one line exports it, so that it can be
        called as any other."""
        if isinstance(function, CoreExport):
            return self.item(function)
        export = self._forwarders.get(function.index)
        if export is None:
            step = len(self.plan.steps) + len(self._forwarder_modules)
            export = self._forwarders[function.index] = CoreExport(step, "f", "func")
            self._forwarder_modules.append((binding.forwarder(self.engine, function), function.instance))
        return self.item(export)

    def context(self, options: CanonOptions, boundary: Boundary) -> int:
        """The number of what codecs work in, for `Instance.context`."""
        key = options, id(boundary)
        number = self._contexts.get(key)
        if number is None:
            number = self._contexts[key] = len(self.contexts)
            self.contexts.append(
                ContextPlan(
                    options.instance,
                    None if options.memory is None else self.item(options.memory),
                    None if options.realloc is None else self.item(options.realloc),
                    options.encoding,
                    boundary,
                )
            )
        return number

    def code(self, name: str, lifted: Lifted, *, is_between: bool = False) -> Code:
        """A lifted function, compiled."""
        key = id(lifted), is_between
        code = self._codes.get(key)
        if code is None:
            code = self._codes[key] = Code(self, name, lifted, is_between=is_between)
        return code

    def function(self, imported: HostImport) -> HostFunction | None:
        """The host's function behind an import; None: it is refused."""
        return self._functions.get((imported.interface, imported.name))

    # --- linking ---

    def _resolve(self, providers: Mapping[str, Interface | None]) -> dict[tuple[str, str], HostFunction | None]:
        found: dict[tuple[str, str], HostFunction | None] = {}
        for name, interface in providers.items():
            if interface is None:
                self.refusals.append(name)
                continue
            for item in self.type.imports[name].functions:
                function = found[name, item] = provide.resolve(interface, f"{name}#{item}", item)
                if function is None:
                    self.refusals.append(f"{name}#{item}")
        return found

    def _steps(self) -> list[StepPlan]:
        used = {source.step for step in self.plan.steps for source in step.imports if isinstance(source, CoreExport)}
        modules = [
            (module, step.instance) for module, step in zip(self._compiled.modules, self.plan.steps, strict=True)
        ]
        return [
            StepPlan(ffi.address(module.ptr()), part, step_name(index).encode() if index in used else None)
            for index, (module, part) in enumerate([*modules, *self._forwarder_modules])
        ]

    def define(self, item: Trampoline, kind: wasmtime.FuncType, callback: Any, *, is_async: bool) -> None:
        """Put a trampoline's callback into the linker."""
        define = (
            ffi.lib.wasmtime_linker_define_async_func if is_async else ffi.lib.wasmtime_linker_define_func_unchecked
        )
        module, name = HOST.encode(), str(item.index).encode()
        ffi.check(
            define(
                self.linker,
                module,
                len(module),
                name,
                len(name),
                ffi.address(kind.ptr()),
                ffi.address(callback),
                None,
                None,
            )
        )
