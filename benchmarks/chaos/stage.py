"""The fleet that is struck, in namespaces, and ways to get at its links, disks, clocks and certificates.

home: publishers ──┐      ┌── eu-1, eu-2, us-1, ap-1: nodes, each with a disk and a clock of its own, and a client
                   ├─ net ┤   that asks it at its own place, so that no link stands between
liar: in the roster┘      └── (benchmarks/chaos/internet.toml)
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos import clock
from benchmarks.chaos.clock import Clocks
from edged.fleet.certificate import Identity, certificate_pem, make_identity, save_identity
from tests.fleets import HTTP_PORT, Event, Fleet, FleetNode, InLab, app_folder, made, saying
from tests.lab import client, lab
from tests.lab.client import Answer
from tests.lab.lab import Lab
from tests.lab.topology import Topology

NODES = {"eu-1": "eu", "eu-2": "eu", "us-1": "us", "ap-1": "ap"}
LIAR, HOME, NET = "liar", "home", "net"
APPS = ("asked", "told")
ASKED = f"{APPS[0]}.edged.localhost"
"""What clients ask for."""
DISK = "192m"
"""Of each node's state folder: small, so that it is full quickly."""
SLOW_MS = 1500.0
WORKERS = 2
_TIMEOUT_S = 30.0
_NOISE_BYTES = 200_000
_DAY_S = 86_400
_HERE = Path(__file__).parents[2]


def may_run() -> str:
    """Why there can be no such fleet here; empty if there can."""
    return lab.may_run("mount", "cc") or clock.may_run()


@dataclass
class Stage:
    """See the module."""

    folder: Path
    lab: Lab
    fleet: Fleet
    clocks: Clocks
    _loads: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    @property
    def nodes(self) -> Mapping[str, FleetNode]:
        return self.fleet.nodes

    # --- links, disks, clocks ---

    def cut(self, node: str) -> None:
        """Packets to and from a node are lost, and nobody is told."""
        self.lab.set_delay(node, NET, None)

    def slow(self, node: str) -> None:
        self.lab.set_delay(node, NET, SLOW_MS)

    def mend(self, node: str) -> None:
        """The link is as it was."""
        (link,) = [each for each in self.lab.topology.links if {end.place for end in each.ends} == {node, NET}]
        self.lab.set_delay(node, NET, link.rtt_ms)

    def fill_disk(self, node: str) -> None:
        with contextlib.suppress(OSError), (self.nodes[node].state / "fill").open("wb", buffering=0) as output:
            while True:
                output.write(bytes(1 << 20))

    def free_disk(self, node: str) -> None:
        (self.nodes[node].state / "fill").unlink(missing_ok=True)

    # --- certificates ---

    def renew(self, node: str, seconds: int) -> None:
        """Give a node another key, and a certificate that is good for so long; the roster says so, the node is started.

        As an operator does whose node lost its key, in this order: nobody knows the node between two of the steps.
        """
        identity = lasting(node, seconds, time.time())
        paths = [self.nodes[node].state / "identity" / name for name in ("node.key", "node.crt")]
        self.nodes[node].kill()
        for path in paths:
            path.unlink()
        save_identity(identity, paths[0], paths[1])
        (self.fleet.operator / "nodes" / f"{node}.crt").write_text(certificate_pem(identity.certificate))
        self.sign()
        self.nodes[node].start(wait=False)

    def sign(self) -> None:
        """What fleet.toml says counts from now on, at the node that answers first; it tells the others."""
        self.fleet.run("fleet", "sign", "-C", self.fleet.operator, "--yes")
        self.fleet.run("fleet", "publish", "-C", self.fleet.operator, check=False)

    # --- publishers, and who does harm ---

    def app(self, name: str) -> tuple[str, Path]:
        """A new release of an app, with bytes that nobody has: what it answers, and its folder."""
        body = f"{next(self._numbers):04}"
        folder = app_folder(self.folder / "apps" / body, name, saying(body), files='["noise"]')
        (folder / "noise").write_bytes(os.urandom(_NOISE_BYTES))
        return body, folder

    def publisher(self, name: str) -> Fleet:
        """Somebody else with the operator's key, on a machine of their own."""
        other = Fleet(self.fleet.folder, self.fleet.nodes, self.fleet.place, self.fleet.publisher)
        other.home = self.folder / name
        other.run("login", self.fleet.operator)
        return other

    def attack(self, what: str, nodes: list[str], *, app: str = "", seed: int = 0) -> subprocess.Popen[bytes]:
        """Start benchmarks.chaos.hostile; what it says goes to a file below `attacks`."""
        key = self.fleet.operator / "operator.key" if app else self.folder / "liar" / "liar.key"
        command = ["env", "-C", str(_HERE), sys.executable, "-m", "benchmarks.chaos.hostile", what]
        command += ["--fleet", str(self.fleet.operator), "--as", str(key), "--app", app, "--seed", str(seed)]
        command += [text for node in nodes for text in ("--at", self.nodes[node].address)]
        log = self.attack_log(what)
        log.parent.mkdir(exist_ok=True)
        return self.lab.start(HOME if app else LIAR, command, log=log)

    def attack_log(self, what: str) -> Path:
        return self.folder / "attacks" / f"{what}.jsonl"

    # --- clients ---

    def begin_load(self, rate: float) -> None:
        """So many requests a second at each node, each on a new connection."""
        for name, node in self.nodes.items():
            command = ["env", "-C", str(_HERE), sys.executable, "-m", "tests.lab.client", node.host, str(HTTP_PORT)]
            command += ["--host", ASKED, "--rate", str(rate), "--timeout", str(_TIMEOUT_S), "--seconds", "86400"]
            self._loads[name] = self.lab.start(name, command, log=self._load_file(name))

    def end_load(self) -> dict[str, list[Answer]]:
        """All answers of each node."""
        for process in self._loads.values():
            process.terminate()
        for process in self._loads.values():
            process.wait()
        found = {}
        for name in self._loads:
            with self._load_file(name).open() as lines:
                found[name] = client.read(lines)
        return found

    def _load_file(self, name: str) -> Path:
        return self.folder / f"load-{name}.jsonl"


