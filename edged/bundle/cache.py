"""A publisher's cache: chunks that need not be made again, and releases that came in bundles.

    folder/chunks/            a `ChunkStore`, and the `ReleaseStore` of what `edged bundle import` has kept

Nobody looks after it: whoever opens it lets go of what has not been used for long, once it has grown large.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from edged.limits import PUBLISH_STORE_AGES_S, PUBLISH_STORE_BYTES_MAX
from registry.chunk_store import ChunkStore
from registry.release_store import ReleaseStore


@dataclass(frozen=True, slots=True)
class Cache:
    """Its two stores."""

    chunks: ChunkStore
    releases: ReleaseStore


def open_cache(folder: Path) -> Cache:
    """Open it, made if need be. Blocking.

    Raises:
        StoreFailed: the folder cannot be used.
    """
    chunks = ChunkStore(folder / "chunks", PUBLISH_STORE_BYTES_MAX)
    cache = Cache(chunks, ReleaseStore(folder / "chunks", chunks))
    _let_go(cache, time.time())
    return cache


def _let_go(cache: Cache, now: float) -> None:
    """Half of it is for what comes now. What was used last goes last, and not what a push beside us may be using."""
    for age_s in PUBLISH_STORE_AGES_S:
        if cache.chunks.statistics().used_bytes <= PUBLISH_STORE_BYTES_MAX // 2:
            return
        for digest in cache.releases.digests():
            if now - cache.releases.stored_at(digest) >= age_s:
                cache.releases.remove(digest)
        cache.chunks.collect(cache.releases.reachable(cache.releases.digests()), now, grace_s=age_s)
