"""What a supervisor knows of its workers, and what each is to be told. Sans-IO.

    set(sites), started, loading, reported, ended ──> PoolState ──> take_tables, take_orders: who is told what
                                                           └────> events, summaries, traffic, triggers

The lowest worker that lives leads: it loads a site first, and the others once it has the site ready. So a component is
compiled once for all of them, and one that ends the process that loads it ends one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edged.errors import LoadCrashed, TableFull
from edged.limits import LOAD_CRASH_COUNT_MAX, TABLE_SITES_BYTES_MAX
from edged.node.pool_event import PoolEvent, SiteFailed, SiteProbed, SiteReady, WorkerCrashed
from edged.node.trigger_calls import TriggerCalls
from edged.worker.latency import Latency
from edged.worker.report import Failure, Report, SiteState, Stage, Tick, Traffic, TriggerState
from edged.worker.table import CertificateFiles, Orders, Site, Table, TriggerOrder

_SITE_BYTES = 1024  # names of fields, keys and numbers

_NOTHING = SiteState("waiting")
_NO_TRAFFIC = Traffic()

_NOT_READY: tuple[Stage, ...] = ("probing", "compiling", "loading", "waiting")


@dataclass(frozen=True, slots=True)
class SiteSummary:
    """One site in all workers.

    Attributes:
        stage: `failed` where one failed, `ready` where all that live are, else the furthest of the others.
        ready, serving: how many workers have it ready, and let requests reach it.
        failure: why, if it failed.
        worker: that failed.
        traffic: since it is in the table.
    """

    stage: Stage
    ready: int
    serving: int
    failure: Failure | None
    worker: int | None
    traffic: Traffic


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """A moment's view; `restarts` only grows.

    Attributes:
        workers_ready: that accept connections.
        requests_active, connections_open: of all workers, as last reported.
        certificate_failure: why certificates are not in use that should be.
    """

    workers_total: int
    workers_ready: int
    requests_active: int
    connections_open: int
    restarts: int
    certificate_failure: Failure | None


@dataclass(slots=True)
class _Worker:
    """What is known of one process; all of it anew for its successor."""

    report: Report | None = None
    loading: str = ""
    told: tuple[tuple[Site, ...], int, bool] | None = None
    told_orders: Orders = field(default_factory=Orders)


@dataclass(slots=True)
class _Total:
    served: int = 0
    failed: int = 0
    latency: Latency = field(default_factory=Latency)

    def add(self, traffic: Traffic) -> None:
        self.served += traffic.served
        self.failed += traffic.failed
        self.latency.merge(traffic.latency)

    def now(self) -> Traffic:
        return Traffic(self.served, self.failed, self.latency.copy())


class PoolState:
    """See the module.

    Args:
        count: of workers, numbered from 0.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._workers: dict[int, _Worker] = {}
        self._sites: tuple[Site, ...] = ()
        self._certificates: tuple[CertificateFiles, ...] = ()
        self._left_out: frozenset[str] = frozenset()
        """Keys of sites that a table has no room for."""
        self._revision = 0
        """Of what was set: certificates are read anew even where their files have the same names."""
        self._closing = False
        self._version = 0
        self._shared: set[str] = set()
        """Keys of sites that a leader had ready once: all may load them."""
        self._load_crashes: dict[str, int] = {}
        self._announced: dict[str, Stage] = {}
        self._may_announce = True
        """Something happened besides reports that may have changed a stage."""
        self._by_app: dict[str, _Total] = {}
        self._by_site: dict[str, _Total] = {}
        self._restarts = 0
        self._made: tuple[object, tuple[Site, ...], tuple[Site, ...]] | None = None
        """What tables were made of last, and the sites in them."""
        self._calls = TriggerCalls()

    # --- inputs ---

    def set(self, sites: Sequence[Site], certificates: Sequence[CertificateFiles]) -> None:
        """These are the sites and certificates from now on, and no others."""
        self._sites = tuple(sites)
        self._certificates = tuple(certificates)
        self._left_out = without_room(self._sites)
        self._revision += 1
        self._may_announce = True
        keys = {site.key for site in sites}
        apps = {site.app for site in sites}
        self._shared &= keys
        for book in (self._load_crashes, self._announced, self._by_site):
            for key in book.keys() - keys:
                del book[key]
        for app in self._by_app.keys() - apps:
            del self._by_app[app]

    def set_closing(self, closing: bool) -> None:
        """Whether clients are to go elsewhere."""
        self._closing = closing

    def started(self, worker: int) -> None:
        """A process runs, and knows nothing yet."""
        self._workers[worker] = _Worker()
        self._may_announce = True

    def loading(self, worker: int, key: str) -> None:
        """It is about to load a site; "" when that is over."""
        if worker in self._workers:
            self._workers[worker].loading = key

    def reported(self, worker: int, report: Report) -> list[PoolEvent]:
        known = self._workers.get(worker)
        if known is None:
            return []  # it has ended: a last word that was on its way
        self._count_traffic(known.report, report)
        self._may_announce = self._may_announce or known.report is None or _stages(known.report) != _stages(report)
        known.report = report
        self._calls.serving(
            worker,
            frozenset(
                site.app for site in self._sites if (state := report.sites.get(site.key)) is not None and state.serving
            ),
        )
        if worker == self._leader():
            self._shared |= {
                site.key for site in self._sites if (state := report.sites.get(site.key)) and state.stage == "ready"
            }
        return self._announce() if self._may_announce else []

    def ended(self, worker: int, reason: str) -> list[PoolEvent]:
        """Its process has ended, and nobody had asked for it."""
        known = self._workers.pop(worker, _Worker())
        self._restarts += 1
        if known.loading and any(site.key == known.loading for site in self._sites):
            self._load_crashes[known.loading] = self._load_crashes.get(known.loading, 0) + 1
        states = {} if known.report is None else known.report.sites
        serving = tuple(sorted(key for key, state in states.items() if state.serving))
        crashed = WorkerCrashed(worker, reason, serving, known.loading)
        return [crashed, *self._calls.ended(worker), *self._announce()]

    def set_orders(self, orders: Mapping[str, Mapping[str, TriggerOrder]]) -> None:
        """What is to be done for triggers with a scope, by app and trigger id; nothing for others."""
        self._calls.set(orders)

    def tick(self, worker: int, tick: Tick) -> list[PoolEvent]:
        """A worker calls such a trigger, or has called it."""
        event = self._calls.tick(worker, tick) if worker in self._workers else None
        return [] if event is None else [event]

    # --- outputs ---

    def take_tables(self) -> Mapping[int, Table]:
        """The workers that have something new to be told, and what. Nothing before the first `set`."""
        if not self._revision:
            return {}
        told: dict[int, Table] = {}
        leader = self._leader()
        first, rest = self._tables()
        for number, worker in self._workers.items():
            sites = first if number == leader else rest
            tell = (sites, self._revision, self._closing)
            if worker.told != tell:
                worker.told = tell
                self._version += 1
                told[number] = Table(self._version, sites, self._certificates, self._revision, self._closing)
        return told

    def _tables(self) -> tuple[tuple[Site, ...], tuple[Site, ...]]:
        """The sites for who leads, and for the others. Asked for at every word of every worker, and made anew only
        where what it follows from is another: between two `set`, these only grow."""
        follows_from = self._revision, len(self._shared), sum(self._load_crashes.values())
        if self._made is None or self._made[0] != follows_from:
            sites = [
                site for site in self._sites if not self._ends_workers(site.key) and site.key not in self._left_out
            ]
            first = tuple(replace(site, held=False) for site in sites)
            rest = tuple(replace(site, held=site.key not in self._shared) for site in sites)
            self._made = follows_from, first, rest
        return self._made[1], self._made[2]

    def take_orders(self) -> Mapping[int, Orders]:
        """The workers whose orders are others than before."""
        told: dict[int, Orders] = {}
        for number, worker in self._workers.items():
            orders = self._calls.orders(number)
            if worker.told_orders != orders:
                worker.told_orders = told[number] = orders
        return told

    def triggers(self) -> dict[str, Mapping[str, TriggerState]]:
        """By app and trigger id, those with a scope, as the worker says that calls them."""
        found: dict[str, Mapping[str, TriggerState]] = {}
        for site in self._sites:
            runner = self._calls.runner(site.app)
            worker = None if runner is None else self._workers.get(runner)
            state = None if worker is None or worker.report is None else worker.report.sites.get(site.key)
            if state is not None and state.serving and state.triggers:
                found[site.app] = state.triggers
        return found

    def summaries(self) -> dict[str, SiteSummary]:
        """By key, each site that was set."""
        return {site.key: self._summary(site.key, self._traffic(site.key)) for site in self._sites}

    def traffic(self) -> dict[str, Traffic]:
        """By app, since it has sites in the table, whichever of them. May lack the last second of one that is gone."""
        return {app: total.now() for app, total in self._by_app.items()}

    def loads(self, worker: int) -> str:
        """Key of the site that it loads at the moment; "" for none."""
        known = self._workers.get(worker)
        return "" if known is None else known.loading

    def listening(self) -> frozenset[int]:
        """The workers that accept connections."""
        return frozenset(
            number for number, worker in self._workers.items() if worker.report and worker.report.listening
        )

    def statistics(self) -> PoolStatistics:
        reports = [worker.report for worker in self._workers.values() if worker.report is not None]
        failures = (report.certificate_failure for report in reports)
        return PoolStatistics(
            workers_total=self._count,
            workers_ready=sum(report.listening for report in reports),
            requests_active=sum(report.requests_active for report in reports),
            connections_open=sum(report.connections_open for report in reports),
            restarts=self._restarts,
            certificate_failure=next((failure for failure in failures if failure is not None), None),
        )

    # --- inside ---

    def _leader(self) -> int | None:
        return min(self._workers, default=None)

    def _ends_workers(self, key: str) -> bool:
        return self._load_crashes.get(key, 0) >= LOAD_CRASH_COUNT_MAX

    def _states(self, key: str) -> dict[int, SiteState]:
        return {
            number: _NOTHING if worker.report is None else worker.report.sites.get(key, _NOTHING)
            for number, worker in self._workers.items()
        }

    def _traffic(self, key: str) -> Traffic:
        total = self._by_site.get(key)
        return _NO_TRAFFIC if total is None else total.now()

    def _summary(self, key: str, traffic: Traffic = _NO_TRAFFIC) -> SiteSummary:
        """`traffic` is left out where only the stage matters: to copy it is most of the work."""
        states = self._states(key)
        ready = sum(state.stage == "ready" for state in states.values())
        serving = sum(state.serving for state in states.values())
        if self._ends_workers(key):
            crashed = LoadCrashed(f"{self._load_crashes[key]} workers ended while they loaded it")
            return SiteSummary("failed", ready, serving, Failure.of(crashed), None, traffic)
        if key in self._left_out:
            full = TableFull("all apps of this node have more variables together than workers can be told")
            return SiteSummary("failed", ready, serving, Failure.of(full), None, traffic)
        for number, state in sorted(states.items()):
            if state.stage == "failed":
                return SiteSummary("failed", ready, serving, state.failure, number, traffic)
        stages = {state.stage for state in states.values()}
        stage: Stage = next((each for each in _NOT_READY if each in stages), "ready" if stages else "waiting")
        return SiteSummary(stage, ready, serving, None, None, traffic)

    def _announce(self) -> list[PoolEvent]:
        """Sites that became ready or failed, or are probed for the first time, since this was last asked."""
        self._may_announce = False
        events: list[PoolEvent] = []
        for site in self._sites:
            summary = self._summary(site.key)
            announced = self._announced.get(site.key)
            if summary.stage not in ("probing", "ready", "failed") or announced == summary.stage:
                continue
            if summary.stage == "probing" and announced is not None:
                continue
            self._announced[site.key] = summary.stage
            if summary.stage == "ready":
                events.append(SiteReady(site.key))
            elif summary.stage == "probing":
                events.append(SiteProbed(site.key))
            elif summary.failure is not None:
                events.append(SiteFailed(site.key, summary.worker, summary.failure))
        return events

    def _count_traffic(self, before: Report | None, now: Report) -> None:
        for site in self._sites:
            state = now.sites.get(site.key)
            if state is None:
                continue
            former = None if before is None else before.sites.get(site.key)
            if former is not None and _ended(former) == _ended(state):
                continue  # nothing ended since, of most sites in most seconds
            news = _since(state.traffic, None if former is None else former.traffic)
            self._by_app.setdefault(site.app, _Total()).add(news)
            self._by_site.setdefault(site.key, _Total()).add(news)


