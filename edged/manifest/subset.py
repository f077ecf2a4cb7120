"""A part of an app, as `edged up --component-id` serves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

from edged.errors import UsageError
from edged.manifest.model import App
from edged.manifest.problems import nearest, shown


def subset(app: App, component_ids: Iterable[str]) -> App:
    """The app with only these components, and the triggers that start them. Static responses are left out.

    Raises:
        UsageError: an id that the app does not have.
    """
    wanted = dict.fromkeys(component_ids)
    for id_ in wanted:
        if id_ not in app.components:
            raise UsageError(
                f"the app has no component {shown(id_)}{nearest(id_, app.components)}",
                remedy=f"Name one of: {', '.join(app.components)}.",
            )
    return replace(
        app,
        components=MappingProxyType({id_: component for id_, component in app.components.items() if id_ in wanted}),
        triggers=tuple(trigger for trigger in app.triggers if trigger.component in wanted),
        left_out=app.left_out | (app.components.keys() - wanted.keys()),
    )
