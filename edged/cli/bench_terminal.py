"""A benchmark for a person: latencies, ways of packets, and what failed all the while, each in a table."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edged.bench.httping import Latency
from edged.bench.mtr import Hop, Path
from edged.bench.report import Comparison, Measurement, Report
from edged.bench.series import Series
from edged.cli.status_terminal import print_whole
from edged.readable import readable

_LATENCIES = "milliseconds: MIN, AVG and MAX of httping's requests, MTR of the last hop"
_SERIES = "to the anycast address, from before the event to the end"
_RATIO_SHOWN = 1.5
"""From which on it is said in colour: what is less may be chance."""


def print_report(report: Report, console: Console | None = None) -> None:
    """On stdout. Lines are folded only where there is a terminal whose width they would exceed."""
    print_whole(render(report), Console(highlight=False) if console is None else console)


def render(report: Report) -> RenderableType:
    """The whole of it."""
    parts: list[RenderableType] = [_latencies(report), Text(_LATENCIES, "dim"), Text(), _paths(report)]
    if report.series:
        parts += [Text(), _series(report), Text(_SERIES, "dim")]
    return Group(*parts)


def _latencies(report: Report) -> Table:
    table = _table(
        "CLIENT", "TARGET", "WHEN", "MIN", "AVG", "MAX", "FAILED", "RATIO", "MTR", "HOPS", "PATH", right=range(3, 10)
    )
    for each in report.comparisons:
        names = readable(each.client), readable(each.target)
        table.add_row(*names, "before" if report.event else "now", *_measured(each.before, Text()), Text())
        if each.after is not None:
            changed = Text("changed", "yellow") if each.path_changed else Text("same", "dim")
            table.add_row("", "", "after", *_measured(each.after, _ratio(each)), changed)
    return table


def _measured(measurement: Measurement, ratio: Text) -> tuple[Text, ...]:
    path = measurement.mtr
    last = path.last
    reached = Text("-", "red") if last is None or last.avg_ms is None else Text(f"{last.avg_ms:.1f}")
    return *_latency(measurement.httping), ratio, reached, Text(str(len(path.hops)))


def _latency(latency: Latency) -> tuple[Text, ...]:
    lost = latency.sent - latency.answered
    failed = Text(f"{lost}/{latency.sent}", "red" if lost or not latency.sent else "dim")
    times = (latency.min_ms, latency.avg_ms, latency.max_ms)
    return *(Text("-", "red") if time is None else Text(f"{time:.1f}") for time in times), failed


def _ratio(comparison: Comparison) -> Text:
    ratio = comparison.ratio
    if ratio is None:
        return Text("-", "dim")
    return Text(f"{ratio:.1f}x", "" if 1 / _RATIO_SHOWN < ratio < _RATIO_SHOWN else "yellow")


def _paths(report: Report) -> Table:
    table = _table("CLIENT", "TARGET", "WHEN", "HOPS OF MTR")
    for each in report.comparisons:
        names = readable(each.client), readable(each.target)
        table.add_row(*names, "before" if report.event else "now", _path(each.before.mtr))
        if each.after is not None and each.path_changed:
            table.add_row("", "", "after", _path(each.after.mtr))
    return table


def _path(path: Path) -> str:
    return " > ".join(_hop(hop) for hop in path.hops) or "no way"


def _hop(hop: Hop) -> str:
    name = readable(hop.host) or "?"
    return name if hop.avg_ms is None else f"{name} {hop.avg_ms:.1f}"


def _series(report: Report) -> Table:
    table = _table("CLIENT", "REQUESTS", "FAILED", "LONGEST GAP", right=range(1, 4))
    for series in report.series:
        failed = Text(str(series.failed), "red" if series.failed else "")
        table.add_row(readable(series.client), str(len(series.samples)), failed, _gap(series))
    return table


def _gap(series: Series) -> Text:
    gap = series.longest_gap_s
    return Text(f"{gap:.2f} s", "red") if gap else Text("-", "dim")


def _table(*columns: str, right: range = range(0)) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="right" if index in right else "left")
    return table
