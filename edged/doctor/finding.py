"""What a check comes to: one thing that was looked at, how it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

State = Literal["ok", "note", "warning", "problem", "unknown"]

ORDER: tuple[State, ...] = ("problem", "warning", "unknown", "note", "ok")
"""As people are shown them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing.

    Attributes:
        check: name of the check, as docs/doctor.md lists it.
        state: `problem` for what keeps the node from serving or announcing now, `warning` for what will, `unknown` for
            what could not be looked at.
        message: a sentence without its full stop; why, where it is unknown.
        remedy: what to do, in sentences; "" where nothing is to be done.
    """

    check: str
    state: State
    message: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def problems(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that the command's exit status counts."""
    return tuple(finding for finding in findings if finding.state == "problem")


def fold(findings: Sequence[Finding], follows: Mapping[str, tuple[str, ...]]) -> tuple[Finding, ...]:
    """One problem for one cause: what goes wrong because something else does becomes a note that says so.

    Args:
        findings: causes before what follows from them.
        follows: name of a check -> those whose problem explains its own.
    """
    broken: dict[str, str] = {}  # check with a problem -> the check that is the cause of it
    folded = []
    for finding in findings:
        cause = next((broken[name] for name in follows.get(finding.check, ()) if name in broken), None)
        if cause is not None and finding.state in ("problem", "warning"):
            broken.setdefault(finding.check, cause)
            folded.append(
                replace(finding, state="note", message=f"{finding.message} (follows from `{cause}`)", remedy="")
            )
            continue
        if finding.state == "problem":
            broken[finding.check] = finding.check
        folded.append(finding)
    return tuple(folded)


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """What `edged doctor --json` prints."""
    return {"findings": [finding.as_json() for finding in findings], "problems": len(problems(findings))}


def then(remedy: str, more: str) -> str:
    """A remedy and what comes after it, as sentences: one that ends with a command may lack its full stop."""
    return f"{remedy.rstrip('.')}. {more}" if remedy else more
