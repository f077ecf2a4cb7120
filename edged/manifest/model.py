"""What an application is, whichever version of the manifest described it.

Everything is immutable and checked: paths are joined to the app's folder, ids exist, templates name variables that
the app has. Mappings keep the order of the manifest. `line` is where a thing stands in the file, for messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from edged.manifest.schedule import Schedule
from edged.manifest.template import Template


@dataclass(frozen=True, slots=True)
class Variable:
    """An application variable. Either it is required, or it has a default."""

    name: str
    # Out of the repr, so that the default of a secret does not end up in a log.
    default: str | None = field(default=None, repr=False)
    required: bool = False
    secret: bool = False
    description: str = ""
    line: int = field(default=1, compare=False)


# --- where the bytes of a component are ---


@dataclass(frozen=True, slots=True)
class PathSource:
    """A file; a relative path is joined to the app's folder. It may lie outside of that (a Cargo workspace)."""

    path: Path


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A file to be fetched over HTTP(S).

    Attributes:
        digest: `sha256:` and 64 lower-case hex digits.
    """

    url: str
    digest: str


@dataclass(frozen=True, slots=True)
class RegistrySource:
    """A package of a component registry.

    Attributes:
        registry: host name, or None for the default one.
        package: `namespace:name`.
        version: a version, or in a dependency a requirement such as `>=0.1.0`.
    """

    registry: str | None
    package: str
    version: str


@dataclass(frozen=True, slots=True)
class AppSource:
    """The component of this app with that id. In dependencies only."""

    component: str


Source = PathSource | UrlSource | RegistrySource


@dataclass(frozen=True, slots=True)
class Dependency:
    """What satisfies an import of a component, or stands in front of a trigger's component.

    Attributes:
        export: the export to use; None for the one named as the import.
        inherit_configuration: all, nothing, or the keys (`ai_models`, ...) that it shares with its component; None
            where the manifest leaves it to the component's `dependencies_inherit_configuration`.
    """

    source: Source | AppSource
    export: str | None = None
    inherit_configuration: bool | tuple[str, ...] | None = None


# --- components ---


@dataclass(frozen=True, slots=True)
class FilePattern:
    """A path or glob relative to the app's folder; each match is mounted under its own relative path."""

    pattern: str


@dataclass(frozen=True, slots=True)
class FilePlacement:
    """A file or a whole folder, mounted somewhere else.

    Attributes:
        source: relative to the app's folder.
        destination: absolute guest path.
    """

    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class Build:
    """How to build a component.

    Attributes:
        commands: shell command lines, run one after the other.
        workdir: folder that they run in.
        watch: paths and globs relative to `workdir` whose change calls for a rebuild.
    """

    commands: tuple[str, ...]
    workdir: Path
    watch: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """An environment that the app or component must be compatible with."""

    kind: Literal["catalogue", "url", "path"]
    value: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What a component's named profile puts in place of its usual values; None and empty change nothing."""

    source: Source | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    dependencies: Mapping[str, Dependency] = field(default_factory=dict)
    build: Build | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """A component and what it may use. A profile, if one was chosen, is already applied."""

    id: str
    source: Source
    description: str = ""
    variables: Mapping[str, Template] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    files: tuple[FilePattern | FilePlacement, ...] = ()
    exclude_files: tuple[str, ...] = ()
    allowed_outbound_hosts: tuple[Template, ...] = ()
    key_value_stores: tuple[str, ...] = ()
    sqlite_databases: tuple[str, ...] = ()
    ai_models: tuple[str, ...] = ()
    build: Build | None = None
    dependencies: Mapping[str, Dependency] = field(default_factory=dict)
    dependencies_inherit_configuration: bool = False
    targets: tuple[Target, ...] | None = None
    tools: Mapping[str, object] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    line: int = field(default=1, compare=False)


# --- triggers ---

Scope = Literal["node", "region", "fleet"]
"""Among whom a trigger's calls are shared: each node makes them all, or one node of a region, or of the fleet."""


@dataclass(frozen=True, slots=True)
class SpinExecutor:
    """The component exports an HTTP handler."""


