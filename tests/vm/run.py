"""The scenarios: a machine that becomes a node with no hand on it, and what may be in its way.

Each has a network, a fleet and a machine of its own, and leaves nothing. What the machine said last is kept.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provisioning import paths
from tests.vm.image import Image
from tests.vm.inside import fetch_state, look_inside
from tests.vm.machine import Accel, Machine
from tests.vm.network import HOME, NIC, ROUTER
from tests.vm.report import Check, Report
from tests.vm.start import Watch
from tests.vm.world import Source, World, standing

START_TIMEOUT_S = 900.0
"""From the power to everything; one that is emulated on a busy machine took 120."""

_HOLD_S: Mapping[Accel, int] = {"kvm": 9, "tcg": 90}
"""Of the session. Time passes more slowly in an emulated machine than at the router."""

_STOP_TIMEOUT_S = 240.0
_FAILURE_TIMEOUT_S = 600.0


@dataclass
class Trial:
    """A machine in its world, and what is found.

    Attributes:
        begun: `time.monotonic()`, from which progress counts.
    """

    report: Report
    world: World
    machine: Machine
    begun: float
    tell: Callable[[str], None]

    def say(self, text: str) -> None:
        self.tell(f"{time.monotonic() - self.begun:7.1f} s  {self.report.scenario}: {text}")

    @contextlib.contextmanager
    def watch(self, name: str) -> Iterator[Watch]:
        """One start; leaving the block waits until the machine serves and announces."""
        with Watch(name, self.world.net, self.machine.console, self.world.folder, self.say) as watch:
            self.report.starts.append(watch.start)
            yield watch
            watch.wait(START_TIMEOUT_S)
            self.machine.agent.wait(START_TIMEOUT_S)
            watch.read_journal(self.machine.agent)

    def power_on(self, watch: Watch, *options: str, link: bool = True, is_stolen: bool = False) -> None:
        """Args:
        options: of `edged provision render`.
        link: see `Machine.power_on`.
        is_stolen: somebody else has used its voucher by then.
        """
        seed, its_voucher = self.world.seed(*options)
        if is_stolen:
            self.world.steal(its_voucher)
            self.say("its voucher has been used by somebody else")
        self.say("power on")
        watch.begun(self.machine.power_on(seed, link=link))

    def wait_inside(self, watch: Watch, wanted: Callable[[], bool], what: str) -> None:
        """Until something is so in the machine."""
        self.machine.agent.wait(START_TIMEOUT_S)
        watch.wait(_FAILURE_TIMEOUT_S, wanted)
        self.say(what)

    def look_inside(self, when: str) -> None:
        """All that is to be well in a machine that serves."""
        for check in look_inside(self.machine.agent):
            self.add(Check(f"{when}: {check.name}", check.is_well, check.text))

    def doctor_explains(self, when: str, *words: str) -> None:
        """`edged doctor` finds a problem, and says these words of it."""
        done = self.machine.agent.run(str(paths.COMMAND), "doctor", check=False)
        text = done.stdout + done.stderr
        said = " ".join(text.split()).lower()
        self.add(Check(f"{when}: doctor explains it", done.status != 0 and all(word in said for word in words), text))

    def add(self, check: Check) -> None:
        self.report.checks.append(check)
        self.say(f"{check.name}: {'well' if check.is_well else 'NOT WELL'}\n{check.text.rstrip()}")


def boot(trial: Trial) -> None:
    """From nothing; then a reboot, and the reset button while nobody is there who could help."""
    agent = trial.machine.agent
    with trial.watch("power-on") as watch:
        trial.power_on(watch)
    trial.look_inside("power-on")
    with trial.watch("reboot") as watch:
        trial.say("reboot")
        agent.shutdown("reboot")
        watch.begun(trial.machine.monitor.wait_event("RESET", _STOP_TIMEOUT_S))
    trial.look_inside("reboot")
    trial.world.leave_alone()
    with trial.watch("reset, alone") as watch:
        trial.say("reset; the other node and the server of files are off")
        trial.machine.reset()
        watch.begun(trial.machine.monitor.wait_event("RESET", _STOP_TIMEOUT_S))
    trial.look_inside("reset")
    trial.say("power off, by its button")
    trial.machine.press_power()
    trial.machine.wait_end(_STOP_TIMEOUT_S)


def digest(trial: Trial) -> None:
    """The server has another file than the one whose sha256 was given; then the right one."""
    trial.world.serve(b"#!/bin/sh\necho this is not edged\n")
    with trial.watch("wrong digest") as watch:
        trial.power_on(watch)
        trial.wait_inside(watch, lambda: fetch_state(trial.machine.agent) == "wrong-digest", "refused")
        trial.doctor_explains("wrong digest", "sha256")
        trial.world.serve(trial.world.binary)
        trial.say("the server has the right one")
    trial.look_inside("right digest")


def network(trial: Trial) -> None:
    """Its cable is not plugged in at the first start; then it is."""
    with trial.watch("no network") as watch:
        trial.power_on(watch, link=False)
        trial.wait_inside(watch, lambda: fetch_state(trial.machine.agent) == "unreachable", "nobody is reached")
        trial.doctor_explains("no network", "reach")
        trial.machine.set_link(True)
        trial.say("the cable is plugged in")
    trial.look_inside("network")


def voucher(trial: Trial) -> None:
    """Its voucher has expired before it was there; then it is given another."""
    with trial.watch("voucher expired") as watch:
        trial.power_on(watch, "--good-for", "1s")
        trial.wait_inside(watch, lambda: _failed(trial), "the node does not join")
        trial.doctor_explains("voucher expired", "voucher", "expired")
        trial.machine.agent.write(str(paths.VOUCHER), trial.world.voucher() + "\n")
        trial.say("a new voucher is there")
    trial.look_inside("new voucher")


def stolen(trial: Trial) -> None:
    """Somebody else has joined with its voucher; then it is given another."""
    with trial.watch("voucher stolen") as watch:
        trial.power_on(watch, is_stolen=True)
        trial.wait_inside(watch, lambda: _failed(trial), "the node does not join")
        trial.doctor_explains("voucher stolen", "voucher", "used")
        trial.machine.agent.write(str(paths.VOUCHER), trial.world.voucher() + "\n")
        trial.say("a new voucher is there")
    trial.look_inside("new voucher")


def _failed(trial: Trial) -> bool:
    return trial.machine.agent.run("test", "-s", str(paths.FAILURE), check=False).status == 0


SCENARIOS: Mapping[str, tuple[Callable[[Trial], None], Source]] = {
    "boot": (boot, "peer"),
    "digest": (digest, "server"),
    "network": (network, "server"),
    "voucher": (voucher, "peer"),
    "stolen": (stolen, "peer"),
}


def run(scenario: str, image: Image, binary: Path, *, accel: Accel, kept: Path, tell: Callable[[str], None]) -> Report:
    """One scenario, from nothing to nothing.

    Args:
        kept: folder for what the machine said; made anew.
    """
    report = Report(scenario)
    story, source = SCENARIOS[scenario]
    begun = time.monotonic()
    shutil.rmtree(kept, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="edged-vm-") as name:
        folder = Path(name)
        with standing(folder / "world", binary, source, _HOLD_S[accel]) as world:

            def start(command: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
                return world.net.start(ROUTER, command, log=log)

            with Machine(image, folder, start, NIC, accel) as machine:
                trial = Trial(report, world, machine, begun, tell)
                try:
                    story(trial)
                except (OSError, RuntimeError, AssertionError) as error:
                    report.error = str(error)
                    trial.say(f"NOT WELL: {error}")
                finally:
                    _keep(trial, kept)
    return report


def _keep(trial: Trial, kept: Path) -> None:
    """What the machine said, for whoever wants to know why."""
    trial.machine.keep(kept)
    for source in (trial.world.folder / "bird.log", trial.world.fleet[HOME].folder / "log"):
        shutil.copyfile(source, kept / (source.name if source.suffix else f"{HOME}.log"))
    with contextlib.suppress(OSError, RuntimeError):
        journal = trial.machine.agent.run("journalctl", "--no-pager", "-o", "short-precise").stdout
        (kept / "journal.log").write_text(journal)
