"""Who answers an import: the host interface of its name and version, and the Python function behind a WIT name.

The same for every kind of guest that imports WIT interfaces; see `edged.host.interface` for how they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edged.errors import ComponentUnsupported
from edged.host.interface import Interface, Resource
from edged.wasm.binding import HostFunction
from edged.wasm.types import InstanceType


def by_name(interfaces: Iterable[Interface]) -> dict[str, list[Interface]]:
    """Interfaces by their name without version, for `provider`."""
    provided: dict[str, list[Interface]] = {}
    for interface in interfaces:
        provided.setdefault(interface.wit, []).append(interface)
    return provided


def provider(provided: Mapping[str, Sequence[Interface]], name: str) -> Interface | None:
    """The interface that serves an import.

    Args:
        provided: as `by_name` gives it.
        name: full, as `wasi:io/streams@0.2.3`.
    """
    base, _, version = name.partition("@")
    for interface in provided.get(base, ()):
        for served in interface.versions:
            # "0.2" serves every release of its track, but a pre-release is another interface.
            if version == served or (version.startswith(served + ".") and "-" not in version):
                return interface
    return None


def providers(
    imports: Mapping[str, InstanceType], interfaces: Iterable[Interface], refusable: Sequence[str]
) -> dict[str, Interface | None]:
    """Who serves each interface that a component imports; None: calls of it are refused. Interfaces of types only are
    left out: there is nothing to call.

    Args:
        refusable: name prefixes of interfaces that are known but not provided (`fermyon:spin/`).

    Raises:
        ComponentUnsupported: interfaces that nobody knows.
    """
    provided = by_name(interfaces)
    found = {
        name: provider(provided, name) for name, imported in imports.items() if imported.functions or imported.resources
    }
    known = tuple(refusable)
    unknown = [name for name, interface in found.items() if interface is None and not name.startswith(known)]
    if unknown:
        raise ComponentUnsupported(
            f"the component imports {', '.join(unknown)}, which edged does not know",
            remedy="Build the component for a world of wasi:http, 0.2 (proxy) or 0.3 (service), or one of Spin's.",
        )
    return found


def resolve(interface: Interface, name: str, item: str) -> HostFunction | None:
    """The Python function behind a WIT name, or None; see the table in `edged.host.interface`.

    Args:
        name: full, for messages: `wasi:io/streams@0.2.3#[method]input-stream.read`.
        item: as in WIT, `[method]input-stream.read`.
    """
    kind, _, rest = item.removeprefix("[").partition("]") if item.startswith("[") else ("", "", item)
    resource, _, method = rest.partition(".")
    owner: Any = interface
    match kind:
        case "method":
            owner, attribute = interface.resources.get(resource), method
        case "static":
            attribute = f"{resource}-{method}"
        case "constructor":
            attribute = f"{resource}-constructor"
        case _:
            attribute = item
    attribute = attribute.replace("-", "_")
    call = getattr(owner, attribute, None)
    # What every class of ours has is not the guest's to call: `drop` of a handle that it keeps would leave it reading a
    # file descriptor that is somebody else's next.
    if not callable(call) or hasattr(Resource if kind == "method" else Interface, attribute):
        return None
    return HostFunction.of(name, call, takes_invocation=kind != "method")
