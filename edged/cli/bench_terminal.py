"""A benchmark for a person: latencies in one table, ways of packets in another."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edged.bench.httping import Latency
from edged.bench.mtr import Hop, Path
from edged.bench.report import Comparison, Report
from edged.bench.series import Series
from edged.readable import readable

_FILE_COLUMNS = 10_000  # whatever reads a file or pipe folds no lines
_SLOWER = 1.5
"""A ratio from which on it is said in colour: what is less may be chance."""


def print_report(report: Report, console: Console | None = None) -> None:
    """On stdout. Lines are cut only where there is a terminal whose width they would exceed."""
    console = Console(highlight=False) if console is None else console
    console.print(render(report), width=None if console.is_terminal else _FILE_COLUMNS)


def render(report: Report) -> RenderableType:
    """The whole of it."""
    parts: list[RenderableType] = [_latencies(report), Text(), _paths(report)]
    if report.series:
        parts += [Text(), _series(report)]
    return Group(*parts)


def _latencies(report: Report) -> Table:
    columns = ["CLIENT", "TARGET"] + (["HTTPING BEFORE", "AFTER", "RATIO"] if report.event else ["HTTPING MIN/AVG/MAX"])
    columns += ["LAST HOP BEFORE", "AFTER", "PATH"] if report.event else ["LAST HOP"]
    table = _table(columns, "httping: milliseconds min/avg/max of a request; last hop: milliseconds of mtr")
    for each in report.comparisons:
        row: list[str | Text] = [readable(each.client), readable(each.target), _latency(each.before.httping)]
        if each.after is not None:
            row += [_latency(each.after.httping), _ratio(each)]
        row.append(_last(each.before.mtr))
        if each.after is not None:
            row += [_last(each.after.mtr), Text("changed", "yellow") if each.path_changed else Text("same", "dim")]
        table.add_row(*row)
    return table


def _paths(report: Report) -> Table:
    table = _table(["CLIENT", "TARGET", "WHEN" if report.event else "", "HOPS OF MTR"])
    for each in report.comparisons:
        names = readable(each.client), readable(each.target)
        table.add_row(*names, "before" if report.event else "", _path(each.before.mtr))
        if each.after is not None and each.path_changed:
            table.add_row("", "", "after", _path(each.after.mtr))
    return table


def _series(report: Report) -> Table:
    table = _table(["CLIENT", "REQUESTS", "FAILED", "LONGEST GAP"], "to the anycast address, all the time")
    for series in report.series:
        failed = Text(str(series.failed), "red" if series.failed else "")
        table.add_row(readable(series.client), str(len(series.samples)), failed, _gap(series))
    return table


def _table(columns: list[str], caption: str = "") -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        caption=caption or None,
        caption_justify="left",
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _latency(latency: Latency) -> Text:
    if latency.min_ms is None or latency.avg_ms is None or latency.max_ms is None:
        return Text("no answer", "red")
    text = Text(f"{latency.min_ms:.1f}/{latency.avg_ms:.1f}/{latency.max_ms:.1f}")
    lost = latency.sent - latency.answered
    return text.append(f" {lost} of {latency.sent} failed", "red") if lost else text


def _ratio(comparison: Comparison) -> Text:
    ratio = comparison.ratio
    if ratio is None:
        return Text("-", "dim")
    return Text(f"{ratio:.1f}x", "yellow" if ratio >= _SLOWER or ratio <= 1 / _SLOWER else "")


def _last(path: Path) -> Text:
    last = path.last
    if last is None or last.avg_ms is None:
        return Text("not reached", "red")
    return Text(f"{last.avg_ms:.1f} at {len(path.hops)}")


def _path(path: Path) -> str:
    return " > ".join(_hop(hop) for hop in path.hops) or "no way"


def _hop(hop: Hop) -> str:
    name = readable(hop.host) or "?"
    return name if hop.avg_ms is None else f"{name} {hop.avg_ms:.1f}"


def _gap(series: Series) -> Text:
    gap = series.longest_gap_s
    return Text(f"{gap:.2f} s", "red") if gap else Text("-", "dim")
