"""The sites of a worker's table: loaded one after the other, served as soon as they can be, closed when they go.

    set(table) ── placing ── Worker.set          at once, with what is ready
        '── run: load, probe ── placing ── ...   one site at a time: first those to serve, then candidates

Whatever is wrong with a site ends as its `failed` stage. The others, and what is served, do not notice.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import structlog
import trio

from edged.app import LoadedApp, LoadOptions
from edged.errors import EdgedError, HostFailed, LoadTimeout
from edged.http.hosts import HostTable
from edged.limits import SITE_LOAD_S_MAX, SITE_RETRY_S
from edged.manifest.model import App
from edged.nursery import first_error
from edged.worker.placing import place, same_host
from edged.worker.probe import probe
from edged.worker.report import Failure, SiteState, Stage, Traffic, TriggerState
from edged.worker.table import Orders, Site, Table
from edged.worker.worker import Counted, Served

log = structlog.get_logger()

OpenApp = Callable[[Path], App]
"""A checkout's folder to its app. Blocks; raises EdgedError."""

OptionsFor = Callable[[Site], LoadOptions]
"""What a site is loaded with. Raises EdgedError."""


class Loader(Protocol):
    """What of `edged.worker.Worker` is used."""

    async def load(self, model: App, options: LoadOptions) -> LoadedApp: ...

    def set(self, sites: list[Served]) -> None: ...

    def counted(self, app: LoadedApp) -> Counted | None: ...


@dataclass(slots=True)
class _Entry:
    """A site of the table, and how far it is."""

    site: Site
    stage: Stage = "waiting"
    failure: Failure | None = None
    app: LoadedApp | None = None
    served: bool = False
    """The worker has its app, and closes it when it is served no more."""
    retry_at: float | None = None


