"""A machine that is to become a node, as a fleet.toml describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Binary:
    """Where a machine gets its edged from.

    Attributes:
        sha256: of its bytes, 64 lower-case hexadecimal digits. Nothing else is ever run.
        urls: asked one after the other.
        path: on the machine, looked at before them; "" for none.
    """

    sha256: str
    urls: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """The one interface of a machine whose network nobody else configures.

    Attributes:
        mac: lower case, with colons.
        addresses: with their prefix length.
        gateways: at most one of a family.
    """

    mac: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """Attributes:
    name: of the machine, and of the node that it becomes.
    address: host:port where other nodes will reach it.
    provider: a name of `PROVIDERS`.
    begins: it begins a fleet: it has no voucher, and waits until it is given the roster.
    ssh_keys: files with public keys, relative to the fleet.toml.
    node: tables of node.toml, as written; `files.node_toml` adds what follows from the rest.
    terraform: arguments of the provider's resource, as written.
    """

    fleet: str
    name: str
    region: str
    address: str
    binary: Binary
    provider: str = "static"
    begins: bool = False
    ssh_keys: tuple[str, ...] = ()
    node: Table = field(default_factory=dict)
    network: Network | None = None
    terraform: Table = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MachineFile:
    """A file of a machine.

    Attributes:
        path: absolute.
        mode: four octal digits.
        owner: user:group.
        is_packed: it stands in the user-data compressed, since that has no room for it: what is the same on all
            machines, and what only programs read. What is this machine's own can be read there.
    """

    path: str
    content: str = field(repr=False)
    mode: str = "0644"
    owner: str = "root:root"
    is_packed: bool = False


@dataclass(frozen=True, slots=True)
class Seed:
    """What a machine is given at its first boot: the files of a NoCloud seed.

    Attributes:
        user_data: holds the voucher, until it is used.
        network_config: None where the provider configures the network.
    """

    user_data: str = field(repr=False)
    meta_data: str
    network_config: str | None
