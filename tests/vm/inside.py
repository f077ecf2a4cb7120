"""What is looked at in the machine, by its agent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from provisioning import paths
from tests.vm.channel import Agent, Output
from tests.vm.report import Check

_LOGGED = re.compile(r"\[(?:WARNING|ERROR|CRITICAL)\]")


@dataclass(frozen=True, slots=True)
class _Look:
    name: str
    command: tuple[str, ...]
    is_well: Callable[[Output], bool]


def _succeeds(output: Output) -> bool:
    return output.status == 0


def _is_silent(output: Output) -> bool:
    return not output.stdout.strip()


_LOOKS = (
    _Look("edged doctor", (str(paths.COMMAND), "doctor"), _succeeds),
    _Look(
        "cloud-init status",
        ("cloud-init", "status", "--long"),
        lambda output: output.status == 0 and "status: done" in output.stdout,
    ),
    # It says what it would rather not read any more, and ends with 0.
    _Look(
        "cloud-init schema",
        ("cloud-init", "schema", "--system"),
        lambda output: output.status == 0 and "eprecat" not in output.stdout + output.stderr,
    ),
    _Look(
        "cloud-init warnings",
        ("grep", "-E", _LOGGED.pattern.replace("(?:", "("), "/var/log/cloud-init.log"),
        _is_silent,
    ),
    _Look("units that failed", ("systemctl", "--failed", "--no-legend", "--plain"), _is_silent),
    _Look("exposure", ("sh", "-c", "systemd-analyze security --no-pager edged.service | tail -n 1"), _succeeds),
)


def look_inside(agent: Agent) -> Iterator[Check]:
    """All that is to be well in a machine that serves."""
    for look in _LOOKS:
        output = agent.run(*look.command, check=False)
        yield Check(look.name, look.is_well(output), (output.stdout + output.stderr).strip())


def fetch_state(agent: Agent) -> str:
    """How the bringing of the binary goes; "" before it has begun."""
    text = agent.run("cat", str(paths.FETCH_STATE), check=False).stdout
    return next((line.removeprefix("state=") for line in text.splitlines() if line.startswith("state=")), "")
