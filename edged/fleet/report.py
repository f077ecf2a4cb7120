"""What nodes say of themselves, and the board on which one node keeps what it heard.

    own report ──> Board.put ──┐                       ┌─> Board.all() ──> a peer
    a peer's answer ──> merge ─┴─> one entry per node ─┴─> seen() ──> status

A report counts as newer by (incarnation, beat), which only its node raises; clocks do not matter. What a node says over
its own link is direct, all else hearsay. A node that hears of a higher number of its own takes one above that: its
clock was ahead when it ran before, or somebody lies, and either would outlive whoever said it. Reports are advice: they
fill `edged status` and choose peers, and nothing is withdrawn, deleted or rolled back for what they say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, Literal, get_args

from bgp.status import AnycastStatus
from edged.errors import RequestInvalid
from edged.fleet.anycast_report import bytes_at_most, cut_anycast, encode_anycast, parse_anycast
from edged.fleet.beats import Beat
from edged.fleet.scope import TriggerReport
from edged.limits import (
    REPORT_ALARM_COUNT_MAX,
    REPORT_APP_COUNT_MAX,
    REPORT_COUNT_MAX,
    REPORT_DIRECT_S,
    REPORT_INCARNATION_STEP_MAX,
    REPORT_INTERVAL_S_HIGHEST,
    REPORT_NEWS_S,
    REPORT_STALE_BEATS,
    REPORT_TEXT_CHARS_MAX,
    REPORT_UP_S,
    SCOPE_TRIGGER_COUNT_MAX,
)
from registry.errors import Malformed
from registry.strict import Reader

Stage = Literal["idle", "fetch", "verify", "waiting", "compile", "probe", "live", "failed", "reverted", "held"]
STAGES: tuple[Stage, ...] = get_args(Stage)

_NAME_BYTES_MAX = 255
_UNKNOWN = -1  # how a time that nobody measured is written
_TEXT_BYTES_MAX = 4 * REPORT_TEXT_CHARS_MAX


@dataclass(frozen=True, slots=True)
class AppReport:
    """One app on one node.

    Attributes:
        desired, running: sequences; 0 for none.
        release: digest of what runs; "" for nothing.
        since: unix time (s) of the last change of stage.
        bytes_done, bytes_total, bytes_saved: plain bytes of the release: here, in all, and those that need not move.
        requests, failures: since the running sequence is served.
    """

    desired: int = 0
    running: int = 0
    release: str = ""
    stage: Stage = "idle"
    error_code: str = ""
    error_message: str = ""
    since: float = 0.0
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_saved: int = 0
    requests: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node, as it sees itself.

    Attributes:
        incarnation: unix time (s) of its start; raised at each, and above any that others heard of.
        beat: counts its reports from there.
        time: its clock, unix s.
        version: of edged.
        apps: by name.
        p50_ms, p99_ms: of requests in the last minute; None without any.
        anycast: None on a node that announces nothing.
        triggers: that it shares with other nodes, by their keys (`edged.fleet.scope`).
    """

    node: str
    region: str
    incarnation: int
    beat: int
    time: float
    version: str = ""
    roster_version: int = 0
    heads_hash: str = ""
    apps: Mapping[str, AppReport] = field(default_factory=dict)
    requests_s: float = 0.0
    p50_ms: float | None = None
    p99_ms: float | None = None
    workers_ready: int = 0
    workers_total: int = 0
    certificate_days: float = 0.0
    disk_free_bytes: int = 0
    disk_used_bytes: int = 0
    alarms: tuple[str, ...] = ()
    anycast: AnycastStatus | None = None
    triggers: Mapping[str, TriggerReport] = field(default_factory=dict)

    def encode(self) -> dict[str, Any]:
        """As it stands in a message. A version that knows no `anycast`, or no `triggers`, understands nodes that have
        none."""
        shape: dict[str, Any] = dict(zip(_NAMES, _values_of(self), strict=True))
        shape["apps"] = {
            name: dict(zip(_APP_NAMES, _values_of_app(app), strict=True)) for name, app in self.apps.items()
        }
        shape["alarms"] = list(self.alarms)
        if self.triggers:
            shape["triggers"] = {key: [each.since, each.done, each.active] for key, each in self.triggers.items()}
        if self.anycast is not None:
            shape["anycast"] = [encode_anycast(self.anycast)]
        return {key: _UNKNOWN if value is None else value for key, value in shape.items()}

    @staticmethod
    def parse(value: object) -> NodeReport:
        """
        Raises:
            RequestInvalid: not a report, or one over the limits.
        """
        try:
            optional: dict[str, object] = {"anycast": [], "triggers": {}}
            return _parse(Reader(optional | value if isinstance(value, dict) else value, "report"))
        except Malformed as error:
            raise RequestInvalid(error.message) from None


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
        if not _is_same_news(report, self.report):
            self.news, self.news_at = _age(report), now
        self.report, self.bytes_max = report, _bytes_at_most(report)


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
            self._hear_of_ourselves(report.node, _age(report))
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
        age = _age(report)
        if entry is None:
            self._entries[report.node] = _Entry(report, age, now, now, is_hearsay, age, now, _bytes_at_most(report))
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
            shown, age = theirs.get(name, (0, -1)), _age(entry.report)
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


