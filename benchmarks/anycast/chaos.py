"""Random kills, stops, cuts and drains, with CPU hogs: no process is left over, and routers have what nodes want.

plan ── strikes, and what mends them, in the order of time ──> nodes, links, sessions
meanwhile: a node that is surely dead for DEAD_S is not where its router sends packets; no router has another prefix
at the end: all is mended; every node is announced, by nothing but the processes of its supervisor
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.anycast.chaos_plan import Action, Strike, plan
from bgp.announcement import GRACEFUL_SHUTDOWN
from bgp.peer import BfdTimes
from tests.anycast_net import INTERNET, AnycastNet, anycast_internet
from tests.fleets import FleetNode, descendants
from tests.lab.anycast import wait
from tests.lab.internet import Internet
from tests.lab.routers import session_name

DEAD_S = 3.0
"""After which a dead node's route is stale: the deadman's 1.5 s or BFD, and what two busy cores add."""
ORPHAN_S = 20.0
"""After which what a dead supervisor left behind has no excuse: requests may end for ten seconds."""
RESTART_S = 1.0
"""Until a supervisor that has ended is started again, as systemd does."""
SETTLE_S = 90.0
_LOOK_S = 1.0
_HOG = "while True: pass"


@dataclass
class Chaos:
    """One run.

    Attributes:
        problems: what must not be, as it was seen.
        said: told each thing that is done.
    """

    net: AnycastNet
    said: Callable[[str], None]
    problems: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic)
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))
    _dead: dict[tuple[str, str], float] = field(default_factory=dict)
    _stopped: dict[tuple[str, Action], list[int]] = field(default_factory=dict)
    _left_behind: dict[int, tuple[str, float]] = field(default_factory=dict)
    _starting: set[str] = field(default_factory=set)
    _drains: list[subprocess.Popen[str]] = field(default_factory=list)
    _marks: dict[str, int] = field(default_factory=dict)

    def run(self, strikes: tuple[Strike, ...], seconds: float) -> None:
        """All strikes, what mends them, and the end."""
        before = self._routes()
        for strike in strikes:
            self._at(strike.at_s, lambda strike=strike: self._strike(strike))  # type: ignore[misc]
            self._at(strike.until_s, lambda strike=strike: self._mend(strike))  # type: ignore[misc]
        for number in range(int(seconds / _LOOK_S)):
            self._at(number * _LOOK_S, self.look)
        while self._due:
            at_s, _, act = heapq.heappop(self._due)
            while (left := at_s - self._now()) > 0:
                time.sleep(min(left, 0.1))
                self._restart_ended()
            act()
        self._settle()
        try:
            wait(lambda: self._routes() == before, SETTLE_S, "")
        except TimeoutError:
            self._problem(f"the ways of all routers were {before}, and are {self._routes()}")

    # --- strikes ---

    def _strike(self, strike: Strike) -> None:
        node = self.net.fleet[strike.node]
        if strike.node in self._starting or node.process is None or node.process.poll() is not None:
            return  # there is nothing to strike at
        self.said(f"{self._now():7.1f} s  {strike.node}  {strike.action}")
        self.done[strike.action] += 1
        supervisor = node.process.pid
        workers = list(node.workers().values())
        one = workers[int(strike.pick * len(workers))] if workers else None
        speaker = _speaker(node)
        router = self._router(strike.node)
        match strike.action:
            case "kill the supervisor":
                self._leave_behind(node)
                self._send(signal.SIGKILL, [supervisor])
                self.dead(strike.node, "killed", self._now())
            case "kill everything":
                self._send(signal.SIGKILL, [supervisor, *descendants(supervisor)])
                self.dead(strike.node, "killed", self._now())
            case "kill a worker":
                self._send(signal.SIGKILL, [one] if one else [])
            case "kill the speaker":
                self._send(signal.SIGKILL, [speaker] if speaker else [])
            case "stop the supervisor":
                self._stop(strike, [supervisor])
                self.dead(strike.node, "stopped", self._now())
            case "stop all workers":
                self._stop(strike, workers)
                # Successors may be there before those are continued; they are held back for longer than that.
                self.dead(strike.node, "without workers", self._now())
            case "stop a worker":
                self._stop(strike, [one] if one else [])
            case "stop the speaker":
                self._stop(strike, [speaker] if speaker else [])
            case "cut the link":
                self.net.lab.cut(strike.node, router)
                self.dead(strike.node, "cut", self._now())
            case "pull the cable":
                self.net.lab.set_carrier(strike.node, router, up=False)
                self.dead(strike.node, "pulled", self._now())
            case "end the session at the router":
                self.net.lab.disable(router, strike.node)
            case "reset the router's sessions":
                if self.net.internet.routers[router].kind == "bird":
                    self.net.lab.birdc(router, "restart", "all")
                else:
                    self.net.lab.vtysh(router, "clear bgp *")
            case "cut a line between networks":
                self.net.lab.cut(*self._line(strike))
            case "drain":
                self._drains.append(self.net.fleet.popen("drain", strike.node))

    def _mend(self, strike: Strike) -> None:
        router = self._router(strike.node)
        match strike.action:
            case "cut the link":
                self.net.lab.mend(strike.node, router)
                self._dead.pop((strike.node, "cut"), None)
            case "pull the cable":
                self.net.lab.set_carrier(strike.node, router, up=True)
                self._dead.pop((strike.node, "pulled"), None)
            case "end the session at the router":
                self.net.lab.enable(router, strike.node)
            case "cut a line between networks":
                self.net.lab.mend(*self._line(strike))
            case "drain":
                self._drains.append(self.net.fleet.popen("undrain", strike.node))
            case _:
                self._send(signal.SIGCONT, self._stopped.pop((strike.node, strike.action), []))
                for why in {"stop the supervisor": ["stopped"], "stop all workers": ["without workers"]}.get(
                    strike.action, []
                ):
                    self._dead.pop((strike.node, why), None)

    def _stop(self, strike: Strike, pids: list[int]) -> None:
        self._stopped[strike.node, strike.action] = pids
        self._send(signal.SIGSTOP, pids)

    def _send(self, number: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    # --- the stand-in for systemd ---

    def _restart_ended(self) -> None:
        for name, node in self.net.fleet.nodes.items():
            if name not in self._starting and node.process is not None and node.process.poll() is not None:
                self._starting.add(name)
                self._at(self._now() + RESTART_S, lambda node=node: self._start(node))  # type: ignore[misc]

    def _start(self, node: FleetNode) -> None:
        # systemd ends with SIGKILL what a service left behind; only what we stopped is left to it.
        stopped = [pid for (name, _), pids in self._stopped.items() if name == node.name for pid in pids]
        self._send(signal.SIGKILL, stopped)
        node.kill()
        self._marks[node.name] = node.mark()
        node.start(wait=False)
        for why in ("killed", "stopped", "without workers"):
            self._dead.pop((node.name, why), None)
        self._starting.discard(node.name)

    def _leave_behind(self, node: FleetNode) -> None:
        assert node.process is not None
        for pid in descendants(node.process.pid):
            self._left_behind[pid] = (node.name, self._now())

    # --- what must not be ---

    def dead(self, node: str, why: str, since_s: float) -> None:
        """From so many seconds after the begin on no packet is to go there."""
        self._dead[node, why] = since_s

    def look(self) -> None:
        """At what must not be, of this moment."""
        for (node, why), since in list(self._dead.items()):
            if self._now() - since < DEAD_S:
                continue
            for prefix in map(str, self.net.internet.prefixes):
                if node in self.net.lab.route(self._router(node), prefix):
                    self._problem(
                        f"{node} is {why} for {self._now() - since:.1f} s, and its router sends {prefix} there"
                    )
        for pid, (node, since) in list(self._left_behind.items()):
            if not _is_alive(pid):
                del self._left_behind[pid]
            elif self._now() - since > ORPHAN_S and not any(pid in pids for pids in self._stopped.values()):
                self._problem(f"{node}: the process {pid} is left over {ORPHAN_S:g} s after its supervisor ended")
        self._look_for_strangers()

    def _look_for_strangers(self) -> None:
        """Prefixes that nobody allowed: BIRD counts those that its filters kept out."""
        for router in self.net.internet.routers.values():
            for node in (each for each in self.net.internet.neighbors(router.place) if each.node):
                if router.kind == "frr":
                    continue  # which counts nothing; its nodes are the same as the others
                lines = self.net.lab.birdc(router.place, "show", "protocols", "all", session_name(node, "ipv4"))
                for line in lines.splitlines():
                    match line.split():
                        case ["Import", "updates:", _, rejected, filtered, *_] if (rejected, filtered) != ("0", "0"):
                            self._problem(f"{router.place} was told of what nobody may announce: {line.strip()}")

    def _problem(self, text: str) -> None:
        self.problems.append(text)
        self.said(f"{self._now():7.1f} s  PROBLEM: {text}")

    # --- the end ---

    def _settle(self) -> None:
        """Everything is mended: what nodes and routers make of that."""
        self.said(f"{self._now():7.1f} s  all is mended")
        for pids in self._stopped.values():
            self._send(signal.SIGCONT, pids)
        for process in self._drains:
            process.communicate()
        for name, node in self.net.fleet.nodes.items():
            if node.process is None or node.process.poll() is not None:
                self._start(node)
            node.wait_for(lambda event: event.get("event") == "node.ready", since=self._marks.get(name, 0))
            self.net.fleet.run("undrain", name, check=False)
        for name, node in self.net.fleet.nodes.items():
            if any(each["state"] == "hold-down" for each in self._prefixes(name)):
                self.said(f"{self._now():7.1f} s  {name} holds back for its faults, and is started anew")
                self.done["started anew at the end, since it held back"] += 1
                node.stop()
                node.start()
        for name in self.net.fleet.nodes:
            try:
                wait(lambda name=name: self._is_as_desired(name), SETTLE_S, "")  # type: ignore[misc]
            except TimeoutError:
                self._problem(f"{name} wants {self._prefixes(name)}, and {self._router(name)} has {self._seen(name)}")
        for name, node in self.net.fleet.nodes.items():
            assert node.process is not None
            own = {node.process.pid, *descendants(node.process.pid)}
            here = set(map(int, _pids(self.net.lab.namespace(name))))
            try:
                wait(lambda here=here, own=own: not any(map(_is_alive, here - own)), ORPHAN_S, "")  # type: ignore[misc]
            except TimeoutError:
                self._problem(f"{name}: processes without a supervisor: {sorted(filter(_is_alive, here - own))}")

    def _is_as_desired(self, node: str) -> bool:
        """Each prefix is wanted, as usual, and is at the router like that."""
        wanted = {each["prefix"]: each["desired"] for each in self._prefixes(node)}
        return wanted == dict.fromkeys(map(str, self.net.internet.prefixes), "plain") and self._seen(node) == wanted

    def _seen(self, node: str) -> dict[str, str]:
        found = {}
        for prefix in map(str, self.net.internet.prefixes):
            seen = self.net.lab.from_node(self._router(node), node, prefix)
            if seen is not None:
                found[prefix] = "last-resort" if GRACEFUL_SHUTDOWN in seen.communities else "plain"
        return found

    def _prefixes(self, node: str) -> list[dict[str, str]]:
        nodes = {each["name"]: each for each in self.net.fleet.status()["nodes"]}
        return list((nodes[node]["anycast"] or {"prefixes": []})["prefixes"])

    # --- helpers ---

    def _routes(self) -> dict[tuple[str, str], frozenset[str]]:
        """Where each router sends packets for each prefix."""
        prefixes = list(map(str, self.net.internet.prefixes))
        return {
            (place, prefix): self.net.lab.route(place, prefix)
            for place in self.net.internet.routers
            for prefix in prefixes
        }

    def _line(self, strike: Strike) -> tuple[str, str]:
        """Between two networks; chance may choose one that is cut already."""
        routers = self.net.internet.routers
        lines = [tuple(end.place for end in link.ends) for link in self.net.lab.topology.links]
        between = [(a, b) for a, b in lines if a in routers and b in routers]
        return between[int(strike.pick * len(between))]

    def _router(self, node: str) -> str:
        return next(end.neighbor for end in self.net.lab.topology.ends(node))

    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), act))

    def _now(self) -> float:
        return time.monotonic() - self._began


def _speaker(node: FleetNode) -> int | None:
    started = [each["pid"] for each in node.events if each.get("event") == "bgp.child-started"]
    return int(started[-1]) if started else None


def _pids(namespace: str) -> list[str]:
    done = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True)
    return done.stdout.split()


def _is_alive(pid: int) -> bool:
    """A zombie is waited for by whoever started it, and holds nothing."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextlib.contextmanager
