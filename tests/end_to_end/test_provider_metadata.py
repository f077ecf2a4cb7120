"""A machine at Equinix, and one at Vultr: a real node learns its sessions from the provider's metadata, between real
routers. Metadata that is late, missing or malformed, a password that is not there yet: the node serves, announces
nothing, says why, and heals by itself. A restart finds all as it was; what is taken away by hand comes back.

                       c
                       │
    isp ───────────── rack ────────────── far
      └───── n1 ───────┘
     default route    its gateway to the routers of its provider, one there and one behind it, each by its own address:
                      static routes, which the node sets
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bgp.prefix import parse_prefix
from tests import metadata_server
from tests.anycast_net import PORT, AnycastNet, anycast_internet
from tests.edged_command import edged_command
from tests.fleets import Event
from tests.lab.anycast import WAIT_S, may_run, wait
from tests.lab.internet import Internet
from tests.metadata_server import EQUINIX_PATH, VULTR_ADDRESS, Controls

PREFIXES = ("203.0.113.10/32", "2001:db8:a::10/128")
NODE, RACK, FAR, ISP, CLIENT = "n1", "rack", "far", "isp", "c"
ASN = 65000
INTERNET = """
[anycast]
host = "www.anycast.example"
prefixes = ["203.0.113.10/32", "2001:db8:a::10/128"]
asn = 65000
[place.isp]
asn = 65101
router = "bird"
[place.rack]
asn = 65102
router = "bird"
[place.far]
asn = 65103
router = "bird"
[place.n1]
region = "ams"
[place.c]
client = true
[[link]]
between = ["n1", "isp"]
rtt_ms = 0.2
[[link]]
between = ["n1", "rack"]
rtt_ms = 0.2
[[link]]
between = ["rack", "far"]
rtt_ms = 0.2
[[link]]
between = ["isp", "rack"]
rtt_ms = 1
[[link]]
between = ["c", "rack"]
rtt_ms = 2
"""
PASSWORD = "of-the-rack 1"
VULTR_ROUTERS = {4: VULTR_ADDRESS, 6: "2001:19f0:ffff::1"}


@dataclass(frozen=True)
class Session:
    """One of a provider's router: its name in BIRD, and where it is."""

    name: str
    place: str
    router: str
    version: int

    @property
    def prefix(self) -> str:
        return PREFIXES[0 if self.version == 4 else 1]


EQUINIX = (
    Session("equinix_v4_1", RACK, "169.254.255.1", 4),
    Session("equinix_v4_2", FAR, "169.254.255.2", 4),
    Session("equinix_v6_1", RACK, "fc00::e", 6),
    Session("equinix_v6_2", FAR, "fc00::f", 6),
)
VULTR = (
    Session("vultr_v4", RACK, VULTR_ADDRESS, 4),
    Session("vultr_v6", RACK, VULTR_ROUTERS[6], 6),
)

pytestmark = pytest.mark.skipif(bool(may_run()), reason=may_run() or "-")


