"""Manifest version 1: `spin_manifest_version = "1"`, from before Spin 2, read as the same model.

What differs: one trigger type for the whole app, each component has its own trigger, `config` is what v2 calls
`variables`, ids may have underscores and capitals, and databases anywhere may be reached unless
`allowed_outbound_hosts` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edged.manifest.application import DETAILS, parse_variables
from edged.manifest.component import make_component, shared_fields, variable_templates
from edged.manifest.context import Context
from edged.manifest.document import Node
from edged.manifest.draft import AppDraft
from edged.manifest.fields import Field, Parse, items_of, keys_of, line, plain_table, record, table_of
from edged.manifest.model import Component, HttpTrigger, OtherTrigger, RedisTrigger, SpinExecutor, Trigger
from edged.manifest.names import kebab_from, kebab_problem
from edged.manifest.outbound import DATABASES_ANYWHERE
from edged.manifest.problems import Problems, shown
from edged.manifest.template import Template
from edged.manifest.trigger import CONFIGS, Draft, http_fields, redis_address, redis_address_ahead, redis_fields

VERSION_KEYS = ("spin_manifest_version", "spin_version")


def make_context(root: Node, folder: Path) -> Context:
    """The names that this manifest declares; ids as they will be in the model."""
    child = table_of(root).get("component")
    items = child.value if child is not None and isinstance(child.value, list) else []
    ids = (item.value["id"].value for item in items if isinstance(item.value, dict) and "id" in item.value)
    return Context(
        folder,
        keys_of(root, "variables"),
        frozenset(kebab_from(id_) for id_ in ids if isinstance(id_, str)),
        redis_address_ahead(root, "trigger", "address") if _trigger_type(root) == "redis" else None,
    )


def read(root: Node, context: Context) -> AppDraft:
    """Read a whole manifest.

    Raises:
        Invalid: with all of its problems.
    """
    trigger_type = _trigger_type(root)
    manifest = record(
        {
            **{key: Field(Node.plain) for key in VERSION_KEYS},
            **DETAILS,
            "trigger": Field(_app_trigger(context, trigger_type), required=True),
            "variables": Field(parse_variables),
            "component": Field(_components(context, trigger_type)),
        }
    )
    values = manifest(root)
    components, triggers = values.get("component", ({}, ()))
    details = {key: values[key] for key in DETAILS if key in values}
    details["version"] = details.get("version") or None
    details["trigger_configs"] = MappingProxyType({trigger_type: values["trigger"]})
    return AppDraft(details, values.get("variables", MappingProxyType({})), components, triggers)


def _trigger_type(root: Node) -> str:
    """The type of all triggers, or nothing where it is wrong: then `_app_trigger` says so."""
    trigger = table_of(root).get("trigger")
    node = trigger.value.get("type") if trigger is not None and isinstance(trigger.value, dict) else None
    return node.value if node is not None and isinstance(node.value, str) else ""


def _app_trigger(context: Context, trigger_type: str) -> Parse[Mapping[str, object]]:
    def parse(node: Node) -> Mapping[str, object]:
        type_ = table_of(node).get("type")
        if type_ is None:
            raise node.invalid("needs `type`")
        line(type_)
        without_type = {key: child for key, child in table_of(node).items() if key != "type"}
        config = Node(without_type, node.line, node.path, node.name)
        return CONFIGS[trigger_type](context)(config) if trigger_type in CONFIGS else plain_table(config)

    return parse


Components = tuple[Mapping[str, Component], tuple[Draft, ...]]


def _components(context: Context, trigger_type: str) -> Parse[Components]:
    def parse_all(node: Node) -> Components:
        problems = Problems()
        components: dict[str, Component] = {}
        drafts = []
        for item in items_of(node):
            parsed = problems.attempt(_component(context, trigger_type), item)
            if parsed is None:
                continue
            component, draft = parsed
            if component.id in components:
                first = components[component.id].line
                problems.add(item.line, f"the component id {shown(component.id)} is taken by the one on line {first}")
            components[component.id] = component
            drafts.append(draft)
        problems.check()
        return MappingProxyType(components), tuple(drafts)

    return parse_all


def _component(context: Context, trigger_type: str) -> Parse[tuple[Component, Draft]]:
    fields = _FIELDS.get(trigger_type)
    table = record(
        {
            "id": Field(_id, required=True),
            **shared_fields(context),
            "config": Field(variable_templates(context)),
            "trigger": Field(plain_table if fields is None else record(fields(context)), required=True),
        }
    )

    def parse(node: Node) -> tuple[Component, Draft]:
        values = table(node)
        id_ = values.pop("id")
        trigger = _trigger(context, trigger_type, f"trigger-{id_}", node, values.pop("trigger"))
        if "config" in values:
            values["variables"] = values.pop("config")
        # Before that field existed, databases needed no permission.
        if "allowed_outbound_hosts" not in values:
            values["allowed_outbound_hosts"] = tuple(Template(host, (host,)) for host in DATABASES_ANYWHERE)
        return make_component(context, id_, node, values), Draft(trigger_type, trigger, id_, {})

    return parse


def _id(node: Node) -> str:
    text = line(node)
    id_ = kebab_from(text)
    if reason := kebab_problem(id_):
        raise node.invalid(f"= {shown(text)} {reason}")
    return id_


def _trigger(context: Context, type_: str, id_: str, component: Node, values: dict[str, Any]) -> Trigger:
    if type_ == "http":
        executor = values.get("executor", SpinExecutor())
        return HttpTrigger(id=id_, route=values["route"], executor=executor, line=component.line)
    if type_ == "redis":
        address = redis_address(context, table_of(component)["trigger"], values)
        return RedisTrigger(id=id_, channel=values["channel"], address=address, line=component.line)
    return OtherTrigger(id=id_, type=type_, config=values, line=component.line)


_FIELDS: Mapping[str, Callable[[Context], dict[str, Field]]] = {"http": http_fields, "redis": redis_fields}
"""Type of trigger -> the keys of [component.trigger]."""
