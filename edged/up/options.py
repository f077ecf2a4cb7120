"""What a developer asks of `edged up`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edged.host.initial_state import InitialState
from edged.http.listener import ListenOptions
from edged.limits import GuestLimits
from edged.runtime_config import RuntimeConfig
from edged.runtime_config.networks import NetworkName
from edged.variables_provider import Provider


@dataclass(frozen=True, slots=True)
class UpOptions:
    """All options of one run.

    Attributes:
        paths: of each app the manifest, or the folder with it; at least one.
        cache_folder: for compiled artefacts and for sources fetched by URL.
        components: ids of the components to serve; empty for all.
        environment: variables that every component gets, over its own.
        variables: values of application variables. They may be secrets and stay out of the repr.
        variables_providers: asked in order for what `variables` does not have.
        profile: build profile of the manifest.
        build: build before the first load.
        watch: rebuild, load and swap when files change.
        build_output: file descriptor for the builds' stdout, or None for this process's own.
        state_folder: where stores and databases are kept, or None for `.spin` in the app's folder. Several apps have a
            folder of their own in it.
        log_folder: also write guests' output to files there, likewise.
        limits: of every guest of the app.
        runtime_config: what it says of these folders and limits is in them already.
        initial: set once, when the app is first loaded.
        allow_networks: that guests may reach although they are not public, besides those of `runtime_config`.
    """

    paths: tuple[Path, ...]
    cache_folder: Path
    listen: ListenOptions = field(default_factory=ListenOptions)
    components: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables_providers: tuple[Provider, ...] = ()
    profile: str | None = None
    build: bool = False
    watch: bool = False
    build_output: int | None = None
    state_folder: Path | None = None
    log_folder: Path | None = None
    limits: GuestLimits = field(default_factory=GuestLimits)
    runtime_config: RuntimeConfig = field(default_factory=RuntimeConfig)
    initial: InitialState = field(default_factory=InitialState)
    allow_networks: tuple[NetworkName, ...] = ()
