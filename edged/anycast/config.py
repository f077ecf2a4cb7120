"""What `[bgp]` of a node.toml says: see docs/node.md. Everything is immutable and checked by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from types import MappingProxyType

from bgp.announcement import GRACEFUL_SHUTDOWN, NO_EXPORT, Attributes, Community, LargeCommunity
from bgp.limits import DRAIN_LINGER_S, DRAIN_SHIFT_S, HOLD_S
from bgp.peer import BGP_PORT, BfdTimes
from bgp.prefix import Address, Family, Network
from bgp.status import Level
from edged.limits import ANYCAST_PREPEND_COUNT, SPEAKER_DEADMAN_S


@dataclass(frozen=True, slots=True)
class PeerTable:
    """An entry of `[[bgp.peer]]`: a `bgp.peer.Peer` whose password is still in its file.

    Attributes:
        hold_s: None for that of `[bgp]`.
    """

    name: str
    address: Address
    asn: int
    local_address: Address
    next_hops: Mapping[Family, Address] = field(default_factory=lambda: MappingProxyType({}))
    port: int = BGP_PORT
    password_file: Path | None = None
    ttl_security: bool = False
    multihop: int = 1
    interface: str = ""
    hold_s: int | None = None
    bfd: BfdTimes | None = None


@dataclass(frozen=True, slots=True)
class MetadataTable:
    """`[bgp.metadata]`: sessions as the provider of the machine describes them.

    Attributes:
        source: URL or path; "" for the provider's own service.
        own_routes: routes to its routers are set by the node, not only looked at.
        password_file: for sessions whose password the metadata does not say.
    """

    provider: str
    source: str = ""
    own_routes: bool = False
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class DrainTable:
    """`[bgp.drain]`

    Attributes:
        shift_s: between the begin, when any other way is preferred, and the withdrawal.
        linger_s: at most, for connections that go on after it.
    """

    shift_s: float = DRAIN_SHIFT_S
    linger_s: float = DRAIN_LINGER_S


@dataclass(frozen=True, slots=True)
class BgpTable:
    """`[bgp]`

    Attributes:
        asn: ours; None for what the provider's metadata says.
        router_id: None for the first local IPv4 address of a session.
        prefixes: that this node announces; empty for all that the roster names.
        addresses: that it serves; empty for those of prefixes of one address.
        own_addresses: addresses are put on `lo` where they are missing.
    """

    asn: int | None = None
    router_id: IPv4Address | None = None
    peers: tuple[PeerTable, ...] = ()
    metadata: MetadataTable | None = None
    prefixes: tuple[Network, ...] = ()
    addresses: tuple[Address, ...] = ()
    own_addresses: bool = False
    hold_s: int = HOLD_S
    deadman_s: float = SPEAKER_DEADMAN_S
    med: int | None = None
    communities: tuple[Community, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()
    no_export: bool = False
    drain: DrainTable = DrainTable()

    def addresses_of(self, prefix: Network) -> tuple[Address, ...]:
        """Those of a prefix that this node serves: what `addresses` has of it, else its only one."""
        named = tuple(address for address in self.addresses if address in prefix)
        if named or prefix.num_addresses > 1:
            return named
        return (prefix.network_address,)

    def attributes(self, level: Level) -> Attributes:
        """Of an announcement at a level that is announced."""
        communities = (*self.communities, *((NO_EXPORT,) if self.no_export else ()))
        if level == "plain":
            return Attributes(self.med, communities, self.large_communities)
        assert level == "last-resort", "what is withdrawn has no attributes"
        shunned = (*communities, GRACEFUL_SHUTDOWN)
        return Attributes(self.med, shunned, self.large_communities, ANYCAST_PREPEND_COUNT)


def covers(listen: str, address: Address) -> bool:
    """Whether who listens on a host takes connections to an address: `::` takes both families.

    Args:
        listen: as `edged.http.bind` takes it; a name covers nothing that is sure.
    """
    if listen in ("", "::"):
        return True
    if listen == "0.0.0.0":  # noqa: S104 - compared, not bound
        return address.version == 4
    try:
        return ip_network(listen).network_address == address
    except ValueError:
        return False
