"""Which prefixes a node can announce, and where its workers are asked for them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bgp.prefix import AllowList, Network
from edged.anycast.config import BgpTable, covers
from edged.anycast.probe import Target


@dataclass(frozen=True, slots=True)
class Listening:
    """Where workers listen.

    Attributes:
        host: an address, as `edged.http.bind` takes it.
    """

    host: str
    port: int
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Attributes:
        problems: why prefixes are left out, sentences.
    """

    prefixes: frozenset[Network]
    problems: tuple[str, ...]


def wanted_prefixes(table: BgpTable, allowed: AllowList) -> Wanted:
    """What a node announces while it is healthy: what its node.toml names, or all that the roster does."""
    problems = []
    found = []
    for prefix in table.prefixes or tuple(allowed):
        if prefix not in allowed:
            problems.append(f"{prefix} is not announced: the roster does not have it")
        elif not table.addresses_of(prefix):
            problems.append(f"{prefix} is not announced: `bgp.addresses` of the node.toml names no address of it")
        else:
            found.append(prefix)
    if not found and not problems:
        problems.append("nothing is announced: the roster names no prefix")
    return Wanted(frozenset(found), tuple(problems))


def targets_of(table: BgpTable, prefixes: Collection[Network], listening: Sequence[Listening]) -> tuple[Target, ...]:
    """Each address of the prefixes, at each port that clients reach it at."""
    found = [
        Target(address, each.port, each.tls)
        for prefix in sorted(prefixes, key=str)
        for address in table.addresses_of(prefix)
        for each in listening
        if covers(each.host, address)
    ]
    return tuple(dict.fromkeys(found))
