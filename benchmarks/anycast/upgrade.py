"""What clients lose when the node that answers them goes from one binary to another, and comes back.

    python -m benchmarks.anycast upgrade [--runs 5] [--rate 50] [--json]

Two regions (tests/lab/two_regions.toml), two builds of the one file. One client opens a connection for each request,
another keeps ten; both are at the node's router, which turns all packets at once as most routers do, or keeps flows on
their way (tests/lab/flow_keeper.py). The second build is the first that says another commit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from edged.upgrade.versions import Versions
from tests.anycast_net import AnycastNet, anycast_internet
from tests.edged_command import EDGED_BIN, edged_command
from tests.lab.client import Answer
from tests.lab.flow_keeper import keeping_flows
from tests.lab.internet import Internet
from tests.lab.lab import may_run
from tests.one_file import binary
from tests.upgrade.builds import another
from tests.upgrade.fake_systemd import FakeSystemd

INTERNET = Path(__file__).parents[2] / "tests" / "lab" / "two_regions.toml"
NODE, ROUTER, CLIENT, REGION = "ams-1", "ams", "c-ams", "ams"
RATE = 50.0
_BEFORE_S = 2.0
_AFTER_S = 4.0
"""Longer than clients wait for an answer: whatever began before the end has ended."""
_LONG_S = 600.0


@dataclass
class Site:
    """The lab, and what its nodes are started from.

    Attributes:
        old, new: sha256 of two builds.
        systemd: has the node, once `by_command` was there.
    """

    folder: Path
    net: AnycastNet
    versions: Versions
    old: str
    new: str
    systemd: FakeSystemd | None = None

    @property
    def pid(self) -> int:
        """Of the node, 0 for none."""
        if self.systemd is not None:
            return self.systemd.unit.pid
        process = self.net.fleet[NODE].process
        return 0 if process is None else process.pid

    def runs(self) -> str:
        """sha256 of the build that the node was started from, as its kernel knows."""
        environment = Path(f"/proc/{self.pid}/environ").read_bytes().split(b"\0")
        file = next(each for each in environment if each.startswith(b"EDGED_FILE="))
        return os.fsdecode(file).rpartition("/edged-")[2]

    def settle(self) -> None:
        """Until clients of the node's region come to it again."""
        for prefix in map(str, self.net.internet.prefixes):
            self.net.lab.wait_route(ROUTER, prefix, {NODE}, timeout_s=90.0)
        self.net.wait_answer(CLIENT, REGION)

    def other(self) -> str:
        """The build that is not in use."""
        return self.old if self.versions.current() == self.new else self.new


def drained(site: Site) -> None:
    """As an operator does it by hand."""
    node = site.net.fleet[NODE]
    site.net.fleet.run("drain", NODE)
    _ended(node.stop())
    site.versions.use(site.other())
    node.start()
    site.net.fleet.run("undrain", NODE)


def by_sigterm(site: Site) -> None:
    """The node leaves traffic by itself when it is told to stop."""
    node = site.net.fleet[NODE]
    site.versions.use(site.other())
    _ended(node.stop())
    node.start()


def by_command(site: Site) -> None:
    """`edged upgrade`, of a node below a systemctl."""
    assert site.systemd is not None, "below_systemd gives the node to it"
    options = ["--config", site.net.fleet[NODE].config, "--command", site.versions.command]
    options += ["--versions", site.versions.folder, "--json", site.versions.path(site.other())]
    environment = {**os.environ, **site.systemd.environment}
    done = subprocess.run(
        edged_command("upgrade", *options), env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"edged upgrade: {done.returncode}\n{done.stdout}{done.stderr}{site.systemd.log[-3000:]}")


@contextmanager
def below_systemd(site: Site) -> Iterator[None]:
    """While the block runs, a systemctl has the node."""
    node = site.net.fleet[NODE]
    if node.process is not None:
        _ended(node.stop())
    command = [str(site.versions.command), "node", "--config", str(node.config)]
    inside = ["ip", "netns", "exec", site.net.lab.namespace(NODE), *command]
    site.systemd = FakeSystemd(Path(tempfile.mkdtemp(dir=site.folder)) / "systemd", inside, site.versions.command)
    try:
        site.systemd.restart()
        site.settle()
        yield
    finally:
        site.systemd.unit.stop()
        site.systemd = None
        node.start()
        site.settle()


WAYS: dict[str, tuple[str, Callable[[Site], None]]] = {
    "drain": ("`edged drain`, stop, swap, start, `edged undrain`", drained),
    "sigterm": ("swap, SIGTERM, start", by_sigterm),
    "command": ("`edged upgrade`", by_command),
}