@dataclass(frozen=True)
class Machine:
    """The node where its provider has put it.

    Attributes:
        local, gateway: by family, of the link that sessions are spoken over.
        metadata: steers the provider's service.
    """

    net: AnycastNet
    local: dict[int, str]
    gateway: dict[int, str]
    metadata: Controls

    def configure(self, metadata: str) -> None:
        """Start it with `[bgp.metadata]`; what the lab gave it before is taken away."""
        node = self.net.fleet[NODE]
        if node.process is not None:
            node.stop()
        for prefix in PREFIXES:
            self.net.lab.run(NODE, ["ip", "address", "del", prefix, "dev", "lo"], check=False)
        for network in ("169.254.0.0/16", "fc00::/64", "2001:19f0:ffff::/48"):
            family = "-6" if ":" in network else "-4"
            self.net.lab.run(NODE, ["ip", family, "route", "flush", "root", network])
        text = node.config.read_text().partition("[bgp]\n")[0]
        node.config.write_text(f"{text}[bgp]\nown_addresses = true\n[bgp.metadata]\n{metadata}")
        node.start()

    def wait_failure(self, code: str, message: str, *, since: int) -> None:
        """Until its log, `edged status` and `edged doctor` have it; it serves meanwhile, and no router knows it."""
        node = self.net.fleet[NODE]
        node.wait_for(
            lambda each: (
                each.get("event") == "anycast.no-sessions" and each["code"] == code and message in each["message"]
            ),
            since=since,
        )
        status = self.net.fleet.wait_status(
            lambda status: any(f"[{code}]" in each["text"] and message in each["text"] for each in status["problems"])
        )
        (of,) = (each for each in status["nodes"] if each["name"] == NODE)
        assert (of["state"], of["anycast"]["speaker"]["state"], of["anycast"]["peers"]) == ("up", "starting", [])
        url = f"http://{node.host}:{PORT}/"
        assert (
            self.net.lab.run(CLIENT, ["curl", "-s", "--max-time", "10", "-H", f"host: {self.net.host}", url]) == "ams"
        )
        doctor = self.net.lab.run(NODE, edged_command("doctor", "--config", str(node.config), "--json"), check=False)
        assert message in doctor
        for place in (RACK, FAR):
            assert [self.net.lab.announced(place, prefix) for prefix in PREFIXES] == [(), ()]

    def wait_announced(self, sessions: Sequence[Session]) -> Event:
        """Until sessions are up at both ends, routers have what they are to have, and clients are answered."""
        peers = {session.name.replace("_", "-") for session in sessions}

        def is_up(status: Event) -> bool:
            (of,) = (each for each in status["nodes"] if each["name"] == NODE)
            found = of["anycast"]["peers"] if of["anycast"] else []
            return {each["name"] for each in found} == peers and all(each["state"] == "established" for each in found)

        status = self.net.fleet.wait_status(is_up)
        for session in sessions:
            wait(
                lambda s=session: any(seen.by == s.name for seen in self.net.lab.announced(s.place, s.prefix)),  # type: ignore[misc]
                WAIT_S,
                f"no {session.prefix} by {session.name}",
            )
        self.net.wait_answer(CLIENT, "ams")
        self.net.wait_answer(CLIENT, "ams", v6=True)
        return status

    def settings(self) -> tuple[set[str], list[Any], list[Any]]:
        """Addresses on `lo`, and routes of both families."""
        shown = self._json("address", "show", "dev", "lo")
        addresses = {f"{each['local']}/{each['prefixlen']}" for entry in shown for each in entry["addr_info"]}
        v4, v6 = self._json("-4", "route"), self._json("-6", "route")
        return addresses, v4, sorted(v6, key=json.dumps)

    def routes(self) -> set[tuple[str, str]]:
        """Routes that somebody set: where to, and by which gateway."""
        shown = [
            *self._json("-4", "route", "show", "proto", "static"),
            *self._json("-6", "route", "show", "proto", "static"),
        ]
        return {(each["dst"], each["gateway"]) for each in shown}

    def take_away(self) -> None:
        """Addresses and routes, by hand."""
        for prefix in PREFIXES:
            self.net.lab.remove_address(NODE, prefix)
        for to, gateway in self.routes():
            self.net.lab.run(NODE, ["ip", "route", "del", to, "via", gateway])

    def _json(self, *arguments: str) -> list[Any]:
        return list(json.loads(self.net.lab.run(NODE, ["ip", "-json", *arguments]) or "[]"))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnycastNet]:
    with anycast_internet(tmp_path_factory.mktemp("net"), Internet.parse(INTERNET), bgp=False) as net:
        to_far = next(end for end in net.internet.topology.ends(RACK) if end.neighbor == FAR)
        for session in (*EQUINIX, *VULTR):
            net.lab.add_address(session.place, f"{session.router}/{32 if session.version == 4 else 128}")
            if session.place == FAR:
                hop = to_far.other if session.version == 4 else to_far.other6
                net.lab.run(RACK, ["ip", "route", "add", session.router, "via", str(hop)])
        yield net


@pytest.fixture
def machine(net: AnycastNet, tmp_path: Path) -> Machine:
    end = next(end for end in net.internet.topology.ends(NODE) if end.neighbor == RACK)
    local = {4: str(end.address), 6: str(end.address6)}
    return Machine(net, local, {4: str(end.other), 6: str(end.other6)}, Controls(tmp_path / "metadata"))


def test_equinix(machine: Machine) -> None:
    """Two routers of each family, with a password that the metadata says; refused, missing, malformed, then right."""
    net = machine.net
    isp = str(net.internet.topology.addresses[ISP])
    with_routers(net, machine.local, 65530, EQUINIX, hops=5)
    right = metadata_server.equinix(
        asn=ASN,
        peer_asn=65530,
        routers={of: [each.router for each in EQUINIX if each.version == of] for of in (4, 6)},
        local=machine.local,
        gateways=machine.gateway,
        password=PASSWORD,
    )
    machine.metadata.say(right)
    mark = net.fleet[NODE].mark()
    machine.configure(f'provider = "equinix"\nown_routes = true\nsource = "http://{isp}:8099{EQUINIX_PATH}"\n')
    pid = net.fleet[NODE].process.pid if net.fleet[NODE].process else 0
    machine.wait_failure("bgp.metadata-unavailable", "failed", since=mark)
    machine.metadata.fail("missing")
    server = net.lab.start(ISP, metadata_server.command(isp, 8099, machine.metadata.folder))
    try:
        machine.wait_failure("bgp.metadata-unavailable", "answered 404", since=mark)
        machine.metadata.fail("malformed")
        machine.wait_failure("bgp.metadata-invalid", "no JSON", since=mark)
        machine.metadata.say(right | {"bgp_neighbors": []})
        machine.wait_failure("bgp.metadata-invalid", "no BGP session", since=mark)
        machine.metadata.say(right)
        heal_and_stay(machine, EQUINIX, {(each.router, machine.gateway[each.version]) for each in EQUINIX}, pid)
    finally:
        net.lab.end(server)


