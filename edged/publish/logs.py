"""What an app's guests print, from every node that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import trio

from edged.limits import LOG_MERGE_INTERVAL_S, LOG_MERGE_LINE_COUNT_MAX, LOG_TAIL_LINE_COUNT
from edged.nursery import plain_errors
from edged.publish.link import Link
from edged.status.answer import Answer


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. Its text comes from a guest: it is not safe to show as it is.

    Attributes:
        time: by the clock of the node, in UTC, as `2026-11-21T06:00:00.000Z`: these sort as text.
        component: "" where it is about the whole app.
        stream: `stdout` or `stderr` of a guest; `edged` for what edged says of the app.
    """

    time: str
    node: str
    region: str
    component: str
    stream: str
    text: str


async def read_logs(
    link: Link, app: str, *, tail: int, follow: bool, show: Callable[[Sequence[LogLine]], None]
) -> None:
    """Show the lines of all nodes together, by time: those from before at once, those that come a few times a second.

    Args:
        tail: lines from before.
        follow: go on with new ones until cancelled.

    Raises:
        EdgedError: see `Link.stream`.
    """
    merger = _Merger(tail, show)
    with plain_errors():
        async with trio.open_nursery() as nursery:
            if follow:
                nursery.start_soon(merger.flush_forever)
            try:
                async with aclosing(link.stream("logs", app=app, tail=tail, follow=follow)) as items:
                    async for item in items:
                        merger.add(_line(Answer(item, "logs")), is_following=follow)
            finally:
                merger.flush()
            nursery.cancel_scope.cancel()


class _Merger:
    """Lines wait a moment for older ones of other nodes: each node sends its own in order, and all at the same time."""

    def __init__(self, tail: int, show: Callable[[Sequence[LogLine]], None]) -> None:
        self._tail = tail
        self._show = show
        self._waiting: list[LogLine] = []

    def add(self, line: LogLine, *, is_following: bool) -> None:
        self._waiting.append(line)
        if is_following and len(self._waiting) >= LOG_MERGE_LINE_COUNT_MAX:
            self.flush()
        elif len(self._waiting) >= 2 * LOG_TAIL_LINE_COUNT:
            self._waiting = self._last()

    async def flush_forever(self) -> None:
        while True:
            await trio.sleep(LOG_MERGE_INTERVAL_S)
            self.flush()

    def flush(self) -> None:
        # Each node sends as many lines from before as were asked for, so the first ones are cut, and only they.
        lines, self._waiting, self._tail = self._last(), [], 0
        if lines:
            self._show(lines)

    def _last(self) -> list[LogLine]:
        return sorted(self._waiting, key=lambda line: line.time)[-self._tail :]


def _line(line: Answer) -> LogLine:
    return LogLine(
        time=line.get("time", str),
        node=line.get("node", str),
        region=line.get("region", str),
        component=line.get("component", str),
        stream=line.get("stream", str),
        text=line.get("text", str),
    )
