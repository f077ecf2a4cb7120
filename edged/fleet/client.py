"""Links that we open: one to a node that was named, or those to other nodes of the roster for as long as we run."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog
import trio

from edged.errors import EdgedError, LinkError, PeerUntrusted
from edged.fleet.certificate import Identity
from edged.fleet.depth import Depth
from edged.fleet.handshake import Open, open_tls
from edged.fleet.link import Dispatch, Link, Outboxes, refuse_all
from edged.fleet.neighbours import Neighbours
from edged.fleet.peer import Anchors, Peer
from edged.fleet.session import Hello
from edged.http.backoff import Backoff
from edged.limits import (
    LINK_HANDSHAKE_TIMEOUT_S,
    LINK_TURN_S,
    RECONNECT_RESET_S,
    RECONNECT_S_HIGHEST,
    RECONNECT_S_LOWEST,
)
from edged.nursery import plain_errors

log = structlog.get_logger()

_LOST_ATTEMPTS = 2  # the link that broke, and one more that could not be opened: it was not just a restart

Client = Link
"""A link that we opened: `await client.call(name, **args)`, `async for item in client.stream(name, **args)`."""


@asynccontextmanager
async def connect(
    address: str,
    identity: Identity | None,
    anchors: Anchors,
    *,
    hello: Hello,
    fingerprint: str | None = None,
    dispatch: Dispatch = refuse_all,
    open_stream: Open = open_tls,
) -> AsyncIterator[Client]:
    """A link to the node at an address, open for the time of the `async with`.

    Args:
        address: host:port.
        identity: who we are; None to show no certificate, which only `join` needs.
        anchors: whom we trust; only nodes among them are talked to.
        hello: what we say of ourselves; the fleet must be the node's.
        fingerprint: of the certificate that the node must have; None for any node of the anchors.
        dispatch: answers what the node asks of us.
        open_stream: how it is reached.

    Raises:
        LinkError: it cannot be reached, or does not answer in time.
        PeerUntrusted: a certificate, theirs or ours, is not in the other's roster.
        ProtocolError: what answers there is no node of this fleet and version.
        TlsError: the identity is of no use.
    """
    with plain_errors():
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(LINK_HANDSHAKE_TIMEOUT_S) as deadline:
                opened = await open_stream(address, identity, anchors, fingerprint)
                link = Link(opened.stream, hello, opened.peer, dispatch, address=address, lasts_s=opened.lasts_s)
                try:
                    await nursery.start(link.run)
                except LinkError as error:
                    raise _before_hello(error, address) from None
            if deadline.cancelled_caught:
                raise LinkError(f"{address} did not answer within {LINK_HANDSHAKE_TIMEOUT_S:g} s")
            try:
                yield link
            finally:
                link.close("done")


def _before_hello(error: LinkError, address: str) -> LinkError:
    """In TLS 1.3 the client is done before the server has looked at its certificate: a refusal comes after."""
    if type(error) is not LinkError:
        return error
    return PeerUntrusted(
        f"{address} closed the connection when it had seen our certificate",
        remedy="See that it is in the roster of that node and has not expired, or close other links of yours.",
    )


class Connect(Protocol):
    """`connect`, or what stands for it over another network."""

    def __call__(
        self,
        address: str,
        identity: Identity | None,
        anchors: Anchors,
        /,
        *,
        hello: Hello,
        fingerprint: str | None = None,
        dispatch: Dispatch = refuse_all,
    ) -> AbstractAsyncContextManager[Client]: ...


@dataclass(frozen=True, slots=True)
class PeerState:
    """How the link to one node is.

    Attributes:
        is_open: calls can be made.
        round_trip_s: infinite if it is not known.
        reason: why it is not open, the last time it was tried.
        attempts: failed since it was last open.
    """

    name: str
    address: str
    is_open: bool
    round_trip_s: float
    reason: str
    attempts: int


class Peers:
    """Links to other nodes of the roster, opened again whenever they break: one to each, or to some in a large fleet.

    Args:
        identity: ours; the node that has its certificate is not dialled.
        anchors: whom we trust now; asked again at every attempt and by `refresh`.
        hello: what we say of ourselves now.
        rng: for the jitter.
        dispatch: answers what the other nodes ask over these links.
        neighbours: chooses whom links are kept to.
        connect: how a link is opened.
    """

    def __init__(
        self,
        identity: Identity,
        anchors: Callable[[], Anchors],
        hello: Callable[[], Hello],
        rng: random.Random,
        dispatch: Dispatch = refuse_all,
        *,
        neighbours: Neighbours | None = None,
        connect: Connect = connect,
    ) -> None:
        self._identity = identity
        self._anchors = anchors
        self._hello = hello
        self._rng = rng
        self._dispatch = dispatch
        self._neighbours = neighbours or Neighbours(rng)
        self._connect = connect
        self._kept: dict[Peer, _Kept] = {}
        self._given_up: dict[str, float] = {}
        self._outboxes = Outboxes()
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Keep the links until cancelled."""
        async with trio.open_nursery() as self._nursery:
            self.refresh()
            while True:
                await trio.sleep(LINK_TURN_S * self._rng.uniform(0.5, 1.5))
                self._neighbours.turn(
                    {kept.peer: kept.link.round_trip_s for kept in self._kept.values() if kept.link is not None}
                )
                self._keep_chosen()

    def refresh(self) -> None:
        """The roster or an admission changed: open links to who is new, close those to who left or moved."""
        if self._nursery is None:
            return
        nodes = self._anchors().nodes
        own = next((peer for peer in nodes if peer.fingerprint == self._identity.fingerprint), None)
        others = [peer for peer in nodes if peer is not own]
        self._neighbours.set(others, () if own is None else own.regions)
        names = {peer.name for peer in others}
        self._given_up = {name: at for name, at in self._given_up.items() if name in names}
        self._keep_chosen()

    def _keep_chosen(self, pause_s: float = RECONNECT_S_LOWEST) -> None:
        """
        Args:
            pause_s: after a first attempt that failed, at most, of those that are new.
        """
        assert self._nursery is not None
        chosen = self._neighbours.chosen
        for peer in [peer for peer in self._kept if peer not in chosen]:
            self._kept.pop(peer).scope.cancel()
        for peer in chosen:
            if peer not in self._kept:
                self._kept[peer] = kept = _Kept(peer)
                backoff = Backoff(
                    RECONNECT_S_LOWEST, RECONNECT_S_HIGHEST, RECONNECT_RESET_S, self._rng.random, limit_s=pause_s
                )
                self._nursery.start_soon(self._keep, kept, backoff)

    def open(self) -> list[Client]:
        """Links over which calls can be made now, nearest first."""
        links = [kept.link for kept in self._kept.values() if kept.link is not None and kept.link.is_open]
        return sorted(links, key=lambda link: (link.round_trip_s, link.peer.name))

    def get(self, name: str) -> Client | None:
        """The open link to a node; None if there is none."""
        return next((link for link in self.open() if link.peer.name == name), None)

    def states(self) -> list[PeerState]:
        """All that are kept, by name."""
        return sorted((kept.state() for kept in self._kept.values()), key=lambda state: state.name)

    def outbox(self) -> Depth:
        """What waits to be sent over the links."""
        return self._outboxes.depth(kept.link for kept in self._kept.values() if kept.link is not None)

    def lost(self) -> dict[str, float]:
        """Nodes whose link broke, and that could not be reached again since -> when it broke, on trio's clock."""
        return self._given_up | {
            kept.peer.name: kept.broke_at
            for kept in self._kept.values()
            if kept.broke_at is not None and kept.attempts >= _LOST_ATTEMPTS
        }

    def _give_up(self, kept: _Kept, pause_s: float) -> None:
        """Try another one in its place, if there is one. The pauses go on growing: where nobody can be reached, it is
        our own network."""
        self._neighbours.unreachable(kept.peer)
        if kept.peer not in self._neighbours.chosen:
            if kept.broke_at is not None:
                self._given_up[kept.peer.name] = kept.broke_at
            self._keep_chosen(pause_s)

    async def _keep(self, kept: _Kept, backoff: Backoff) -> None:
        with kept.scope:
            while True:
                lasted_s = 0.0
                try:
                    async with self._connect(
                        kept.peer.address,
                        self._identity,
                        self._anchors(),
                        hello=self._hello(),
                        fingerprint=kept.peer.fingerprint,
                        dispatch=self._dispatch,
                    ) as link:
                        kept.link, kept.attempts, opened_at = link, 0, trio.current_time()
                        self._given_up.pop(kept.peer.name, None)
                        log.info("peer.connected", peer=kept.peer.name, address=kept.peer.address)
                        closed = await link.wait_closed()
                        kept.broke_at = trio.current_time()
                        lasted_s = kept.broke_at - opened_at
                        raise closed
                except EdgedError as error:
                    if kept.attempts == 0:  # told once, not for hours
                        log.warning("peer.disconnected", peer=kept.peer.name, reason=error.message)
                    kept.reason = error.message
                    kept.attempts += 1
                finally:
                    if kept.link is not None:
                        self._outboxes.ended(kept.link)
                    kept.link = None
                await trio.sleep(backoff.ended(lasted_s))
                if kept.attempts >= _LOST_ATTEMPTS:
                    self._give_up(kept, backoff.limit_s)


class _Kept:
    """A node that a link is kept to."""

    __slots__ = ("attempts", "broke_at", "link", "peer", "reason", "scope")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.scope = trio.CancelScope()
        self.link: Client | None = None
        self.reason = ""
        self.attempts = 0
        self.broke_at: float | None = None

    def state(self) -> PeerState:
        link = self.link if self.link is not None and self.link.is_open else None
        round_trip_s = math.inf if link is None else link.round_trip_s
        reason = "" if link else self.reason
        return PeerState(self.peer.name, self.peer.address, link is not None, round_trip_s, reason, self.attempts)
