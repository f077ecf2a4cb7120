"""How edged starts itself again as a child: `edged compile`, and later worker and speaker."""

from __future__ import annotations

import sys


def command(*arguments: str) -> list[str]:
    """The argument list that runs this same edged with a subcommand, from a venv or from the single binary."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *arguments]
    # -P keeps the current folder, which may be an app's, off the import path.
    return [sys.executable, "-P", "-m", "edged", *arguments]
