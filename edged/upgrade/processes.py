"""What running processes were started from, by proc(5). All of it blocks, and passes over what it may not look at."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edged.limits import KiB

_PROC = Path("/proc")
_ENVIRONMENT_BYTES_MAX = 2048 * KiB  # more than that no process can be started with
_DELETED = " (deleted)"


def one_file_of(pid: int, proc: Path = _PROC) -> Path | None:
    """The one file that a process was started from, as the file's head says in its environment; None for another."""
    with suppress(OSError), (proc / str(pid) / "environ").open("rb") as file:
        for entry in file.read(_ENVIRONMENT_BYTES_MAX).split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"EDGED_FILE":
                return Path(os.fsdecode(value))
    return None


def executables(proc: Path = _PROC) -> frozenset[Path]:
    """Of all processes, also those of other users where we are root."""
    found = set()
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                found.add(Path(os.readlink(entry / "exe").removesuffix(_DELETED)))
    return frozenset(found)


def one_files(proc: Path = _PROC) -> frozenset[Path]:
    """Of all processes that were started from one."""
    pids = (int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())
    return frozenset(path for pid in pids if (path := one_file_of(pid, proc)) is not None)
