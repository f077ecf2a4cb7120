"""A worker: one engine, the apps it serves, and the listeners in front of them.

    listeners -> Worker.handle -> the app of that host

`set` says which apps are served from now on. One that is no longer among them finishes what it began and is then
closed; no request fails because of a change.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import trio

from edged.app import LoadedApp, LoadOptions, load_app
from edged.errors import GuestError, HostTaken, HostUnknown, NotReady
from edged.http.exchange import Exchange
from edged.http.hosts import HostTable
from edged.limits import GuestLimits
from edged.manifest.model import App
from edged.nursery import plain_errors
from edged.wasm.cache import AotCache
from edged.wasm.engine import Engine, PoolConfig, fingerprint
from edged.worker.latency import Latency


@dataclass(frozen=True, slots=True)
class Served:
    """An app that is served.

    Attributes:
        hosts: that it answers for, as `edged.http.hosts` writes them.
        triggers: those that no request starts are called by this worker.
    """

    app: LoadedApp
    hosts: tuple[str, ...] = ("*",)
    triggers: bool = True


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """What is alive right now. After the last request all but `apps`, `requests_*` and `retiring` are zero.

    Attributes:
        apps: that are served.
        instances: of guests. One that serves several requests is kept for INSTANCE_IDLE_S after the last.
        requests_active, requests_served, requests_failed: of these apps.
        retiring: apps that are served no more and still at work.
    """

    apps: int
    instances: int
    requests_active: int
    requests_served: int
    requests_failed: int
    retiring: int


class Counted:
    """An app, and what became of requests to it since it was first served. What it adds to one is 1 us."""

    __slots__ = ("app", "failed", "latency", "served")

    def __init__(self, app: LoadedApp) -> None:
        self.app = app
        self.served = 0
        self.failed = 0
        """By an error of the guest."""
        self.latency = Latency()

    async def handle(self, exchange: Exchange) -> None:
        started = perf_counter()
        try:
            await self.app.http.handle(exchange)
        except GuestError:
            self.failed += 1
            self.latency.add(perf_counter() - started)
            raise
        self.served += 1
        self.latency.add(perf_counter() - started)


@asynccontextmanager
async def open_worker(cache_folder: Path, pool: PoolConfig | None = None) -> AsyncIterator[Worker]:
    """A worker with a running engine. At the end its apps are closed; requests must have ended by then.

    Raises:
        CacheError: the cache folder cannot be used.
    """
    raise_file_limit()
    freeze_heap()
    pool = PoolConfig() if pool is None else pool
    cache = AotCache(cache_folder / "aot", fingerprint(pool))
    engine = Engine(pool)
    engine.start_ticking()
    try:
        with plain_errors():
            async with trio.open_nursery() as nursery:
                worker = Worker(engine, cache, nursery)
                try:
                    yield worker
                finally:
                    nursery.cancel_scope.cancel()
    finally:
        engine.close()


def raise_file_limit() -> None:
    """Let this process open all the files it may: the usual soft limit, 1024, is a tenth of `CONNECTION_COUNT_MAX`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def freeze_heap() -> None:
    """Keep the garbage collector from looking at what was imported: 80 000 objects that stay, and a pause of 35 ms for
    all guests each time. Apps come later, so that they are collected when they have gone.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def pool_for(limits: GuestLimits) -> PoolConfig:
    """A pool in which guests can use what their limits allow. Never smaller than the usual one, since compiled
    artefacts belong to a pool's configuration, and an app should not be compiled again for a lower limit.
    """
    usual = PoolConfig()
    scale = max(1.0, (limits.concurrent_max + limits.instances_ahead) / usual.instances)
    return replace(
        usual,
        instances=int(usual.instances * scale),
        core_instances=int(usual.core_instances * scale),
        memories=int(usual.memories * scale),
        tables=int(usual.tables * scale),
        memory_bytes_max=max(usual.memory_bytes_max, limits.memory_bytes_max),
        table_elements=max(usual.table_elements, limits.table_elements_max),
        memories_per_component=max(usual.memories_per_component, limits.memory_count_max),
        tables_per_component=max(usual.tables_per_component, limits.table_count_max),
        core_instances_per_component=max(usual.core_instances_per_component, limits.instance_count_max),
    )


class Worker:
    """See the module. Made by `open_worker`."""

    def __init__(self, engine: Engine, cache: AotCache, nursery: trio.Nursery) -> None:
        self.engine = engine
        self.cache = cache
        self._nursery = nursery
        self._hosts: HostTable[Counted] = HostTable(())
        self._counted: dict[LoadedApp, Counted] = {}
        self._running: dict[LoadedApp, trio.CancelScope] = {}
        self._retiring: set[LoadedApp] = set()
        self._retired = trio.Event()

    async def load(self, model: App, options: LoadOptions) -> LoadedApp:
        """Load an app with this worker's engine and cache. See `edged.app.load_app` for errors."""
        return await load_app(model, self.engine, self.cache, options, self._nursery)

    def set(self, sites: Sequence[Served]) -> None:
        """Serve these apps, and no others, from the next request on. One that is let go is closed at its end: to be
        served again it has to be loaded anew.

        Raises:
            HostTaken: two of them want the same host. Nothing has changed then.
        """
        counted = {site.app: self._counted.get(site.app) or Counted(site.app) for site in sites}
        try:
            self._hosts = HostTable((host, counted[site.app]) for site in sites for host in site.hosts)
        except ValueError as error:
            raise HostTaken(f"two apps are to answer for the host {error}") from None
        self._counted = counted
        assert self._retiring.isdisjoint(counted), "it is about to be closed"
        for app in [app for app in self._running if app not in counted]:
            self._retiring.add(app)
            self._running.pop(app).cancel()
        for app in counted:
            if app not in self._running:
                self._running[app] = scope = trio.CancelScope()
                self._nursery.start_soon(self._run, app, scope)
        for site in sites:
            site.app.background.set(site.triggers)

    async def drain(self) -> None:
        """Serve no app any more; return when what they began has ended."""
        self.set(())
        while self._retiring:
            if self._retired.is_set():  # others may wait for the one that is there
                self._retired = trio.Event()
            await self._retired.wait()

    async def handle(self, exchange: Exchange) -> None:
        """The handler to give to listeners."""
        counted = self._hosts.find(exchange.request.authority)
        if counted is None:
            if not self._running:
                raise NotReady("no app is loaded yet")
            raise HostUnknown("no app answers for this host")
        await counted.handle(exchange)

    def counted(self, app: LoadedApp) -> Counted | None:
        """What became of requests to an app that is served; None for any other."""
        return self._counted.get(app)

    def statistics(self) -> WorkerStatistics:
        counts = [app.http.counts for app in self._running]
        return WorkerStatistics(
            apps=len(self._running),
            instances=self.engine.instances,
            requests_active=sum(count.active for count in counts),
            requests_served=sum(count.served for count in counts),
            requests_failed=sum(count.failed for count in counts),
            retiring=len(self._retiring),
        )

    async def _run(self, app: LoadedApp, scope: trio.CancelScope) -> None:
        """An app's life, from the `set` that names it to the end of what it began before the one that does not."""
        try:
            with scope:
                await app.run()
            await app.wait_idle()
        finally:
            app.close()
            self._retiring.discard(app)
            self._retired.set()
