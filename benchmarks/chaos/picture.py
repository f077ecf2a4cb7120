"""What happened when, drawn: one SVG with a row for each node. Pure.

No script, no font and nothing else is fetched; colours follow the reader's light or dark theme.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.chaos.moments import NOT_COME

_TITLE = "A fleet under faults"
_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _FOOT = 960, 64, 24, 76, 74, 96
_LANES = ("ended", "disk and clock", "link", "peers and records")
_LANE = 12
_LANE_OF = {
    "fill the disk": 1,
    "the clock jumps ahead": 1,
    "the clock jumps back": 1,
    "cut the link": 2,
    "slow the link": 2,
    "two publishers at once": 3,
    "an old record": 3,
    "an equivocating record": 3,
    "a peer that sends garbage": 3,
    "a peer that floods": 3,
    "a peer that stalls": 3,
}
"""Other actions end a node; how long that is shown by `down`."""
_NARROWEST = 3.0
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 3600)
# Told apart by people who see colours differently, and against either background.
_LIGHT = ("#d55e00", "#7a6000", "#0072b2", "#aa3377")
_DARK = ("#ff9248", "#e6c637", "#56b4e9", "#f28ac4")


def to_svg(found: Mapping[str, Any]) -> str:
    """The picture of a verdict, as text of an SVG file."""
    timeline = found["timeline"]
    nodes = sorted({each["node"] for kind in ("strikes", "down", "failed") for each in timeline[kind]})
    end_s = timeline["mended_s"] + (found["converged_s"] or 0.0)
    scale = (_WIDTH - _LEFT - _RIGHT) / max(end_s, 1.0)
    height = _TOP + _ROW * len(nodes) + _FOOT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
            'font-family="system-ui, sans-serif" font-size="13">',
            f"<title>{_TITLE}</title>",
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
            f'<text class="ink" x="{_LEFT}" y="28" font-size="17" font-weight="600">{_TITLE}</text>',
            f'<text class="dim" x="{_LEFT}" y="48">{escape(_summary(found))}</text>',
            *(part for row, node in enumerate(nodes) for part in _node(timeline, node, _TOP + _ROW * row, scale)),
            *_scale(end_s, scale, _TOP + _ROW * len(nodes)),
            *_mended(timeline["mended_s"], scale, len(nodes)),
            *_legend(height - 18),
            "</svg>",
            "",
        ]
    )


def _summary(found: Mapping[str, Any]) -> str:
    never = "never" if found["converged_s"] is None else f"{found['converged_s']} s after the last was mended"
    missed = NOT_COME.format("")
    strikes = sum(count for name, count in found["strikes"].items() if not name.endswith(missed))
    return (
        f"{strikes} strikes; {found['failed']} of {found['requests']} requests failed;"
        f" {found['records_lost']} of {found['published']} records lost; together again {never}"
    )


def _node(timeline: Mapping[str, Any], node: str, top: float, scale: float) -> Iterator[str]:
    yield f'<text class="ink" x="{_LEFT - 8}" y="{top + 32}" text-anchor="end">{escape(node)}</text>'
    bars = [(each, each["why"], 0) for each in timeline["down"]]
    bars += [
        (each, each["action"], _LANE_OF[each["action"]]) for each in timeline["strikes"] if each["action"] in _LANE_OF
    ]
    for each, what, lane in bars:
        if each["node"] == node:
            x, width = _LEFT + each["from_s"] * scale, max((each["to_s"] - each["from_s"]) * scale, _NARROWEST)
            yield (
                f'<rect class="l{lane}" x="{x:.1f}" y="{top + _LANE * lane}" width="{width:.1f}" height="{_LANE - 3}">'
                f"<title>{escape(what)}</title></rect>"
            )
    foot = top + _LANE * len(_LANES) + 12
    for x in sorted({round(_LEFT + each["at_s"] * scale) for each in timeline["failed"] if each["node"] == node}):
        yield f'<line class="ink-line" x1="{x}" x2="{x}" y1="{foot - 8}" y2="{foot}"/>'
    yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{foot + 2}" y2="{foot + 2}"/>'


def _scale(end_s: float, scale: float, y: float) -> Iterator[str]:
    step = next(step for step in _STEPS_S if end_s / step <= 12 or step == _STEPS_S[-1])
    for tick in range(int(end_s // step) + 1):
        x = round(_LEFT + tick * step * scale, 1)
        yield f'<text class="dim" x="{x}" y="{y + 18}" text-anchor="middle">{tick * step:g}</text>'
    yield f'<text class="dim" x="{_WIDTH / 2}" y="{y + 38}" text-anchor="middle">seconds</text>'


def _mended(mended_s: float, scale: float, rows: int) -> Iterator[str]:
    x = round(_LEFT + mended_s * scale, 1)
    yield f'<line class="ink-line" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{_TOP + _ROW * rows}" stroke-dasharray="4 3"/>'
    yield f'<text class="dim" x="{x - 4}" y="{_TOP - 12}" text-anchor="end">all mended</text>'


def _legend(y: float) -> Iterator[str]:
    x = _LEFT
    for lane, name in enumerate(_LANES):
        yield f'<rect class="l{lane}" x="{x}" y="{y - 10}" width="12" height="10"/>'
        yield f'<text class="dim" x="{x + 18}" y="{y}">{name}</text>'
        x += 40 + 8 * len(name)
    yield f'<text class="dim" x="{x}" y="{y}">| a request that failed</text>'


def _style() -> str:
    def theme(paper: str, ink: str, dim: str, grid: str, colours: tuple[str, ...]) -> str:
        fixed = f".paper{{fill:{paper}}}.ink{{fill:{ink}}}.dim{{fill:{dim}}}.grid{{stroke:{grid}}}"
        lanes = "".join(f".l{lane}{{fill:{colour}}}" for lane, colour in enumerate(colours))
        return f"{fixed}.ink-line{{stroke:{ink}}}{lanes}"

    light = theme("#ffffff", "#1a1f24", "#5a646e", "#dfe3e7", _LIGHT)
    dark = theme("#14181c", "#eef1f4", "#9aa5b0", "#303840", _DARK)
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"
