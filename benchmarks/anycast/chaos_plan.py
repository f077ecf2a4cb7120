"""What chaos does, and when: a seed is a plan. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Action = Literal[
    "kill the supervisor",
    "kill everything",
    "kill a worker",
    "kill the speaker",
    "stop the supervisor",
    "stop all workers",
    "stop a worker",
    "stop the speaker",
    "cut the link",
    "pull the cable",
    "end the session at the router",
    "reset the router's sessions",
    "cut a line between networks",
    "drain",
]
LASTS_S: dict[Action, tuple[float, float]] = {
    "kill the supervisor": (0, 0),
    "kill everything": (0, 0),
    "kill a worker": (0, 0),
    "kill the speaker": (0, 0),
    "stop the supervisor": (0.5, 9),
    "stop all workers": (0.5, 9),
    "stop a worker": (0.5, 9),
    "stop the speaker": (0.5, 9),
    "cut the link": (0.2, 12),
    "pull the cable": (0.2, 12),
    "end the session at the router": (0.5, 8),
    "reset the router's sessions": (0, 0),
    "cut a line between networks": (0.2, 12),
    "drain": (2, 12),
}
"""From the shortest to the longest, in seconds; what is killed comes back by itself."""


@dataclass(frozen=True, slots=True)
class Strike:
    """Attributes:
    at_s: since the begin.
    until_s: when it is mended.
    pick: chooses among several workers, or lines, 0 to 1.
    """

    at_s: float
    until_s: float
    node: str
    action: Action
    pick: float


def plan(seed: int, seconds: float, nodes: Sequence[str], pause_s: float) -> tuple[Strike, ...]:
    """Strikes in order. Of one node one of a kind is under way at a time.

    Args:
        pause_s: between two strikes, on average.
    """
    rng = random.Random(seed)
    found: list[Strike] = []
    at_s = 0.0
    while (at_s := at_s + rng.uniform(0.2, 2 * pause_s - 0.2)) < seconds:
        action, node = rng.choice(list(LASTS_S)), rng.choice(nodes)
        until_s = at_s + rng.uniform(*LASTS_S[action])
        busy = any((each.node, each.action) == (node, action) and each.until_s >= at_s for each in found)
        if not busy:
            found.append(Strike(at_s, until_s, node, action, rng.random()))
    return tuple(found)
