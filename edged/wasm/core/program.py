"""A core module joined to the host: every import resolved once, so that a request only instantiates."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import wasmtime

from edged.errors import ComponentUnsupported
from edged.host.core_module import CoreModule, Signature
from edged.host.interface import Interface
from edged.limits import GuestLimits
from edged.wasm import ffi
from edged.wasm.binding import Continuations
from edged.wasm.core.binding import Bound, bind
from edged.wasm.core.canonical import CanonicalImports
from edged.wasm.core.world import World
from edged.wasm.engine import Engine

_NUMBERS = {
    "i": wasmtime.ValType.i32(),
    "I": wasmtime.ValType.i64(),
    "f": wasmtime.ValType.f32(),
    "F": wasmtime.ValType.f64(),
}
"""Letter in a `Signature` -> type."""
_REALLOC = Signature("iiii", "i")
_REACTOR = "_initialize"


class CoreExport(NamedTuple):
    """A function that the module exports, which takes and gives numbers."""

    name: str
    signature: Signature


class CoreProgram:
    """One core module, linked. Instances of it are made by `edged.wasm.core.instance.CoreInstance`.

    Args:
        compiled: the module.
        modules: what the host provides to it, over numbers.
        limits: what one instance may use.
        world: of a module that imports or exports WIT interfaces; see `edged.wasm.core.kinds`.
        interfaces: what the host provides of that.
        refusable: name prefixes of interfaces that are known but not provided.

    Attributes:
        realloc: the name of the module's allocator, or None where it has none.
        initializer: run before anything else of an instance: `_initialize` of a module that is no program.
        refusals: full names of imported interfaces and functions that are refused when called.

    Raises:
        ComponentUnsupported: an import that nobody knows, or of another type than the host's; an allocator that is not
            one.
    """

    def __init__(
        self,
        engine: Engine,
        compiled: wasmtime.Module,
        modules: Iterable[CoreModule],
        limits: GuestLimits | None = None,
        *,
        world: World | None = None,
        interfaces: Iterable[Interface] = (),
        refusable: Sequence[str] = (),
    ) -> None:
        self.engine = engine
        self.limits = GuestLimits() if limits is None else limits
        self._compiled = compiled
        self._keep: list[Any] = []
        self._continuations = Continuations(engine)
        self._linker = int(ffi.lib.wasmtime_linker_new(engine.address))
        self.world = world
        self.realloc = None if world is None else self._find_realloc(world)
        self.initializer = None if world is None else self.export(_REACTOR)
        self.refusals: list[str] = []
        provided = {module.name: module for module in modules}
        canonical = None if world is None else CanonicalImports(engine, world, interfaces, refusable)
        signatures: dict[tuple[str, str], Signature | None] = {}
        unknown: dict[str, None] = {}
        for imported in compiled.imports:  # a module may import one function several times, each as another type
            name, item, kind = imported.module, imported.name or "", imported.type
            bound = None
            if (name, item) not in signatures:
                bound = self._bound(provided, canonical, name, item)
                signatures[name, item] = None if bound is None else bound.signature
            expected = signatures[name, item]
            if expected is None:
                unknown[f"{name}#{item}"] = None
            elif not isinstance(kind, wasmtime.FuncType) or _signature(kind) != expected:
                raise ComponentUnsupported(f"the module imports {name}#{item} with another type than edged has it")
            elif bound is not None:
                self._define(name, item, kind, bound)
        if unknown:
            raise ComponentUnsupported(
                f"the module imports {', '.join(unknown)}, which edged does not know",
                remedy="Build the module for wasm32-wasip1, and keep its component-type section if it has one.",
            )
        if canonical is not None:
            self._keep.append(canonical)  # its callbacks call through what it has
            self.refusals += canonical.refusals
        slot = ctypes.c_void_p()
        ffi.check(
            ffi.lib.wasmtime_linker_instantiate_pre(self._linker, ffi.address(compiled.ptr()), ctypes.addressof(slot))
        )
        assert slot.value is not None
        self.pre: int = slot.value
        """`wasmtime_instance_pre_t*`."""

    def __del__(self) -> None:
        pre, linker = self.__dict__.pop("pre", None), self.__dict__.pop("_linker", None)
        if pre is not None:
            ffi.lib.wasmtime_instance_pre_delete(pre)
        if linker is not None:
            ffi.lib.wasmtime_linker_delete(linker)

    def export(self, name: str) -> CoreExport | None:
        """The exported function of a name, or None: also where it takes or gives what is no number."""
        for exported in self._compiled.exports:
            if exported.name == name and isinstance(exported.type, wasmtime.FuncType):
                signature = _signature(exported.type)
                return None if signature is None else CoreExport(name, signature)
        return None

    def _find_realloc(self, world: World) -> str | None:
        export = self.export(world.realloc)
        if export is not None and export.signature == _REALLOC:
            return export.name
        if any(exported.name == world.realloc for exported in self._compiled.exports):
            raise ComponentUnsupported(
                f"the module's {world.realloc} is not a function of four i32 that gives one",
                remedy="Rebuild the module with its SDK.",
            )
        return None

    def _bound(
        self, provided: Mapping[str, CoreModule], canonical: CanonicalImports | None, name: str, item: str
    ) -> Bound | None:
        module = provided.get(name)
        if module is not None:
            return bind(self.engine, module, item, self._continuations) if item in module.functions else None
        return None if canonical is None else canonical.bind(name, item)

    def _define(self, module: str, item: str, kind: wasmtime.FuncType, bound: Bound) -> None:
        self._keep.append(bound)
        define = (
            ffi.lib.wasmtime_linker_define_async_func
            if bound.suspends
            else ffi.lib.wasmtime_linker_define_func_unchecked
        )
        name, function = module.encode(), item.encode()
        ffi.check(
            define(
                self._linker,
                *(name, len(name)),
                *(function, len(function)),
                *(ffi.address(kind.ptr()), ffi.address(bound.callback), None, None),
            )
        )


def _signature(kind: wasmtime.FuncType) -> Signature | None:
    """None where a parameter or result is no number, or there are several results."""
    params, results = [[_letter(ty) for ty in types] for types in (kind.params, kind.results)]
    if None in params or None in results or len(results) > 1:
        return None
    return Signature("".join(map(str, params)), "".join(map(str, results)))


def _letter(ty: wasmtime.ValType) -> str | None:
    """Of a number. wasmtime is not asked what else the type is: for v128 and typed references its C API has no answer
    and ends the process."""
    for letter, number in _NUMBERS.items():
        if ffi.lib.wasmtime_wasm_valtype_equal(ffi.address(ty.ptr()), ffi.address(number.ptr())):
            return letter
    return None
