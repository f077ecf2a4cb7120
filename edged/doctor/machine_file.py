"""`machine.json`: what a machine was provisioned as.

edged provision render ── /etc/edged/machine.json ── read_machine_file ──> MachineFile
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edged.limits import DOCTOR_FILE_BYTES_MAX, DOCTOR_MACHINE_FILE_COUNT_MAX

_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
_mode = re.compile(r"0?[0-7]{3}").fullmatch


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it was provisioned.

    Attributes:
        mode: permission bits.
        owner: `user:group`.
    """

    sha256: str
    mode: int
    owner: str


@dataclass(frozen=True, slots=True)
class MachineFile:
    """The whole of it.

    Attributes:
        binary_sha256: of the one file that it was given; an upgrade may have brought another since.
        files: absolute path -> how it was.
    """

    fleet: str
    machine: str
    region: str
    provider: str
    binary_sha256: str
    files: Mapping[str, Written] = field(default_factory=dict)


def read_machine_file(path: Path) -> MachineFile | str | None:
    """The file; None where there is none; a text: why it cannot be used. Blocks."""
    try:
        with path.open("rb") as file:
            data = file.read(DOCTOR_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if len(data) > DOCTOR_FILE_BYTES_MAX:
        return f"{path} has more than {DOCTOR_FILE_BYTES_MAX} bytes"
    try:
        return _parse(json.loads(data))
    except (ValueError, RecursionError) as error:
        why = str(error) if type(error) is ValueError else "it is no JSON"
        return f"{path} is not what provisioning writes: {why}"


def _parse(value: Any) -> MachineFile:
    match value:
        case {
            "v": 1,
            "fleet": str(fleet),
            "machine": str(machine),
            "region": str(region),
            "provider": str(provider),
            "binary": {"sha256": str(sha256)},
            "files": dict(files),
        } if _sha256(sha256):
            pass
        case _:
            raise ValueError("keys are missing, or are something else")
    if len(files) > DOCTOR_MACHINE_FILE_COUNT_MAX:
        raise ValueError(f"it names more than {DOCTOR_MACHINE_FILE_COUNT_MAX} files")
    return MachineFile(fleet, machine, region, provider, sha256, {path: _written(path, files[path]) for path in files})


def _written(path: str, value: Any) -> Written:
    match value:
        case {"sha256": str(sha256), "mode": str(mode), "owner": str(owner)}:
            if path.startswith("/") and ".." not in path.split("/") and _sha256(sha256) and _mode(mode):
                return Written(sha256, int(mode, 8), owner)
    raise ValueError("a file of it has no path, sha256, mode or owner")
