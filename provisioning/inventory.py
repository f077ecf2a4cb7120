"""The machines of a fleet.toml: `[provision]`, what is true of all, and `[[machine]]`, each by itself.

text -> tomllib -> TABLES -> Machine. The rest of the file is the roster's, and not looked at but for names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from provisioning.errors import InventoryInvalid, MachineUnknown
from provisioning.inventory_fields import (
    Field,
    Fields,
    Wrong,
    absolute_path,
    array,
    as_table,
    below,
    boolean,
    free_table,
    host_port,
    interface,
    ip,
    label,
    mac,
    near,
    one_of,
    record,
    sha256,
    shown,
    text,
    url,
)
from provisioning.limits import (
    ADDRESS_COUNT_MAX,
    INVENTORY_BYTES_MAX,
    MACHINE_COUNT_MAX,
    REGION_COUNT_MAX,
    SSH_KEY_FILE_COUNT_MAX,
    URL_COUNT_MAX,
)
from provisioning.machine import Binary, Machine, Network, Table
from provisioning.providers.provider import PROVIDERS

_BINARY: Fields = {
    "sha256": Field(sha256, required=True),
    "urls": Field(array(url, URL_COUNT_MAX)),
    "path": Field(absolute_path),
}
_NETWORK: Fields = {
    "mac": Field(mac, required=True),
    "addresses": Field(array(interface, ADDRESS_COUNT_MAX), required=True),
    "gateways": Field(array(ip, 2)),
    "nameservers": Field(array(ip, ADDRESS_COUNT_MAX)),
}
_PROVISION: Fields = {
    "provider": Field(one_of(PROVIDERS)),
    "ssh_keys": Field(array(text, SSH_KEY_FILE_COUNT_MAX)),
    "binary": Field(record(_BINARY), required=True),
    "node": Field(free_table),
    "terraform": Field(free_table),
}
_MACHINE: Fields = {
    "name": Field(label, required=True),
    "region": Field(label, required=True),
    "address": Field(host_port, required=True),
    "provider": Field(one_of(PROVIDERS)),
    "begins": Field(boolean),
    "node": Field(free_table),
    "network": Field(record(_NETWORK)),
    "terraform": Field(free_table),
}

_HEAD: Fields = {
    "fleet": Field(label, required=True),
    "regions": Field(array(label, REGION_COUNT_MAX), required=True),
    "provision": Field(record(_PROVISION), required=True),
}
"""What is needed of the rest, which is the roster's."""

TABLES: Mapping[str, Fields] = MappingProxyType(
    {"provision": _PROVISION, "provision.binary": _BINARY, "machine": _MACHINE, "machine.network": _NETWORK}
)
"""Every table and its keys, as docs/provisioning.md has them."""