def hogs(count: int) -> Iterator[None]:
    """Processes that compute all the while."""
    processes = [subprocess.Popen([sys.executable, "-c", _HOG]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10.0, help="of strikes; mending comes after")
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same plan")
    parser.add_argument("--pause", type=float, default=3.0, help="between two strikes, on average, in seconds")
    parser.add_argument("--hogs", type=int, default=2, help="processes that compute all the while")
    parser.add_argument("--json", action="store_true", help="the verdict as JSON")


def measure(arguments: argparse.Namespace) -> int:
    """0 if nothing was that must not be."""
    internet = Internet.load(INTERNET).but(bfd=BfdTimes(interval_ms=100, multiplier=3))
    seconds = arguments.minutes * 60
    with tempfile.TemporaryDirectory(prefix="edged-chaos-") as name:
        strikes = plan(arguments.seed, seconds, tuple(internet.nodes), arguments.pause)
        with anycast_internet(Path(name), internet, workers=2) as net, hogs(arguments.hogs):
            found = Chaos(net, _to_stderr)
            found.run(strikes, seconds)
    verdict = {
        "seed": arguments.seed,
        "minutes": arguments.minutes,
        "done": dict(found.done),
        "problems": found.problems,
    }
    if arguments.json:
        print(json.dumps(verdict, indent=2))
    else:
        print(f"{found.done.total()} strikes: " + ", ".join(f"{count} x {name}" for name, count in found.done.items()))
        print("\n".join(found.problems) or "nothing was left over, nothing stale; every router has what its node wants")
    return 1 if found.problems else 0


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
