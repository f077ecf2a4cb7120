"""What providers differ in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.machine import Machine

Resources = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Of Terraform: arguments by type and name."""


def resource_name(machine: Machine) -> str:
    """A name of Terraform, which may not begin with a digit."""
    return f"_{machine.name}" if machine.name[0].isdigit() else machine.name


@dataclass(frozen=True, slots=True)
class Terraform:
    """Attributes:
    source, version: of Terraform's provider, as `required_providers` has them.
    resources: that make a machine, given the expression that stands for its user-data. Pure.
    """

    source: str
    version: str
    resources: Callable[[Machine, str], Resources]


@dataclass(frozen=True, slots=True)
class Provider:
    """Attributes:
    metadata_addresses: of its metadata service, which hands the user-data to whoever may ask; those that many
        clouds have are closed anyhow.
    tells_routers: its metadata names routers for BGP, by a provider's name that edged knows.
    takes_network: it is told the machine's network, instead of knowing it.
    packages: of Debian, to be installed where they are missing. None where there may be no mirror.
    terraform: None where Terraform makes no machines.
    """

    metadata_addresses: tuple[str, ...] = ()
    tells_routers: bool = False
    takes_network: bool = False
    packages: tuple[str, ...] = ()
    terraform: Terraform | None = None
