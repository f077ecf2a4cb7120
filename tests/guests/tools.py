"""The tools that build guests, each at exact versions in a place of its own under the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.guests import cache

_OUTPUT_LINES_SHOWN = 40


class BuildError(Exception):
    """A tool is missing, or ended with an error. The message holds the end of its output."""


@dataclass(frozen=True, slots=True)
class Venv:
    """A Python environment with the packages of a requirements file."""

    name: str
    requirements: Path

    def key(self) -> str:
        return cache.key([self.requirements, f"python {sys.version_info.major}.{sys.version_info.minor}"])

    def path(self, report: cache.Report = cache.silent) -> Path:
        """The environment's folder, made if it is not there yet."""
        return cache.entry(self.name, self.key(), "", self._make, report)

    def _make(self, folder: Path) -> None:
        run([sys.executable, "-m", "venv", str(folder)], folder.parent)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--requirement", str(self.requirements)], folder.parent)


@dataclass(frozen=True, slots=True)
class NodeModules:
    """The packages of a package.json, as its lock file pins them.

    Attributes:
        node: the environment whose `bin` has node and npm.
    """

    name: str
    project: Path
    node: Venv

    def key(self) -> str:
        return cache.key([self.project / "package.json", self.project / "package-lock.json", self.node.key()])

    def path(self, report: cache.Report = cache.silent) -> Path:
        """The folder `node_modules`, made if it is not there yet."""
        return (
            cache.entry(self.name, self.key(), "", lambda folder: self._make(folder, report), report) / "node_modules"
        )

    def _make(self, folder: Path, report: cache.Report) -> None:
        node = self.node.path(report)
        folder.mkdir()
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(self.project / name, folder)
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder, node / "bin")


def run(command: list[str], folder: Path, *programs: Path) -> None:
    """Run a command in a folder, with the programs of other folders before those of the machine.

    Raises:
        BuildError: it could not be started or ended with an error.
    """
    # What an outer make tells its own children is not for the makes that build guests.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    environment["PATH"] = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    # zig would keep its own cache in the home folder.
    environment["ZIG_GLOBAL_CACHE_DIR"] = environment["ZIG_LOCAL_CACHE_DIR"] = str(cache.CACHE / "zig")
    try:
        subprocess.run(
            command,
            cwd=folder,
            env=environment,
            check=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be started: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        shown = "\n".join(error.stdout.splitlines()[-_OUTPUT_LINES_SHOWN:])
        raise BuildError(f"{' '.join(command)} ended with status {error.returncode}:\n{shown}") from error
