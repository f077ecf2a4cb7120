"""A core module joined to the host: every import resolved once, so that a request only instantiates."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, NamedTuple

import wasmtime

from edged.errors import ComponentUnsupported
from edged.host.core_module import CoreModule, Signature
from edged.limits import GuestLimits
from edged.wasm import ffi
from edged.wasm.binding import Continuations
from edged.wasm.core.binding import bind
from edged.wasm.engine import Engine

_INTEGERS = {"i": wasmtime.ValType.i32(), "I": wasmtime.ValType.i64()}
"""Letter in a `Signature` -> type."""


class CoreExport(NamedTuple):
    """A function that the module exports, which takes and gives numbers."""

    name: str
    signature: Signature


class CoreProgram:
    """One core module, linked. Instances of it are made by `edged.wasm.core.instance.CoreInstance`.

    Args:
        compiled: the module.
        modules: what the host provides to it.
        limits: what one instance may use.

    Raises:
        ComponentUnsupported: an import that nobody knows, or of another type than the host's.
    """

    def __init__(
        self,
        engine: Engine,
        compiled: wasmtime.Module,
        modules: Iterable[CoreModule],
        limits: GuestLimits | None = None,
    ) -> None:
        self.engine = engine
        self.limits = GuestLimits() if limits is None else limits
        self._compiled = compiled
        self._keep: list[Any] = []
        self._continuations = Continuations(engine)
        self._linker = int(ffi.lib.wasmtime_linker_new(engine.address))
        provided = {module.name: module for module in modules}
        unknown: dict[str, None] = {}
        defined: set[tuple[str, str]] = set()
        for imported in compiled.imports:  # a module may import one function several times, each as another type
            name, item, kind = imported.module, imported.name or "", imported.type
            module = provided.get(name)
            if module is None or item not in module.functions:
                unknown[f"{name}#{item}"] = None
            elif not isinstance(kind, wasmtime.FuncType) or _signature(kind) != module.functions[item]:
                raise ComponentUnsupported(f"the module imports {name}#{item} with another type than edged has it")
            elif (name, item) not in defined:
                defined.add((name, item))
                self._define(module, item, kind)
        if unknown:
            raise ComponentUnsupported(
                f"the module imports {', '.join(unknown)}, which edged does not know",
                remedy="Build the module for wasm32-wasip1.",
            )
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
        """The exported function of a name, or None: also where it takes or gives what is no integer."""
        for exported in self._compiled.exports:
            if exported.name == name and isinstance(exported.type, wasmtime.FuncType):
                signature = _signature(exported.type)
                return None if signature is None else CoreExport(name, signature)
        return None

    def _define(self, module: CoreModule, item: str, kind: wasmtime.FuncType) -> None:
        callback, suspends = bind(self.engine, module, item, self._continuations)
        self._keep.append(callback)
        define = (
            ffi.lib.wasmtime_linker_define_async_func if suspends else ffi.lib.wasmtime_linker_define_func_unchecked
        )
        name, function = module.name.encode(), item.encode()
        ffi.check(
            define(
                self._linker,
                *(name, len(name)),
                *(function, len(function)),
                *(ffi.address(kind.ptr()), ffi.address(callback), None, None),
            )
        )


def _signature(kind: wasmtime.FuncType) -> Signature | None:
    """None where a parameter or result is no integer, or there are several results."""
    params, results = [[_letter(ty) for ty in types] for types in (kind.params, kind.results)]
    if None in params or None in results or len(results) > 1:
        return None
    return Signature("".join(map(str, params)), "".join(map(str, results)))


def _letter(ty: wasmtime.ValType) -> str | None:
    """Of an integer. wasmtime is not asked what else the type is: for v128 and typed references its C API has no answer
    and ends the process."""
    for letter, integer in _INTEGERS.items():
        if ffi.lib.wasmtime_wasm_valtype_equal(ffi.address(ty.ptr()), ffi.address(integer.ptr())):
            return letter
    return None
