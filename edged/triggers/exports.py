"""What a component has to export for each type of trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from edged.errors import ComponentUnsupported
from edged.wasm.types import ComponentType, Function, signature

Style = Literal["plain", "incoming-handler", "handler", "record"]
"""How a trigger calls what it found, where that is not the same for all that it looks for."""


class LinkedComponent(Protocol):
    """A component joined to the host, by whatever runs it."""

    @property
    def type(self) -> ComponentType: ...

    def export(self, interface_prefix: str, function: str) -> Any: ...


class Entry(NamedTuple):
    """Where a trigger enters a component.

    Attributes:
        export: for `call` of an instance of the component.
    """

    export: Any
    style: Style = "plain"


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that a trigger calls.

    Attributes:
        interface: what the name of the exported interface starts with; empty for a function that is in none. Release
            candidates of WASI are other interfaces, whatever their names start with, so each stands here by itself.
        signature: as `edged.wasm.types.signature` writes it, or what it starts with where it ends in `...`.
        remedy: what to do about a component without it.
    """

    interface: str
    function: str
    signature: str
    remedy: str
    style: Style = "plain"


_HTTP_REMEDY = "Build the component for Spin's http trigger, or for the wasi:http/proxy or wasi:http/service world."
_REDIS_REMEDY = "Build the component for Spin's redis trigger."
# Its error is only ever described, so its forty cases are not looked at.
_HTTP_RECORD = "func(record{method: enum{get, post, put, delete, patch, head, options}, uri: string, ..."
_HTTP_ASYNC = "async func(own<request>) -> result<own<response>, variant{..."

HANDLERS: Mapping[str, Sequence[Handler]] = {
    "http": (
        Handler(
            "wasi:http/incoming-handler@0.2",
            "handle",
            "func(own<incoming-request>, own<response-outparam>)",
            _HTTP_REMEDY,
            "incoming-handler",
        ),
        Handler("wasi:http/handler@0.3", "handle", _HTTP_ASYNC, _HTTP_REMEDY, "handler"),
        Handler("wasi:http/handler@0.3.0-rc-2026-03-15", "handle", _HTTP_ASYNC, _HTTP_REMEDY, "handler"),
        Handler("fermyon:spin/inbound-http", "handle-request", _HTTP_RECORD, _HTTP_REMEDY, "record"),
    ),
    "redis": (
        Handler(
            "fermyon:spin/inbound-redis",
            "handle-message",
            "func(list<u8>) -> result<_, enum{success, error}>",
            _REDIS_REMEDY,
        ),
        Handler(
            "spin:redis/inbound-redis@3",
            "handle-message",
            "async func(list<u8>) -> result<_, ...",
            _REDIS_REMEDY,
        ),
    ),
    "cron": (
        Handler(
            "",
            "handle-cron-event",
            "func(record{timestamp: u64}) -> result<_, variant{other(string)}>",
            "Build the component for Spin's cron trigger (the world fermyon:spin-cron@2.0.0).",
        ),
    ),
    "wagi": (
        Handler(
            "wasi:cli/run@0.2",
            "run",
            "func() -> result",
            "Build it as a program: a core module for wasm32-wasip1, or a component for wasm32-wasip2.",
        ),
    ),
}
"""Type of trigger -> what it calls, the first that a component exports. `wagi` is HTTP's other executor."""


def check_handler(trigger: str, found: ComponentType) -> None:
    """Look for what a trigger calls, before the component is linked.

    Raises:
        ComponentUnsupported: the component does not export it, or exports something else under its name.
    """
    handlers = HANDLERS[trigger]
    handler, name, function = _find(handlers, found)
    if function is None:
        raise _missing(handlers, found)
    exported = signature(function, found.resource_names)
    start = handler.signature.removesuffix("...")
    if exported != start and not (start != handler.signature and exported.startswith(start)):
        raise ComponentUnsupported(
            f"the component's {name}#{handler.function} is {exported} and should be {handler.signature}",
            remedy="Rebuild the component with its SDK.",
        )


def _missing(handlers: Sequence[Handler], found: ComponentType) -> ComponentUnsupported:
    exports = [*found.exports, *found.functions]
    wanted = [each.interface or each.function for each in handlers if "-rc" not in each.interface]
    message = f"the component exports no {' or '.join(wanted)}"
    if exports:
        message += f"; it exports {', '.join(exports)}"
    bases = {each.interface.partition("@")[0] for each in handlers}
    if any("-rc" in name and name.partition("@")[0] in bases for name in exports):
        remedy = "It was built for a release candidate of WASI 0.3: rebuild it with a newer version of its SDK."
    else:
        remedy = handlers[0].remedy
    return ComponentUnsupported(message, remedy=remedy)


def find_handler(trigger: str, program: LinkedComponent) -> Entry:
    """What a trigger calls, of a component that `check_handler` has let pass."""
    handler, name, _ = _find(HANDLERS[trigger], program.type)
    export = program.export(name, handler.function)
    assert export is not None
    return Entry(export, handler.style)


def _find(handlers: Sequence[Handler], found: ComponentType) -> tuple[Handler, str, Function | None]:
    """The first that there is, the interface's full name, and the function's type or None."""
    for handler in handlers:
        if not handler.interface:
            if handler.function in found.functions:
                return handler, "", found.functions[handler.function]
            continue
        for name, interface in found.exports.items():
            if _is_one(name, handler.interface) and handler.function in interface.functions:
                return handler, name, interface.functions[handler.function]
    return handlers[0], "", None


def _is_one(name: str, prefix: str) -> bool:
    return name == prefix if "-rc" in prefix else name.startswith(prefix) and "-rc" not in name
