"""The table of a component, the same in manifest v1 and v2 but for a few keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from edged.manifest import outbound
from edged.manifest.context import Context
from edged.manifest.document import Node
from edged.manifest.fields import (
    Field,
    Parse,
    array,
    boolean,
    either,
    line,
    mapping,
    named,
    plain_table,
    record,
    string,
)
from edged.manifest.globs import guest_path, pattern_problem, placement_problem
from edged.manifest.model import Build, Component, FilePattern, FilePlacement, Profile
from edged.manifest.names import environment_problem, label_problem, variable_problem
from edged.manifest.problems import shown
from edged.manifest.sources import parse_dependencies, parse_source, parse_target
from edged.manifest.template import Template


def shared_fields(context: Context) -> dict[str, Field]:
    """Keys of a component that v1 and v2 have in common."""
    return {
        "source": Field(parse_source(context), required=True),
        "description": Field(string),
        "environment": Field(_environment),
        "files": Field(array(either(string=_file_pattern, table=_file_placement))),
        "exclude_files": Field(array(_exclude_pattern)),
        "allowed_outbound_hosts": Field(array(_outbound_host(context))),
        "allowed_http_hosts": Field(_http_hosts),
        "key_value_stores": Field(array(named(label_problem))),
        "sqlite_databases": Field(array(named(label_problem))),
        "ai_models": Field(array(line)),
        "build": Field(_build(context)),
    }


def component_fields(context: Context) -> dict[str, Field]:
    """Keys of `[component.ID]` in v2."""
    return {
        **shared_fields(context),
        "variables": Field(variable_templates(context)),
        "dependencies": Field(parse_dependencies(context)),
        "dependencies_inherit_configuration": Field(boolean),
        "targets": Field(array(parse_target)),
        "tool": Field(mapping(plain_table)),
        "profile": Field(mapping(_profile(context))),
    }


def parse_component(context: Context) -> Parse[Component]:
    """A component of v2. Its id is its key: an inline component gets one later."""
    table = record(component_fields(context))

    def parse(node: Node) -> Component:
        return make_component(context, node.name, node, table(node))

    return parse


def make_component(context: Context, component_id: str, node: Node, values: dict[str, Any]) -> Component:
    """The component from the parsed values of its table; keys that only v2 has may be absent."""
    values = dict(values)
    http_hosts = values.pop("allowed_http_hosts", ())
    if http_hosts:
        text = ", ".join(f'"{host}"' for host in http_hosts)
        context.warn(node, f"has allowed_http_hosts, which is deprecated: write allowed_outbound_hosts = [{text}]")
    hosts = values.pop("allowed_outbound_hosts", ()) + tuple(Template(host, (host,)) for host in http_hosts)
    if "tool" in values:
        values["tools"] = values.pop("tool")
    if "profile" in values:
        values["profiles"] = values.pop("profile")
    return Component(id=component_id, allowed_outbound_hosts=hosts, line=node.line, **values)


def with_profile(component: Component, name: str | None) -> Component:
    """The component as the named profile would have it; itself where it has no such profile."""
    profile = component.profiles.get(name) if name is not None else None
    if profile is None:
        return component
    build = profile.build or component.build
    if profile.build and component.build:  # a profile has commands only: the rest stays
        build = replace(component.build, commands=profile.build.commands)
    return replace(
        component,
        source=profile.source or component.source,
        environment=MappingProxyType({**component.environment, **profile.environment}),
        dependencies=MappingProxyType({**component.dependencies, **profile.dependencies}),
        build=build,
    )


def variable_templates(context: Context) -> Parse[Mapping[str, Template]]:
    """`variables` of a v2 component, `config` of a v1 component."""
    return mapping(lambda node: context.template(node, string(node)), variable_problem)


# --- fields of the table ---


def _environment_value(node: Node) -> str:
    text = string(node)
    if "\0" in text:
        raise node.invalid("must not hold a NUL")
    return text


_environment = mapping(_environment_value, environment_problem)


def _checked(node: Node, reason: str | None) -> str:
    text = line(node)
    if reason:
        raise node.invalid(f"= {shown(text)} {reason}")
    return text


def _file_pattern(node: Node) -> FilePattern:
    return FilePattern(_checked(node, pattern_problem(line(node))))


def _exclude_pattern(node: Node) -> str:
    return _checked(node, pattern_problem(line(node)))


def _placement_source(node: Node) -> str:
    return _checked(node, placement_problem(line(node)))


def _placement_destination(node: Node) -> str:
    try:
        guest_path(line(node))
    except ValueError as error:
        raise node.invalid(str(error)) from None
    return line(node)


def _file_placement(node: Node) -> FilePlacement:
    fields = {
        "source": Field(_placement_source, required=True),
        "destination": Field(_placement_destination, required=True),
    }
    return FilePlacement(**record(fields)(node))


def _outbound_host(context: Context) -> Parse[Template]:
    def parse(node: Node) -> Template:
        template = context.template(node, line(node))
        if not template.names:
            try:
                outbound.parse_host(template.text)
            except ValueError as error:
                raise node.invalid(f"= {shown(template.text)} {error}") from None
        return template

    return parse


def _http_hosts(node: Node) -> tuple[str, ...]:
    try:
        entries = outbound.from_http_hosts(array(line)(node))
        for entry in entries:
            outbound.parse_host(entry)
    except ValueError as error:
        raise node.invalid(f"has an entry that is wrong: {error}") from None
    return entries


def _commands(node: Node) -> tuple[str, ...]:
    commands: tuple[str, ...] = either(string=lambda node: (line(node),), array=array(line))(node)
    if not commands:
        raise node.invalid("needs at least one command")
    return commands


def _build(context: Context) -> Parse[Build]:
    table = record({"command": Field(_commands, required=True), "workdir": Field(line), "watch": Field(array(line))})

    def parse(node: Node) -> Build:
        values = table(node)
        return Build(values["command"], context.folder / values.get("workdir", ""), values.get("watch", ()))

    return parse


def _profile(context: Context) -> Parse[Profile]:
    def build(node: Node) -> Build:
        values = record({"command": Field(_commands, required=True)})(node)
        return Build(values["command"], context.folder)

    table = record(
        {
            "source": Field(parse_source(context)),
            "environment": Field(_environment),
            "dependencies": Field(parse_dependencies(context)),
            "build": Field(build),
        }
    )
    return lambda node: Profile(**table(node))
