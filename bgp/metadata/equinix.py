"""The shape of Equinix Metal's metadata, which was Packet's before.

Source: the provider's pages "Metadata" and "BGP on Equinix Metal", and the type BgpNeighborData of its API. All that
is used:

    {"bgp_neighbors": [{"address_family": 4, "customer_as": 65000, "customer_ip": "10.99.182.129",
                        "md5_enabled": true, "md5_password": "...", "multihop": true, "peer_as": 65530,
                        "peer_ips": ["169.254.255.1", "169.254.255.2"]}],
     "network": {"addresses": [{"address_family": 4, "public": false, "management": true, "enabled": true,
                                "address": "10.99.182.129", "gateway": "10.99.182.128"}]}}

The session is spoken from the machine's own address, and the two routers of the rack are reached through that
address's gateway, several hops away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bgp.errors import MetadataInvalid
from bgp.limits import PEER_COUNT_MAX
from bgp.metadata.fields import address, asn, field, password, typed
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import Peer
from bgp.prefix import Address
from bgp.static_route import StaticRoute

URL = "https://metadata.platformequinix.com/metadata"

_HOPS = 5
"""The number is not in the metadata. The routers are at the top of the rack; configurations in public have 2 to 4."""
_ADDRESSES_MAX = 256


def parse(document: dict[str, Any]) -> ProviderSessions:
    """
    Raises:
        MetadataInvalid
    """
    neighbors = field(document, "bgp_neighbors", list, "the metadata")
    if not neighbors:
        raise MetadataInvalid("bgp_neighbors is empty: this machine has no BGP session at its provider")
    numbers: set[int] = set()
    peers: list[Peer] = []
    routes = []
    for index, each in enumerate(neighbors[: PEER_COUNT_MAX + 1]):
        where = f"bgp_neighbors[{index}]"
        neighbor = typed(each, dict, where)
        numbers.add(asn(neighbor.get("customer_as"), f"{where}.customer_as"))
        for peer in _peers(neighbor, where, peers):
            peers.append(peer)
            gateway = _gateway(document, peer.local_address) if peer.multihop > 1 else None
            if gateway is not None:
                routes.append(StaticRoute(peer.address, gateway))
    if len(peers) > PEER_COUNT_MAX:
        raise MetadataInvalid(f"bgp_neighbors has more than {PEER_COUNT_MAX} routers")
    if len(numbers) != 1:
        raise MetadataInvalid(f"bgp_neighbors has {len(numbers)} AS numbers for this machine; it can have one")
    if len({peer.address for peer in peers}) != len(peers):
        raise MetadataInvalid("bgp_neighbors has a router twice")
    return ProviderSessions(numbers.pop(), tuple(peers), tuple(routes))


def _peers(neighbor: dict[str, Any], where: str, before: Sequence[Peer]) -> list[Peer]:
    version = field(neighbor, "address_family", int, where)
    if version not in (4, 6):
        raise MetadataInvalid(f"{where}.address_family is neither 4 nor 6")
    routers = field(neighbor, "peer_ips", list, where)
    if not routers:
        raise MetadataInvalid(f"{where}.peer_ips is empty")
    hops = _HOPS if field(neighbor, "multihop", bool, where) else 1
    secret = ""
    if field(neighbor, "md5_enabled", bool, where):
        secret = password(neighbor.get("md5_password"), f"{where}.md5_password")
        if not secret:
            raise MetadataInvalid(f"{where}.md5_password is empty, although md5_enabled says that there is one")
    first = 1 + sum(peer.address.version == version for peer in before)
    return [
        Peer(
            name=f"equinix-v{version}-{number}",
            address=address(router, version, f"{where}.peer_ips[{number - first}]"),
            asn=asn(neighbor.get("peer_as"), f"{where}.peer_as"),
            local_address=address(neighbor.get("customer_ip"), version, f"{where}.customer_ip"),
            password=secret,
            multihop=hops,
        )
        for number, router in enumerate(routers[: PEER_COUNT_MAX + 1], start=first)
    ]


def _gateway(document: dict[str, Any], local: Address) -> Address | None:
    """Of the machine's address that the session is spoken from; None if the metadata does not say."""
    network = typed(document.get("network", {}), dict, "network")
    addresses = typed(network.get("addresses", []), list, "network.addresses")
    for index, each in enumerate(addresses[:_ADDRESSES_MAX]):
        where = f"network.addresses[{index}]"
        entry = typed(each, dict, where)
        if entry.get("address_family") != local.version or entry.get("enabled") is False:
            continue
        if address(entry.get("address"), local.version, f"{where}.address") == local:
            return address(entry.get("gateway"), local.version, f"{where}.gateway")
    return None
