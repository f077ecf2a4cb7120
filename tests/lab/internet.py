"""An internet on one machine, as a TOML file describes it: places and links as in `topology`, and who speaks BGP there.

    [anycast]
    host = "www.anycast.example"    # every place knows it, as the service
    prefixes = ["203.0.113.10/32", "2001:db8:a::10/128"]
    asn = 65200                     # of the nodes
    hold_s = 9
    bfd = { interval_ms = 100, multiplier = 3 }
    [place.ams]
    asn = 65101                     # a router: every link to another router, and to a node, is a session
    router = "bird"                 # or "frr"
    [place.ams-1]
    region = "ams"                  # a node
    [place.edi-home]
    client = true

Pure: nothing here touches the network.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from bgp.peer import BfdTimes
from bgp.prefix import Network, parse_prefix
from tests.lab.topology import End, Topology

Kind = Literal["bird", "frr"]


@dataclass(frozen=True, slots=True)
class Router:
    """Attributes:
    password: of TCP-MD5, for sessions with nodes; "" for none.
    ttl_security: GTSM on sessions with nodes.
    """

    place: str
    asn: int
    kind: Kind
    password: str = ""
    ttl_security: bool = False


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A session of a router.

    Attributes:
        name: of the place at the other end.
        end: our end of the link.
        node: the other is a node, and no router.
    """

    name: str
    asn: int
    end: End
    node: bool


@dataclass(frozen=True, slots=True)
class Internet:
    """Attributes:
    asn, hold_s, bfd: of sessions with nodes; None for no BFD.
    graceful_shutdown: routers take that community as the lowest preference (RFC 8326).
    merge_paths: routers spread flows over equal paths.
    nodes: place -> region.
    """

    topology: Topology
    host: str
    prefixes: tuple[Network, ...]
    asn: int
    hold_s: int
    bfd: BfdTimes | None
    graceful_shutdown: bool
    merge_paths: bool
    routers: Mapping[str, Router]
    nodes: Mapping[str, str]
    clients: tuple[str, ...]

    @staticmethod
    def load(path: Path) -> Internet:
        return Internet.parse(path.read_text())

    @staticmethod
    def parse(text: str) -> Internet:
        """Raises:
        ValueError: a place that is nothing or two things, or a router of a kind that is not known.
        """
        data = tomllib.loads(text)
        routers: dict[str, Router] = {}
        nodes: dict[str, str] = {}
        clients = []
        for place, table in data["place"].items():
            if len({"router", "region", "client"} & set(table)) != 1:
                raise ValueError(f"{place} is to be one of a router, a node (`region`) and a client")
            if "router" in table:
                if table["router"] not in get_args(Kind):
                    raise ValueError(f"{place}: {table['router']} is no router that is known here")
                password, security = table.get("password", ""), table.get("ttl_security", False)
                routers[place] = Router(place, table["asn"], table["router"], password, security)
            elif "region" in table:
                nodes[place] = table["region"]
            else:
                clients.append(place)
        anycast = data["anycast"]
        honoured = anycast.get("graceful_shutdown", True)
        if not honoured and any(router.kind == "frr" for router in routers.values()):
            raise ValueError("FRR takes GRACEFUL_SHUTDOWN as the lowest preference whatever it is told")
        bfd = anycast.get("bfd")
        return Internet(
            topology=Topology.parse(text),
            host=anycast["host"],
            prefixes=tuple(map(parse_prefix, anycast["prefixes"])),
            asn=anycast["asn"],
            hold_s=anycast.get("hold_s", 9),
            bfd=None if bfd is None else BfdTimes(**bfd),
            graceful_shutdown=honoured,
            merge_paths=anycast.get("merge_paths", False),
            routers=routers,
            nodes=nodes,
            clients=tuple(clients),
        )

    def but(self, *, hold_s: int | None = None, bfd: BfdTimes | None = None) -> Internet:
        """The same with other times of sessions with nodes."""
        return replace(self, hold_s=self.hold_s if hold_s is None else hold_s, bfd=bfd or self.bfd)

    def neighbors(self, router: str) -> tuple[Neighbor, ...]:
        """All sessions of a router."""
        found = []
        for end in self.topology.ends(router):
            if end.neighbor in self.routers:
                found.append(Neighbor(end.neighbor, self.routers[end.neighbor].asn, end, node=False))
            elif end.neighbor in self.nodes:
                found.append(Neighbor(end.neighbor, self.asn, end, node=True))
        return tuple(found)

    def node_toml(self, node: str, secrets: Path) -> str:
        """`[bgp]` of a node: a peer for each router that it has a link to.

        Args:
            secrets: folder of the routers' passwords, each in a file of the router's name.
        """
        text = f'[bgp]\nasn = {self.asn}\nrouter_id = "{self.topology.addresses[node]}"\nhold_s = {self.hold_s}\n'
        for end in self.topology.ends(node):
            router = self.routers[end.neighbor]
            text += (
                f'[[bgp.peer]]\nname = "{router.place}"\naddress = "{end.other}"\nasn = {router.asn}\n'
                f'local_address = "{end.address}"\nnext_hop = "{end.address6}"\n'
            )
            if router.password:
                text += f'password_file = "{secrets / router.place}"\n'
            if router.ttl_security:
                text += "ttl_security = true\n"
            if self.bfd is not None:
                text += f"bfd = {{ interval_ms = {self.bfd.interval_ms}, multiplier = {self.bfd.multiplier} }}\n"
        return text
