"""Places and the links between them, as a TOML file describes them, and the routes that follow.

    [place.ams]
    [place.nyc]
    [[link]]
    between = ["ams", "nyc"]
    rtt_ms = 70        # through the delay box; 0 or left out: a plain veth pair

Every link is a /31 of its own in 10.0.0.0/8, and a /127 in fd00:1::/64. Each place has an address of its own of each
family on `lo`, 10.255.0.x/32 and fd00:2::x/128, by which the others know it, whatever way a packet takes. Pure: nothing
here touches the network.
"""

from __future__ import annotations

import heapq
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

_LINKS = IPv4Address("10.0.0.0")
_PLACES = IPv4Address("10.255.0.1")
_LINKS6 = IPv6Address("fd00:1::")
_PLACES6 = IPv6Address("fd00:2::1")


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link.

    Attributes:
        place: whose it is.
        interface: its name there.
        address: of this end.
        other: address of the other end, which is the next hop.
        address6, other6: likewise, of the other family.
        neighbor: the place at the other end.
    """

    place: str
    interface: str
    address: IPv4Address
    other: IPv4Address
    address6: IPv6Address
    other6: IPv6Address
    neighbor: str


@dataclass(frozen=True, slots=True)
class Link:
    """A wire. `rtt_ms` is the delay there and back."""

    ends: tuple[End, End]
    rtt_ms: float


@dataclass(frozen=True, slots=True)
class Topology:
    """Attributes:
    addresses, addresses6: place -> the address by which others reach it.
    """

    addresses: Mapping[str, IPv4Address]
    addresses6: Mapping[str, IPv6Address]
    links: tuple[Link, ...]

    @staticmethod
    def load(path: Path) -> Topology:
        return Topology.parse(path.read_text())

    @staticmethod
    def parse(text: str) -> Topology:
        """Raises:
        ValueError: a link to a place that is not there, or a place that nothing leads to.
        """
        data = tomllib.loads(text)
        addresses = {name: _PLACES + index for index, name in enumerate(data["place"])}
        addresses6 = {name: _PLACES6 + index for index, name in enumerate(data["place"])}
        links = []
        for index, link in enumerate(data.get("link", [])):
            a, b = link["between"]
            unknown = {a, b} - set(addresses)
            if unknown or a == b:
                raise ValueError(f"link {index}: {a} and {b} are not two places")
            low, high = _LINKS + 2 * index, _LINKS + 2 * index + 1
            low6, high6 = _LINKS6 + 2 * index, _LINKS6 + 2 * index + 1
            ends = (
                End(a, f"to-{b}", low, high, low6, high6, b),
                End(b, f"to-{a}", high, low, high6, low6, a),
            )
            links.append(Link(ends, float(link.get("rtt_ms", 0))))
        topology = Topology(addresses, addresses6, tuple(links))
        for place in addresses:
            lost = set(addresses) - {place} - {target for target, _ in topology.routes(place)}
            if lost:
                raise ValueError(f"no way leads from {place} to {', '.join(sorted(lost))}")
        return topology

    def ends(self, place: str) -> Iterator[End]:
        """Of all links of a place."""
        return (end for link in self.links for end in link.ends if end.place == place)

    def routes(self, place: str) -> Iterator[tuple[str, End]]:
        """Every other place, and the end of the link by which the quickest way to it leaves."""
        for target, (_, first) in self._ways(place).items():
            if first is not None:
                yield target, first

    def rtt_ms(self, a: str, b: str) -> float:
        """There and back on the quickest way."""
        return self._ways(a)[b][0]

    def _ways(self, start: str) -> dict[str, tuple[float, End | None]]:
        """Dijkstra: place -> round trip, first end of the way."""
        found: dict[str, tuple[float, End | None]] = {}
        order = 0
        queue: list[tuple[float, int, str, End | None]] = [(0.0, order, start, None)]
        while queue:
            rtt, _, place, first = heapq.heappop(queue)
            if place in found:
                continue
            found[place] = (rtt, first)
            for link in self.links:
                for here, there in (link.ends, link.ends[::-1]):
                    if here.place == place:
                        order += 1
                        heapq.heappush(queue, (rtt + link.rtt_ms, order, there.place, first or here))
        return found
