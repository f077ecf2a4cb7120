"""Fleets in which nobody lets anybody in any more, as when all certificates expired at once: how often they try.

Each attempt is a handshake at both ends. They must not fill the lines, nor come in waves; and the fleet must be back
soon after its certificates are.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from edged.errors import LinkError, PeerUntrusted
from edged.fleet.client import Peers
from edged.fleet.depth import HighWater
from edged.fleet.peer import Anchors, Peer
from edged.limits import LINK_CHOSEN_COUNT, LINK_KEPT_MAX, RECONNECT_RESET_S, RECONNECT_S_HIGHEST, RECONNECT_S_LOWEST
from tests.fleet.fakes import HELLO

GROWN_S = 4 * RECONNECT_S_HIGHEST
"""By then all pauses are as long as they become."""
LOOK_S = 10 * RECONNECT_S_HIGHEST


class _Link:
    """One that was let in."""

    is_open = True
    round_trip_s = 0.01

    def __init__(self, peer: Peer, lasts_s: float) -> None:
        self.peer = peer
        self.lasts_s = lasts_s
        self.outbox_high = HighWater()

    async def wait_closed(self) -> LinkError:
        await trio.sleep(self.lasts_s)
        return LinkError("closed the link")


@dataclass
class Fleet:
    """Nodes that dial each other; `dials` are by the second in which they were, on trio's clock."""

    count: int
    has_expired: bool = True
    lasts_s: float = math.inf
    dials: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.everybody = tuple(
            Peer(f"n{number}", "node", f"sha256:{number}", address=f"192.0.2.1:{number}")
            for number in range(self.count)
        )

    def anchors(self) -> Anchors:
        return Anchors((peer.name.encode(), peer) for peer in self.everybody)

    @asynccontextmanager
    async def connect(self, address: str, *_args: Any, fingerprint: str, **_others: Any) -> AsyncIterator[Any]:
        await trio.lowlevel.checkpoint()
        self.dials[int(trio.current_time())] += 1
        if self.has_expired:
            raise PeerUntrusted(f"{address}: certificate has expired")
        yield _Link(next(peer for peer in self.everybody if peer.fingerprint == fingerprint), self.lasts_s)

    def node(self, number: int) -> Peers:
        identity = _Named(f"n{number}", f"sha256:{number}")
        return Peers(identity, self.anchors, lambda: HELLO, random.Random(number), connect=self.connect)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Named:
    """What `Peers` looks at of an identity."""

    name: str
    fingerprint: str


async def test_a_fleet_that_lets_nobody_in_tries_seldom_and_never_all_at_once(autojump_clock: MockClock) -> None:
    fleet = Fleet(30)
    link_count = fleet.count * (fleet.count - 1)
    nodes = [fleet.node(number) for number in range(fleet.count)]
    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(node.run)
        await trio.sleep(GROWN_S)
        # 0.5 s doubled to 60 s, halved at most by chance, and what is left of the time with the longest
        doublings = math.log2(RECONNECT_S_HIGHEST / RECONNECT_S_LOWEST) + 1
        assert fleet.dials.total() <= link_count * (1 + doublings + GROWN_S / (RECONNECT_S_HIGHEST / 2))

        fleet.dials.clear()
        await trio.sleep(LOOK_S)
        in_a_second = fleet.dials.total() / LOOK_S
        assert in_a_second <= link_count / (RECONNECT_S_HIGHEST / 2)
        assert max(fleet.dials.values()) < 3 * in_a_second  # no waves: all lost theirs at the same moment

        fleet.dials.clear()
        fleet.has_expired = False
        await trio.sleep(RECONNECT_S_HIGHEST + 1)
        assert [len(node.open()) for node in nodes] == [fleet.count - 1] * fleet.count
        assert fleet.dials.total() == link_count
        assert max(fleet.dials.values()) < 3 * in_a_second
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("count", "link_count"),
    [(LINK_KEPT_MAX, LINK_KEPT_MAX - 1), (LINK_KEPT_MAX + 1, LINK_CHOSEN_COUNT), (1_000, LINK_CHOSEN_COUNT)],
)
async def test_what_one_node_dials_does_not_grow_with_the_fleet(
    count: int, link_count: int, autojump_clock: MockClock
) -> None:
    """Those chosen in place of who cannot be reached are not tried faster, however many there are."""
    fleet = Fleet(count)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.node(0).run)
        await trio.sleep(GROWN_S)
        fleet.dials.clear()
        await trio.sleep(LOOK_S)
        nursery.cancel_scope.cancel()
    assert (
        link_count * LOOK_S / RECONNECT_S_HIGHEST
        <= fleet.dials.total()
        <= 2 * link_count * LOOK_S / RECONNECT_S_HIGHEST
    )


@pytest.mark.parametrize(
    ("lasts_s", "longest_s"),
    [(RECONNECT_RESET_S - 0.1, RECONNECT_S_HIGHEST), (RECONNECT_RESET_S, RECONNECT_S_LOWEST)],
)
async def test_who_lets_us_in_and_hangs_up_is_tried_no_faster(
    lasts_s: float, longest_s: float, autojump_clock: MockClock
) -> None:
    """As a peer does that plays, or that breaks on what we say. A link that lasted was well, and is wanted back."""
    fleet = Fleet(2, has_expired=False, lasts_s=lasts_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.node(0).run)
        await trio.sleep(2 * GROWN_S)
        fleet.dials.clear()
        await trio.sleep(LOOK_S)
        nursery.cancel_scope.cancel()
    assert LOOK_S / (lasts_s + longest_s) - 1 <= fleet.dials.total() <= LOOK_S / (lasts_s + longest_s / 2) + 1
