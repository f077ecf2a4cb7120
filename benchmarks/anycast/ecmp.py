"""Four nodes behind one router that spreads flows over them: which flows break when one node leaves.

`edged drain` and `kill -9` of all of one node, with what BIRD gives the kernel (`merge paths`: flows are dealt anew
among those who stay), and with a resilient group of next hops, which deals only what the one who leaves had.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.anycast import flows
from benchmarks.anycast.flows import End, Flow
from tests.anycast_net import PORT, AnycastNet, anycast_internet
from tests.lab.anycast import AnycastLab
from tests.lab.internet import Internet

_INTERNET = Path(__file__).parents[2] / "tests" / "lab" / "ecmp.toml"
_ROUTER, _CLIENT, _LEAVES = "ams", "c-ams", "ams-2"
_GROUP = 100
_BUCKETS, _IDLE_S = 128, 30
_SECONDS = 14.0
_BEFORE_S = 2.0


@dataclass(frozen=True, slots=True)
class Trial:
    """Attributes:
    flows: of all nodes.
    """

    case: str
    flows: tuple[Flow, ...]

    def count(self, end: End, *, of_leaving: bool) -> int:
        return sum(flow.end == end and (flow.node == _LEAVES) is of_leaving for flow in self.flows)


@contextmanager
def resilient(lab: AnycastLab, prefix: str) -> Iterator[None]:
    """A group of next hops in front of what BIRD installed, that follows it: a script on the router would do the same.

    A route of a lower metric than BIRD's leads to the group, which always has the next hops that BIRD has.
    """
    hops = {node: index for index, node in enumerate(lab.internet.nodes, start=1)}
    ends = {end.neighbor: end for end in lab.topology.ends(_ROUTER)}
    ip: Callable[..., str] = lambda *words: lab.run(_ROUTER, ["ip", *words])  # noqa: E731 - a word, not a function
    for node, index in hops.items():
        ip("nexthop", "add", "id", str(index), "via", str(ends[node].other), "dev", ends[node].interface)
    kind = ["type", "resilient", "buckets", str(_BUCKETS), "idle_timer", str(_IDLE_S)]

    def members() -> str:
        return "/".join(str(hops[node]) for node in sorted(_bird_hops(lab, prefix)))

    ip("nexthop", "add", "id", str(_GROUP), "group", members(), *kind)
    ip("route", "add", prefix, "nhid", str(_GROUP), "metric", "1")
    command = ["ip", "netns", "exec", lab.namespace(_ROUTER), "ip", "-o", "monitor", "route"]
    monitor = subprocess.Popen(command, stdout=subprocess.PIPE)

    def follow() -> None:
        assert monitor.stdout is not None
        last = members()
        for _ in monitor.stdout:
            now = members()
            if now not in ("", last):
                ip("nexthop", "replace", "id", str(_GROUP), "group", now, *kind)
                last = now

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        monitor.kill()
        monitor.wait()
        follower.join()
        assert monitor.stdout is not None
        monitor.stdout.close()
        ip("route", "delete", prefix, "metric", "1")
        for index in (_GROUP, *hops.values()):
            ip("nexthop", "delete", "id", str(index))


def _bird_hops(lab: AnycastLab, prefix: str) -> frozenset[str]:
    routes = json.loads(lab.run(_ROUTER, ["ip", "-json", "route", "show", prefix, "proto", "bird"]) or "[]")
    return frozenset(
        hop["dev"].removeprefix("to-") for route in routes for hop in route.get("nexthops", [route]) if "dev" in hop
    )


def _drain(net: AnycastNet) -> None:
    net.fleet.run("drain", _LEAVES)


def _undrain(net: AnycastNet) -> None:
    net.fleet.run("undrain", _LEAVES)


def _kill(net: AnycastNet) -> None:
    net.fleet[_LEAVES].kill()


def _start(net: AnycastNet) -> None:
    net.fleet[_LEAVES].start()


@dataclass(frozen=True, slots=True)
class Case:
    title: str
    resilient: bool
    leave: Callable[[AnycastNet], None]
    come_back: Callable[[AnycastNet], None]


CASES = (
    Case("`edged drain`, BIRD's route", False, _drain, _undrain),
    Case("`edged drain`, resilient group", True, _drain, _undrain),
    Case("`kill -9` of all of it, BIRD's route", False, _kill, _start),
    Case("`kill -9` of all of it, resilient group", True, _kill, _start),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=3, help="of each case (%(default)s)")
    parser.add_argument("--flows", type=int, default=400, help="connections that are kept (%(default)s)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each run, in place of the table")


def measure(arguments: argparse.Namespace) -> int:
    internet = Internet.load(_INTERNET)
    # Each node is a region of its own, so that the app says which one answers.
    internet = replace(internet, nodes={node: node for node in internet.nodes})
    trials = []
    with tempfile.TemporaryDirectory(prefix="edged-ecmp-") as folder, anycast_internet(Path(folder), internet) as net:
        for run in range(1, arguments.runs + 1):
            for case in CASES:
                trials.append(_try(net, case, arguments.flows))
                _say(f"{run} of {arguments.runs}: {case.title}: {_ends(trials[-1])}")
                if arguments.json:
                    print(json.dumps({"case": case.title, **_ends(trials[-1])}), flush=True)
    if not arguments.json:
        print(to_markdown(trials))
    return 0


def _try(net: AnycastNet, case: Case, count: int) -> Trial:
    prefix = next(str(prefix) for prefix in net.internet.prefixes if prefix.version == 4)
    with resilient(net.lab, prefix) if case.resilient else nullcontext():
        command = ["env", "-C", str(Path(__file__).parents[2]), sys.executable, "-m", "benchmarks.anycast.flows"]
        command += [net.addresses[0], str(PORT), "--host", net.host, "--count", str(count), "--seconds", str(_SECONDS)]
        client = net.lab.start(_CLIENT, command)
        assert client.stdout is not None
        with client.stdout as lines:
            if lines.readline() != b"ready\n":
                raise RuntimeError("not every connection had an answer")
            threading.Event().wait(_BEFORE_S)
            case.leave(net)
            found = tuple(flows.parse(line.decode()) for line in lines)
        client.wait()
        case.come_back(net)
        net.wait_announced()
        net.lab.wait_route(_ROUTER, prefix, net.internet.nodes) if not case.resilient else None
    net.lab.wait_route(_ROUTER, prefix, net.internet.nodes)
    return Trial(case.title, found)


def _ends(trial: Trial) -> dict[str, int]:
    found = {}
    for whose, of_leaving in (("leaving", True), ("others", False)):
        for end in ("kept", "closed", "broken"):
            found[f"{whose} {end}"] = trial.count(end, of_leaving=of_leaving)
    return found


def to_markdown(trials: Sequence[Trial]) -> str:
    """A line for each case: medians of its runs, and the worst in brackets."""
    lines = [
        "| one of four leaves | its flows | ended between requests | broken | flows of the others | broken |",
        "|---|---|---|---|---|---|",
    ]
    for case in CASES:
        its = [_ends(trial) for trial in trials if trial.case == case.title]
        if not its:
            continue
        cells = [
            _figure([each["leaving kept"] + each["leaving closed"] + each["leaving broken"] for each in its]),
            _figure([each["leaving closed"] for each in its]),
            _figure([each["leaving broken"] for each in its]),
            _figure([each["others kept"] + each["others closed"] + each["others broken"] for each in its]),
            _figure([each["others broken"] for each in its]),
        ]
        lines.append(f"| {case.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(values: Sequence[int]) -> str:
    middle, worst = f"{median(values):g}", max(values)
    return middle if len(set(values)) == 1 else f"{middle} ({worst})"


def _say(text: str) -> None:
    print(text, file=sys.stderr)
