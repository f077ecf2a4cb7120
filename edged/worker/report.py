"""What a worker tells its supervisor: how each site of its table does. Every second, and at every change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edged.errors import EdgedError
from edged.worker.latency import Latency
from edged.worker.wire import Wire, as_wire, parse_record

Stage = Literal["waiting", "loading", "compiling", "probing", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it travels: the three parts that every one has."""

    code: str
    message: str
    remedy: str

    @staticmethod
    def of(error: EdgedError) -> Failure:
        return Failure(error.code, error.message, error.remedy)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests that ended, since the site was loaded. Only clients' own: not probes, not calls between components.

    Attributes:
        served: without an error. What status they had is the guest's affair.
        failed: by an error of the guest: a trap, a limit, no response.
        latency: of both, from the request's head to the response's end.
    """

    served: int = 0
    failed: int = 0
    latency: Latency = field(default_factory=Latency)


@dataclass(frozen=True, slots=True)
class TriggerState:
    """A trigger with a scope, of a site whose triggers this worker calls.

    Attributes:
        expression: of its schedule; "" for a channel.
        listening: messages of the channel arrive.
    """

    scope: Literal["region", "fleet"]
    expression: str = ""
    listening: bool = False


@dataclass(frozen=True, slots=True)
class SiteState:
    """One site in one worker.

    Attributes:
        stage: `waiting` for its turn to be loaded.
        serving: whether requests reach it.
        failure: why it is not ready; None unless `failed`.
        triggers: those with a scope, by id; none where another worker calls them.
    """

    stage: Stage
    serving: bool = False
    failure: Failure | None = None
    traffic: Traffic = field(default_factory=Traffic)
    triggers: Mapping[str, TriggerState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """A worker, all of it.

    Attributes:
        version: of the table that it is at.
        listening: connections are accepted. From then on until the end.
        requests_active: under way.
        connections_open: of all listeners.
        certificate_failure: why the certificates of this table are not in use, but those before.
        sites: by key, each of the table and no other.
    """

    version: int
    listening: bool
    requests_active: int
    connections_open: int
    certificate_failure: Failure | None
    sites: Mapping[str, SiteState]


@dataclass(frozen=True, slots=True)
class Loading:
    """What a worker is about to load: told before, since it may not survive it. "" when that is over."""

    key: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A call of a cron trigger with a scope: told before it, since the process may not survive it, and after it.

    Attributes:
        tick: unix s.
        ended: it has ended, however.
    """

    app: str
    trigger: str
    tick: int
    ended: bool


def tick_wire(tick: Tick) -> Wire:
    return as_wire(tick)


def parse_tick(value: object) -> Tick:
    """Raises:
    ControlError
    """
    return parse_record(Tick, value)


def parse_loading(value: object) -> Loading:
    """Raises:
    ControlError
    """
    return parse_record(Loading, value)


def report_wire(report: Report) -> Wire:
    return {
        "version": report.version,
        "listening": report.listening,
        "requests_active": report.requests_active,
        "connections_open": report.connections_open,
        "certificate_failure": _failure_wire(report.certificate_failure),
        "sites": {key: _site_wire(site) for key, site in report.sites.items()},
    }


def parse_report(value: object) -> Report:
    """Raises:
    ControlError
    """
    return parse_record(Report, value)


def _site_wire(site: SiteState) -> Wire:
    traffic = site.traffic
    return {
        "stage": site.stage,
        "serving": site.serving,
        "failure": _failure_wire(site.failure),
        "traffic": {"served": traffic.served, "failed": traffic.failed, "latency": traffic.latency.filled()},
        "triggers": {id_: as_wire(trigger) for id_, trigger in site.triggers.items()},
    }


def _failure_wire(failure: Failure | None) -> Wire | None:
    if failure is None:
        return None
    return {"code": failure.code, "message": failure.message, "remedy": failure.remedy}
