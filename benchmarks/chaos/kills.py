"""A supervisor that is killed again and again while releases arrive: what is on its disk, and whether it starts.

    releases ──> two nodes ──> the victim: kill -9 at a moment of MOMENTS, at random, or while it starts
                                  │
       nothing damaged, nothing older than before or than what it acknowledged <── on_disk.py ── its state folder
                                  │
                               started again: it must be ready, and answer

Both nodes are on loopback, on the disk of this machine. At the end both must have the same records.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos.moments import MOMENTS, NOT_COME, has_come
from benchmarks.chaos.on_disk import OnDisk, below, older, read
from benchmarks.chaos.releases import Releases
from benchmarks.chaos.run_folder import run_folder
from edged.fleet.record import Key, Version
from tests.fleets import Event, Fleet, FleetNode, app_folder, descendants, fleet_on_loopback, saying

REGIONS = {"eu-1": "eu", "us-1": "us"}
VICTIM, OTHER = REGIONS
APPS = ("asked", "told")
AT_RANDOM, STARTING = "at random", "while it starts"
_MOMENT_S = 15.0
"""Until a moment that does not come is given up, and the node killed as it is."""
_RANDOM_S, _STARTING_S, _LATER_S = 2.0, 4.0, 0.03
_PAUSE_S = 0.3
_PUSHES_MAX, _PUSH_S = 3, 120
_STARTS_MAX = 3
"""Tries to start it, of which each that fails is a problem, until the run is given up."""
ALARMS = {"rollout.damaged", "rollout.broken", "alarm.raised", "link.handler-failed", "storage.chunk-corrupt"}
"""Lines of the log that nothing but a mistake of edged's, or a damaged disk, can bring about here."""
EXPECTED_ALARMS = {"fleet.record-conflict"}
"""Two records of one number: the node was killed between its answer and telling the other, where the next was made."""


@dataclass
class Kills:
    """One run.

    Args:
        said: told each thing that is done.

    Attributes:
        problems: what must not be, as it was seen.
        done: kills by moment.
        conflicts: numbers that two records had.
        started_s: how long each start took.
        pushed_anew: why the last release of an app had to be pushed again.
    """

    fleet: Fleet
    releases: Releases
    rng: random.Random
    said: Callable[[str], None]
    problems: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0
    started_s: list[float] = field(default_factory=list)
    pushed_anew: list[str] = field(default_factory=list)
    _found: OnDisk | None = None

    @property
    def node(self) -> FleetNode:
        return self.fleet[VICTIM]

    def run(self, count: int) -> None:
        """All kills; the node is ready when this returns."""
        for number in range(1, count + 1):
            name = self.rng.choice([*MOMENTS, AT_RANDOM, STARTING])
            mark = self.node.mark()
            name = self._kill(name)
            self.done[name] += 1
            self._look(number, mark)
            self._start()
            self.said(f"{number:4} {name}: {_shown(self._found)}")

    def settle(self) -> None:
        """The releases have ended: both nodes come to the same, and serve it."""
        for app in APPS:
            folder = app_folder(self.fleet.folder / "last" / app, app, saying("last"))
            self._push_last(app, folder)
        for node in self.fleet.nodes.values():
            for app in APPS:
                if (answer := node.get(host=f"{app}.edged.localhost")) != (200, b"last"):
                    self._problem(f"{node.name} answers {answer} for {app} at the end")
        self.fleet.wait_status(lambda status: all(node["in_sync"] for node in status["nodes"]))
        found = {}
        for node in self.fleet.nodes.values():
            if (status := node.stop()) != 0:
                self._problem(f"{node.name} ended with status {status}")
            found[node.name] = read(node.state, self.fleet.folder / "scratch")
            self.problems += [f"{node.name}: {problem}" for problem in found[node.name].problems]
            lost = below(self.releases.newest(), found[node.name].versions, "acknowledged, and lost:")
            self.problems += [f"{node.name}: {problem}" for problem in lost]
        if found[VICTIM].digests != found[OTHER].digests:
            self._problem(f"the two have different records: {found[VICTIM].versions}, {found[OTHER].versions}")

    def _push_last(self, app: str, folder: Path) -> None:
        """Until it is live at both. The node that is pushed to may lack the newest of the other one yet, and sign its
        number again; then each keeps the one that it had first, and the next push gives both the same."""
        for _ in range(_PUSHES_MAX):
            done = self.fleet.push(folder, "--timeout", str(_PUSH_S), check=False)
            if done.status == 0:
                return
            self.pushed_anew.append(f"{app}: {done.stderr.strip()}")
        self._problem(f"the last release of {app} did not get around: {self.fleet.status()}")

    # --- one kill ---

    def _kill(self, name: str) -> str:
        """At a moment, the supervisor; its children with it or not. What it was, where the moment did not come."""
        if name == STARTING:
            self.node.kill()
            self.node.start(wait=False)
        assert self.node.process is not None
        pid = self.node.process.pid
        moment = MOMENTS.get(name)
        with_children, later_s = self.rng.random() < 0.5, self.rng.uniform(0, _LATER_S)
        children = descendants(pid)
        if moment is not None:
            name = name if has_come(self.node, moment, _MOMENT_S) else NOT_COME.format(name)
        else:
            later_s = self.rng.uniform(0, _STARTING_S if name == STARTING else _RANDOM_S)
        time.sleep(later_s)
        os.kill(pid, signal.SIGKILL)
        for child in children if with_children else ():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self.node.kill()  # there is nothing left to kill; it is waited for
        return name

    def _look(self, number: int, mark: int) -> None:
        """At the disk of the dead, and at what it had said."""
        found = read(self.node.state, self.fleet.folder / "scratch")
        problems = list(found.problems)
        if self._found is not None:
            problems += older(self._found, found)
        problems += below(self.releases.newest(VICTIM), found.versions, "acknowledged, and not on disk:")
        problems += below(_accepted(self.node.events), found.versions, "said to be accepted, and not on disk:")
        for event in self.node.events[mark:]:
            if event.get("event") in ALARMS and event.get("code") not in EXPECTED_ALARMS:
                problems.append(f"it said {event}")
            if event.get("event") == "alarm.raised" and event.get("code") in EXPECTED_ALARMS:
                self.conflicts += 1
            if "Traceback" in str(event.get("text", "")):
                problems.append(f"it said {event['text']}")
        for problem in problems:
            self._problem(f"kill {number}: {problem}")
        self._found = found

    def _start(self) -> None:
        for _ in range(_STARTS_MAX):
            began, mark = time.monotonic(), self.node.mark()
            self.node.start(wait=False)
            try:
                self.node.wait_for(_is_ready, since=mark)
            except AssertionError as error:
                self._problem(f"it did not start: {error}")
                self.node.kill()
            else:
                self.started_s.append(time.monotonic() - began)
                break
        else:
            raise RuntimeError(f"it did not start in {_STARTS_MAX} tries")
        for app in APPS:
            status, body = self.node.get(host=f"{app}.edged.localhost")
            if status != 200:
                self._problem(f"it answers {status} for {app} after its start: {body!r}")

    def _problem(self, text: str) -> None:
        self.problems.append(text)
        self.said(f"PROBLEM: {text}")


