"""The board on which a node keeps what it heard of the others.

    own report ──> Board.put ──┐                       ┌─> Board.all() ──> a peer
    a peer's answer ──> merge ─┴─> one entry per node ─┴─> seen() ──> status

A report counts as newer by (incarnation, beat), which only its node raises; clocks do not matter. What a node says over
its own link is direct, all else hearsay. A node that hears of a higher number of its own takes one above that: its
clock was ahead when it ran before, or somebody lies, and either would outlive whoever said it. Reports are advice: they
fill `edged status` and choose peers, and nothing is withdrawn, deleted or rolled back for what they say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from edged.fleet.beats import Beat
from edged.fleet.report import NodeReport
from edged.limits import (
    REPORT_COUNT_MAX,
    REPORT_DIRECT_S,
    REPORT_INCARNATION_STEP_MAX,
    REPORT_INTERVAL_S_HIGHEST,
    REPORT_NEWS_S,
    REPORT_STALE_BEATS,
    REPORT_UP_S,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the board knows of one node.

    Attributes:
        report: the newest; None if it was never heard of.
        state: `up` if heard of within `REPORT_UP_S` and not lost since, else `silent`; `never` if not since we started.
        since: when the state began, on the clock that is passed in.
        age_s: since its newest report came; None if never.
        is_hearsay: that came through another node.
    """

    name: str
    report: NodeReport | None
    state: Literal["up", "silent", "never"]
    since: float
    age_s: float | None
    is_hearsay: bool


@dataclass(slots=True)
class _Entry:
    """
    Attributes:
        heard: incarnation and beat of the newest that was heard of the node, its report or only a beat.
        news: those of the first report that said what this one says.
        news_at: when that came.
        bytes_max: of the report in a message.
    """

    report: NodeReport
    heard: tuple[int, int]
    heard_at: float
    up_since: float
    is_hearsay: bool
    news: tuple[int, int]
    news_at: float
    bytes_max: int

    def hear(self, heard: tuple[int, int], now: float, *, is_hearsay: bool) -> None:
        if now - self.heard_at > REPORT_UP_S:
            self.up_since = now
        self.heard, self.heard_at, self.is_hearsay = heard, now, is_hearsay

    def keep(self, report: NodeReport, now: float) -> None:
        if report.has_news_of(self.report):
            self.news, self.news_at = report.age, now
        self.report, self.bytes_max = report, report.bytes_at_most()


