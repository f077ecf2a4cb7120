"""What a node knows of its session with one peer. Fed with what the speaker's child says; the clock is passed in."""

from __future__ import annotations

from collections.abc import Mapping

from bgp.announcement import Announcement
from bgp.limits import EXPLANATION_S, SESSION_DOWN_S, SESSION_RETRY_S
from bgp.notification import explain
from bgp.peer import Peer
from bgp.prefix import Network, family
from bgp.status import PeerStatus, SessionState
from bgp.wire import NotificationSeen, PeerChanged

Announcements = Mapping[Network, Announcement]


class Session:
    """See the module.

    Attributes:
        since: when the session came up or went down; tries in between do not count.
        on_wire: the last that was sent in this session for each prefix: what it was announced with, or None for
            withdrawn. A prefix that is not in it was not spoken of.
        flaps: sessions that were lost.
        notification: the last since the session was up; None for none.
    """

    def __init__(self, peer: Peer, now: float) -> None:
        self.peer = peer
        self.state: SessionState = "idle"
        self.since = now
        self.hold_s = 0
        self.error = ""
        self.remedy = ""
        self.flaps = 0
        self.on_wire: dict[Network, Announcement | None] = {}
        self.notification: NotificationSeen | None = None
        self._explained_until = float("-inf")
        self._tried_at = now

    @property
    def up(self) -> bool:
        return self.state == "established"

    def changed(self, event: PeerChanged, now: float) -> None:
        """The child says that it has another state."""
        was_up = self.up
        self.state = event.state
        self.hold_s = event.hold_s if self.up else 0
        if self.up != was_up:
            self._turned(now)
        if event.state == "idle" and event.error and now >= self._explained_until:
            self.error, self.remedy = event.error, ""

    def notified(self, event: NotificationSeen, now: float) -> None:
        """Why it ended, in the words of the one who ended it: better than what the child makes of it."""
        self.notification = event
        self.error, self.remedy = explain(event.direction, event.code, event.subcode, event.text)
        self._explained_until = now + EXPLANATION_S

    def lost(self, reason: str, now: float) -> None:
        """The child is gone, and with it the connection."""
        if self.up:
            self.error, self.remedy = reason, ""
            self.state = "idle"
            self._turned(now)
        self.state = "idle"
        self.hold_s = 0

    def _turned(self, now: float) -> None:
        self.since = self._tried_at = now
        self.on_wire.clear()
        if self.up:  # it will end for a reason of its own
            self._explained_until = float("-inf")
            self.notification = None
        else:
            self.flaps += 1

    # --- tries ---

    def retry_at(self, *, at_once: bool = False) -> float | None:
        """When to try anew what is down: not at once, and not often. None if it is up."""
        if self.up:
            return None
        return max(self.since + (0.0 if at_once else SESSION_DOWN_S), self._tried_at + SESSION_RETRY_S)

    def tried(self, now: float) -> None:
        self._tried_at = now

    # --- what it was told ---

    def takes(self, prefix: Network) -> bool:
        """Prefixes of this family are announced to it."""
        return self.peer.next_hop(family(prefix)) is not None

    def is_announced(self, announcement: Announcement) -> bool:
        """It was sent exactly that, in this session."""
        return self.on_wire.get(announcement.prefix) == announcement

    def is_withdrawn(self, prefix: Network, asked_at: float) -> bool:
        """A withdrawal that the child was asked for at `asked_at` was sent, or the session is younger than that."""
        if prefix in self.on_wire:
            return self.on_wire[prefix] is None
        return self.since >= asked_at

    def status(self, to_unix_s: float) -> PeerStatus:
        """`to_unix_s` is what turns the clock of this class into unix seconds."""
        announced = [str(prefix) for prefix, announcement in self.on_wire.items() if announcement is not None]
        return PeerStatus(
            name=self.peer.name,
            address=str(self.peer.address),
            asn=self.peer.asn,
            state=self.state,
            since=self.since + to_unix_s,
            hold_s=self.hold_s,
            error=self.error,
            remedy=self.remedy,
            flaps=self.flaps,
            announced=tuple(sorted(announced)),
        )
