"""What a component imports from its host: interfaces, functions and types, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edged.errors import ComponentInvalid, ComponentUnsupported
from edged.wasm.plan.definitions import (
    AliasExport,
    AliasOuter,
    CoreType,
    ExportDeclaration,
    ExternType,
    Import,
    ResourceDefinition,
)
from edged.wasm.plan.plan import HostImport, ResourceType
from edged.wasm.plan.resolve import Types
from edged.wasm.plan.scope import Exports, Item, OpenType, Resource, Scope, shown

_REMEDY = "Build the component for a world that imports interfaces only (wasi:http/proxy, wasi:http/service)."


class HostImports:
    """Reads the outermost component's imports.

    Attributes:
        imports: what was imported, by name.
    """

    def __init__(self, types: Types, resources: list[ResourceType], take: Callable[[int], None]) -> None:
        self.imports: dict[str, Item] = {}
        self._types = types
        self._resources = resources
        self._take = take

    def item(self, scope: Scope, name: str, extern: ExternType) -> Item:
        """What stands for an import.

        Raises:
            ComponentUnsupported: no host has such a thing: a core module, a component, a value.
        """
        if extern.sort == "instance":
            found: Item = ("instance", self._interface(scope, name, extern))
        else:
            found = self._item(scope, "", name, extern)
        self.imports[name] = found
        return found

    def _item(self, scope: Scope, interface: str, name: str, extern: ExternType) -> Item:
        if extern.sort == "func" and extern.type is not None:
            function = self._types.function(scope, extern.type)
            self._types.use(function)
            return "func", HostImport(interface, name, function)
        if extern.sort == "type":
            if extern.type is not None:
                return "type", scope.type(extern.type)
            self._resources.append(ResourceType(interface, name))
            return "type", Resource(len(self._resources))
        where = f"{shown(name)} of {shown(interface)}" if interface else shown(name)
        raise ComponentUnsupported(
            f"the component imports {where}, of sort {extern.sort}: hosts have interfaces and functions",
            remedy=_REMEDY,
        )

    def _interface(self, outer: Scope, name: str, extern: ExternType) -> Exports:
        """An instance of an instance type, all of it the host's."""
        opened = None if extern.type is None else outer.type(extern.type)
        if not isinstance(opened, OpenType):
            raise ComponentInvalid(f"the component imports {shown(name)} with a type that is not an instance's")
        scope = Scope(opened.scope, opened.scope.instance)
        exports: dict[str, Item] = {}
        self._take(len(opened.declarations))
        for declaration in opened.declarations:
            match declaration:
                case ExportDeclaration(inner, described):
                    item = exports[inner] = self._item(scope, name, inner, described)
                    scope.add(*item)
                case AliasOuter(sort, outwards, position):
                    scope.add(sort, scope.outer(outwards).get(sort, position))
                case AliasExport(sort, instance, inner):
                    scope.add(sort, _exported(scope.instance_exports(instance), sort, inner))
                case CoreType():
                    scope.add("core type", declaration)
                case Import() | ResourceDefinition():
                    raise ComponentInvalid(f"the type of {shown(name)} has what no instance type may have")
                case _:
                    scope.add("type", self._types.define(scope, declaration))
        return exports


def _exported(exports: Exports, sort: str, name: str) -> Any:
    found = exports.get(name)
    if found is None or found[0] != sort:
        raise ComponentInvalid(f"the component takes {shown(name)} of an instance that has no such item")
    return found[1]
