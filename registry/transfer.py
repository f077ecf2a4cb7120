"""Bringing chunks here from several places: who is asked for what, and when. No input or output.

    chunks wanted ─┐                        ┌─> asks(now)        what to ask of whom
    add_source ────┴─> Transfer <─ took ────┤
                          ^                 ├─> dropped          who is asked no more: cancel what it was asked
                          └── delivered / failed / lacks         └─> wake_s(now)      when to look again

The nearest sources are asked, a few at once, each with a window of bytes that it has not delivered yet. A source that
lies, stalls or breaks is dropped for the rest of the transfer, and what it owed is asked of others. One that merely
lacks a chunk is asked for others, until it has lacked so many that it is a waste of time. Only what is not in the
store is ever wanted, so a transfer that is begun again goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from registry.blob import Chunk
from registry.digest import Digest
from registry.limits import (
    TRANSFER_LACKS_MAX,
    TRANSFER_SOURCE_COUNT,
    TRANSFER_STALL_S,
    TRANSFER_WINDOW_BYTES,
    TRANSFER_WINDOW_COUNT,
)
from registry.rate import TokenBucket

Fault = Literal["lied", "broke"]
"""Why a source is dropped: what it sent is not what was asked for; it, or the way to it, failed."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One chunk to ask of one source."""

    source: str
    chunk: Chunk


@dataclass(slots=True)
class _Source:
    name: str
    distance: float
    rate: TokenBucket | None
    asked: dict[Digest, Chunk] = field(default_factory=dict)
    asked_bytes: int = 0
    lacks: set[Digest] = field(default_factory=set)
    progress_at: float = 0.0  # when it last delivered, or was asked after it owed nothing


