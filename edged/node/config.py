"""What a node is told in its node.toml: see docs/node.md.

Everything is immutable and checked, and paths are absolute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edged.anycast.config import BgpTable
from edged.limits import NODE_STORAGE_BYTES
from edged.logging import Level
from edged.runtime_config.networks import NetworkName


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on; `port` may be 0 only in tests."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NodeTable:
    """`[node]`

    Attributes:
        workers: worker processes; 0 for one per core.
        key, certificate: PEM files of the node's identity.
    """

    name: str
    region: str
    state_dir: Path
    workers: int
    key: Path
    certificate: Path


@dataclass(frozen=True, slots=True)
class FleetTable:
    """`[fleet]`

    Attributes:
        roster: signed roster that is taken at each start, if it is newer than what the node has.
        voucher: file with the voucher by which the node joins, if it has not yet.
        rate_bytes_s: plain bytes of releases a second that it fetches, all together; 0 for as many as come.
    """

    listen: Listen
    roster: Path | None = None
    voucher: Path | None = None
    rate_bytes_s: int = 0


@dataclass(frozen=True, slots=True)
class HttpTable:
    """`[http]`"""

    listen: tuple[Listen, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpsTable:
    """`[https]`"""

    listen: tuple[Listen, ...] = ()
    http3: bool = False


@dataclass(frozen=True, slots=True)
class CertificateTable:
    """An entry of `[[certificate]]`: PEM chain and key for these hosts."""

    hosts: tuple[str, ...]
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """A whole node.toml.

    Attributes:
        file: where it was read from.
        admin: where the admin API listens: path of a unix socket, or `host:port`.
        storage_bytes_max: of the registry's chunks, on disk.
        limits: fields of `edged.limits.GuestLimits`, in place of edged's own.
        runtime_config: the operator's, for all apps; None for none.
        bgp: None: the node announces nothing.
        networks_allowed: that guests may reach although they are not public.
        install: where new machines are given the one file that this edged is; None for nowhere.
        lines: line of each key in the file, `fleet.roster` -> 7, for messages; not part of what it says.
    """

    file: Path
    node: NodeTable
    fleet: FleetTable
    admin: str
    http: HttpTable = field(default_factory=HttpTable)
    https: HttpsTable = field(default_factory=HttpsTable)
    certificates: tuple[CertificateTable, ...] = ()
    storage_bytes_max: int = NODE_STORAGE_BYTES
    limits: Mapping[str, float] = field(default_factory=dict)
    runtime_config: Path | None = None
    networks_allowed: tuple[NetworkName, ...] = ()
    log_level: Level = "info"
    bgp: BgpTable | None = None
    install: Listen | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def line(self, key: str) -> int:
        """The line of a key, or of what is nearest above it; 1 for what the file does not have."""
        while key:
            if key in self.lines:
                return self.lines[key]
            key = key.rpartition(".")[0]
        return 1
