"""Answers that the speaker's child owes, and when they are late. The clock is passed in."""

from __future__ import annotations

from typing import Literal, NamedTuple

from bgp.limits import ACK_GRACE_S

Answer = Literal["its first word", "its answer to a set", "its answer to a query", "its end"]


class _Due(NamedTuple):
    at: float
    number: int
    noticed: bool


class Awaited:
    """At most one answer of each kind."""

    def __init__(self) -> None:
        self._due: dict[Answer, _Due] = {}

    def __contains__(self, answer: Answer) -> bool:
        return answer in self._due

    def expect(self, answer: Answer, at: float, number: int = 0) -> None:
        """By then it is late. In place of one of the same kind that was awaited before."""
        self._due[answer] = _Due(at, number, noticed=False)

    def came(self, answer: Answer, number: int = 0) -> bool:
        """Whether that is what was awaited; if so, it is no more."""
        if answer not in self._due or self._due[answer].number != number:
            return False
        del self._due[answer]
        return True

    def only(self, answer: Answer, at: float) -> None:
        """Nothing else is awaited any more."""
        self._due = {answer: _Due(at, 0, noticed=False)}

    def deadline(self) -> float:
        return min((due.at for due in self._due.values()), default=float("inf"))

    def late(self, now: float) -> Answer | None:
        """An answer that did not come.

        One that is found to be late gets ACK_GRACE_S from then on: it may be here, unread, and we late.
        """
        for answer, due in self._due.items():
            if now >= due.at and due.noticed:
                return answer
            if now >= due.at:
                self._due[answer] = _Due(now + ACK_GRACE_S, due.number, noticed=True)
        return None