def _stages(report: Report) -> dict[str, Stage]:
    return {key: state.stage for key, state in report.sites.items()}


def _ended(state: SiteState) -> tuple[int, int]:
    return state.traffic.served, state.traffic.failed


def without_room(sites: Sequence[Site], bytes_max: int = TABLE_SITES_BYTES_MAX) -> frozenset[str]:
    """Keys of the sites that a table has no room for: the largest, and candidates before what is to be served. So an
    app pays for its own size, and keeps no other out.
    """
    found: set[str] = set()
    bytes_left = bytes_max
    for size, key in (
        (_size(site), site.key) for site in sorted(sites, key=lambda each: (not each.serve, _size(each)))
    ):
        if size > bytes_left:
            found.add(key)
        else:
            bytes_left -= size
    return frozenset(found)


def _size(site: Site) -> int:
    """Bytes in a table, rather more than less."""
    numbers = sum(len(name) + 9 for name in site.limits)
    texts = sum(len(text.encode()) for each in site.variables.items() for text in each)
    names = sum(map(len, (*site.hosts, *site.networks_closed, site.folder, site.state_folder, site.probe)))
    return _SITE_BYTES + numbers + texts + 4 * names + 10 * (len(site.variables) + len(site.hosts))


def _since(now: Traffic, before: Traffic | None) -> Traffic:
    """What came after `before`; all of it where the site was loaded anew, and counts from the beginning."""
    if before is None or now.served < before.served or now.failed < before.failed:
        return now
    return Traffic(now.served - before.served, now.failed - before.failed, now.latency.since(before.latency))
