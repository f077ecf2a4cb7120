"""What a benchmark found: for each client and target, before and after the event."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from edged.bench.httping import Latency
from edged.bench.mtr import Path
from edged.bench.series import Series

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Measurement:
    """Of one target, from one client, at one time."""

    httping: Latency
    mtr: Path


@dataclass(frozen=True, slots=True)
class Comparison:
    """Attributes:
    before: or the only one there is.
    after: None without an event.
    """

    client: str
    target: str
    url: str
    before: Measurement
    after: Measurement | None = None

    @property
    def ratio(self) -> float | None:
        """Average latency after the event, in averages before it. None if either is not known."""
        if self.after is None or not self.before.httping.avg_ms or self.after.httping.avg_ms is None:
            return None
        return self.after.httping.avg_ms / self.before.httping.avg_ms

    @property
    def path_changed(self) -> bool | None:
        """None without an event."""
        return None if self.after is None else self.before.mtr.differs(self.after.mtr)

    def as_json(self) -> dict[str, object]:
        """As docs/commands.md has it."""
        return asdict(self) | {"ratio": self.ratio, "path_changed": self.path_changed}


@dataclass(frozen=True, slots=True)
class Report:
    """All of a run.

    Attributes:
        event: the command, "" without.
        event_s, undo_s: when each had been given, in seconds of the series; None if it was not.
        began: unix seconds of the series' begin, or of the first measurement without an event.
        series: one of each client, to the anycast address; none without an event.
    """

    began: float
    comparisons: tuple[Comparison, ...]
    event: str = ""
    undo: str = ""
    event_s: float | None = None
    undo_s: float | None = None
    series: tuple[Series, ...] = ()

    def as_json(self) -> dict[str, object]:
        """As docs/commands.md has it. Only JSON types."""
        return {
            "format": FORMAT,
            "began": self.began,
            "event": self.event,
            "undo": self.undo,
            "event_s": self.event_s,
            "undo_s": self.undo_s,
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
            "series": [_series(series) for series in self.series],
        }


def _series(series: Series) -> dict[str, object]:
    return {
        "client": series.client,
        "failed": series.failed,
        "longest_gap_s": round(series.longest_gap_s, 3),
        "samples": [
            {"at_s": round(sample.at_s, 3), "latency_ms": sample.ping.latency_ms, "status": sample.ping.status}
            for sample in series.samples
        ],
    }
