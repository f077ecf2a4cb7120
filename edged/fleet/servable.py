"""Which releases and chunks this node gives to its peers: those that accepted records name, and fresh uploads.

What merely lies in the store is nobody's business: a peer, or a stolen node key, cannot read out what was removed, nor
ask for chunks whose digests it guessed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection

import trio

from edged.limits import SERVABLE_UPLOAD_COUNT_MAX
from registry.digest import Digest
from registry.errors import ReleaseMissing
from registry.release_store import ReleaseStore


class Servable:
    """Answers whether something may be given away.

    Args:
        releases: where releases that records name are looked up.
        named: digests of the releases that accepted records name now; asked at each question, so it is a quick one.
    """

    def __init__(self, releases: ReleaseStore, named: Callable[[], Collection[Digest]]) -> None:
        self._releases = releases
        self._named = named
        self._chunks: dict[Digest, frozenset[Digest]] = {}
        self._uploads: OrderedDict[Digest, None] = OrderedDict()
        self._loading = trio.Lock()

    def allow(self, digest: Digest, chunks: frozenset[Digest], *, is_upload: bool = False) -> None:
        """A release that is being fetched, so that others get those chunks that are here already.

        Args:
            chunks: the digests of all that it has: tens of thousands, so the set is made in a thread.
            is_upload: no record names it yet; the newest few such are given away all the same.
        """
        self._chunks[digest] = chunks
        if is_upload:
            self._uploads[digest] = None
            self._uploads.move_to_end(digest)
            if len(self._uploads) > SERVABLE_UPLOAD_COUNT_MAX:
                self._uploads.popitem(last=False)

    def named(self) -> Collection[Digest]:
        """The releases that accepted records name now."""
        return self._named()

    def has_release(self, digest: Digest) -> bool:
        """Whether peers may have this release's envelope."""
        return digest in self._uploads or digest in self._named()

    async def has_chunk(self, digest: Digest) -> bool:
        """Whether peers may have this chunk."""
        named = {*self._named(), *self._uploads}
        for stale in self._chunks.keys() - named:
            del self._chunks[stale]
        if any(digest in chunks for chunks in self._chunks.values()):
            return True
        for release in named - self._chunks.keys():
            if digest in await self._load(release):
                return True
        return False

    async def _load(self, release: Digest) -> frozenset[Digest]:
        async with self._loading:  # of many questions after a start, one reads
            if release not in self._chunks:
                try:
                    chunks = await trio.to_thread.run_sync(self._read, release)
                except ReleaseMissing:
                    return frozenset()  # to be fetched: `allow` says when
                self.allow(release, chunks)
            return self._chunks[release]

    def _read(self, release: Digest) -> frozenset[Digest]:
        return frozenset(chunk.digest for chunk in self._releases.get(release).release.chunks())
