"""How a connection becomes a stream between two parties that know each other, at both of its ends.

    dial ───> TCP, TLS ─> whose certificate is it? ─> Handshaken ─> Link
    accept ─┘

Only this module and `tls` know that it is TCP and TLS. What carries bytes otherwise gives `connect` an `Open` and
`Server.serve_stream` a `Handshake` of its own; all that comes after is the same.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from edged.errors import LinkError, PeerUntrusted
from edged.fleet.certificate import Identity
from edged.fleet.peer import Anchors, Peer
from edged.fleet.tls import client_context, handshake_failed, peer_of, seconds_left


@dataclass(frozen=True, slots=True)
class Handshaken:
    """A connection whose handshake is done.

    Attributes:
        stream: both ways.
        peer: who is at the other end, by its certificate.
        lasts_s: how long that certificate is good for; infinite if it showed none.
    """

    stream: trio.abc.Stream
    peer: Peer
    lasts_s: float


Open = Callable[[str, Identity | None, Anchors, str | None], Awaitable[Handshaken]]
"""Connects to the node at an address (host:port), as an identity or nobody, trusting anchors; the fourth is the
fingerprint that its certificate must have, None for any node of the anchors. Raises LinkError, PeerUntrusted,
ProtocolError, TlsError, and leaves nothing open then."""

Handshake = Callable[[], Awaitable[Handshaken]]
"""The listening end's part of a handshake. Raises LinkError and its kinds, or trio.BrokenResourceError."""


async def open_tls(
    address: str, identity: Identity | None, anchors: Anchors, fingerprint: str | None = None
) -> Handshaken:
    """See `Open`."""
    context = client_context(identity, anchors)
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
        check_node(peer, address, fingerprint)
        return Handshaken(stream, peer, seconds_left(stream, time.time()))
    except BaseException as error:
        tcp.socket.close()
        if isinstance(error, trio.BrokenResourceError):
            raise handshake_failed(error, address) from None
        raise


async def accept_tls(
    tcp: trio.SocketStream, context: Callable[[], ssl.SSLContext], anchors: Callable[[], Anchors]
) -> Handshaken:
    """The listening end's part; see `Handshake`. Whoever accepted the connection closes it.

    Args:
        context: for whom we trust now.
        anchors: whom we trust when the handshake is done.
    """
    stream = trio.SSLStream(tcp, context(), server_side=True, https_compatible=True)
    await stream.do_handshake()
    # As it is now: during the handshake nobody who looks through the links would have found this one.
    peer = peer_of(stream, anchors())
    return Handshaken(stream, peer, seconds_left(stream, time.time()))


def check_node(peer: Peer, address: str, fingerprint: str | None) -> None:
    """Who dials talks to a node, and to the one that was meant.

    Raises:
        PeerUntrusted
    """
    if peer.kind != "node":
        raise PeerUntrusted(f"{address} is no node of the fleet")
    if fingerprint is not None and peer.fingerprint != fingerprint:
        raise PeerUntrusted(f"{address} is the node {peer.name}, and not the one that should be there")


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
