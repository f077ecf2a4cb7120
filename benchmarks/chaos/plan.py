"""What happens to which node, and when, by a seed. Pure.

Actions are dealt as cards are: each once before any comes again, so that a short run has most of them and a long one
each many times.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Action = Literal[
    "kill the supervisor",
    "kill everything",
    "kill a worker",
    "kill while a record is written",
    "kill while chunks arrive",
    "kill while a rollout is saved",
    "kill while an app is swapped",
    "fill the disk",
    "cut the link",
    "slow the link",
    "away for three releases",
    "two publishers at once",
    "an old record",
    "an equivocating record",
    "a peer that sends garbage",
    "a peer that floods",
    "a peer that stalls",
    "the clock jumps ahead",
    "the clock jumps back",
    "the certificate expires",
]
ACTIONS: tuple[Action, ...] = get_args(Action)

LASTS_S: dict[Action, tuple[float, float]] = {
    "fill the disk": (5, 20),
    "cut the link": (2, 40),
    "slow the link": (5, 30),
    "away for three releases": (10, 30),
    "a peer that sends garbage": (5, 20),
    "a peer that floods": (5, 20),
    "a peer that stalls": (10, 40),
    "the clock jumps ahead": (5, 30),
    "the clock jumps back": (5, 30),
    "the certificate expires": (30, 45),
}
"""From the shortest to the longest until it is mended, in seconds. What is not here is mended by the node itself."""

_DOWN: frozenset[Action] = frozenset(
    {
        "kill the supervisor",
        "kill everything",
        "kill while a record is written",
        "kill while chunks arrive",
        "kill while a rollout is saved",
        "kill while an app is swapped",
        "away for three releases",
        "the certificate expires",
    }
)
DOWN_S = 10.0
"""For how long a node that was ended is left alone: two of these at once are one."""


@dataclass(frozen=True, slots=True)
class Strike:
    """Attributes:
    at_s: since the begin.
    until_s: when it is mended; `at_s` if the node mends it.
    pick: chooses among several, 0 to 1.
    """

    at_s: float
    until_s: float
    node: str
    action: Action
    pick: float


def plan(seed: int, seconds: float, nodes: Sequence[str], pause_s: float) -> tuple[Strike, ...]:
    """Strikes in order. Of one node one of a kind is under way at a time, and none that ends it while another does.

    Args:
        pause_s: between two strikes, on average.
    """
    rng = random.Random(seed)
    found: list[Strike] = []
    deck: list[Action] = []
    at_s = 0.0
    while (at_s := at_s + rng.uniform(0.2, 2 * pause_s - 0.2)) < seconds:
        if not deck:
            deck = rng.sample(ACTIONS, len(ACTIONS))
        action, node = deck.pop(), rng.choice(nodes)
        until_s = at_s + rng.uniform(*LASTS_S.get(action, (0.0, 0.0)))
        if not any(_is_in_the_way(each, node, action, at_s) for each in found):
            found.append(Strike(at_s, until_s, node, action, rng.random()))
    return tuple(found)


def _is_in_the_way(earlier: Strike, node: str, action: Action, at_s: float) -> bool:
    if earlier.node != node:
        return False
    if earlier.action in _DOWN and action in _DOWN:
        return earlier.until_s + DOWN_S >= at_s
    return earlier.action == action and earlier.until_s >= at_s
