"""The sessions of a node: where they come from, the child that has them, and why one does not come up.

    node.toml ────────────┐
    provider's metadata ──┴─> SpeakerConfig ──> bgp.speaker.Speaker ══> routers
      asked until it answers                      │ └ down, nobody knows why ──> bgp.reach
                                            bgp.bfd beside it, in this process

Whatever is wrong here keeps nothing from being served, and is an alarm.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace

import structlog
import trio

from bgp import static_route
from bgp.announcement import Announcement
from bgp.bfd.service import Bfd
from bgp.errors import BgpError
from bgp.metadata.provider import PROVIDERS, fetch
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import Peer, SpeakerConfig
from bgp.prefix import Network
from bgp.reach import investigate
from bgp.reach_rules import Finding, SessionFacts
from bgp.speaker import Speaker
from bgp.speaker_process import Command
from bgp.static_route import StaticRoute
from bgp.status import BfdState, PeerStatus, SpeakerStatus
from edged.anycast.config import BgpTable, MetadataTable
from edged.anycast.sessions import provider_sessions, static_sessions
from edged.errors import EdgedError
from edged.limits import ANYCAST_METADATA_RETRY_S, ANYCAST_REACH_INTERVAL_S, ANYCAST_REACH_LOOK_S

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outside:
    """What is not this machine's: tests play it.

    Attributes:
        fetch: a provider's metadata.
        speaker: made of sessions, the child's command, and who is told of changes.
        investigate: why a session does not come up.
    """

    fetch: Callable[[MetadataTable], Awaitable[ProviderSessions]]
    speaker: Callable[[SpeakerConfig, Command, Callable[[], None]], Speaker]
    investigate: Callable[[Peer, SessionFacts], Awaitable[Finding]] = investigate


def _speaker(config: SpeakerConfig, command: Command, changed: Callable[[], None]) -> Speaker:
    return Speaker(config, command, changed=changed)


async def _fetch(table: MetadataTable) -> ProviderSessions:
    return await fetch(PROVIDERS[table.provider], table.source)


OUTSIDE = Outside(_fetch, _speaker)


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
        self._failure = ""
        self._routes: tuple[str, ...] = ()
        self._findings: dict[str, Finding] = {}
        self._stopped = trio.Event()
        self.sessions: SpeakerConfig | None = None

    async def run(self) -> None:
        """Until `stop`. Cancelled, the child still takes leave of its peers.

        Raises:
            BgpPasswordUnusable, BgpSessionsInvalid: the node.toml's own sessions cannot be had.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_with, nursery.cancel_scope)
            self.sessions = await self._find_sessions()
            self._speaker = self._outside.speaker(self.sessions, self._command, self._changed)
            self._speaker.set(self._wanted)
            self._bfd = Bfd(self.sessions.peers, changed=self._bfd_changed)
            nursery.start_soon(self._bfd.run)
            nursery.start_soon(self._investigate, self.sessions)
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
            return SpeakerStatus("starting", self._began, error=self._failure)
        return self._speaker.status()

    def peers(self) -> tuple[PeerStatus, ...]:
        found = () if self._speaker is None else self._speaker.peers()
        return tuple(self._completed(peer) for peer in found)

    def alarms(self) -> tuple[str, ...]:
        """Sentences."""
        own = (self._failure,) if self._failure else ()
        parts = [part.alarms() for part in (self._speaker, self._bfd) if part is not None]
        return (*own, *self._routes, *(alarm for alarms in parts for alarm in alarms))

    def _bfd_changed(self, name: str, state: BfdState) -> None:
        if state == "up" and self._speaker is not None:
            self._speaker.bfd_up(name)
        self._changed()

    def _completed(self, peer: PeerStatus) -> PeerStatus:
        """With what the speaker does not know of it."""
        bfd = {} if self._bfd is None else self._bfd.states()
        peer = replace(peer, bfd=bfd.get(peer.name, ""))
        finding = self._findings.get(peer.name)
        if finding is None or peer.error or peer.state == "established":
            return peer
        return replace(peer, error=finding.error, remedy=finding.remedy)

    # --- inside ---

    async def _end_with(self, scope: trio.CancelScope) -> None:
        await self._stopped.wait()
        scope.cancel()

    async def _find_sessions(self) -> SpeakerConfig:
        metadata = self._table.metadata
        if metadata is None:
            return await trio.to_thread.run_sync(static_sessions, self._table)
        while True:
            try:
                found = await self._outside.fetch(metadata)
                await self._look_at_routes(found.routes, own=metadata.own_routes)
                config = provider_sessions(self._table, found)
            except (BgpError, EdgedError) as error:
                if self._failure != error.message:
                    log.error("anycast.no-sessions", code=error.code, message=error.message, remedy=error.remedy)
                self._failure = error.message
            else:
                self._failure = ""
                return config
            self._changed()
            await trio.sleep(ANYCAST_METADATA_RETRY_S)

    async def _look_at_routes(self, routes: Collection[StaticRoute], *, own: bool) -> None:
        """A route that is missing is an alarm: sessions are tried all the same, since another way may lead there."""
        if own:
            await static_route.own(routes)
        self._routes = tuple(f"{each.message}. {each.remedy}" for each in await static_route.check(routes))

    async def _investigate(self, sessions: SpeakerConfig) -> None:
        """Ask why a session is down, where nobody has said why: not while it only begins, and not often."""
        asked: dict[str, float] = {}
        peers = {peer.name: peer for peer in sessions.peers}
        while True:
            await trio.sleep(ANYCAST_REACH_LOOK_S)
            assert self._speaker is not None, "it is made before"
            for status in self._speaker.peers():
                if status.state == "established":
                    self._findings.pop(status.name, None)
                    asked.pop(status.name, None)
                    continue
                due = asked.get(status.name, status.since + trio.current_time() - time.time() + ANYCAST_REACH_LOOK_S)
                if status.error or trio.current_time() < due:
                    continue
                asked[status.name] = trio.current_time() + ANYCAST_REACH_INTERVAL_S
                self._findings[status.name] = await self._outside.investigate(
                    peers[status.name], SessionFacts(sessions.asn)
                )
                self._changed()