@dataclass(frozen=True, slots=True)
class WagiExecutor:
    """The component is a command that speaks CGI.

    Attributes:
        argv: words separated by blanks, in which `${SCRIPT_NAME}` and `${ARGS}` are replaced.
    """

    argv: str = "${SCRIPT_NAME} ${ARGS}"


Executor = SpinExecutor | WagiExecutor


@dataclass(frozen=True, slots=True)
class StaticResponse:
    """An answer that needs no component.

    Attributes:
        status_code: 200 to 599.
        headers: names in lower case, values without control characters, in the manifest's order; never one that
            frames the message (`content-length`, ...).
    """

    status_code: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """Exactly one of `component` and `static_response` is there.

    Attributes:
        route: begins with a slash; None for a private endpoint, reached by service chaining only.
        components, dependencies: further components (middleware), by the trigger's own key.
    """

    id: str
    component: str | None = None
    static_response: StaticResponse | None = None
    route: str | None = None
    executor: Executor = SpinExecutor()
    components: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dependencies: Mapping[str, tuple[Dependency, ...]] = field(default_factory=dict)
    line: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class CronTrigger:
    """Runs a component again and again (`[[trigger.cron]]`, Spin's plugin of that name)."""

    type: ClassVar[str] = "cron"
    id: str
    component: str | None = None
    schedule: Schedule = field(kw_only=True)
    scope: Scope = field(default="node", kw_only=True)
    components: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dependencies: Mapping[str, tuple[Dependency, ...]] = field(default_factory=dict)
    line: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class RedisTrigger:
    """Runs a component with each message of a channel (`[[trigger.redis]]`).

    Attributes:
        address: of the server; that of the application, where the trigger has none of its own. It may hold a password
            and stays out of the repr.
    """

    type: ClassVar[str] = "redis"
    id: str
    component: str | None = None
    channel: Template = field(kw_only=True)
    address: Template = field(kw_only=True, repr=False)
    scope: Scope = field(default="node", kw_only=True)
    components: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dependencies: Mapping[str, tuple[Dependency, ...]] = field(default_factory=dict)
    line: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class OtherTrigger:
    """A trigger of any other type (a plugin's): `config` is what the manifest says, unchecked."""

    id: str
    type: str
    component: str | None = None
    config: Mapping[str, object] = field(default_factory=dict)
    components: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dependencies: Mapping[str, tuple[Dependency, ...]] = field(default_factory=dict)
    line: int = field(default=1, compare=False)


Trigger = HttpTrigger | CronTrigger | RedisTrigger | OtherTrigger


# --- the application ---


@dataclass(frozen=True, slots=True)
class App:
    """A whole application.

    Attributes:
        trigger_configs: settings for all triggers of a type, by type.
        manifest_path: absolute.
        manifest_version: 1 or 2, as the file says; the model is the same.
        warnings: deprecated things that were understood, each as `spin.toml:LINE: ...`.
        left_out: ids of components that the manifest has and this part of the app has not.
    """

    name: str
    manifest_path: Path
    manifest_version: int
    version: str | None = None
    description: str = ""
    authors: tuple[str, ...] = ()
    variables: Mapping[str, Variable] = field(default_factory=dict)
    triggers: tuple[Trigger, ...] = ()
    components: Mapping[str, Component] = field(default_factory=dict)
    trigger_configs: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    tools: Mapping[str, object] = field(default_factory=dict)
    profile: str | None = None
    warnings: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()

    @property
    def folder(self) -> Path:
        """The folder of the manifest, which its relative paths start from."""
        return self.manifest_path.parent

    @property
    def http_triggers(self) -> tuple[HttpTrigger, ...]:
        return tuple(trigger for trigger in self.triggers if isinstance(trigger, HttpTrigger))

    @property
    def cron_triggers(self) -> tuple[CronTrigger, ...]:
        return tuple(trigger for trigger in self.triggers if isinstance(trigger, CronTrigger))

    @property
    def redis_triggers(self) -> tuple[RedisTrigger, ...]:
        return tuple(trigger for trigger in self.triggers if isinstance(trigger, RedisTrigger))
