"""What is announced for a prefix: its attributes as typed values, from which lines for ExaBGP are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from bgp.errors import AttributesInvalid
from bgp.limits import COMMUNITY_COUNT_MAX, PREPEND_COUNT_MAX
from bgp.prefix import Network

_MED_MAX = 2**32 - 1
_community = re.compile(r"([0-9]{1,5}):([0-9]{1,5})").fullmatch
_large = re.compile(r"([0-9]{1,10}):([0-9]{1,10}):([0-9]{1,10})").fullmatch


class Community(NamedTuple):
    """RFC 1997: two numbers of 16 bits."""

    asn: int
    value: int

    def __str__(self) -> str:
        return f"{self.asn}:{self.value}"


class LargeCommunity(NamedTuple):
    """RFC 8092: three numbers of 32 bits."""

    asn: int
    first: int
    second: int

    def __str__(self) -> str:
        return f"{self.asn}:{self.first}:{self.second}"


GRACEFUL_SHUTDOWN = Community(65535, 0)
"""RFC 8326: prefer any other way, since this one is about to go."""
NO_EXPORT = Community(65535, 65281)
"""RFC 1997: not beyond the neighbouring AS."""


def parse_community(text: object) -> Community:
    """
    Raises:
        AttributesInvalid
    """
    match = _community(text) if isinstance(text, str) else None
    if match is None or max(int(match[1]), int(match[2])) >= 2**16:
        raise AttributesInvalid(f"{str(text)[:60]!r} is no community")
    return Community(int(match[1]), int(match[2]))


def parse_large_community(text: object) -> LargeCommunity:
    """
    Raises:
        AttributesInvalid
    """
    match = _large(text) if isinstance(text, str) else None
    if match is None or max(map(int, match.groups())) >= 2**32:
        raise AttributesInvalid(f"{str(text)[:60]!r} is no large community")
    return LargeCommunity(*map(int, match.groups()))


@dataclass(frozen=True, slots=True)
class Attributes:
    """Of one announcement, checked.

    Attributes:
        med: RFC 4271 5.1.4; compared among routes of one neighbouring AS. None for none.
        prepend: how many times our AS is in the path beyond the once that eBGP puts it there.

    Raises:
        AttributesInvalid
    """

    med: int | None = None
    communities: tuple[Community, ...] = ()
    large_communities: tuple[LargeCommunity, ...] = ()
    prepend: int = 0

    def __post_init__(self) -> None:
        if self.med is not None and not 0 <= self.med <= _MED_MAX:
            raise AttributesInvalid(f"a MED of {self.med}: it has 32 bits")
        if not 0 <= self.prepend <= PREPEND_COUNT_MAX:
            raise AttributesInvalid(f"{self.prepend} times our AS in front: at most {PREPEND_COUNT_MAX}")
        if max(len(self.communities), len(self.large_communities)) > COMMUNITY_COUNT_MAX:
            raise AttributesInvalid(f"more than {COMMUNITY_COUNT_MAX} communities")


@dataclass(frozen=True, slots=True)
class Announcement:
    """A prefix is to be announced, to every peer that has its family. The next hop is each session's own."""

    prefix: Network
    attributes: Attributes = Attributes()


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A prefix is not to be announced: said, not left out."""

    prefix: Network
    reason: str
