"""What a rollout is told (`edged.fleet.rollout`). Each event is about one version; order does not matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edged.fleet.record import Version
from edged.fleet.wave import Verdict

NONE = Version(0, 0)
"""Before every deployment."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a deployment asks of this node.

    Attributes:
        release: its digest; "" if the app is not to run here.
    """

    version: Version
    release: str


@dataclass(frozen=True, slots=True)
class Desired:
    """The newest deployment that this node has accepted. Not told as long as there is none.

    Attributes:
        waits: it is not loaded before `Judged` says so.
    """

    target: Target
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """Every chunk is in the store, and the release's signature was found good."""

    version: Version


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """`passing`: it may go well another time."""

    version: Version
    code: str
    message: str
    passing: bool


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """Its files are on disk, verified."""

    version: Version


@dataclass(frozen=True, slots=True)
class CheckOutFailed:
    """What kept it from being laid out.

    Attributes:
        incomplete: chunks are missing or were found corrupt, so that they have to be fetched.
        passing: else: it may go well another time.
    """

    version: Version
    code: str
    message: str
    incomplete: bool
    passing: bool = True


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether the wave of this node may go."""

    version: Version
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Preparing:
    """How far workers are."""

    version: Version
    step: Literal["compile", "probe"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Every live worker can serve it."""

    version: Version


@dataclass(frozen=True, slots=True)
class PrepareFailed:
    """A worker cannot serve it. `passing`: it may go well another time. What is live, workers try again."""

    version: Version
    code: str
    message: str
    passing: bool


@dataclass(frozen=True, slots=True)
class Crashed:
    """A worker process ended by itself while it loaded or served this."""

    version: Version


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests that ended since the last time this was said.

    Attributes:
        failed: of them, those that the guest is to blame for.
    """

    version: Version
    ended: int
    failed: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = (
    Desired
    | Fetched
    | FetchFailed
    | CheckedOut
    | CheckOutFailed
    | Judged
    | Preparing
    | Prepared
    | PrepareFailed
    | Crashed
    | Requests
    | Tick
)
