"""A node: its parts, put together. Read it from top to bottom.

    node.toml ─> identity, stores ─> FleetPart <═══ fleet ═══> other nodes, publishers
                                        │ sites    ^ how they do
                                        v          │
                                    WorkerPool ──> edged worker 0..N-1 <── requests
                                        ^                                     │
                                        └── Anycast ── asks each worker, announces while they answer

No guest runs in this process and no client's connection ends in it. SIGTERM lets workers end what they began; SIGHUP
reads node.toml again. Losing peers changes nothing that is served.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import structlog
import trio

from edged.admin.api import Source
from edged.admin.loop_metrics import Loop
from edged.admin.serve import open_admin
from edged.child import one_file
from edged.errors import EdgedError, NodeConfigInvalid, NodeUnknown
from edged.fleet.certificate import Identity, load_identity
from edged.fleet.state import FleetState
from edged.http.bind import bind
from edged.limits import DRAIN_EXTEND_S
from edged.node.announcing import open_anycast
from edged.node.anycast_calls import AnycastCalls
from edged.node.certificate_watch import CertificateWatch
from edged.node.check import check
from edged.node.closed_networks import ClosedNetworks
from edged.node.config import Listen, NodeConfig
from edged.node.config_file import load
from edged.node.failure import clear_failure, write_failure
from edged.node.fleet_part import Accepted, FleetPart
from edged.node.health import Health
from edged.node.install import Install
from edged.node.joining import join, own_node, read_voucher, take_roster
from edged.node.log_tail import LogTail
from edged.node.pool_event import PoolEvent
from edged.node.run_lock import alone_in
from edged.node.sd_notify import Notifier
from edged.node.sockets import Addresses
from edged.node.stores import Stores, open_stores
from edged.node.workers import WorkerPool
from edged.nursery import plain_errors
from edged.version import VERSION
from edged.worker.table import CertificateFiles, Settings, Site

log = structlog.get_logger()


async def run_node(
    config: NodeConfig,
    environment: Mapping[str, str],
    *,
    task_status: trio.TaskStatus[Node] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Be a node until SIGTERM or SIGINT. Started when workers take connections.

    Why it ends, if by an error, is kept in the state folder until it is ready again: `edged.node.failure`.

    Args:
        environment: of this process: what systemd wants to be told, and where.

    Raises:
        NodeRuns: another node has the state folder.
        NodeConfigInvalid: what the configuration names is not there, or not what it should be.
        NodeUnknown, JoinFailed: it belongs to no fleet.
        ListenError: an address is taken.
        EdgedError, RegistryError: the state folder cannot be used.
    """
    with alone_in(config.node.state_dir):
        try:
            await _be_node(config, environment, task_status)
        except Exception as error:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(write_failure, config.node.state_dir, error)
            raise


async def _be_node(config: NodeConfig, environment: Mapping[str, str], task_status: trio.TaskStatus[Node]) -> None:
    await trio.to_thread.run_sync(check, config)
    identity = await trio.to_thread.run_sync(load_identity, config.node.key, config.node.certificate)
    stores = await trio.to_thread.run_sync(open_stores, config.node.state_dir, config.storage_bytes_max)
    accepted = Accepted()
    open_state = partial(FleetState, stores.records, now=time.time(), accepted=accepted.notice)
    state = await trio.to_thread.run_sync(open_state)
    await _enter_fleet(config, state, identity)
    node = Node(config, identity, stores, state, one_file=one_file())
    accepted.listen(node.fleet)
    with plain_errors():
        await node.run(Notifier(environment), task_status=task_status)


async def _enter_fleet(config: NodeConfig, state: FleetState, identity: Identity) -> None:
    if config.fleet.roster is not None:
        await trio.to_thread.run_sync(take_roster, state, config.fleet.roster, time.time())
    if own_node(state, identity) is None and config.fleet.voucher is not None:
        voucher = await trio.to_thread.run_sync(read_voucher, config.fleet.voucher)
        await join(state, identity, voucher, version=VERSION)
    if state.roster is None:
        raise NodeUnknown("this node knows no fleet")
    if own_node(state, identity) is None:
        # The roster which names it may be on its way; and what is on disk is served whatever the roster says.
        log.warning("node.not-in-roster", node=config.node.name, fingerprint=identity.fingerprint)


