"""The sessions of a node: where they come from, the child that has them, and why one does not come up.

    node.toml ────────────┐
    Provided ─────────────┴─> SpeakerConfig ──> bgp.speaker.Speaker ══> routers
      metadata, routes                            │ └ down for a while: why? ──> bgp.reach
                                            bgp.bfd beside it, in this process

Whatever is wrong here keeps nothing from being served, and is an alarm.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from functools import partial

import trio

from bgp import static_route
from bgp.announcement import Announcement
from bgp.bfd.service import Bfd
from bgp.metadata.provider import PROVIDERS, fetch
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import Peer, SpeakerConfig
from bgp.prefix import Network
from bgp.reach import investigate
from bgp.reach_rules import Finding, SessionFacts
from bgp.speaker import Speaker
from bgp.speaker_process import Command
from bgp.static_route import RouteProblem, StaticRoute
from bgp.status import BfdState, PeerStatus, SpeakerStatus
from bgp.wire import NotificationSeen
from edged.anycast.config import BgpTable, MetadataTable
from edged.anycast.provided import Provided
from edged.anycast.sessions import static_sessions
from edged.limits import ANYCAST_REACH_INTERVAL_S, ANYCAST_REACH_LOOK_S


@dataclass(frozen=True, slots=True)
class Outside:
    """What is not this machine's: tests play it.

    Attributes:
        fetch: a provider's metadata.
        speaker: made of sessions, the child's command, and who is told of changes.
        investigate: why a session does not come up.
        keep_routes: looks at routes to routers, and sets them; what is wrong still.
    """

    fetch: Callable[[MetadataTable], Awaitable[ProviderSessions]]
    speaker: Callable[[SpeakerConfig, Command, Callable[[], None]], Speaker]
    investigate: Callable[[Peer, SessionFacts], Awaitable[Finding]] = investigate
    keep_routes: Callable[[Collection[StaticRoute], bool], Awaitable[tuple[RouteProblem, ...]]] = lambda routes, own: (
        static_route.keep(routes, own=own)
    )


def _speaker(config: SpeakerConfig, command: Command, changed: Callable[[], None]) -> Speaker:
    return Speaker(config, command, changed=changed)


async def _fetch(table: MetadataTable) -> ProviderSessions:
    return await fetch(PROVIDERS[table.provider], table.source)


OUTSIDE = Outside(_fetch, _speaker)


@dataclass(frozen=True, slots=True)
class _Found:
    """Why a session is down, as it was at a time of trio's clock.

    Attributes:
        flaps, notification: of the session by then. Where they are others now, the finding is of the past.
    """

    finding: Finding
    flaps: int
    notification: NotificationSeen | None
    at: float


class Speaking:
    """See the module.

    Args:
        command: of the child.
        changed: told whenever status or proof may have changed; must not wait.

    Attributes:
        sessions: None until it is known who the routers are.
    """

    def __init__(
        self, table: BgpTable, command: Command, changed: Callable[[], None], outside: Outside = OUTSIDE
    ) -> None:
        self._table = table
        self._command = command
        self._changed = changed
        self._outside = outside
        self._began = time.time()
        self._wanted: tuple[Announcement, ...] = ()
        self._speaker: Speaker | None = None
        self._bfd: Bfd | None = None
        self._provided = _provided(table, outside, changed)
        self._findings: dict[str, _Found] = {}
        self._stopped = trio.Event()
        self.sessions: SpeakerConfig | None = None

    async def run(self) -> None:
        """Until `stop`. Cancelled, the child still takes leave of its peers.

        Raises:
            BgpPasswordUnusable, BgpSessionsInvalid: the node.toml's own sessions cannot be had.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_with, nursery.cancel_scope)
            if self._provided is None:
                self.sessions = await trio.to_thread.run_sync(static_sessions, self._table)
            else:
                self.sessions = await self._provided.find()
            self._speaker = self._outside.speaker(self.sessions, self._command, self._changed)
            self._speaker.set(self._wanted)
            self._bfd = Bfd(self.sessions.peers, changed=self._bfd_changed)
            nursery.start_soon(self._bfd.run)
            nursery.start_soon(self._investigate)
            if self._provided is not None:
                nursery.start_soon(self._provided.keep, self.sessions, self._established, self._reconfigure)
            await self._speaker.run()
            await self._stopped.wait()

    def set(self, announcements: Collection[Announcement]) -> None:
        """This is all that is to be announced from now on."""
        self._wanted = tuple(announcements)
        if self._speaker is not None:
            self._speaker.set(self._wanted)

    def restart(self) -> None:
        """Another child, with a Cease of this one: it reads the roster anew."""
        if self._speaker is not None and self.sessions is not None:
            self._speaker.configure(self.sessions)

    async def stop(self) -> None:
        """Take leave of all peers, and end. Returns when that is done.

        By BGP first: a router may end a session for what BFD says, and would take that for a failure.
        """
        if self._speaker is not None:
            await self._speaker.stop()
        if self._bfd is not None:
            await self._bfd.leave()
        self._stopped.set()

    async def wait_withdrawn(self, prefixes: Collection[Network], timeout_s: float) -> bool:
        """For each prefix a withdrawal was sent to every established peer. False if not in time."""
        return self._speaker is None or await self._speaker.wait_withdrawn(prefixes, timeout_s)

    def proven(self, prefix: Network) -> bool:
        """What is desired of a prefix is on the wire to every established peer."""
        return self._speaker is not None and self._speaker.proven(prefix)

    # --- status ---

    def status(self) -> SpeakerStatus:
        if self._speaker is None:
            failure = "" if self._provided is None else self._provided.failure
            return SpeakerStatus("starting", self._began, error=failure)
        return self._speaker.status()

    def peers(self) -> tuple[PeerStatus, ...]:
        found = () if self._speaker is None else self._speaker.peers()
        return tuple(self._completed(peer) for peer in found)

    def alarms(self) -> tuple[str, ...]:
        """Sentences."""
        parts = (self._provided, self._speaker, self._bfd)
        return tuple(alarm for part in parts if part is not None for alarm in part.alarms())

    def _bfd_changed(self, name: str, state: BfdState) -> None:
        if state == "up" and self._speaker is not None:
            self._speaker.bfd_up(name)
        self._changed()

    def _completed(self, peer: PeerStatus) -> PeerStatus:
        """With what the speaker does not know of it."""
        bfd = {} if self._bfd is None else self._bfd.states()
        peer = replace(peer, bfd=bfd.get(peer.name, ""))
        found = self._findings.get(peer.name)
        if found is None or peer.state == "established" or self._is_past(peer, found):
            return peer
        return replace(peer, error=found.finding.error, remedy=found.finding.remedy)

    def _is_past(self, peer: PeerStatus, found: _Found) -> bool:
        assert self._speaker is not None, "who found out had one"
        return (peer.flaps, self._speaker.notifications()[peer.name]) != (found.flaps, found.notification)

    # --- inside ---

    async def _end_with(self, scope: trio.CancelScope) -> None:
        await self._stopped.wait()
        scope.cancel()

    def _established(self) -> frozenset[str]:
        assert self._speaker is not None, "it is made before"
        return frozenset(peer.name for peer in self._speaker.peers() if peer.state == "established")

    def _reconfigure(self, sessions: SpeakerConfig) -> None:
        """BFD stays as it is: no provider's metadata asks for it."""
        assert self._speaker is not None, "it is made before"
        self.sessions = sessions
        self._findings.clear()
        self._speaker.configure(sessions)
        self._changed()

    async def _investigate(self) -> None:
        """Ask why a session is down: not while it only begins, and not often.

        Also where something was said: a router that refused an hour ago may be without power now.
        """
        while True:
            await trio.sleep(ANYCAST_REACH_LOOK_S)
            assert self._speaker is not None, "it is made before"
            assert self.sessions is not None, "likewise"
            asn, peers = self.sessions.asn, {peer.name: peer for peer in self.sessions.peers}
            if self._speaker.status().state != "running":
                continue  # then that is why
            async with trio.open_nursery() as nursery:
                for status in self._speaker.peers():
                    found = self._findings.get(status.name)
                    if status.state == "established":
                        self._findings.pop(status.name, None)
                    elif found is None or self._is_past(status, found):
                        if time.time() - status.since >= ANYCAST_REACH_LOOK_S:
                            nursery.start_soon(self._ask_why, asn, peers[status.name], status.flaps)
                    elif trio.current_time() >= found.at + ANYCAST_REACH_INTERVAL_S:
                        nursery.start_soon(self._ask_why, asn, peers[status.name], status.flaps)

    async def _ask_why(self, asn: int, peer: Peer, flaps: int) -> None:
        assert self._speaker is not None, "it is made before"
        at, notification = trio.current_time(), self._speaker.notifications()[peer.name]
        finding = await self._outside.investigate(peer, SessionFacts(asn, notification))
        self._findings[peer.name] = _Found(finding, flaps, notification, at)
        self._changed()


def _provided(table: BgpTable, outside: Outside, changed: Callable[[], None]) -> Provided | None:
    """None where the node.toml names the routers."""
    metadata = table.metadata
    if metadata is None:
        return None
    return Provided(
        table,
        partial(outside.fetch, metadata),
        lambda routes: outside.keep_routes(routes, metadata.own_routes),
        changed,
    )
