"""What a component has to export for each type of trigger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edged.errors import ComponentUnsupported
from edged.wasm.linker import Export, Program
from edged.wasm.types import ComponentType, Function, signature


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that a trigger calls.

    Attributes:
        interface: what the name of the exported interface starts with; empty for a function that is in none. Release
            candidates of WASI are other interfaces, whatever their names start with.
        signature: as `edged.wasm.types.signature` writes it.
        remedy: what to do about a component without it.
    """

    interface: str
    function: str
    signature: str
    remedy: str


HANDLERS: Mapping[str, Handler] = {
    "http": Handler(
        "wasi:http/incoming-handler@0.2",
        "handle",
        "func(own<incoming-request>, own<response-outparam>)",
        "Build the component for Spin's http trigger, or for the wasi:http/proxy world.",
    ),
    "redis": Handler(
        "fermyon:spin/inbound-redis",
        "handle-message",
        "func(list<u8>) -> result<_, enum{success, error}>",
        "Build the component for Spin's redis trigger.",
    ),
    "cron": Handler(
        "",
        "handle-cron-event",
        "func(record{timestamp: u64}) -> result<_, variant{other(string)}>",
        "Build the component for Spin's cron trigger (the world fermyon:spin-cron@2.0.0).",
    ),
    "wagi": Handler(
        "wasi:cli/run@0.2",
        "run",
        "func() -> result",
        "Build it as a program: a core module for wasm32-wasip1, or a component for wasm32-wasip2.",
    ),
}
"""Type of trigger -> what it calls. `wagi` is HTTP's other executor."""


def check_handler(trigger: str, found: ComponentType) -> None:
    """Look for what a trigger calls, before the component is linked.

    Raises:
        ComponentUnsupported: the component does not export it, or exports something else under its name.
    """
    handler = HANDLERS[trigger]
    name, function = _find(handler, found)
    if function is None:
        exports = ", ".join([*found.exports, *found.functions])
        raise ComponentUnsupported(
            f"the component exports no {handler.interface or handler.function} handler"
            + (f" (it exports {exports})" if exports else ""),
            remedy=handler.remedy,
        )
    if (exported := signature(function, found.resource_names)) != handler.signature:
        raise ComponentUnsupported(
            f"the component's {name}#{handler.function} is {exported} and should be {handler.signature}",
            remedy="Rebuild the component with its SDK.",
        )


def find_handler(trigger: str, program: Program) -> Export:
    """What a trigger calls, of a component that `check_handler` has let pass."""
    handler = HANDLERS[trigger]
    name, _ = _find(handler, program.type)
    export = program.export(name, handler.function)
    assert export is not None
    return export


def _find(handler: Handler, found: ComponentType) -> tuple[str, Function | None]:
    """The interface's full name, and the function's type or None."""
    if not handler.interface:
        return "", found.functions.get(handler.function)
    for name, interface in found.exports.items():
        if name.startswith(handler.interface) and "-rc" not in name and handler.function in interface.functions:
            return name, interface.functions[handler.function]
    return "", None
