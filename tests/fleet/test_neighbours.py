"""`Neighbours`: all of a small fleet; some of a large one, that hold together, change, and are near where it helps."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from edged.fleet.neighbours import Neighbours
from edged.fleet.peer import Peer
from edged.limits import LINK_CHOSEN_COUNT, LINK_KEPT_MAX, LINK_NEAR_COUNT

REGIONS = ("eu", "us", "ap")


def node(number: int) -> Peer:
    return Peer(f"n{number}", "node", f"sha256:{number}", regions=(REGIONS[number % len(REGIONS)],))


ALL = [node(number) for number in range(1_200)]


def fleet(count: int) -> list[Peer]:
    return ALL[:count]


def of(count: int, me: int = 0, seed: int = 1) -> Neighbours:
    """Node `me`'s, in a fleet of so many."""
    made = Neighbours(random.Random(seed))
    made.set([peer for peer in fleet(count) if peer != node(me)], node(me).regions)
    return made


def near(peers: Iterable[Peer]) -> list[Peer]:
    return [peer for peer in peers if peer.regions == node(0).regions]


def test_all_at_the_limit_and_some_one_over_it() -> None:
    assert len(of(LINK_KEPT_MAX).chosen) == LINK_KEPT_MAX - 1
    assert of(LINK_KEPT_MAX).is_all
    assert len(of(LINK_KEPT_MAX + 1).chosen) == LINK_CHOSEN_COUNT
    assert not of(LINK_KEPT_MAX + 1).is_all


def test_in_a_small_fleet_nothing_is_chosen() -> None:
    small = of(LINK_KEPT_MAX)
    before = small.chosen
    small.turn(dict.fromkeys(before, 0.1))
    small.unreachable(before[0])
    assert small.chosen == before == tuple(sorted(before, key=lambda peer: peer.name))


def test_a_region_is_near_and_the_rest_is_chance() -> None:
    chosen = of(1_000).chosen
    assert len(near(chosen)) >= LINK_NEAR_COUNT
    assert {peer.regions for peer in chosen} == {(region,) for region in REGIONS}
    assert of(1_000, seed=2).chosen != chosen
    assert of(1_000).chosen == chosen  # the same chance, the same choice


def test_who_is_alone_in_its_region_chooses_as_many() -> None:
    alone = Neighbours(random.Random(1))
    alone.set(fleet(1_000), ("moon",))
    assert len(alone.chosen) == LINK_CHOSEN_COUNT


def test_a_roster_that_changes_leaves_links_alone() -> None:
    made = of(1_000)
    before = set(made.chosen)
    gone = made.chosen[3]
    made.set([peer for peer in fleet(1_200) if peer not in (node(0), gone)], node(0).regions)
    assert before - {gone} < set(made.chosen)
    assert len(made.chosen) == LINK_CHOSEN_COUNT


def test_a_fleet_grows_over_the_limit_and_shrinks_again() -> None:
    made = of(LINK_KEPT_MAX)
    made.set([peer for peer in fleet(LINK_KEPT_MAX + 1) if peer != node(0)], node(0).regions)
    assert len(made.chosen) == LINK_CHOSEN_COUNT
    assert len(near(made.chosen)) >= LINK_NEAR_COUNT
    made.set([peer for peer in fleet(LINK_KEPT_MAX) if peer != node(0)], node(0).regions)
    assert len(made.chosen) == LINK_KEPT_MAX - 1


def test_a_turn_exchanges_one_and_never_the_nearest() -> None:
    made = of(1_000)
    nearest = made.chosen[:LINK_NEAR_COUNT]
    met = set(made.chosen)
    for _ in range(200):
        before = set(made.chosen)
        made.turn({peer: 0.001 if peer in nearest else 0.1 for peer in made.chosen})
        assert len(before - set(made.chosen)) == 1
        assert len(made.chosen) == LINK_CHOSEN_COUNT
        assert set(nearest) < set(made.chosen)
        met |= set(made.chosen)
    assert len(met) > 150  # of 200 that were chosen by chance out of 1 000


def test_a_turn_gives_up_the_one_that_lasted_longest() -> None:
    made = of(1_000)
    first = set(made.chosen)
    for _ in range(LINK_CHOSEN_COUNT - LINK_NEAR_COUNT):
        made.turn({peer: 0.001 if peer.regions == node(0).regions else 0.1 for peer in made.chosen})
    # All of the others have gone, none that came since.
    assert len(first & set(made.chosen)) == LINK_NEAR_COUNT


def test_a_link_that_is_not_open_is_left_to_who_tries_it() -> None:
    made = of(1_000)
    before = made.chosen
    made.turn({})
    made.turn(dict.fromkeys(before[:LINK_NEAR_COUNT], 0.1))  # as many as are kept for being near
    assert made.chosen == before


def test_who_cannot_be_reached_is_replaced_by_another() -> None:
    made = of(1_000)
    for _ in range(100):
        gone = made.chosen[0]
        made.unreachable(gone)
        assert gone not in made.chosen
        assert len(made.chosen) == LINK_CHOSEN_COUNT
    stranger = Peer("stranger", "node", "sha256:s")
    before = made.chosen
    made.unreachable(stranger)
    assert made.chosen == before


@pytest.mark.parametrize("spare", [0, 1], ids=["nobody-else", "one-other"])
def test_where_nobody_else_is_left_it_is_tried_again(spare: int) -> None:
    made = Neighbours(random.Random(1), kept_max=4, chosen_count=3, near_count=1)
    made.set(fleet(3 + spare + 1))
    gone = made.chosen[0]
    made.unreachable(gone)
    assert len(made.chosen) == 3
    assert gone not in made.chosen


def test_a_large_fleet_is_one_net_of_few_hops() -> None:
    count = 4 * LINK_KEPT_MAX
    links = {me: [int(peer.name[1:]) for peer in of(count, me, seed=me).chosen] for me in range(count)}
    reached, edge, hops = {0}, {0}, 0
    while edge:
        edge = {other for one in edge for other in links[one]} - reached
        reached |= edge
        hops += bool(edge)
    assert len(reached) == count
    assert hops <= 3
    asked = [0] * count
    for chosen in links.values():
        for other in chosen:
            asked[other] += 1
    assert max(asked) < 3 * LINK_CHOSEN_COUNT
