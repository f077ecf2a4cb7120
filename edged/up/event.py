"""What happens during `edged up`, for whoever shows it: a terminal, or a program that reads JSON lines.

Each event is a frozen record with a `name` that does not change. `docs/edged-up.md` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from edged.errors import BuildFailed, EdgedError
from edged.event import Event
from edged.up.trigger import Route, Trigger


@dataclass(frozen=True, slots=True)
class Loading(Event):
    """The manifest was read; its components come next."""

    name: ClassVar[str] = "loading"
    app: str
    manifest: str
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something that works, and will surprise."""

    name: ClassVar[str] = "warning"
    message: str


@dataclass(frozen=True, slots=True)
class Building(Event):
    """A build command begins; its output follows."""

    name: ClassVar[str] = "building"
    component: str
    command: str


@dataclass(frozen=True, slots=True)
class Built(Event):
    name: ClassVar[str] = "built"
    component: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Compiling(Event):
    """A component is not in the cache, so it is compiled, which takes seconds for megabytes."""

    name: ClassVar[str] = "compiling"
    component: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Loaded(Event):
    """A component is compiled, linked and was instantiated once.

    Attributes:
        refused: imports that end the request which calls them.
    """

    name: ClassVar[str] = "loaded"
    component: str
    digest: str
    compiled: bool
    seconds: float
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listening(Event):
    """Requests are answered from now on, and the other triggers are at work."""

    name: ClassVar[str] = "listening"
    urls: tuple[str, ...]
    routes: tuple[Route, ...]
    triggers: tuple[Trigger, ...]
    watching: bool


@dataclass(frozen=True, slots=True)
class Changed(Event):
    """Files changed, so the app is prepared again.

    Attributes:
        paths: the first few of them.
        count: of all.
    """

    name: ClassVar[str] = "changed"
    paths: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Swapped(Event):
    """The new app answers from now on; the old one ends what it began.

    Attributes:
        seconds: since the change was seen.
    """

    name: ClassVar[str] = "swapped"
    app: str
    seconds: float
    routes: tuple[Route, ...]
    triggers: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class ReloadFailed(Event):
    """A changed app could not be built or loaded. The old one keeps serving."""

    name: ClassVar[str] = "load-failed"
    error: EdgedError = field(compare=False)

    def as_json(self) -> dict[str, object]:
        name = "build-failed" if isinstance(self.error, BuildFailed) else self.name
        return {"event": name, **self.error.as_json()}


@dataclass(frozen=True, slots=True)
class Stopping(Event):
    """Nothing new is accepted; requests under way may end."""

    name: ClassVar[str] = "stopping"
    requests_active: int
    grace_s: float


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    name: ClassVar[str] = "stopped"
    requests_served: int


Show = Callable[[Event], None]
"""Whoever shows events. Must not raise, and must not block for long: it is called on the loop that serves."""


def shown_path(path: Path, folder: Path) -> str:
    """A path as a developer knows it: relative to the app's folder if it is inside."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
