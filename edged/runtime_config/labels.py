"""Labels that an app's components name, against those that there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from edged.errors import LabelUnknown
from edged.manifest.model import App, Component
from edged.manifest.problems import nearest, shown
from edged.runtime_config.model import DEFAULT_LABEL, RuntimeConfig


def check_labels(app: App, config: RuntimeConfig) -> None:
    """Every key-value store and database that a component names must be `default` or be configured, as in Spin.

    Raises:
        LabelUnknown: one line for each that is not.
    """
    found = [problem for component in app.components.values() for problem in _problems(component, config)]
    if found:
        tables = sorted({table for table, _, _ in found})
        raise LabelUnknown(
            "\n".join(f"{app.manifest_path}:{line}: {text}" for _, line, text in found),
            remedy=f"Add {' and '.join(tables)} to a runtime config (--runtime-config-file), or use `{DEFAULT_LABEL}`.",
        )


def _problems(component: Component, config: RuntimeConfig) -> Iterator[tuple[str, int, str]]:
    """The missing table, the component's line, and what is wrong."""
    kinds: tuple[tuple[str, str, Collection[str], Collection[str]], ...] = (
        ("key-value store", "key_value_store", component.key_value_stores, config.key_value_stores),
        ("SQLite database", "sqlite_database", component.sqlite_databases, config.sqlite_databases),
    )
    for what, table, labels, configured in kinds:
        known = {DEFAULT_LABEL, *configured}
        for label in labels:
            if label not in known:
                text = f"component `{component.id}` has the {what} {shown(label)}, which is not configured"
                yield f"[{table}.{label}]", component.line, text + nearest(label, known)
