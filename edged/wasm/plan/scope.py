"""Index spaces while a component is elaborated, and what stands in them.

A scope belongs to one instance of a component, or to one type that is being read. Nested ones see those around them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from edged.errors import ComponentInvalid
from edged.wasm.plan.definitions import Component, CoreModule, Declaration, Sort
from edged.wasm.plan.module import ModuleTypes
from edged.wasm.plan.plan import CoreExport, HostImport, Lifted, Trampoline
from edged.wasm.types import Function, WitType

Item = tuple[Sort, Any]
"""An item and its sort: what an instance has under a name."""

Exports = Mapping[str, Item]
"""An instance of a component: what it exports."""

CoreFunction = CoreExport | Trampoline
ComponentFunction = Lifted | HostImport


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource type, by its number in the plan."""

    number: int


@dataclass(frozen=True, slots=True, eq=False)
class OpenType:
    """A type of components or instances, not read before something of it is imported."""

    declarations: tuple[Declaration, ...]
    scope: Scope


@dataclass(frozen=True, slots=True, eq=False)
class OpenComponent:
    """A component, and where it was defined: it may refer to what is there."""

    component: Component
    scope: Scope | None


@dataclass(frozen=True, slots=True, eq=False)
class CoreInstance:
    """A core instance that a step makes."""

    step: int
    module: ModuleTypes


TypeItem = WitType | Function | Resource | OpenType

_SORTS: tuple[Sort, ...] = get_args(Sort)
_NAME_SHOWN_LENGTH = 200


def shown(name: str) -> str:
    """A name out of a component, for a message: quoted, and no longer than anyone reads."""
    return repr(name if len(name) <= _NAME_SHOWN_LENGTH else f"{name[:_NAME_SHOWN_LENGTH]}...")


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """
    Attributes:
        parent: of what stands around it.
        instance: number of the component instance.
    """

    parent: Scope | None
    instance: int
    spaces: dict[Sort, list[Any]] = field(default_factory=lambda: {sort: [] for sort in _SORTS})

    def add(self, sort: Sort, item: Any) -> None:
        self.spaces[sort].append(item)

    def get(self, sort: Sort, index: int) -> Any:
        """
        Raises:
            ComponentInvalid: there is no such item (yet).
        """
        space = self.spaces[sort]
        if index >= len(space):
            raise ComponentInvalid(f"the component refers to {sort} {index}, and has {len(space)} there")
        return space[index]

    def core_function(self, index: int) -> CoreFunction:
        found: CoreFunction = self.get("core func", index)
        return found

    def core_module(self, index: int) -> CoreModule:
        found: CoreModule = self.get("core module", index)
        return found

    def core_instance(self, index: int) -> CoreInstance | Exports:
        found: CoreInstance | Exports = self.get("core instance", index)
        return found

    def function(self, index: int) -> ComponentFunction:
        found: ComponentFunction = self.get("func", index)
        return found

    def instance_exports(self, index: int) -> Exports:
        found: Exports = self.get("instance", index)
        return found

    def component(self, index: int) -> OpenComponent:
        found: OpenComponent = self.get("component", index)
        return found

    def type(self, index: int) -> TypeItem:
        found: TypeItem = self.get("type", index)
        return found

    def outer(self, count: int) -> Scope:
        """The scope `count` further out."""
        scope: Scope | None = self
        for _ in range(count):
            scope = None if scope is None else scope.parent
            if scope is None:
                break
        if scope is None:
            raise ComponentInvalid(f"the component refers {count} components outwards, and does not nest so deep")
        return scope