class Board:
    """The newest report of each node. Times are of one monotonic clock (s).

    Args:
        name: of this node: nobody else may report for it.
        is_known: whether a node of that name belongs to the fleet; others' reports are dropped.
        now: when this node started.

    Attributes:
        outdone: the highest incarnation that others take for this node's, where it is not; 0 if that never was.
    """

    def __init__(self, name: str, is_known: Callable[[str], bool], now: float) -> None:
        self._name = name
        self._is_known = is_known
        self._started = now
        self._entries: dict[str, _Entry] = {}
        self.outdone = 0

    def put(self, own: NodeReport, now: float) -> None:
        """This node's own report."""
        assert own.node == self._name
        self._keep(own, now, is_hearsay=False)

    def merge(self, reports: Iterable[NodeReport], sender: str, now: float) -> list[str]:
        """What a peer said; returns the names of the nodes that there is news of.

        Args:
            sender: the peer's name: its own report is direct.
        """
        reports = list(reports)
        for report in reports:
            self._hear_of_ourselves(report.node, report.age)
        return [
            report.node
            for report in reports
            if report.node != self._name
            and self._is_known(report.node)
            and self._keep(report, now, is_hearsay=report.node != sender)
        ]

    def _keep(self, report: NodeReport, now: float, *, is_hearsay: bool) -> bool:
        entry = self._entries.get(report.node)
        if entry is not None and not _is_news(report, is_hearsay, entry, now):
            return False
        if entry is None and len(self._entries) >= REPORT_COUNT_MAX:
            return False
        age = report.age
        if entry is None:
            self._entries[report.node] = _Entry(report, age, now, now, is_hearsay, age, now, report.bytes_at_most())
            return True
        if age > entry.heard or not is_hearsay:
            entry.hear(age, now, is_hearsay=is_hearsay)
        entry.keep(report, now)
        return True

    def beats(self) -> list[Beat]:
        """Of all nodes, for a peer."""
        return [
            Beat(name, *entry.heard, entry.report.beat if entry.report.incarnation == entry.heard[0] else 0)
            for name, entry in self._entries.items()
            if self._is_known(name)
        ]

    def hear(self, beats: Iterable[Beat], now: float) -> None:
        """Of whom a peer heard. Counts for nodes whose report is here, as hearsay."""
        for beat in beats:
            entry = self._entries.get(beat.node)
            heard = beat.incarnation, beat.beat
            self._hear_of_ourselves(beat.node, heard)
            if beat.node == self._name or entry is None or not _is_open(entry, now):
                continue
            if heard > entry.heard and _is_credible(heard, entry):
                entry.hear(heard, now, is_hearsay=True)

    def _hear_of_ourselves(self, name: str, heard: tuple[int, int]) -> None:
        own = self._entries.get(self._name)
        if name == self._name and own is not None and heard > own.heard and _is_credible(heard, own):
            self.outdone = max(self.outdone, heard[0])

    def news(self, now: float, bytes_max: int) -> list[NodeReport]:
        """Our own report, and those that came lately and said something new, as many as go into a message, the latest
        first: for a peer of whom we do not know what it lacks."""
        entries = [
            (-math.inf if name == self._name else now - entry.news_at, entry)
            for name, entry in self._entries.items()
            if name == self._name or now - entry.news_at <= REPORT_NEWS_S
        ]
        entries.sort(key=lambda item: item[0])
        return self._as_many([entry for _, entry in entries], bytes_max)

    def lacking(self, beats: Iterable[Beat], bytes_max: int) -> list[NodeReport]:
        """Our own report, and those that the peer with these beats lacks, as many as go into a message: the latest news
        first, then what is oldest over there."""
        theirs = {beat.node: (beat.incarnation, beat.shown) for beat in beats}
        due: list[tuple[tuple[int, float], _Entry]] = []
        for name, entry in self._entries.items():
            shown, age = theirs.get(name, (0, -1)), entry.report.age
            if name == self._name:
                due.append(((0, 0.0), entry))
            elif shown < entry.news:
                due.append(((1, -entry.news_at), entry))
            elif shown[0] == age[0] and age[1] - shown[1] >= REPORT_STALE_BEATS:
                due.append(((2, shown[1] - age[1]), entry))
        due.sort(key=lambda item: item[0])
        return self._as_many([entry for _, entry in due], bytes_max)

    def all(self) -> list[NodeReport]:
        """All reports, for a peer."""
        return [entry.report for entry in self._entries.values() if self._is_known(entry.report.node)]

    def fitting(self, bytes_max: int) -> list[NodeReport]:
        """As many as go into a message, for a peer: our own first, then whom we heard of last. One that is too long
        keeps no other out."""
        entries = sorted(self._entries.items(), key=lambda item: (item[0] != self._name, -item[1].heard_at))
        return self._as_many([entry for _, entry in entries], bytes_max)

    def _as_many(self, entries: Iterable[_Entry], bytes_max: int) -> list[NodeReport]:
        found: list[NodeReport] = []
        for entry in entries:
            if self._is_known(entry.report.node) and entry.bytes_max <= bytes_max:
                bytes_max -= entry.bytes_max
                found.append(entry.report)
        return found

    def get(self, name: str) -> NodeReport | None:
        """The newest report of a node."""
        entry = self._entries.get(name)
        return None if entry is None else entry.report

    def seen(self, names: Iterable[str], now: float, lost: Mapping[str, float] | None = None) -> list[Seen]:
        """What is known of each of these nodes, in their order.

        Args:
            lost: nodes whose link broke and that cannot be reached -> when it broke. They are silent at once, unless
                others go on hearing of them.
        """
        lost = lost or {}
        return [self._seen(name, now, lost.get(name, -math.inf)) for name in names]

    def forget(self) -> None:
        """Drop what is known of nodes that have left the fleet."""
        self._entries = {name: entry for name, entry in self._entries.items() if self._is_known(name)}

    def _seen(self, name: str, now: float, lost_at: float) -> Seen:
        entry = self._entries.get(name)
        if entry is None:
            return Seen(name, None, "never", self._started, None, False)
        age_s = now - entry.heard_at
        # What peers say right after a loss may be what they heard before it.
        is_lost = entry.heard_at <= lost_at + REPORT_INTERVAL_S_HIGHEST
        if name == self._name or (age_s <= REPORT_UP_S and not is_lost):
            return Seen(name, entry.report, "up", entry.up_since, age_s, entry.is_hearsay)
        return Seen(name, entry.report, "silent", entry.heard_at, age_s, entry.is_hearsay)


def _is_news(report: NodeReport, is_hearsay: bool, entry: _Entry, now: float) -> bool:
    """A node's own word goes before hearsay: else a peer that lies could silence another one with a high number."""
    if is_hearsay and not (_is_open(entry, now) and _is_credible(report.age, entry)):
        return False
    if entry.is_hearsay and not is_hearsay:
        return True
    return report.age > entry.report.age


def _is_open(entry: _Entry, now: float) -> bool:
    """Whether hearsay is listened to: its own word was long ago, but not so long that the node already seems silent."""
    return entry.is_hearsay or now - entry.heard_at > REPORT_DIRECT_S


def _is_credible(heard: tuple[int, int], entry: _Entry) -> bool:
    """Whether a node may be said to be so much newer: else a lie could be higher than any word of its own."""
    return heard[0] <= entry.heard[0] + REPORT_INCARNATION_STEP_MAX
