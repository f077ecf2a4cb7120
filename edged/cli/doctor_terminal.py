"""Findings for a person: problems first, each with its remedy below, then warnings; one line for all that is well.

Every colour has a sign beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from edged.cli.status_terminal import print_whole
from edged.cli.words import plural
from edged.doctor.finding import ORDER, Finding, State, problems
from edged.readable import readable

_SIGNS: dict[State, tuple[str, str]] = {
    "problem": ("✗", "red"),
    "warning": ("!", "yellow"),
    "unknown": ("?", "cyan"),
    "note": ("·", "dim"),
    "ok": ("✓", "green"),
}
_SHOWN: frozenset[State] = frozenset({"problem", "warning", "unknown"})


def print_findings(findings: Sequence[Finding], *, verbose: bool, console: Console | None = None) -> None:
    """On stdout. Lines are cut only where there is a terminal whose width they would exceed."""
    console = Console(highlight=False) if console is None else console
    print_whole(render(findings, verbose=verbose), console)


def render(findings: Sequence[Finding], *, verbose: bool) -> RenderableType:
    """The whole of it.

    Args:
        verbose: with what is well, and notes.
    """
    shown = [finding for finding in findings if verbose or finding.state in _SHOWN]
    shown.sort(key=lambda finding: ORDER.index(finding.state))
    parts: list[RenderableType] = [_summary(findings)]
    if shown:
        parts.append(_table(shown))
    if not verbose:
        parts += _rest(findings)
    return Group(*parts)


def _summary(findings: Sequence[Finding]) -> Text:
    if count := len(problems(findings)):
        return Text(f"✗ {plural(count, 'problem')}", "bold red")
    if any(finding.state == "warning" for finding in findings):
        return Text("! no problem, but something to look at", "bold yellow")
    return Text("✓ no problem", "bold green")


def _table(findings: Iterable[Finding]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))  # so that a long line goes on below its own beginning
    for finding in findings:
        sign, colour = _SIGNS[finding.state]
        table.add_row(Text(f"  {sign}", colour), Text(finding.check), Text(readable(finding.message), colour))
        if finding.remedy:
            table.add_row("", "", Text(f"-> {readable(finding.remedy)}", "dim"))
    return table


def _rest(findings: Sequence[Finding]) -> list[RenderableType]:
    """What is not shown, in a line."""
    well = sum(finding.state == "ok" for finding in findings)
    notes = sum(finding.state == "note" for finding in findings)
    parts = [f"all else is well: {well} looked at"] if well else []
    parts += [plural(notes, "note")] if notes else []
    return [Text(f"  {', '.join(parts)} (-v shows them)", "dim")] if parts else []
