"""How tests, labs and benchmarks start edged as a process: the checkout's, or the one file that EDGED_BIN names."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

EDGED_BIN = "EDGED_BIN"


def edged_command(*arguments: object, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The argument list of `edged ARGUMENTS`."""
    binary = environment.get(EDGED_BIN)
    # Tests start it in folders of their own, and -P keeps those off the import path.
    program = [str(Path(binary).absolute())] if binary else [sys.executable, "-P", "-m", "edged"]
    return [*program, *map(str, arguments)]
