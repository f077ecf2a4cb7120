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
from edged.limits import DIAL_ADDRESS_COUNT_MAX, DIAL_TIMEOUT_S, PORTS_REFUSED, RESOLVE_THREAD_COUNT_MAX

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
    """The connection was not made in time."""


class NameTimeout(DialTimeout):
    """The name was not resolved in time."""


class TooManyConnections(DialFailed):
    """The app has as many connections as the operator lets it have."""


class SystemResolver:
    """The system's resolver. It blocks, so each lookup has a thread, of which there are only so many for one app: a
    name whose DNS never answers keeps its thread long after everybody has given up waiting."""

    __slots__ = ("_threads",)

    def __init__(self) -> None:
        self._threads = trio.CapacityLimiter(RESOLVE_THREAD_COUNT_MAX)

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Addresses of a name.

        Raises:
            OSError: it has none, or none can be found.
            ValueError: it cannot be a name.
        """
        return await trio.to_thread.run_sync(_look_up, host, port, abandon_on_cancel=True, limiter=self._threads)


def _look_up(host: str, port: int) -> Sequence[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
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
    """Makes connections for the guests of one app.

    Attributes:
        gate: which addresses are let pass.
        resolve, connect: replaced in tests.
        refused: told the name that leads to no address which may be dialled.
        has_room: asked before anything else, with the place of the new connection already counted; False refuses it.
    """

    gate: AddressGate = field(default_factory=AddressGate)
    resolve: Resolve = field(default_factory=SystemResolver)
    connect: Connect = connect
    refused: Callable[[str], None] = lambda _host: None
    has_room: Callable[[], bool] = lambda: True

    async def addresses(self, host: str, port: int, timeout_s: float = DIAL_TIMEOUT_S) -> Sequence[Address]:
        """Addresses of a name or address that may be dialled; at least one.

        Args:
            host: as in a URL; an IPv6 address with or without brackets.

        Raises:
            DialFailed: TooManyConnections, NameUnknown, AddressProhibited, NameTimeout.
        """
        # Before the first await: who is refused gives the place back at once, and it does not count for the next one.
        if not self.has_room():
            raise TooManyConnections("too many connections are open")
        if port in PORTS_REFUSED or not 0 < port <= 0xFFFF:
            raise AddressProhibited(f"port {port} is not for guests")
        host = host.removeprefix("[").removesuffix("]").removesuffix(".")
        try:
            found: Sequence[Address] = [ip_address(host)]
        except ValueError:
            try:
                with trio.fail_after(timeout_s):
                    found = await self.resolve(host, port)
            except trio.TooSlowError:
                raise NameTimeout(f"{host} was not resolved in time") from None
            except (OSError, ValueError):
                raise NameUnknown(f"{host} is not known") from None
        admitted = [address for address in found if self.gate.admits(address)]
        if not admitted:
            self.refused(host)
            raise AddressProhibited(f"{host} is not an address that guests may reach")
        return admitted[:DIAL_ADDRESS_COUNT_MAX]

    async def dial(self, host: str, port: int, timeout_s: float = DIAL_TIMEOUT_S) -> trio.SocketStream:
        """A TCP connection to the first address that takes one. `timeout_s` is for all of it.

        Raises:
            DialFailed: and its subclasses.
        """
        deadline = trio.current_time() + timeout_s
        addresses = await self.addresses(host, port, timeout_s)
        failure: DialFailed | None = None
        for tried, address in enumerate(addresses):
            # Each gets its share of what is left, so that one that never answers leaves time for the others.
            left = max(0.0, deadline - trio.current_time()) / (len(addresses) - tried)
            with trio.move_on_after(left):
                try:
                    return await self.connect(address, port)
                except OSError as error:
                    # The first failure is told: the resolver puts the best address first.
                    failure = failure or _failure(host, error)
                    continue
            failure = failure or DialTimeout(f"{host} did not answer in time")
        assert failure is not None
        raise failure


def _failure(host: str, error: OSError) -> DialFailed:
    match error.errno:
        case errno.ECONNREFUSED:
            return ConnectionRefused(f"{host} refused the connection")
        case errno.ETIMEDOUT:
            return DialTimeout(f"{host} did not answer in time")
    return Unreachable(f"{host} cannot be reached")
