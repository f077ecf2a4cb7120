"""What the child knows and decides: requests in, lines for ExaBGP and events out. Knows no ExaBGP, no socket, no clock.

    SetAnnouncements -- allow-list --> wanted --+
                                                +-- difference, per peer --> lines --> answered --> Applied
    what each peer was told --------------------+

A peer is given lines only while nothing of earlier ones is queued for it. ExaBGP keeps a queue by attributes, not by
time: of two changes to one prefix that wait together, the older may be sent last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bgp.announcement import Announcement
from bgp.errors import AnnouncementsRefused, BgpError, SpeakerFailed
from bgp.exabgp_config import difference
from bgp.lines import printable
from bgp.peer import Peer, SpeakerConfig
from bgp.prefix import AllowList, Network, family
from bgp.status import SessionState
from bgp.wire import Applied, Event, Log, PeerChanged, Refused, SetAnnouncements


class Sessions:
    """
    Args:
        say: takes every event.
    """

    def __init__(self, config: SpeakerConfig, allowed: AllowList, say: Callable[[Event], None]) -> None:
        self._config = config
        self._allowed = allowed
        self._say = say
        self._wanted: dict[Network, Announcement] = {}
        self._told: dict[str, dict[Network, Announcement]] = {peer.name: {} for peer in config.peers}
        self._ids: list[int] = []
        self._answers_due = 0
        self._failed = False
        self._states: dict[str, SessionState] = {peer.name: "idle" for peer in config.peers}
        self._holds: dict[str, int] = {}
        self._errors: dict[str, str] = {}

    # --- announcements ---

    @property
    def busy(self) -> bool:
        """Answers of ExaBGP, or lines for a peer, are due."""
        return self._answers_due > 0 or bool(self._ids)

    def check(self, prefix: Network) -> None:
        """
        Raises:
            PrefixRefused
        """
        self._allowed.check(prefix)

    def set(self, request: SetAnnouncements) -> None:
        """All of it or nothing: one prefix that may not be announced, and the whole set is refused."""
        try:
            for one in request.announcements:
                self._allowed.check(one.prefix)
            wanted = {one.prefix: one for one in request.announcements}
            if len(wanted) != len(request.announcements):
                raise AnnouncementsRefused("a set that names a prefix twice")
        except BgpError as error:
            self._say(Refused(request.id, error.code, printable(error.message)))
            self._say(Log("error", printable(f"refused: {error.message}")))
            return
        self._wanted = wanted
        self._ids.append(request.id)

    def lines(self, ready: Callable[[Peer], bool]) -> Iterable[str]:
        """What ExaBGP is to be told now. Every line is to be answered by `answered`.

        Args:
            ready: nothing is queued for this peer; what was queued while there was no session may be dropped for it.
        """
        if self._answers_due:
            return []
        lines: list[str] = []
        for peer in self._config.peers:
            wanted = {prefix: one for prefix, one in self._wanted.items() if peer.next_hop(family(prefix))}
            if wanted != self._told[peer.name] and ready(peer):
                lines += difference(peer, self._config, self._told[peer.name], wanted)
                self._told[peer.name] = wanted
        self._answers_due = len(lines)
        if not lines:
            self._acknowledge()
        return lines

    def answered(self, done: bool) -> None:
        self._failed = self._failed or not done
        self._answers_due -= 1
        if self._answers_due == 0:
            self._acknowledge()

    def _acknowledge(self) -> None:
        ids, self._ids = self._ids, []
        failed, self._failed = self._failed, False
        for each in ids:
            if failed:
                self._say(Refused(each, SpeakerFailed.code, "ExaBGP did not take a line of this set"))
            else:
                self._say(Applied(each))

    # --- sessions ---

    def negotiated(self, name: str, hold_s: int) -> None:
        self._holds[name] = hold_s

    def failed(self, name: str, error: str) -> None:
        """Why the session ends, or is not had: said with the next state."""
        self._errors[name] = printable(error)

    def changed(self, name: str, state: SessionState) -> None:
        if self._states[name] == state:
            return
        self._states[name] = state
        established = state == "established"
        if established:
            self._errors.pop(name, None)
        self._say(PeerChanged(name, state, self._holds.get(name, 0) if established else 0, self._errors.get(name, "")))
