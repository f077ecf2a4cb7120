"""One thing that is wrong, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that somebody should look at.

    Attributes:
        severity: `error` for what is broken now, `warning` for what will be.
        text: a sentence without its full stop.
        remedy: what to do about it, or "".
    """

    severity: Severity
    text: str
    remedy: str = ""


def duration(seconds: float) -> str:
    """In the largest unit that leaves something before the point: `40 s`, `3 min`, `5 h`, `12 d`."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