class Node:
    """The parts of one node and how they know of each other. Made by `run_node`.

    Args:
        one_file: that this edged was started from; None for none.

    Attributes:
        pool, fleet, anycast: parts, for tests and the composition.
    """

    def __init__(
        self, config: NodeConfig, identity: Identity, stores: Stores, state: FleetState, *, one_file: Path | None = None
    ) -> None:
        self.config = config
        self._is_started = self._is_stopping = self._is_leaving = False
        tail, rng = LogTail(), random.Random()  # noqa: S311 - chooses peers and pauses

        self.pool = WorkerPool(
            _settings(config, stores),
            config.node.workers or len(os.sched_getaffinity(0)),
            Addresses(
                _pairs(config.http.listen),
                _pairs(config.https.listen),
                http3=config.https.http3,
                may_be_absent=config.bgp is not None and config.bgp.own_addresses,  # it puts them there later
            ),
            tail,
            emit=self._emit,
        )
        self._closed = ClosedNetworks(lambda: state.view, self._networks_changed, routers=self._routers)
        self._health = Health(lambda: self.pool.heard_at, lambda: self._is_stopping)
        self.fleet = FleetPart(
            identity=identity,
            stores=stores,
            state=state,
            region=config.node.region,
            rate_bytes_s=config.fleet.rate_bytes_s or None,
            pool=self.pool,
            set_sites=self._set_sites,
            networks_closed=self._closed,
            fleet_changed=self._fleet_changed,
            anycast=lambda: None if self.anycast is None else self.anycast.status(),
            install_alarm=lambda: "" if self.install is None else self.install.alarm,
            tail=tail,
            rng=rng,
            shared=self.pool,
        )
        self.anycast = open_anycast(config, self.pool, self.fleet.agent.reports, self.fleet.membership.expelled, rng)
        self.install = None if config.install is None else Install(one_file)
        self._steering = AnycastCalls(self.anycast, lambda: self.pool.statistics().connections_open)
        self.fleet.answer(self._steering.handlers())
        self._sites: Sequence[Site] | None = None
        self._expiry = CertificateWatch(identity, state, lambda: self.config.certificates)

    # --- at work ---

    async def run(self, notifier: Notifier, *, task_status: trio.TaskStatus[Node]) -> None:
        """Until a signal ends it, or a second one cuts it short."""
        fleet = await trio.to_thread.run_sync(bind, self.config.fleet.listen.host, self.config.fleet.listen.port)
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in fleet]
        admin = Source(self.fleet.answers.status_now, self.not_ready, self._loop, lambda: self._expiry.tls_days)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with open_admin(admin, self.config.admin), trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, signals, notifier, nursery)
                nursery.start_soon(self._keep_workers, nursery.cancel_scope)
                nursery.start_soon(self._health.run)
                nursery.start_soon(self._expiry.run)
                nursery.start_soon(notifier.watch, self._health)
                await nursery.start(self._closed.run)
                await nursery.start(self.fleet.run, listeners)
                nursery.start_soon(self._steering.run)
                if self.install is not None and self.config.install is not None:
                    await nursery.start(self.install.run, self.config.install)
                await self.pool.wait_until(lambda pool: pool.statistics().workers_ready > 0)
                if self.anycast is not None:
                    await nursery.start(self.anycast.run)
                self._is_started = True
                plain = [str(Listen(*address[:2])) for address in (*self.pool.plain, *self.pool.tls)]
                await trio.to_thread.run_sync(clear_failure, self.config.node.state_dir)
                log.info("node.ready", node=self.config.node.name, region=self.fleet.region(), listen=plain)
                notifier.ready(f"serving on {', '.join(plain)}")
                task_status.started(self)

    def not_ready(self) -> str:
        """Why this node does not serve what is on its disk; "" if it does."""
        if self._is_stopping:
            return "it is being stopped"
        if not self._is_started:
            return "it is being started"
        ready = self.pool.statistics().workers_ready
        return "" if ready else "no worker takes connections"

    def stop(self) -> None:
        """Let workers end what they began; `run` returns then."""
        self._is_stopping = True
        self.pool.stop()

    async def reload(self) -> None:
        """Read node.toml again. Certificates can be changed while the node runs.

        Raises:
            NodeConfigMissing, NodeConfigInvalid: it is wrong, or asks for what needs a restart. Nothing has changed.
        """
        new = await trio.to_thread.run_sync(load, self.config.file)
        await trio.to_thread.run_sync(check, new)
        others = [name for name in _FIELDS if getattr(new, name) != getattr(self.config, name)]
        if others:
            raise NodeConfigInvalid(
                f"{self.config.file}:1: {', '.join(others)} cannot be changed while the node runs",
                remedy="Restart the node; its workers end what they began.",
            )
        self.config = new
        self._hand_out()

    # --- inside ---

    async def _obey(self, signals: AsyncIterator[int], notifier: Notifier, nursery: trio.Nursery) -> None:
        async for number in signals:
            if number == signal.SIGHUP:
                await self._reload(notifier)
            elif self._is_leaving and self.anycast is not None:
                self._is_leaving = False
                self.anycast.cut_short()
            elif self._is_stopping:
                nursery.cancel_scope.cancel()
            else:
                log.info("node.stopping", node=self.config.node.name)
                self._is_stopping = True
                nursery.start_soon(self._leave, notifier)

    async def _leave(self, notifier: Notifier) -> None:
        """First out of traffic, then let workers end what they began."""
        if self.anycast is not None:
            self._is_leaving = True
            notifier.stopping("leaving traffic")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_extend, notifier)
                await self.anycast.leave("the node stops")
                nursery.cancel_scope.cancel()
            self._is_leaving = False
        notifier.stopping("ending what was begun")
        self.stop()

    def _loop(self) -> Loop:
        return Loop(self._health.lag_s, tuple(self.fleet.depths()))

    async def _reload(self, notifier: Notifier) -> None:
        notifier.reloading()
        try:
            await self.reload()
        except EdgedError as error:
            log.error("node.reload-refused", code=error.code, message=error.message, remedy=error.remedy)
        else:
            log.info("node.reloaded", file=str(self.config.file))
        notifier.ready()

    async def _keep_workers(self, scope: trio.CancelScope) -> None:
        await self.pool.run()
        scope.cancel()  # they were stopped, and have ended

    def _routers(self) -> Sequence[IPv4Address | IPv6Address]:
        return () if self.anycast is None else self.anycast.router_addresses()

    def _networks_changed(self) -> None:
        self.fleet.agent.networks_changed()

    def _emit(self, event: PoolEvent) -> None:
        self.fleet.emit(event)

    def _fleet_changed(self) -> None:
        self._closed.refresh()
        self._hand_out()
        if self.anycast is not None:
            self.anycast.roster_changed()

    def _set_sites(self, sites: Sequence[Site]) -> None:
        self._sites = sites
        self._hand_out()

    def _hand_out(self) -> None:
        if self._sites is not None:
            self.pool.set(self._sites, _certificates(self.config))


_FIELDS = tuple(each.name for each in fields(NodeConfig) if each.name not in ("certificates", "lines"))


def _pairs(addresses: Sequence[Listen]) -> list[tuple[str, int]]:
    return [(each.host, each.port) for each in addresses]


def _certificates(config: NodeConfig) -> list[CertificateFiles]:
    return [CertificateFiles(each.hosts, str(each.certificate), str(each.key)) for each in config.certificates]


def _settings(config: NodeConfig, stores: Stores) -> Settings:
    return Settings(
        worker=0,
        cache_folder=str(stores.cache),
        limits=config.limits,
        runtime_config=str(config.runtime_config) if config.runtime_config else "",
        networks=tuple(map(str, config.networks_allowed)),
        log_level=config.log_level,
        canary=config.bgp is not None,
    )


async def _extend(notifier: Notifier) -> None:
    """Keep systemd from giving up on a stop that takes its time."""
    while True:
        notifier.extend(DRAIN_EXTEND_S)
        await trio.sleep(DRAIN_EXTEND_S / 3)
