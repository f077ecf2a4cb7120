"""The shape of Vultr's metadata.

Source: the provider's page "Metadata API" (`/v1.json`), and its guides to BGP on cloud servers and bare metal. All that
is used:

    {"bgp": {"ipv4": {"my-address": "192.0.2.2", "my-asn": "64496",
                      "peer-address": "169.254.169.254", "peer-asn": "64515"},
             "ipv6": {"my-address": "2001:db8::1910", "my-asn": "64496",
                      "peer-address": "2001:19f0:ffff::1", "peer-asn": "64515"}},
     "interfaces": [{"ipv4": {"address": "192.0.2.2", "gateway": "192.0.2.1"}}]}

Every value is a string, and all are empty where BGP is not enabled. The password is not among them: it stands in the
provider's console, and whoever configures a node gives it. The gateway of IPv6 is known from router advertisements
only, so no route is made for it.
"""

from __future__ import annotations

from typing import Any

from bgp.errors import MetadataInvalid
from bgp.metadata.fields import address, asn, typed
from bgp.metadata.provider_sessions import ProviderSessions
from bgp.peer import Peer
from bgp.prefix import Address
from bgp.static_route import StaticRoute

URL = "http://169.254.169.254/v1.json"

_HOPS = 2
"""What the provider's guides say: the number is not in the metadata."""
_KEYS = ("my-address", "my-asn", "peer-address", "peer-asn")
_INTERFACES_MAX = 64


def parse(document: dict[str, Any]) -> ProviderSessions:
    """
    Raises:
        MetadataInvalid
    """
    sessions = typed(document.get("bgp", {}), dict, "bgp")
    numbers, peers, routes = set(), [], []
    for version in (4, 6):
        where = f"bgp.ipv{version}"
        session = typed(sessions.get(f"ipv{version}", {}), dict, where)
        if not any(session.get(key) for key in _KEYS):
            continue
        local = address(session.get("my-address"), version, f"{where}.my-address")
        numbers.add(asn(session.get("my-asn"), f"{where}.my-asn"))
        peer = Peer(
            name=f"vultr-v{version}",
            address=address(session.get("peer-address"), version, f"{where}.peer-address"),
            asn=asn(session.get("peer-asn"), f"{where}.peer-asn"),
            local_address=local,
            multihop=_HOPS,
        )
        peers.append(peer)
        gateway = _gateway(document, local)
        if gateway is not None:
            routes.append(StaticRoute(peer.address, gateway))
    if not peers:
        raise MetadataInvalid("bgp is empty: this machine has no BGP session at its provider")
    if len(numbers) != 1:
        raise MetadataInvalid("bgp has two AS numbers for this machine; it can have one")
    return ProviderSessions(numbers.pop(), tuple(peers), tuple(routes))


def _gateway(document: dict[str, Any], local: Address) -> Address | None:
    """Of the interface that has the address which the session is spoken from; None if the metadata does not say."""
    interfaces = typed(document.get("interfaces", []), list, "interfaces")
    for index, each in enumerate(interfaces[:_INTERFACES_MAX]):
        where = f"interfaces[{index}].ipv{local.version}"
        network = typed(typed(each, dict, f"interfaces[{index}]").get(f"ipv{local.version}", {}), dict, where)
        if network.get("address") == str(local) and network.get("gateway"):
            return address(network["gateway"], local.version, f"{where}.gateway")
    return None
