"""Which addresses a guest may reach, whatever name led to them.

A manifest allows names; what a name resolves to is up to whoever runs its DNS. So each address is looked at just before
it is dialled: one that is not part of the public internet is let pass only where the operator says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
"""This machine."""

PRIVATE: tuple[Network, ...] = (
    *LOOPBACK,
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("100.64.0.0/10"),
    IPv6Network("fc00::/7"),
)
"""This machine and networks of one's own (RFC 1918, 4193, 6598). Link-local addresses are not among them: that is where
most clouds keep their metadata services."""

_METADATA: frozenset[Address] = frozenset(
    {
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv4Address("168.63.129.16"),  # Azure, which is public by its number
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd20:ce::254"),  # Google
        IPv6Address("fd00:42::42"),  # Scaleway
    }
)
"""Metadata services elsewhere: they tell whoever asks what a machine's owner entrusted to it."""

_NOT_PUBLIC: tuple[Network, ...] = (
    *PRIVATE,
    # The IANA special-purpose registries of IPv4 and IPv6 (RFC 6890), as far as they are not globally reachable.
    IPv4Network("0.0.0.0/8"),
    IPv4Network("169.254.0.0/16"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.0.2.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv4Network("224.0.0.0/4"),
    IPv4Network("240.0.0.0/4"),
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")  # all that IANA has given out for global unicast
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


@dataclass(frozen=True, slots=True)
class AddressGate:
    """What the operator opens and closes.

    Attributes:
        opened: networks that are let pass although they are not public. A metadata service is in none but one of its
            own address.
        closed: networks that are never let pass: the anycast prefix, peers, `block_networks`. They win over `opened`.
    """

    opened: tuple[Network, ...] = ()
    closed: tuple[Network, ...] = ()

    def admits(self, address: Address) -> bool:
        """Whether this address may be dialled. Addresses that carry an IPv4 address inside are judged as that one."""
        if isinstance(address, IPv6Address):
            if address.scope_id is not None or _is_in(address, self.closed):
                return False
            inner = embedded_ipv4(address)
            if inner is not None:
                return self.admits(inner)
        if _is_in(address, self.closed):
            return False
        if address in _METADATA:
            return _is_in(address, [network for network in self.opened if network.num_addresses == 1])
        if _is_in(address, self.opened):
            return True
        if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6:
            return False
        return not _is_in(address, _NOT_PUBLIC)


ANYWHERE = AddressGate((IPv4Network("0.0.0.0/0"), IPv6Network("::/0")))
"""For what the operator has named, which is on networks of the operator's own: where guests may not go."""


def embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one end at: mapped (RFC 4291), compatible, or behind NAT64 (RFC 6052).

    6to4 (RFC 3056) and Teredo (RFC 4380) carry one too. They are not public networks here, so that nobody has to look.
    """
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
