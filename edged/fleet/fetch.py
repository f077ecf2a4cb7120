"""Bringing a release here: its envelope from one peer, its chunks from several.

    release{digest} ──> envelope ── digest, signature ──> Release ──> chunks that are missing
    Transfer ── asks ──> chunk{digest} of each peer ──> put_frame (verified, durable) ──> delivered
    all here ──> ReleaseStore.put

What arrived stays, so a fetch that is begun again asks only for the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from edged.errors import EdgedError, LinkError, NotHere, ReleaseUnavailable, RemoteError
from edged.fleet.link import Link
from edged.fleet.servable import Servable
from edged.limits import FETCH_CALL_TIMEOUT_S, FETCH_LEASE_S, FETCH_STORE_COUNT_MAX
from registry.blob import Chunk
from registry.chunk_store import ChunkStore
from registry.digest import Digest
from registry.errors import (
    BlobMismatch,
    FrameInvalid,
    KeyNotAllowed,
    RegistryError,
    ReleaseMissing,
    SignatureInvalid,
)
from registry.rate import TokenBucket
from registry.release_store import ReleaseStore, StoredRelease, open_release
from registry.transfer import Ask, Transfer

_UNTRUSTED = (KeyNotAllowed, SignatureInvalid)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is, in plain bytes.

    Attributes:
        bytes_total: of the release, each chunk once.
        bytes_saved: that were here before.
        bytes_done: that are here now, those saved included.
    """

    bytes_done: int
    bytes_total: int
    bytes_saved: int


class OpenLinks(Protocol):
    """What a fetch needs of `edged.fleet.client.Peers`."""

    def open(self) -> list[Link]:
        """Links over which calls can be made now, nearest first."""


@dataclass(frozen=True, slots=True)
class _Needs:
    """A release's chunks, and those of them that are missing."""

    digests: frozenset[Digest]
    wanted: Sequence[Chunk]
    bytes_total: int


