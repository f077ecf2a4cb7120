"""What a node does with its disk when nobody asks: it lets go of what nothing needs, and reads what it keeps.

    records, rollouts ── needed ──> releases, checkouts, chunks: the rest goes, after a grace
    every chunk, one after another ── read, verified ──> corrupt ones come back from peers

Nothing is removed by another node's word, and an error removes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import structlog
import trio

from edged.errors import EdgedError
from edged.limits import COLLECT_INTERVAL_S, RELEASE_GRACE_S, RELEASE_KEPT_COUNT, SCRUB_INTERVAL_S, SCRUB_PAUSE_S
from registry.blob import Chunk
from registry.checkout import Checkouts
from registry.chunk_store import ChunkStore
from registry.digest import Digest
from registry.errors import RegistryError
from registry.release_store import ReleaseStore

log = structlog.get_logger()


class Repair(Protocol):
    """`edged.fleet.fetch.Fetcher.repair`."""

    async def __call__(self, chunks: Sequence[Chunk], name: str) -> None: ...


class Deployed(Protocol):
    """What is needed of a deployment."""

    @property
    def regions(self) -> Mapping[str, Digest]: ...


def needed(
    heads: Iterable[Deployed], histories: Iterable[Iterable[Deployed]], running: Collection[Digest]
) -> set[Digest]:
    """Releases that must stay: what runs here, what any region should run, and what a rollback may ask for.

    Args:
        histories: of each app, newest first.
    """
    found = set(running)
    for deployment in heads:
        found.update(deployment.regions.values())
    for history in histories:
        kept: list[Deployed] = []
        for deployment in history:
            if deployment.regions:
                kept.append(deployment)
            if len(kept) > RELEASE_KEPT_COUNT:  # the newest is what should run, and does not count
                break
        for deployment in kept:
            found.update(deployment.regions.values())
    return found


class Unneeded:
    """Since when nothing has named a release. Sans-IO; times are of one clock, s.

    A restart begins anew, so a release may stay longer than the grace, never shorter.
    """

    def __init__(self) -> None:
        self._since: dict[Digest, float] = {}

    def look(self, there: Collection[Digest], needed: Collection[Digest], now: float) -> list[Digest]:
        """Those that may go."""
        idle = set(there) - set(needed)
        self._since = {digest: self._since.get(digest, now) for digest in idle}
        return sorted(digest for digest, since in self._since.items() if now - since >= RELEASE_GRACE_S)


class Housekeeping:
    """See the module.

    Args:
        needed: what must stay, see `needed`. Blocks, is called in a thread, and raises where it cannot be told.
        running: what workers have or are about to have.
        repair: brings chunks back from peers.
        turn: held by whoever makes a checkout, or looks which of them nothing needs: one that was made in between would
            be removed.
        clock: unix time, s.
    """

    def __init__(
        self,
        *,
        chunks: ChunkStore,
        releases: ReleaseStore,
        checkouts: Checkouts,
        needed: Callable[[], set[Digest]],
        running: Callable[[], set[Digest]],
        repair: Repair,
        turn: trio.Lock | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._turn = trio.Lock() if turn is None else turn
        self._chunks = chunks
        self._releases = releases
        self._checkouts = checkouts
        self._needed = needed
        self._running = running
        self._repair = repair
        self._clock = clock
        self._unneeded = Unneeded()
        self._ran: set[Digest] = set()

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._collect_forever)
            nursery.start_soon(self._scrub_forever)

    async def collect(self) -> None:
        """Let go of what nothing needs, once.

        Raises:
            EdgedError, RegistryError: nothing more was removed.
        """
        async with self._turn:
            running = self._running()
            # What ran until lately may still have requests under way, whose guests have its files open.
            keep, self._ran = running | self._ran, running
            await trio.to_thread.run_sync(self._checkouts.keep, keep)
        removed = await trio.to_thread.run_sync(self._remove, running, trio.current_time())
        collected = await trio.to_thread.run_sync(self._collect_chunks)
        if removed or collected:
            log.info("storage.collected", releases=removed, chunks=collected)

    async def scrub_next(self, steps: Iterator[Digest | None]) -> bool:
        """Look at one chunk more; false at the end of a round."""
        found = await trio.to_thread.run_sync(next, steps, False)
        if found is False:
            return False
        if found is not None and found is not True:
            log.error("storage.chunk-corrupt", chunk=found)
            await self._bring_back(found)
        return True

    # --- inside ---

    def _remove(self, running: set[Digest], now: float) -> int:
        going = self._unneeded.look(self._releases.digests(), self._needed() | running, now)
        for digest in going:
            self._releases.remove(digest)
        return len(going)

    def _collect_chunks(self) -> int:
        reachable = self._releases.reachable(self._releases.digests())
        return self._chunks.collect(reachable, self._clock()).removed_count

    async def _bring_back(self, digest: Digest) -> None:
        chunk = await trio.to_thread.run_sync(self._find, digest)
        if chunk is None:
            return  # of nothing that is kept
        try:
            await self._repair([chunk], f"chunk {digest}")
        except (EdgedError, RegistryError) as error:
            # It is missing now, so whoever needs it next fetches it; what runs has files of its own.
            log.warning("storage.chunk-not-repaired", chunk=digest, reason=error.message)
        else:
            log.info("storage.chunk-repaired", chunk=digest)

    def _find(self, digest: Digest) -> Chunk | None:
        for release in self._releases.digests():
            try:
                chunks = self._releases.get(release).release.chunks()
            except RegistryError:
                continue
            for chunk in chunks:
                if chunk.digest == digest:
                    return chunk
        return None

    async def _collect_forever(self) -> None:
        while True:
            await trio.sleep(COLLECT_INTERVAL_S)
            try:
                await self.collect()
            except (EdgedError, RegistryError) as error:
                log.warning("storage.not-collected", code=error.code, message=error.message)

    async def _scrub_forever(self) -> None:
        while True:
            await trio.sleep(SCRUB_PAUSE_S)
            try:
                steps = self._chunks.scrub()
                more = True
                while more:
                    more = await self.scrub_next(steps)
                    await trio.sleep(SCRUB_INTERVAL_S)
            except RegistryError as error:
                log.warning("storage.not-scrubbed", code=error.code, message=error.message)
