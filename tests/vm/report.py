"""What the trials found: for people a table, for programs JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.vm.start import OWN_STAGES, STAGES, Start


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at in the machine.

    Attributes:
        text: what was found; shown where it is not well.
    """

    name: str
    is_well: bool
    text: str


@dataclass
class Report:
    """Of one scenario.

    Attributes:
        error: why it did not get to its end; "" if it did.
    """

    scenario: str
    starts: list[Start] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    error: str = ""

    @property
    def is_well(self) -> bool:
        return not self.error and all(check.is_well for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "well": self.is_well,
            "error": self.error,
            "starts": [
                {"name": start.name, "seconds": _rounded(start.seconds), "own_seconds": _rounded(start.own_seconds)}
                for start in self.starts
            ],
            "checks": [{"name": check.name, "well": check.is_well, "text": check.text} for check in self.checks],
        }


def table(reports: Sequence[Report]) -> str:
    """Seconds from the power to each stage, a column a start; then what is not well.

    Those by the machine's own clock are from when its kernel began.
    """
    starts = [start for report in reports for start in report.starts]
    rows = [["seconds to", *(start.name for start in starts)]]
    rows += [[stage, *(_cell(start.seconds, stage) for start in starts)] for stage in STAGES]
    rows += [[f"{stage}, own clock", *(_cell(start.own_seconds, stage) for start in starts)] for stage in OWN_STAGES]
    rows = [row for row in rows if any(row[1:])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    for report in reports:
        well = sum(check.is_well for check in report.checks)
        lines.append(f"{report.scenario}: {well} of {len(report.checks)} checks are well" + _error(report))
        for check in report.checks:
            if not check.is_well:
                lines += [f"  {check.name}:", *(f"    {line}" for line in check.text.splitlines())]
    return "\n".join(lines)


def _cell(seconds: Mapping[str, float], stage: str) -> str:
    return f"{seconds[stage]:.1f}" if stage in seconds else ""


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(at, 2) for stage, at in seconds.items()}


def _error(report: Report) -> str:
    return f"; it did not get to its end: {report.error}" if report.error else ""
