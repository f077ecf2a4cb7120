"""What clients saw of an event: how long until another region answered, and what it cost. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.lab.client import Answer

SLOW_S = 1.0
"""An answer that took longer: a lost SYN is sent again after a second."""
_BEFORE_S = 3.0
"""Requests that began so long before the event may still be hit by it: no client waits longer."""


@dataclass(frozen=True, slots=True)
class Failover:
    """Attributes:
    elsewhere_s: from the event to the end of the first answer of another region; None if none came.
    last_here_s: from the event to the end of the last answer of the region; None if none came after it.
    asked: requests that the event could hit.
    failures: of these, by kind.
    slow: of these, answered after more than `SLOW_S`.
    window_s: from the beginning of the first that failed to that of the last; 0 for one or none.
    before_ms, after_ms: median of answers of the region before the event, of others after it; None for no answer.
    now: who answered last; "" for nobody.
    """

    elsewhere_s: float | None
    last_here_s: float | None
    asked: int
    failures: Mapping[str, int]
    slow: int
    window_s: float
    before_ms: float | None
    after_ms: float | None
    now: str

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def unanswered(self) -> int:
        """Failed otherwise than by a reset, which TCP on anycast cannot avoid for what is on the wire at the flip."""
        return self.failed - self.failures.get("reset", 0)


def analyse(answers: Sequence[Answer], event: float, region: str) -> Failover:
    """
    Args:
        event: when it happened, `time.monotonic()`.
        region: that answered before it.
    """
    hit = [answer for answer in answers if answer.begun >= event - _BEFORE_S]
    failed = [answer for answer in hit if answer.failure]
    here = [answer for answer in answers if answer.body == region]
    elsewhere = [answer for answer in answers if answer.body not in ("", region) and answer.ended > event]
    last = max((answer for answer in answers if answer.body), key=lambda answer: answer.ended, default=None)
    return Failover(
        elsewhere_s=min((answer.ended - event for answer in elsewhere), default=None),
        last_here_s=max((answer.ended - event for answer in here if answer.ended > event), default=None),
        asked=len(hit),
        failures=Counter(answer.failure for answer in failed),
        slow=sum(not answer.failure and answer.took_s > SLOW_S for answer in hit),
        window_s=max(each.begun for each in failed) - min(each.begun for each in failed) if failed else 0.0,
        before_ms=_median_ms([answer for answer in here if answer.ended < event]),
        after_ms=_median_ms(elsewhere),
        now="" if last is None else last.body,
    )


def _median_ms(answers: Sequence[Answer]) -> float | None:
    return median(answer.took_s for answer in answers) * 1000 if answers else None
