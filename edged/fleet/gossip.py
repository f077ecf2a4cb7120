"""How records and reports get around, without a leader: told at once to a few, compared with one after another.

    accepted record ──> notice ──> queue ──> offer to 3 random peers, who do likewise
    every 5-15 s ─────────────────────────> compare all records with a random peer (edged.fleet.sync)
    every 2-5 s ──────────────────────────> exchange reports with a random peer (in a large fleet: edged.fleet.beats)

What the first misses the second finds, so neither a lost message nor a full queue matters. Whom we ask is chance, so
that news takes the same few rounds however the network is cut up and healed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog
import trio

from edged.errors import EdgedError
from edged.fleet.beats import encode_beats, parse_beats
from edged.fleet.board import Board
from edged.fleet.depth import Depth, HighWater
from edged.fleet.link import Link
from edged.fleet.record import Key
from edged.fleet.report import NodeReport, parse_reports
from edged.fleet.state import FleetState
from edged.fleet.sync import Ask, Round
from edged.fleet.view import Record
from edged.limits import (
    BEATS_PEER_COUNT,
    LINK_KEPT_MAX,
    REPORT_INTERVAL_S_HIGHEST,
    REPORT_INTERVAL_S_LOWEST,
    REPORTS_BYTES_MAX,
    SPREAD_PEER_COUNT,
    SPREAD_QUEUE_MAX,
    SYNC_INTERVAL_S_HIGHEST,
    SYNC_INTERVAL_S_LOWEST,
)

log = structlog.get_logger()


class OpenLinks(Protocol):
    """What gossip needs of `edged.fleet.client.Peers`."""

    def open(self) -> list[Link]:
        """Links over which calls can be made now."""


class Gossip:
    """One node's part in it.

    Args:
        state: what is compared and spread.
        board: where reports are kept.
        links: to the other nodes.
        own_report: this node's, as it is now.
        rng: chooses peers and pauses.
        clock: unix time, s.
    """

    def __init__(
        self,
        state: FleetState,
        board: Board,
        links: OpenLinks,
        own_report: Callable[[], NodeReport],
        *,
        rng: random.Random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._board = board
        self._links = links
        self._own_report = own_report
        self._rng = rng
        self._clock = clock
        self._token: trio.lowlevel.TrioToken | None = None
        self._news_in, self._news = trio.open_memory_channel[Key](SPREAD_QUEUE_MAX)
        self._news_high = HighWater()

    def notice(self, record: Record) -> None:
        """A record was accepted: spread it. For `FleetState(accepted=...)`, so from any thread; never blocks."""
        if self._token is not None:
            self._token.run_sync_soon(self._enqueue, record.head.key)

    def depth(self) -> Depth:
        """Accepted records that wait to be spread."""
        return Depth("news", self._waiting(), self._news_high.highest, SPREAD_QUEUE_MAX)

    async def run(self) -> None:
        """Spread, compare and report until cancelled."""
        self._token = trio.lowlevel.current_trio_token()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._spread_forever)
                nursery.start_soon(self._compare_forever)
                nursery.start_soon(self._report_forever)
        finally:
            self._token = None

    async def compare_with(self, link: Link) -> None:
        """Bring this node and a peer to the same records.

        Raises:
            EdgedError: the peer is gone, or answers what is no answer. What was accepted before stays.
        """
        comparison = Round(self._state)
        ask: Ask | None = await trio.to_thread.run_sync(comparison.start)
        while ask is not None:
            args: dict[str, Any] = dict(ask.args)
            answer = await link.call(ask.call, **args)
            ask = await trio.to_thread.run_sync(self._take, comparison, answer)

    async def report_to(self, link: Link) -> None:
        """Tell a peer what is on the board, and take what is on its; in a large fleet, what the other has not yet.

        Raises:
            EdgedError: as above.
        """
        self._board.put(self._own_report(), trio.current_time())
        if self._is_large:
            news = self._board.news(trio.current_time(), REPORTS_BYTES_MAX)
            beats = encode_beats(self._board.beats())
            answer = await link.call("beats", beats=beats, reports=[report.encode() for report in news])
            heard = parse_beats(answer.get("beats") if isinstance(answer, dict) else None)
        else:
            told = self._board.fitting(REPORTS_BYTES_MAX)
            answer = await link.call("reports", reports=[report.encode() for report in told])
            heard = []
        reports = parse_reports(answer.get("reports") if isinstance(answer, dict) else None)
        self._board.merge(reports, link.peer.name, trio.current_time())
        self._board.hear(heard, trio.current_time())

    @property
    def _is_large(self) -> bool:
        """Whether not every node is linked with each other one, and a message has no room for all reports."""
        return len(self._state.nodes()) > LINK_KEPT_MAX

    def _take(self, comparison: Round, answer: object) -> Ask | None:
        return comparison.take(answer, self._clock())

    def _enqueue(self, key: Key) -> None:
        try:
            self._news_in.send_nowait(key)
        except trio.WouldBlock:
            log.debug("gossip.queue-full", kind=key.kind, name=key.name)
        self._news_high.reached(self._waiting())

    def _waiting(self) -> int:
        return self._news.statistics().current_buffer_used

    async def _spread_forever(self) -> None:
        async for key in self._news:
            # The newest of that name, whichever it was that was accepted.
            record = self._state.record(key)
            if record is None or record.is_orphaned:
                continue
            chain = list(self._state.roster_chain()) if key.kind == "roster" else [record.envelope]
            async with trio.open_nursery() as nursery:
                for link in self._some(SPREAD_PEER_COUNT):
                    nursery.start_soon(self._offer, link, chain)

    async def _offer(self, link: Link, records: list[bytes]) -> None:
        try:
            await link.call("offer", records=records)
        except EdgedError as error:
            log.debug("gossip.failed", call="offer", peer=link.peer.name, reason=error.message)

    async def _compare_forever(self) -> None:
        while True:
            await trio.sleep(self._rng.uniform(SYNC_INTERVAL_S_LOWEST, SYNC_INTERVAL_S_HIGHEST))
            for link in self._some(1):
                try:
                    await self.compare_with(link)
                except EdgedError as error:
                    log.debug("gossip.failed", call="heads", peer=link.peer.name, reason=error.message)

    async def _report_forever(self) -> None:
        while True:
            self._board.put(self._own_report(), trio.current_time())
            for link in self._some(BEATS_PEER_COUNT if self._is_large else 1):
                try:
                    await self.report_to(link)
                except EdgedError as error:
                    log.debug("gossip.failed", call="reports", peer=link.peer.name, reason=error.message)
            await trio.sleep(self._rng.uniform(REPORT_INTERVAL_S_LOWEST, REPORT_INTERVAL_S_HIGHEST))

    def _some(self, count: int) -> list[Link]:
        links = self._links.open()
        return self._rng.sample(links, min(count, len(links)))
