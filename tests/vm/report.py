"""What the trials found: for people a table, for programs JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.vm.start import STAGES, Start


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
                {"name": start.name, "seconds": {stage: round(at, 2) for stage, at in start.seconds.items()}}
                for start in self.starts
            ],
            "checks": [{"name": check.name, "well": check.is_well, "text": check.text} for check in self.checks],
        }


def table(reports: Sequence[Report]) -> str:
    """Seconds from the power to each stage, a column a start; then what is not well."""
    starts = [start for report in reports for start in report.starts]
    rows = [["seconds to", *(start.name for start in starts)]]
    for stage in STAGES:
        cells = [f"{start.seconds[stage]:.1f}" if stage in start.seconds else "" for start in starts]
        if any(cells):
            rows.append([stage, *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    for report in reports:
        well = sum(check.is_well for check in report.checks)
        lines.append(f"{report.scenario}: {well} of {len(report.checks)} checks are well" + _error(report))
        for check in report.checks:
            if not check.is_well:
                lines += [f"  {check.name}:", *(f"    {line}" for line in check.text.splitlines())]
    return "\n".join(lines)


def _error(report: Report) -> str:
    return f"; it did not get to its end: {report.error}" if report.error else ""
