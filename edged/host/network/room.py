"""How many connections an app may have, of all kinds together: `max_total_connections` of `[outbound_networking]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Counted(Protocol):
    """The connections of one kind."""

    @property
    def count(self) -> int:
        """In use, being made, and idle."""

    def close_one_idle(self) -> bool:
        """Close one that is idle; False if none is."""


@dataclass(slots=True)
class Room:
    """Of one app.

    Attributes:
        connections_max: None for no limit but those of each kind.
        pools: of all kinds, set once they are made.
    """

    connections_max: int | None = None
    pools: Sequence[Counted] = field(default_factory=tuple)

    def has_room(self) -> bool:
        """Whether the connections, with one that is about to be made and counts already, are not too many.

        Idle ones of whatever kind are closed before that one is refused.
        """
        if self.connections_max is None:
            return True
        over = sum(pool.count for pool in self.pools) - self.connections_max
        for pool in self.pools:
            while over > 0 and pool.close_one_idle():
                over -= 1
        return over <= 0
