"""The agent: what the fleet wants of this node, done. One rollout per app; none of them knows of the others.

    FleetState ── refresh ──> AppRollout, one per app ── placed ──> sites ──> WorkerPool.set
    WorkerPool ── emit, look ──> AppRollout ── fetch ──> peers
                                            └─ check_out ──> Checkouts

At its start it serves what is on disk, before any peer is heard of. An app without a deployment is left as it is:
records may be lost, and nothing is never an order to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog
import trio

from edged.errors import (
    CacheError,
    LogFolderError,
    RemovalHeld,
    SourceUnavailable,
    StateFolderError,
    VariablesUnavailable,
)
from edged.fleet.deployment import Deployment
from edged.fleet.record import Version
from edged.fleet.report import AppReport, Stage
from edged.fleet.rollout_event import Crashed, Event, Prepared, PrepareFailed, Preparing, Requests
from edged.fleet.wave import Nodes
from edged.limits import POOL_LOOK_INTERVAL_S, ROLLOUT_RETRY_S_MAX, ROLLOUT_TASK_COUNT_MAX, START_CHECK_OUT_S_MAX
from edged.node.app_rollout import AppRollout, Moved, Placed
from edged.node.pool_event import PoolEvent, SiteFailed, SiteProbed, SiteReady, WorkerCrashed
from edged.node.pool_state import SiteSummary
from edged.node.rollout_store import Kept, RolloutStore
from edged.worker.report import Failure, Traffic
from edged.worker.table import Site
from registry.checkout import Checkouts
from registry.digest import Digest, parse_digest
from registry.release_store import ReleaseStore

log = structlog.get_logger()

_PASSING = frozenset(
    error.code for error in (CacheError, LogFolderError, SourceUnavailable, StateFolderError, VariablesUnavailable)
)
"""Why a release may fail to load today and not tomorrow: this machine, or somebody else's server."""


_DECIDED: tuple[Stage, ...] = ("live", "waiting", "held")
"""Nothing is under way but what workers do with what is live."""


class Pool(Protocol):
    """What the agent needs of `edged.node.workers.WorkerPool`."""

    def sites(self) -> Mapping[str, SiteSummary]: ...


class Fetch(Protocol):
    """Brings a release from peers (`edged.fleet.fetch`) and makes sure that a key signed it that may deploy the app."""

    async def __call__(self, app: str, release: Digest, moved: Callable[[Moved], None]) -> None: ...