class Transfer:
    """One set of chunks, until all are here or nobody has the rest. Times are seconds of one monotonic clock.

    Args:
        chunks: wanted, in the order in which they are asked for; one that comes twice is wanted once.
        rate: of all sources together, in plain bytes; None for no limit.

    Attributes:
        bytes_total, bytes_done: plain bytes wanted, and delivered.
        dropped: source -> why it is asked no more.
    """

    def __init__(self, chunks: Iterable[Chunk], rate: TokenBucket | None = None) -> None:
        wanted = {chunk.digest: chunk for chunk in chunks}
        self._wanted = wanted
        self._queue = deque(wanted.values())
        self._rate = rate
        self._sources: dict[str, _Source] = {}
        self.bytes_total = sum(chunk.size for chunk in wanted.values())
        self.bytes_done = 0
        self.dropped: dict[str, str] = {}

    @property
    def is_done(self) -> bool:
        """Everything is here."""
        return not self._wanted

    @property
    def is_stuck(self) -> bool:
        """Nothing is under way, and no source has what is wanted: another one is needed."""
        if self.is_done or any(source.asked for source in self._sources.values()):
            return False
        return not any(
            chunk.digest not in source.lacks for source in self._sources.values() for chunk in self._wanted.values()
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Those that are not dropped, nearest first."""
        return tuple(source.name for source in self._by_distance())

    def add_source(self, name: str, distance: float, rate: TokenBucket | None = None) -> None:
        """Somebody who may have chunks. Once dropped, a source stays so.

        Args:
            distance: the lower, the earlier it is asked: a round-trip time (s).
            rate: of this source alone, in plain bytes.
        """
        if name not in self._sources and name not in self.dropped:
            self._sources[name] = _Source(name, distance, rate)

    def remove_source(self, name: str, reason: str) -> None:
        """It went away; what it owed is asked of others."""
        self._drop(name, reason)

    def asks(self, now: float) -> list[Ask]:
        """What to ask now. Each ends with `delivered`, `lacks` or `failed`, or when its source is in `dropped`."""
        asks: list[Ask] = []
        for source in self._active():
            while (chunk := self._next_for(source, now)) is not None:
                if not source.asked:
                    source.progress_at = now
                source.asked[chunk.digest] = chunk
                source.asked_bytes += chunk.size
                for rate in (self._rate, source.rate):
                    if rate is not None:
                        rate.take(chunk.size, now)
                asks.append(Ask(source.name, chunk))
        return asks

    def delivered(self, source: str, digest: Digest, now: float) -> None:
        """The chunk is here, verified and stored; be it from a source that was dropped meanwhile."""
        self._settle(source, digest, now)
        chunk = self._wanted.pop(digest, None)
        if chunk is not None:
            self.bytes_done += chunk.size

    def lacks(self, source: str, digest: Digest, now: float) -> None:
        """The source does not have it."""
        chunk = self._settle(source, digest, now)
        if chunk is None:
            return
        self._queue.appendleft(chunk)
        lacking = self._sources[source].lacks
        lacking.add(digest)
        if len(lacking) >= TRANSFER_LACKS_MAX:
            self._drop(source, f"lacks {len(lacking)} chunks")

    def failed(self, source: str, fault: Fault, detail: str) -> None:
        """The source is of no use: drop it.

        Args:
            detail: for people, in `dropped`.
        """
        self._drop(source, f"{fault}: {detail}")

    def expire(self, now: float) -> None:
        """Drop sources that owe something and have delivered nothing for `TRANSFER_STALL_S`."""
        for source in list(self._sources.values()):
            # As `wake_s` has it: a difference may be a rounding less, and who wakes by that would turn in a circle.
            if source.asked and now >= source.progress_at + TRANSFER_STALL_S:
                self._drop(source.name, f"stalled: nothing for {TRANSFER_STALL_S:g} s")

    def wake_s(self, now: float) -> float | None:
        """Seconds until `asks` or `expire` may have something without anything happening; None for never."""
        waits = [source.progress_at + TRANSFER_STALL_S - now for source in self._sources.values() if source.asked]
        for source in self._active():
            chunk = self._askable(source)
            if chunk is not None:
                waits.append(self._wait_s(source, chunk, now))
        return max(0.0, min(waits)) if waits else None

    def _by_distance(self) -> list[_Source]:
        return sorted(self._sources.values(), key=lambda source: (source.distance, source.name))

    def _active(self) -> list[_Source]:
        """The nearest that have something we want, or owe it."""
        useful = (source for source in self._by_distance() if source.asked or self._chunk_for(source) is not None)
        return [source for source, _ in zip(useful, range(TRANSFER_SOURCE_COUNT), strict=False)]

    def _chunk_for(self, source: _Source) -> Chunk | None:
        # A source is dropped before it lacks more than a few, so this looks at a few. What is queued and not wanted any
        # more came after its source was dropped.
        return next((c for c in self._queue if c.digest in self._wanted and c.digest not in source.lacks), None)

    def _askable(self, source: _Source) -> Chunk | None:
        """The next chunk for a source whose window has room, whatever the rates say."""
        chunk = self._chunk_for(source)
        if chunk is None or not source.asked:
            return chunk
        if len(source.asked) >= TRANSFER_WINDOW_COUNT or source.asked_bytes + chunk.size > TRANSFER_WINDOW_BYTES:
            return None
        return chunk

    def _next_for(self, source: _Source, now: float) -> Chunk | None:
        chunk = self._askable(source)
        if chunk is None or self._wait_s(source, chunk, now) > 0:
            return None
        self._queue.remove(chunk)
        return chunk

    def _wait_s(self, source: _Source, chunk: Chunk, now: float) -> float:
        return max((rate.wait_s(chunk.size, now) for rate in (self._rate, source.rate) if rate is not None), default=0)

    def _settle(self, name: str, digest: Digest, now: float) -> Chunk | None:
        """An ask has ended; None if the source was dropped meanwhile."""
        source = self._sources.get(name)
        chunk = None if source is None else source.asked.pop(digest, None)
        if source is not None and chunk is not None:
            source.asked_bytes -= chunk.size
            source.progress_at = now
        return chunk

    def _drop(self, name: str, reason: str) -> None:
        source = self._sources.pop(name, None)
        if source is not None:
            self.dropped[name] = reason
            self._queue.extendleft(reversed(source.asked.values()))
