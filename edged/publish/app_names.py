"""Names of apps from the last answer of a fleet, for the completion of a shell: it must not wait for a network."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from edged.limits import APP_NAMES_BYTES_MAX
from edged.publish.files import replace_file


def remember(folder: Path, fleet: str, names: Iterable[str]) -> None:
    """Keep the names. A cache that cannot be written is no reason to fail. Blocking."""
    with suppress(OSError):
        replace_file(_file(folder, fleet), json.dumps(sorted(names)).encode())


def recall(folder: Path, fleet: str) -> tuple[str, ...]:
    """What was kept last, or nothing. Blocking."""
    try:
        with _file(folder, fleet).open("rb") as stream:
            values = json.loads(stream.read(APP_NAMES_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


def _file(folder: Path, fleet: str) -> Path:
    return folder / "apps" / f"{fleet}.json"
