"""From providers to the variables of an app."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from edged.errors import VariableError, VariablesUnavailable
from edged.manifest import App, parse
from edged.runtime_config.model import EnvironmentVariables, StaticVariables, VaultVariables
from edged.variables_provider import Provider, providers_of, resolve_variables
from edged.variables_provider.environment import EnvironmentProvider
from edged.variables_provider.static import StaticProvider
from edged.variables_provider.vault import VaultProvider

SECRET = "geheim-1234"
APP = """spin_manifest_version = 2
application.name = "app"
variables.a.required = true
variables.b.default = "default"
variables.c.required = true
"""


@pytest.fixture
def app() -> App:
    trigger = '[[trigger.http]]\nroute = "/"\ncomponent = "c"\n[component.c]\nsource = "c.wasm"\n'
    return parse((APP + trigger).encode(), Path("spin.toml"))


class Asked(Provider):
    """Knows some values, and remembers what it was asked."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.names: list[str] = []

    async def values(self, names: Collection[str]) -> Mapping[str, str]:
        self.names += names
        return {name: value for name, value in self.known.items() if name in names}


class Broken(Provider):
    async def values(self, names: Collection[str]) -> Mapping[str, str]:
        raise VariablesUnavailable("broken")


async def test_the_first_that_knows_counts(app: App) -> None:
    first, second, third = Asked(b="1"), Asked(b="2", c="2"), Asked(b="3", c="3")
    values = await resolve_variables(app, {"a": "given"}, [first, second, third])
    assert values == {"a": "given", "b": "1", "c": "2"}
    assert (first.names, second.names, third.names) == (["b", "c"], ["c"], [])


async def test_defaults_come_last(app: App) -> None:
    assert await resolve_variables(app, {"a": "1", "c": ""}, [Asked()]) == {"a": "1", "b": "default", "c": ""}


async def test_a_provider_is_only_needed_for_what_is_missing(app: App) -> None:
    known = {"a": "1", "b": "2", "c": "3"}
    assert await resolve_variables(app, {}, [StaticProvider(known), Broken()]) == known
    with pytest.raises(VariablesUnavailable, match="broken"):
        await resolve_variables(app, {"a": "1", "b": "2"}, [Broken()])


async def test_what_is_missing_or_unknown(app: App) -> None:
    with pytest.raises(VariableError) as caught:
        await resolve_variables(app, {"d": SECRET}, [StaticProvider({"a": SECRET, "unknown": SECRET})])
    assert "required variable `c` has no value" in caught.value.message
    assert "unknown variable `d`" in caught.value.message
    assert SECRET not in caught.value.message


def test_the_environment_comes_after_what_is_configured(tmp_path: Path) -> None:
    vault = VaultVariables("http://vault.example", SECRET, "secret")
    configured = [StaticVariables({"a": SECRET}), vault, EnvironmentVariables("APP", tmp_path / "x")]
    environment = {"APP_A": SECRET}
    providers = providers_of(configured, environment, tmp_path / ".env")
    assert providers == (
        StaticProvider({"a": SECRET}),
        VaultProvider(vault),
        EnvironmentProvider(environment, "APP", tmp_path / "x", dotenv_required=True),
        EnvironmentProvider(environment, "SPIN_VARIABLE", tmp_path / ".env", dotenv_required=False),
    )
    assert SECRET not in repr(providers)