def test_vultr(machine: Machine, tmp_path: Path) -> None:
    """The service and a router share an address; AS numbers are strings, two hops; the password is in a file."""
    net = machine.net
    # The default route leads to them, as at Vultr; the node's own route goes by the gateway that the metadata names.
    ends = [end for end in net.internet.topology.ends(ISP) if end.neighbor == RACK]
    for router, hop in ((VULTR_ROUTERS[4], ends[0].other), (VULTR_ROUTERS[6], ends[0].other6)):
        net.lab.run(ISP, ["ip", "route", "replace", router, "via", str(hop)])
    with_routers(net, machine.local, 64515, VULTR, hops=2)
    secret = tmp_path / "password"
    right = metadata_server.vultr(
        asn=ASN, peer_asn=64515, routers=VULTR_ROUTERS, local=machine.local, gateway=machine.gateway[4]
    )
    machine.metadata.say(right)
    machine.metadata.fail("silent")
    server = net.lab.start(RACK, metadata_server.command(VULTR_ADDRESS, 80, machine.metadata.folder))
    try:
        mark = net.fleet[NODE].mark()
        machine.configure(f'provider = "vultr"\nown_routes = true\npassword_file = "{secret}"\n')
        pid = net.fleet[NODE].process.pid if net.fleet[NODE].process else 0
        machine.wait_failure("bgp.metadata-unavailable", "did not answer in 5 s", since=mark)
        machine.metadata.fail("error")
        machine.wait_failure("bgp.metadata-unavailable", "answered 500", since=mark)
        machine.metadata.fail("")
        machine.wait_failure("anycast.password-unusable", "No such file", since=mark)
        secret.touch(mode=0o600)
        secret.write_text(f"{PASSWORD}\n")
        heal_and_stay(machine, VULTR, {(VULTR_ADDRESS, machine.gateway[4])}, pid)
    finally:
        net.lab.end(server)


def heal_and_stay(machine: Machine, sessions: Sequence[Session], routes: set[tuple[str, str]], pid: int) -> None:
    """The metadata is right by now: all comes up in the process that waited for it, and comes back from then on."""
    node = machine.net.fleet[NODE]
    status = machine.wait_announced(sessions)
    assert node.process is not None
    assert node.process.pid == pid
    assert not [each for each in status["problems"] if "metadata" in each["text"] or "route" in each["text"]]
    assert machine.routes() == routes
    settings = machine.settings()
    assert {f"{parse_prefix(prefix)}" for prefix in PREFIXES} <= settings[0]

    machine.take_away()
    wait(lambda: machine.settings() == settings, WAIT_S, "what was taken away is not back as it was")
    machine.wait_announced(sessions)

    node.stop()
    assert machine.settings() == settings
    node.start()
    machine.wait_announced(sessions)
    assert machine.settings() == settings

    node.kill()
    machine.take_away()
    node.start()
    machine.wait_announced(sessions)
    assert machine.settings() == settings


def with_routers(
    net: AnycastNet, local: Mapping[int, str], asn: int, sessions: Sequence[Session], *, hops: int
) -> None:
    """BIRD at `rack` and `far` as a provider's routers, by their own addresses; they find next hops by their links."""
    via = next(end for end in net.internet.topology.ends(FAR) if end.neighbor == RACK)
    ways = {4: f"{local[4]}/32 via {via.other}", 6: f"{local[6]}/128 via {via.other6}"}
    for place in (RACK, FAR):
        text = "protocol direct provider_links { ipv4; ipv6; }\n"
        if place == FAR:
            for version, way in ways.items():
                text += f"protocol static provider_way{version} {{ ipv{version}; route {way}; }}\n"
        for session in sessions:
            if session.place == place:
                text += (
                    f"protocol bgp {session.name} {{ local {session.router} as {asn}; multihop {hops};\n"
                    f'neighbor {local[session.version]} as {ASN}; password "{PASSWORD}"; hold time 9;\n'
                    "connect delay time 1; error wait time 1, 10; graceful restart off;\n"
                    f"ipv{session.version} {{ import filter service_ipv{session.version}; export none; }}; }}\n"
                )
        file = net.lab.sockets / place / "config"
        mark = "# --- of a test ---\n"
        # The lab's own session with the node goes: BIRD has one with each neighbour.
        usual = re.sub(r"protocol bgp n1 \{\n.*?\n\}\n", "", file.read_text().partition(mark)[0], flags=re.DOTALL)
        file.write_text(usual + mark + text)
        said = net.lab.birdc(place, "configure")
        assert "Reconfigur" in said, said
