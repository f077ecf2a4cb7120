"""What this node tells the others of itself (`edged.fleet.report`)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import trio

from bgp.status import AnycastStatus
from edged.fleet.certificate import Identity, days_left
from edged.fleet.report import AppReport, NodeReport, cut_alarms
from edged.fleet.scope import TriggerReport
from edged.fleet.state import FleetState
from edged.limits import REPORT_AGE_S_MAX, REPORT_RATE_SAMPLE_COUNT_MAX, REPORT_RATE_WINDOW_S
from edged.node.pool_state import PoolStatistics
from edged.worker.latency import Latency
from edged.worker.report import Traffic
from registry.chunk_store import StoreStatistics
from registry.errors import RegistryError


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    count: int
    latency: Latency


class Rates:
    """Requests a second and how long they took, over the last `REPORT_RATE_WINDOW_S`. Times are of one clock, s."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=REPORT_RATE_SAMPLE_COUNT_MAX)
        self._found: tuple[float, float | None, float | None] | None = None  # in these samples

    def add(self, traffic: Mapping[str, Traffic], now: float) -> None:
        """All requests so far, by app. An app that has gone takes its count with it, which is not a negative rate."""
        latency = Latency()
        for each in traffic.values():
            latency.merge(each.latency)
        count = sum(each.served + each.failed for each in traffic.values())
        self._samples.append(_Sample(now, count, latency))
        while len(self._samples) > 2 and now - self._samples[1].at >= REPORT_RATE_WINDOW_S:
            self._samples.popleft()
        self._found = None

    def read(self) -> tuple[float, float | None, float | None]:
        """Requests a second, and p50 and p99 in ms; None without requests."""
        if self._found is None:
            self._found = self._read()
        return self._found

    def _read(self) -> tuple[float, float | None, float | None]:
        if len(self._samples) < 2:
            return 0.0, None, None
        first, last = self._samples[0], self._samples[-1]
        passed = last.at - first.at
        recent = last.latency.since(first.latency)
        p50, p99 = (None if found is None else found * 1000 for found in map(recent.percentile, (50, 99)))
        return max(0, last.count - first.count) / passed if passed > 0 else 0.0, p50, p99


class OwnReport:
    """Makes this node's reports.

    Args:
        identity, state: whose name, certificate, records and alarms these are.
        region: as the fleet has it now.
        version: of edged.
        incarnation: unix time of the start, s.
        apps, app_alarms: what the agent says.
        pool, traffic: what the workers say.
        storage: what the chunk store says. It looks at the disk, so it is asked by `refresh`, in a thread.
        anycast: how announcing does; None where nothing is announced.
        install_alarm: why new machines are not given the one file; "" where nothing is wrong.
        triggers: what is to be known of those that nodes share.
        outdone: incarnation that others take for this node's, see `edged.fleet.board.Board`.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        state: FleetState,
        region: Callable[[], str],
        version: str,
        incarnation: int,
        apps: Callable[[], Mapping[str, AppReport]],
        app_alarms: Callable[[], Sequence[str]],
        pool: Callable[[], PoolStatistics],
        traffic: Callable[[], Mapping[str, Traffic]],
        storage: Callable[[], StoreStatistics],
        anycast: Callable[[], AnycastStatus | None] = lambda: None,
        install_alarm: Callable[[], str] = lambda: "",
        triggers: Callable[[], Mapping[str, TriggerReport]] = dict,
        outdone: Callable[[], int] = lambda: 0,
    ) -> None:
        self._identity = identity
        self._state = state
        self._region = region
        self._version = version
        self._incarnation = incarnation
        self._apps = apps
        self._app_alarms = app_alarms
        self._pool = pool
        self._traffic = traffic
        self._ask_storage = storage
        self._anycast = anycast
        self._install_alarm = install_alarm
        self._triggers = triggers
        self._outdone = outdone
        self._storage: StoreStatistics | None = None
        self._storage_failure = ""
        self._rates = Rates()
        self._beat = 0
        self._last: tuple[float, NodeReport] | None = None

    async def refresh(self) -> None:
        """Look at what takes a while, and at how many requests there were since. A disk that cannot be looked at is an
        alarm; what it said last stands meanwhile."""
        self._rates.add(self._traffic(), trio.current_time())
        try:
            self._storage = await trio.to_thread.run_sync(self._ask_storage)
        except RegistryError as error:
            self._storage_failure = f"storage: {error.message} [{error.code}]"
        else:
            self._storage_failure = ""

    def make(self) -> NodeReport:
        """The next report, or the last if that is hardly older. Quick; on the loop."""
        if self._last is not None and trio.current_time() - self._last[0] < REPORT_AGE_S_MAX:
            return self._last[1]
        report = self._make()
        self._last = trio.current_time(), report
        return report

    def _make(self) -> NodeReport:
        self._beat += 1
        roster, pool, storage, now = self._state.roster, self._pool(), self._storage, time.time()
        requests_s, p50_ms, p99_ms = self._rates.read()
        alarms = [f"{alarm.subject}: {alarm.message} [{alarm.code}]" for alarm in self._state.alarms()]
        if pool.certificate_failure is not None:
            alarms.append(f"certificates: {pool.certificate_failure.message} [{pool.certificate_failure.code}]")
        alarms += self._app_alarms()
        alarms += filter(None, (self._storage_failure, self._install_alarm()))
        return cut_alarms(
            NodeReport(
                node=self._identity.name,
                region=self._region(),
                incarnation=max(self._incarnation, self._outdone() + 1),
                beat=self._beat,
                time=now,
                version=self._version,
                roster_version=roster.version if roster else 0,
                heads_hash=self._state.heads_hash().hex(),
                apps=dict(self._apps()),
                requests_s=requests_s,
                p50_ms=p50_ms,
                p99_ms=p99_ms,
                workers_ready=pool.workers_ready,
                workers_total=pool.workers_total,
                certificate_days=days_left(self._identity.certificate, now),
                disk_free_bytes=storage.free_bytes if storage else 0,
                disk_used_bytes=storage.used_bytes if storage else 0,
                alarms=tuple(alarms),
                anycast=self._anycast(),
                triggers=self._triggers(),
            )
        )
