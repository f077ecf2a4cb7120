"""How long to wait before something that ended is tried again.

| who | what is tried again | from, to, anew after (s) |
|---|---|---|
| `edged.fleet.client.Peers` | a link to another node | 0.5, 60, 10 |
| `edged.node.children.Child` | a worker process | 0.1, 10, 30 |
| `edged.triggers.redis.Subscriber` | a subscription at a server of Redis | 0.5, 30, 30 |

The speaker's child has one of its own, `bgp.backoff`: bgp knows no edged, and there it also says what is a fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Twice as long each time, up to a limit, and from the beginning after it lasted. Half of it is chance: those who
    lost the same thing at the same moment do not all come back at one.

    Args:
        lowest_s, highest_s: of the limit.
        reset_s: what lasted as long was well.
        random: a number from 0 to 1.
        limit_s: that it begins with, once; for one who goes on where another was in vain.
    """

    def __init__(
        self,
        lowest_s: float,
        highest_s: float,
        reset_s: float,
        random: Callable[[], float] = random.random,
        *,
        limit_s: float | None = None,
    ) -> None:
        self._lowest_s = lowest_s
        self._highest_s = highest_s
        self._reset_s = reset_s
        self._random = random
        self.limit_s = lowest_s if limit_s is None else limit_s

    def ended(self, lasted_s: float = 0.0) -> float:
        """It ended, or could not even begin: how long to wait now, half of the limit to all of it.

        Args:
            lasted_s: how long it was well; 0 if it never was.
        """
        if lasted_s >= self._reset_s:
            self.limit_s = self._lowest_s
        wait_s = self.limit_s * (1 + self._random()) / 2
        self.limit_s = min(2 * self.limit_s, self._highest_s)
        return wait_s
