"""A systemctl in PATH that starts and stops one real process: `systemctl.py`, installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.upgrade.systemctl import Unit

_PROGRAM = Path(__file__).with_name("systemctl.py")


class FakeSystemd:
    """
    Args:
        folder: for its files; made.
        command: that the unit runs.
        program: that `systemctl show` says it runs.
    """

    def __init__(self, folder: Path, command: Sequence[str], program: Path, name: str = "edged.service") -> None:
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        unit = {"name": name, "command": list(command), "program": str(program)}
        (folder / "unit.json").write_text(json.dumps(unit))
        script = folder / "bin" / "systemctl"
        root = Path(__file__).parents[2]
        script.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" "{_PROGRAM}" "$@"\n')
        script.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """Of whoever asks it."""
        return {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "FAKE_SYSTEMD": str(self.folder)}

    def restart(self) -> None:
        """By a process of its own, as everybody has it."""
        command = [str(self.folder / "bin" / "systemctl"), "restart", "--", self.unit.name]
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, check=False)
        assert done.returncode == 0, (done, self.log[-3000:])

    @property
    def unit(self) -> Unit:
        return Unit(self.folder)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()
