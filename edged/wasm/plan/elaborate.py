"""A component's definitions followed to the end, symbolically: from bytes to a `Plan`.

Theory of operation: the outermost component is instantiated as the specification says, with symbols in place of
values. A core instance is the number of the step that makes it; a function is where it will be found; an imported one
is its name. Nested components are instantiated as often as the definitions say so, each time anew, which makes their
resource types distinct. What this does is bounded by counting, for a small file can ask for a thousand million
instances: every definition followed takes from one budget.

That definitions fit each other (types of what is passed for imports, subtyping) is wasmtime's to validate, on the same
bytes. Here every reference is checked to exist and to be of its sort, so that a mistake is an error and never a wrong
plan; signatures of core functions are `verify.py`'s.

Source: component model, `design/mvp/Explainer.md`, "Instance Definitions" to "Import and Export Definitions".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edged.errors import ComponentInvalid, ComponentTooLarge, ComponentUnsupported
from edged.limits import (
    COMPONENT_DEPTH_MAX,
    COMPONENT_ELABORATION_COUNT_MAX,
    COMPONENT_INSTANCE_COUNT_MAX,
    COMPONENT_STEP_COUNT_MAX,
    GuestLimits,
)
from edged.wasm.plan.binary import parse
from edged.wasm.plan.definitions import (
    AliasCoreExport,
    AliasExport,
    AliasOuter,
    CanonBuiltIn,
    CanonLift,
    CanonLower,
    Component,
    CoreInline,
    CoreInstantiate,
    CoreModule,
    CoreType,
    Export,
    Import,
    Inline,
    Instantiate,
    NestedComponent,
    ResourceDefinition,
    SortIndex,
)
from edged.wasm.plan.functions import Functions
from edged.wasm.plan.host_imports import HostImports
from edged.wasm.plan.module import ModuleTypes, module_types
from edged.wasm.plan.plan import CoreExport, CoreKind, HostImport, Lifted, Plan, ResourceType, Step, Trampoline
from edged.wasm.plan.resolve import Types
from edged.wasm.plan.scope import CoreInstance, Exports, Item, OpenComponent, Resource, Scope, shown
from edged.wasm.plan.verify import verify
from edged.wasm.plan.world import world

_OUTER_SORTS = ("type", "component", "core module", "core type")
_CORE_KINDS: dict[str, CoreKind] = {
    "core func": "func",
    "core table": "table",
    "core memory": "memory",
    "core global": "global",
    "core tag": "tag",
}


def build_plan(data: bytes | memoryview, limits: GuestLimits | None = None) -> Plan:
    """A component's plan, verified.

    Args:
        data: a whole component, or its skeleton; wasmtime has validated it, or will before the plan is used.
        limits: if given, what the app may have of core instances, memories and tables.

    Raises:
        ComponentInvalid: not a component, or definitions that do not fit each other.
        ComponentUnsupported: it has or imports something that edged does not do.
        ComponentTooLarge: more, deeper or larger than may be.
    """
    component = parse(data)
    modules = tuple([module_types(data, module.start, module.end) for module in _modules(component)])
    plan = elaborate(component, modules)
    verify(plan, modules, limits)
    return plan


def elaborate(component: Component, modules: Sequence[ModuleTypes]) -> Plan:
    """The plan of a component.

    Args:
        modules: types of its core modules, by number.

    Raises:
        As `build_plan`.
    """
    elaboration = _Elaboration(modules)
    return elaboration.plan(elaboration.instantiate(OpenComponent(component, None), None, None))


def _modules(component: Component) -> list[CoreModule]:
    """Core modules of a component and those nested in it, in the order of their bytes."""
    found: list[CoreModule] = []
    for definition in component.definitions:
        if isinstance(definition, CoreModule):
            found.append(definition)
        elif isinstance(definition, NestedComponent):
            found.extend(_modules(definition.component))
    return found


class _Elaboration:
    """What is collected while definitions are followed."""

    def __init__(self, modules: Sequence[ModuleTypes]) -> None:
        self.modules = modules
        self.left = COMPONENT_ELABORATION_COUNT_MAX
        self.depth = 0
        self.parents: list[int | None] = []
        self.steps: list[Step] = []
        self.resources: list[ResourceType] = []
        self.types = Types(self.take)
        self.functions = Functions(self.types, self.resources)
        self.host = HostImports(self.types, self.resources, self.take)

    def take(self, count: int) -> None:
        """Count what is followed."""
        self.left -= count
        if self.left < 0:
            raise ComponentTooLarge(
                f"the component instantiates more than {COMPONENT_ELABORATION_COUNT_MAX} definitions",
                remedy="Instantiate nested components less often.",
            )

    def plan(self, exports: Exports) -> Plan:
        self.take(sum(len(item) for sort, item in exports.values() if sort == "instance"))
        functions, interfaces = _exported_functions(exports)
        return Plan(
            module_count=len(self.modules),
            steps=tuple(self.steps),
            trampolines=tuple(self.functions.trampolines),
            instance_count=len(self.parents),
            instance_parents=tuple(self.parents),
            resources=tuple(self.resources),
            exports=interfaces,
            functions=functions,
            type=world(self.host.imports, exports, len(self.resources)),
        )

    def instantiate(self, opened: OpenComponent, arguments: Exports | None, parent: int | None) -> Exports:
        """Follow a component's definitions, once, to what it exports.

        Args:
            arguments: what its imports get; None for the host's.
            parent: number of the instance that asks for it.
        """
        if self.depth == COMPONENT_DEPTH_MAX:
            raise ComponentTooLarge(f"the component's instances nest more than {COMPONENT_DEPTH_MAX} deep")
        if len(self.parents) == COMPONENT_INSTANCE_COUNT_MAX:
            raise ComponentTooLarge(f"the component makes more than {COMPONENT_INSTANCE_COUNT_MAX} component instances")
        scope = Scope(opened.scope, len(self.parents))
        self.parents.append(parent)
        self.depth += 1
        exports: dict[str, Item] = {}
        for definition in opened.component.definitions:
            self.take(1)
            follow = _FOLLOW.get(type(definition))
            if follow is not None:
                follow(self, scope, definition)
            elif isinstance(definition, Import):
                self._import(scope, definition, arguments)
            elif isinstance(definition, Export):
                exports[definition.name] = self._export(scope, definition)
            else:
                scope.add("type", self.types.define(scope, definition))
        self.depth -= 1
        return exports

    def _import(self, scope: Scope, definition: Import, arguments: Exports | None) -> None:
        if arguments is None:
            sort, item = self.host.item(scope, definition.name, definition.extern)
        elif definition.name in arguments:
            sort, item = arguments[definition.name]
        else:
            raise ComponentInvalid(f"a nested component imports {shown(definition.name)}, and is not given it")
        if sort != definition.extern.sort:
            raise ComponentInvalid(f"a nested component imports {shown(definition.name)}, and is given another sort")
        scope.add(sort, item)

    def _export(self, scope: Scope, definition: Export) -> Item:
        sort, index = definition.item
        item = scope.get(sort, index)
        scope.add(sort, item)
        return sort, item

    # --- definitions ---

    def core_module(self, scope: Scope, definition: CoreModule) -> None:
        scope.add("core module", definition)

    def core_type(self, scope: Scope, definition: CoreType) -> None:
        scope.add("core type", definition)

    def core_instantiate(self, scope: Scope, definition: CoreInstantiate) -> None:
        if len(self.steps) == COMPONENT_STEP_COUNT_MAX:
            raise ComponentTooLarge(
                f"the component makes more than {COMPONENT_STEP_COUNT_MAX} core instances",
                remedy="Make the component of fewer core modules.",
            )
        number = scope.core_module(definition.module).number
        module = self.modules[number]
        given = {name: scope.core_instance(instance) for name, instance in definition.arguments}
        self.take(len(module.imports) + len(given))
        imports: list[CoreExport | Trampoline] = []
        for wanted in module.imports:
            if wanted.module not in given:
                raise ComponentInvalid(f"a core module imports from {shown(wanted.module)}, and is not given it")
            imports.append(_core_export(given[wanted.module], wanted.name, wanted.kind))
        scope.add("core instance", CoreInstance(len(self.steps), module))
        self.steps.append(Step(number, scope.instance, tuple(imports)))

    def core_inline(self, scope: Scope, definition: CoreInline) -> None:
        scope.add("core instance", self._items(scope, definition.exports))

    def nested_component(self, scope: Scope, definition: NestedComponent) -> None:
        scope.add("component", OpenComponent(definition.component, scope))

    def instance(self, scope: Scope, definition: Instantiate) -> None:
        arguments = self._items(scope, definition.arguments)
        opened = scope.component(definition.component)
        scope.add("instance", self.instantiate(opened, arguments, scope.instance))

    def inline(self, scope: Scope, definition: Inline) -> None:
        scope.add("instance", self._items(scope, definition.exports))

    def _items(self, scope: Scope, named: Sequence[tuple[str, SortIndex]]) -> dict[str, Item]:
        self.take(len(named))
        return {name: (sort, scope.get(sort, index)) for name, (sort, index) in named}

    def alias_export(self, scope: Scope, definition: AliasExport) -> None:
        found = scope.instance_exports(definition.instance).get(definition.name)
        if found is None or found[0] != definition.sort:
            raise ComponentInvalid(f"the component takes {shown(definition.name)} of an instance that has no such item")
        scope.add(definition.sort, found[1])

    def alias_core_export(self, scope: Scope, definition: AliasCoreExport) -> None:
        kind = _CORE_KINDS.get(definition.sort)
        if kind is None:
            raise ComponentInvalid(f"the component takes a {definition.sort} of a core instance")
        instance = scope.core_instance(definition.instance)
        scope.add(definition.sort, _core_export(instance, definition.name, kind))

    def alias_outer(self, scope: Scope, definition: AliasOuter) -> None:
        if definition.sort not in _OUTER_SORTS:
            raise ComponentInvalid(f"the component takes a {definition.sort} from around itself")
        scope.add(definition.sort, scope.outer(definition.outwards).get(definition.sort, definition.item))

    def resource(self, scope: Scope, definition: ResourceDefinition) -> None:
        destructor = None
        if definition.destructor is not None:
            destructor = self.functions.core_export(scope, definition.destructor, "a destructor")
        self.resources.append(ResourceType(instance=scope.instance, destructor=destructor))
        scope.add("type", Resource(len(self.resources)))

    def lift(self, scope: Scope, definition: CanonLift) -> None:
        scope.add("func", self.functions.lift(scope, definition))

    def lower(self, scope: Scope, definition: CanonLower) -> None:
        scope.add("core func", self.functions.lower(scope, definition))

    def built_in(self, scope: Scope, definition: CanonBuiltIn) -> None:
        scope.add("core func", self.functions.built_in(scope, definition))


_FOLLOW: dict[type, Callable[[_Elaboration, Scope, Any], None]] = {
    CoreModule: _Elaboration.core_module,
    CoreType: _Elaboration.core_type,
    CoreInstantiate: _Elaboration.core_instantiate,
    CoreInline: _Elaboration.core_inline,
    NestedComponent: _Elaboration.nested_component,
    Instantiate: _Elaboration.instance,
    Inline: _Elaboration.inline,
    AliasExport: _Elaboration.alias_export,
    AliasCoreExport: _Elaboration.alias_core_export,
    AliasOuter: _Elaboration.alias_outer,
    ResourceDefinition: _Elaboration.resource,
    CanonLift: _Elaboration.lift,
    CanonLower: _Elaboration.lower,
    CanonBuiltIn: _Elaboration.built_in,
}


def _core_export(instance: CoreInstance | Exports, name: str, kind: CoreKind) -> CoreExport | Trampoline:
    """What a core instance has under a name."""
    if isinstance(instance, CoreInstance):
        found = instance.module.exports.get(name)
        if found is not None and found[0] == kind:
            return CoreExport(instance.step, name, kind)
    else:
        item = instance.get(name)
        if item is not None and _CORE_KINDS.get(item[0]) == kind:
            return item[1]  # type: ignore[no-any-return]
    raise ComponentInvalid(f"a core instance is to have the {kind} {shown(name)}, and has none")


def _exported_functions(exports: Exports) -> tuple[dict[str, Lifted], dict[str, dict[str, Lifted]]]:
    functions: dict[str, Lifted] = {}
    interfaces: dict[str, dict[str, Lifted]] = {}
    for name, (sort, item) in exports.items():
        if sort == "func":
            functions[name] = _own(shown(name), item)
        elif sort == "instance":
            interfaces[name] = {
                inner: _own(f"{shown(inner)} of {shown(name)}", function)
                for inner, (inner_sort, function) in item.items()
                if inner_sort == "func"
            }
    return functions, interfaces


def _own(name: str, function: Lifted | HostImport) -> Lifted:
    if isinstance(function, HostImport):
        raise ComponentUnsupported(
            f"the component exports {name}, which it only imports", remedy="Export functions of the component's own."
        )
    return function
