"""One run of `edged up`: engine, listener, app, watch and signals in one process.

signals ──> stop                     files ──> Project.wait_changed ──> Project.load ──> Worker.swap
             │                                                                               │
Listener ────┴─ requests wait for the first load ──> Worker.handle ──> the app of the moment ┘
"""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator

import trio

from edged.errors import EdgedError
from edged.http.exchange import Exchange
from edged.http.listener import Listener
from edged.limits import SHOWN_PATHS_MAX, SHUTDOWN_GRACE_S
from edged.manifest.model import App
from edged.nursery import plain_errors
from edged.up.event import (
    Changed,
    Listening,
    ReloadFailed,
    Route,
    Show,
    Stopped,
    Stopping,
    Swapped,
    Warned,
    shown_path,
)
from edged.up.options import UpOptions
from edged.up.project import Project
from edged.up.watcher import Watcher
from edged.worker import Site, Worker, open_worker, pool_for


async def run(options: UpOptions, show: Show) -> None:
    """Serve until SIGINT or SIGTERM. The first lets requests end, as long as `SHUTDOWN_GRACE_S`; the second cuts them.

    Raises:
        EdgedError: the app could not be loaded or the address not be bound. Once it serves, errors of a changed app
            are shown, and the app that serves goes on.
    """
    # From before the first guest runs: a KeyboardInterrupt inside a host function would end the process (see ADR 2).
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals, plain_errors():
        async with (
            trio.open_nursery() as nursery,
            open_worker(options.cache_folder, pool_for(options.limits)) as worker,
        ):
            session = Session(options, worker, show)
            nursery.start_soon(session.stop_on, signals)
            await session.run()
            nursery.cancel_scope.cancel()


class Session:
    """The parts of one run, and what they know of each other."""

    def __init__(self, options: UpOptions, worker: Worker, show: Show) -> None:
        self._options = options
        self._worker = worker
        self._show = show
        self._project = Project(options, worker, show)
        self._listener = Listener(self._handle, options.listen)
        self._ready = trio.Event()
        self._work = trio.CancelScope()
        """Around loading and watching: all that ends at once when the session stops."""
        self._all = trio.CancelScope()
        self._stopping = False

    async def run(self) -> None:
        with self._all:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listener.run)
                with self._work:
                    await self._load_first()
                    await self._follow_changes()
                self._listener.shutdown()
        self._show(Stopped(self._listener.statistics().exchanges_served))

    async def stop_on(self, signals: AsyncIterator[int]) -> None:
        """End the session at the first signal, cut it off at the second."""
        async for _ in signals:
            if self._stopping or not self._ready.is_set():
                self._all.cancel()
            else:
                self._stopping = True
                self._show(Stopping(self._listener.statistics().exchanges_active, SHUTDOWN_GRACE_S))
                self._work.cancel()

    async def _handle(self, exchange: Exchange) -> None:
        # A request that comes while the first load takes its seconds is answered when that is done.
        if not self._ready.is_set():
            await self._ready.wait()
        await self._worker.handle(exchange)

    async def _load_first(self) -> None:
        app = await self._project.load()
        self._worker.set([Site(app)])
        self._ready.set()
        urls = tuple(self._listener.urls)
        self._show(Listening(urls, self._routes(app.model), self._options.watch))

    async def _follow_changes(self) -> None:
        if not self._options.watch:
            await trio.sleep_forever()
        with Watcher() as watcher:
            while True:
                try:
                    changes = await self._project.wait_changed(watcher)
                except OSError as error:
                    self._show(Warned(f"changes of files are not seen any more: {error}"))
                    await trio.sleep_forever()
                started = time.perf_counter()
                folder = self._project.folder
                paths = tuple(shown_path(path, folder) for path in changes[:SHOWN_PATHS_MAX])
                self._show(Changed(paths, len(changes)))
                try:
                    app = await self._project.load()
                except EdgedError as error:
                    self._show(ReloadFailed(error))
                    continue
                self._worker.set([Site(app)])
                self._show(Swapped(app.model.name, time.perf_counter() - started, self._routes(app.model)))

    def _routes(self, model: App) -> tuple[Route, ...]:
        return Route.all_of(model, _reachable(self._listener.urls[0]))


def _reachable(url: str) -> str:
    """A URL that a browser on this machine can open: nobody can connect to "all interfaces"."""
    for everywhere in ("://[::]:", "://0.0.0.0:"):
        url = url.replace(everywhere, "://localhost:")
    return url
