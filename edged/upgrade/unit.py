"""The unit of systemd that runs a node, by systemctl(1)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from edged.errors import UpgradeImpossible, UpgradeUndone
from edged.limits import UPGRADE_RESTART_S_MAX, UPGRADE_SYSTEMCTL_S_MAX
from edged.upgrade.program import Done, run

_PROPERTIES = ("LoadState", "ActiveState", "MainPID", "NRestarts", "ExecStart")
_path = re.compile(r"path=(\S+) ;").search


@dataclass(frozen=True, slots=True)
class UnitState:
    """systemctl show.

    Attributes:
        active: `active`, `activating`, `inactive`, `failed` ...
        main_pid: 0 for none.
        restarts: by systemd itself, since somebody started it.
        program: that it starts; "" if that cannot be told.
    """

    active: str
    main_pid: int
    restarts: int
    program: str


class Unit:
    """
    Args:
        name: `edged.service`.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    async def state(self) -> UnitState:
        """
        Raises:
            UpgradeImpossible: there is no such unit, or no systemd.
        """
        properties = ",".join(_PROPERTIES)
        done = await self._systemctl("show", f"--property={properties}", timeout_s=UPGRADE_SYSTEMCTL_S_MAX)
        if done.status != 0:
            raise UpgradeImpossible(f"systemctl cannot be asked of {self.name}: {done.last_words}")
        return parse_state(self.name, done.output)

    async def restart(self) -> None:
        """Stop it, with its drain, and start it; returns when it has said that it is ready.

        Raises:
            UpgradeUndone: it did not come up.
        """
        # Starts that failed before may have used up what systemd allows of them.
        await self._systemctl("reset-failed", timeout_s=UPGRADE_SYSTEMCTL_S_MAX)
        done = await self._systemctl("restart", timeout_s=UPGRADE_RESTART_S_MAX)
        if done.status != 0:
            raise UpgradeUndone(f"{self.name} did not start: {done.last_words}")

    async def _systemctl(self, verb: str, *options: str, timeout_s: float) -> Done:
        environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "cat"}
        arguments = ["systemctl", verb, *options, "--", self.name]
        return await run(arguments, timeout_s=timeout_s, environment=environment)


def parse_state(name: str, text: str) -> UnitState:
    """What `systemctl show` printed.

    Raises:
        UpgradeImpossible: there is no such unit, or it said something else.
    """
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if found.get("LoadState") != "loaded":
        raise UpgradeImpossible(
            f"there is no unit {name} on this machine: {found.get('LoadState') or 'systemd does not know it'}",
            remedy="Name the unit of the node with --unit.",
        )
    try:
        main_pid, restarts = int(found["MainPID"]), int(found.get("NRestarts") or 0)
        active = found["ActiveState"]
    except (KeyError, ValueError):
        raise UpgradeImpossible(f"systemctl says something else of {name} than it should") from None
    program = _path(found.get("ExecStart", ""))
    return UnitState(active, main_pid, restarts, program[1] if program else "")


def check_program(name: str, state: UnitState, command: Path) -> None:
    """That another version behind `command` is another version of this unit.

    Raises:
        UpgradeImpossible
    """
    if Path(state.program) != command:
        raise UpgradeImpossible(
            f"{name} runs {state.program or 'nothing that could be told'}, and not {command}",
            remedy=f"Have its ExecStart= begin with {command}, or name what it runs with --command.",
        )
