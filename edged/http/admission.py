"""How many connections may be open, in all and from one client."""

from __future__ import annotations

import socket
from collections import Counter

from edged.http.canary import is_here


class Admission:
    """Counts connections and says when it is enough.

    IPv6 clients count by their /64: that is what one client is given.

    Args:
        count_max: connections in all.
        per_network_max: connections of one IPv4 address or one IPv6 /64.
        own_count: beyond both, for clients on this machine. A node that is full of clients, or has neighbours in the
            network of its address, and asks itself whether it answers, would else withdraw and send them to the next.

    Attributes:
        open: connections now.
        refused: connections that were one too many; only grows.
    """

    def __init__(self, count_max: int, per_network_max: int, own_count: int = 0) -> None:
        self._count_max = count_max
        self._own_count = own_count
        self._per_network_max = per_network_max
        self._by_network: Counter[bytes] = Counter()
        self.open = 0
        self.refused = 0

    def enter(self, host: str) -> bool:
        """Count a connection of this address, if there is room."""
        network = _network(host)
        if not self._has_room(host, network):
            self.refused += 1
            return False
        self.open += 1
        self._by_network[network] += 1
        return True

    def _has_room(self, host: str, network: bytes) -> bool:
        excess = max(self.open - self._count_max, self._by_network.get(network, 0) - self._per_network_max)
        return excess < 0 or (excess < self._own_count and is_here(host))

    def leave(self, host: str) -> None:
        """A connection that entered is closed."""
        network = _network(host)
        self.open -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]


def client_address(address: tuple[str, int]) -> tuple[str, int]:
    """A peer's address as everybody writes it.

    A scope (fe80::1%eth0) is our business, and an IPv4 client of an IPv6 socket is an IPv4 client.
    """
    return address[0].partition("%")[0].removeprefix("::ffff:"), address[1]


def _network(host: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, host)[:8] if ":" in host else host.encode()
