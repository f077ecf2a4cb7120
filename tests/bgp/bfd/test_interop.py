"""BFD with the routers that there are, BIRD 2 and FRR, in namespaces: both families, one hop and several.

How long things took is printed (`pytest -s`), and not asserted.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import lab as labs
from tests.lab.anycast import wait
from tests.lab.lab import Lab
from tests.lab.topology import Topology

FRR = "/usr/lib/frr"
PREFIX = {4: "203.0.113.10/32", 6: "2001:db8:a::10/128"}
TOPOLOGY = """
[place.node]
[place.middle]
[place.router]
[[link]]
between = ["node", "router"]
rtt_ms = 1
[[link]]
between = ["node", "middle"]
rtt_ms = 10
[[link]]
between = ["middle", "router"]
rtt_ms = 10
"""
# Far: by way of a router between.
FAR = TOPOLOGY.replace('between = ["node", "router"]\nrtt_ms = 1\n[[link]]\n', "")
WAIT_S = 120.0

reason = labs.may_run("bird", "birdc", "vtysh", f"{FRR}/zebra", f"{FRR}/bfdd")
pytestmark = pytest.mark.skipif(bool(reason), reason=reason or "-")
families = pytest.mark.parametrize("version", [4, 6], ids=["ipv4", "ipv6"])


class Scene:
    """A node and a router, one hop or two from each other."""

    def __init__(self, lab: Lab, folder: Path, version: int, hops: int) -> None:
        self.lab, self.folder, self.version, self.hops = lab, folder, version, hops
        if hops == 1:
            net = ("10.99.0.{}", 24) if version == 4 else ("fd99::{}", 64)
            self.node, self.router = net[0].format(11), net[0].format(1)
            for place, other, address in (("node", "router", self.node), ("router", "node", self.router)):
                nodad = ["nodad"] if version == 6 else []
                lab.run(place, ["ip", "address", "add", f"{address}/{net[1]}", "dev", f"to-{other}", *nodad])
        else:
            addresses = lab.topology.addresses if version == 4 else lab.topology.addresses6
            self.node, self.router = str(addresses["node"]), str(addresses["router"])
        self.log = folder / "node.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, interval_ms: int = 100) -> subprocess.Popen[bytes]:
        """Our side."""
        self.log.unlink(missing_ok=True)
        hops = str(self.hops)
        command = [sys.executable, "-m", "tests.bgp.bfd.daemon", self.node, self.router, str(interval_ms), "3", hops]
        self.process = self.lab.start("node", command, log=self.log)
        return self.process

    def said(self) -> list[dict[str, Any]]:
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def state(self) -> str:
        return next((each["state"] for each in reversed(self.said())), "")

    def until(self, condition: Callable[[], bool], what: str) -> float:
        """Seconds that it took."""
        start = time.monotonic()
        try:
            wait(condition, WAIT_S, what)
        except TimeoutError as error:
            raise AssertionError(f"{what}: {self.said()}, {self.session()}") from error
        return time.monotonic() - start

    def session(self) -> Any:
        """What the router says of it."""
        raise NotImplementedError

    def up(self) -> bool:
        raise NotImplementedError

    def until_up(self) -> None:
        self.until(lambda: self.state() == "up" and self.up(), "not up")

    def cut(self, really: bool) -> None:
        other = "router" if self.hops == 1 else "middle"
        self.lab.set_delay("node", other, None if really else 1)


class Bird(Scene):
    """Its static route stands for that of a BGP session: both go with the BFD session."""

    def start_router(self) -> None:
        multihop = "" if self.hops == 1 else " multihop"
        times = "{ min rx interval 100 ms; min tx interval 100 ms; multiplier 3; }"
        where = f'dev "to-node" local {self.router}' if self.hops == 1 else f"local {self.router}{multihop}"
        kind = 'interface "*"' if self.hops == 1 else "multihop"
        routes = ""
        if self.hops == 1:
            routes = f"protocol static {{ ipv{self.version}; route {PREFIX[self.version]} via {self.node} bfd; }}"
        config = self.folder / "bird.conf"
        config.write_text(
            f"router id 192.0.2.1; protocol device {{ scan time 1; }} protocol direct {{ ipv4; ipv6; }}\n"
            f"protocol bfd {{ {kind} {times}; neighbor {self.node} {where}; }}\n{routes}\n"
        )
        self._control = self.folder / "bird.ctl"
        command: list[str | Path] = ["bird", "-f", "-c", config, "-s", self._control, "-P", self.folder / "bird.pid"]
        self.lab.start("router", command, log=self.folder / "router.log")
        self.until(self._control.exists, "BIRD did not start")

    def ask(self, *words: str) -> str:
        return self.lab.run("router", ["birdc", "-s", self._control, *words], check=False)

    def session(self) -> list[str]:
        """Address, interface, state, since, interval, timeout."""
        lines = (line.split() for line in self.ask("show", "bfd", "sessions").splitlines())
        return next((words for words in lines if words and words[0] == self.node), [])

    def up(self) -> bool:
        return self.session()[2:3] == ["Up"]

    def routed(self) -> bool:
        return PREFIX[self.version] in self.ask("show", "route", PREFIX[self.version])


class Frr(Scene):
    def start_router(self, *, multihop: bool = False) -> None:
        for path in (self.folder,):
            shutil.chown(path, "frr", "frr")
        config = self.folder / "bfdd.conf"
        several = f" multihop local-address {self.router}" if multihop or self.hops > 1 else ""
        where = several or f" local-address {self.router} interface to-node"
        times = "detect-multiplier 3\n  receive-interval 100\n  transmit-interval 100"
        config.write_text(f"bfd\n peer {self.node}{where}\n  {times}\n exit\nexit\n")
        shutil.chown(config, "frr", "frr")
        for daemon, own in (("zebra", ["-f", "/dev/null"]), ("bfdd", ["-f", config, "--bfdctl", self.folder / "ctl"])):
            command = [f"{FRR}/{daemon}", *own, "-i", self.folder / f"{daemon}.pid", "--vty_socket", self.folder]
            command += ["-z", self.folder / "zserv", "-P", "0", "--log", "stdout", "--log-level", "warnings"]
            self.lab.start("router", command, log=self.folder / "router.log")
            self.until((self.folder / f"{daemon}.vty").exists, f"{daemon} did not start")

    def session(self) -> dict[str, Any]:
        output = self.lab.run(
            "router", ["vtysh", "--vty_socket", self.folder, "-c", "show bfd peers json"], check=False
        )
        found: list[dict[str, Any]] = json.loads(output[output.index("[") :]) if "[" in output else []
        return found[0] if found else {}

    def up(self) -> bool:
        return self.session().get("status") == "up"


@contextmanager
def scene(kind: type[Scene], version: int, hops: int = 1) -> Iterator[Any]:
    # vtysh takes no long socket paths, and FRR's user must get there.
    with tempfile.TemporaryDirectory(prefix="edged-bfd-") as name:
        Path(name).chmod(0o755)
        with Lab(Topology.parse(TOPOLOGY if hops == 1 else FAR)) as lab:
            yield kind(lab, Path(name), version, hops)


def report(what: str, seconds: float) -> None:
    sys.stdout.write(f"\n{what}: {seconds * 1000:.0f} ms")


@families
def test_bird(version: int) -> None:
    with scene(Bird, version) as it:
        it.start_router()
        assert not it.routed()
        it.start()
        it.until_up()
        # The Poll Sequence came to its end: both use the short interval.
        it.until(lambda: it.session()[4:6] == ["0.100", "0.300"], "intervals")
        it.until(it.routed, "no route")
        count = len(it.said())
        it.cut(True)
        report(f"BIRD, IPv{version}: route gone after silence", it.until(lambda: not it.routed(), "route stays"))
        it.until(lambda: it.state() == "down", "we noticed nothing")
        it.cut(False)
        it.until_up()
        states = [each["state"] for each in it.said()[count:]]
        assert states[0] == "down"
        assert states[-1] == "up"
        assert "admin-down" not in states


@families
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM], ids=lambda each: each.name)
def test_bird_notices_how_we_end(version: int, number: signal.Signals) -> None:
    """By silence, or at once by AdminDown: in any case its route goes, and so we withdraw before we leave."""
    with scene(Bird, version) as it:
        it.start_router()
        process = it.start()
        it.until_up()
        it.until(it.routed, "no route")
        # `ip netns exec` became the process itself.
        process.send_signal(number)
        report(f"BIRD, IPv{version}: route gone after {number.name}", it.until(lambda: not it.routed(), "route stays"))
        if number == signal.SIGSTOP:
            process.send_signal(signal.SIGCONT)
            it.until_up()
        elif number == signal.SIGTERM:
            it.until(lambda: it.state() == "left", "did not leave")
            assert "admin-down" in [each["state"] for each in it.said()]


@families
def test_bird_that_begins_anew(version: int) -> None:
    with scene(Bird, version) as it:
        it.start_router()
        it.start()
        it.until_up()
        it.ask("restart", "bfd1")
        it.until(lambda: "down" in [each["state"] for each in it.said()], "we noticed nothing")
        it.until_up()


@families
def test_it_stays_up_as_soon_as_it_is(version: int) -> None:
    """The slow interval of a session that is not up outlives no change of state: nothing flaps at the start."""
    with scene(Bird, version) as it:
        it.start_router()
        for _ in range(3):
            process = it.start(interval_ms=50)
            it.until_up()
            it.until(lambda: it.session()[5:6] == ["0.300"], "intervals")
            it.lab.end(process)
            assert [each["state"] for each in it.said()].count("up") == 1


@families
def test_frr(version: int) -> None:
    with scene(Frr, version) as it:
        it.start_router()
        process = it.start()
        it.until_up()
        it.until(lambda: it.session().get("remote-transmit-interval") == 100, "intervals")
        it.cut(True)
        report(f"FRR, IPv{version}: down after silence", it.until(lambda: not it.up(), "stays up"))
        it.until(lambda: it.state() == "down", "we noticed nothing")
        it.cut(False)
        it.until_up()
        process.terminate()
        report(f"FRR, IPv{version}: down after AdminDown", it.until(lambda: not it.up(), "stays up"))
        it.until(lambda: it.state() == "left", "did not leave")
        assert "admin" in it.session()["remote-diagnostic"]


@families
def test_frr_that_speaks_the_port_of_several_hops_to_a_neighbour(version: int) -> None:
    """As it does with ttl-security."""
    with scene(Frr, version) as it:
        it.start_router(multihop=True)
        it.start()
        it.until_up()


@families
@pytest.mark.parametrize("kind", [Bird, Frr])
def test_several_hops(version: int, kind: type[Scene]) -> None:
    with scene(kind, version, hops=2) as it:
        it.start_router()
        it.start()
        it.until_up()
        it.cut(True)
        it.until(lambda: it.state() == "down" and not it.up(), "stays up")
        it.cut(False)
        it.until_up()
