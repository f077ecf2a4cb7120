"""What nodes say of themselves: strict to read, cheap to compare. `board` keeps what was heard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, Literal, get_args

from bgp.status import AnycastStatus
from edged.errors import RequestInvalid
from edged.fleet.anycast_report import bytes_at_most, cut_anycast, encode_anycast, parse_anycast
from edged.fleet.scope import TriggerReport
from edged.limits import (
    REPORT_ALARM_COUNT_MAX,
    REPORT_APP_COUNT_MAX,
    REPORT_COUNT_MAX,
    REPORT_TEXT_CHARS_MAX,
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

    @property
    def age(self) -> tuple[int, int]:
        """The higher, the newer: incarnation and beat."""
        return self.incarnation, self.beat

    def has_news_of(self, other: NodeReport) -> bool:
        """Whether they differ in more than what is only counted or measured."""
        return (
            _news_of(self) != _news_of(other)
            or self.apps.keys() != other.apps.keys()
            or any(_news_of_app(app) != _news_of_app(other.apps[name]) for name, app in self.apps.items())
        )

    def bytes_at_most(self) -> int:
        """Of its encoding, without making it: the rest of an app, and of a report, is numbers and names of fields."""
        texts = [*self.alarms]
        for name, app in self.apps.items():
            texts += [name, app.release, app.error_code, app.error_message]
        anycast = 0 if self.anycast is None else bytes_at_most(self.anycast)
        counted = _REPORT_BYTES + _APP_BYTES * len(self.apps) + _TRIGGER_BYTES * len(self.triggers)
        return counted + sum(len(text.encode()) for text in texts) + anycast

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
