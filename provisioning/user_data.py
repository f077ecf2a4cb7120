"""What cloud-init is given: `#cloud-config`, and a NoCloud seed's meta-data and network-config.

Source: cloud-init's reference of modules (users, ssh, write_files, packages, runcmd), of the datasource NoCloud, and of
network configuration version 2. YAML is written by the library that cloud-init reads it with.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from hashlib import sha256
from ipaddress import ip_address, ip_interface
from typing import Any

import yaml

from provisioning import paths
from provisioning.errors import UserDataTooLarge
from provisioning.limits import USER_DATA_BYTES_MAX
from provisioning.machine import Machine, MachineFile, Network
from provisioning.providers.provider import PROVIDERS

_HEADER = """\
#cloud-config
# {machine} of the fleet {fleet}: with this, a machine becomes the node by itself at its first boot.
{note}"""
_JOINS = "# The voucher in it lets one machine in: keep this file as a password until it is used, or has expired.\n"
_BEGINS = f"# It begins the fleet: it waits until the operator puts the roster to {paths.ROSTER}.\n"

_COMMANDS = (
    "systemctl daemon-reload",
    "systemctl restart systemd-sysctl.service",
    # Not waited for: they try until they succeed, and the boot is over without them.
    "systemctl enable --now --no-block edged-firewall.service edged-fetch.service edged.service",
)

_EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
"""`default` is not known to every renderer of cloud-init."""


def user_data(machine: Machine, files: Sequence[MachineFile], ssh_keys: Sequence[str]) -> str:
    """
    Args:
        ssh_keys: public keys, as lines; may log in as the user that the image makes for that.

    Raises:
        UserDataTooLarge
    """
    # Without a name server nobody else knows the machine's own name: sudo waits for one, and says so each time.
    document: dict[str, Any] = {"manage_etc_hosts": "localhost", "users": ["default", _user()]}
    if ssh_keys:
        document["ssh_authorized_keys"] = list(ssh_keys)
    if packages := PROVIDERS[machine.provider].packages:
        document["packages"] = list(packages)
    document["write_files"] = [_file(each) for each in files]
    document["runcmd"] = list(_COMMANDS)
    note = _BEGINS if machine.begins else _JOINS
    text = _HEADER.format(machine=machine.name, fleet=machine.fleet, note=note) + _yaml(document)
    size = len(text.encode())
    if size > USER_DATA_BYTES_MAX:
        raise UserDataTooLarge(
            f"the user-data of {machine.name} has {size} bytes: providers take {USER_DATA_BYTES_MAX} at most"
        )
    return text


def meta_data(machine: Machine, text: str) -> str:
    """Of a seed with this user-data. Another user-data is another instance: cloud-init acts on it at the next boot."""
    digest = sha256(text.encode()).hexdigest()[:12]
    return _yaml({"instance-id": f"{machine.fleet}-{machine.name}-{digest}", "local-hostname": machine.name})


def network_config(network: Network) -> str:
    """Of one interface, found by its MAC."""
    interface: dict[str, Any] = {
        "match": {"macaddress": network.mac},
        "dhcp4": False,
        "dhcp6": False,
        "addresses": list(network.addresses),
    }
    nets = [ip_interface(address).network for address in network.addresses]
    for gateway in map(ip_address, network.gateways):
        is_near = gateway.is_link_local or any(gateway in net for net in nets)
        if gateway.version == 6 and is_near:
            # As a route to ::/0, cloud-init 22.4 would make it one to ::/64 where it does not write for netplan.
            interface["gateway6"] = str(gateway)
            continue
        route: dict[str, Any] = {"to": _EVERYWHERE[gateway.version], "via": str(gateway)}
        if not is_near:
            route["on-link"] = True  # as where a machine has a single address, and its gateway another
        interface.setdefault("routes", []).append(route)
    if network.nameservers:
        interface["nameservers"] = {"addresses": list(network.nameservers)}
    return _yaml({"version": 2, "ethernets": {"main": interface}})


def _user() -> dict[str, Any]:
    return {
        "name": paths.USER,
        "gecos": "edged node",
        "system": True,
        "homedir": str(paths.STATE),
        "no_create_home": True,  # the unit makes it, with its mode
        "shell": "/usr/sbin/nologin",
        "lock_passwd": True,
    }


def _file(file: MachineFile) -> dict[str, Any]:
    found: dict[str, Any] = {"path": file.path, "permissions": file.mode}
    if file.owner != "root:root":
        # cloud-init writes files before it makes users, but for those that may wait.
        found |= {"owner": file.owner, "defer": True}
    if file.is_packed:
        # The gzip format (wbits 31), with a header that is the same for every version of Python.
        packed = zlib.compress(file.content.encode(), level=9, wbits=31)
        return found | {"encoding": "gz+b64", "content": base64.b64encode(packed).decode()}
    return found | {"content": file.content}


class _Dumper(yaml.SafeDumper):
    """Texts of many lines as they are, to be read by people."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _yaml(document: dict[str, Any]) -> str:
    return str(
        yaml.dump(
            document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=float("inf")
        )
    )