def killed(folder: Path, count: int, seed: int, said: Callable[[str], None]) -> dict[str, Any]:
    """The verdict of one run."""
    with fleet_on_loopback(folder / "fleet", REGIONS) as fleet:
        for app in APPS:
            fleet.push(app_folder(folder / "first" / app, app, saying("0000")))
        releases = Releases(fleet, folder / "apps", APPS, seed=seed, pause_s=_PAUSE_S)
        kills = Kills(fleet, releases, random.Random(seed), said)
        with releases:
            kills.run(count)
        kills.settle()
    return {
        "seed": seed,
        "kills": dict(sorted(kills.done.items())),
        "acknowledged": len(releases.acknowledged),
        "refused": dict(releases.refused),
        "conflicts": kills.conflicts,
        "pushed_anew": kills.pushed_anew,
        "sequences": {key.name: version.sequence for key, version in releases.newest().items()},
        "start_s_median": round(statistics.median(kills.started_s), 2),
        "start_s_max": round(max(kills.started_s), 2),
        "problems": kills.problems,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=200, help="how many kills")
    parser.add_argument("--seed", type=int, default=1, help="the same seed is the same moments and releases")
    parser.add_argument("--json", action="store_true", help="the verdict as JSON")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep all files of the run there")


def measure(arguments: argparse.Namespace) -> int:
    """0 if nothing was that must not be."""
    with run_folder(arguments.logs) as folder:
        verdict = killed(folder, arguments.count, arguments.seed, _to_stderr)
    if arguments.json:
        print(json.dumps(verdict, indent=2))
    else:
        print(to_markdown(verdict))
    return 1 if verdict["problems"] else 0


def to_markdown(verdict: Mapping[str, Any]) -> str:
    """A line for each moment, and what came of all."""
    lines = ["| killed when | times |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in verdict["kills"].items()]
    sequences = ", ".join(f"{name} at sequence {sequence}" for name, sequence in verdict["sequences"].items())
    lines += [
        "",
        f"{sum(verdict['kills'].values())} kills, {verdict['acknowledged']} releases acknowledged: {sequences};"
        f" {sum(verdict['refused'].values())} tries came to nothing, {verdict['conflicts']} numbers had two records.",
        f"A start took {verdict['start_s_median']} s (median), {verdict['start_s_max']} s at most.",
        *(f"Pushed again at the end: {why}." for why in verdict["pushed_anew"]),
        *(verdict["problems"] or ["Nothing was damaged, lost or older than before, and every start succeeded."]),
    ]
    return "\n".join(lines)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _accepted(events: list[Event]) -> Mapping[Key, Version]:
    """What a node said that it accepted, in all its lives."""
    found: dict[Key, Version] = {}
    for event in events:
        if event.get("event") == "record.accepted":
            key, version = Key(event["kind"], event["name"]), Version(*event["version"])
            found[key] = max(version, found.get(key, version))
    return found


def _is_ready(event: Event) -> bool:
    return event.get("event") == "node.ready"


def _shown(found: OnDisk | None) -> str:
    assert found is not None
    live = (f"{app} {version.sequence}" for app, version in sorted(found.live.items()))
    return f"live {', '.join(live)}"
