"""What a component imports and exports, as plain types: the same as wasmtime tells of a compiled one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edged.wasm.plan.scope import Exports, Item, Resource
from edged.wasm.types import ComponentType, Function, InstanceType


def world(imports: Mapping[str, Item], exports: Exports, resource_count: int) -> ComponentType:
    """
    Args:
        imports: of the outermost component. Functions that are in no interface are under the name "".
        exports: of its instance.
        resource_count: how many resource types the component has; those that it neither imports nor exports have
            no name.
    """
    names: dict[int, tuple[str, str]] = {}
    imported = _interfaces(imports, names)
    bare = _functions(imports)
    if bare:
        imported[""] = InstanceType(bare)
    exported = _interfaces(exports, names)
    numbered = tuple([names.get(number, ("", "")) for number in range(1, resource_count + 1)])
    return ComponentType(imported, exported, numbered, _functions(exports))


def _interfaces(items: Mapping[str, Item], names: dict[int, tuple[str, str]]) -> dict[str, InstanceType]:
    found = {}
    for name, (sort, instance) in items.items():
        if sort == "instance":
            resources = dict(_resources(instance))
            for inner, number in resources.items():
                names.setdefault(number, (name, inner))
            found[name] = InstanceType(_functions(instance), resources)
        elif sort == "type" and isinstance(instance, Resource):
            names.setdefault(instance.number, ("", name))
    return found


def _resources(items: Mapping[str, Item]) -> Iterator[tuple[str, int]]:
    for name, (sort, item) in items.items():
        if sort == "type" and isinstance(item, Resource):
            yield name, item.number


def _functions(items: Mapping[str, Item]) -> dict[str, Function]:
    return {name: item.type for name, (sort, item) in items.items() if sort == "func"}
