"""A locked app -> the `spin.toml` (version 2) that says the same. Pure."""

from __future__ import annotations

from typing import Any

import tomli_w

from registry.errors import OciInvalid
from registry.oci.document import Table
from registry.oci.locked_app import LockedApp, LockedComponent

_TEXT_COUNT_MAX = 10_000  # hosts, labels or authors of one list

_COMPONENT_LISTS = {
    "allowed_outbound_hosts": "allowed_outbound_hosts",
    "allowed_http_hosts": "allowed_http_hosts",  # what Spin 1 wrote
    "key_value_stores": "key_value_stores",
    "databases": "sqlite_databases",
    "ai_models": "ai_models",
}
"""Key of a component's metadata -> key of the manifest."""


def component_path(component_id: str) -> str:
    """Where the component itself is, in the app's folder."""
    return f"components/{component_id}.wasm"


def files_path(component_id: str) -> str:
    """The folder with its files."""
    return f"files/{component_id}"


def spin_toml(app: LockedApp) -> bytes:
    """The manifest.

    Raises:
        OciInvalid: something that cannot be said in one.
    """
    document = {
        "spin_manifest_version": 2,
        "application": _application(app),
        "variables": {name: _variable(table) for name, table in app.variables.table_map()},
        "trigger": _triggers(app),
        "component": {component.id: _component(component) for component in app.components},
    }
    try:
        return tomli_w.dumps({key: value for key, value in document.items() if value}).encode()
    except (ValueError, TypeError) as error:  # UnicodeEncodeError is a ValueError
        raise OciInvalid(f"the locked app cannot be written as a manifest: {error}") from None


def _application(app: LockedApp) -> dict[str, Any]:
    metadata = app.metadata
    triggers = {type_: _plain(table.value, table.what) for type_, table in metadata.table("triggers").table_map()}
    if not triggers and metadata.table("trigger").value:  # before Spin 2.3, for the one type there was
        single = metadata.table("trigger")
        settings = {key: value for key, value in single.value.items() if key != "type"}
        triggers = {single.text("type"): _plain(settings, single.what)}
    return _without_empty(
        {
            "name": app.name,
            "version": app.version,
            "description": metadata.text("description", ""),
            "authors": metadata.texts("authors", _TEXT_COUNT_MAX),
            "trigger": _without_empty(triggers),
        }
    )


def _variable(table: Table) -> dict[str, Any]:
    variable: dict[str, Any] = _without_empty({"description": table.text("description", "")})
    if table.value.get("default") is None:
        variable["required"] = True
    else:
        variable["default"] = table.text("default")
    return variable | ({"secret": True} if table.boolean("secret") else {})


def _triggers(app: LockedApp) -> dict[str, list[dict[str, Any]]]:
    triggers: dict[str, list[dict[str, Any]]] = {}
    for trigger in app.triggers:
        config = trigger.table("trigger_config")
        table = {"id": trigger.text("id"), **_plain(config.value, config.what)}
        triggers.setdefault(trigger.text("trigger_type"), []).append(table)
    return triggers


def _component(component: LockedComponent) -> dict[str, Any]:
    metadata = component.table.table("metadata")
    lists = {
        key: metadata.texts(theirs, _TEXT_COUNT_MAX)
        for theirs, key in _COMPONENT_LISTS.items()
        if not (theirs == "allowed_http_hosts" and "allowed_outbound_hosts" in metadata.value)
    }
    files = [{"source": files_path(component.id), "destination": "/"}] if component.files else []
    return _without_empty(
        {
            "source": component_path(component.id),
            "description": metadata.text("description", ""),
            "environment": component.table.table("env").text_map(),
            "variables": component.table.table("config").text_map(),
            "files": files,
            **lists,
        }
    )


def _without_empty(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value not in ("", [], {})}


def _plain(value: dict[str, object], what: str) -> dict[str, Any]:
    """JSON as TOML takes it: null is no value there, so a key with it is left out."""
    return {key: _value(item, f"{what}.{key}") for key, item in value.items() if item is not None}


def _value(value: object, what: str) -> Any:
    if isinstance(value, dict):
        return _plain(value, what)
    if isinstance(value, list):
        if None in value:
            raise OciInvalid(f"{what} has null in an array, which no manifest can say")
        return [_value(item, what) for item in value]
    return value
