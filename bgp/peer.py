"""The routers that we speak to, and as whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from types import MappingProxyType

from bgp.limits import HOLD_S
from bgp.prefix import Address, Family

BGP_PORT = 179


@dataclass(frozen=True, slots=True)
class BfdTimes:
    """RFC 5880 4.1: what we ask for. Detection takes `interval_ms` times `multiplier`."""

    interval_ms: int = 100
    multiplier: int = 3


@dataclass(frozen=True, slots=True)
class Peer:
    """One session. We connect, and never listen.

    Attributes:
        name: in status and logs; unique.
        address: whom we connect to.
        asn: of that router.
        local_address: that we connect from, and announce as next hop of its family.
        next_hops: of families that `local_address` is not of; a family without a next hop is not announced.
        password: of TCP-MD5 (RFC 2385); "" for none. Never shown.
        ttl_security: GTSM (RFC 5082): packets have a TTL of 255, and none with less is taken.
        multihop: how many hops away it may be; 1 for a direct neighbour. Not together with `ttl_security`.
        interface: that the session is bound to; "" for any.
        bfd: None for none.
    """

    name: str
    address: Address
    asn: int
    local_address: Address
    next_hops: Mapping[Family, Address] = field(default_factory=lambda: MappingProxyType({}))
    port: int = BGP_PORT
    password: str = field(default="", repr=False)
    ttl_security: bool = False
    multihop: int = 1
    interface: str = ""
    hold_s: int = HOLD_S
    bfd: BfdTimes | None = None

    def next_hop(self, family: Family) -> Address | None:
        """Where this peer sends packets for prefixes of a family; None if it is told none of that family."""
        if self.local_address.version == (4 if family == "ipv4" else 6):
            return self.local_address
        return self.next_hops.get(family)


@dataclass(frozen=True, slots=True)
class SpeakerConfig:
    """All sessions of one node.

    Attributes:
        asn: ours.
        router_id: RFC 4271 4.2: unique in our AS; an IPv4 address of this machine.
        deadman_s: a child that hears nothing of its parent for so long takes leave of its peers and ends.
    """

    asn: int
    router_id: IPv4Address
    peers: tuple[Peer, ...]
    deadman_s: float = 1.5
