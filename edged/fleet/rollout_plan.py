"""What a rollout wants (`edged.fleet.rollout`): all that holds, each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edged.fleet.record import Version
from edged.fleet.report import Stage
from edged.fleet.rollout_event import NONE, Target


@dataclass(frozen=True, slots=True)
class Refused:
    """A deployment that was tried and will not be again.

    Attributes:
        reverted: it was live, and failed then; or it failed, and so did what was live before it.
    """

    version: Version
    reverted: bool
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Saved:
    """What outlives the process.

    Attributes:
        floor: the newest deployment that was ever asked for; none below it is followed.
        watched: whether `live` is new, so that it may be taken back.
        previous: what comes back then; None if there was nothing before.
    """

    floor: Version = NONE
    live: Target | None = None
    watched: bool = False
    previous: Target | None = None
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """The one thing to work on; any other is to be given up."""

    kind: Literal["fetch", "check-out"]
    target: Target


@dataclass(frozen=True, slots=True)
class Placement:
    """A release that workers have loaded; `serve` is false for one that is only kept ready, or made ready."""

    target: Target
    serve: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """All that holds from now on.

    Attributes:
        saved: to be on disk before `placements` are applied.
        placements: all that workers have of this app, at most one of them to be served.
        wake_at: when to send a `Tick`; None if time alone changes nothing.
        desired: sequence that is asked for, 0 if none is.
        running: sequence that is served, 0 if none is.
        release: that is served, "" if none is.
        code, message: why it is not, where it is not, what is desired.
    """

    saved: Saved
    task: Task | None
    placements: tuple[Placement, ...]
    wake_at: float | None
    stage: Stage
    desired: int
    running: int
    release: str
    code: str
    message: str
