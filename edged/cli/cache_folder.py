"""Where compiled artefacts and fetched sources are kept."""

from __future__ import annotations

import os
from pathlib import Path

from edged.errors import CacheError


def default_cache_folder() -> Path:
    """`$XDG_CACHE_HOME/edged`, or `~/.cache/edged` (XDG Base Directory Specification).

    Raises:
        CacheError: this user has no home.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the specification says to ignore a relative one
        return Path(base) / "edged"
    try:
        return Path.home() / ".cache" / "edged"
    except RuntimeError:
        raise CacheError("there is no home folder to keep a cache in", remedy="Name one with --cache-dir.") from None
