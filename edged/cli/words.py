"""Numbers and names as people write them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from edged.limits import KiB, MiB

_GIB = 1024 * MiB


def size(count: float) -> str:
    """Bytes, in the unit that leaves one to three digits before the point."""
    if count < KiB:
        return f"{count:.0f} B"
    if count < MiB:
        return f"{count / KiB:.0f} KiB"
    return f"{count / MiB:.1f} MiB" if count < _GIB else f"{count / _GIB:.1f} GiB"


def short(digest: str) -> str:
    """Enough of a digest to tell it from others: 12 hex digits."""
    return digest.removeprefix("sha256:")[:12]


def plural(count: int, noun: str) -> str:
    """`1 node`, `3 nodes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Sequence[str], most: int = 5) -> str:
    """`a, b and 3 more`."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def moment(unix_s: float) -> str:
    """In the local time of whoever reads it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix_s))
