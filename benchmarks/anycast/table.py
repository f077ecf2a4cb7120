"""Trials of one case as a row, and rows as a table. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from benchmarks.anycast.cases import Case
from benchmarks.anycast.trial import Trial

_NONE = "-"


def rows(case: Case, trials: Sequence[Trial]) -> Iterator[dict[str, Any]]:
    """One for the case, if it was tried."""
    if not trials:
        return
    clients = list(trials[0].seen)
    seen = {client: [trial.seen[client] for trial in trials] for client in clients}
    yield {
        "case": case.name,
        "title": case.title,
        "runs": len(trials),
        "elsewhere_s": {client: [each.elsewhere_s for each in seen[client]] for client in clients},
        "asked": {client: [each.asked for each in seen[client]] for client in clients},
        "failed": {client: [each.failed for each in seen[client]] for client in clients},
        "failures": dict(sum((Counter(each.failures) for its in seen.values() for each in its), Counter[str]())),
        "slow": {client: [each.slow for each in seen[client]] for client in clients},
        "window_s": {client: [each.window_s for each in seen[client]] for client in clients},
        "gone_s": [trial.gone_s for trial in trials],
        "back_s": [trial.back_s for trial in trials],
        "changes": [trial.changes for trial in trials],
        "failed_at": [trial.failed_at for trial in trials],
        "load": [trial.load for trial in trials],
        "goal": "" if case.goal is None else case.goal[0],
        "met": None if case.goal is None else sum(map(case.goal[1], trials)),
    }


def to_markdown(found: Sequence[dict[str, Any]]) -> str:
    """A line for each row. Pairs are the two clients, near and far; figures are medians, the worst in brackets."""
    lines = [
        "| event | first elsewhere, s | failed | all failures, by kind | slow | route gone, s | back, s | goal, met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        cells = [
            row["title"],
            " / ".join(_figure(each, 2) for each in row["elsewhere_s"].values()),
            " / ".join(_figure(each, 0) for each in row["failed"].values()),
            ", ".join(f"{count} {kind}" for kind, count in sorted(row["failures"].items())) or _NONE,
            " / ".join(_figure(each, 0) for each in row["slow"].values()),
            _figure(row["gone_s"], 3),
            _figure(row["back_s"], 1),
            f"{row['goal']}: {row['met']} of {row['runs']}" if row["goal"] else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(values: Sequence[float | None], digits: int) -> str:
    """Median, and the worst; how often there was none."""
    there = sorted(value for value in values if value is not None)
    if not there:
        return _NONE
    middle, worst = f"{median(there):.{digits}f}", f"{there[-1]:.{digits}f}"
    text = middle if middle == worst else f"{middle} ({worst})"
    missing = len(values) - len(there)
    return f"{text}, {missing} never" if missing else text
