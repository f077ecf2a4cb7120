"""The sockets of BFD: single hop of RFC 5881, several hops of RFC 5883."""

from __future__ import annotations

import random
import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple, Protocol

import trio

from bgp.errors import BfdUnavailable
from bgp.limits import BFD_PACKET_BYTES_MAX, BFD_SOURCE_PORT_FIRST, BFD_SOURCE_PORT_LAST, BFD_SOURCE_PORT_TRIES
from bgp.prefix import Address

SINGLE_HOP_PORT = 3784  # RFC 5881 4
MULTIHOP_PORT = 4784  # RFC 5883 5
TTL = 255  # RFC 5881 5: no router has passed on what arrives with it
_IP_RECVTTL = 12  # linux/in.h; the socket module does not have it
_TRAFFIC_CLASS = 0xC0  # RFC 4594 3.1: network control
_INT = struct.Struct("i")


class Endpoint(NamedTuple):
    """Where packets are received.

    Attributes:
        interface: "" for any.
    """

    local: Address
    interface: str
    port: int


class Datagram(NamedTuple):
    """Attributes:
    source: without a scope.
    ttl: that it arrived with; 0 if the system did not say.
    """

    data: bytes
    source: Address
    ttl: int


class Receiver(Protocol):
    async def receive(self) -> Datagram:
        """Raises:
        BfdUnavailable: not by this socket any more.
        """

    def close(self) -> None: ...


class Sender(Protocol):
    async def send(self, data: bytes, port: int) -> None:
        """To a port of the one address it is for. What cannot be sent is lost, as packets are."""

    def close(self) -> None: ...


class Network(Protocol):
    """What `Bfd` needs of the network."""

    def receiver(self, endpoint: Endpoint) -> Receiver:
        """Raises:
        BfdUnavailable
        """

    def sender(self, local: Address, interface: str, remote: Address) -> Sender:
        """From a port of its own (RFC 5881 4).

        Raises:
            BfdUnavailable
        """


def without_scope(address: Address) -> Address:
    return IPv6Address(int(address)) if isinstance(address, IPv6Address) else address


class SocketNetwork:
    """UDP sockets of this machine."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def receiver(self, endpoint: Endpoint) -> Receiver:
        try:
            sock = _socket(endpoint.local, endpoint.interface)
            try:
                if endpoint.local.version == 4:
                    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
                else:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
                sock.bind(_sockaddr(endpoint.local, endpoint.interface, endpoint.port))
                return _SocketReceiver(trio.socket.from_stdlib_socket(sock))
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise _unavailable(endpoint.local, error, endpoint.port) from error

    def sender(self, local: Address, interface: str, remote: Address) -> Sender:
        try:
            sock = _socket(local, interface)
            try:
                if local.version == 4:
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, TTL)
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _TRAFFIC_CLASS)
                else:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, TTL)
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _TRAFFIC_CLASS)
                self._bind(sock, local, interface)
                return _SocketSender(trio.socket.from_stdlib_socket(sock), remote, interface)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise _unavailable(local, error) from error

    def _bind(self, sock: socket.socket, local: Address, interface: str) -> None:
        for _ in range(BFD_SOURCE_PORT_TRIES - 1):
            with suppress(OSError):
                sock.bind(_sockaddr(local, interface, self._source_port()))
                return
        sock.bind(_sockaddr(local, interface, self._source_port()))

    def _source_port(self) -> int:
        return self._rng.randint(BFD_SOURCE_PORT_FIRST, BFD_SOURCE_PORT_LAST)


class _SocketReceiver:
    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._sock = sock

    async def receive(self) -> Datagram:
        try:
            data, ancillary, _, sender = await self._sock.recvmsg(BFD_PACKET_BYTES_MAX, socket.CMSG_SPACE(_INT.size))
        except OSError as error:
            raise BfdUnavailable(f"packets of BFD cannot be received: {error.strerror}") from error
        ttl = 0
        for level, kind, value in ancillary:
            wanted = (socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)
            if (level, kind) in wanted and len(value) == _INT.size:
                (ttl,) = _INT.unpack(value)
        return Datagram(data, without_scope(ip_address(_host(sender))), ttl)

    def close(self) -> None:
        self._sock.close()


class _SocketSender:
    def __init__(self, sock: trio.socket.SocketType, remote: Address, interface: str) -> None:
        self._sock = sock
        self._remote = remote
        self._interface = interface

    async def send(self, data: bytes, port: int) -> None:
        with suppress(OSError):
            await self._sock.sendto(data, _sockaddr(self._remote, self._interface, port))

    def close(self) -> None:
        self._sock.close()


def _socket(local: Address, interface: str) -> socket.socket:
    """Without SO_REUSEADDR: another BFD daemon at the same port would take half of what comes in."""
    family = socket.AF_INET if isinstance(local, IPv4Address) else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if interface:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    except OSError:
        sock.close()
        raise
    return sock


def _sockaddr(address: Address, interface: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """
    Raises:
        OSError: no such interface.
    """
    if isinstance(address, IPv4Address):
        return str(address), port
    name = address.scope_id or interface
    scope = socket.if_nametoindex(name) if address.is_link_local and name else 0
    return str(without_scope(address)), port, 0, scope


def _unavailable(local: Address, error: OSError, port: int | None = None) -> BfdUnavailable:
    where = local if port is None else f"UDP port {port} of {local}"
    return BfdUnavailable(f"no BFD on {where}: {error.strerror}")


def _host(sockaddr: object) -> str:
    assert isinstance(sockaddr, tuple), "an address that is not of IP"
    return str(sockaddr[0])
