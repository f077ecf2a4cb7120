"""What happens in a pool of workers, to whoever decides about releases."""

from __future__ import annotations

from dataclasses import dataclass

from edged.worker.report import Failure


@dataclass(frozen=True, slots=True)
class SiteReady:
    """Every worker that lives has loaded the site (and probed it, if it is a candidate)."""

    key: str


@dataclass(frozen=True, slots=True)
class SiteProbed:
    """A worker has loaded the candidate and asks it for its probe; told once."""

    key: str


@dataclass(frozen=True, slots=True)
class SiteFailed:
    """A worker could not load the site, or it failed its probe.

    Attributes:
        worker: which; None where loading it ended workers.
    """

    key: str
    worker: int | None
    failure: Failure


@dataclass(frozen=True, slots=True)
class WorkerCrashed:
    """A worker ended that nobody had asked to.

    Attributes:
        reason: `signal SIGKILL`, `status 70`.
        serving: keys of the sites that it served.
        loading: key of the site that it was loading, or "".
    """

    worker: int
    reason: str
    serving: tuple[str, ...]
    loading: str


@dataclass(frozen=True, slots=True)
class TickBegun:
    """A worker is about to call a tick (unix s) of a trigger with a scope."""

    app: str
    trigger: str
    tick: int


@dataclass(frozen=True, slots=True)
class TickEnded:
    """That call has ended, well or not.

    Attributes:
        was_cut: its worker ended with it.
    """

    app: str
    trigger: str
    tick: int
    was_cut: bool = False


PoolEvent = SiteProbed | SiteReady | SiteFailed | WorkerCrashed | TickBegun | TickEnded
