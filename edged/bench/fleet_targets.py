"""Where to measure, as a fleet's status says: its anycast address, and a node of each region."""

from __future__ import annotations

from ipaddress import ip_network
from urllib.parse import urlsplit

from edged.bench.target import ANYCAST, Target, check_targets, parse_target
from edged.errors import UsageError
from edged.status.view import StatusView

_NO_URL = "Name it: `edged bench anycast http://ADDRESS/`."


def anycast_target(view: StatusView, host: str) -> Target:
    """The first prefix of the roster that is one address, IPv4 first; with scheme and port of a node.

    Raises:
        UsageError: there is no such prefix, or no node says where it serves.
    """
    networks = sorted((ip_network(prefix) for prefix in view.fleet.prefixes), key=lambda each: each.version)
    alone = [network for network in networks if network.prefixlen == network.max_prefixlen]
    if not alone:
        raise UsageError(f"no prefix of the fleet {view.fleet.name} is one address", remedy=_NO_URL)
    url = next((node.url for node in view.nodes if node.url), None)
    if url is None:
        raise UsageError(f"no node of the fleet {view.fleet.name} says where it serves", remedy=_NO_URL)
    address = alone[0].network_address
    parts = urlsplit(url)
    at = "" if parts.port is None else f":{parts.port}"
    literal = f"[{address}]" if address.version == 6 else str(address)
    return parse_target(ANYCAST, f"{parts.scheme}://{literal}{at}/", host)


def region_targets(view: StatusView, host: str) -> tuple[Target, ...]:
    """A node of each region by its own address, one that is up if there is any.

    Raises:
        UsageError: what httping cannot take.
    """
    targets = []
    for region in view.regions:
        nodes = [node for node in view.nodes if node.region == region.name and node.url]
        nodes.sort(key=lambda node: node.state != "up")
        if nodes:
            targets.append(parse_target(region.name, nodes[0].url, host))
    return check_targets(targets)
