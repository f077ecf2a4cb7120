"""A worker as a process of its own: `edged worker`, started by `edged node`.

    control connection ── Settings, Table, Orders, ... ─> Sites ── Worker.set ──┐
                       <── Report, every second ──────── all of it              │
    sockets inherited ── Listener ── Worker.handle ── the app of that host <────┘

It accepts once what it has to serve is loaded, so that connections to a worker that died wait in its sockets, which the
supervisor keeps open, for the successor. SIGTERM, or a supervisor that is gone, lets requests end and then the process.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

import structlog
import trio

from edged.app import LoadOptions
from edged.bundle.unpack import unpack
from edged.errors import ControlError, HostUnknown, NotReady, TlsError
from edged.http.exchange import Exchange
from edged.http.listener import Listener, ListenOptions
from edged.http.tls import Certificate, Certificates, TlsFiles
from edged.limits import (
    CONNECTION_OWN_COUNT,
    REPORT_CLOSING_INTERVAL_S,
    REPORT_GATHER_S,
    REPORT_INTERVAL_S,
    SHUTDOWN_GRACE_S,
    WARM_S_MAX,
    GuestLimits,
)
from edged.logging import configure
from edged.nursery import plain_errors
from edged.runtime_config import RuntimeConfig
from edged.runtime_config import load as load_runtime_config
from edged.runtime_config.networks import parse_network
from edged.variables_provider import providers_of
from edged.worker.canary import Canary
from edged.worker.control import Control
from edged.worker.deadman import run_deadman
from edged.worker.limits_of import limits_of
from edged.worker.report import Failure, Report, Tick, report_wire, tick_wire
from edged.worker.sites import Sites
from edged.worker.table import Settings, Site, Table, parse_orders, parse_settings, parse_table
from edged.worker.worker import Worker, open_worker, pool_for

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Inherited:
    """Sockets that the supervisor has bound.

    Attributes:
        control: the connection to it.
        plain: for HTTP.
        tls: for HTTPS.
        udp: for HTTP/3, each with the address of one of `tls`.
    """

    control: socket.socket
    plain: Sequence[socket.socket]
    tls: Sequence[socket.socket]
    udp: Sequence[socket.socket]


async def run(inherited: Inherited) -> None:
    """Serve until told to stop.

    Raises:
        EdgedError: the settings cannot be used, or the supervisor is not understood.
    """
    # SIGINT as well: whoever types ^C at the supervisor means the supervisor. A KeyboardInterrupt inside of a host
    # function would end the process (see ADR 2).
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals, plain_errors():
        control = Control(inherited.control)
        async with aclosing(control.receive()) as records:
            settings = await _settings(records)
            if settings is None:
                return  # the supervisor is gone already
            configure(level=settings.log_level, as_json=True)
            options = await trio.to_thread.run_sync(_site_options, settings)
            usual = limits_of(settings.limits, GuestLimits())
            async with (
                open_worker(Path(settings.cache_folder), pool_for(usual)) as worker,
                trio.open_nursery() as nursery,
            ):
                process = _Process(inherited, control, worker, options, settings, usual=usual)
                nursery.start_soon(run_deadman)
                nursery.start_soon(process.stop_on, signals)
                nursery.start_soon(process.take, records)
                await process.run()
                nursery.cancel_scope.cancel()


async def _settings(records: AsyncIterator[tuple[str, object]]) -> Settings | None:
    async for kind, value in records:
        if kind != "settings":
            raise ControlError(f"a worker is told its settings first, not a {kind[:20]!r}")
        return parse_settings(value)
    return None


def _site_options(settings: Settings) -> LoadOptions:
    """What all sites are loaded with."""
    path = settings.runtime_config
    config = load_runtime_config(Path(path)) if path else RuntimeConfig()
    try:
        networks = tuple(parse_network(text) for text in settings.networks)
    except ValueError as error:
        raise ControlError(f"a network of the settings {error}") from None
    return LoadOptions(
        sources=Path(settings.cache_folder) / "sources",
        runtime_config=config,
        networks_allowed=networks,
        providers=providers_of(config.variables_providers, dict(os.environ)),
    )


class _TickNews:
    """Tells the supervisor of an app's ticks. If it is gone, so is this process soon."""

    def __init__(self, control: Control, app: str) -> None:
        self._control = control
        self._app = app

    async def begun(self, trigger: str, tick: int) -> None:
        await self._control.send("tick", tick_wire(Tick(self._app, trigger, tick, ended=False)))

    async def ended(self, trigger: str, tick: int) -> None:
        await self._control.send("tick", tick_wire(Tick(self._app, trigger, tick, ended=True)))


