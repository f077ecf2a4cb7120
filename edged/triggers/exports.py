"""What a component has to export for each type of trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edged.errors import ComponentUnsupported
from edged.wasm.linker import Export, Program
from edged.wasm.types import ComponentType, signature


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that a trigger calls.

    Attributes:
        interfaces: names that exported interfaces of it start with, in the order they are looked for. Release
            candidates of WASI are other interfaces, whatever their names start with.
        signature: as `edged.wasm.types.signature` writes it.
        remedy: what to do about a component without it.
    """

    interfaces: Sequence[str]
    function: str
    signature: str
    remedy: str


HANDLERS: Mapping[str, Handler] = {
    "http": Handler(
        ("wasi:http/incoming-handler@0.2",),
        "handle",
        "func(own<incoming-request>, own<response-outparam>)",
        "Build the component for Spin's http trigger, or for the wasi:http/proxy world.",
    ),
    "redis": Handler(
        ("fermyon:spin/inbound-redis",),
        "handle-message",
        "func(list<u8>) -> result<_, enum{success, error}>",
        "Build the component for Spin's redis trigger.",
    ),
}
"""Type of trigger -> what it calls."""


def check_handler(trigger: str, found: ComponentType) -> None:
    """Look for what a trigger calls, before the component is linked.

    Raises:
        ComponentUnsupported: the component does not export it, or exports something else under its name.
    """
    handler = HANDLERS[trigger]
    name = _interface(handler, found)
    if name is None:
        exports = f" (it exports {', '.join(found.exports)})" if found.exports else ""
        raise ComponentUnsupported(
            f"the component exports no {handler.interfaces[0]} handler{exports}", remedy=handler.remedy
        )
    function = found.exports[name].functions[handler.function]
    if (exported := signature(function, found.resource_names)) != handler.signature:
        raise ComponentUnsupported(
            f"the component's {name}#{handler.function} is {exported} and should be {handler.signature}",
            remedy="Rebuild the component with its SDK.",
        )


def find_handler(trigger: str, program: Program) -> Export:
    """What a trigger calls, of a component that `check_handler` has let pass."""
    handler = HANDLERS[trigger]
    name = _interface(handler, program.type)
    assert name is not None
    export = program.export(name, handler.function)
    assert export is not None
    return export


def _interface(handler: Handler, found: ComponentType) -> str | None:
    for prefix in handler.interfaces:
        for name, interface in found.exports.items():
            if name.startswith(prefix) and "-rc" not in name and handler.function in interface.functions:
                return name
    return None
