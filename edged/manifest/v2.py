"""Manifest version 2: `spin_manifest_version = 2`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from edged.manifest.application import DETAILS, parse_variables
from edged.manifest.component import parse_component
from edged.manifest.context import Context
from edged.manifest.document import Node
from edged.manifest.draft import AppDraft
from edged.manifest.fields import Field, Parse, array, integer, keys_of, mapping, plain_table, record
from edged.manifest.names import kebab_problem
from edged.manifest.sources import parse_target
from edged.manifest.trigger import CONFIGS, parse_triggers, redis_address_ahead


def make_context(root: Node, folder: Path) -> Context:
    """The names that this manifest declares, read ahead because triggers may stand before components."""
    address = redis_address_ahead(root, "application", "trigger", "redis", "address")
    return Context(folder, keys_of(root, "variables"), keys_of(root, "component"), address)


def read(root: Node, context: Context) -> AppDraft:
    """Read a whole manifest.

    Raises:
        Invalid: with all of its problems.
    """
    application = record(
        {
            **DETAILS,
            "targets": Field(array(parse_target)),
            "trigger": Field(_trigger_configs(context)),
            "tool": Field(mapping(plain_table)),
        }
    )
    manifest = record(
        {
            "spin_manifest_version": Field(integer(2, 2), required=True),
            "application": Field(application, required=True),
            "variables": Field(parse_variables),
            "trigger": Field(parse_triggers(context)),
            "component": Field(mapping(parse_component(context), kebab_problem)),
        }
    )
    values = manifest(root)
    details = dict(values["application"])
    details["version"] = details.get("version") or None
    details["trigger_configs"] = details.pop("trigger", MappingProxyType({}))
    details["tools"] = details.pop("tool", MappingProxyType({}))
    return AppDraft(
        details=details,
        variables=values.get("variables", MappingProxyType({})),
        components=values.get("component", MappingProxyType({})),
        triggers=values.get("trigger", ()),
    )


def _trigger_configs(context: Context) -> Parse[Mapping[str, Mapping[str, object]]]:
    return mapping(lambda node: CONFIGS[node.name](context)(node) if node.name in CONFIGS else plain_table(node))
