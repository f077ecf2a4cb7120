"""Latency over time, drawn: one SVG with a line for each client and a mark where the event was.

No script, no font and nothing else is fetched; colours follow the reader's light or dark theme. A line is broken where
a request failed, and a mark at the foot says when.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from edged.bench.report import Report
from edged.bench.series import Series
from edged.readable import readable

_TITLE = "Latency of the anycast address"
_WIDTH, _HEIGHT = 960, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 140, 72, 76
_TICKS = 6
_LABEL_HEIGHT = 17
_FAILED_HEIGHT = 6
_MS_LOWEST = 0.01  # httping says no less
# Told apart by people who see colours differently, and against either background.
_LIGHT = ("#0072b2", "#d55e00", "#007a5a", "#aa3377", "#7a6000", "#5a4fcf", "#a01818", "#4d5a66")
_DARK = ("#56b4e9", "#ff9248", "#35cfa0", "#f28ac4", "#e6c637", "#a9a2ff", "#ff7b7b", "#b6c2cc")


@dataclass(frozen=True, slots=True)
class _Frame:
    """From seconds and milliseconds to places in the picture.

    Attributes:
        scale_ms: what is written at the side, from the foot to the top. Logarithmic: twice the latency is as far up
            from 10 ms as from 100, and one request that took seconds does not press all others to the foot.
    """

    end_s: float
    scale_ms: Sequence[float]

    def x(self, at_s: float) -> float:
        return round(_LEFT + at_s / self.end_s * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, latency_ms: float) -> float:
        low, high = self.scale_ms[0], self.scale_ms[-1]
        part = math.log(max(latency_ms, low) / low) / math.log(high / low)
        return round(_HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM), 1)


def draw(report: Report) -> str:
    """The picture, as text of an SVG file."""
    times = [ms for series in report.series for ms in _answered(series)]
    ends = [sample.at_s for series in report.series for sample in series.samples]
    marks = [mark for mark in (report.event_s, report.undo_s) if mark is not None]
    frame = _Frame(max([1.0, *ends, *marks]), _scale(min(times, default=1.0), max(times, default=1.0)))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            'font-family="system-ui, sans-serif" font-size="13">',
            f"<title>{_TITLE}</title>",
            f"<desc>{_text(_description(report))}</desc>",
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
            f'<text class="ink" x="{_LEFT}" y="28" font-size="17" font-weight="600">{_TITLE}</text>',
            f'<text class="dim" x="{_LEFT}" y="48">ms of one request with a new connection, logarithmic; '
            "marks at the foot are requests that failed</text>",
            *_grid(report, frame),
            *_events(report, frame),
            *(part for index, series in enumerate(report.series) for part in _line(series, index, frame)),
            *_labels(report.series, frame),
            "</svg>",
            "",
        ]
    )


def _style() -> str:
    def theme(paper: str, ink: str, dim: str, grid: str, colours: Sequence[str]) -> str:
        fixed = f".paper{{fill:{paper}}}.ink{{fill:{ink}}}.dim{{fill:{dim}}}.grid{{stroke:{grid}}}.mark{{stroke:{ink}}}"
        lines = "".join(f".s{n}{{stroke:{colour}}}.t{n}{{fill:{colour}}}" for n, colour in enumerate(colours))
        return fixed + lines

    light = theme("#ffffff", "#1a1f24", "#5a646e", "#dfe3e7", _LIGHT)
    dark = theme("#14181c", "#eef1f4", "#9aa5b0", "#303840", _DARK)
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _grid(report: Report, frame: _Frame) -> Iterator[str]:
    right = _WIDTH - _RIGHT
    for value in frame.scale_ms:
        y = frame.y(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
        yield f'<text class="dim" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{value:g}</text>'
    zero = report.event_s or 0.0
    step = _step(frame.end_s)
    foot = _HEIGHT - _BOTTOM + 34
    for tick in range(math.ceil(-zero / step), math.floor((frame.end_s - zero) / step) + 1):
        x = frame.x(zero + tick * step)
        yield f'<text class="dim" x="{x}" y="{foot}" text-anchor="middle">{tick * step:g}</text>'
    what = "seconds since the event" if report.event_s is not None else "seconds"
    yield f'<text class="dim" x="{(_LEFT + right) / 2}" y="{foot + 22}" text-anchor="middle">{what}</text>'


def _events(report: Report, frame: _Frame) -> Iterator[str]:
    # One below the other, since they may be close.
    for line, (name, at_s) in enumerate((("event", report.event_s), ("undo", report.undo_s))):
        if at_s is None:
            continue
        x = frame.x(at_s)
        yield (
            f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{_HEIGHT - _BOTTOM}" '
            'stroke-width="1.5" stroke-dasharray="5 4"/>'
        )
        y = _TOP + 3 + line * _LABEL_HEIGHT
        yield f'<text class="ink" x="{x + 5:.1f}" y="{y}" font-weight="600">{name}</text>'


def _line(series: Series, index: int, frame: _Frame) -> Iterator[str]:
    foot = _HEIGHT - _BOTTOM + 4
    points: list[str] = []
    failed: list[str] = []
    broken = True
    for sample in series.samples:
        if not sample.ping.is_answered or sample.ping.latency_ms is None:
            failed.append(f"M{frame.x(sample.at_s)} {foot + index}v{_FAILED_HEIGHT}")
            broken = True
            continue
        points.append(f"{'M' if broken else 'L'}{frame.x(sample.at_s)} {frame.y(sample.ping.latency_ms)}")
        broken = False
    if points:
        # A line of one point is drawn by its round caps.
        yield (
            f'<path class="s{index}" d="{"".join(points)}" fill="none" stroke-width="2" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )
    if failed:
        yield f'<path class="s{index}" d="{"".join(failed)}" fill="none" stroke-width="2"/>'


def _labels(all_series: Sequence[Series], frame: _Frame) -> Iterator[str]:
    """Each client's name at the end of its line, moved down where two would lie on each other."""
    wanted = []
    for index, series in enumerate(all_series):
        answered = _answered(series)
        wanted.append((frame.y(answered[-1]) if answered else float(_HEIGHT - _BOTTOM), index, series))
    places = _spread([y for y, _, _ in sorted(wanted, key=lambda each: each[:2])])
    for y, (_, index, series) in zip(places, sorted(wanted, key=lambda each: each[:2]), strict=True):
        name = _text(series.client)
        lost = f' <tspan class="dim">{series.failed} failed</tspan>' if series.failed else ""
        yield f'<text class="t{index}" x="{_WIDTH - _RIGHT + 8}" y="{y + 4:.1f}" font-weight="600">{name}{lost}</text>'


