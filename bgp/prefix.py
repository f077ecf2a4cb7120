"""Prefixes, and the list of those that may be announced.

The speaker's child holds an `AllowList` of its own and refuses whatever is not on it, whoever asks. A prefix is allowed
or it is not: a longer one, which would draw traffic away from all others, is another prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Literal

from bgp.errors import PrefixInvalid, PrefixRefused

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Family = Literal["ipv4", "ipv6"]


def parse_prefix(text: object) -> Network:
    """
    Raises:
        PrefixInvalid: no network, bits behind its length, all addresses there are, or IPv4 in the form of IPv6.
    """
    # A zone may be any text, which Python would keep: it would be written into lines for ExaBGP.
    if not isinstance(text, str) or "/" not in text or "%" in text:
        raise PrefixInvalid(f"{str(text)[:60]!r} is no prefix")
    try:
        network = ip_network(text)
    except ValueError as error:
        raise PrefixInvalid(f"{text[:60]!r} is no prefix: {error}") from None
    if network.prefixlen == 0:
        raise PrefixInvalid(f"{text} is a default route, which nobody announces by anycast")
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise PrefixInvalid(f"{text} is of IPv4, written as IPv6")
    return network


def family(network: Network | Address) -> Family:
    return "ipv4" if network.version == 4 else "ipv6"


class AllowList:
    """Prefixes that may be announced, each exactly as it is written. Immutable."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = frozenset(networks)

    def __contains__(self, network: object) -> bool:
        return network in self._networks

    def __iter__(self) -> Iterator[Network]:
        return iter(sorted(self._networks, key=lambda each: (each.version, each)))

    def __len__(self) -> int:
        return len(self._networks)

    def check(self, network: Network) -> None:
        """
        Raises:
            PrefixRefused: it is not on the list; the message says what of the list is near.
        """
        if network in self._networks:
            return
        for allowed in self:
            if allowed.version == network.version and allowed.overlaps(network):
                kind = "longer" if network.prefixlen > allowed.prefixlen else "shorter"
                raise PrefixRefused(f"{network} may not be announced: it is {kind} than {allowed}, which may")
        raise PrefixRefused(f"{network} may not be announced: the allow-list does not have it")
