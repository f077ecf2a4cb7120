"""Who knows the values of application variables: the runtime config itself, the environment, Vault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from edged.runtime_config.model import EnvironmentVariables, StaticVariables, VariablesProvider, VaultVariables
from edged.variables_provider.environment import EnvironmentProvider
from edged.variables_provider.provider import Provider, resolve_variables
from edged.variables_provider.static import StaticProvider
from edged.variables_provider.vault import VaultProvider

__all__ = ["Provider", "providers_of", "resolve_variables"]


def providers_of(
    configured: Iterable[VariablesProvider], environment: Mapping[str, str], dotenv: Path | None = None
) -> tuple[Provider, ...]:
    """Those of a runtime config in its order, and after them the environment, which is always there, as in Spin.

    Args:
        environment: of the process.
        dotenv: a file that is read as well where it is there, for the environment that is always there.
    """
    last = EnvironmentProvider(environment, dotenv=dotenv, dotenv_required=False)
    return (*(_provider(config, environment) for config in configured), last)


def _provider(config: VariablesProvider, environment: Mapping[str, str]) -> Provider:
    match config:
        case StaticVariables(values):
            return StaticProvider(values)
        case EnvironmentVariables(prefix, dotenv_path):
            return EnvironmentProvider(environment, prefix, dotenv_path)
        case VaultVariables():
            return VaultProvider(config)
