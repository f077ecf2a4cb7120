"""A component joined to the host: every import resolved once, so that a request only instantiates.

What an import resolves to:
- an interface that a host module provides: its functions, bound through codecs of the component's own types;
- a function missing from such an interface, or an interface that Spin has and edged does not yet: a refusal, which ends
  the request that calls it and is listed in `Program.refusals` for the log at load;
- anything else: `ComponentUnsupported`, at load.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any

from wasmtime import component

from edged.host.interface import Interface
from edged.limits import GuestLimits
from edged.wasm import ffi, provide
from edged.wasm import types as wit
from edged.wasm.binding import Continuations, bind, bind_destructor, bind_refusal, bind_suspending
from edged.wasm.codec import Codec, compile_codec
from edged.wasm.engine import Engine


class Export:
    """A function that the component exports: its index for lookup, its codecs for the call."""

    def __init__(self, name: str, index: component.ExportIndex, ty: wit.Function) -> None:
        self.name = name
        self._index = index
        self.index = ffi.address(index.ptr())
        self.params: Sequence[Codec] = [compile_codec(param) for param in ty.params]
        self.result: Codec | None = None if ty.result is None else compile_codec(ty.result)


class Program:
    """One component, linked. Instances of it are made by `edged.wasm.instance.Instance`.

    Args:
        compiled: the component.
        interfaces: what the host provides to this component.
        refusable: name prefixes of interfaces that are known but not provided (`fermyon:spin/`).
        limits: what one instance may use.

    Raises:
        ComponentUnsupported: an import that nobody knows, or a type of WASI 0.3.
    """

    def __init__(
        self,
        engine: Engine,
        compiled: component.Component,
        interfaces: Iterable[Interface],
        refusable: Sequence[str] = (),
        limits: GuestLimits | None = None,
    ) -> None:
        self.engine = engine
        self.limits = GuestLimits() if limits is None else limits
        self.type = wit.describe(compiled, engine.wasmtime)
        self.refusals: list[str] = []
        """Full names of imported interfaces and functions that are refused when called."""
        self._compiled = compiled
        self.component = ffi.address(compiled.ptr())
        self._keep: list[Any] = []
        self._continuations = Continuations(engine)
        self._destructor = bind_destructor(engine)
        self.linker = int(ffi.lib.wasmtime_component_linker_new(engine.address))
        providers = provide.providers(self.type.imports, interfaces, refusable)
        root = ffi.lib.wasmtime_component_linker_root(self.linker)
        try:
            for name, interface in providers.items():
                if interface is None:
                    self.refusals.append(name)
                self._link(root, name, self.type.imports[name], interface)
        finally:
            ffi.lib.wasmtime_component_linker_instance_delete(root)

    def __del__(self) -> None:
        linker = self.__dict__.pop("linker", None)
        if linker is not None:
            ffi.lib.wasmtime_component_linker_delete(linker)

    def export(self, interface_prefix: str, function: str) -> Export | None:
        """The function of the exported interface whose name starts with a prefix, or None.

        Args:
            interface_prefix: empty for a function that is in no interface.
        """
        if not interface_prefix:
            ty = self.type.functions.get(function)
            return None if ty is None else self._export(function, None, function, ty)
        for name, exported in self.type.exports.items():
            if name.startswith(interface_prefix) and function in exported.functions:
                outer = self._compiled.get_export_index(name)
                return self._export(f"{name}#{function}", outer, function, exported.functions[function])
        return None

    def _export(self, name: str, outer: component.ExportIndex | None, function: str, ty: wit.Function) -> Export:
        index = self._compiled.get_export_index(function, outer)
        assert index is not None
        return Export(name, index, ty)

    def _link(self, root: int, name: str, imported: wit.InstanceType, interface: Interface | None) -> None:
        slot = ctypes.c_void_p()
        encoded = name.encode()
        ffi.check(
            ffi.lib.wasmtime_component_linker_instance_add_instance(root, encoded, len(encoded), ctypes.addressof(slot))
        )
        try:
            for item, number in imported.resources.items():
                self._link_resource(slot.value, item, number)
            for item, ty in imported.functions.items():
                self._link_function(slot.value, f"{name}#{item}", item, ty, interface)
        finally:
            ffi.lib.wasmtime_component_linker_instance_delete(slot.value)

    def _link_resource(self, linker_instance: int | None, item: str, number: int) -> None:
        resource = ffi.lib.wasmtime_component_resource_type_new_host(number)
        encoded = item.encode()
        ffi.check(
            ffi.lib.wasmtime_component_linker_instance_add_resource(
                linker_instance, encoded, len(encoded), resource, ffi.address(self._destructor), None, None
            )
        )
        ffi.lib.wasmtime_component_resource_type_delete(resource)

    def _link_function(
        self, linker_instance: int | None, name: str, item: str, ty: wit.Function, interface: Interface | None
    ) -> None:
        function = None if interface is None else provide.resolve(interface, name, item)
        add = ffi.lib.wasmtime_component_linker_instance_add_func
        if function is None:
            callback = bind_refusal(self.engine, name)
            if interface is not None:
                self.refusals.append(name)
        elif function.suspends:
            callback = bind_suspending(self.engine, function, ty, self._continuations)
            add = ffi.lib.wasmtime_component_linker_instance_add_func_async
        else:
            callback = bind(self.engine, function, ty)
        self._keep.append(callback)
        encoded = item.encode()
        ffi.check(add(linker_instance, encoded, len(encoded), ffi.address(callback), None, None))
