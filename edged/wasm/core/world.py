"""What a core module imports and exports in the terms of WIT, and under which names of its own.

| built with | imports as | exports as | allocator |
|---|---|---|---|
| wit-bindgen 0.5 and on | `wasi:io/poll@0.2.0` `poll` | `wasi:http/...#handle`, `cabi_post_...` | `cabi_realloc` |
| wit-bindgen 0.2 | `outbound-redis` `get` | `handle-http-request` | `canonical_abi_realloc` |

The old bindings lay values out as the canonical ABI does, down to the last byte, for every type that Spin's interfaces
have; only names differ. (Compared with the C that wit-bindgen 0.2 generated for Spin's TinyGo SDK.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from edged.wasm.core import spin1
from edged.wasm.types import ComponentType, Function, InstanceType

Realloc = Literal["cabi_realloc", "canonical_abi_realloc"]

_OLD_IMPORTS: Mapping[str, str] = {
    "key-value": "fermyon:spin/key-value",
    "llm": "fermyon:spin/llm",
    "outbound-mysql": "fermyon:spin/mysql",
    "outbound-pg": "fermyon:spin/postgres",
    "outbound-redis": "fermyon:spin/redis",
    "spin-config": "fermyon:spin/config",
    "sqlite": "fermyon:spin/sqlite",
    "wasi-outbound-http": "fermyon:spin/http",
}
"""Module that wit-bindgen 0.2 imports from -> interface. Functions have the same names but one."""
_OLD_FUNCTIONS: Mapping[tuple[str, str], str] = {("wasi-outbound-http", "request"): "send-request"}
_OLD_EXPORTS: Mapping[tuple[str, str], str] = {
    (spin1.INBOUND_HTTP, "handle-request"): "handle-http-request",
    (spin1.INBOUND_REDIS, "handle-message"): "handle-redis-message",
}
_DROP = "[resource-drop]"
_SEPARATOR = "#"


@dataclass(frozen=True, slots=True)
class Drop:
    """`[resource-drop]r`: the guest drops a handle.

    Attributes:
        resource: number of the resource type.
    """

    resource: int


@dataclass(frozen=True, slots=True)
class Imported:
    """A function of an interface that the module imports.

    Attributes:
        interface: full name.
        item: as in WIT, `[method]fields.get`.
    """

    interface: str
    item: str
    type: Function


@dataclass(frozen=True, slots=True)
class World:
    """
    Attributes:
        type: imports that the module may make, and exports that it has, by their full names.
        realloc: the name of the export that allocates.
        is_old: names are those of wit-bindgen 0.2.
    """

    type: ComponentType
    realloc: Realloc = "cabi_realloc"
    is_old: bool = False

    def imported(self, module: str, item: str) -> Imported | Drop | None:
        """What an import of the core module stands for, or None.

        Args:
            module, item: the two names of the import.
        """
        interface, function = module, item
        if self.is_old:
            interface = _OLD_IMPORTS.get(module, "")
            function = _OLD_FUNCTIONS.get((module, item), item)
        found = self.type.imports.get(interface)
        if found is None:
            return None
        if function.startswith(_DROP):
            number = found.resources.get(function.removeprefix(_DROP))
            return None if number is None else Drop(number)
        ty = found.functions.get(function)
        return None if ty is None else Imported(interface, function, ty)

    def exported(self, interface: str, function: str) -> str:
        """The name under which the module exports a function.

        Args:
            interface: full name, empty for a function that is in none.
        """
        if self.is_old:
            return _OLD_EXPORTS[interface, function]
        return f"{interface}{_SEPARATOR}{function}" if interface else function


def find_world(exports: Collection[str], imports: Collection[str], declared: ComponentType | None) -> World | None:
    """The world of a core module, or None for one that has none: a program with `_start`, over preview 1 alone.

    Args:
        exports: names of what it exports.
        imports: names of the modules that it imports from.
        declared: what its component-type section says, if it has one.
    """
    old = {interface: spin1.EXPORTS[interface] for (interface, _), name in _OLD_EXPORTS.items() if name in exports}
    if old:
        return World(ComponentType(spin1.IMPORTS, old, ()), "canonical_abi_realloc", is_old=True)
    interfaces = {name.rpartition(_SEPARATOR)[0] for name in exports if _SEPARATOR in name}
    spin = {interface: ty for interface, ty in spin1.EXPORTS.items() if interface in interfaces}
    if declared is None:
        if not spin and not any(name in spin1.IMPORTS for name in imports):
            return None
        declared = ComponentType({}, {}, ())
    # Spin's old interfaces are what the host has of them, whatever the section says: signatures are checked when the
    # module is linked.
    return World(
        ComponentType(
            {**declared.imports, **spin1.IMPORTS},
            {**_present(declared.exports, interfaces), **spin},
            declared.resource_names,
            {name: ty for name, ty in declared.functions.items() if name in exports},
        )
    )


def _present(declared: Mapping[str, InstanceType], interfaces: Collection[str]) -> dict[str, InstanceType]:
    return {name: ty for name, ty in declared.items() if name in interfaces}
