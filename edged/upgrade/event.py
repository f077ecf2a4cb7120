"""What `edged upgrade` tells whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from edged.event import Event
from edged.upgrade.steps import Outcome, Step


@dataclass(frozen=True, slots=True)
class Stepped(Event):
    """A step has begun, or there is news of it.

    Attributes:
        text: a sentence without its end, for people.
        seconds: since the beginning of all.
    """

    name: ClassVar[str] = "upgrade"
    step: Step
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Upgraded(Event):
    """It is over, and the version is in use.

    Attributes:
        sha256, version: of the one in use now; `version` as it says itself.
        before: sha256 of the one before, "" for none.
        away_s: from the order to restart until the node served as before; None without a restart.
        removed: versions that were removed, sha256 of each.
    """

    name: ClassVar[str] = "upgraded"
    outcome: Outcome
    sha256: str
    version: str
    before: str
    away_s: float | None
    removed: tuple[str, ...]


Show = Callable[[Stepped | Upgraded], None]