class _Process:
    """The parts of one worker process, and what they know of each other."""

    def __init__(
        self,
        inherited: Inherited,
        control: Control,
        worker: Worker,
        options: LoadOptions,
        settings: Settings,
        *,
        usual: GuestLimits,
    ) -> None:
        self._number = settings.worker
        self._inherited = inherited
        self._control = control
        self._worker = worker
        self._options = options
        self._usual = usual
        self._canary = Canary(worker, self._number, options.sources, self._changed) if settings.canary else None
        self._sites = Sites(worker, unpack, self._options_for, self._changed, self._loading)
        self._listeners: list[Listener] = []
        self._closing = False
        self._certificates: Certificates | None = None
        self._certificates_version = -1
        self._certificate_failure: Failure | None = None
        self._change = trio.Event()
        self._first_table = trio.Event()
        self._work = trio.CancelScope()

    async def run(self) -> None:
        async with trio.open_nursery() as reporting:
            reporting.start_soon(self._report_forever)
            async with trio.open_nursery() as listening:
                with self._work:
                    async with trio.open_nursery() as work:
                        work.start_soon(self._sites.run)
                        if self._canary is not None:
                            work.start_soon(self._canary.run)
                        work.start_soon(self._listen_when_warm, listening)
                        await trio.sleep_forever()
                for listener in self._listeners:
                    listener.shutdown()
            with trio.move_on_after(SHUTDOWN_GRACE_S):
                await self._worker.drain()  # what other triggers have begun, too
            self._sites.close()
            reporting.cancel_scope.cancel()

    async def stop_on(self, signals: AsyncIterator[int]) -> None:
        async for signum in signals:
            if signum == signal.SIGTERM:
                self._work.cancel()

    async def take(self, records: AsyncIterator[tuple[str, object]]) -> None:
        """Tables as they come, until the supervisor is gone, and this process has nothing to serve for."""
        async for kind, value in records:
            if self._work.cancel_called:
                continue  # it ends what it has begun, and begins nothing
            if kind == "orders":
                self._sites.order(parse_orders(value))
                continue
            if kind != "table":
                raise ControlError(f"a worker is told tables and orders, not a {kind[:20]!r}")
            table = parse_table(value)
            await trio.to_thread.run_sync(self._set_certificates, table)
            self._set_closing(table.closing)
            self._sites.set(table)
            self._first_table.set()
        self._work.cancel()

    async def _listen_when_warm(self, listening: trio.Nursery) -> None:
        await self._first_table.wait()
        with trio.move_on_after(WARM_S_MAX):
            await self._until(self._is_settled)
        log.info("worker.listening", worker=self._number, settled=self._is_settled())
        plain, tls = self._inherited.plain, self._inherited.tls
        if plain:
            self._listen(ListenOptions(sockets=plain), listening)
        if not tls:
            return
        await self._until(lambda: self._certificates is not None)
        for sock in tls:
            udp = [each for each in self._inherited.udp if each.getsockname() == sock.getsockname()]
            options = ListenOptions(sockets=[sock], tls=self._certificates, http3=bool(udp), udp_sockets=udp)
            self._listen(options, listening)

    def _is_settled(self) -> bool:
        return self._sites.settled and (self._canary is None or self._canary.settled)

    def _listen(self, options: ListenOptions, listening: trio.Nursery) -> None:
        own_count = 0 if self._canary is None else CONNECTION_OWN_COUNT
        listener = Listener(self._handle, replace(options, connection_own_count=own_count))
        listener.set_closing(self._closing)
        self._listeners.append(listener)
        listening.start_soon(listener.run)
        self._changed()

    async def _handle(self, exchange: Exchange) -> None:
        if self._canary is not None and self._canary.answers(exchange):
            await self._canary.handle(exchange)
            return
        try:
            await self._worker.handle(exchange)
        except HostUnknown:
            if self._sites.expects(exchange.request.authority):
                raise NotReady("the app of this host is being loaded, or cannot be") from None
            raise

    def _set_closing(self, closing: bool) -> None:
        self._closing = closing
        for listener in self._listeners:
            listener.set_closing(closing)

    def _set_certificates(self, table: Table) -> None:
        """In a thread: files are read, and keys checked. Those before stay in use where these cannot be."""
        certificates = [
            Certificate(each.hosts, TlsFiles(Path(each.certificate), Path(each.key))) for each in table.certificates
        ]
        if not self._inherited.tls or table.certificates_version == self._certificates_version:
            return
        self._certificates_version = table.certificates_version
        self._certificate_failure = None
        try:
            if self._certificates is None:
                self._certificates = Certificates(certificates)
            else:
                self._certificates.set(certificates)
        except TlsError as error:
            self._certificate_failure = Failure.of(error)

    def _options_for(self, site: Site) -> LoadOptions:
        return replace(
            self._options,
            variables=site.variables,
            state_folder=Path(site.state_folder) if site.state_folder else None,
            limits=limits_of(site.limits, self._usual, self._worker.engine.pool),
            networks_closed=tuple(map(ip_network, site.networks_closed)),
            ticks=_TickNews(self._control, site.app),
        )

    def _changed(self) -> None:
        event, self._change = self._change, trio.Event()
        event.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._change.wait()

    async def _loading(self, key: str) -> None:
        await self._control.send("loading", {"key": key})

    async def _report_forever(self) -> None:
        while True:
            change = self._change
            if not await self._control.send("report", report_wire(self._report())):
                return
            await trio.sleep(REPORT_GATHER_S)
            with trio.move_on_after(REPORT_CLOSING_INTERVAL_S if self._closing else REPORT_INTERVAL_S):
                await change.wait()

    def _report(self) -> Report:
        statistics = [listener.statistics() for listener in self._listeners]
        return Report(
            version=self._sites.version,
            listening=bool(self._listeners),
            requests_active=self._worker.statistics().requests_active,
            connections_open=sum(each.connections_open for each in statistics),
            certificate_failure=self._certificate_failure,
            sites=self._sites.states(),
        )
