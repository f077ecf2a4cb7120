"""Every file that a machine is given, but the voucher: what stands in cloud-init/, and what follows from the machine.

cloud-init/* ── places filled ──┐
Machine ── node.toml, binary.env ├─> MachineFile... ── their digests ──> machine.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import tomli_w

from provisioning import paths, templates
from provisioning.inventory import merged
from provisioning.machine import Machine, MachineFile
from provisioning.places import places_of
from provisioning.providers.provider import PROVIDERS

_VERSION = 1
_READABLE, _RUNNABLE = "0644", "0755"

TEMPLATES: Mapping[str, tuple[PurePosixPath, str]] = MappingProxyType(
    {
        "edged.service": (paths.UNITS / "edged.service", _READABLE),
        "edged-fetch.service": (paths.UNITS / "edged-fetch.service", _READABLE),
        "edged-firewall.service": (paths.UNITS / "edged-firewall.service", _READABLE),
        "edged-fetch": (paths.FETCH, _RUNNABLE),
        "not-here": (paths.NOT_HERE, _RUNNABLE),
        "firewall.nft": (paths.FIREWALL, _READABLE),
        "sysctl.conf": (paths.SYSCTL, _READABLE),
    }
)
"""File of cloud-init/ -> where it is on a machine, and its mode."""


def machine_files(machine: Machine) -> tuple[MachineFile, ...]:
    """All of them, machine.json last.

    Raises:
        TemplateInvalid
    """
    node = node_document(machine)
    values = places_of(machine, node)
    files = [_of_template(name, values) for name in TEMPLATES]
    files.append(MachineFile(str(paths.CONFIG), node_toml(machine)))
    files.append(MachineFile(str(paths.BINARY_ENV), _binary_env(machine)))
    return (*files, MachineFile(str(paths.MACHINE), _machine_json(machine, files), is_packed=True))


def _of_template(name: str, values: Mapping[str, str]) -> MachineFile:
    path, mode = TEMPLATES[name]
    text = templates.bare(templates.read(name))
    return MachineFile(str(path), templates.fill(name, text, values), mode, is_packed=not templates.places(text))


def node_document(machine: Machine) -> dict[str, Any]:
    """The tables of the node.toml: those of the operator, and what follows from the machine and its provider."""
    fleet = {"roster": str(paths.ROSTER)} if machine.begins else {"voucher": str(paths.VOUCHER)}
    own = {
        "node": {"name": machine.name, "region": machine.region, "state_dir": str(paths.STATE)},
        "fleet": fleet,
    }
    usual: dict[str, Any] = {"fleet": {"listen": _listen(machine.address)}}
    bgp = machine.node.get("bgp")
    if isinstance(bgp, Mapping):
        usual["bgp"] = {"own_addresses": True}
        if PROVIDERS[machine.provider].tells_routers and "peer" not in bgp:
            usual["bgp"]["metadata"] = {"provider": machine.provider, "own_routes": True}
    whole = merged(merged(usual, machine.node), own)
    return {name: whole[name] for name in (*own, *(name for name in whole if name not in own))}


def node_toml(machine: Machine) -> str:
    """The node.toml. Whether edged can make use of it, edged says."""
    return f"# Written for {machine.name} of {machine.fleet}.\n{tomli_w.dumps(node_document(machine))}"


def _listen(address: str) -> str:
    """All interfaces, of both families unless others know the machine by IPv4 only."""
    host, _, port = address.rpartition(":")
    return f"0.0.0.0:{port}" if host.replace(".", "").isdigit() else f"[::]:{port}"


def _binary_env(machine: Machine) -> str:
    binary = machine.binary
    return f"EDGED_SHA256={binary.sha256}\nEDGED_URLS={' '.join(binary.urls)}\nEDGED_PATH={binary.path}\n"


def _machine_json(machine: Machine, files: list[MachineFile]) -> str:
    binary = machine.binary
    document = {
        "v": _VERSION,
        "fleet": machine.fleet,
        "machine": machine.name,
        "region": machine.region,
        "provider": machine.provider,
        "binary": {"sha256": binary.sha256, "urls": list(binary.urls), "path": binary.path or None},
        "files": {
            file.path: {"sha256": sha256(file.content.encode()).hexdigest(), "mode": file.mode, "owner": file.owner}
            for file in files
        },
    }
    return f"{json.dumps(document, indent=1, ensure_ascii=False)}\n"