class Fetcher:
    """Fetches releases from peers.

    Args:
        links: to the other nodes.
        releases, chunks: where things are kept.
        servable: told of a release that is on its way, so that peers get those chunks that are here.
        rate_bytes_s: plain bytes a second, of all fetches together; None for no limit.
        peer_rate_bytes_s: likewise, from one peer in one fetch.
        clock: unix time, s, for leases.
    """

    def __init__(
        self,
        links: OpenLinks,
        releases: ReleaseStore,
        chunks: ChunkStore,
        servable: Servable,
        *,
        rate_bytes_s: float | None = None,
        peer_rate_bytes_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._links = links
        self._releases = releases
        self._chunks = chunks
        self._servable = servable
        self._rate = None if rate_bytes_s is None else _bucket(rate_bytes_s)
        self._peer_rate_bytes_s = peer_rate_bytes_s
        self._clock = clock
        self._storing = trio.CapacityLimiter(FETCH_STORE_COUNT_MAX)
        self._fetching: dict[Digest, trio.Lock] = {}

    async def fetch(
        self,
        digest: Digest,
        verify: Callable[[StoredRelease], None],
        progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> StoredRelease:
        """A release, from the store if it is there, else from peers. Several at once for the same one wait for it.

        Args:
            verify: raises RegistryError or EdgedError if the release is not to be trusted; called in a thread.
            progress: told as it grows, at first with what was saved.

        Raises:
            ReleaseUnavailable: no peer, or not all of them together, could give it; the reasons are in the message.
            SignatureInvalid, KeyNotAllowed: each peer that has it has one that is not to be trusted.
            RegistryError: our own disk refused; or what `verify` raised of the one that is in the store.
        """
        lock = self._fetching.setdefault(digest, trio.Lock())
        try:
            async with lock:
                return await self._fetch(digest, verify, progress)
        finally:
            if lock.statistics().tasks_waiting == 0 and not lock.locked():
                self._fetching.pop(digest, None)

    async def repair(self, chunks: Sequence[Chunk], name: str) -> None:
        """Bring chunks that were found corrupt, and are missing, back from peers.

        Args:
            name: for messages and the lease.

        Raises:
            ReleaseUnavailable: not all of them can be had.
        """
        await self._bring(name, chunks, lambda _done: None)

    async def _fetch(
        self, digest: Digest, verify: Callable[[StoredRelease], None], progress: Callable[[Progress], None]
    ) -> StoredRelease:
        try:
            stored = await trio.to_thread.run_sync(self._releases.get, digest)
        except ReleaseMissing:
            stored = await self._envelope(digest, verify)
        else:
            await trio.to_thread.run_sync(verify, stored)
        needs = await trio.to_thread.run_sync(self._look, stored)
        self._servable.allow(digest, needs.digests)
        total, wanted = needs.bytes_total, needs.wanted
        saved = total - sum(chunk.size for chunk in wanted)
        progress(Progress(saved, total, saved))
        await self._bring(f"release {digest}", wanted, lambda done: progress(Progress(saved + done, total, saved)))
        await trio.to_thread.run_sync(self._store, stored)
        return stored

    def _look(self, stored: StoredRelease) -> _Needs:
        """What is to be brought; what is here is leased."""
        chunks = stored.release.chunks()
        digests = frozenset(chunk.digest for chunk in chunks)
        self._chunks.lease(f"fetch {stored.digest}", digests, self._clock() + FETCH_LEASE_S)
        missing = set(self._chunks.missing(digests))
        wanted = [chunk for chunk in chunks if chunk.digest in missing]
        return _Needs(digests, wanted, sum(chunk.size for chunk in chunks))

    def _store(self, stored: StoredRelease) -> None:
        self._releases.put(stored.envelope)
        self._chunks.drop_lease(f"fetch {stored.digest}")

    async def _envelope(self, digest: Digest, verify: Callable[[StoredRelease], None]) -> StoredRelease:
        """From the nearest peer that has one which is what it should be."""
        reasons: list[str] = []
        refusal: RegistryError | None = None
        others_may = False
        for link in self._links.open():
            try:
                answer = await link.call("release", digest=digest)
                return await trio.to_thread.run_sync(_open, answer, digest, verify)
            except _UNTRUSTED as error:  # the signatures are the envelope's: another peer may have it with good ones
                refusal = error
                reasons.append(f"{link.peer.name}: {error.message}")
            except (EdgedError, RegistryError) as error:
                others_may = others_may or not (isinstance(error, RemoteError) and error.code == NotHere.code)
                reasons.append(f"{link.peer.name}: {error.message}")
        if refusal is not None and not others_may:
            raise refusal
        raise ReleaseUnavailable("\n".join([f"no peer gave the release {digest}", *(reasons or ["no peer is linked"])]))

    async def _bring(self, name: str, chunks: Sequence[Chunk], progress: Callable[[int], None]) -> None:
        """
        Raises:
            ReleaseUnavailable
        """
        transfer = Transfer(chunks, self._rate)
        if not transfer.is_done:
            await _Transferring(self, transfer, progress).run()
        if not transfer.is_done:
            missing = f"{transfer.bytes_total - transfer.bytes_done} bytes of {name} could not be had"
            reasons = [f"{source}: {reason}" for source, reason in transfer.dropped.items()]
            raise ReleaseUnavailable("\n".join([missing, *(reasons or ["no peer has them"])]))


class _Transferring:
    """One transfer on its way: a task for each chunk that is asked for."""

    def __init__(self, fetcher: Fetcher, transfer: Transfer, progress: Callable[[int], None]) -> None:
        self._fetcher = fetcher
        self._transfer = transfer
        self._progress = progress
        self._links: dict[str, Link] = {}
        self._scopes: dict[Ask, trio.CancelScope] = {}
        self._news = trio.Event()
        self._failure: RegistryError | None = None

    async def run(self) -> None:
        """Until it is done or stuck.

        Raises:
            RegistryError: our own store failed; asking others would not help.
        """
        async with trio.open_nursery() as nursery:
            while not self._transfer.is_done and self._failure is None:
                self._look_around()
                now = trio.current_time()
                self._transfer.expire(now)
                for ask, scope in self._scopes.items():
                    if ask.source in self._transfer.dropped:
                        scope.cancel()  # somebody else is asked
                for ask in self._transfer.asks(now):
                    self._scopes[ask] = scope = trio.CancelScope()
                    nursery.start_soon(self._ask, ask, self._links[ask.source], scope)
                if self._transfer.is_stuck:
                    break
                self._news = trio.Event()
                wake_s = self._transfer.wake_s(now)
                with trio.move_on_after(math.inf if wake_s is None else wake_s):
                    await self._news.wait()
            nursery.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure

    def _look_around(self) -> None:
        """Peers come and go while it runs. One whose link broke and was opened again stays dropped."""
        links = {link.peer.name: link for link in self._fetcher._links.open()}
        for name in self._links.keys() - links.keys():
            self._transfer.remove_source(name, "the link broke")
        self._links |= links
        rate = self._fetcher._peer_rate_bytes_s
        for name, link in links.items():
            self._transfer.add_source(name, link.round_trip_s, None if rate is None else _bucket(rate))

    async def _ask(self, ask: Ask, link: Link, scope: trio.CancelScope) -> None:
        digest = ask.chunk.digest
        try:
            with scope:
                answer = await link.call("chunk", timeout_s=FETCH_CALL_TIMEOUT_S, digest=digest)
                frame = answer.get("frame") if isinstance(answer, dict) else None
                if not isinstance(frame, bytes):
                    raise FrameInvalid("an answer without a frame")
                await trio.to_thread.run_sync(
                    self._fetcher._chunks.put_frame, ask.chunk, frame, limiter=self._fetcher._storing
                )
                self._transfer.delivered(ask.source, digest, trio.current_time())
                self._progress(self._transfer.bytes_done)
        except RemoteError as error:
            if error.code == "fleet.not-here":
                self._transfer.lacks(ask.source, digest, trio.current_time())
            else:
                self._transfer.failed(ask.source, "broke", error.message)
        except LinkError as error:
            self._transfer.failed(ask.source, "broke", error.message)
        except (FrameInvalid, BlobMismatch) as error:
            self._transfer.failed(ask.source, "lied", error.message)
        except RegistryError as error:
            self._failure = error
        finally:
            del self._scopes[ask]
            self._news.set()


def _open(answer: object, digest: Digest, verify: Callable[[StoredRelease], None]) -> StoredRelease:
    """The release of an answer, which must be the one that was asked for, and one to be trusted."""
    envelope = answer.get("envelope") if isinstance(answer, dict) else None
    if not isinstance(envelope, bytes):
        raise LinkError("an answer without an envelope")
    stored = open_release(envelope)
    if stored.digest != digest:
        raise LinkError(f"the release {stored.digest} in place of the one asked for")
    verify(stored)
    return stored


def _bucket(bytes_s: float) -> TokenBucket:
    """A second's worth at once: chunks come in one piece."""
    return TokenBucket(bytes_s, bytes_s, trio.current_time())
