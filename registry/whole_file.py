"""Small files that are there whole and durable, or not at all."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

from registry.disk import Disk

TEMPORARY = ".tmp"
"""How the names of half-written files end; they begin with a dot."""


def write_whole(path: Path, data: bytes, *, mode: int, replace: bool, disk: Disk | None = None) -> None:
    """Write beside, make durable, give it its name, make the name durable.

    Args:
        mode: of the file; its owner may read it.
        replace: whether it may take the place of one that is there.
        disk: another one than the real one, for tests.

    Raises:
        FileExistsError: one is there and may not be replaced.
        OSError: another failure of the disk's. What was there is there; nothing half-written is left.
    """
    disk = Disk() if disk is None else disk
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{TEMPORARY}")
    try:
        disk.write(temporary, [data], mode)
        disk.sync(temporary)
        if replace:
            disk.rename(temporary, path)
        else:
            disk.link(temporary, path)  # unlike a rename, never over what is there
            disk.unlink(temporary)
        disk.sync_folder(path.parent)
    except BaseException:  # Ctrl-C too: it may be half of a private key
        with suppress(OSError):
            disk.unlink(temporary)
        raise