@contextmanager
def upgrade_site(folder: Path) -> Iterator[Site]:
    """Two regions whose nodes run one of two builds; gone after the block."""
    # The speaker gives up root, and goes on importing: folders of tests are closed to all but their user.
    open_folder = Path(tempfile.mkdtemp(prefix="edged-upgrade-"))
    open_folder.chmod(0o755)
    (open_folder / "bin").mkdir()
    versions = Versions(open_folder / "lib", open_folder / "bin" / "edged")
    before = {name: os.environ.get(name) for name in (EDGED_BIN, "EDGED_UNPACK_DIR")}
    try:
        first = binary()
        with versions.locked():
            old = versions.copy(first)
            new = versions.copy(another(first, folder / "another", "0" * 12, folder / "content"))
        versions.use(old)
        os.environ[EDGED_BIN] = str(versions.command)
        os.environ["EDGED_UNPACK_DIR"] = str(open_folder / "unpacked")
        with anycast_internet(folder / "net", Internet.load(INTERNET)) as net:
            site = Site(folder, net, versions, old, new)
            site.settle()
            yield site
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(open_folder)


@dataclass(frozen=True, slots=True)
class Trial:
    """One upgrade as clients saw it.

    Attributes:
        fresh, kept: answers on new connections, and on kept ones.
        away_s: from the beginning until the region answered again.
    """

    way: str
    keeps: bool
    fresh: tuple[Answer, ...]
    kept: tuple[Answer, ...]
    away_s: float

    def as_json(self) -> dict[str, object]:
        shape: dict[str, object] = {"way": self.way, "router_keeps_flows": self.keeps, "away_s": round(self.away_s, 2)}
        for name, answers in (("fresh", self.fresh), ("kept", self.kept)):
            shape[name] = {
                "sent": len(answers),
                "failed": Counter(each.failure for each in answers if each.failure),
                "slowest_s": round(max(each.took_s for each in answers), 3),
            }
        return shape


def during(site: Site, way: str, *, keeps: bool, rate: float = RATE) -> Trial:
    """An upgrade under load. The node runs the other build afterwards, and has all its clients."""
    pause = threading.Event()
    with (
        keeping_flows(site.net.lab, ROUTER) if keeps else nullcontext(),
        site.net.load([CLIENT], seconds=_LONG_S, rate=rate) as fresh,
        site.net.load([CLIENT], seconds=_LONG_S, rate=rate, kept=True) as kept,
    ):
        pause.wait(_BEFORE_S)
        began = time.monotonic()
        WAYS[way][1](site)
        site.settle()
        pause.wait(_AFTER_S)
        fresh.stop()
        kept.stop()
    answers = fresh.answers(CLIENT)
    last_elsewhere = max((each.begun for each in answers if each.body not in ("", REGION)), default=began)
    back = min((each.ended for each in answers if each.body == REGION and each.begun > last_elsewhere), default=began)
    return Trial(way, keeps, tuple(answers), tuple(kept.answers(CLIENT)), back - began)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=5, help="of each (%(default)s)")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second of each client (%(default)s)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each run, in place of the table")


def measure(arguments: argparse.Namespace) -> int:
    if reason := may_run("nft"):
        sys.stderr.write(f"no such lab here: {reason}\n")
        return os.EX_NOPERM
    trials = []
    with tempfile.TemporaryDirectory(prefix="edged-upgrade-") as folder, upgrade_site(Path(folder)) as site:
        for way in WAYS:
            with below_systemd(site) if way == "command" else nullcontext():
                for run in range(1, arguments.runs + 1):
                    for keeps in (True, False):
                        trial = during(site, way, keeps=keeps, rate=arguments.rate)
                        trials.append(trial)
                        line = json.dumps(trial.as_json())
                        (sys.stdout if arguments.json else sys.stderr).write(f"{line}\n")
                        sys.stderr.write(f"{way}: {run} of {arguments.runs}\n")
    if not arguments.json:
        sys.stdout.write(f"{to_markdown(trials)}\n")
    return 0


def to_markdown(trials: Sequence[Trial]) -> str:
    """A line for each way and kind of router; failures of all runs, of all requests that were sent."""
    lines = [
        "| upgrade | its clients' router | runs | failed, new connections | failed, kept connections | elsewhere, s |",
        "|---|---|---|---|---|---|",
    ]
    for way, (title, _) in WAYS.items():
        for keeps in (True, False):
            these = [trial for trial in trials if (trial.way, trial.keeps) == (way, keeps)]
            if these:
                router = "keeps flows" if keeps else "turns all at once"
                away = [trial.away_s for trial in these]
                fresh = _failed([each for trial in these for each in trial.fresh])
                kept = _failed([each for trial in these for each in trial.kept])
                figure = f"{median(away):.1f} ({max(away):.1f})"
                lines.append(f"| {title} | {router} | {len(these)} | {fresh} | {kept} | {figure} |")
    return "\n".join(lines)


def _failed(answers: Sequence[Answer]) -> str:
    kinds = Counter(each.failure for each in answers if each.failure)
    text = f"{kinds.total()} of {len(answers)}"
    return f"{text}: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}" if kinds else text


def _ended(status: int) -> None:
    if status:
        raise RuntimeError(f"{NODE} ended with {status}")