@contextlib.contextmanager
def staged(folder: Path, *, nodes: Mapping[str, str] = NODES, workers: int = WORKERS) -> Iterator[Stage]:
    """The fleet with its apps; gone after the block.

    Args:
        nodes: some of NODES, with their regions.
    """
    topology = Topology.load(Path(__file__).with_name("internet.toml"))
    clocks = Clocks(folder / "clocks")
    with contextlib.ExitStack() as stack:
        for name in nodes:
            state = folder / "fleet" / name / "state"
            state.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", state], check=True)
            stack.callback(_unmount, state)
        net = stack.enter_context(Lab(topology))
        prefix = {name: clocks.prefix(name) for name in nodes}
        fleet = stack.enter_context(
            made(folder / "fleet", InLab(net), nodes, workers=workers, publisher=HOME, prefix=prefix, start=False)
        )
        stage = Stage(folder, net, fleet, clocks)
        _let_in_liar(stage)
        for node in fleet.nodes.values():
            node.start(wait=False)
        for node in fleet.nodes.values():
            node.wait_for(lambda event: event.get("event") == "node.ready")
        fleet.wait_status(are_up)
        for app in APPS:
            fleet.push(stage.app(app)[1])
        yield stage


def are_up(status: Event) -> bool:
    """Whether the nodes are, by a status; nobody is at the liar's address."""
    return all(node["state"] == "up" for node in status["nodes"] if node["name"] != LIAR)


def lasting(name: str, seconds: int, now: float) -> Identity:
    """A new key with a certificate that is good now and for so many seconds more, however few."""
    days = math.ceil(seconds / _DAY_S)
    return make_identity(name, now=now + seconds - days * _DAY_S, days=days)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", folder], check=False)  # what was mounted in namespaces goes with them


def _let_in_liar(stage: Stage) -> None:
    identity = make_identity(LIAR, now=time.time())
    folder = stage.folder / LIAR
    folder.mkdir()
    save_identity(identity, folder / "liar.key", folder / "liar.crt")
    address = f"{stage.lab.address(LIAR)}:7400"
    options = ("--region", "eu", "--address", address, "--url", f"http://{address}", "-C", stage.fleet.operator)
    stage.fleet.run("fleet", "add-node", LIAR, folder / "liar.crt", *options)
    stage.fleet.run("fleet", "sign", "-C", stage.fleet.operator, "--yes")
