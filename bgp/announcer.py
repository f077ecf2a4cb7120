"""What a node wants announced, checked before it reaches the speaker.

    gates ── entries: each prefix announced or withdrawn ──> Announcer ── full set ──> speaker
    operator, roster ── configure: which prefixes there are ──^  │
                                                                 └ refused: nothing changes, an alarm until it is good

A set that forgets a prefix is a mistake, not a wish to withdraw it; so is an empty one. The speaker's child compares
with an allow-list of its own again: nothing here is the last line of defence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Literal

import structlog

from bgp.announcement import Announcement, Withdrawal
from bgp.errors import AnnouncementsRefused, BgpError
from bgp.limits import PREFIX_COUNT_MAX
from bgp.prefix import AllowList, Network

log = structlog.get_logger()

Entry = Announcement | Withdrawal
_Subject = Literal["configuration", "announcements"]


class Announcer:
    """See the module.

    Args:
        prefixes: that there are. None is announced before the first `set`.
        allowed: those that may be announced, from the signed roster.
        tell: gets the full set of what is to be announced, each time that it may have changed: `Speaker.set`.

    Raises:
        PrefixRefused: a prefix that is not allowed.
        AnnouncementsRefused: more prefixes than a node may have.
    """

    def __init__(
        self,
        prefixes: Collection[Network],
        allowed: AllowList,
        tell: Callable[[Collection[Announcement]], None],
    ) -> None:
        _check_prefixes(prefixes, allowed)
        self._prefixes = frozenset(prefixes)
        self._allowed = allowed
        self._tell = tell
        self._entries: tuple[Entry, ...] = ()
        self._alarms: dict[_Subject, str] = {}

    @property
    def prefixes(self) -> frozenset[Network]:
        """Those that `set` has to name."""
        return self._prefixes

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The last set that was not refused."""
        return self._entries

    def alarms(self) -> tuple[str, ...]:
        """What was refused and has not been put right: sentences."""
        return tuple(self._alarms.values())

    def set(self, entries: Collection[Entry]) -> None:
        """Announce and withdraw: every prefix is named once, and no other.

        Raises:
            PrefixRefused: a prefix that is not allowed.
            AnnouncementsRefused: a prefix that is left out, named twice, or not one of this node's.
        """
        try:
            _check_entries(entries, self._prefixes, self._allowed)
        except BgpError as error:
            self._refuse("announcements", error)
            raise
        self._alarms.pop("announcements", None)
        self._entries = tuple(entries)
        self._tell_speaker()

    def configure(
        self, prefixes: Collection[Network], *, allowed: AllowList | None = None, removal_allowed: int = 0
    ) -> None:
        """These are the prefixes from now on. One that is gone is withdrawn at once; a new one waits for `set`.

        Args:
            allowed: a new allow-list; None for the one there is.
            removal_allowed: how many prefixes may go. One may always go, unless it is the last.

        Raises:
            PrefixRefused: a prefix that is not allowed. All stays as it was.
            AnnouncementsRefused: too many prefixes, or too many that go. Likewise.
        """
        allowed = self._allowed if allowed is None else allowed
        wanted = frozenset(prefixes)
        try:
            _check_prefixes(wanted, allowed)
            _check_removal(self._prefixes, wanted, removal_allowed)
        except BgpError as error:
            self._refuse("configuration", error)
            raise
        self._alarms.pop("configuration", None)
        self._prefixes, self._allowed = wanted, allowed
        self._entries = tuple(entry for entry in self._entries if entry.prefix in wanted)
        self._tell_speaker()

    def _tell_speaker(self) -> None:
        self._tell([entry for entry in self._entries if isinstance(entry, Announcement)])

    def _refuse(self, subject: _Subject, error: BgpError) -> None:
        if self._alarms.get(subject) != error.message:  # a gate that repeats itself is told once
            self._alarms[subject] = error.message
            log.error("bgp.refused", subject=subject, code=error.code, message=error.message, remedy=error.remedy)


def _check_prefixes(prefixes: Collection[Network], allowed: AllowList) -> None:
    for prefix in prefixes:
        allowed.check(prefix)
    if len(prefixes) > PREFIX_COUNT_MAX:
        raise AnnouncementsRefused(
            f"{len(prefixes)} prefixes: one node announces at most {PREFIX_COUNT_MAX}", remedy="Name fewer prefixes."
        )


def _check_removal(now: frozenset[Network], wanted: frozenset[Network], removal_allowed: int) -> None:
    gone = now - wanted
    if (len(gone) > 1 or (gone and not wanted)) and len(gone) > removal_allowed:
        raise AnnouncementsRefused(
            f"{len(gone)} of {len(now)} prefixes would go ({_names(gone)}), and {removal_allowed} may",
            remedy="If that is meant, sign a roster with allow_removal; otherwise put the prefixes back.",
        )


def _check_entries(entries: Collection[Entry], prefixes: frozenset[Network], allowed: AllowList) -> None:
    for entry in entries:
        allowed.check(entry.prefix)
    named = Counter(entry.prefix for entry in entries)
    problems = {
        "left out": prefixes - named.keys(),
        "not configured": named.keys() - prefixes,
        "named twice": {prefix for prefix, count in named.items() if count > 1},
    }
    for problem, found in problems.items():
        if found:
            raise AnnouncementsRefused(f"a set of announcements with {_names(found)} {problem}")


def _names(prefixes: Collection[Network]) -> str:
    return ", ".join(sorted(map(str, prefixes)))
