"""What a load is told besides the manifest, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from edged.host.initial_state import InitialState
from edged.limits import GuestLimits
from edged.runtime_config.model import RuntimeConfig
from edged.runtime_config.networks import NetworkName
from edged.triggers.scope import TickNews
from edged.variables_provider import Provider


@dataclass(frozen=True, slots=True)
class ComponentLoaded:
    """What loading one component came to.

    Attributes:
        seconds: from source to linked.
        refusals: imports that are refused when called.
    """

    id: str
    digest: str
    compiled: bool
    seconds: float
    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What the operator or developer adds to the manifest.

    Attributes:
        environment: variables that every component gets, over its own.
        variables: values of application variables. They may be secrets and stay out of the repr.
        providers: of values that `variables` does not have.
        runtime_config: of the operator.
        networks_allowed: that guests may reach, besides those of the runtime config.
        networks_closed: that they never reach, whatever anybody allows.
        initial: put into the app's state before anything runs.
        state_folder: where stores and databases are kept; None for an app whose stores are not there.
        log_folder: also write guests' output to files there.
        limits: of every guest of the app.
        goes_first: its requests begin before those of other apps that wait to.
        sources: cache folder for sources fetched by URL.
        ticks: told of the ticks of triggers with a scope that are called; None where nobody gives orders, and such
            triggers are called here like any other.
        on_compile: told a component's id and size in bytes when it has to be compiled, which takes seconds.
        on_loaded: told what became of each component.
    """

    sources: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    providers: Sequence[Provider] = ()
    runtime_config: RuntimeConfig = field(default_factory=RuntimeConfig)
    networks_allowed: Sequence[NetworkName] = ()
    networks_closed: Sequence[IPv4Network | IPv6Network] = ()
    initial: InitialState = field(default_factory=InitialState)
    state_folder: Path | None = None
    log_folder: Path | None = None
    limits: GuestLimits = field(default_factory=GuestLimits)
    goes_first: bool = False
    ticks: TickNews | None = None
    on_compile: Callable[[str, int], None] = lambda _component, _bytes: None
    on_loaded: Callable[[ComponentLoaded], None] = lambda _component: None
