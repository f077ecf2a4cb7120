"""Whether this node still belongs to its fleet: looked at, asked, and told.

    newest roster ── outside ──> alarm `node.removed`; anycast leaves, if the roster revokes this node's key
    a link that is not open ── ask that peer, without a certificate ──> rosters ──> FleetState

Losing its peers changes nothing of what a node announces; a roster that says it is removed does. As no peer lets a
removed node in, it asks for that roster by itself: see `edged.fleet.removed`. One link that is open is no sign that all
is well: at its other end may be somebody who was removed, too, or who keeps news from us.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog
import trio

from edged.errors import EdgedError, NodeRemoved, ProtocolError
from edged.fleet.certificate import Identity
from edged.fleet.client import PeerState, connect
from edged.fleet.link import Link
from edged.fleet.peer import Anchors, Peer
from edged.fleet.removed import prove_held
from edged.fleet.session import Hello
from edged.fleet.state import FleetState
from edged.fleet.view import View
from edged.limits import MEMBERSHIP_ASK_S, RECORD_BYTES_MAX
from edged.node.joining import own_node
from edged.version import VERSION

log = structlog.get_logger()

_ROSTER_COUNT_MAX = 64
"""Of one answer: only those that changed the root keys are in it, and the last."""


class Dial(Protocol):
    """Opens a link without a certificate, as `edged.fleet.client.connect` does."""

    def __call__(
        self, address: str, identity: None, anchors: Anchors, /, *, hello: Hello, fingerprint: str
    ) -> AbstractAsyncContextManager[Link]: ...


class Links(Protocol):
    """What this needs of `edged.fleet.client.Peers`."""

    def states(self) -> Sequence[PeerState]: ...


class Membership:
    """See the module.

    Args:
        identity, state: of this node.
        links: to the other nodes.
        rng: whom to ask, and when.
        dial: in place of TLS.
        clock: unix time, s.
    """

    def __init__(
        self,
        identity: Identity,
        state: FleetState,
        links: Links,
        *,
        rng: random.Random,
        dial: Dial = connect,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._identity = identity
        self._state = state
        self._links = links
        self._rng = rng
        self._dial = dial
        self._clock = clock
        self._news = trio.Event()
        self._seen: tuple[View, str] | None = None

    # --- what is known: never blocks ---

    def outside(self) -> str:
        """Why the fleet does not have this node, a sentence; "" while it has."""
        view = self._state.view
        if self._seen is None or self._seen[0] is not view:
            self._seen = view, self._outside()
        return self._seen[1]

    def expelled(self) -> str:
        """Why this node is to announce nothing, a sentence; "" where it may: only a roster that revokes its key says
        so. One that merely lacks it may be older than its admission, or have ended that by oversight."""
        return self.outside() if self._is_revoked() else ""

    def changed(self) -> None:
        """There is another roster, or another admission."""
        self._news.set()

    # --- at work ---

    async def run(self) -> None:
        """Ask and tell, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_forever)
            while True:
                await trio.sleep(MEMBERSHIP_ASK_S * self._rng.uniform(0.5, 1))
                links = self._links.states()
                if not links or not all(link.is_open for link in links):
                    await self.ask()

    async def ask(self) -> None:
        """Ask a random peer to whom no link is open for rosters that are newer than ours; any, if no links are kept.
        What it answers counts if root keys signed it."""
        peers = [peer for peer in self._state.anchors().nodes if peer.fingerprint != self._identity.fingerprint]
        if not peers:
            return
        closed = {link.name for link in self._links.states() if not link.is_open}
        peer = self._rng.choice([peer for peer in peers if peer.name in closed] or peers)
        try:
            rosters = await self._ask(peer)
        except EdgedError as error:
            log.debug("node.not-told", peer=peer.name, reason=error.message)
            return
        for roster in rosters:
            await trio.to_thread.run_sync(self._state.accept, roster, self._clock())

    # --- inside ---

    async def _ask(self, peer: Peer) -> list[bytes]:
        roster = self._state.roster
        assert roster is not None, "a node without one does not start"
        hello = Hello(roster.fleet, roster.epoch, roster.version, self._identity.name, VERSION)
        proof = prove_held(self._identity, roster.fleet, peer.fingerprint)
        anchors = self._state.anchors()
        async with self._dial(peer.address, None, anchors, hello=hello, fingerprint=peer.fingerprint) as link:
            answer = await link.call(
                "removed", certificate=self._identity.certificate, proof=proof, roster_version=roster.version
            )
        match answer:
            case {"rosters": list(found)} if len(found) <= _ROSTER_COUNT_MAX:
                rosters = [each for each in found if isinstance(each, bytes) and len(each) <= RECORD_BYTES_MAX]
                if len(rosters) == len(found):
                    return rosters
        raise ProtocolError(f"{peer.name} answers with what are no rosters")

    async def _tell_forever(self) -> None:
        told = ""
        while True:
            self._news = trio.Event()
            outside = self.outside()
            if outside != told:
                await trio.to_thread.run_sync(self._tell, outside)
                told = outside
            await self._news.wait()

    def _tell(self, outside: str) -> None:
        """In a thread."""
        subject = f"node {self._identity.name}"
        self._state.clear_alarm(subject, NodeRemoved.code)
        if outside:
            self._state.raise_alarm(NodeRemoved(outside), subject, self._clock())

    def _outside(self) -> str:
        roster = self._state.roster
        if roster is None or own_node(self._state, self._identity) is not None:
            return ""
        if self._is_revoked():
            return (
                f"version {roster.version} of the roster has taken this node out of the fleet: "
                "it announces nothing, and serves what it has"
            )
        return f"version {roster.version} of the roster does not have this node: no other node talks to it"

    def _is_revoked(self) -> bool:
        roster = self._state.roster
        return roster is not None and self._identity.key.public.id in roster.revoked