class Sites:
    """See the module.

    Args:
        changed: called at each change of a stage.
        loading: called before a site is loaded with its key, and with "" after it: should this process not survive it,
            whoever was told knows which it was.

    Attributes:
        version: of the table.
    """

    def __init__(
        self,
        worker: Loader,
        open_app: OpenApp,
        options: OptionsFor,
        changed: Callable[[], None],
        loading: Callable[[str], Awaitable[None]],
    ) -> None:
        self._worker = worker
        self._open_app = open_app
        self._options = options
        self._changed = changed
        self._loading = loading
        self._table = Table()
        self._hosts: HostTable[bool] = HostTable(())
        self._entries: dict[str, _Entry] = {}
        self._serving: dict[str, str] = {}
        self._refused: Mapping[str, EdgedError] = {}
        self._load: tuple[str, trio.CancelScope] | None = None
        self._orders = Orders()
        self._order_number = 0
        """Of the last one that was passed on."""
        self._news = trio.Event()

    @property
    def version(self) -> int:
        return self._table.version

    @property
    def settled(self) -> bool:
        """Whether everything that should be served is, or cannot be."""
        return all(entry.stage in ("ready", "failed") for entry in self._entries.values() if entry.site.serve)

    def expects(self, authority: str) -> bool:
        """Whether a site of the table answers for that host, or will."""
        return self._hosts.find(authority) is not None

    def set(self, table: Table) -> None:
        """This is the table from now on. A site that is another under the same key is not served until it is loaded."""
        sites = {site.key: site for site in table.sites}
        gone = [key for key, entry in self._entries.items() if key not in sites or _differs(entry.site, sites[key])]
        closing = [self._entries.pop(key) for key in gone]
        self._table = table
        self._hosts = HostTable(
            {same_host(host): True for site in table.sites if site.serve for host in site.hosts}.items()
        )
        self._entries = {key: self._entries.get(key) or _Entry(site) for key, site in sites.items()}
        for key, entry in self._entries.items():
            entry.site = sites[key]
            if entry.stage == "failed" and entry.site.serve and entry.retry_at is None:
                entry.retry_at = trio.current_time()
        if self._load is not None and self._load[0] in gone:
            self._load[1].cancel()
        self._place()
        for entry in closing:
            self._close(entry)
        self._tell()

    def order(self, orders: Orders) -> None:
        """These are the orders from now on. One to call a tick is passed on once, to the release that is served then:
        if none is, it is given again."""
        are_others = orders.apps.keys() != self._orders.apps.keys()
        self._orders = orders
        fresh = [
            (order.number, app, trigger, order.tick)
            for app, triggers in orders.apps.items()
            for trigger, order in triggers.items()
            if order.tick and order.number > self._order_number
        ]
        for number, app, trigger, tick in sorted(fresh):
            self._order_number = number
            entry = self._served(app)
            if entry is not None and entry.app is not None:
                entry.app.background.order(trigger, tick)
        self._listen()
        if are_others:
            self._changed()

    async def run(self) -> None:
        """Load what is to be loaded, until cancelled."""
        while True:
            entry = self._next()
            if entry is not None:
                await self._loading(entry.site.key)
                await self._bring_up(entry)
                await self._loading("")
                continue
            self._news = trio.Event()
            retries = (entry.retry_at for entry in self._entries.values() if not entry.site.held)
            with trio.CancelScope(deadline=min((at for at in retries if at is not None), default=math.inf)):
                await self._news.wait()

    def close(self) -> None:
        """Close what was loaded and never served; what is served is the worker's to end."""
        for entry in self._entries.values():
            self._close(entry)
        self._entries = {}

    def states(self) -> dict[str, SiteState]:
        """Each site of the table."""
        return {key: self._state(entry) for key, entry in self._entries.items()}

    def _state(self, entry: _Entry) -> SiteState:
        site = entry.site
        refusal = self._refused.get(site.key)
        if refusal is not None and entry.stage == "ready":
            return SiteState("failed", failure=Failure.of(refusal))
        counted = None if entry.app is None else self._worker.counted(entry.app)
        traffic = Traffic() if counted is None else Traffic(counted.served, counted.failed, counted.latency)
        serving = self._serving.get(site.app) == site.key
        return SiteState(entry.stage, serving, entry.failure, traffic, self._triggers(entry) if serving else {})

    def _next(self) -> _Entry | None:
        now = trio.current_time()
        waiting = [
            entry
            for entry in self._entries.values()
            if not entry.site.held
            and (entry.stage == "waiting" or (entry.retry_at is not None and entry.retry_at <= now))
        ]
        return min(waiting, key=lambda entry: not entry.site.serve, default=None)

    async def _bring_up(self, entry: _Entry) -> None:
        site = entry.site
        entry.retry_at = None
        self._step(entry, "loading")
        app = None
        with trio.move_on_after(SITE_LOAD_S_MAX) as scope:
            self._load = (site.key, scope)
            try:
                app = await self._load_app(entry)
                if site.probe and not entry.site.serve:
                    self._step(entry, "probing")
                    await probe(app, site.probe, _name_of(site))
            except Exception as error:
                if app is not None:
                    app.close()
                self._fail(entry, error)
                return
            except BaseException:
                if app is not None:
                    app.close()
                raise
            finally:
                self._load = None
            entry.app = app
        if self._entries.get(site.key) is not entry:  # it was taken out of the table at the last moment
            self._close(entry)
            return
        if scope.cancelled_caught:
            self._fail(entry, LoadTimeout(f"the app was not loaded within {SITE_LOAD_S_MAX:g} s"))
        elif app is not None:
            self._step(entry, "ready")
            self._place()
            self._tell()

    async def _load_app(self, entry: _Entry) -> LoadedApp:
        site = entry.site
        model = await trio.to_thread.run_sync(self._open_app, Path(site.folder))

        def on_compile(_component: str, _size: int) -> None:
            self._step(entry, "compiling")

        # Its lines in the log and its data belong to the app that was deployed, whatever its manifest says.
        model = replace(model, name=site.app)
        return await self._worker.load(model, replace(self._options(site), on_compile=on_compile))

    def _fail(self, entry: _Entry, error: Exception) -> None:
        found = first_error(error)
        failure = found or HostFailed("a mistake in edged; the log of the node has it")
        (log.warning if found else log.error)(
            "site.failed",
            app=entry.site.app,
            site=entry.site.key,
            code=failure.code,
            message=failure.message,
            exc_info=None if found else error,
        )
        if entry.site.serve:
            # It did load once, on this node or another: what it lacks now may come back.
            entry.retry_at = trio.current_time() + SITE_RETRY_S
        entry.failure = Failure.of(failure)
        self._step(entry, "failed")

    def _step(self, entry: _Entry, stage: Stage) -> None:
        entry.stage = stage
        if stage != "failed":
            entry.failure = None
        self._changed()

    def _place(self) -> None:
        """Serve what the table and the stages come to."""
        ready = {key for key, entry in self._entries.items() if entry.app is not None}
        placing = place(self._table, ready, self._serving)
        self._refused = placing.refused
        before, self._serving = self._serving, {app: site.key for app, site in placing.serve.items()}
        served = []
        for site in placing.serve.values():
            entry = self._entries[site.key]
            assert entry.app is not None, "it is ready"
            entry.served = True
            # A host that a publisher wrote twice is one host.
            served.append(Served(entry.app, tuple(dict.fromkeys(map(same_host, site.hosts))), self._calls(site)))
        self._worker.set(served)
        self._listen()
        for key in set(before.values()) - set(self._serving.values()):
            former = self._entries.get(key)
            if former is not None and former.served:
                # The worker closes what it serves no more. As a candidate again, it is loaded again.
                self._entries[key] = _Entry(former.site)
        self._changed()

    def _served(self, app: str) -> _Entry | None:
        return self._entries.get(self._serving.get(app, ""))

    def _listen(self) -> None:
        """Switch triggers on and off as the orders say; a release that has just come is told here."""
        for app, key in self._serving.items():
            entry = self._entries[key]
            assert entry.app is not None, "it is served"
            orders = self._orders.apps.get(app, {})
            entry.app.background.set(self._calls(entry.site))
            entry.app.background.listen([id_ for id_, order in orders.items() if order.listen])

    def _calls(self, site: Site) -> bool:
        """Whether this worker calls the triggers of a site that it serves."""
        return site.app in self._orders.apps

    def _triggers(self, entry: _Entry) -> dict[str, TriggerState]:
        if entry.app is None or not self._calls(entry.site):
            return {}
        return {
            id_: TriggerState("region" if each.scope == "region" else "fleet", each.expression, each.listening)
            for id_, each in entry.app.background.shared().items()
        }

    def _close(self, entry: _Entry) -> None:
        app, entry.app = entry.app, None
        if app is not None and not entry.served:
            app.close()

    def _tell(self) -> None:
        self._news.set()
        self._changed()


def _differs(old: Site, new: Site) -> bool:
    """Whether the app has to be loaded anew; hosts and whether it is served have nothing to do with that."""
    return _kept(old) != _kept(new)


def _kept(site: Site) -> Site:
    return replace(site, hosts=(), serve=False, held=False, probe="", networks_closed=())


def _name_of(site: Site) -> str:
    """A host that a probe may ask for: the first that is a name."""
    return next((host for host in map(same_host, site.hosts) if "*" not in host), "localhost")
