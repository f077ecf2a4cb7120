"""One time that something happened, and what came of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.lab.client import Failure
from tests.lab.failover import Failover

RATE = 50.0
"""Requests a second of each client."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Attributes:
    seen: what each client saw.
    gone_s: from the event until the router nearest to the node led elsewhere; None if it never did.
    back_s: from the mending (from the event, where nobody mended anything) until it led to the node again.
    changes: of routes to the service at all routers, while clients asked.
    failed_at: of each client, when each request that failed began, in seconds after the event, and how it failed.
    load: average of the machine's runnable processes, of the last minute.
    """

    case: str
    seen: Mapping[str, Failover]
    gone_s: float | None
    back_s: float | None
    changes: int
    failed_at: Mapping[str, Sequence[tuple[float, Failure]]]
    load: float

    @property
    def failed(self) -> int:
        return sum(seen.failed for seen in self.seen.values())

    @property
    def is_clean(self) -> bool:
        """Nothing failed but by a reset, and no more of those than were on the wire when the path changed."""
        return all(
            seen.unanswered == 0 and seen.failed <= math.ceil(RATE * (seen.before_ms or 0.0) / 1000)
            for seen in self.seen.values()
        )

    @property
    def elsewhere_s(self) -> float:
        """Of the client that waited longest; infinite if one was never answered from elsewhere."""
        return max(_or_never(seen.elsewhere_s) for seen in self.seen.values())

    @property
    def elsewhere_without_rtt_s(self) -> float:
        """Likewise, without the round trip to there: an answer on a new connection takes two."""
        return max(_or_never(seen.elsewhere_s) - (seen.after_ms or 0.0) / 2000 for seen in self.seen.values())


def _or_never(seconds: float | None) -> float:
    return float("inf") if seconds is None else seconds