class Agent:
    """See the module.

    Args:
        deployments: by app, the newest that this node has accepted, removed ones included.
        removals_held: of the removed ones, those that are not to go -> why (`edged.fleet.removal`).
        heard: what was heard of the other nodes, on trio's clock: for waves (`edged.fleet.wave`).
        region: of this node, as the fleet has it now.
        domain: of the fleet: an app that names no host answers for one below it.
        networks_closed: that no guest reaches.
        fetch: see `Fetch`.
        pool: of workers.
        set_sites: told all sites whenever they change.
        apps_folder: where apps keep their state, a folder each.
    """

    def __init__(
        self,
        *,
        deployments: Callable[[], Mapping[str, Deployment]],
        removals_held: Callable[[], Mapping[str, str]],
        heard: Callable[[], Nodes],
        region: Callable[[], str],
        domain: Callable[[], str],
        networks_closed: Callable[[], tuple[str, ...]],
        fetch: Fetch,
        releases: ReleaseStore,
        checkouts: Checkouts,
        store: RolloutStore,
        pool: Pool,
        set_sites: Callable[[Sequence[Site]], None],
        apps_folder: Path,
    ) -> None:
        self._deployments = deployments
        self._removals_held = removals_held
        self._heard = heard
        self._kept: dict[str, str] = {}
        """Apps that were removed and are served all the same -> why."""
        self._region = region
        self._domain = domain
        self._networks_closed = networks_closed
        self._fetch = fetch
        self._releases = releases
        self._checkouts = checkouts
        self._store = store
        self._pool = pool
        self._set_sites = set_sites
        self._apps_folder = apps_folder
        self._turns = trio.Semaphore(ROLLOUT_TASK_COUNT_MAX)
        self.checking_out = trio.Lock()
        """Held while a release is laid out; see `edged.node.housekeeping`."""
        self._rollouts: dict[str, AppRollout] = {}
        self._sites: dict[str, tuple[Site, ...]] = {}
        self._keys: dict[str, tuple[str, Version]] = {}
        self._paths: dict[str, Path] = {}
        self._counted: dict[str, tuple[int, int]] = {}
        self._served: set[str] = set()
        """Keys of sites that all workers served once: who looks then asks at once, and must get it."""
        self._dirty = trio.Event()
        self._nursery: trio.Nursery | None = None

    # --- at work ---

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Bring up what is on disk, then do what the fleet wants, until cancelled. Started once workers have been told
        of what is on disk, or that takes too long.

        Raises:
            RolloutNotSaved: what is on disk cannot be read.
        """
        kept = await trio.to_thread.run_sync(self._store.load)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                for app, each in kept.items():
                    self._add(app, each)
                self.refresh()
                with trio.move_on_after(START_CHECK_OUT_S_MAX):
                    for app in kept:
                        await self._rollouts[app].placed.wait()
                nursery.start_soon(self._hand_out)
                nursery.start_soon(self._look_forever)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None  # a record may still be accepted while the node ends

    def refresh(self) -> None:
        """The fleet's deployments, or this node's region, may have changed. Quick; on the loop."""
        if self._nursery is None:
            return
        region = self._region()
        kept: dict[str, str] = {}
        held: Mapping[str, str] | None = None
        for app, deployment in self._deployments().items():
            rollout = self._rollouts.get(app)
            if rollout is None:
                if not deployment.regions.get(region):
                    continue  # it never was here
                rollout = self._add(app, None)
            if not deployment.regions and rollout.has_something:
                held = self._removals_held() if held is None else held
                if app in held:
                    kept[app] = held[app]
                    continue
            rollout.desire(deployment, region)
        for app in kept.keys() - self._kept.keys():
            log.error("app.removal-held", app=app, reason=kept[app])
        self._kept = kept

    def networks_changed(self) -> None:
        """What is closed to guests may be another: workers are told, for whatever they load from now on."""
        closed = self._networks_closed()
        before = self._sites
        self._sites = {
            app: tuple(replace(each, networks_closed=closed) for each in sites) for app, sites in before.items()
        }
        if self._sites != before:
            self._dirty.set()

    def emit(self, event: PoolEvent) -> None:
        """What happened in the pool; given to it at its making."""
        match event:
            case SiteProbed(key):
                self._tell(key, partial(Preparing, step="probe"))
            case SiteReady(key):
                self._tell(key, Prepared)
            case SiteFailed(key, _, failure):
                self._tell(key, partial(_prepare_failed, failure))
            case WorkerCrashed(_, _, serving, loading):
                # One that ends the process that loads it says nothing of the others, which were served before.
                for key in (loading,) if loading else serving:
                    self._tell(key, Crashed)

    # --- what is known ---

    def reports(self) -> dict[str, AppReport]:
        """Of each app that is here, or on its way, or was to be."""
        sites = self._pool.sites()
        self._served &= self._keys.keys()
        self._served |= {key for key, each in sites.items() if each.stage == "ready" and each.serving >= each.ready > 0}
        found: dict[str, AppReport] = {}
        for app, rollout in self._rollouts.items():
            live = rollout.plan.saved.live
            if live is None and not rollout.plan.desired:
                continue
            key = _key(app, live.version) if live else ""
            seen = sites[key].traffic if key in sites else Traffic()
            report = rollout.report(requests=seen.served + seen.failed, failures=seen.failed)
            if app in self._kept:
                report = replace(report, error_code=RemovalHeld.code, error_message=self._kept[app])
            if report.stage in _DECIDED and key and key not in self._served:
                report = replace(report, stage="compile")  # it is decided, and workers are still to do it
            found[app] = report
        return found

    def alarms(self) -> tuple[str, ...]:
        """What somebody has to look at."""
        return tuple(f"app {app}: {why} [{RemovalHeld.code}]" for app, why in sorted(self._kept.items()))

    def releases(self) -> set[Digest]:
        """What rollouts have a use for: nothing of it may be removed."""
        return {parse_digest(text) for rollout in self._rollouts.values() for text in rollout.releases()}

    # --- hands of the rollouts ---

    async def save(self, app: str, kept: Kept) -> None:
        await trio.to_thread.run_sync(self._store.save, app, kept)

    def place(self, app: str, placed: tuple[Placed, ...]) -> None:
        sites = tuple(self._site(app, each) for each in placed)
        if sites == self._sites.get(app, ()):
            return
        for site in self._sites.get(app, ()):
            self._keys.pop(site.key, None)
        for site, each in zip(sites, placed, strict=True):
            self._keys[site.key] = app, each.deployment.version
        self._counted = {key: seen for key, seen in self._counted.items() if key in self._keys}
        self._sites[app] = sites
        self._dirty.set()

    async def fetch(self, app: str, release: str, moved: Callable[[Moved], None]) -> None:
        await self._fetch(app, parse_digest(release), moved)

    async def check_out(self, release: str) -> None:
        digest = parse_digest(release)
        async with self.checking_out:
            self._paths[release] = await trio.to_thread.run_sync(self._check_out, digest)

    # --- inside ---

    def _add(self, app: str, kept: Kept | None) -> AppRollout:
        assert self._nursery is not None
        self._rollouts[app] = rollout = AppRollout(app, kept, self, self._turns)
        self._nursery.start_soon(self._run_one, rollout)
        return rollout

    async def _run_one(self, rollout: AppRollout) -> None:
        while True:
            try:
                await rollout.run()
            except Exception:  # what workers have of the app stays with them, and the other apps go on
                log.exception("rollout.broken", app=rollout.app)
            rollout.placed.set()  # nothing else waits for it
            await trio.sleep(ROLLOUT_RETRY_S_MAX)

    def _check_out(self, digest: Digest) -> Path:
        return self._checkouts.make(digest, self._releases.get(digest).release)

    def _site(self, app: str, placed: Placed) -> Site:
        deployment = placed.deployment
        return Site(
            key=_key(app, deployment.version),
            app=app,
            folder=str(self._paths[placed.release]),
            hosts=deployment.hosts or hosts_below(self._domain(), app),
            limits=dict(deployment.limits),
            variables=dict(deployment.variables),
            state_folder=str(self._apps_folder / app),
            serve=placed.serve,
            probe=deployment.probe,
            networks_closed=self._networks_closed(),
        )

    async def _hand_out(self) -> None:
        """Tell the pool of all sites, once for however many changed at the same time."""
        while True:
            self._dirty = trio.Event()
            # Those that are served come first: they keep their hosts against a candidate of another app.
            sites = [site for app in sorted(self._sites) for site in self._sites[app]]
            self._set_sites(sorted(sites, key=lambda site: not site.serve))
            await self._dirty.wait()
            await trio.lowlevel.checkpoint()

    async def _look_forever(self) -> None:
        """What the pool does not emit: how far workers are, and how requests end."""
        while True:
            for key, summary in self._pool.sites().items():
                self._look(key, summary)
            await self._judge()
            await trio.sleep(POOL_LOOK_INTERVAL_S)

    async def _judge(self) -> None:
        """Whether releases that wait for other regions may go on. One after another: a publisher may have a thousand
        of them held, and the loop has other things to do."""
        waiting = [rollout for rollout in self._rollouts.values() if rollout.waits]
        if waiting:
            nodes, now = self._heard(), trio.current_time()
            for rollout in waiting:
                rollout.judge(nodes, now)
                await trio.lowlevel.checkpoint()

    def _look(self, key: str, summary: SiteSummary) -> None:
        ended, failed = summary.traffic.served + summary.traffic.failed, summary.traffic.failed
        before_ended, before_failed = self._counted.get(key, (0, 0))
        self._counted[key] = ended, failed
        if ended > before_ended:
            self._tell(key, partial(Requests, ended=ended - before_ended, failed=failed - before_failed))
        if summary.stage == "ready":
            self._tell(key, Prepared)

    def _tell(self, key: str, make: Callable[[Version], Event]) -> None:
        app, version = self._keys.get(key, (None, None))
        if app is not None and version is not None:
            self._rollouts[app].tell(make(version))


def hosts_below(domain: str, app: str) -> tuple[str, ...]:
    """What an app answers for that names no host."""
    return (f"{app}.{domain}".lower(),) if domain else ()


def _key(app: str, version: Version) -> str:
    return f"{app}@{version.epoch}.{version.sequence}"


def _prepare_failed(failure: Failure, version: Version) -> Event:
    return PrepareFailed(version, failure.code, failure.message, failure.code in _PASSING)
