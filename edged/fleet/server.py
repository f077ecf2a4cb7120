"""Links that others open to us.

    listener -> caps: all, per address -> handshake -> who is it -> caps: per certificate -> Link -> dispatch

Every cap closes the new connection and leaves the old ones alone: nobody can push others out.
"""

from __future__ import annotations

import errno
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
import trio

from edged.errors import LinkError
from edged.fleet.certificate import Identity
from edged.fleet.depth import Depth, HighWater
from edged.fleet.handshake import Handshake, accept_tls
from edged.fleet.link import Dispatch, Link, Outboxes
from edged.fleet.peer import ANYONE, Anchors, Peer
from edged.fleet.session import Hello
from edged.fleet.tls import handshake_failed, server_context
from edged.http.admission import Admission, client_address
from edged.limits import (
    ACCEPT_PAUSE_S,
    LINK_ANYONE_COUNT_MAX,
    LINK_ANYONE_S_MAX,
    LINK_COUNT_MAX,
    LINK_HANDSHAKE_TIMEOUT_S,
    LINK_PER_ADDRESS_MAX,
    LINK_PER_PEER_MAX,
)
from edged.nursery import first_error

log = structlog.get_logger()

_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """A moment's view; `refused` only grows.

    Attributes:
        connections: open, handshakes included.
        refused: connections over a cap, or whose handshake failed.
        peers: names of nodes and keys with a link, and how many.
    """

    connections: int
    refused: int
    peers: dict[str, int]


class Server:
    """Takes links on listeners that others have opened.

    Args:
        identity: what we show.
        anchors: whom we trust now; asked at each connection and by `refresh`.
        hello: what we say of ourselves now.
        dispatch: answers requests.
    """

    def __init__(
        self, identity: Identity, anchors: Callable[[], Anchors], hello: Callable[[], Hello], dispatch: Dispatch
    ) -> None:
        self._identity = identity
        self._anchors = anchors
        self._hello = hello
        self._dispatch = dispatch
        self._admission = Admission(LINK_COUNT_MAX, LINK_PER_ADDRESS_MAX)
        self._links: set[Link] = set()
        self._outboxes = Outboxes()
        self._open_high = HighWater()
        self._refused = 0
        self._context: tuple[Anchors, ssl.SSLContext] | None = None

    async def run(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept and serve until cancelled, which cuts all links and closes the listeners.

        Raises:
            TlsError: the identity is of no use; before `task_status` is started.
        """
        if listeners:  # where there is none, streams come by `serve_stream`, and nobody asks for TLS
            self._tls()
        try:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(self._accept_forever, listener, nursery)
                task_status.started()
        finally:
            for listener in listeners:
                listener.socket.close()

    def refresh(self) -> None:
        """The roster or an admission changed: cut the links of who left, or whose rights are others now."""
        anchors = self._anchors()
        for link in list(self._links):
            if link.peer is not ANYONE and anchors.by_fingerprint(link.peer.fingerprint) != link.peer:
                link.close("the roster changed")

    def statistics(self) -> ServerStatistics:
        peers = Counter(link.peer.name or link.peer.kind for link in self._links)
        return ServerStatistics(self._admission.open, self._admission.refused + self._refused, dict(peers))

    def depths(self) -> tuple[Depth, Depth]:
        """Connections, handshakes included, and what waits to be sent over the links."""
        open_ = Depth("links", self._admission.open, self._open_high.highest, LINK_COUNT_MAX)
        return open_, self._outboxes.depth(self._links)

    def _tls(self) -> tuple[Anchors, ssl.SSLContext]:
        """The context for whom we trust now; made anew only when that changed."""
        anchors = self._anchors()
        if self._context is None or self._context[0] != anchors:
            self._context = anchors, server_context(self._identity, anchors)
        return self._context

    async def _accept_forever(self, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        paused = False
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno not in _NO_RESOURCES:
                    raise
                if not paused:
                    log.warning("accept.paused", reason=error.strerror)
                paused = True
                await trio.sleep(ACCEPT_PAUSE_S)
                continue
            paused = False
            nursery.start_soon(self._serve, stream)

    async def _serve(self, tcp: trio.SocketStream) -> None:
        try:
            address = client_address(tcp.socket.getpeername())[0]
        except OSError:  # gone already
            tcp.socket.close()
            return
        try:
            await self.serve_stream(address, partial(accept_tls, tcp, lambda: self._tls()[1], self._anchors))
        finally:
            tcp.socket.close()

    async def serve_stream(self, address: str, handshake: Handshake) -> None:
        """A connection from an address, until it ends; what goes wrong is the peer's affair and is not raised.

        Args:
            address: IP address of the peer.
            handshake: ours, not begun yet. Whoever accepted the connection closes it afterwards.
        """
        if not self._admission.enter(address):
            return
        self._open_high.reached(self._admission.open)
        try:
            await self._serve_connection(address, handshake)
        finally:
            self._admission.leave(address)

    async def _serve_connection(self, address: str, handshake: Handshake) -> None:
        """Handshake, then the link."""
        link: Link | None = None
        try:
            async with trio.open_nursery() as nursery:
                with trio.fail_after(LINK_HANDSHAKE_TIMEOUT_S):
                    opened = await handshake()
                    peer = opened.peer
                    self._check_room(peer)
                    link = Link(
                        opened.stream, self._hello(), peer, self._dispatch, address=address, lasts_s=opened.lasts_s
                    )
                    self._links.add(link)
                    await nursery.start(link.run)
                if peer is ANYONE:
                    with trio.move_on_after(LINK_ANYONE_S_MAX):
                        await link.wait_closed()
                    link.close("who has no certificate may not stay")
        except* trio.BrokenResourceError as group:
            self._refuse(address, handshake_failed(group.exceptions[0], address).message)
        except* trio.TooSlowError:
            self._refuse(address, f"no hello within {LINK_HANDSHAKE_TIMEOUT_S:g} s")
        except* LinkError as group:
            self._refuse(address, str(first_error(group)))
        finally:
            if link is not None:
                self._links.discard(link)
                self._outboxes.ended(link)

    def _check_room(self, peer: Peer) -> None:
        """
        Raises:
            LinkError: this certificate (or those who have none) has as many links as it may.
        """
        count_max = LINK_ANYONE_COUNT_MAX if peer is ANYONE else LINK_PER_PEER_MAX
        if sum(link.peer.fingerprint == peer.fingerprint for link in self._links) >= count_max:
            raise LinkError(f"{peer.name or 'somebody without a certificate'} has {count_max} links already")

    def _refuse(self, address: str, reason: str) -> None:
        self._refused += 1
        log.debug("link.refused", address=address, reason=reason)


async def serve(
    listeners: Sequence[trio.SocketListener],
    identity: Identity,
    anchors: Callable[[], Anchors],
    hello: Callable[[], Hello],
    dispatch: Dispatch,
    *,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """A `Server` that runs until cancelled; started with it once connections are accepted.

    Raises:
        TlsError
    """
    server = Server(identity, anchors, hello, dispatch)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, listeners)
        task_status.started(server)
