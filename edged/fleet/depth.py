"""How full the queues of a node are, so that somebody sees one fill before it is full.

Every queue has a limit, and says in `docs/metrics.md` what happens there. A queue counts what is put into it, which
costs one comparison; it is asked only when metrics are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Depth:
    """A queue at a moment; of several of a kind, the fullest.

    Attributes:
        queue: its name in metrics, with the unit where it does not count things.
        now: what waits in it.
        highest: that ever waited in it, since the start.
        limit: beyond which nothing is put into it.
    """

    queue: str
    now: int
    highest: int
    limit: int


class HighWater:
    """The most that was in a queue, or in any of a kind."""

    __slots__ = ("highest",)

    def __init__(self) -> None:
        self.highest = 0

    def reached(self, count: int) -> None:
        """So much is in it now."""
        self.highest = max(self.highest, count)


def fullest(depths: Sequence[Depth]) -> Depth:
    """Of queues of one kind, all that there are of them."""
    first = depths[0]
    return Depth(first.queue, max(each.now for each in depths), max(each.highest for each in depths), first.limit)
