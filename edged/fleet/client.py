"""Links that we open: one to a node that was named, or one to each node of the roster for as long as we run."""

from __future__ import annotations

import math
import os
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
import trio

from edged.errors import EdgedError, LinkError, PeerUntrusted
from edged.fleet.certificate import Identity
from edged.fleet.link import Dispatch, Link, refuse_all
from edged.fleet.peer import Anchors, Peer
from edged.fleet.session import Hello
from edged.fleet.tls import client_context, handshake_failed, peer_of, seconds_left
from edged.limits import LINK_HANDSHAKE_TIMEOUT_S, RECONNECT_S_HIGHEST, RECONNECT_S_LOWEST
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
) -> AsyncIterator[Client]:
    """A link to the node at an address, open for the time of the `async with`.

    Args:
        address: host:port.
        identity: who we are; None to show no certificate, which only `join` needs.
        anchors: whom we trust; only nodes among them are talked to.
        hello: what we say of ourselves; the fleet must be the node's.
        fingerprint: of the certificate that the node must have; None for any node of the anchors.
        dispatch: answers what the node asks of us.

    Raises:
        LinkError: it cannot be reached, or does not answer in time.
        PeerUntrusted: a certificate, theirs or ours, is not in the other's roster.
        ProtocolError: what answers there is no node of this fleet and version.
        TlsError: the identity is of no use.
    """
    context = client_context(identity, anchors)
    with plain_errors():
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(LINK_HANDSHAKE_TIMEOUT_S) as deadline:
                stream, peer = await _open(address, context, anchors, fingerprint)
                lasts_s = seconds_left(stream, time.time())
                link = Link(stream, hello, peer, dispatch, address=address, lasts_s=lasts_s)
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


async def _open(
    address: str, context: ssl.SSLContext, anchors: Anchors, fingerprint: str | None
) -> tuple[trio.SSLStream[trio.SocketStream], Peer]:
    """A connection whose handshake is done, and who is there."""
    host, _, port = address.rpartition(":")
    try:
        tcp = await trio.open_tcp_stream(host.strip("[]"), int(port))
    except OSError as error:
        raise LinkError(f"{address} cannot be reached: {_reason(error)}") from None
    except ValueError:
        raise LinkError(f"{address!r} is not host:port") from None
    stream = trio.SSLStream(tcp, context, server_hostname=None, https_compatible=True)
    try:
        await stream.do_handshake()
        peer = peer_of(stream, anchors)
        if peer.kind != "node":
            raise PeerUntrusted(f"{address} is no node of the fleet")
        if fingerprint is not None and peer.fingerprint != fingerprint:
            raise PeerUntrusted(f"{address} is the node {peer.name}, and not the one that should be there")
        return stream, peer
    except BaseException as error:
        tcp.socket.close()
        if isinstance(error, trio.BrokenResourceError):
            raise handshake_failed(error, address) from None
        raise


def _reason(error: OSError) -> str:
    """trio says that all addresses failed; why, its cause says."""
    cause = error.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if not isinstance(cause, OSError):
        cause = error
    if cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)  # trio's own text repeats the address, as Python writes it
    return cause.strerror or "no address of it answers"


def _before_hello(error: LinkError, address: str) -> LinkError:
    """In TLS 1.3 the client is done before the server has looked at its certificate: a refusal comes after."""
    if type(error) is not LinkError:
        return error
    return PeerUntrusted(
        f"{address} closed the connection when it had seen our certificate",
        remedy="See that it is in the roster of that node and has not expired, or close other links of yours.",
    )


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
    """One link to each other node of the roster, opened again whenever it breaks.

    Args:
        identity: ours; the node that has its certificate is not dialled.
        anchors: whom we trust now; asked again at every attempt and by `refresh`.
        hello: what we say of ourselves now.
        rng: for the jitter.
        dispatch: answers what the other nodes ask over these links.
    """

    def __init__(
        self,
        identity: Identity,
        anchors: Callable[[], Anchors],
        hello: Callable[[], Hello],
        rng: random.Random,
        dispatch: Dispatch = refuse_all,
    ) -> None:
        self._identity = identity
        self._anchors = anchors
        self._hello = hello
        self._rng = rng
        self._dispatch = dispatch
        self._kept: dict[Peer, _Kept] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Keep the links until cancelled."""
        async with trio.open_nursery() as self._nursery:
            self.refresh()
            await trio.sleep_forever()

    def refresh(self) -> None:
        """The roster or an admission changed: open links to who is new, close those to who left or moved."""
        if self._nursery is None:
            return
        wanted = {peer for peer in self._anchors().nodes if peer.fingerprint != self._identity.fingerprint}
        for peer in self._kept.keys() - wanted:
            self._kept.pop(peer).scope.cancel()
        for peer in sorted(wanted - self._kept.keys(), key=lambda peer: peer.name):
            self._kept[peer] = kept = _Kept(peer)
            self._nursery.start_soon(self._keep, kept)

    def open(self) -> list[Client]:
        """Links over which calls can be made now, nearest first."""
        links = [kept.link for kept in self._kept.values() if kept.link is not None and kept.link.is_open]
        return sorted(links, key=lambda link: (link.round_trip_s, link.peer.name))

    def get(self, name: str) -> Client | None:
        """The open link to a node; None if there is none."""
        return next((link for link in self.open() if link.peer.name == name), None)

    def states(self) -> list[PeerState]:
        """All of them, by name."""
        return sorted((kept.state() for kept in self._kept.values()), key=lambda state: state.name)

    def lost(self) -> dict[str, float]:
        """Nodes whose link broke, and that could not be reached again since -> when it broke, on trio's clock."""
        return {
            kept.peer.name: kept.broke_at
            for kept in self._kept.values()
            if kept.broke_at is not None and kept.attempts >= _LOST_ATTEMPTS
        }

    async def _keep(self, kept: _Kept) -> None:
        pause_s = RECONNECT_S_LOWEST
        with kept.scope:
            while True:
                try:
                    async with connect(
                        kept.peer.address,
                        self._identity,
                        self._anchors(),
                        hello=self._hello(),
                        fingerprint=kept.peer.fingerprint,
                        dispatch=self._dispatch,
                    ) as link:
                        kept.link, kept.attempts, pause_s = link, 0, RECONNECT_S_LOWEST
                        log.info("peer.connected", peer=kept.peer.name, address=kept.peer.address)
                        closed = await link.wait_closed()
                        kept.broke_at = trio.current_time()
                        raise closed
                except EdgedError as error:
                    if kept.attempts == 0:  # told once, not for hours
                        log.warning("peer.disconnected", peer=kept.peer.name, reason=error.message)
                    kept.reason = error.message
                    kept.attempts += 1
                finally:
                    kept.link = None
                # Half of it is chance: nodes that lost the same link do not all come back at the same moment.
                await trio.sleep(pause_s * self._rng.uniform(0.5, 1))
                pause_s = min(2 * pause_s, RECONNECT_S_HIGHEST)


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
