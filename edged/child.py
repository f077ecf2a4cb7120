"""How edged starts itself again as a child, worker and speaker for instance, and which file it was started from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_FILE = "EDGED_FILE"  # exported by the head of the one file, provisioning/binary/header.sh


def command(*arguments: str) -> list[str]:
    """The argument list that runs this same edged with a subcommand, from a venv or as unpacked from the one file."""
    if _is_frozen():
        return [sys.executable, *arguments]
    # -P keeps the current folder, which may be an app's, off the import path.
    return [sys.executable, "-P", "-m", "edged", *arguments]


def one_file() -> Path | None:
    """The one file of `make binary` that this process was started from, symbolic links followed; None in a venv.

    It may have been removed or replaced since. Its name says nothing that can be relied on.
    """
    # One that runs from a venv may have inherited the variable from a shell that the one file started.
    name = os.environ.get(_FILE) if _is_frozen() else None
    return Path(name) if name else None


def _is_frozen() -> bool:
    return getattr(sys, "frozen", False)