def _spread(wanted: Sequence[float]) -> list[float]:
    """Places at least a label apart, none below the frame, in the same order."""
    places: list[float] = []
    for y in wanted:
        places.append(y if not places else max(y, places[-1] + _LABEL_HEIGHT))
    over = places[-1] - (_HEIGHT - _BOTTOM) if places else 0.0
    if over > 0:
        lowest = float(_HEIGHT - _BOTTOM) + _LABEL_HEIGHT
        for index in range(len(places) - 1, -1, -1):
            places[index] = lowest = min(places[index], lowest - _LABEL_HEIGHT)
    return places


def _answered(series: Series) -> list[float]:
    """Milliseconds of the requests that were answered."""
    return [s.ping.latency_ms for s in series.samples if s.ping.is_answered and s.ping.latency_ms is not None]


def _step(most: float) -> float:
    """A step of 1, 2 or 5 times a power of ten, of which `_TICKS` reach as far."""
    return next(value for value in _round_numbers(most / _TICKS) if value >= most / _TICKS)


def _scale(least_ms: float, most_ms: float) -> tuple[float, ...]:
    """1, 2 and 5 times powers of ten around all of it; at least two of them."""
    low = max(least_ms, _MS_LOWEST)
    scale: list[float] = []
    for value in _round_numbers(low):
        # The last that is not above the least is the foot.
        scale = [value] if value <= low else [*scale, value]
        if value >= most_ms and len(scale) > 1:
            break
    return tuple(scale)


def _round_numbers(near: float) -> Iterator[float]:
    """1, 2 and 5 times powers of ten, from one below `near`: a power lower, since logarithms are rounded."""
    for power in itertools.count(math.floor(math.log10(near)) - 1):
        yield from (float(f"{factor}e{power}") for factor in (1, 2, 5))


def _description(report: Report) -> str:
    parts = [f"{series.client}: {len(series.samples)} requests, {series.failed} failed" for series in report.series]
    return "; ".join([*parts, f"event: {report.event}" if report.event else "no event"])


def _text(text: str) -> str:
    """Harmless in XML, whatever a command line held."""
    return escape(readable(text))
