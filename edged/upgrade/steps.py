"""The steps of an upgrade, and what follows each: a table.

    bring ──> try ──> switch ──> restart ──> watch ──> finish ──> (upgraded)
      │        │        └───────────┴──────────┘
      v        v                    v
    (unchanged) <── discard    switch back ──> restart back ──> watch back ──> give up ──> (undone)
                                    └───────────────┴───────────────┴──> (stuck)

Until `switch` nothing that a node or a boot looks at has changed. `switch` is one rename. From there on a record on the
disk says what is under way, so that whoever runs it again after a kill or a power cut goes on with what was promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Step = Literal[
    "bring", "try", "switch", "restart", "watch", "finish",
    "discard", "switch back", "restart back", "watch back", "give up",
]  # fmt: skip
Outcome = Literal["upgraded", "switched", "unchanged", "undone", "stuck"]
"""`switched`: without a restart. `undone`: the old one serves as before. `stuck`: neither does."""

FIRST: Step = "bring"

_NEXT: Mapping[Step, tuple[Step | Outcome, Step | Outcome]] = {
    # step: (after it was done, after it failed)
    "bring": ("try", "unchanged"),
    "try": ("switch", "discard"),
    "discard": ("unchanged", "unchanged"),
    "switch": ("restart", "switch back"),
    "restart": ("watch", "switch back"),
    "watch": ("finish", "switch back"),
    "finish": ("upgraded", "upgraded"),
    "switch back": ("restart back", "stuck"),
    "restart back": ("watch back", "stuck"),
    "watch back": ("give up", "stuck"),
    "give up": ("undone", "undone"),
}


@dataclass(frozen=True, slots=True)
class Course:
    """What an upgrade may do.

    Attributes:
        restart: the unit is started again; else the version is used at its next start.
        has_old: there is a version to go back to.
        was_restarted: the unit has been told to start with the new version, now or by one that was stopped half-way.
    """

    restart: bool
    has_old: bool
    was_restarted: bool


def following(step: Step, *, done: bool, course: Course) -> Step | Outcome:
    """What comes after a step that was done, or that failed."""
    found = _NEXT[step][0 if done else 1]
    if found == "restart" and not course.restart:
        return "finish"
    if found == "upgraded" and not course.restart:
        return "switched"
    if found == "restart back" and not course.was_restarted:
        return "give up"  # the old one has run all the while
    if found == "switch back" and not course.has_old:
        return "stuck" if course.was_restarted else "unchanged"
    return found


def is_step(found: Step | Outcome) -> bool:
    """Whether there is more to do."""
    return found in _NEXT
