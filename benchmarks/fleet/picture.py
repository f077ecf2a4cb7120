"""Two diagrams over the size of the fleet, both axes logarithmic: how long a release's record takes, and what a node
sends. One SVG that fetches nothing; colours follow the reader's light or dark theme."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edged.limits import LINK_KEPT_MAX
from tests.simulator.spread import MESH

Rows = Sequence[Mapping[str, Any]]

_WIDTH, _HEIGHT = 1000, 440
_TOP, _FOOT = 84, 372
_TITLE = "How news spread, against the size of the fleet"
# Told apart by people who see colours differently, and against either background.
_LIGHT = ("#0072b2", "#d55e00", "#007a5a", "#aa3377", "#7a6000", "#5a4fcf")
_DARK = ("#56b4e9", "#ff9248", "#35cfa0", "#f28ac4", "#e6c637", "#a9a2ff")


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: of rows of a question and a design, their value. `is_before` draws it broken: what is done no more."""

    label: str
    question: str
    value: Callable[[Mapping[str, Any]], float]
    is_before: bool = False

    def points(self, rows: Rows) -> list[tuple[int, float]]:
        """Nodes and value, the mean of all seeds."""
        found: dict[int, list[float]] = {}
        for row in rows:
            # Up to LINK_KEPT_MAX nodes the two designs are one: there the broken line leaves the other.
            is_both = row["nodes"] == LINK_KEPT_MAX
            is_ours = is_both or (row["design"] == MESH.name) is self.is_before
            if row["question"] == self.question and is_ours and math.isfinite(self.value(row)):
                found.setdefault(row["nodes"], []).append(self.value(row))
        return [(nodes, sum(values) / len(values)) for nodes, values in sorted(found.items())]


@dataclass(frozen=True, slots=True)
class _Diagram:
    title: str
    unit: str
    left: int
    right: int
    lines: Sequence[_Line]


_DIAGRAMS = (
    _Diagram(
        "A release's record is on the disks of",
        "s",
        64,
        380,
        (
            _Line("all nodes", "records", lambda row: row["all_s"]),
            _Line("99 %", "records", lambda row: row["most_s"]),
            _Line("half", "records", lambda row: row["half_s"]),
        ),
    ),
    _Diagram(
        "One node sends, in a second",
        "bytes",
        540,
        800,
        (
            _Line("reports", "reports", lambda row: row["bytes_s"]),
            _Line("a link to each", "reports", lambda row: row["bytes_s"], is_before=True),
            _Line("rest", "records", lambda row: row["idle_bytes_s"]),
            _Line("a link to each", "records", lambda row: row["idle_bytes_s"], is_before=True),
        ),
    ),
)


def draw(rows: Rows) -> str:
    """The picture, as text of an SVG file."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            'font-family="system-ui, sans-serif" font-size="13">',
            f"<title>{_TITLE}</title>",
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
            f'<text class="ink" x="64" y="28" font-size="17" font-weight="600">{_TITLE}</text>',
            '<text class="dim" x="64" y="48">simulated: the production cores of all nodes; broken lines: '
            "a link to each, which is no longer done above 100 nodes</text>",
            *(part for diagram in _DIAGRAMS for part in _draw(diagram, rows)),
            "</svg>",
            "",
        ]
    )


def _draw(diagram: _Diagram, rows: Rows) -> Iterator[str]:
    drawn = [(line, line.points(rows)) for line in diagram.lines]
    values = [value for _, points in drawn for _, value in points]
    sizes = sorted({row["nodes"] for row in rows}) or [3, 1_000]
    low, high = _decade(min(values, default=1.0), up=False), _decade(max(values, default=10.0), up=True)

    def x(nodes: float) -> float:
        part = math.log(nodes / sizes[0]) / math.log(max(sizes[-1] / sizes[0], 2))
        return round(diagram.left + part * (diagram.right - diagram.left), 1)

    def y(value: float) -> float:
        part = math.log(max(value, low) / low) / math.log(high / low)
        return round(_FOOT - part * (_FOOT - _TOP), 1)

    yield f'<text class="ink" x="{diagram.left}" y="72" font-weight="600">{diagram.title}</text>'
    tick = low
    while tick <= high * 1.001:
        yield f'<line class="grid" x1="{diagram.left}" x2="{diagram.right}" y1="{y(tick)}" y2="{y(tick)}"/>'
        yield _label("dim", diagram.left - 8, y(tick) + 4, _readable(tick, diagram.unit), "end")
        tick *= 10
    for nodes in [size for size in sizes if size in (3, 10, 30, 100, 300, 1_000)]:
        yield _label("dim", x(nodes), _FOOT + 20, str(nodes), "middle")
    yield _label("dim", (diagram.left + diagram.right) / 2, _FOOT + 42, "nodes", "middle")
    feet = _apart([y(points[-1][1]) if points else _FOOT for _, points in drawn])
    for index, ((line, points), foot) in enumerate(zip(drawn, feet, strict=True)):
        if len(points) > 1:
            path = "M" + "L".join(f"{x(nodes)} {y(value)}" for nodes, value in points)
            dash = ' stroke-dasharray="5 4"' if line.is_before else ""
            yield f'<path class="s{index}" d="{path}" fill="none" stroke-width="2"{dash}/>'
            yield from (f'<circle class="t{index}" cx="{x(nodes)}" cy="{y(value)}" r="3"/>' for nodes, value in points)
            last = _readable(points[-1][1], diagram.unit)
            if points[-1][0] != sizes[-1]:
                last += f" ({points[-1][0]})"
            yield (
                f'<text class="t{index}" x="{diagram.right + 8}" y="{foot + 4}">{line.label} '
                f'<tspan class="dim">{last}</tspan></text>'
            )


def _apart(feet: Sequence[float]) -> list[float]:
    """Where labels stand that would otherwise lie on each other."""
    placed: dict[int, float] = {}
    last = -math.inf
    for index in sorted(range(len(feet)), key=lambda index: feet[index]):
        placed[index] = last = max(feet[index], last + 17)
    return [placed[index] for index in range(len(feet))]


def _decade(value: float, *, up: bool) -> float:
    exponent = math.log10(value)
    return float(10 ** (math.ceil(exponent) if up else math.floor(exponent)))


def _readable(value: float, unit: str) -> str:
    if unit == "bytes":
        return next(
            f"{_short(value / size)} {name}"
            for name, size in (("MB", 1e6), ("kB", 1e3), ("B", 1.0))
            if value >= size or size == 1
        )
    return f"{_short(value)} s"


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:.3g}"


def _label(kind: str, x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'


def _style() -> str:
    def theme(paper: str, ink: str, dim: str, grid: str, colours: Sequence[str]) -> str:
        lines = "".join(f".s{index}{{stroke:{c}}}.t{index}{{fill:{c}}}" for index, c in enumerate(colours))
        return f".paper{{fill:{paper}}}.ink{{fill:{ink}}}.dim{{fill:{dim}}}.grid{{stroke:{grid}}}{lines}"

    light = theme("#ffffff", "#1a1f24", "#5a646e", "#dfe3e7", _LIGHT)
    dark = theme("#14181c", "#eef1f4", "#9aa5af", "#333a41", _DARK)
    return f"{light}@media(prefers-color-scheme:dark){{{dark}}}"
