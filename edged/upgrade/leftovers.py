"""Which versions, and which folders that they unpacked themselves into, are needed no more. All functions block."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

from edged.upgrade import processes
from edged.upgrade.versions import Versions
from provisioning.binary.header import UNFINISHED, build_id_of
from registry.disk import temporary

_is_build = re.compile(r"[0-9a-f]{64}").fullmatch


def remove_leftovers(versions: Versions, keep: Set[str], unpacked: Path) -> tuple[str, ...]:
    """Remove all versions but some and those that a process still runs, with the folders they were unpacked into.

    Args:
        keep: sha256 of each.
        unpacked: where root unpacks them. A folder of anything else in it is not touched.

    Returns:
        sha256 of those that were removed.

    Raises:
        UpgradeFolderError: a version could not be removed.
    """
    running = {path.name for path in processes.one_files()}
    gone = [each for each in versions.all() if each not in keep and versions.path(each).name not in running]
    for each in gone:
        versions.remove(each)
    _remove_unpacked(unpacked, {_build_of(versions.path(each)) for each in versions.all()})
    return tuple(gone)


def _build_of(path: Path) -> str | None:
    with suppress(OSError):
        return build_id_of(path)
    return None


def _remove_unpacked(unpacked: Path, builds: Set[str | None]) -> None:
    """What cannot be removed stays: it takes room, and nothing else."""
    with suppress(OSError):
        in_use = {path.parts[: len(unpacked.parts) + 1] for path in processes.executables()}
        for entry in list(os.scandir(unpacked)):
            folder = Path(entry.path)
            is_needed = entry.name in builds or folder.parts in in_use
            if _is_build(entry.name) and entry.is_dir(follow_symlinks=False) and not is_needed:
                gone = hidden(unpacked)
                folder.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)


def hidden(unpacked: Path) -> Path:
    """Another name for a folder while it is removed: under its own it would be taken for whole.

    Should we be killed meanwhile, the head of the one file removes it after an hour.
    """
    return unpacked / f"{UNFINISHED}{temporary(unpacked).name}"
