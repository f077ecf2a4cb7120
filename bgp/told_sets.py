"""The sets of announcements that one child was told, and what it answered."""

from __future__ import annotations

from collections.abc import Mapping

from bgp.announcement import Announcement
from bgp.prefix import Network

Announcements = dict[Network, Announcement]


class ToldSets:
    """Sets by number, in the order in which they were told.

    Attributes:
        latest: what it was told last, and is taken to announce; after a refusal, what it had accepted before.
        accepted: the last that it said was done.
        at: when it was last told one.
    """

    def __init__(self) -> None:
        self.latest: Announcements = {}
        self.accepted: Announcements = {}
        self.at = 0.0
        self._unanswered: dict[int, Announcements] = {}
        self._ever_told: set[Network] = set()
        self._ever_accepted: set[Network] = set()

    def tell(self, number: int, announcements: Mapping[Network, Announcement], now: float) -> None:
        self.latest = self._unanswered[number] = dict(announcements)
        self._ever_told |= self.latest.keys()
        self.at = now

    def unsent(self, number: int) -> None:
        """It was not told this one after all: another took its place."""
        del self._unanswered[number]

    def applied(self, number: int) -> bool:
        """It says that a set is done. False if it was never told that."""
        if number not in self._unanswered:
            return False
        self.accepted = self._unanswered.pop(number)
        self._ever_accepted |= self.accepted.keys()
        return True

    def refused(self, number: int) -> Announcements | None:
        """It says that it does none of a set, which is returned. None if it was never told that."""
        refused = self._unanswered.pop(number, None)
        if refused is not None and self.settled:
            self.latest = self.accepted
        return refused

    @property
    def settled(self) -> bool:
        """All were answered."""
        return not self._unanswered

    def was_told(self, prefix: Network) -> bool:
        return prefix in self._ever_told

    def may_have_announced(self, prefix: Network) -> bool:
        return prefix in self._ever_accepted

    def is_gone(self, prefix: Network) -> bool:
        """It said that it announces the prefix no more, or never did, and was told nothing else since."""
        return self.settled and prefix not in self.latest
