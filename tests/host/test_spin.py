"""Spin's interfaces that guests of WASI 0.3 import, held against the list of their functions in spin-0.3.txt."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from edged.host.interface import Interface, Resource
from edged.host.registry import HostConfig, spin_interfaces
from edged.wasm.provide import by_name, provider, resolve

PROVIDED = by_name(spin_interfaces(HostConfig()))
ALIASES = {"[method]connection.delete"}
"""What a guest could call and WIT does not name: `del` by the name that a Python method can have."""


def listed() -> Mapping[str, Mapping[str, int]]:
    """Interface -> function -> how many arguments it takes."""
    found: dict[str, dict[str, int]] = {}
    interface = ""
    for line in Path(__file__).with_name("spin-0.3.txt").read_text().splitlines():
        if not line.startswith(" "):
            interface = line
            found[interface] = {}
            continue
        name, _, arguments = line.strip().removesuffix(")").partition("(")
        found[interface][name] = len(arguments.split(", ")) if arguments else 0
    return found


FUNCTIONS = [(interface, name, count) for interface, named in listed().items() for name, count in named.items()]


def reachable(interface: Interface) -> Sequence[str]:
    """What a guest could name and would be given, as WIT spells it."""
    resources = sorted(interface.resources, key=len, reverse=True)
    found = []
    for attribute in dir(type(interface)):
        item = attribute.replace("_", "-")
        owner = next((name for name in resources if item.startswith(f"{name}-")), None)
        if owner is not None:
            method = item.removeprefix(f"{owner}-")
            item = f"[constructor]{owner}" if method == "constructor" else f"[static]{owner}.{method}"
        found.append(item)
    for name, resource in interface.resources.items():
        found += [f"[method]{name}.{attribute.replace('_', '-')}" for attribute in dir(resource)]
    # No word of a WIT name is empty, as before the underscore that private names begin with.
    return [item for item in found if re.search(r"(^|[.-])-", item) is None and resolve(interface, "x", item)]


def test_the_list_is_whole() -> None:
    assert len(FUNCTIONS) == 43
    assert len(listed()) == 8


@pytest.mark.parametrize(("interface", "name", "count"), FUNCTIONS)
def test_every_function_is_provided_with_its_arguments(interface: str, name: str, count: int) -> None:
    found = provider(PROVIDED, interface)
    assert found is not None
    function = resolve(found, interface, name)
    assert function is not None
    given = range(count + 1)  # the invocation, or the resource, is one
    inspect.signature(function.call).bind(*given)
    with pytest.raises(TypeError):
        inspect.signature(function.call).bind(*given, 0)


@pytest.mark.parametrize("interface", listed())
def test_nothing_else_can_be_called(interface: str) -> None:
    found = provider(PROVIDED, interface)
    assert found is not None
    assert set(reachable(found)) - ALIASES == set(listed()[interface])


@pytest.mark.parametrize("interface", listed())
def test_resources_have_no_dict(interface: str) -> None:
    """A request makes dozens of them."""
    found = provider(PROVIDED, interface)
    assert found is not None
    for resource in found.resources.values():
        assert issubclass(resource, Resource)
        assert resource.__dictoffset__ == 0
