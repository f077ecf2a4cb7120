"""Triggers. Their components may be written inline, so what a parser gives is a `Draft`, named later."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from edged.manifest.component import parse_component
from edged.manifest.context import Context
from edged.manifest.document import Node
from edged.manifest.fields import (
    Field,
    Parse,
    array,
    boolean,
    either,
    integer,
    items_of,
    line,
    mapping,
    record,
    string,
    table_of,
)
from edged.manifest.model import (
    Component,
    CronTrigger,
    Dependency,
    Executor,
    HttpTrigger,
    OtherTrigger,
    RedisTrigger,
    SpinExecutor,
    StaticResponse,
    Trigger,
    WagiExecutor,
)
from edged.manifest.names import kebab_problem
from edged.manifest.problems import shown
from edged.manifest.routes import route_problem
from edged.manifest.schedule import Schedule, ScheduleError, parse_schedule
from edged.manifest.sources import parse_trigger_dependencies
from edged.manifest.template import Template, parse_template

WELL_KNOWN = "/.well-known/spin/"
"""Paths that edged answers itself."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_FRAMING_HEADERS = frozenset(
    ("connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A trigger before its inline components have ids, and before it has one itself (then `id` is empty)."""

    type: str
    trigger: Trigger
    component: str | Component | None
    components: Mapping[str, tuple[str | Component, ...]]


# --- fields of all triggers ---


def _component_reference(context: Context) -> Parse[str | Component]:
    def reference(node: Node) -> str:
        text = line(node)
        if reason := kebab_problem(text):
            raise node.invalid(f"= {shown(text)} {reason}")
        return context.component_id(node, text)

    return either(string=reference, table=parse_component(context))


def _components(context: Context) -> Parse[tuple[str | Component, ...]]:
    one = _component_reference(context)
    return either(string=lambda node: (one(node),), table=lambda node: (one(node),), array=array(one))


def _shared_fields(context: Context) -> dict[str, Field]:
    return {
        "id": Field(line),
        "component": Field(_component_reference(context)),
        "components": Field(mapping(_components(context))),
        "dependencies": Field(parse_trigger_dependencies(context)),
    }


def parse_triggers(context: Context) -> Parse[tuple[Draft, ...]]:
    """The table `trigger` of v2: type -> array of triggers."""

    def of_type(node: Node) -> tuple[Draft, ...]:
        if isinstance(node.value, dict):
            raise node.invalid(f"must be an array of tables: write [[{node.path}]]")
        items_of(node)
        parse = _PARSERS[node.name](context) if node.name in _PARSERS else _parse_other(context, node.name)
        return array(parse)(node)

    def parse(node: Node) -> tuple[Draft, ...]:
        return tuple(draft for drafts in mapping(of_type)(node).values() for draft in drafts)

    return parse


def _parse_other(context: Context, type_: str) -> Parse[Draft]:
    def parse(node: Node) -> Draft:
        shared = _shared_fields(context)
        own = {key: Field(Node.plain) for key in table_of(node) if key not in shared}
        values = record(shared | own)(node)
        config = MappingProxyType({key: values[key] for key in own})
        trigger = OtherTrigger(
            id=values.get("id", ""), type=type_, config=config, dependencies=_dependencies(values), line=node.line
        )
        return _draft(type_, trigger, values)

    return parse


def _parse_http(context: Context) -> Parse[Draft]:
    table = record(_shared_fields(context) | {"static_response": Field(_static_response)} | http_fields(context))

    def parse(node: Node) -> Draft:
        values = table(node)
        if ("component" in values) == ("static_response" in values):
            what = "has both" if "component" in values else "needs either"
            raise node.invalid(f"{what} `component` {'and' if 'component' in values else 'or'} `static_response`")
        trigger = HttpTrigger(
            id=values.get("id", ""),
            static_response=values.get("static_response"),
            route=values["route"],
            executor=values.get("executor", SpinExecutor()),
            dependencies=_dependencies(values),
            line=node.line,
        )
        return _draft("http", trigger, values)

    return parse


def _parse_cron(context: Context) -> Parse[Draft]:
    own = {
        "component": Field(_component_reference(context), required=True),
        "cron_expression": Field(_schedule, required=True),
    }
    table = record(_shared_fields(context) | own)

    def parse(node: Node) -> Draft:
        values = table(node)
        trigger = CronTrigger(
            id=values.get("id", ""),
            schedule=values["cron_expression"],
            dependencies=_dependencies(values),
            line=node.line,
        )
        return _draft("cron", trigger, values)

    return parse


def _schedule(node: Node) -> Schedule:
    text = line(node)
    try:
        return parse_schedule(text)
    except ScheduleError as error:
        raise node.invalid(f"= {shown(text)} {error}") from None


def _parse_redis(context: Context) -> Parse[Draft]:
    own = {"component": Field(_component_reference(context), required=True)}
    table = record(_shared_fields(context) | own | redis_fields(context))

    def parse(node: Node) -> Draft:
        values = table(node)
        trigger = RedisTrigger(
            id=values.get("id", ""),
            channel=values["channel"],
            address=redis_address(context, node, values),
            dependencies=_dependencies(values),
            line=node.line,
        )
        return _draft("redis", trigger, values)

    return parse


_PARSERS: Mapping[str, Callable[[Context], Parse[Draft]]] = {
    "http": _parse_http,
    "cron": _parse_cron,
    "redis": _parse_redis,
}
"""Type of trigger -> its parser, for the types that edged has."""


def _dependencies(values: dict[str, Any]) -> Mapping[str, tuple[Dependency, ...]]:
    dependencies: Mapping[str, tuple[Dependency, ...]] = values.get("dependencies", MappingProxyType({}))
    return dependencies


def _draft(type_: str, trigger: Trigger, values: dict[str, Any]) -> Draft:
    return Draft(type_, trigger, values.get("component"), values.get("components", {}))


# --- fields of http triggers ---


def http_fields(context: Context) -> dict[str, Field]:
    """Keys of an http trigger that v1 and v2 have in common."""
    return {
        "route": Field(either(string=_route(context), table=_private), required=True),
        "executor": Field(_executor(context)),
    }


def _route(context: Context) -> Parse[str]:
    def parse(node: Node) -> str:
        text = string(node)
        if reason := route_problem(text):
            raise node.invalid(f"= {shown(text)} {reason}")
        route = text if text.startswith("/") else f"/{text}"
        if route.startswith(WELL_KNOWN):
            context.warn(node, f"is below {WELL_KNOWN}, which edged answers itself: it will never be reached")
        return route

    return parse


def _private(node: Node) -> None:
    values = record({"private": Field(boolean, required=True)})(node)
    if not values["private"]:
        raise node.invalid("must be a string, or `{ private = true }`")


def _executor(context: Context) -> Parse[Executor]:
    def entrypoint(node: Node) -> str:
        context.warn(node, "is deprecated: leave it out")
        if string(node) != "_start":
            raise node.invalid("must be `_start`")
        return "_start"

    spin = record({"type": Field(string)})
    wagi = record({"type": Field(string), "argv": Field(string), "entrypoint": Field(entrypoint)})

    def parse(node: Node) -> Executor:
        kind = table_of(node).get("type")
        if kind is None:
            raise node.invalid("needs `type`")
        if kind.value in ("http", "spin"):
            spin(node)
            return SpinExecutor()
        if kind.value == "wagi":
            values = wagi(node)
            return WagiExecutor(values["argv"]) if "argv" in values else WagiExecutor()
        raise kind.invalid("must be `http` or `wagi`")

    return parse


def _header_problem(name: str) -> str | None:
    if not _HEADER_NAME.fullmatch(name):
        return "is not a header name"
    if name.lower() in _FRAMING_HEADERS:
        return "is a header that edged sets itself"
    return None


def _header_value(node: Node) -> str:
    text = string(node)
    if any((c < " " and c != "\t") or c == "\x7f" for c in text):
        raise node.invalid("must not hold control characters")
    return text.strip(" \t")


def _static_response(node: Node) -> StaticResponse:
    fields = {
        "status_code": Field(integer(200, 599)),
        "headers": Field(mapping(_header_value, _header_problem)),
        "body": Field(string),
    }
    values = record(fields)(node)
    return StaticResponse(
        values.get("status_code", 200),
        tuple((name.lower(), value) for name, value in values.get("headers", {}).items()),
        values.get("body", "").encode(),
    )


def http_config(context: Context) -> Parse[Mapping[str, object]]:
    """Settings for all http triggers: only `base`, which must be `/`."""

    def base(node: Node) -> str:
        if string(node) != "/":
            raise node.invalid("must be `/`: write the whole path in each route")
        context.warn(node, "is deprecated: leave it out")
        return "/"

    return lambda node: MappingProxyType(record({"base": Field(base)})(node))


# --- fields of redis triggers ---


def redis_fields(context: Context) -> dict[str, Field]:
    """Keys of a redis trigger that v1 and v2 have in common."""
    template = _template_line(context)
    return {"channel": Field(template, required=True), "address": Field(template)}


def redis_address(context: Context, node: Node, values: Mapping[str, Any]) -> Template:
    """The server of a redis trigger whose fields are `values`."""
    address: Template | None = values.get("address", context.redis_address)
    if address is None:
        raise node.invalid("needs `address`, here or for all redis triggers of the application")
    return address


def redis_config(context: Context) -> Parse[Mapping[str, object]]:
    """Settings for all redis triggers: only `address`."""
    template = _template_line(context)
    table = record({"address": Field(lambda node: template(node).text, required=True)})
    return lambda node: MappingProxyType(table(node))


def redis_address_ahead(root: Node, *path: str) -> Template | None:
    """The application's address, read ahead because triggers may stand before it. `redis_config` says what is wrong."""
    node = root
    for key in path:
        if not isinstance(node.value, dict) or key not in node.value:
            return None
        node = node.value[key]
    if not isinstance(node.value, str):
        return None
    try:
        return parse_template(node.value)
    except ValueError:
        return Template(node.value, ())


def _template_line(context: Context) -> Parse[Template]:
    return lambda node: context.template(node, line(node))


CONFIGS: Mapping[str, Callable[[Context], Parse[Mapping[str, object]]]] = {"http": http_config, "redis": redis_config}
"""Type of trigger -> the parser of the settings for all triggers of it."""
