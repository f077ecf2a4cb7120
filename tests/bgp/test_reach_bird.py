"""Why a session does not come up, against a real BIRD: each mistake that an operator makes is named."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab, may_run
from tests.lab.topology import Topology

pytestmark = pytest.mark.skipif(bool(may_run("bird", "birdc")), reason=may_run("bird", "birdc") or "-")

ROOT = Path(__file__).parents[2]
TOPOLOGY = '[place.node]\n[place.router]\n[[link]]\nbetween = ["node", "router"]\n'
PREFIXES = ["203.0.113.10/32"]


class Bird:
    """A router beside a node."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        node, router = (end.address for link in lab.topology.links for end in link.ends)
        self.node, self.address = str(node), str(router)
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self, *options: str, asn: int = 65101, neighbor_asn: int = 65200, imports: str = "import all;") -> None:
        """Start BIRD, and wait until it listens."""
        lines = "".join(f"  {option};\n" for option in options)
        config = self.folder / "bird.conf"
        config.write_text(
            f"router id {self.address};\nprotocol device {{ scan time 1; }}\n"
            f"protocol bgp node {{\n  local {self.address} as {asn};\n  neighbor {self.node} as {neighbor_asn};\n"
            # It waits for us: what is tried is what it does with connections of ours.
            f"  passive on;\n  graceful restart off;\n{lines}  ipv4 {{ {imports} export none; }};\n}}\n"
        )
        command: list[str | Path] = [
            "bird",
            "-f",
            "-c",
            config,
            "-s",
            self.folder / "bird.ctl",
            "-P",
            self.folder / "bird.pid",
        ]
        self.process = self.lab.start("router", command, log=self.folder / "bird.log")
        self.control("show", "status", patient=True)

    def control(self, *command: str, patient: bool = False) -> str:
        script = f"until birdc -s {self.folder}/bird.ctl {' '.join(command)}; do sleep 0.05; done"
        if patient:
            return self.lab.run("router", ["timeout", "120", "sh", "-c", script])
        return self.lab.run("router", ["birdc", "-s", self.folder / "bird.ctl", *command])

    def signal(self, number: signal.Signals) -> None:
        """To BIRD itself: `ip netns exec` becomes it."""
        assert self.process is not None
        self.process.send_signal(number)

    def finding(
        self,
        *,
        speaks: bool = False,
        once_up: Callable[[], object] | None = None,
        prefixes: list[str] = PREFIXES,
        **peer: Any,
    ) -> dict[str, str]:
        """What the node makes of it, with the session spoken to its end before, or not at all."""
        settings = {"address": self.address, "asn": 65101, "local_address": self.node, "hold_s": 3, **peer}
        told = json.dumps({"peer": settings, "speaks": speaks, "prefixes": prefixes})
        script = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.bgp.reach_probe", told]
        process = self.lab.start("node", script)
        assert process.stdout is not None
        for line in process.stdout:
            if line == b"established\n":
                if once_up is not None:
                    once_up()
            else:
                found: dict[str, str] = json.loads(line)
                return found
        raise AssertionError("it ended without a finding")


@pytest.fixture
def bird(tmp_path: Path) -> Iterator[Bird]:
    with Lab(Topology.parse(TOPOLOGY)) as lab:
        bird = Bird(lab, tmp_path)
        yield bird
        if bird.process is not None:  # who is stopped does not hear that it is to end
            bird.signal(signal.SIGCONT)


def test_the_router_is_another_as(bird: Bird) -> None:
    bird.begin(asn=65102)
    found = bird.finding()
    assert found["error"] == f"wrong AS number: {bird.address} is AS65102, and this node expects AS65101"
    assert found["remedy"].startswith("Set `asn = 65102`")
    found = bird.finding(speaks=True)
    assert found["error"].startswith("wrong AS number: ")
    assert "AS65101" in found["error"]


def test_the_router_expects_another_as(bird: Bird) -> None:
    bird.begin(neighbor_asn=65999)
    found = bird.finding(speaks=True)
    assert found["error"].startswith(f"wrong AS number: {bird.address} does not expect AS65200, which this node is")
    assert "(2/2)" in found["error"]
    assert "AS65200" in found["remedy"]


def test_all_is_as_it_should_be(bird: Bird) -> None:
    """The twin of those below: nothing is accused."""
    bird.begin('password "s3cret"', "ttl security on")
    found = bird.finding(password="s3cret", ttl_security=True)
    assert found["error"] == f"{bird.address} answers as AS65101, as it should, and the session is not up yet"


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ("s3cret", "other", "port 179 answers neither with the password nor without: the passwords differ"),
        ("s3cret", "", "port 179 does not answer: the router demands a password (TCP-MD5)"),
        ("", "s3cret", "takes connections without TCP-MD5, and drops those with the password: the router has none"),
    ],
)
def test_passwords(bird: Bird, theirs: str, ours: str, said: str) -> None:
    bird.begin(*([f'password "{theirs}"'] if theirs else []))
    found = bird.finding(password=ours)
    assert said in found["error"]
    assert "password" in found["remedy"]
    assert "s3cret" not in found["error"] + found["remedy"]


