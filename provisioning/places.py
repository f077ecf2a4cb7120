"""What fills the places `@NAME@` of cloud-init/ for one machine: cloud-init/README.md says what each is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from provisioning.machine import Machine
from provisioning.providers.provider import PROVIDERS

_ANYWHERE = ("0.0.0.0/0", "::/0")
_host_port = re.compile(r"[^/]*:([0-9]{1,5})").fullmatch


def places_of(machine: Machine, node: Mapping[str, Any]) -> dict[str, str]:
    """Name -> text.

    Args:
        node: the tables of its node.toml. What edged would refuse in them is taken for absent here, and put nowhere.
    """
    metadata_v4, metadata_v6 = _by_family(PROVIDERS[machine.provider].metadata_addresses)
    routers_v4, routers_v6 = _routers(node.get("bgp"))
    return {
        "METADATA_V4": metadata_v4,
        "METADATA_V6": metadata_v6,
        "ROUTERS_V4": routers_v4,
        "ROUTERS_V6": routers_v6,
        "ADMIN_PORT": _admin_port(node.get("admin")),
    }


def _routers(bgp: object) -> tuple[str, str]:
    """Those that node.toml names; anywhere, where the provider will name them; none without BGP."""
    if not isinstance(bgp, Mapping):
        return "", ""
    if "peer" not in bgp:
        return _ANYWHERE
    peers = bgp["peer"] if isinstance(bgp["peer"], list) else []
    return _by_family(str(peer.get("address")) for peer in peers if isinstance(peer, Mapping))


def _admin_port(admin: object) -> str:
    """Of `host:port`; "0" for a path, as edged tells them apart."""
    listen = admin.get("listen") if isinstance(admin, Mapping) else None
    match = _host_port(listen) if isinstance(listen, str) else None
    return "0" if match is None or int(match[1]) > 65_535 else str(int(match[1]))


def _by_family(addresses: Iterable[str]) -> tuple[str, str]:
    found: dict[int, list[str]] = {4: [], 6: []}
    for each in addresses:
        try:
            address = ip_address(each)
        except ValueError:
            continue
        if "%" not in each:
            found[address.version].append(str(address))
    return ", ".join(found[4]), ", ".join(found[6])
