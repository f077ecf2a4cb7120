"""The world of a core module that was built for the component model: its `component-type` section.

Bindings generators put the types of what a module imports and exports into a custom section, for the tool that makes a
component of the module. The section holds a component of types alone:

    (component
      (type (component
        (type (component (import "wasi:io/poll@0.2.0" (instance ...)) ... (export "wasi:http/..." (instance ...))))
        (export "root:component/world" (component (type 0)))))
      (export "world" (type 0)))

Bytes of a guest: parsed by the reader of components, with its limits. What a module does with its types is checked
against its own signatures when it is linked, so a section that lies is an error of the load.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.errors import ComponentInvalid, ComponentTooLarge
from edged.limits import COMPONENT_ELABORATION_COUNT_MAX
from edged.wasm.plan.binary import parse
from edged.wasm.plan.definitions import (
    AliasExport,
    AliasOuter,
    Component,
    ComponentTypeDefinition,
    CoreType,
    Declaration,
    ExportDeclaration,
    Import,
    ResourceDefinition,
)
from edged.wasm.plan.host_imports import HostImports
from edged.wasm.plan.plan import ResourceType
from edged.wasm.plan.reader import MODULE_PREAMBLE, PREAMBLE_BYTES, Reader, sections
from edged.wasm.plan.resolve import Types
from edged.wasm.plan.scope import Scope
from edged.wasm.plan.world import world
from edged.wasm.types import ComponentType

_CUSTOM = 0
_NAME = "component-type"


def find_section(module: bytes) -> bytes | None:
    """The content of a module's `component-type` section, or None. Of several, the first.

    Args:
        module: anything: what is no binary module, as one in text, has no such section.

    Raises:
        ComponentInvalid: a binary module that is malformed.
    """
    if not module.startswith(MODULE_PREAMBLE):
        return None
    for section in sections(module, 0, len(module)):
        if section.id == _CUSTOM:
            reader = Reader(module, section.start, section.end)
            if reader.name().partition(":")[0] == _NAME:
                return module[reader.position : section.end]
    return None


def read_world(section: bytes) -> ComponentType:
    """What a section says that its module imports and exports.

    Raises:
        ComponentInvalid: no component of types, or not one of a world.
        ComponentUnsupported: a type that edged does not have.
        ComponentTooLarge: more than may be.
    """
    if len(section) < PREAMBLE_BYTES:
        raise ComponentInvalid("the module's component-type section is empty")
    return _World().read(_declarations(parse(section)))


def _declarations(component: Component) -> Sequence[Declaration]:
    """Of the world: the component type inside of the component type that is exported."""
    found = [each for each in component.definitions if isinstance(each, ComponentTypeDefinition)]
    inner = [
        declaration
        for outer in found
        for declaration in outer.declarations
        if isinstance(declaration, ComponentTypeDefinition)
    ]
    if len(inner) != 1:
        raise ComponentInvalid("the module's component-type section does not hold one world")
    return inner[0].declarations


class _World:
    """What is collected while a world's declarations are followed."""

    def __init__(self) -> None:
        self._left = COMPONENT_ELABORATION_COUNT_MAX
        self._resources: list[ResourceType] = []
        self._types = Types(self._take)
        self._imported = HostImports(self._types, self._resources, self._take)
        self._exported = HostImports(self._types, self._resources, self._take)

    def read(self, declarations: Sequence[Declaration]) -> ComponentType:
        scope = Scope(None, 0)
        self._take(len(declarations))
        for declaration in declarations:
            match declaration:
                case Import(name, extern):
                    scope.add(*self._imported.item(scope, name, extern))
                case ExportDeclaration(name, extern):
                    scope.add(*self._exported.item(scope, name, extern))
                case AliasExport(sort, instance, inner):
                    found = scope.instance_exports(instance).get(inner)
                    if found is None or found[0] != sort:
                        raise ComponentInvalid(
                            f"the module's world takes {inner!r} of an instance that has no such item"
                        )
                    scope.add(sort, found[1])
                case AliasOuter() | ResourceDefinition():
                    raise ComponentInvalid("the module's world has what no world has")
                case CoreType():
                    scope.add("core type", declaration)
                case _:
                    scope.add("type", self._types.define(scope, declaration))
        return world(self._imported.imports, self._exported.imports, len(self._resources))

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ComponentTooLarge(
                f"the module's world has more than {COMPONENT_ELABORATION_COUNT_MAX} definitions",
                remedy="Import and export only what the module uses.",
            )