_FILLED_IN = (("node", "name"), ("node", "region"), ("node", "state_dir"), ("fleet", "voucher"), ("fleet", "roster"))
"""Keys of node.toml that follow from the machine: nobody else says them."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The machines of a fleet, in the order of the file."""

    fleet: str
    machines: tuple[Machine, ...]

    def machine(self, name: str) -> Machine:
        """Raises: MachineUnknown."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        known = [machine.name for machine in self.machines]
        raise MachineUnknown(f"there is no [[machine]] {name!r}{near(name, known)}")


def read(text: str, path: str) -> Inventory:
    """The machines that a fleet.toml describes.

    Args:
        path: of the file, for messages.

    Raises:
        InventoryInvalid: it is none, has no `[provision]`, or says something of a machine that cannot be.
    """
    if len(text.encode(errors="replace")) > INVENTORY_BYTES_MAX:
        raise InventoryInvalid(f"{path} has more than {INVENTORY_BYTES_MAX} bytes")
    try:
        top = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of 5000 digits
        raise InventoryInvalid(f"{path}: {error}") from None
    try:
        return _inventory(top)
    except Wrong as wrong:
        raise InventoryInvalid(f"{path}: {_where(wrong.keys)} {wrong.reason}") from None


def _where(keys: tuple[str, ...]) -> str:
    """`fleet` -> `fleet`; [[machine]] 'ams-2', network, mac -> [[machine]] 'ams-2': `network.mac`."""
    titles = [key for key in keys if key.startswith("[[")]
    dotted = ".".join(key for key in keys if key not in titles).replace(".[", "[")
    return ": ".join([*titles, f"`{dotted}`"] if dotted else titles)


def _inventory(top: dict[str, Any]) -> Inventory:
    head = record(_HEAD)({name: top[name] for name in _HEAD if name in top})
    fleet, regions, common = head["fleet"], head["regions"], head["provision"]
    binary = below("provision", partial(below, "binary", _binary), common["binary"])
    tables = top.get("machine")
    if not tables or not isinstance(tables, list):
        raise Wrong("is missing, or not written as [[machine]]", "machine")
    if len(tables) > MACHINE_COUNT_MAX:
        raise Wrong(f"is there {len(tables)} times: at most {MACHINE_COUNT_MAX}", "machine")
    found: dict[str, Machine] = {}
    for number, table in enumerate(tables, 1):
        where = _title(table, number)
        values = below(where, record(_MACHINE), table)
        if values["name"] in found:
            raise Wrong("is the name of another machine as well", where, "name")
        if values["region"] not in regions:
            raise Wrong(f"= {shown(values['region'])} is none of `regions`{near(values['region'], regions)}",
                        where, "region")  # fmt: skip
        found[values["name"]] = below(where, partial(_machine, fleet, binary, common), values)
    return Inventory(fleet, tuple(found.values()))


def _title(table: object, number: int) -> str:
    name = as_table(table).get("name") if isinstance(table, dict) else None
    return f"[[machine]] {shown(name)}" if isinstance(name, str) else f"[[machine]] number {number}"


def _binary(values: dict[str, Any]) -> Binary:
    if not values.get("urls") and "path" not in values:
        raise Wrong("is missing, and `path` too: one has to say where the binary is", "urls")
    urls = tuple(each.replace("{sha256}", values["sha256"]) for each in values.get("urls", ()))
    return Binary(values["sha256"], urls, values.get("path", ""))


def _machine(fleet: str, binary: Binary, common: dict[str, Any], values: dict[str, Any]) -> Machine:
    provider = values.get("provider", common.get("provider", "static"))
    if "network" in values and not PROVIDERS[provider].takes_network:
        raise Wrong(f"is for the provider static: {provider} configures it itself", "network")
    node = merged(common.get("node", {}), values.get("node", {}))
    for table, key in _FILLED_IN:
        if key in below("node", partial(below, table, as_table), node.get(table, {})):
            raise Wrong("follows from the machine: take it out", "node", table, key)
    return Machine(
        fleet=fleet,
        name=values["name"],
        region=values["region"],
        address=values["address"],
        binary=binary,
        provider=provider,
        begins=values.get("begins", False),
        ssh_keys=common.get("ssh_keys", ()),
        node=node,
        network=below("network", _network, values["network"]) if "network" in values else None,
        terraform=merged(common.get("terraform", {}), values.get("terraform", {})),
    )


def _network(values: dict[str, Any]) -> Network:
    network = Network(**values)
    if not network.addresses:
        raise Wrong("is empty", "addresses")
    if len({ip_address(gateway).version for gateway in network.gateways}) < len(network.gateways):
        raise Wrong("has two of one family", "gateways")
    return network


def of_provider(machine: Machine, provider: str) -> Machine:
    """The machine as if that provider had it: its network is the provider's then, where providers see to that."""
    network = machine.network if PROVIDERS[provider].takes_network else None
    return replace(machine, provider=provider, network=network)


def merged(usual: Table, own: Table) -> dict[str, Any]:
    """Tables key by key; everything else, also an array, as the second has it."""
    both = {key: merged(usual[key], own[key]) for key in usual.keys() & own.keys() if _are_tables(usual[key], own[key])}
    return {**usual, **own, **both}


def _are_tables(one: object, other: object) -> bool:
    return isinstance(one, Mapping) and isinstance(other, Mapping)