def parse_reports(value: object) -> list[NodeReport]:
    """The reports of a message.

    Raises:
        RequestInvalid
    """
    if not isinstance(value, list) or len(value) > REPORT_COUNT_MAX:
        raise RequestInvalid(f"reports are no array of up to {REPORT_COUNT_MAX}")
    return [NodeReport.parse(item) for item in value]


def cut_alarms(report: NodeReport) -> NodeReport:
    """With only as many alarms, and as much of each text, as peers take."""
    alarms = tuple(alarm[:REPORT_TEXT_CHARS_MAX] for alarm in report.alarms[:REPORT_ALARM_COUNT_MAX])
    apps = {
        name: app
        if len(app.error_message) <= REPORT_TEXT_CHARS_MAX
        else replace(app, error_message=app.error_message[:REPORT_TEXT_CHARS_MAX])
        for name, app in list(report.apps.items())[:REPORT_APP_COUNT_MAX]
    }
    anycast = None if report.anycast is None else cut_anycast(report.anycast)
    return replace(report, alarms=alarms, apps=apps, anycast=anycast)


def _bytes_at_most(report: NodeReport) -> int:
    """Of its encoding, without making it: the rest of an app, and of a report, is numbers and names of fields."""
    texts = [*report.alarms]
    for name, app in report.apps.items():
        texts += [name, app.release, app.error_code, app.error_message]
    anycast = 0 if report.anycast is None else bytes_at_most(report.anycast)
    counted = _REPORT_BYTES + _APP_BYTES * len(report.apps) + _TRIGGER_BYTES * len(report.triggers)
    return counted + sum(len(text.encode()) for text in texts) + anycast


def _is_news(report: NodeReport, is_hearsay: bool, entry: _Entry, now: float) -> bool:
    """A node's own word goes before hearsay: else a peer that lies could silence another one with a high number."""
    if is_hearsay and not (_is_open(entry, now) and _is_credible(_age(report), entry)):
        return False
    if entry.is_hearsay and not is_hearsay:
        return True
    return _age(report) > _age(entry.report)


def _is_open(entry: _Entry, now: float) -> bool:
    """Whether hearsay is listened to: its own word was long ago, but not so long that the node already seems silent."""
    return entry.is_hearsay or now - entry.heard_at > REPORT_DIRECT_S


def _is_credible(heard: tuple[int, int], entry: _Entry) -> bool:
    """Whether a node may be said to be so much newer: else a lie could be higher than any word of its own."""
    return heard[0] <= entry.heard[0] + REPORT_INCARNATION_STEP_MAX


def _is_same_news(one: NodeReport, other: NodeReport) -> bool:
    """Whether they differ in nothing but what is only counted or measured."""
    return (
        _news_of(one) == _news_of(other)
        and one.apps.keys() == other.apps.keys()
        and all(_news_of_app(app) == _news_of_app(other.apps[name]) for name, app in one.apps.items())
    )


def _age(report: NodeReport) -> tuple[int, int]:
    return report.incarnation, report.beat


