"""Wall clocks of one's own for processes of one machine: clock.c, compiled, and a file of seconds for each."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")
_SECONDS = struct.Struct("=q")


def may_run() -> str:
    """Why there can be no such clocks here; empty if there can."""
    return "" if shutil.which("cc") else "not installed: a C compiler, for clocks that are wrong"


class Clocks:
    """Of processes by name; all are right at first.

    Args:
        folder: for the library and the files; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._library = folder / "clock.so"
        command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(self._library), str(_SOURCE)]
        subprocess.run(command, check=True, capture_output=True)

    def prefix(self, name: str) -> Sequence[str]:
        """Of the command of a process that is to have this clock."""
        self._file(name).write_bytes(_SECONDS.pack(0))
        return ("env", f"LD_PRELOAD={self._library}", f"CHAOS_CLOCK={self._file(name)}")

    def set(self, name: str, seconds: int) -> None:
        """Ahead of the machine's by so many seconds, at once, also of processes that run."""
        # In place and in one store of eight bytes: a reader never sees half of it.
        with self._file(name).open("r+b") as file, mmap.mmap(file.fileno(), _SECONDS.size) as page:
            page[:] = _SECONDS.pack(seconds)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.seconds"
