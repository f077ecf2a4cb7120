"""Connections to the outside: a name is resolved once, its addresses pass the gate, and one of those is dialled.

    host, port ── resolve ── AddressGate ── connect to that address ── SocketStream
                                    └── addresses(): for clients that dial themselves

No name reaches the kernel or a client library, so that nothing resolves it a second time and gets another answer.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import trio

from edged.host.network.gate import Address, AddressGate
from edged.limits import DIAL_ADDRESS_COUNT_MAX, DIAL_TIMEOUT_S, PORTS_REFUSED

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
Connect = Callable[[Address, int], Awaitable[trio.SocketStream]]


class DialFailed(Exception):
    """No connection. The message is for the guest: it says nothing of this node or its network."""


class NameUnknown(DialFailed):
    """The name does not resolve."""


class AddressProhibited(DialFailed):
    """The name resolves, but to nothing that a guest may reach."""


class ConnectionRefused(DialFailed):
    """The destination answered, with a refusal."""


class Unreachable(DialFailed):
    """There is no way to the destination."""


class DialTimeout(DialFailed):
    """The name was not resolved, or the connection not made, in time."""


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Addresses of a name, by the system's resolver.

    Raises:
        OSError: it has none, or none can be found.
        UnicodeError: it cannot be a name.
    """
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    # Without scope: `gate` refuses what has one, and what needs one is not reached without.
    return list(dict.fromkeys(ip_address(sockaddr[0]) for *_, sockaddr in found))


async def connect(address: Address, port: int) -> trio.SocketStream:
    """A TCP connection to exactly that address.

    Raises:
        OSError: it could not be made.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connecting = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await connecting.connect((str(address), port))
        return trio.SocketStream(connecting)
    except BaseException:
        connecting.close()
        raise


@dataclass(frozen=True, slots=True)
class Dialer:
    """Makes connections for guests.

    Attributes:
        gate: which addresses are let pass.
        resolve, connect: replaced in tests.
    """

    gate: AddressGate = field(default_factory=AddressGate)
    resolve: Resolve = resolve
    connect: Connect = connect

    async def addresses(self, host: str, port: int, timeout_s: float = DIAL_TIMEOUT_S) -> Sequence[Address]:
        """Addresses of a name or address that may be dialled; at least one.

        Args:
            host: as in a URL; an IPv6 address with or without brackets.

        Raises:
            DialFailed: NameUnknown, AddressProhibited, DialTimeout.
        """
        if port in PORTS_REFUSED:
            raise AddressProhibited(f"port {port} is not for guests")
        host = host.removeprefix("[").removesuffix("]").removesuffix(".")
        try:
            found: Sequence[Address] = [ip_address(host)]
        except ValueError:
            try:
                with trio.fail_after(timeout_s):
                    found = await self.resolve(host, port)
            except trio.TooSlowError:
                raise DialTimeout(f"{host} was not resolved in time") from None
            except (OSError, UnicodeError):
                raise NameUnknown(f"{host} is not known") from None
        admitted = [address for address in found if self.gate.admits(address)]
        if not admitted:
            raise AddressProhibited(f"{host} is not an address that guests may reach")
        return admitted[:DIAL_ADDRESS_COUNT_MAX]

    async def dial(self, host: str, port: int, timeout_s: float = DIAL_TIMEOUT_S) -> trio.SocketStream:
        """A TCP connection to the first address that takes one. `timeout_s` is for all of it.

        Raises:
            DialFailed: and its subclasses.
        """
        deadline = trio.current_time() + timeout_s
        addresses = await self.addresses(host, port, timeout_s)
        failure: DialFailed = DialTimeout(f"{host} did not answer in time")
        for tried, address in enumerate(addresses):
            # Each gets its share of what is left, so that one that never answers leaves time for the others.
            left = max(0.0, deadline - trio.current_time()) / (len(addresses) - tried)
            with trio.move_on_after(left):
                try:
                    return await self.connect(address, port)
                except OSError as error:
                    failure = _failure(host, error)
        raise failure


def _failure(host: str, error: OSError) -> DialFailed:
    if error.errno == errno.ECONNREFUSED:
        return ConnectionRefused(f"{host} refused the connection")
    return Unreachable(f"{host} cannot be reached")