def _parse(reader: Reader) -> NodeReport:
    anycast = [parse_anycast(each) for each in reader.readers("anycast", 1)]
    report = NodeReport(
        node=reader.line("node", _NAME_BYTES_MAX),
        region=reader.line("region", _NAME_BYTES_MAX),
        incarnation=reader.integer("incarnation"),
        beat=reader.integer("beat"),
        time=reader.number("time"),
        version=reader.text("version", _NAME_BYTES_MAX),
        roster_version=reader.integer("roster_version"),
        heads_hash=reader.text("heads_hash", _NAME_BYTES_MAX),
        apps={
            name: _parse_app(Reader(app, f"report.apps.{name[:_NAME_BYTES_MAX]}"))
            for name, app in reader.mapping("apps", REPORT_APP_COUNT_MAX).items()
        },
        requests_s=reader.number("requests_s"),
        p50_ms=_maybe_number(reader, "p50_ms"),
        p99_ms=_maybe_number(reader, "p99_ms"),
        workers_ready=reader.integer("workers_ready"),
        workers_total=reader.integer("workers_total"),
        certificate_days=reader.number("certificate_days", lowest=-1e6, highest=1e6),
        disk_free_bytes=reader.integer("disk_free_bytes"),
        disk_used_bytes=reader.integer("disk_used_bytes"),
        alarms=tuple(_short(alarm) for alarm in reader.array("alarms", REPORT_ALARM_COUNT_MAX)),
        anycast=anycast[0] if anycast else None,
        triggers={
            _key(key): _parse_trigger(each) for key, each in reader.mapping("triggers", SCOPE_TRIGGER_COUNT_MAX).items()
        },
    )
    reader.end()
    return report


def _parse_app(reader: Reader) -> AppReport:
    app = AppReport(
        desired=reader.integer("desired"),
        running=reader.integer("running"),
        release=reader.text("release", _NAME_BYTES_MAX),
        stage=_STAGE[reader.choice("stage", STAGES)],
        error_code=reader.text("error_code", _NAME_BYTES_MAX),
        error_message=reader.text("error_message", _TEXT_BYTES_MAX),
        since=reader.number("since"),
        bytes_done=reader.integer("bytes_done"),
        bytes_total=reader.integer("bytes_total"),
        bytes_saved=reader.integer("bytes_saved"),
        requests=reader.integer("requests"),
        failures=reader.integer("failures"),
    )
    reader.end()
    return app


def _key(key: object) -> str:
    if not isinstance(key, str) or not _TRIGGER_KEY(key):
        raise RequestInvalid("a trigger of a report has a key that is not 32 hex digits")
    return key


def _parse_trigger(value: object) -> TriggerReport:
    if not isinstance(value, list) or len(value) != 3:
        raise RequestInvalid("a trigger of a report is not three numbers")
    fields = Reader(dict(zip(("since", "done", "active"), value, strict=True)), "report.triggers")
    found = TriggerReport(*(fields.integer(name) for name in ("since", "done", "active")))
    if found.since > found.done:
        raise RequestInvalid("a trigger of a report ends before it begins")
    return found


_TRIGGER_KEY = re.compile(r"[0-9a-f]{32}").fullmatch
_TRIGGER_BYTES = 64  # the key and three numbers

_NAMES = tuple(each.name for each in fields(NodeReport) if each.name not in ("anycast", "triggers"))
_APP_NAMES = tuple(each.name for each in fields(AppReport))
_values_of, _values_of_app = attrgetter(*_NAMES), attrgetter(*_APP_NAMES)  # far quicker than dataclasses.asdict

_MEASURED = frozenset({"requests_s", "p50_ms", "p99_ms", "certificate_days", "disk_free_bytes", "disk_used_bytes"})
_COUNTED = frozenset({"bytes_done", "bytes_total", "bytes_saved", "requests", "failures"})
_news_of = attrgetter(
    *[each.name for each in fields(NodeReport) if each.name not in _MEASURED | {"beat", "time", "apps", "anycast"}]
)
_news_of_app = attrgetter(*[each.name for each in fields(AppReport) if each.name not in _COUNTED])

_REPORT_BYTES = 2_048
_APP_BYTES = 256

_STAGE: dict[str, Stage] = {stage: stage for stage in STAGES}


def _maybe_number(reader: Reader, name: str) -> float | None:
    value = reader.number(name, lowest=_UNKNOWN)
    return None if value == _UNKNOWN else value


def _short(alarm: object) -> str:
    if not isinstance(alarm, str) or len(alarm) > REPORT_TEXT_CHARS_MAX:
        raise RequestInvalid(f"an alarm that is no text of up to {REPORT_TEXT_CHARS_MAX} characters")
    return alarm
