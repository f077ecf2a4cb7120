"""Small files that are there whole and durable, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

TEMPORARY = ".tmp"
"""How the names of half-written files end; they begin with a dot."""


def write_whole(
    path: Path, data: bytes, *, mode: int, replace: bool, fail_point: Callable[[str], None] = lambda _step: None
) -> None:
    """Write beside, make durable, give it its name, make the name durable.

    Args:
        mode: of the file.
        replace: whether it may take the place of one that is there.
        fail_point: called with the name of each step before it is taken. Tests crash there.

    Raises:
        FileExistsError: one is there and may not be replaced.
        OSError: another failure of the disk's. What was there is there; nothing half-written is left.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{TEMPORARY}")
    try:
        fail_point("create")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            fail_point("write")
            file.write(data)
            file.flush()
            fail_point("sync")
            os.fsync(descriptor)
        fail_point("name")
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # unlike a rename, never over what is there
            temporary.unlink()
        fail_point("sync folder")
        sync_folder(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Raises:
        OSError: the disk's.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
