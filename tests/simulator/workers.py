"""What is not simulated as it is: a node's workers, the requests to them, and the routers. They do what releases and
faults tell them, and show the oracle everything that they are given.

    sites ──> Workers ── every byte of what they load ──> told
    Anycast ── asks ──> Prober ── answers? ──> Workers
       └── announces ──> Speaker
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import trio

from bgp.announcement import Announcement
from bgp.peer import SpeakerConfig
from bgp.prefix import Network
from bgp.status import PeerStatus, SpeakerStatus
from edged.anycast.probe import Probe, Round, Target
from edged.errors import CacheError
from edged.limits import SITE_RETRY_S
from edged.node.pool_event import PoolEvent, SiteFailed, SiteProbed, SiteReady, WorkerCrashed
from edged.node.pool_state import PoolStatistics, SiteSummary
from edged.worker.report import Failure, Stage, Traffic
from edged.worker.table import Site
from registry.digest import Digest, digest_of
from registry.disk import Disk

LOAD_S = (0.05, 1.5)
"""How long a worker takes to compile a component."""

PROBE_S = 1.0
"""Between two rounds of requests; a quarter of it while an answer is missing."""

BEHAVIOUR = "behaviour"
"""A file of each release: what workers find when they load it, one of BEHAVIOURS."""

BEHAVIOURS = ("good", "broken", "crashes", "fails")
"""It is served; it does not load; it ends worker processes once it is live; it fails all requests once it is live."""

_FILE_BYTES_MAX = 4 * 1024 * 1024
_REQUESTS_S = 5.0


class Told(Protocol):
    """Who wants to know what workers are given (`tests.simulator.invariants`)."""

    def sites_set(self, sites: Sequence[Site]) -> None:
        """All sites, as the node set them."""

    def loaded(self, site: Site, files: Mapping[str, Digest]) -> None:
        """A worker has read these files of a site, by path."""

    def answered(self, is_well: bool) -> None:
        """A round of requests to the workers ended."""

    def announced(self, prefixes: frozenset[Network]) -> None:
        """All that routers are told."""


class Workers:
    """The workers of one life of a node, as `edged.node.workers.WorkerPool` is used by the fleet half.

    Args:
        nursery: of the node's process: they end with it.

    Attributes:
        emit: told what happens; the agent's, once there is one.
        is_answering: whether requests are answered; faults change it.
    """

    def __init__(self, nursery: trio.Nursery, disk: Disk, rng: random.Random, told: Told) -> None:
        self._nursery = nursery
        self._disk = disk
        self._rng = rng
        self._told = told
        self.emit: Callable[[PoolEvent], None] = _nobody
        self._sites: dict[str, Site] = {}
        self._stages: dict[str, Stage] = {}
        self._behaviours: dict[str, str] = {}
        self._served_since: dict[str, float] = {}
        self._crashed: set[str] = set()
        self.is_answering = True

    # --- as the pool ---

    def set(self, sites: Sequence[Site]) -> None:
        """These and no others. Not yet served is one that is not loaded."""
        self._told.sites_set(sites)
        new = {site.key: site for site in sites}
        for key in self._sites.keys() - new.keys():
            for of in (self._stages, self._behaviours, self._served_since):
                of.pop(key, None)
        before, self._sites = self._sites, new
        now = trio.current_time()
        for key, site in new.items():
            if key not in before:
                self._stages[key] = "loading"
                self._nursery.start_soon(self._load, site)
            if not site.serve:
                self._served_since.pop(key, None)
            elif key not in self._served_since:
                self._served_since[key] = now
                if key in self._behaviours:
                    self._misbehave(site)

    def sites(self) -> Mapping[str, SiteSummary]:
        return {
            key: SiteSummary(
                stage,
                int(stage == "ready"),
                int(stage == "ready" and self._sites[key].serve),
                None,
                None,
                self._traffic(key),
            )
            for key, stage in self._stages.items()
        }

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(1, int(self.is_answering), 0, 0, 0, None)

    def traffic(self) -> Mapping[str, Traffic]:
        return {site.app: self._traffic(site.key) for site in self._sites.values() if site.serve}

    def listening(self) -> Mapping[int, int]:
        return {0: 1} if self.is_answering else {}

    def cut(self, worker: int) -> None:
        """The prober never finds one that hangs."""

    def set_closing(self, closing: bool) -> None:
        """There are no connections to close."""

    # --- inside ---

    def _traffic(self, key: str) -> Traffic:
        since = self._served_since.get(key)
        if since is None or self._stages.get(key) != "ready":
            return Traffic()
        count = int((trio.current_time() - since) * _REQUESTS_S)
        return Traffic(failed=count) if self._behaviours.get(key) == "fails" else Traffic(served=count)

    async def _load(self, site: Site) -> None:
        await trio.sleep(self._rng.uniform(*LOAD_S))
        if site.key not in self._sites:
            return
        try:
            files = _read_all(self._disk, Path(site.folder))
        except OSError as error:
            self._stages[site.key] = "failed"
            self.emit(SiteFailed(site.key, 0, Failure.of(CacheError(f"{site.folder}: {error.strerror}"))))
            await self._load_later(site.key)
            return
        self._told.loaded(site, {path: digest_of(data) for path, data in files.items()})
        behaviour = files[BEHAVIOUR].decode()
        self._behaviours[site.key] = behaviour
        if behaviour == "broken":
            self._stages[site.key] = "failed"
            self.emit(SiteFailed(site.key, 0, Failure("component.invalid", "no component", "build it again")))
            return
        self.emit(SiteProbed(site.key))
        self._stages[site.key] = "probing"
        await trio.sleep(self._rng.uniform(*LOAD_S) / 4)
        if site.key not in self._sites:
            return
        self._stages[site.key] = "ready"
        self.emit(SiteReady(site.key))
        if site.key in self._served_since:
            self._misbehave(site)

    async def _load_later(self, key: str) -> None:
        """What is to be served is tried again, as `edged.worker.sites` does."""
        await trio.sleep(SITE_RETRY_S)
        site = self._sites.get(key)
        if site is not None and site.serve and self._stages[key] == "failed":
            self._stages[key] = "loading"
            await self._load(site)

    def _misbehave(self, site: Site) -> None:
        if self._behaviours[site.key] == "crashes" and site.key not in self._crashed:
            self._crashed.add(site.key)
            self._nursery.start_soon(self._crash, site)

    async def _crash(self, site: Site) -> None:
        for _ in range(2):
            await trio.sleep(self._rng.uniform(0.5, 4))
            if site.key in self._served_since:
                self.emit(WorkerCrashed(0, "signal SIGSEGV", (site.key,), ""))


def _nobody(_event: PoolEvent) -> None:
    raise AssertionError("sites were set before there was anybody to tell")


class Prober:
    """Asks the workers, as `edged.anycast.prober.Prober` does, without a connection.

    Args:
        workers, told: of this life of the node; the others as there.
    """

    def __init__(
        self,
        workers: Workers,
        told: Told,
        targets: Sequence[Target],
        count: int,
        *,
        listening: Callable[[], Mapping[int, int]],
        observed: Callable[[Round], None],
        hung: Callable[[int], None],
    ) -> None:
        self._workers = workers
        self._told = told
        self._targets = targets
        self._observed = observed

    async def run(self) -> None:
        while True:
            is_well = self._workers.is_answering
            await trio.sleep(PROBE_S if is_well else PROBE_S / 4)
            is_well = self._workers.is_answering
            why = "" if is_well else "no answer within 500 ms"
            self._told.answered(is_well)
            self._observed(Round(tuple(Probe(0, each, is_well, 0.003, why) for each in self._targets), 0.0))


class Speaker:
    """Routers that are always there, and are told what `bgp.speaker.Speaker` would tell them."""

    def __init__(self, told: Told, changed: Callable[[], None]) -> None:
        self._told = told
        self._changed = changed
        self._stopped = trio.Event()
        self._announced: frozenset[Network] = frozenset()

    async def run(self) -> None:
        await self._stopped.wait()

    def set(self, announcements: Collection[Announcement]) -> None:
        prefixes = frozenset(each.prefix for each in announcements)
        if prefixes != self._announced:
            self._announced = prefixes
            self._told.announced(prefixes)
            self._changed()

    def configure(self, _config: SpeakerConfig) -> None:
        self._changed()

    async def stop(self) -> None:
        self.set(())
        self._stopped.set()

    async def wait_withdrawn(self, prefixes: Collection[Network], _timeout_s: float) -> bool:
        return self._announced.isdisjoint(prefixes)

    def proven(self, _prefix: Network) -> bool:
        return True

    def status(self) -> SpeakerStatus:
        return SpeakerStatus("running", 0.0)

    def peers(self) -> tuple[PeerStatus, ...]:
        return ()

    def notifications(self) -> Mapping[str, None]:
        return {}

    def alarms(self) -> tuple[str, ...]:
        return ()


def _read_all(disk: Disk, folder: Path, below: str = "") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in sorted(disk.names(folder)):
        if disk.is_folder(folder / name):
            found |= _read_all(disk, folder / name, f"{below}{name}/")
        else:
            found[below + name] = disk.read(folder / name, _FILE_BYTES_MAX)
    return found
