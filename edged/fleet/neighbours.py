"""Which of the other nodes a node keeps links to. Sans-IO: a pure choice, told of the roster and of what became of it.

    up to LINK_KEPT_MAX nodes:  all of them
    more:                       LINK_CHOSEN_COUNT: near ones that stay, and others that change

Each node keeps a few links and all of them together make one net, with no node that knows it. It holds together because
most of its links are chance: after any cut, from any set of nodes, some lead out. It changes so that a choice that was
unlucky, or that somebody brought about, does not last; and the nearest of those that came by stay, because releases are
fetched from them. Links that others opened to us answer calls and are never asked over, so nobody chooses for us.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from edged.fleet.peer import Peer
from edged.limits import LINK_CHOSEN_COUNT, LINK_KEPT_MAX, LINK_NEAR_COUNT


class Neighbours:
    """The choice of one node. Every method leaves `chosen` as it should be from then on.

    Args:
        rng: chooses.
        kept_max: nodes of a fleet, this one included, up to which each keeps a link to all others.
        chosen_count: links of a node in a larger fleet.
        near_count: how many of them are to nodes of its own region, or to the nearest.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        kept_max: int = LINK_KEPT_MAX,
        chosen_count: int = LINK_CHOSEN_COUNT,
        near_count: int = LINK_NEAR_COUNT,
    ) -> None:
        assert 0 <= near_count < chosen_count < kept_max
        self._rng = rng
        self._kept_max = kept_max
        self._chosen_count = chosen_count
        self._near_count = near_count
        self._others: dict[Peer, None] = {}
        self._chosen: dict[Peer, None] = {}  # longest chosen first
        self._regions: tuple[str, ...] = ()

    @property
    def chosen(self) -> tuple[Peer, ...]:
        """Whom links are to be kept to, by name."""
        return tuple(sorted(self._chosen, key=_by_name))

    @property
    def is_all(self) -> bool:
        """Whether these are all there are, so that nobody is chosen."""
        return len(self._others) < self._kept_max

    def set(self, others: Iterable[Peer], regions: tuple[str, ...] = ()) -> None:
        """All other nodes of the fleet, as the roster has them now. Who was chosen and is still there stays.

        Args:
            regions: this node's own, as its `Peer` has them.
        """
        self._others = dict.fromkeys(sorted(others, key=_by_name))
        self._regions = regions
        if self.is_all:
            self._chosen = dict(self._others)
            return
        kept = [peer for peer in self._chosen if peer in self._others]
        if len(kept) > self._chosen_count:  # the fleet has only just outgrown `kept_max`
            kept = self._some_of(kept)
        self._chosen = dict.fromkeys(kept)
        self._fill()

    def turn(self, round_trips_s: Mapping[Peer, float]) -> None:
        """Give up one link for another, by chance: of those that are open, all but the nearest, the oldest.

        Args:
            round_trips_s: of the links that are open; infinite where it was not measured yet.
        """
        if self.is_all:
            return
        nearest = sorted(round_trips_s, key=lambda peer: (round_trips_s[peer], peer.name))[: self._near_count]
        leaving = next((peer for peer in self._chosen if peer in round_trips_s and peer not in nearest), None)
        if leaving is not None:
            self._replace(leaving)

    def unreachable(self, peer: Peer) -> None:
        """No link to it could be opened: another one gets its place, where there are others."""
        if not self.is_all and peer in self._chosen:
            self._replace(peer)

    def _replace(self, leaving: Peer) -> None:
        """By anybody but itself: who could not be reached must not be what is tried next."""
        del self._chosen[leaving]
        if len(self._others) - len(self._chosen) > 1:
            self._fill(leaving)
        else:
            self._chosen[leaving] = None

    def _fill(self, but: Peer | None = None) -> None:
        count = self._chosen_count - len(self._chosen)
        left = [peer for peer in self._others if peer not in self._chosen and peer != but]
        near = [peer for peer in left if self._is_near(peer)]
        near_count = self._near_count - sum(map(self._is_near, self._chosen))
        found = self._rng.sample(near, max(0, min(near_count, len(near), count)))
        found += self._rng.sample([peer for peer in left if peer not in found], count - len(found))
        self._chosen |= dict.fromkeys(found)

    def _some_of(self, kept: list[Peer]) -> list[Peer]:
        near = [peer for peer in kept if self._is_near(peer)][: self._near_count]
        rest = [peer for peer in kept if peer not in near]
        return near + self._rng.sample(rest, self._chosen_count - len(near))

    def _is_near(self, peer: Peer) -> bool:
        return bool(peer.regions) and peer.regions == self._regions


def _by_name(peer: Peer) -> tuple[str, str]:
    return peer.name, peer.fingerprint
