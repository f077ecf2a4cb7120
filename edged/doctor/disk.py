"""Check `disk`: whether the state folder has room, and may be written at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trio

from edged.doctor.finding import Finding
from edged.doctor.subject import Subject
from edged.limits import DISK_FREE_BYTES_NEEDED, DISK_FREE_BYTES_WARNED, MiB

_ROOM = "Make room, or give the folder a larger disk."
_INODE_COUNT_NEEDED = 1_000  # a release takes one for each MiB and one for each of its files


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """Attributes:
    folder: that was looked at: the state folder, or what is there of the way to it.
    inodes_free: None where the file system counts none.
    why: it could not be looked at.
    """

    folder: Path
    bytes_free: int = 0
    inodes_free: int | None = None
    is_read_only: bool = False
    why: str = ""


async def look(subject: Subject) -> Iterator[Finding]:
    if subject.config is None:
        return iter(())
    return judge(await trio.to_thread.run_sync(_gather, subject.config.node.state_dir, abandon_on_cancel=True))


def judge(facts: DiskFacts) -> Iterator[Finding]:
    left = f"the disk of {facts.folder} has {facts.bytes_free // MiB} MiB left"
    if facts.why:
        yield Finding("disk", "unknown", f"{facts.folder}: {facts.why}")
    elif facts.is_read_only:
        text = f"the disk of {facts.folder} is read-only: the kernel makes it so when it finds errors"
        yield Finding("disk", "problem", text, "See `dmesg`, check the disk, then run `mount -o remount,rw`.")
    elif facts.bytes_free < DISK_FREE_BYTES_NEEDED:
        yield Finding("disk", "problem", left, _ROOM)
    elif facts.inodes_free is not None and facts.inodes_free < _INODE_COUNT_NEEDED:
        text = f"the disk of {facts.folder} has room for {facts.inodes_free} more files only"
        yield Finding("disk", "problem", text, "Remove small files, or give the folder a file system with more inodes.")
    elif facts.bytes_free < DISK_FREE_BYTES_WARNED:
        yield Finding("disk", "warning", left, _ROOM)
    else:
        yield Finding("disk", "ok", left)


def _gather(folder: Path) -> DiskFacts:
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    try:
        shown = os.statvfs(there)
    except OSError as error:
        return DiskFacts(there, why=error.strerror or "it cannot be looked at")
    free = shown.f_bavail * shown.f_frsize
    inodes = shown.f_favail if shown.f_files else None
    return DiskFacts(there, free, inodes, bool(shown.f_flag & os.ST_RDONLY))
