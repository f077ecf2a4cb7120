"""The calls that only a running node can answer: `status`, `watch`, `logs`.

board, records ── status_view ──> status, watch
LogTail, and that of each peer ──> logs
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol

import structlog
import trio

from edged.errors import EdgedError
from edged.fleet.board import Board
from edged.fleet.calls import Handler
from edged.fleet.depth import Depth, HighWater
from edged.fleet.link import Link
from edged.fleet.peer import Peer
from edged.fleet.report import NodeReport
from edged.fleet.state import FleetState
from edged.limits import LOG_MERGE_LINE_COUNT_MAX, WATCH_ASK_INTERVAL_S, WATCH_LOOK_INTERVAL_S
from edged.node.log_tail import LogLine, LogTail, Subscription
from edged.node.status_view import Moment, rollout_views, status_view
from edged.status.view import RolloutView, StatusView

log = structlog.get_logger()

Items = AsyncIterator[dict[str, Any]]
Send = trio.MemorySendChannel[dict[str, Any]]
Lines = trio.MemoryReceiveChannel[dict[str, Any]]


class OpenLinks(Protocol):
    """What this needs of `edged.fleet.client.Peers`."""

    def open(self) -> list[Link]: ...

    def lost(self) -> Mapping[str, float]: ...


class Answers:
    """See the module.

    Args:
        node: the name of this one.
        region: as the fleet has it now.
        own_report: this node's, as it is at the moment.
        report_to: exchanges reports with a peer at once.
    """

    def __init__(
        self,
        *,
        node: str,
        region: Callable[[], str],
        state: FleetState,
        board: Board,
        own_report: Callable[[], NodeReport],
        tail: LogTail,
        links: OpenLinks,
        report_to: Callable[[Link], Awaitable[None]],
    ) -> None:
        self._node = node
        self._region = region
        self._state = state
        self._board = board
        self._own_report = own_report
        self._tail = tail
        self._links = links
        self._report_to = report_to
        self._nursery: trio.Nursery | None = None
        self._watchers = 0
        self._watched = trio.Event()
        self._merging: set[Lines] = set()
        self._merging_high = HighWater()

    def depth(self) -> Depth:
        """Lines of all nodes that wait for who reads them."""
        now = max((each.statistics().current_buffer_used for each in self._merging), default=0)
        return Depth("log_merge_lines", now, self._merging_high.highest, LOG_MERGE_LINE_COUNT_MAX)

    async def run(self) -> None:
        """Until cancelled, which ends all streams of lines."""
        async with trio.open_nursery() as self._nursery:
            while True:
                self._watched = trio.Event()
                if not self._watchers:
                    await self._watched.wait()
                # Gossip would bring the news as well, some seconds later: too late for who looks at a progress bar.
                for link in self._links.open():
                    self._nursery.start_soon(self._ask, link)
                await trio.sleep(WATCH_ASK_INTERVAL_S)

    def handlers(self) -> Mapping[str, Handler]:
        """For the dispatcher."""
        return {"status": self.status, "watch": self.watch, "logs": self.logs}

    def status_now(self) -> StatusView:
        """The status as it is now. See docs/status.md."""
        moment = self._moment()
        return status_view(self._node, self._state.view, self._state.alarms(), self._board, moment)

    async def status(self, _peer: Peer) -> dict[str, Any]:
        return self.status_now().as_plain()

    async def watch(self, _peer: Peer, app: str, sequence: int) -> Items:
        """How far each node is with a deployment, as it changes. Has no end of its own."""
        told: dict[str, RolloutView] = {}
        self._watchers += 1
        self._watched.set()
        try:
            while True:
                for view in rollout_views(app, sequence, self._state.view, self._board, self._moment()):
                    if told.get(view.node) != view:
                        told[view.node] = view
                        yield view.as_plain()
                await trio.sleep(WATCH_LOOK_INTERVAL_S)
        finally:
            self._watchers -= 1

    async def logs(self, peer: Peer, app: str, tail: int, follow: bool) -> Items:
        """Lines of an app: the last ones, and if asked, those that come. A node is told this node's own; anybody else
        those of all nodes that can be reached now."""
        assert self._nursery is not None, "it runs"
        send, receive = trio.open_memory_channel[dict[str, Any]](LOG_MERGE_LINE_COUNT_MAX)
        scope = trio.CancelScope()
        with self._tail.subscribe(app) as subscription, receive:
            sources = [partial(self._own_lines, self._tail.tail(app, tail), subscription if follow else None)]
            if peer.kind != "node":
                sources += [partial(self._lines_of, link, app, tail, follow) for link in self._links.open()]
            self._nursery.start_soon(_merge, sources, send, scope)
            self._merging.add(receive)
            try:
                async for line in receive:
                    self._merging_high.reached(receive.statistics().current_buffer_used + 1)
                    yield line
            finally:
                self._merging.discard(receive)
                scope.cancel()

    async def _ask(self, link: Link) -> None:
        with trio.move_on_after(WATCH_ASK_INTERVAL_S):
            try:
                await self._report_to(link)
            except EdgedError as error:
                log.debug("watch.failed", peer=link.peer.name, reason=error.message)

    def _moment(self) -> Moment:
        now = trio.current_time()
        self._board.put(self._own_report(), now)
        return Moment(time.time(), now, self._links.lost())

    async def _own_lines(self, lines: Sequence[LogLine], subscription: Subscription | None, send: Send) -> None:
        for line in lines:
            await send.send(self._as_plain(line))
        while subscription is not None:
            await send.send(self._as_plain(await subscription.next()))

    async def _lines_of(self, link: Link, app: str, tail: int, follow: bool, send: Send) -> None:
        try:
            async with aclosing(link.stream("logs", app=app, tail=tail, follow=follow)) as lines:
                async for line in lines:
                    if isinstance(line, dict):
                        await send.send(line)
        except EdgedError as error:  # that node's lines are missing; the others' are not
            log.debug("logs.failed", peer=link.peer.name, reason=error.message)

    def _as_plain(self, line: LogLine) -> dict[str, Any]:
        return {
            "node": self._node,
            "region": self._region(),
            "time": line.time,
            "component": line.component,
            "stream": line.stream,
            "text": line.text,
        }


async def _merge(sources: Sequence[Callable[[Send], Awaitable[None]]], send: Send, scope: trio.CancelScope) -> None:
    """Lines of all sources, until they have ended or nobody reads."""
    with scope:
        async with send, trio.open_nursery() as nursery:
            for source in sources:
                nursery.start_soon(source, send)
