"""The last lines of each app, and who reads on.

    a child's stderr -> add(line) -> ring of the app -> tail(app)
                                  -> queues of subscribers of the app -> edged logs -f

A line is JSON as `edged.logging` writes it; one with an `app` belongs to that app. Others are nobody's, and are not
kept here.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from edged.errors import Overloaded
from edged.fleet.depth import Depth, HighWater
from edged.limits import (
    LOG_TAIL_APP_COUNT_MAX,
    LOG_TAIL_CHARS_MAX,
    LOG_TAIL_LINE_COUNT,
    LOG_TAIL_QUEUE_COUNT_MAX,
    LOG_TAIL_SUBSCRIBER_COUNT_MAX,
)

_STREAMS = {"guest.stdout": "stdout", "guest.stderr": "stderr"}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of an app.

    Attributes:
        time: in UTC, as `2026-11-21T06:00:00.000Z`.
        component: "" where it is about the whole app.
        stream: `stdout` or `stderr` of a guest; `edged` for what edged says of the app.
    """

    time: str
    app: str
    component: str
    stream: str
    text: str


class Subscription:
    """The lines of one app from now on.

    Args:
        high: told how many wait.

    Attributes:
        dropped: lines that came faster than they were taken.
    """

    def __init__(self, high: HighWater) -> None:
        self._send, self._receive = trio.open_memory_channel[LogLine](LOG_TAIL_QUEUE_COUNT_MAX)
        self._high = high
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Lines that were not taken yet."""
        return self._receive.statistics().current_buffer_used

    async def next(self) -> LogLine:
        return await self._receive.receive()

    def next_nowait(self) -> LogLine | None:
        """None where `next` would wait."""
        try:
            return self._receive.receive_nowait()
        except trio.WouldBlock:
            return None

    def put(self, line: LogLine) -> None:
        """Never waits: a reader that is slow loses lines, and is told how many."""
        try:
            self._send.send_nowait(line)
        except trio.WouldBlock:
            self.dropped += 1
        self._high.reached(self.waiting)


class LogTail:
    """See the module."""

    def __init__(self) -> None:
        self._rings: OrderedDict[str, deque[LogLine]] = OrderedDict()
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._subscription_count = 0
        self._lines_high = HighWater()
        self._chars_high = HighWater()
        self._chars = 0

    def add(self, line: bytes) -> None:
        """A line of a child, whatever it is."""
        parsed = parse_line(line)
        if parsed is not None:
            self.keep(parsed)

    def keep(self, parsed: LogLine) -> None:
        """A line of an app."""
        ring = self._rings.get(parsed.app)
        if ring is None:
            if len(self._rings) >= LOG_TAIL_APP_COUNT_MAX:
                _, gone = self._rings.popitem(last=False)
                self._chars -= sum(len(each.text) for each in gone)
            ring = self._rings[parsed.app] = deque()
        self._rings.move_to_end(parsed.app)
        ring.append(parsed)
        self._chars += len(parsed.text)
        if len(ring) > LOG_TAIL_LINE_COUNT:
            self._chars -= len(ring.popleft().text)
        while self._chars > LOG_TAIL_CHARS_MAX:
            app, longest_silent = next(iter(self._rings.items()))
            self._chars -= len(longest_silent.popleft().text)
            if not longest_silent:
                del self._rings[app]
        self._chars_high.reached(self._chars)
        for subscription in self._subscriptions.get(parsed.app, ()):
            subscription.put(parsed)

    def tail(self, app: str, count: int = LOG_TAIL_LINE_COUNT) -> list[LogLine]:
        """The last lines of an app, oldest first."""
        return list(self._rings.get(app, ()))[-count:] if count > 0 else []

    def depths(self) -> tuple[Depth, Depth]:
        """Lines that wait for a reader, and all that are kept."""
        waiting = max((each.waiting for readers in self._subscriptions.values() for each in readers), default=0)
        return (
            Depth("log_lines", waiting, self._lines_high.highest, LOG_TAIL_QUEUE_COUNT_MAX),
            Depth("log_tail_characters", self._chars, self._chars_high.highest, LOG_TAIL_CHARS_MAX),
        )

    @contextmanager
    def subscribe(self, app: str) -> Iterator[Subscription]:
        """Lines of an app from now on, until the block ends.

        Raises:
            Overloaded: as many read already as may.
        """
        if self._subscription_count >= LOG_TAIL_SUBSCRIBER_COUNT_MAX:
            raise Overloaded(f"{self._subscription_count} readers follow logs of this node already")
        subscription = Subscription(self._lines_high)
        self._subscription_count += 1
        self._subscriptions.setdefault(app, []).append(subscription)
        try:
            yield subscription
        finally:
            self._subscription_count -= 1
            readers = self._subscriptions[app]
            readers.remove(subscription)
            if not readers:
                del self._subscriptions[app]


def parse_line(line: bytes) -> LogLine | None:
    """A line of `edged.logging` that is about an app; None for any other."""
    if b'"app"' not in line:  # so that lines about nobody cost no parsing
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or not isinstance(fields.get("app"), str):
        return None
    event = str(fields.get("event", ""))
    stream = _STREAMS.get(event, "edged")
    if stream == "edged":
        said = [event, fields.get("message"), f"[{fields['code']}]" if "code" in fields else None]
        text = " ".join(str(part) for part in said if part)
    else:
        text = str(fields.get("text", ""))
    return LogLine(str(fields.get("time", "")), fields["app"], str(fields.get("component") or ""), stream, text)
