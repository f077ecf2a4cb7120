"""A node: its parts, put together. Read it from top to bottom.

    node.toml ─> identity, stores ─> FleetState ──────────────── Gossip, Peers <─> other nodes
                                        │   └─ roster, voucher       │
                                        v                            v
                                      Agent <── fetch ──────────── Fetcher
                                        │
                                        v
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
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import structlog
import trio

from edged.admin.api import Source
from edged.admin.serve import open_admin
from edged.child import one_file
from edged.errors import EdgedError, NodeConfigInvalid, NodeUnknown
from edged.fleet.calls import Dispatcher
from edged.fleet.certificate import Identity, load_identity
from edged.fleet.client import Peers
from edged.fleet.deployment import Deployment
from edged.fleet.fetch import Fetcher, Progress
from edged.fleet.gossip import Gossip
from edged.fleet.node_calls import NodeCalls
from edged.fleet.peer import Peer
from edged.fleet.report import Board, NodeReport
from edged.fleet.servable import Servable
from edged.fleet.server import Server
from edged.fleet.session import Hello
from edged.fleet.state import FleetState
from edged.fleet.view import Record, View
from edged.http.bind import bind
from edged.limits import CATCH_UP_LOOK_S, DRAIN_EXTEND_S, REPORT_REFRESH_S
from edged.node.agent import Agent
from edged.node.announcing import open_anycast
from edged.node.answers import Answers
from edged.node.anycast_calls import AnycastCalls
from edged.node.app_rollout import Moved
from edged.node.check import check
from edged.node.closed_networks import ClosedNetworks
from edged.node.config import Listen, NodeConfig
from edged.node.config_file import load
from edged.node.failure import clear_failure, write_failure
from edged.node.health import Health
from edged.node.housekeeping import Housekeeping, needed
from edged.node.install import Install
from edged.node.joining import join, own_node, read_voucher, take_roster
from edged.node.log_tail import LogTail
from edged.node.own_report import OwnReport
from edged.node.pool_event import PoolEvent
from edged.node.sd_notify import Notifier
from edged.node.sockets import Addresses
from edged.node.stores import Stores, open_stores
from edged.node.workers import WorkerPool
from edged.nursery import plain_errors
from edged.version import VERSION
from edged.worker.table import CertificateFiles, Settings, Site
from registry.digest import Digest
from registry.dsse import Envelope
from registry.errors import ReleaseInvalid
from registry.release import RELEASE_TYPE
from registry.release_store import StoredRelease

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
        NodeConfigInvalid: what the configuration names is not there, or not what it should be.
        NodeUnknown, JoinFailed: it belongs to no fleet.
        ListenError: an address is taken.
        EdgedError, RegistryError: the state folder cannot be used.
    """
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
    accepted.listen(node)
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


class Accepted:
    """Brings news of accepted records from the threads where they are accepted to the loop."""

    def __init__(self) -> None:
        self._node: Node | None = None
        self._token: trio.lowlevel.TrioToken | None = None

    def listen(self, node: Node) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._node = node

    def notice(self, record: Record) -> None:
        """For `FleetState(accepted=...)`."""
        if self._node is None or self._token is None:
            return  # before the node runs; it looks at all records when it begins
        self._node.gossip.notice(record)
        refresh = self._node.fleet_changed if record.head.key.kind != "deployment" else self._node.agent.refresh
        self._token.run_sync_soon(refresh, idempotent=True)


