"""One try to reach a router over TCP, with or without what its session asks for, and what came of it.

    Variant (key? TTL? lowest TTL?) ── attempt ──> Outcome, Greeting

The same options that the session uses are set on the socket: TCP-MD5 (RFC 2385), the TTL that packets have, and the
lowest that is taken (RFC 5082). No privilege is needed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import struct
import sys
import termios
from dataclasses import dataclass
from typing import Literal

import trio

from bgp.greeting import GREETING_BYTES_MAX, MARKER, Greeting, read_greeting
from bgp.limits import REACH_CONNECT_S_MAX, REACH_GREETING_S_MAX
from bgp.peer import Peer
from bgp.prefix import Address

Outcome = Literal["open", "deaf", "refused", "unreachable", "timeout", "no-route", "not-ours", "no-interface", "failed"]
"""`deaf`: there is a connection, but what we send on it is not acknowledged; `unreachable`: the network said so, or
nobody answered ARP or neighbour discovery; `not-ours`: the local address is not on this machine; `failed`: this machine
would not try."""

_OUTCOMES: dict[int, Outcome] = {
    errno.ECONNREFUSED: "refused",
    # Nothing of a router that refuses with a reset comes before the connection is there.
    errno.ECONNRESET: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ETIMEDOUT: "timeout",
    errno.ENETUNREACH: "no-route",
    errno.EADDRNOTAVAIL: "not-ours",
    errno.ENODEV: "no-interface",
}

_TCP_MD5SIG = 14  # linux/tcp.h
_IP_MINTTL, _IPV6_MINHOPCOUNT = 21, 73  # linux/in.h, linux/in6.h
TTL_HIGHEST = 255
_ASK_S = 0.02  # between two looks at what is acknowledged


@dataclass(frozen=True, slots=True)
class Variant:
    """How to try.

    Attributes:
        key: with the peer's password.
        ttl: of packets that are sent; 0 for what the machine has as its default.
        demands_ttl: take no packet with less than 255.
    """

    key: bool
    ttl: int
    demands_ttl: bool


async def attempt(peer: Peer, variant: Variant) -> tuple[Outcome, Greeting]:
    """Connect, hear what the router says first, and see that it takes what we say: a marker, with which any message
    begins. Then the connection is closed with a reset.

    Takes as long as REACH_CONNECT_S_MAX and twice REACH_GREETING_S_MAX at the most.
    """
    with trio.socket.socket(_family(peer.address), socket.SOCK_STREAM) as sock:
        try:
            # So that no state of ours stays at the router.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            _configure(sock, peer, variant)
            await sock.bind((str(peer.local_address), 0))
            with trio.fail_after(REACH_CONNECT_S_MAX):
                await sock.connect((str(peer.address), peer.port))
        except trio.TooSlowError:
            return "timeout", Greeting("silent")
        except OSError as error:
            return _OUTCOMES.get(error.errno or 0, "failed"), Greeting("silent")
        greeting = await _greeting(sock)
        # Many routers demand a TTL only of a connection that they have accepted: what comes after that is lost. Who has
        # greeted us has done so.
        with contextlib.suppress(OSError):
            await sock.send(MARKER)
        # Who has said no has heard us, and acknowledges no more.
        heard = greeting.kind in ("closed", "notification") or await _is_acknowledged(sock)
        return "open" if heard else "deaf", greeting


async def is_answering(peer: Peer) -> bool:
    """Whether the router's machine answers anything at all: a port that nobody has closed, or open, tells.

    A machine whose BGP port swallows what we send answers here, unless it filters.
    """
    answered = False

    async def ask(kind: socket.SocketKind, port: int) -> None:
        nonlocal answered
        with trio.socket.socket(_family(peer.address), kind) as sock:
            try:
                await sock.bind((str(peer.local_address), 0))
                await sock.connect((str(peer.address), port))
                if kind is socket.SOCK_DGRAM:
                    await sock.send(b"\0")
                    await sock.recv(1)
            except OSError as error:
                if error.errno not in (errno.ECONNREFUSED, errno.ECONNRESET):
                    return
        answered = True
        nursery.cancel_scope.cancel()

    with trio.move_on_after(REACH_CONNECT_S_MAX):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, socket.SOCK_DGRAM, _TRACEROUTE_PORT)
            nursery.start_soon(ask, socket.SOCK_STREAM, _DISCARD_PORT)
    return answered


_TRACEROUTE_PORT = 33_434  # where routers are used to be asked, and answer by ICMP
_DISCARD_PORT = 9


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _configure(sock: trio.socket.SocketType, peer: Peer, variant: Variant) -> None:
    v4 = peer.address.version == 4
    level = socket.IPPROTO_IP if v4 else socket.IPPROTO_IPV6
    if variant.ttl:
        sock.setsockopt(level, socket.IP_TTL if v4 else socket.IPV6_UNICAST_HOPS, variant.ttl)
    if variant.demands_ttl:
        sock.setsockopt(level, _IP_MINTTL if v4 else _IPV6_MINHOPCOUNT, TTL_HIGHEST)
    if peer.interface:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, peer.interface.encode() + b"\0")
    if variant.key:
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, _md5sig(peer))


def _md5sig(peer: Peer) -> bytes:
    """`struct tcp_md5sig` of linux/tcp.h: whom the key is for, and the key."""
    packed, key = peer.address.packed, peer.password.encode()
    if peer.address.version == 4:
        to = struct.pack("=HH", socket.AF_INET, 0) + packed
    else:
        to = struct.pack("=HHI", socket.AF_INET6, 0, 0) + packed
    return struct.pack("=128sBBHi80s", to, 0, 0, len(key), 0, key)


async def _is_acknowledged(sock: trio.socket.SocketType) -> bool:
    """Whether all that was sent is: the kernel tells nobody, so it is asked (SIOCOUTQ of tcp(7))."""
    with trio.move_on_after(REACH_GREETING_S_MAX):
        while _unacknowledged_bytes(sock):  # noqa: ASYNC110 - nobody else knows, and it is over in half a second
            await trio.sleep(_ASK_S)
    return not _unacknowledged_bytes(sock)


def _unacknowledged_bytes(sock: trio.socket.SocketType) -> int:
    answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


async def _greeting(sock: trio.socket.SocketType) -> Greeting:
    data = b""
    with trio.move_on_after(REACH_GREETING_S_MAX):
        while len(data) < GREETING_BYTES_MAX:
            try:
                received = await sock.recv(GREETING_BYTES_MAX)
            except OSError:
                received = b""
            data += received
            if (greeting := read_greeting(data, ended=not received)) is not None:
                return greeting
    return Greeting("silent")
