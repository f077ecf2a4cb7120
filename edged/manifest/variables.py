"""Values of variables: application variables first, then what each component makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edged.errors import VariableError
from edged.manifest.model import App, Component
from edged.manifest.problems import nearest, shown


def resolve(app: App, given: Mapping[str, str], ambient: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, str]:
    """A value for every application variable: the one given, else the ambient one, else its default.

    Args:
        given: meant for this app, so that a name it does not have is a mistake.
        ambient: there for any app (the environment), so that such names are passed over.

    Raises:
        VariableError: a required variable without a value, or a value for a variable that the app does not have; all
            of them in one message. Values are never in it.
    """
    found = {name: value for name, value in ambient.items() if name in app.variables} | dict(given)
    unknown = [
        f"unknown variable {shown(name)}{nearest(name, app.variables)}" for name in given if name not in app.variables
    ]
    missing = [
        f"{app.manifest_path}:{variable.line}: the required variable `{name}` has no value"
        for name, variable in app.variables.items()
        if variable.default is None and name not in found
    ]
    if missing:
        raise VariableError("\n".join(missing + unknown))
    if unknown:
        raise VariableError("\n".join(unknown), remedy="Correct the name, or declare it under [variables].")
    defaults = {name: variable.default for name, variable in app.variables.items() if variable.default is not None}
    return MappingProxyType(defaults | found)


def component_values(component: Component, values: Mapping[str, str]) -> Mapping[str, str]:
    """The variables that a component sees, by its own names.

    Args:
        values: of the application, from `resolve`.
    """
    return MappingProxyType({name: template.render(values) for name, template in component.variables.items()})
