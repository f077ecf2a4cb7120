"""`Peers`: a link to each other node, opened again when it breaks, for as long as the roster has the node."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import trio
from trio.testing import MockClock

from edged.fleet.client import Peers
from edged.fleet.neighbours import Neighbours
from edged.fleet.peer import Anchors, Peer
from edged.limits import LINK_PING_INTERVAL_S, LINK_TURN_S, RECONNECT_S_HIGHEST, RECONNECT_S_LOWEST
from tests.fleet.fakes import HELLO, anchors_of, identity, nodes, peer_of, rng, serving, settle

ME, ONE, TWO, THREE = identity("me"), identity("one"), identity("two"), identity("three")
OTHERS = ONE, TWO, THREE


async def until(condition: Callable[[], object]) -> None:
    """Sockets tell nobody when they are done."""
    while not condition():
        await trio.lowlevel.checkpoint()


class Fleet:
    """What the roster says at the moment."""

    def __init__(self, **addresses: str) -> None:
        self.addresses = addresses

    def anchors(self) -> Anchors:
        known = {"me": ME, "one": ONE, "two": TWO, "three": THREE}
        return anchors_of(
            *((known[name], peer_of(known[name], address=address)) for name, address in self.addresses.items())
        )


def some() -> Neighbours:
    """Two links, where there are three others."""
    return Neighbours(rng(), kept_max=3, chosen_count=2, near_count=1)


def first_to(name: str, fleet: Fleet) -> Neighbours:
    """One link, at first to that one."""
    for seed in range(100):
        made = Neighbours(random.Random(seed), kept_max=2, chosen_count=1, near_count=0)
        made.set(fleet.anchors().nodes)
        if made.chosen[0].name == name:
            return made
    raise AssertionError("a hundred seeds choose another")


async def pings() -> None:
    """Until those on their way have come: links are not silent, however far the clock is moved."""
    for _ in range(100):
        await trio.lowlevel.checkpoint()


def peers_of(fleet: Fleet) -> Peers:
    return Peers(ME, fleet.anchors, lambda: HELLO, rng())


async def test_links_to_all_others_and_not_to_itself() -> None:
    all_of = nodes(ME, ONE, TWO)
    async with serving(ONE, all_of) as one, serving(TWO, all_of) as two, trio.open_nursery() as nursery:
        fleet = Fleet(me="127.0.0.1:1", one=one.address, two=two.address)
        peers = peers_of(fleet)
        nursery.start_soon(peers.run)
        await until(lambda: len(peers.open()) == 2)
        assert [state.name for state in peers.states()] == ["one", "two"]
        assert all(state.is_open and not state.reason for state in peers.states())
        found = peers.get("one")
        assert found is not None
        assert found.peer.name == "one"
        assert peers.get("me") is None
        await until(lambda: all(link.round_trip_s < 60 for link in peers.open()))
        assert [link.round_trip_s for link in peers.open()] == sorted(link.round_trip_s for link in peers.open())
        nursery.cancel_scope.cancel()


async def test_a_new_roster_opens_and_closes_links() -> None:
    all_of = nodes(ME, ONE, TWO)
    async with serving(ONE, all_of) as one, serving(TWO, all_of) as two, trio.open_nursery() as nursery:
        fleet = Fleet(one=one.address)
        peers = peers_of(fleet)
        peers.refresh()  # not running yet: nothing to do
        nursery.start_soon(peers.run)
        await until(peers.open)
        fleet.addresses = {"two": two.address}
        peers.refresh()
        await until(lambda: [link.peer.name for link in peers.open()] == ["two"])
        assert [state.name for state in peers.states()] == ["two"]
        await until(lambda: not one.server.statistics().peers)
        nursery.cancel_scope.cancel()


async def test_a_node_that_moved_is_found_at_its_new_address() -> None:
    async with serving(ONE, nodes(ME, ONE)) as old, serving(ONE, nodes(ME, ONE)) as new, trio.open_nursery() as nursery:
        fleet = Fleet(one=old.address)
        peers = peers_of(fleet)
        nursery.start_soon(peers.run)
        await until(peers.open)
        fleet.addresses = {"one": new.address}
        peers.refresh()
        await until(lambda: new.server.statistics().peers)
        await until(lambda: [state.address for state in peers.states() if state.is_open] == [new.address])
        nursery.cancel_scope.cancel()


async def test_a_link_that_breaks_is_opened_again(mock_clock: MockClock) -> None:
    async with serving(ONE, nodes(ME, ONE)) as one, trio.open_nursery() as nursery:
        peers = peers_of(Fleet(one=one.address))
        nursery.start_soon(peers.run)
        await until(peers.open)
        [link] = peers.open()
        link.close("a test")
        await until(lambda: peers.states()[0].attempts)
        [state] = peers.states()
        assert not state.is_open
        assert state.reason.endswith("a test")
        await settle()
        mock_clock.jump(RECONNECT_S_LOWEST)
        await until(peers.open)
        assert peers.states()[0].attempts == 0
        nursery.cancel_scope.cancel()


async def test_a_node_that_cannot_be_reached_again_is_lost(mock_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        async with serving(ONE, nodes(ME, ONE)) as one:
            peers = peers_of(Fleet(one=one.address))
            nursery.start_soon(peers.run)
            await until(peers.open)
        await until(lambda: peers.states()[0].attempts == 1)
        broke_at = trio.current_time()
        assert peers.lost() == {}  # it may be on its way back
        await settle()
        mock_clock.jump(RECONNECT_S_LOWEST)
        await until(peers.lost)
        assert peers.lost() == {"one": broke_at}
        nursery.cancel_scope.cancel()


async def test_a_node_that_was_never_reached_is_not_lost(mock_clock: MockClock) -> None:
    peers = peers_of(Fleet(one="127.0.0.1:1"))  # nobody listens there
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peers.run)
        while not peers.states() or peers.states()[0].attempts < 3:
            await settle()
            mock_clock.jump(RECONNECT_S_LOWEST)
        assert peers.lost() == {}
        nursery.cancel_scope.cancel()


async def test_pauses_grow_up_to_a_limit(mock_clock: MockClock) -> None:
    peers = peers_of(Fleet(one="127.0.0.1:1"))  # nobody listens there
    began: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peers.run)
        for attempt in range(1, 12):
            while not peers.states() or peers.states()[0].attempts < attempt:
                await settle()
                mock_clock.jump(RECONNECT_S_LOWEST)
            began.append(trio.current_time())
        nursery.cancel_scope.cancel()
    pauses = [after - before for before, after in pairwise(began)]
    assert peers.states()[0].reason.startswith("127.0.0.1:1 cannot be reached")
    for number, pause in enumerate(pauses):
        highest = min(RECONNECT_S_LOWEST * 2**number, RECONNECT_S_HIGHEST)
        assert highest / 2 - RECONNECT_S_LOWEST <= pause <= highest + RECONNECT_S_LOWEST
    assert len(set(pauses[-4:])) > 1  # jitter


async def test_a_large_fleet_has_links_to_some_and_another_for_who_cannot_be_reached(mock_clock: MockClock) -> None:
    everybody = nodes(ME, *OTHERS)
    async with serving(ONE, everybody) as one, serving(TWO, everybody) as two, trio.open_nursery() as nursery:
        fleet = Fleet(me="127.0.0.1:1", one=one.address, two=two.address, three="127.0.0.1:1")  # nobody listens there
        peers = Peers(ME, fleet.anchors, lambda: HELLO, rng(), neighbours=some())
        nursery.start_soon(peers.run)
        while len(peers.open()) < 2:
            assert len(peers.states()) <= 2
            for _ in range(100):  # sockets tell nobody when they are done
                await trio.lowlevel.checkpoint()
            mock_clock.jump(RECONNECT_S_LOWEST)
        assert {link.peer.name for link in peers.open()} == {"one", "two"}
        nursery.cancel_scope.cancel()


async def test_a_link_of_a_large_fleet_is_given_up_for_another(mock_clock: MockClock) -> None:
    everybody = nodes(ME, *OTHERS)
    async with (
        serving(ONE, everybody) as one,
        serving(TWO, everybody) as two,
        serving(THREE, everybody) as three,
        trio.open_nursery() as nursery,
    ):
        fleet = Fleet(one=one.address, two=two.address, three=three.address)
        peers = Peers(ME, fleet.anchors, lambda: HELLO, rng(), neighbours=some())
        nursery.start_soon(peers.run)
        await until(lambda: len(peers.open()) == 2)
        before = {state.name for state in peers.states()}
        for _ in range(round(1.5 * LINK_TURN_S / LINK_PING_INTERVAL_S)):
            await pings()
            mock_clock.jump(LINK_PING_INTERVAL_S)
        await until(lambda: len(peers.open()) == 2)
        assert len(before & {state.name for state in peers.states()}) == 1
        assert peers.lost() == {}  # nobody is gone: we left
        nursery.cancel_scope.cancel()


async def test_who_is_lost_and_replaced_stays_lost_until_it_leaves(mock_clock: MockClock) -> None:
    fleet = Fleet(one="", two="")
    async with serving(TWO, nodes(ME, *OTHERS)) as two, trio.open_nursery() as nursery:
        async with serving(ONE, nodes(ME, *OTHERS)) as one:
            fleet.addresses = {"one": one.address, "two": two.address}
            peers = Peers(ME, fleet.anchors, lambda: HELLO, rng(), neighbours=first_to("one", fleet))
            nursery.start_soon(peers.run)
            await until(peers.open)
            assert [state.name for state in peers.states()] == ["one"]
        while not peers.open():
            await pings()
            mock_clock.jump(RECONNECT_S_LOWEST)
        assert [state.name for state in peers.states()] == ["two"]
        assert list(peers.lost()) == ["one"]
        del fleet.addresses["one"]
        peers.refresh()
        assert peers.lost() == {}
        nursery.cancel_scope.cancel()


def test_a_peer_is_what_the_roster_says() -> None:
    assert peer_of(ONE, address="a:1") != peer_of(ONE, address="a:2")
    assert isinstance(peer_of(ONE), Peer)
