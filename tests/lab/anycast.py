"""A lab whose routers are real BIRD and FRR processes: an `Internet`, standing.

    with AnycastLab(Internet.load(path), tmp_path) as lab:
        lab.wait_session("ams", "ams-1")
        lab.wait_route("edi", "203.0.113.10/32", {"ams"})

Nodes are places with the service's addresses on `lo` and a way to their routers; who runs there is the caller's
business. Each place knows the others by name (`hosts`), so that mtr shows words.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from bgp.prefix import Family, parse_prefix
from tests.lab import lab
from tests.lab.internet import Internet, Neighbor
from tests.lab.router_output import Seen, Session, bird_routes, bird_session, frr_routes, frr_session
from tests.lab.routers import render, render_bfdd, session_name

WAIT_S = 120.0
_FRR = "/usr/lib/frr"
_POLL_S = 0.05


def may_run() -> str:
    """Why there can be no such lab here; empty if there can."""
    return lab.may_run("bird", "birdc", "vtysh", f"{_FRR}/bgpd", f"{_FRR}/zebra", f"{_FRR}/bfdd")


class AnycastLab(lab.Lab):
    """See the module.

    Args:
        folder: for what routers say; made if it is not there.
    """

    def __init__(self, internet: Internet, folder: Path, rates: Mapping[int, float] | None = None) -> None:
        super().__init__(internet.topology, rates)
        self.internet = internet
        self._folder = folder
        self._outside: list[Path] = []  # folders that are not in `folder`, and go at the end
        self._sockets = Path()

    @property
    def sockets(self) -> Path:
        """Folder of the routers' control sockets, below each one's name."""
        return self._sockets

    def route(self, place: str, prefix: str) -> frozenset[str]:
        """Where the kernel of a place sends packets for a prefix: names of neighbours; none where it has no route."""
        family = f"-{parse_prefix(prefix).version}"
        routes = json.loads(self.run(place, ["ip", family, "-json", "route", "show", prefix]) or "[]")
        return frozenset(
            hop["dev"].removeprefix("to-")
            for route in routes
            if route.get("type", "unicast") == "unicast"
            for hop in route.get("nexthops", [route])
        )

    def wait_route(self, place: str, prefix: str, wanted: Collection[str], timeout_s: float = WAIT_S) -> float:
        """Until a place sends packets for a prefix to exactly these neighbours; when that was seen, `time.monotonic()`.

        Raises:
            TimeoutError: with what it is instead.
        """
        deadline = time.monotonic() + timeout_s
        # The kernel tells of every change, so that nothing has to be asked again and again.
        command = ["ip", "netns", "exec", self.namespace(place), "ip", "-o", "monitor", "route"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as monitor, selectors.DefaultSelector() as selector:
            assert monitor.stdout is not None
            os.set_blocking(monitor.stdout.fileno(), False)
            selector.register(monitor.stdout, selectors.EVENT_READ)
            try:
                while (found := self.route(place, prefix)) != frozenset(wanted):
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{place} has {prefix} by {sorted(found)}, not {sorted(wanted)}")
                    # The monitor may have begun after a change that it was to tell of: hence a bound of each wait.
                    if selector.select(min(1.0, max(0.0, deadline - time.monotonic()))):
                        monitor.stdout.read(65536)
                return time.monotonic()
            finally:
                monitor.kill()

    def announced(self, router: str, prefix: str) -> tuple[Seen, ...]:
        """Every way to a prefix that a router was told of, and let in."""
        if self.internet.routers[router].kind == "bird":
            return bird_routes(self.birdc(router, "show", "route", prefix, "all"))
        family = "ipv4" if parse_prefix(prefix).version == 4 else "ipv6"
        return frr_routes(self.vtysh(router, f"show bgp {family} unicast {prefix} json"))

    def from_node(self, router: str, node: str, prefix: str) -> Seen | None:
        """What a router has of a node for a prefix; None for nothing."""
        neighbor = self._neighbor(router, node)
        by = {session_name(neighbor, "ipv4"), str(neighbor.end.other)}
        return next((seen for seen in self.announced(router, prefix) if seen.by in by), None)

    def session(self, router: str, peer: str) -> Session:
        """A router's session with a neighbouring place; between routers that of IPv4."""
        neighbor = self._neighbor(router, peer)
        if self.internet.routers[router].kind == "bird":
            return bird_session(self.birdc(router, "show", "protocols", "all", session_name(neighbor, "ipv4")))
        return frr_session(self.vtysh(router, f"show bgp neighbors {neighbor.end.other} json"))

    def wait_session(self, router: str, peer: str, timeout_s: float = WAIT_S, *, established: bool = True) -> None:
        """Until a session is there, or gone.

        Raises:
            TimeoutError
        """
        wait(
            lambda: self.session(router, peer).established is established,
            timeout_s,
            f"the session of {router} with {peer} is {'not up' if established else 'still up'}",
        )

    def wait_announced(
        self, router: str, node: str, prefix: str, wanted: Callable[[Seen | None], bool], timeout_s: float = WAIT_S
    ) -> Seen | None:
        """Until what a router has of a node is as wanted."""
        found: list[Seen | None] = [None]

        def is_so() -> bool:
            found[0] = self.from_node(router, node, prefix)
            return wanted(found[0])

        wait(is_so, timeout_s, f"{router} does not have {prefix} of {node} as wanted")
        return found[0]

    def disable(self, router: str, peer: str) -> None:
        """Switch a session off at the router."""
        self._switch(router, peer, on=False)

    def enable(self, router: str, peer: str) -> None:
        self._switch(router, peer, on=True)

    def cut(self, a: str, b: str) -> None:
        """Packets between two places are lost, and nobody is told: a silent death. `set_delay` mends it."""
        self.set_delay(a, b, None)

    def mend(self, a: str, b: str) -> None:
        """The link is as the file says."""
        link = next(link for link in self.topology.links if {end.place for end in link.ends} == {a, b})
        self.set_delay(a, b, link.rtt_ms)

    def birdc(self, router: str, *words: str) -> str:
        return self.run(router, ["birdc", "-s", self._sockets / router / "bird.ctl", *words], check=False)

    def vtysh(self, router: str, *commands: str) -> str:
        options = [word for command in commands for word in ("-c", command)]
        return self.run(router, ["vtysh", "--vty_socket", self._sockets / router, *options], check=False)

    def router_log(self, router: str) -> str:
        return (self._folder / f"{router}.log").read_text()

    def _switch(self, router: str, peer: str, *, on: bool) -> None:
        neighbor = self._neighbor(router, peer)
        families: tuple[Family, ...] = ("ipv4",) if neighbor.node else ("ipv4", "ipv6")
        if self.internet.routers[router].kind == "bird":
            for family in families:
                self.birdc(router, "enable" if on else "disable", session_name(neighbor, family))
            return
        for family in families:
            address = neighbor.end.other if family == "ipv4" else neighbor.end.other6
            self.vtysh(
                router,
                "configure terminal",
                f"router bgp {self.internet.routers[router].asn}",
                f"{'no ' if on else ''}neighbor {address} shutdown",
            )

    def _neighbor(self, router: str, peer: str) -> Neighbor:
        return next(each for each in self.internet.neighbors(router) if each.name == peer)

    def _build(self) -> None:
        super()._build()
        self._folder.mkdir(parents=True, exist_ok=True)
        # FRR's daemons give up root and have to get through to their sockets, whose paths are short (108 bytes).
        self._sockets = Path(tempfile.mkdtemp(prefix="edged-lab-"))
        self._outside.append(self._sockets)
        self._sockets.chmod(0o755)
        for place in self.topology.addresses:
            self._write_hosts(place)
        for node in self.internet.nodes:
            for prefix in self.internet.prefixes:
                self.add_address(node, str(prefix))
        for place in (*self.internet.nodes, *self.internet.clients):
            self._default_route(place)
        for router in self.internet.routers:
            self._start_router(router)

    def _default_route(self, place: str) -> None:
        end = next(end for end in self.topology.ends(place) if end.neighbor in self.internet.routers)
        for hop, source in (
            (end.other, self.topology.addresses[place]),
            (end.other6, self.topology.addresses6[place]),
        ):
            route = ["default", "via", str(hop), "dev", end.interface, "src", str(source)]
            self.run(place, ["ip", f"-{hop.version}", "route", "add", *route])

    def _write_hosts(self, place: str) -> None:
        """`ip netns exec` shows a place the files below /etc/netns/NAME in place of those in /etc."""
        folder = Path("/etc/netns") / self.namespace(place)
        folder.mkdir(parents=True)
        self._outside.append(folder)
        lines = ["127.0.0.1 localhost", "::1 localhost"]
        for name in self.topology.addresses:
            lines += [f"{self.topology.addresses[name]} {name}", f"{self.topology.addresses6[name]} {name}"]
        lines += [f"{prefix.network_address} {self.internet.host}" for prefix in self.internet.prefixes]
        (folder / "hosts").write_text("\n".join(lines) + "\n")

    def _start_router(self, router: str) -> None:
        folder = self._sockets / router
        folder.mkdir()
        config, log = folder / "config", self._folder / f"{router}.log"
        config.write_text(render(self.internet, router))
        if self.internet.routers[router].kind == "bird":
            self.start(
                router, ["bird", "-f", "-c", config, "-s", folder / "bird.ctl", "-P", folder / "bird.pid"], log=log
            )
            ready = folder / "bird.ctl"
            wait(ready.exists, WAIT_S, f"{router} did not start, see {log}")
            return
        bfd_config = folder / "bfdd.config"
        bfd_config.write_text(render_bfdd(self.internet))
        for path in (folder, config, bfd_config):
            shutil.chown(path, "frr", "frr")
        daemons: dict[str, list[str | Path]] = {
            "zebra": ["-f", "/dev/null"],
            "bfdd": ["-f", bfd_config, "--bfdctl", folder / "bfdctl"],
            "bgpd": ["-f", config],
        }
        for daemon, own in daemons.items():
            command = [f"{_FRR}/{daemon}", *own, "-i", folder / f"{daemon}.pid", "--vty_socket", folder]
            command += ["-z", folder / "zserv", "-P", "0", "--log", "stdout", "--log-level", "warnings"]
            self.start(router, command, log=log)
            wait((folder / f"{daemon}.vty").exists, WAIT_S, f"{router}: {daemon} did not start, see {log}")

    def _remove(self) -> None:
        super()._remove()
        for folder in self._outside:
            shutil.rmtree(folder, ignore_errors=True)


def wait(condition: Callable[[], bool], timeout_s: float, failure: str) -> None:
    """Until something is so that nobody tells of, and that therefore is asked for.

    Raises:
        TimeoutError
    """
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(failure)
        pause.wait(_POLL_S)
