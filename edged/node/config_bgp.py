"""The grammar of `[bgp]` in a node.toml, and the `BgpTable` that it says. See docs/node.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from bgp.announcement import parse_community, parse_large_community
from bgp.errors import BgpError
from bgp.limits import (
    COMMUNITY_COUNT_MAX,
    DEADMAN_S_HIGHEST,
    HOLD_S_HIGHEST,
    HOLD_S_LOWEST,
    PEER_COUNT_MAX,
    PREFIX_COUNT_MAX,
)
from bgp.metadata.provider import PROVIDERS
from bgp.peer import BfdTimes
from bgp.prefix import Address, family, parse_prefix
from edged.anycast.config import BgpTable, DrainTable, MetadataTable, PeerTable, covers
from edged.limits import BGP_ADDRESS_COUNT_MAX, DRAIN_LINGER_S_HIGHEST, DRAIN_SHIFT_S_HIGHEST
from edged.manifest.document import Node
from edged.manifest.fields import (
    Field,
    Parse,
    array,
    boolean,
    either,
    integer,
    items_of,
    line,
    record,
    some,
    string,
    table_of,
)
from edged.manifest.problems import Problems, nearest, shown

T = TypeVar("T")

_ASN = integer(1, 2**32 - 1)
_HOLD = integer(HOLD_S_LOWEST, HOLD_S_HIGHEST)
_INTERFACE_CHARS_MAX = 15  # IFNAMSIZ


def tables(path: Callable[[Node], Path]) -> dict[str, dict[str, Field]]:
    """`bgp` and the tables below it.

    Args:
        path: parses a path.
    """
    peer: dict[str, Field] = {
        "name": Field(line),
        "address": Field(_address, required=True),
        "asn": Field(_ASN, required=True),
        "local_address": Field(_address, required=True),
        "next_hop": Field(_address),
        "port": Field(integer(1, 65535)),
        "password_file": Field(path),
        "ttl_security": Field(boolean),
        "multihop": Field(integer(1, 255)),
        "interface": Field(_interface),
        "hold_s": Field(_HOLD),
        "bfd": Field(either(boolean=_bfd_usual, table=_bfd)),
    }
    metadata: dict[str, Field] = {
        "provider": Field(_provider, required=True),
        "source": Field(lambda node: _source(node, path)),
        "own_routes": Field(boolean),
        "password_file": Field(path),
    }
    drain: dict[str, Field] = {
        "shift_s": Field(_seconds(0, DRAIN_SHIFT_S_HIGHEST)),
        "linger_s": Field(_seconds(0, DRAIN_LINGER_S_HIGHEST)),
    }
    bgp: dict[str, Field] = {
        "asn": Field(_ASN),
        "router_id": Field(_router_id),
        "hold_s": Field(_HOLD),
        "deadman_s": Field(_seconds(0.5, DEADMAN_S_HIGHEST)),
        "prefixes": Field(some(_at_most(PREFIX_COUNT_MAX, array(_by(parse_prefix))))),
        "addresses": Field(some(_at_most(BGP_ADDRESS_COUNT_MAX, array(_address)))),
        "own_addresses": Field(boolean),
        "med": Field(integer(0, 2**32 - 1)),
        # One is left for each that edged adds.
        "communities": Field(_at_most(COMMUNITY_COUNT_MAX - 2, array(_by(parse_community)))),
        "large_communities": Field(_at_most(COMMUNITY_COUNT_MAX, array(_by(parse_large_community)))),
        "no_export": Field(boolean),
        "peer": Field(some(_at_most(PEER_COUNT_MAX, array(record(peer))))),
        "metadata": Field(record(metadata)),
        "drain": Field(record(drain)),
    }
    return {"bgp": bgp, "bgp.peer": peer, "bgp.metadata": metadata, "bgp.drain": drain}


def check_bgp(root: Node, values: Mapping[str, Any], problems: Problems) -> None:
    """What no single key of `[bgp]` says, and whether somebody listens where it leads clients to.

    Args:
        values: of the whole file.
    """
    bgp = values.get("bgp")
    if bgp is None:
        return
    node = table_of(root)["bgp"]
    keys = table_of(node)
    if ("peer" in bgp) == ("metadata" in bgp):
        problems.add(node.line, "[bgp] needs [[bgp.peer]] or [bgp.metadata], and not both")
    if "peer" in bgp and "asn" not in bgp:
        problems.add(node.line, "[bgp] needs `asn`, which only a provider's metadata may say instead")
    if "peer" in bgp:
        _check_peers(bgp, node, items_of(keys["peer"]), problems)
    prefixes, addresses = bgp.get("prefixes", ()), bgp.get("addresses", ())
    served = BgpTable(addresses=addresses)
    for prefix, item in zip(prefixes, items_of(keys["prefixes"]) if prefixes else (), strict=True):
        if not served.addresses_of(prefix):
            problems.add(item.line, f"{item.label}: {prefix} has many addresses; name those served in `bgp.addresses`")
        if prefixes.count(prefix) > 1:
            problems.add(item.line, f"{item.label}: {prefix} is there twice")
    hosts = [each.host for table in ("http", "https") for each in values.get(table, {}).get("listen", ())]
    for address, item in zip(addresses, items_of(keys["addresses"]) if addresses else (), strict=True):
        if prefixes and not any(address in prefix for prefix in prefixes):
            problems.add(item.line, f"{item.label}: {address} is in none of `bgp.prefixes`")
        _check_listened(address, hosts, item, problems)
    for prefix, item in zip(prefixes, items_of(keys["prefixes"]) if prefixes else (), strict=True):
        for address in served.addresses_of(prefix):
            if address not in addresses:
                _check_listened(address, hosts, item, problems)


def _check_peers(bgp: Mapping[str, Any], node: Node, items: list[Node], problems: Problems) -> None:
    seen: dict[str, int] = {}
    for peer, item in zip(bgp["peer"], items, strict=True):
        name = peer.get("name", str(peer["address"]))
        if name in seen:
            problems.add(item.line, f"{item.label}: a peer is called {shown(name)} already, on line {seen[name]}")
        seen.setdefault(name, item.line)
        if peer["address"].version != peer["local_address"].version:
            problems.add(item.line, f"{item.label}: `address` and `local_address` are of different families")
        if peer.get("ttl_security") and peer.get("multihop", 1) > 1:
            problems.add(item.line, f"{item.label}: `ttl_security` is for direct neighbours, not with `multihop`")
        if "next_hop" in peer and peer["next_hop"].version == peer["local_address"].version:
            text = "`next_hop` is for the family that `local_address` is not of"
            problems.add(item.line, f"{item.label}: {text}")
    if "router_id" not in bgp and not any(peer["local_address"].version == 4 for peer in bgp["peer"]):
        problems.add(node.line, "[bgp] needs `router_id` where no `local_address` is IPv4")


def _check_listened(address: Address, hosts: list[str], item: Node, problems: Problems) -> None:
    if not any(covers(host, address) for host in hosts):
        problems.add(
            item.line, f"{item.label}: nothing listens on {address}. Add it to `http.listen` or `https.listen`"
        )


def bgp_table(values: Mapping[str, Any]) -> BgpTable:
    """Of the values of `[bgp]`."""
    known = dict(values)
    peers = tuple(_peer(each) for each in known.pop("peer", ()))
    metadata, drain = known.pop("metadata", None), known.pop("drain", {})
    return BgpTable(
        **known,
        peers=peers,
        metadata=None if metadata is None else MetadataTable(**metadata),
        drain=DrainTable(**drain),
    )


def _peer(values: Mapping[str, Any]) -> PeerTable:
    known = {"name": str(values["address"]), **values}
    next_hop = known.pop("next_hop", None)
    hops = {} if next_hop is None else {family(next_hop): next_hop}
    return PeerTable(**known, next_hops=MappingProxyType(hops))


# --- values ---


def _by(parse: Callable[[object], T]) -> Parse[T]:
    """By a parser of `bgp`, whose message becomes one about the key."""

    def parse_text(node: Node) -> T:
        try:
            return parse(string(node))
        except BgpError as error:
            raise node.invalid(f"= {error.message}. {error.remedy}") from None

    return parse_text


def _at_most(count_max: int, parse: Parse[tuple[T, ...]]) -> Parse[tuple[T, ...]]:
    def parse_few(node: Node) -> tuple[T, ...]:
        if len(items_of(node)) > count_max:
            raise node.invalid(f"has {len(items_of(node))} items: at most {count_max}")
        return parse(node)

    return parse_few


def _address(node: Node) -> Address:
    text = line(node)
    try:
        address = ip_address(text)
    except ValueError:
        raise node.invalid(f"= {shown(text)} is no address: write 192.0.2.1 or 2001:db8::1") from None
    if address.is_unspecified or address.is_multicast or getattr(address, "scope_id", None):
        raise node.invalid(f"= {shown(text)} is the address of no machine")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise node.invalid(f"= {shown(text)} is an IPv4 address in the form of IPv6: write {address.ipv4_mapped}")
    return address


def _router_id(node: Node) -> IPv4Address:
    address = _address(node)
    if not isinstance(address, IPv4Address):
        raise node.invalid("has the form of an IPv4 address")
    return address


def _interface(node: Node) -> str:
    text = line(node)
    if len(text) > _INTERFACE_CHARS_MAX or set(text) & set("/ ") or not text.isascii():
        raise node.invalid(f"= {shown(text)} is no name of an interface")
    return text


def _provider(node: Node) -> str:
    text = string(node)
    if text not in PROVIDERS:
        raise node.invalid(f"= {shown(text)} is no provider{nearest(text, PROVIDERS) or ': ' + ', '.join(PROVIDERS)}")
    return text


def _source(node: Node, path: Callable[[Node], Path]) -> str:
    """A URL as it is, a path as an absolute one."""
    text = line(node)
    return text if text.startswith(("http://", "https://")) else str(path(node))


def _seconds(lowest: float, highest: float) -> Parse[float]:
    def parse(node: Node) -> float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise node.invalid(f"must be a number of seconds, not {node.kind}")
        if not lowest <= value <= highest:  # NaN is within nothing
            raise node.invalid(f"must be between {lowest:g} and {highest:g}")
        return float(value)

    return parse


_BFD = record({"interval_ms": Field(integer(10, 10_000)), "multiplier": Field(integer(2, 50))})


def _bfd(node: Node) -> BfdTimes:
    return replace(BfdTimes(), **_BFD(node))


def _bfd_usual(node: Node) -> BfdTimes | None:
    return BfdTimes() if node.value else None
