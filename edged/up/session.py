"""One run of `edged up`: engine, listener, apps, watch and signals in one process.

signals ──> stop                     files ──> Project.wait_changed ──> Project.load ──> Worker.set
             │                                                                               │
Listener ────┴─ requests wait for the first load ──> Worker.handle ──> the app of the moment ┘

Nothing is listened on until an app has an HTTP trigger.

Of several apps each answers at `NAME.localhost`, a name that browsers and curl take for this machine, and the first one
at every other host as well.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import AsyncIterator

import trio

from edged.app import LoadedApp
from edged.errors import EdgedError
from edged.http.exchange import Exchange
from edged.http.listener import Listener
from edged.limits import SHOWN_PATHS_MAX, SHUTDOWN_GRACE_S
from edged.manifest.model import App
from edged.nursery import plain_errors
from edged.triggers.cron import utc_now
from edged.up.event import (
    Changed,
    Listening,
    ReloadFailed,
    Show,
    Stopped,
    Stopping,
    Swapped,
    Warned,
    shown_path,
)
from edged.up.options import UpOptions
from edged.up.project import Project
from edged.up.trigger import Route, Trigger, triggers_of
from edged.up.watcher import Watcher
from edged.worker.worker import Served, Worker, open_worker, pool_for


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
        self._projects = [Project(options, path, worker, show) for path in options.paths]
        self._apps: dict[Project, LoadedApp] = {}
        self._nursery: trio.Nursery  # of `run`
        self._listener: Listener | None = None
        self._ready = trio.Event()
        self._work = trio.CancelScope()
        """Around loading and watching: all that ends at once when the session stops."""
        self._all = trio.CancelScope()
        self._stopping = False

    async def run(self) -> None:
        with self._all:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                with self._work:
                    await self._load_first()
                    await self._follow_changes()
                if self._listener is not None:
                    self._listener.shutdown()
                with trio.move_on_after(SHUTDOWN_GRACE_S):
                    await self._worker.drain()  # what other triggers have begun, too
        self._show(Stopped(0 if self._listener is None else self._listener.statistics().exchanges_served))

    async def stop_on(self, signals: AsyncIterator[int]) -> None:
        """End the session at the first signal, cut it off at the second."""
        async for _ in signals:
            if self._stopping or not self._ready.is_set():
                self._all.cancel()
            else:
                self._stopping = True
                active = 0 if self._listener is None else self._listener.statistics().exchanges_active
                self._show(Stopping(active, SHUTDOWN_GRACE_S))
                self._work.cancel()

    async def _handle(self, exchange: Exchange) -> None:
        # A request that comes while the first load takes its seconds is answered when that is done.
        if not self._ready.is_set():
            await self._ready.wait()
        await self._worker.handle(exchange)

    def _listen(self) -> None:
        """Begin to listen, if nobody did.

        Raises:
            ListenError, TlsError
        """
        if self._listener is None:
            self._listener = Listener(self._handle, self._options.listen)
            self._nursery.start_soon(self._listener.run)

    async def _load_first(self) -> None:
        # Before the seconds of a load, so that an address which is taken is said at once.
        for project in self._projects:
            if (await project.read()).http_triggers:
                self._listen()
        for project in self._projects:
            self._serve(project, await project.load())
        self._ready.set()
        apps = self._apps.values()
        routes = tuple(route for app in apps for route in self._routes(app.model))
        triggers = tuple(trigger for app in apps for trigger in _triggers(app))
        urls = () if self._listener is None else tuple(self._listener.urls)
        self._show(Listening(urls, routes, triggers, self._options.watch))

    def _serve(self, project: Project, app: LoadedApp) -> None:
        """Serve an app in the place of the one that its project had before.

        Raises:
            HostTaken: another app has its name. The one before goes on.
            ListenError, TlsError: it is the first with an HTTP trigger. Likewise.
        """
        apps = self._apps | {project: app}
        try:
            if app.model.http_triggers:
                self._listen()
            self._worker.set(
                [Served(each, self._hosts(each.model, first=index == 0)) for index, each in enumerate(apps.values())]
            )
        except EdgedError:
            app.close()
            raise
        self._apps = apps

    def _hosts(self, model: App, *, first: bool) -> tuple[str, ...]:
        if len(self._projects) == 1:
            return ("*",)
        return (_local_name(model), "*") if first else (_local_name(model),)

    async def _follow_changes(self) -> None:
        if not self._options.watch:
            await trio.sleep_forever()
        async with trio.open_nursery() as nursery:
            for project in self._projects:
                nursery.start_soon(self._follow, project)

    async def _follow(self, project: Project) -> None:
        with Watcher() as watcher:
            while True:
                try:
                    changes = await project.wait_changed(watcher)
                except OSError as error:
                    self._show(Warned(f"changes of files are not seen any more: {error}"))
                    await trio.sleep_forever()
                started = time.perf_counter()
                paths = tuple(shown_path(path, project.folder) for path in changes[:SHOWN_PATHS_MAX])
                self._show(Changed(paths, len(changes)))
                try:
                    app = await project.load()
                    self._serve(project, app)
                except EdgedError as error:
                    self._show(ReloadFailed(error))
                    continue
                seconds = time.perf_counter() - started
                self._show(Swapped(app.model.name, seconds, self._routes(app.model), _triggers(app)))

    def _routes(self, model: App) -> tuple[Route, ...]:
        if self._listener is None:
            return ()
        url = _reachable(self._listener.urls[0])
        if len(self._projects) > 1:
            scheme, _, port = url.rpartition(":")
            url = f"{scheme.partition('://')[0]}://{_local_name(model)}:{port}"
        return Route.all_of(model, url)


def _triggers(app: LoadedApp) -> tuple[Trigger, ...]:
    return triggers_of(app.model, app.services.values, utc_now())


def _local_name(model: App) -> str:
    """The host that an app among several answers at: its name, with what no host may have as hyphens."""
    return re.sub(r"[^a-z0-9-]+", "-", model.name.lower()).strip("-") + ".localhost"


def _reachable(url: str) -> str:
    """A URL that a browser on this machine can open: nobody can connect to "all interfaces"."""
    for everywhere in ("://[::]:", "://0.0.0.0:"):
        url = url.replace(everywhere, "://localhost:")
    return url
