"""A worker: one engine, the app it serves, and the listeners in front of it.

    listeners -> Worker.handle -> the current app

`swap` puts a loaded app in the place of the current one between two requests; the old one finishes what it began and is
then closed. No request fails because of a swap.
"""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from edged.app import LoadedApp, LoadOptions, load_app
from edged.errors import NotReady
from edged.http.exchange import Exchange
from edged.limits import GuestLimits
from edged.manifest.model import App
from edged.nursery import plain_errors
from edged.wasm.cache import AotCache
from edged.wasm.engine import Engine, PoolConfig, fingerprint


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """What is alive right now. After the last request all but `requests_*` and `retiring` are zero.

    Attributes:
        instances: of guests.
        requests_active, requests_served, requests_failed: of the current app.
        retiring: apps that were swapped out and still serve.
    """

    instances: int
    requests_active: int
    requests_served: int
    requests_failed: int
    retiring: int


@asynccontextmanager
async def open_worker(cache_folder: Path, pool: PoolConfig | None = None) -> AsyncIterator[Worker]:
    """A worker with a running engine. At the end the current app is closed; requests must have ended by then.

    Raises:
        CacheError: the cache folder cannot be used.
    """
    raise_file_limit()
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
                    worker.close()
    finally:
        engine.close()


def raise_file_limit() -> None:
    """Let this process open all the files it may: the usual soft limit, 1024, is a tenth of `CONNECTION_COUNT_MAX`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
    """Made by `open_worker`."""

    def __init__(self, engine: Engine, cache: AotCache, nursery: trio.Nursery) -> None:
        self.engine = engine
        self.cache = cache
        self._nursery = nursery
        self._app: LoadedApp | None = None
        self._keeping: trio.CancelScope | None = None
        self._retiring = 0

    def close(self) -> None:
        """Stop serving and free the current app."""
        if self._app is not None:
            self._app.close()
            self._app = None

    async def load(self, model: App, options: LoadOptions) -> LoadedApp:
        """Load an app with this worker's engine and cache. See `edged.app.load_app` for errors."""
        return await load_app(model, self.engine, self.cache, options)

    def swap(self, app: LoadedApp) -> None:
        """Serve `app` from the next request on."""
        old, self._app = self._app, app
        if self._keeping is not None:
            self._keeping.cancel()
        self._keeping = trio.CancelScope()
        self._nursery.start_soon(self._keep_ahead, app, self._keeping)
        if old is not None:
            self._nursery.start_soon(self._retire, old)

    async def handle(self, exchange: Exchange) -> None:
        """The handler to give to listeners."""
        app = self._app
        if app is None:
            raise NotReady("no app is loaded yet")
        await app.http.handle(exchange)

    def statistics(self) -> WorkerStatistics:
        counts = None if self._app is None else self._app.http.counts
        return WorkerStatistics(
            instances=self.engine.instances,
            requests_active=0 if counts is None else counts.active,
            requests_served=0 if counts is None else counts.served,
            requests_failed=0 if counts is None else counts.failed,
            retiring=self._retiring,
        )

    async def _keep_ahead(self, app: LoadedApp, scope: trio.CancelScope) -> None:
        with scope:
            await app.keep_ahead()

    async def _retire(self, app: LoadedApp) -> None:
        self._retiring += 1
        try:
            await app.http.wait_idle()
        finally:
            app.close()
            self._retiring -= 1
