"""Fields that say where a component's bytes are: sources, dependencies, targets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from edged.manifest.context import Context
from edged.manifest.document import Node
from edged.manifest.fields import Field, Parse, array, boolean, either, line, mapping, record, table_of
from edged.manifest.model import AppSource, Dependency, PathSource, RegistrySource, Source, Target, UrlSource
from edged.manifest.names import kebab_problem
from edged.manifest.problems import shown

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = r"[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?"
_VERSION_PATTERN = re.compile(_VERSION)
_PACKAGE = re.compile(r"[a-z][a-z0-9-]*:[a-z][a-z0-9-]*")
_INTERFACE = re.compile(rf"({_PACKAGE.pattern})(/[a-z][a-z0-9-]*)?(@{_VERSION})?")
_REGISTRY = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?")


# --- scalars ---


def _digest(node: Node) -> str:
    digest = line(node).lower()
    if not _DIGEST.fullmatch(digest):
        raise node.invalid("must be `sha256:` and 64 hex digits")
    return digest


def _url(node: Node) -> str:
    url = line(node)
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        valid = False
    if not valid:
        raise node.invalid("must be an http:// or https:// address")
    return url


def _matching(pattern: re.Pattern[str], what: str) -> Parse[str]:
    def parse(node: Node) -> str:
        text = line(node)
        if not pattern.fullmatch(text):
            raise node.invalid(f"must be {what}")
        return text

    return parse


_package = _matching(_PACKAGE, "a package name, as `namespace:name`")
_registry = _matching(_REGISTRY, "a registry's host name")


# --- sources ---


def parse_source(context: Context) -> Parse[Source]:
    """`source` of a component: `"path"`, `{url, digest}` or `{registry, package, version}`."""

    def path(node: Node) -> Source:
        return PathSource(context.folder / line(node))

    remote = record({"url": Field(_url, required=True), "digest": Field(_digest, required=True)})
    package = record(
        {
            "registry": Field(_registry),
            "package": Field(_package, required=True),
            "version": Field(_matching(_VERSION_PATTERN, "a version, as `1.2.3`"), required=True),
        }
    )

    def table(node: Node) -> Source:
        if "package" in table_of(node) or "registry" in table_of(node):
            values = package(node)
            return RegistrySource(values.get("registry"), values["package"], values["version"])
        return UrlSource(**remote(node))

    return either(string=path, table=table)


def parse_target(node: Node) -> Target:
    """An entry of `targets`: `"name"`, `{url}` or `{path}`."""

    def table(node: Node) -> Target:
        kind = "url" if "url" in table_of(node) else "path"
        values = record({kind: Field(line, required=True)})(node)
        return Target("url" if kind == "url" else "path", values[kind])

    def name(node: Node) -> Target:
        return Target("catalogue", line(node))

    target: Target = either(string=name, table=table)(node)
    return target


# --- dependencies ---


def parse_dependencies(context: Context) -> Parse[Mapping[str, Dependency]]:
    """`dependencies` of a component: import name -> what satisfies it."""
    return mapping(partial(_dependency, context), _import_problem)


def parse_trigger_dependencies(context: Context) -> Parse[Mapping[str, tuple[Dependency, ...]]]:
    """`dependencies` of a trigger: the trigger's own key -> components in order. They have no `export`."""

    return mapping(array(lambda node: _from_table(context, node, package=None, with_export=False)))


def _import_problem(text: str) -> str | None:
    if _INTERFACE.fullmatch(text) or kebab_problem(text) is None:
        return None
    return "is not an import: `namespace:package`, with `/interface` and `@version` as needed, or a kebab-case name"


def _dependency(context: Context, node: Node) -> Dependency:
    imported = _INTERFACE.fullmatch(node.name)
    package = imported[1] if imported else None

    def version(node: Node) -> Dependency:
        if package is None:
            raise node.invalid('needs a package; write `{ package = "namespace:name", version = ... }`')
        return Dependency(RegistrySource(None, package, line(node)))

    def table(node: Node) -> Dependency:
        dependency = _from_table(context, node, package, with_export=True)
        if imported and not imported[2] and dependency.export is not None:
            raise node.invalid("imports a whole package, so it cannot name one `export`")
        return dependency

    dependency: Dependency = either(string=version, table=table)(node)
    return dependency


def _registry_source(package: str | None, values: dict[str, Any]) -> RegistrySource:
    return RegistrySource(values.get("registry"), values.get("package") or package or "", values["version"])


def _from_table(context: Context, node: Node, package: str | None, *, with_export: bool) -> Dependency:
    def component(node: Node) -> str:
        return context.component_id(node, line(node))

    # By the key that tells the forms apart: the other keys, and what the values become.
    forms: dict[str, tuple[dict[str, Field], Callable[[dict[str, Any]], Source | AppSource]]] = {
        "path": ({"path": Field(line)}, lambda values: PathSource(context.folder / values["path"])),
        "url": (
            {"url": Field(_url), "digest": Field(_digest, required=True)},
            lambda values: UrlSource(values["url"], values["digest"]),
        ),
        "component": ({"component": Field(component)}, lambda values: AppSource(values["component"])),
        "version": (
            {
                "version": Field(line),
                "registry": Field(_registry),
                "package": Field(_package, required=package is None),
            },
            partial(_registry_source, package),
        ),
    }
    form = next((form for form in forms if form in table_of(node)), None)
    if form is None:
        raise node.invalid(f"needs one of {', '.join(map(shown, forms))}")
    fields, source = forms[form]
    shared = {"inherit_configuration": Field(either(boolean=boolean, array=array(line)))}
    if with_export:
        shared["export"] = Field(line)
    values = record(fields | shared)(node)
    return Dependency(source(values), values.get("export"), values.get("inherit_configuration"))
