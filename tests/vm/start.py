"""One start of the machine, watched from outside until it serves: what happened when, in seconds from the power."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import client
from tests.vm.channel import Agent
from tests.vm.network import CLIENT, MACHINE_ADDRESSES, PREFIXES, Network
from tests.vm.world import BODY, HOST, HTTP_PORT

STAGES = ("kernel", "cloud-init", "session", "answer", "anycast", "anycast6")
"""As seen from outside. kernel: its first line. cloud-init: has ended, by its own word. session: Established at BIRD.
answer: the first of the app, to a client, at the machine's own address; anycast: at the service's, by the route that
BGP brought."""

OWN_STAGES = ("binary", "joined", "ready")
"""As only the machine knows. binary: brought, checked, unpacked. joined: let in by a node of the fleet. ready: systemd
has been told so."""

_STARTED = "39f53479d3a045ac8e11786248231fbf"
"""MESSAGE_ID of systemd's word that a unit is there: ready, or done if it is a oneshot."""

_UNITS = {"edged-fetch.service": "binary", "edged.service": "ready"}
_JOINED = "node.joined"
_CONSOLE = {"kernel": re.compile(rb"Linux version "), "cloud-init": re.compile(rb"Cloud-init v\. \S+ finished at")}
_POLL_S = 0.25
_RATE = 2.0
_ASK_TIMEOUT_S = 20.0


@dataclass
class Start:
    """Attributes:
    name: of the start.
    at: when, `time.time()`.
    seconds: since then, by stage; those that did not happen are not there.
    own_seconds: by the machine's own clock since its kernel began, by stage.
    """

    name: str
    at: float
    seconds: dict[str, float] = field(default_factory=dict)
    own_seconds: dict[str, float] = field(default_factory=dict)


class Watch:
    """Looks at one start. A context manager: clients ask until they are answered, or it is left.

    Args:
        console: of the machine; what is in it now is of starts before.
        say: is told of each stage.
    """

    def __init__(self, name: str, net: Network, console: Path, folder: Path, say: Callable[[str], None]) -> None:
        self.start = Start(name, time.time())
        self._net = net
        self._console = console
        self._offset = console.stat().st_size if console.exists() else 0
        self._folder = folder
        self._say = say
        addresses = {
            "answer": MACHINE_ADDRESSES[0],
            "anycast": str(PREFIXES[0].network_address),
            "anycast6": str(PREFIXES[1].network_address),
        }
        self._clients = {
            stage: Asking(net, address, folder / f"{name}-{stage}") for stage, address in addresses.items()
        }

    def __enter__(self) -> Self:
        for asking in self._clients.values():
            asking.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for asking in self._clients.values():
            asking.end()

    def begun(self, at: float) -> None:
        """The machine got its power."""
        self.start.at = at

    def wait(self, timeout_s: float, until: Callable[[], bool] | None = None) -> None:
        """Until all that is seen from outside has happened, or something else is so.

        Raises:
            TimeoutError: with what did not happen.
        """
        deadline = time.monotonic() + timeout_s
        while until is None or not until():
            missing = [stage for stage in STAGES if stage not in self.start.seconds]
            for stage in missing:
                at = self._seen(stage)
                if at is not None and at >= self.start.at:
                    self.start.seconds[stage] = at - self.start.at
                    if stage in self._clients:
                        self._clients[stage].end()
                    self._say(f"{self.start.name}: {stage}")
                    missing.remove(stage)
                    break
            else:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.start.name}: no {', '.join(missing)} in {timeout_s:.0f} s")
                threading.Event().wait(_POLL_S)
            if not missing and until is None:
                return

    def read_journal(self, agent: Agent) -> None:
        """The stages that only the machine knows."""
        units = ["-u", "edged", "-u", "edged-fetch"]
        fields = "--output-fields=MESSAGE,MESSAGE_ID,UNIT"
        text = agent.run("journalctl", "-b", "-o", "json", fields, *units).stdout
        self.start.own_seconds.update(journal_stages(text))

    def _seen(self, stage: str) -> float | None:
        """When, as far as that is known; None for not yet."""
        if stage in self._clients:
            return self._clients[stage].answered_at(self.start.at)
        if stage == "session":
            # The router keeps the session of before, until its hold time is over.
            kernel_s, at = self.start.seconds.get("kernel"), self._net.established_at()
            return None if kernel_s is None or at is None or at < self.start.at + kernel_s else at
        with self._console.open("rb") as file:
            file.seek(self._offset)
            return time.time() if _CONSOLE[stage].search(file.read()) else None


class Asking:
    """A client who asks one address, again and again."""

    def __init__(self, net: Network, address: str, log: Path) -> None:
        self._net = net
        self._address = address
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        here = Path(__file__).parents[2]
        command = ["env", "-C", str(here), sys.executable, "-m", "tests.lab.client", self._address]
        options = ["--host", HOST, "--rate", str(_RATE), "--timeout", str(_ASK_TIMEOUT_S), "--seconds", "7200"]
        self._process = self._net.start(CLIENT, [*command, str(HTTP_PORT), *options], log=self._log)

    def answered_at(self, since: float) -> float | None:
        """When the first answer of the app to a request after `since` had come, `time.time()` both: before a reboot the
        machine still answers.
        """
        offset_s = time.time() - time.monotonic()
        with self._log.open() as lines:
            whole = (line for line in lines if line.endswith("\n"))
            answers = (client.parse(line) for line in whole if BODY in line)
            wanted = (each for each in answers if each.body == BODY and each.begun + offset_s >= since)
            return next((answer.ended + offset_s for answer in wanted), None)

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._net.end(process)


def journal_stages(text: str) -> Mapping[str, float]:
    """When what happened, in seconds since the machine's kernel began: the first of each.

    Args:
        text: of `journalctl -o json`.
    """
    found: dict[str, float] = {}
    for line in text.splitlines():
        record = json.loads(line)
        if (stage := _stage(record)) is not None:
            found.setdefault(stage, int(record["__MONOTONIC_TIMESTAMP"]) / 1e6)
    return found


def _stage(record: Mapping[str, object]) -> str | None:
    if record.get("MESSAGE_ID") == _STARTED:
        return _UNITS.get(str(record.get("UNIT")))
    message = record.get("MESSAGE")
    # What is not text comes as a list of numbers.
    if not isinstance(message, str) or not message.startswith("{"):
        return None
    try:
        said = json.loads(message)
    except ValueError:
        return None
    return "joined" if said.get("event") == _JOINED else None
