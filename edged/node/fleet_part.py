"""The fleet half of a node: what it knows of the fleet, brings here, tells others and answers. The other half is the
machine: workers, sockets, kernel, routers. The simulator runs this half as it is, on machines that it makes up.

    identity, stores ─> FleetState ──────────────── Gossip, Peers <─> other nodes
                            │ deployments                 │
                            v                             v
                          Agent <── fetch ──────────── Fetcher
                            │ sites        ^ how they do
                            v              │
                            the machine's half
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog
import trio

from bgp.status import AnycastStatus
from edged.errors import EdgedError
from edged.fleet.board import Board
from edged.fleet.calls import Dispatcher, Handler
from edged.fleet.certificate import Identity
from edged.fleet.client import Connect, Peers, connect
from edged.fleet.deployment import Deployment
from edged.fleet.depth import Depth, fullest
from edged.fleet.fetch import Fetcher, Progress
from edged.fleet.gossip import Gossip
from edged.fleet.node_calls import NodeCalls
from edged.fleet.peer import Peer
from edged.fleet.removal import removals_held
from edged.fleet.report import NodeReport
from edged.fleet.scope import Heard
from edged.fleet.servable import Servable
from edged.fleet.server import Server
from edged.fleet.session import Hello
from edged.fleet.state import FleetState
from edged.fleet.view import Record, View
from edged.fleet.wave import Nodes
from edged.limits import CATCH_UP_LOOK_S, REPORT_REFRESH_S
from edged.node.agent import Agent
from edged.node.answers import Answers
from edged.node.app_rollout import Moved
from edged.node.checkpoint_watch import CheckpointWatch
from edged.node.housekeeping import Housekeeping, needed
from edged.node.joining import own_node
from edged.node.log_tail import LogTail
from edged.node.membership import Membership
from edged.node.own_report import OwnReport
from edged.node.pool_event import PoolEvent
from edged.node.pool_state import PoolStatistics, SiteSummary
from edged.node.scopes import Scopes, SharedPool
from edged.node.stores import Stores
from edged.version import VERSION
from edged.worker.report import Traffic
from edged.worker.table import Site
from registry.digest import Digest
from registry.dsse import Envelope
from registry.errors import ReleaseInvalid
from registry.release import RELEASE_TYPE
from registry.release_store import StoredRelease

log = structlog.get_logger()


class Pool(Protocol):
    """What this needs of `edged.node.workers.WorkerPool`."""

    def sites(self) -> Mapping[str, SiteSummary]: ...

    def statistics(self) -> PoolStatistics: ...

    def traffic(self) -> Mapping[str, Traffic]: ...


class Accepted:
    """Brings news of accepted records from the threads where they are accepted to the loop."""

    def __init__(self) -> None:
        self._part: FleetPart | None = None
        self._token: trio.lowlevel.TrioToken | None = None

    def listen(self, part: FleetPart) -> None:
        """On the loop."""
        self._token = trio.lowlevel.current_trio_token()
        self._part = part

    def notice(self, record: Record) -> None:
        """For `FleetState(accepted=...)`."""
        if self._part is None or self._token is None:
            return  # before the node runs; it looks at all records when it begins
        self._part.gossip.notice(record)
        is_of_fleet = record.head.key.kind in ("roster", "admission")
        refresh = self._part.fleet_changed if is_of_fleet else self._part.agent.refresh
        self._token.run_sync_soon(refresh, idempotent=True)


class FleetPart:
    """See the module.

    Args:
        identity, stores, state: of the node.
        region: of the node's own configuration, which counts until a roster names it.
        rate_bytes_s: of all fetches together, plain bytes; None for no limit.
        pool: of workers.
        set_sites: told all sites whenever they change.
        networks_closed: that no guest reaches.
        fleet_changed: told of another roster or admission, once links follow it; before apps do.
        anycast: how announcing does; None where nothing is announced.
        install_alarm: why new machines are not given the one file; "" where nothing is wrong.
        tail: what apps and workers said of late.
        rng: chooses peers and pauses.
        connect: to other nodes.
        shared: triggers with a scope that workers have; None where nobody calls them.

    Attributes:
        board, peers, server, agent, gossip, membership, answers, housekeeping, scopes: parts.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        stores: Stores,
        state: FleetState,
        region: str,
        rate_bytes_s: float | None,
        pool: Pool,
        set_sites: Callable[[Sequence[Site]], None],
        networks_closed: Callable[[], tuple[str, ...]],
        fleet_changed: Callable[[], None],
        anycast: Callable[[], AnycastStatus | None],
        install_alarm: Callable[[], str],
        tail: LogTail,
        rng: random.Random,
        connect: Connect = connect,
        shared: SharedPool | None = None,
    ) -> None:
        self._identity = identity
        self._stores = stores
        self._state = state
        self._configured_region = region
        self._fleet_changed = fleet_changed
        self._tail = tail
        self._named: tuple[View, frozenset[Digest]] | None = None
        self._held: tuple[View, Mapping[str, str]] | None = None
        self.board = Board(identity.name, self._is_known, trio.current_time())
        servable = Servable(stores.releases, self._named_releases)
        self.peers = Peers(identity, state.anchors, self._hello, rng, self._dispatch, connect=connect)
        self.server = Server(identity, state.anchors, self._hello, self._dispatch)
        self._fetcher = Fetcher(self.peers, stores.releases, stores.chunks, servable, rate_bytes_s=rate_bytes_s)
        self.agent = Agent(
            deployments=state.deployments,
            removals_held=self._removals_held,
            heard=self._heard,
            region=self.region,
            domain=lambda: state.roster.domain if state.roster else "",
            networks_closed=networks_closed,
            fetch=self._fetch,
            releases=stores.releases,
            checkouts=stores.checkouts,
            store=stores.rollouts,
            pool=pool,
            set_sites=set_sites,
            apps_folder=stores.apps,
        )
        self.scopes = None if shared is None else Scopes(identity.name, shared, self._sharing, self.region)
        self._report = OwnReport(
            identity=identity,
            state=state,
            region=self.region,
            version=VERSION,
            incarnation=int(time.time()),
            apps=self.agent.reports,
            app_alarms=self.agent.alarms,
            pool=pool.statistics,
            traffic=pool.traffic,
            storage=stores.chunks.statistics,
            anycast=anycast,
            install_alarm=install_alarm,
            triggers=dict if self.scopes is None else self.scopes.report,
            outdone=lambda: self.board.outdone,
        )
        self.gossip = Gossip(state, self.board, self.peers, self._report.make, rng=rng)
        self._checkpoints = CheckpointWatch(state)
        self.membership = Membership(identity, state, self.peers, rng=rng, dial=connect)
        self.answers = Answers(
            node=identity.name,
            region=self.region,
            state=state,
            board=self.board,
            own_report=self._report.make,
            tail=tail,
            links=self.peers,
            report_to=self.gossip.report_to,
        )
        self._calls = NodeCalls(state, stores.releases, stores.chunks, self.board, identity=identity, servable=servable)
        self._dispatcher = Dispatcher({})
        self.answer({})
        self.housekeeping = Housekeeping(
            chunks=stores.chunks,
            releases=stores.releases,
            checkouts=stores.checkouts,
            needed=self._needed,
            running=self.agent.releases,
            repair=self._fetcher.repair,
            turn=self.agent.checking_out,
        )

    # --- at work ---

    def answer(self, others: Mapping[str, Handler]) -> None:
        """Answer these calls too, which the machine's half knows about."""
        ours = {**self._calls.handlers(), **self.answers.handlers(), "reports": self._answer_reports}
        self._dispatcher = Dispatcher({**ours, **others})

    async def run(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Until cancelled. Started once workers were told of what is on disk and links are taken.

        Args:
            listeners: where other nodes and publishers come in; closed at the end.

        Raises:
            RolloutNotSaved: what is on disk cannot be read.
            TlsError: the identity is of no use.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._refresh_report)
            await nursery.start(self.agent.run)
            await nursery.start(self.server.run, listeners)
            nursery.start_soon(self.peers.run)
            nursery.start_soon(self.gossip.run)
            nursery.start_soon(self.membership.run)
            nursery.start_soon(self._checkpoints.run)
            nursery.start_soon(self._catch_up)
            nursery.start_soon(self.answers.run)
            nursery.start_soon(self.housekeeping.run)
            if self.scopes is not None:
                nursery.start_soon(self.scopes.run)
            task_status.started()
            await trio.sleep_forever()

    def fleet_changed(self) -> None:
        """Another roster, or another node was admitted. On the loop."""
        self.peers.refresh()
        self.server.refresh()
        self.board.forget()
        self.membership.changed()
        self._fleet_changed()
        self.agent.networks_changed()
        self.agent.refresh()

    def region(self) -> str:
        """Of this node, as the fleet has it now."""
        node = own_node(self._state, self._identity)
        return self._configured_region if node is None else node.region

    def depths(self) -> list[Depth]:
        """How full the queues are; docs/metrics.md lists them."""
        links, outbox = self.server.depths()
        outboxes = fullest((outbox, self.peers.outbox()))
        return [links, outboxes, self.gossip.depth(), *self._tail.depths(), self.answers.depth()]

    def emit(self, event: PoolEvent) -> None:
        """What happened in the pool of workers. Quick; on the loop."""
        self.agent.emit(event)
        if self.scopes is not None:
            self.scopes.emit(event)

    # --- inside ---

    def _sharing(self) -> list[Heard]:
        """All other nodes that were heard of, for triggers that nodes share."""
        return [
            Heard(seen.name, region, seen.report.triggers, seen.state == "up")
            for region, seen in self._heard()
            if seen.report is not None
        ]

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

    async def _dispatch(self, peer: Peer, call: str, args: dict[str, Any]) -> Any:
        return await self._dispatcher(peer, call, args)

    async def _answer_reports(self, peer: Peer, reports: Sequence[NodeReport]) -> dict[str, Any]:
        """With our own as it is now: whoever asks may be watching a rollout."""
        self.board.put(self._report.make(), trio.current_time())
        return await self._calls.reports(peer, reports)

    def _hello(self) -> Hello:
        roster = self._state.roster
        assert roster is not None, "a node without one does not start"
        return Hello(roster.fleet, roster.epoch, roster.version, self._identity.name, VERSION)

    def _is_known(self, name: str) -> bool:
        return name == self._identity.name or name in self._state.view.node_names

    def _named_releases(self) -> frozenset[Digest]:
        """What the deployments of this moment name, in all regions."""
        view = self._state.view
        if self._named is None or self._named[0] is not view:
            digests = (digest for each in view.deployments.values() for digest in each.regions.values())
            self._named = view, frozenset(digests)
        return self._named[1]

    def _removals_held(self) -> Mapping[str, str]:
        view = self._state.view
        if self._held is None or self._held[0] is not view:
            self._held = view, removals_held(view.records.values())
        return self._held[1]

    def _heard(self) -> Nodes:
        """What was heard of the other nodes."""
        others = [node for node in self._state.nodes() if node.name != self._identity.name]
        seen = self.board.seen([node.name for node in others], trio.current_time(), self.peers.lost())
        return [(node.region, each) for node, each in zip(others, seen, strict=True)]

    def _needed(self) -> set[Digest]:
        """In a thread."""
        deployments = self._state.deployments()
        histories = [[record.value for record in self._state.history(app)] for app in deployments]
        only = [[each for each in history if isinstance(each, Deployment)] for history in histories]
        return needed(deployments.values(), only, ())

    async def _fetch(self, app: str, release: Digest, moved: Callable[[Moved], None]) -> None:
        region = self.region()

        def verify(stored: StoredRelease) -> None:
            """In a thread."""
            if stored.release.app != app:
                raise ReleaseInvalid(f"the release {release} is of the app {stored.release.app!r}, not of {app!r}")
            self._state.keyring().verify(Envelope.parse(stored.envelope), RELEASE_TYPE, "deploy", app, (region,))

        def progress(found: Progress) -> None:
            moved(Moved(found.bytes_done, found.bytes_total, found.bytes_saved))

        await self._fetcher.fetch(release, verify, progress)
