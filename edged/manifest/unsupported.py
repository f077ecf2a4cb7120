"""What an app asks for that this edged does not have: named when it is loaded, not at its first request."""

from __future__ import annotations

from collections.abc import Iterator

from edged.manifest.model import App, Component, OtherTrigger, RegistrySource, Trigger


def unsupported(app: App) -> tuple[str, ...]:
    """One line for each thing, as `spin.toml:LINE: ...`; empty if edged can run the app.

    The caller raises `edged.errors.Unsupported` with them.
    """
    found = [
        (trigger.line, f"trigger `{trigger.id}` {text}") for trigger in app.triggers for text in _of_trigger(trigger)
    ]
    found += [
        (component.line, f"component `{component.id}` {text}")
        for component in app.components.values()
        for text in _of_component(component)
    ]
    return tuple(f"{app.manifest_path}:{line}: {text}" for line, text in sorted(found))


def _of_trigger(trigger: Trigger) -> Iterator[str]:
    if isinstance(trigger, OtherTrigger):
        yield f"is of type `{trigger.type}`; `http`, `redis` and `cron` are served"
        return
    if trigger.components:
        yield "has further `components`"
    if trigger.dependencies:
        yield "has `dependencies` (middleware)"


def _of_component(component: Component) -> Iterator[str]:
    if isinstance(component.source, RegistrySource):
        yield "has its source in a component registry; use a path, or `{ url, digest }`"
    if component.dependencies:
        yield "has `dependencies`; compose it before (wac plug)"
