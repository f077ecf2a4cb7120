"""Handshakes of a simulated network: who is at the other end is looked up as TLS does it, without TLS.

    dial    hello ──────────────────────────> accept
            hello, certificate <───────────── looks whom it trusts when it ends
            certificate ────────────────────>

Bytes go over the wire, so that handshakes are as slow as all else, and break as it breaks. They say nothing:
certificates are those that the two ends have, for a liar has none but its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache, partial

import trio
from cryptography import x509

from edged.errors import LinkError, PeerUntrusted, ProtocolError
from edged.fleet import client
from edged.fleet.certificate import Identity
from edged.fleet.handshake import Handshaken, check_node
from edged.fleet.peer import ANYONE, Anchors, Peer
from edged.fleet.server import Server
from edged.fleet.tls import whose
from tests.simulator.machine import Machine
from tests.simulator.network import Accept
from tests.simulator.stream import SimulatedStream

_CLIENT_HELLO = b"\x16\x03\x01" + bytes(300)
_SERVER_HELLO = b"\x16\x03\x03" + bytes(900)
_FINISHED = b"\x14\x03\x03" + bytes(700)


class Dialer:
    """A way to open streams as a machine: an `edged.fleet.handshake.Open`, and a `connect` made of it."""

    def __init__(self, machine: Machine) -> None:
        self._network = machine.world.network
        self.connect: client.Connect = partial(client.connect, open_stream=self.open_stream)

    async def open_stream(
        self, address: str, identity: Identity | None, anchors: Anchors, fingerprint: str | None = None
    ) -> Handshaken:
        """See `edged.fleet.handshake.Open`."""
        try:
            stream = await self._network.dial(address, None if identity is None else identity.certificate)
        except OSError as error:
            raise LinkError(f"{address} cannot be reached: {error}") from None
        try:
            await stream.send_all(_CLIENT_HELLO)
            await _expect(stream, _SERVER_HELLO, address)
            peer, lasts_s = _who(stream, anchors, address)
            check_node(peer, address, fingerprint)
            await stream.send_all(_FINISHED)
            return Handshaken(stream, peer, lasts_s)
        except BaseException as error:
            stream.close()
            if isinstance(error, trio.BrokenResourceError):
                raise LinkError(f"{address} closed the connection during the handshake") from None
            raise


def serving(server: Server, identity: Identity, anchors: Callable[[], Anchors]) -> Accept:
    """What a machine listens with: each connection is `Server.serve_stream`'s.

    Args:
        identity: that we show.
        anchors: whom we trust now.
    """

    async def handshake(stream: SimulatedStream) -> Handshaken:
        stream.certificate = identity.certificate
        await _expect(stream, _CLIENT_HELLO, stream.peer_ip)
        await stream.send_all(_SERVER_HELLO)
        await _expect(stream, _FINISHED, stream.peer_ip)
        return Handshaken(stream, *_who(stream, anchors(), stream.peer_ip))

    async def accept(stream: SimulatedStream) -> None:
        await server.serve_stream(stream.peer_ip, partial(handshake, stream))

    return accept


def _who(stream: SimulatedStream, anchors: Anchors, address: str) -> tuple[Peer, float]:
    """Who is at the other end, and for how long (s) its certificate is good.

    Raises:
        PeerUntrusted
    """
    certificate = stream.other.certificate
    if certificate is None:
        return ANYONE, math.inf
    begins, ends = _validity(certificate)
    if not begins <= time.time() <= ends:
        raise PeerUntrusted(f"the certificate of {address} is not trusted: it is not valid now")
    return whose(certificate, anchors), ends - time.time()


@cache
def _validity(certificate: bytes) -> tuple[float, float]:
    """Unix times, s."""
    parsed = x509.load_der_x509_certificate(certificate)
    return parsed.not_valid_before_utc.timestamp(), parsed.not_valid_after_utc.timestamp()


async def _expect(stream: SimulatedStream, wanted: bytes, address: str) -> None:
    left = wanted
    while left:
        data = await stream.receive_some(len(left))
        if not data:
            raise trio.BrokenResourceError
        if not left.startswith(data):
            raise ProtocolError(f"{address} does not speak TLS as we do")
        left = left[len(data) :]