class Node:
    """The parts of one node and how they know of each other. Made by `run_node`.

    Args:
        one_file: that this edged was started from; None for none.

    Attributes:
        pool, peers, server, agent, gossip, answers: parts, for tests and the composition.
    """

    def __init__(
        self, config: NodeConfig, identity: Identity, stores: Stores, state: FleetState, *, one_file: Path | None = None
    ) -> None:
        self.config = config
        self._identity = identity
        self._stores = stores
        self._state = state
        self._named: tuple[View, frozenset[Digest]] | None = None
        self._is_started = self._is_stopping = self._is_leaving = False
        tail, rng = LogTail(), random.Random()  # noqa: S311 - chooses peers and pauses

        self.board = Board(identity.name, self._is_known, trio.current_time())
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
        servable = Servable(stores.releases, self._named_releases)
        self.peers = Peers(identity, state.anchors, self._hello, rng, self._dispatch)
        self.server = Server(identity, state.anchors, self._hello, self._dispatch)
        self._fetcher = Fetcher(
            self.peers,
            stores.releases,
            stores.chunks,
            servable,
            rate_bytes_s=config.fleet.rate_bytes_s or None,
        )
        self.agent = Agent(
            deployments=state.deployments,
            region=self._region,
            domain=lambda: state.roster.domain if state.roster else "",
            networks_closed=self._closed,
            fetch=self._fetch,
            releases=stores.releases,
            checkouts=stores.checkouts,
            store=stores.rollouts,
            pool=self.pool,
            set_sites=self._set_sites,
            apps_folder=stores.apps,
        )
        self.anycast = open_anycast(config, self.pool, self.agent.reports, rng)
        self.install = None if config.install is None else Install(one_file)
        self._report = OwnReport(
            identity=identity,
            state=state,
            region=self._region,
            version=VERSION,
            incarnation=int(time.time()),
            apps=self.agent.reports,
            pool=self.pool.statistics,
            traffic=self.pool.traffic,
            storage=stores.chunks.statistics,
            anycast=lambda: None if self.anycast is None else self.anycast.status(),
            install_alarm=lambda: "" if self.install is None else self.install.alarm,
        )
        self.gossip = Gossip(state, self.board, self.peers, self._report.make, rng=rng)
        self.answers = Answers(
            node=identity.name,
            region=self._region,
            state=state,
            board=self.board,
            own_report=self._report.make,
            tail=tail,
            links=self.peers,
            report_to=self.gossip.report_to,
        )
        self._calls = NodeCalls(state, stores.releases, stores.chunks, self.board, identity=identity, servable=servable)
        self._steering = AnycastCalls(self.anycast, lambda: self.pool.statistics().connections_open)
        self._dispatcher = Dispatcher(
            {
                **self._calls.handlers(),
                **self.answers.handlers(),
                **self._steering.handlers(),
                "reports": self._answer_reports,
            }
        )
        self._housekeeping = Housekeeping(
            chunks=stores.chunks,
            releases=stores.releases,
            checkouts=stores.checkouts,
            needed=self._needed,
            running=self.agent.releases,
            repair=self._fetcher.repair,
        )
        self._sites: Sequence[Site] | None = None

    # --- at work ---

    async def run(self, notifier: Notifier, *, task_status: trio.TaskStatus[Node]) -> None:
        """Until a signal ends it, or a second one cuts it short."""
        fleet = await trio.to_thread.run_sync(bind, self.config.fleet.listen.host, self.config.fleet.listen.port)
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in fleet]
        admin = Source(self.answers.status_now, self.not_ready)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with open_admin(admin, self.config.admin), trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, signals, notifier, nursery)
                nursery.start_soon(self._keep_workers, nursery.cancel_scope)
                nursery.start_soon(self._health.run)
                nursery.start_soon(notifier.watch, self._health)
                nursery.start_soon(self._refresh_report)
                await nursery.start(self._closed.run)
                await nursery.start(self.agent.run)
                await nursery.start(self.server.run, listeners)
                nursery.start_soon(self.peers.run)
                nursery.start_soon(self.gossip.run)
                nursery.start_soon(self._catch_up)
                nursery.start_soon(self.answers.run)
                nursery.start_soon(self._steering.run)
                nursery.start_soon(self._housekeeping.run)
                if self.install is not None and self.config.install is not None:
                    await nursery.start(self.install.run, self.config.install)
                await self.pool.wait_until(lambda pool: pool.statistics().workers_ready > 0)
                if self.anycast is not None:
                    await nursery.start(self.anycast.run)
                self._is_started = True
                plain = [str(Listen(*address[:2])) for address in (*self.pool.plain, *self.pool.tls)]
                await trio.to_thread.run_sync(clear_failure, self.config.node.state_dir)
                log.info("node.ready", node=self.config.node.name, region=self._region(), listen=plain)
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

    def fleet_changed(self) -> None:
        """Another roster, or another node was admitted. On the loop."""
        self.peers.refresh()
        self.server.refresh()
        self.board.forget()
        self._closed.refresh()
        self.agent.networks_changed()
        self.agent.refresh()
        self._hand_out()
        if self.anycast is not None:
            self.anycast.roster_changed()

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

    async def _catch_up(self) -> None:
        """Ask the first peer that answers for all there is: a node that was away, or is new, does not wait its turn."""
        while True:
            for link in self.peers.open():
                try:
                    await self.gossip.report_to(link)
                    await self.gossip.compare_with(link)
                    return
                except EdgedError as error:
                    log.debug("node.not-caught-up", peer=link.peer.name, reason=error.message)
            await trio.sleep(CATCH_UP_LOOK_S)

    async def _refresh_report(self) -> None:
        while True:
            await self._report.refresh()
            await trio.sleep(REPORT_REFRESH_S)

    def _routers(self) -> Sequence[IPv4Address | IPv6Address]:
        return () if self.anycast is None else self.anycast.router_addresses()

    def _networks_changed(self) -> None:
        self.agent.networks_changed()

    def _emit(self, event: PoolEvent) -> None:
        self.agent.emit(event)

    async def _dispatch(self, peer: Peer, call: str, args: dict[str, Any]) -> Any:
        return await self._dispatcher(peer, call, args)

    async def _answer_reports(self, peer: Peer, reports: Sequence[NodeReport]) -> dict[str, Any]:
        """With our own as it is now: whoever asks may be watching a rollout."""
        self.board.put(self._report.make(), trio.current_time())
        return await self._calls.reports(peer, reports)

    def _region(self) -> str:
        node = own_node(self._state, self._identity)
        return self.config.node.region if node is None else node.region

    def _hello(self) -> Hello:
        roster = self._state.roster
        assert roster is not None, "a node without one does not start"
        return Hello(roster.fleet, roster.epoch, roster.version, self._identity.name, VERSION)

    def _is_known(self, name: str) -> bool:
        return name == self._identity.name or any(node.name == name for node in self._state.nodes())

    def _named_releases(self) -> frozenset[Digest]:
        """What the deployments of this moment name, in all regions."""
        view = self._state.view
        if self._named is None or self._named[0] is not view:
            digests = (digest for each in view.deployments.values() for digest in each.regions.values())
            self._named = view, frozenset(digests)
        return self._named[1]

    def _needed(self) -> set[Digest]:
        """In a thread."""
        deployments = self._state.deployments()
        histories = [[record.value for record in self._state.history(app)] for app in deployments]
        only = [[each for each in history if isinstance(each, Deployment)] for history in histories]
        return needed(deployments.values(), only, ())

    async def _fetch(self, app: str, release: Digest, moved: Callable[[Moved], None]) -> None:
        region = self._region()

        def verify(stored: StoredRelease) -> None:
            """In a thread."""
            if stored.release.app != app:
                raise ReleaseInvalid(f"the release {release} is of the app {stored.release.app!r}, not of {app!r}")
            self._state.keyring().verify(Envelope.parse(stored.envelope), RELEASE_TYPE, "deploy", app, (region,))

        def progress(found: Progress) -> None:
            moved(Moved(found.bytes_done, found.bytes_total, found.bytes_saved))

        await self._fetcher.fetch(release, verify, progress)

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
