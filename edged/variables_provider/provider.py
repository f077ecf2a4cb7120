"""The seam: whoever knows values of variables, and the way from all of them to the variables of one app.

    --variable ── providers of the runtime config, in order ── the environment ── defaults of the manifest

Values are asked for when an app is loaded, so that one that is missing is an error of the load and not of the first
request. A value that changes later is seen by the next load.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from edged.manifest import App, resolve


class Provider(Protocol):
    """Whoever knows values of variables."""

    async def values(self, names: Collection[str]) -> Mapping[str, str]:
        """Values of those of the variables that it knows. No other provider is asked for these.

        Raises:
            VariablesUnavailable: it cannot be asked. Neither a value nor what it is asked with is in the message.
        """


async def resolve_variables(app: App, given: Mapping[str, str], providers: Sequence[Provider]) -> Mapping[str, str]:
    """A value for every application variable, from the first that has one: `given`, the providers, its default.

    Args:
        given: meant for this app, so that a name it does not have is a mistake.
        providers: in order; each is asked only for what those before it did not know.

    Raises:
        VariableError: as `edged.manifest.resolve`.
        VariablesUnavailable: a provider that is needed cannot be asked.
    """
    found: dict[str, str] = {}
    for provider in providers:
        names = [name for name in app.variables if name not in given and name not in found]
        if names:
            found |= await provider.values(names)
    return resolve(app, given, found)