@pytest.mark.parametrize("password", ["", "s3cret"])
def test_only_the_router_demands_ttl_security(bird: Bird, password: str) -> None:
    bird.begin("ttl security on", *([f'password "{password}"'] if password else []))
    found = bird.finding(password=password)
    assert found["error"].endswith("takes only packets with a TTL of 255: the router demands TTL security (GTSM)")
    assert found["remedy"].startswith("Set `ttl_security = true`")


@pytest.mark.parametrize("password", ["", "s3cret"])
def test_only_the_node_demands_ttl_security(bird: Bird, password: str) -> None:
    bird.begin("ttl security off", *([f'password "{password}"'] if password else []))
    found = bird.finding(password=password, ttl_security=True)
    assert "which this node drops: the router does no TTL security (GTSM)" in found["error"]


@pytest.mark.parametrize("settings", [{}, {"password": "s3cret"}, {"ttl_security": True}], ids=str)
def test_no_bird(bird: Bird, settings: dict[str, Any]) -> None:
    found = bird.finding(**settings)
    assert found["error"] == f"{bird.address} is up, but nothing listens at port 179"


def test_the_host_is_not_on_the_link(bird: Bird) -> None:
    bird.lab.run("router", ["ip", "address", "flush", "dev", "to-node"])
    found = bird.finding()
    assert found["error"].startswith(f"nobody on the link answers for {bird.address} (ARP")


def test_the_host_is_down(bird: Bird) -> None:
    """The kernel does not say so of a link without a carrier; nothing answers."""
    bird.lab.run("router", ["ip", "link", "set", "to-node", "down"])
    found = bird.finding()
    assert found["error"].startswith(f"nothing at {bird.address} answers: the router is down")


def test_all_is_dropped(bird: Bird) -> None:
    """The host answers ARP, and nothing else: its way back is lost."""
    bird.begin()
    bird.lab.run("router", ["ip", "route", "add", "blackhole", f"{bird.node}/32"])
    bird.lab.run("router", ["ip", "rule", "add", "pref", "0", "to", f"{bird.node}/32", "blackhole"])
    found = bird.finding()
    assert found["error"].startswith(f"nothing at {bird.address} answers")


def test_our_address_is_not_there(bird: Bird) -> None:
    bird.begin()
    found = bird.finding(local_address="192.0.2.77")
    assert found["error"] == "the session is to come from 192.0.2.77, which is not an address of this machine"


def test_no_route(bird: Bird) -> None:
    found = bird.finding(address="198.51.100.1")
    assert found["error"] == "this machine has no route to 198.51.100.1"


def test_the_router_does_not_know_us(bird: Bird) -> None:
    bird.lab.run("node", ["ip", "address", "add", "10.77.0.1/32", "dev", "lo"])
    route = ["ip", "route", "add", "10.77.0.1/32", "via", bird.node]
    bird.lab.run("router", route)
    bird.begin()
    found = bird.finding(local_address="10.77.0.1")
    assert "closes it without a word: the router does not know 10.77.0.1 as a neighbour" in found["error"]


def test_the_hold_timer_expired(bird: Bird) -> None:
    bird.begin("hold time 3")
    found = bird.finding(speaks=True, once_up=lambda: bird.signal(signal.SIGSTOP))
    assert "the hold timer expired" in found["error"]
    assert "(4/0)" in found["error"]


def test_the_host_died_and_the_hold_timer_expired(bird: Bird) -> None:
    """What is so now is said before what was said then."""
    bird.begin("hold time 3")
    down = ["ip", "address", "flush", "dev", "to-node"]
    found = bird.finding(speaks=True, once_up=lambda: bird.lab.run("router", down))
    # The kernel believes for some seconds that it knows the router's link address, and says nothing in that time.
    assert found["error"].startswith((f"nothing at {bird.address} answers", "nobody on the link answers"))
    assert "before that, we ended the session: the hold timer expired" in found["error"]


def test_the_router_is_shut_down(bird: Bird) -> None:
    bird.begin()
    found = bird.finding(speaks=True, once_up=lambda: bird.control("disable", "node"))
    assert "Cease: administrative shutdown (6/2)" in found["error"]
    assert found["remedy"].startswith("Ask whoever runs the router")


def test_more_prefixes_than_the_router_takes(bird: Bird) -> None:
    bird.begin(imports="import all; import limit 1 action disable;")
    found = bird.finding(speaks=True, prefixes=["203.0.113.10/32", "203.0.113.11/32"])
    assert "more prefixes than it takes" in found["error"]
    assert found["remedy"].startswith("Raise the router's limit")
