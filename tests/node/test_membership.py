"""A node that was taken out of its fleet, over TLS as it is: it asks, learns and says so."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from edged.errors import LinkError, NodeRemoved
from edged.fleet.board import Board
from edged.fleet.calls import Dispatcher
from edged.fleet.certificate import Identity, make_identity
from edged.fleet.client import PeerState, connect
from edged.fleet.link import Link
from edged.fleet.node_calls import NodeCalls
from edged.fleet.roster import Node, Roster
from edged.fleet.servable import Servable
from edged.fleet.session import Hello
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from edged.limits import MEMBERSHIP_ASK_S
from edged.node.membership import Membership
from registry.chunk_store import ChunkStore
from registry.release_store import ReleaseStore
from tests.fleet import kit
from tests.fleet.fakes import Served, rng, serving, settle

HELLO = Hello("demo", 1, 1, "n1", "0.1")


class Links:
    """None are kept, unless the test says so."""

    def __init__(self) -> None:
        self.is_open: dict[str, bool] = {}

    def states(self) -> list[PeerState]:
        return [PeerState(name, "", is_open, 0.0, "", 0) for name, is_open in self.is_open.items()]


class Scene:
    """Node n1 listens; n2 is the node that the test is about.

    Attributes:
        there, here: what n1 and n2 know.
    """

    def __init__(self, folder: Path) -> None:
        now = time.time()
        self.peer, self.own = make_identity("n1", now=now), make_identity("n2", now=now)
        self.there = FleetState(RecordStore(folder / "there"), now=now)
        self.here = FleetState(RecordStore(folder / "here"), now=now, accepted=lambda _record: self.changed())
        self.links = Links()
        self.membership = Membership(self.own, self.here, self.links, rng=rng())
        chunks = ChunkStore(folder / "registry", 2**30)
        releases = ReleaseStore(folder / "registry", chunks)
        board = Board("n1", lambda _name: True, 0.0)
        self.calls = NodeCalls(
            self.there, releases, chunks, board, identity=self.peer, servable=Servable(releases, frozenset)
        )

    def changed(self) -> None:
        self.membership.changed()

    def roster(self, address: str, version: int = 1, **changes: Any) -> Roster:
        nodes = (
            Node("n1", "eu", address, self.peer.certificate),
            Node("n2", "us", "n2.example:7400", self.own.certificate),
        )
        return replace(kit.roster(version=version), nodes=nodes, **changes)

    def without(self, address: str, version: int = 2, *, revoked: bool = True) -> Roster:
        whole = self.roster(address, version)
        ids = frozenset({self.own.key.public.id}) if revoked else frozenset()
        return replace(whole, nodes=whole.nodes[:1], revoked=ids)

    def codes(self) -> list[str]:
        return [alarm.code for alarm in self.here.alarms()]


@asynccontextmanager
async def listening(scene: Scene) -> AsyncIterator[Served]:
    """n1, with a roster that both have."""
    async with serving(scene.peer, scene.there.anchors(), Dispatcher(scene.calls.handlers()), hello=HELLO) as served:
        for state in (scene.there, scene.here):
            assert state.begin(scene.roster(served.address).seal([kit.root()]), kit.NOW).kind == "accepted"
        served.anchors = scene.there.anchors()
        yield served


def accept(state: FleetState, roster: Roster) -> None:
    assert state.accept(roster.seal([kit.root()]), kit.NOW).kind == "accepted"


async def until(condition: Callable[[], object]) -> None:
    """Sockets tell nobody when they are done."""
    while not condition():
        await trio.lowlevel.checkpoint()


async def test_a_removed_node_asks_and_withdraws(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    async with listening(scene) as served:
        address = served.address
        assert (scene.membership.outside(), scene.membership.expelled()) == ("", "")
        accept(scene.there, scene.without(address))
        served.anchors = scene.there.anchors()
        with pytest.raises(LinkError):  # with its certificate nobody talks to it any more
            await _linked(scene.own, address, scene.there)
        await scene.membership.ask()
        assert scene.here.roster is not None
        assert scene.here.roster.version == 2
        assert "taken this node out" in scene.membership.expelled()
        assert scene.membership.outside() == scene.membership.expelled()


async def _linked(who: Identity, address: str, trusted: FleetState) -> None:
    async with connect(address, who, trusted.anchors(), hello=HELLO) as link:
        await link.call("roster")


async def test_a_roster_that_only_lacks_a_node_is_an_alarm_and_no_more(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    async with listening(scene) as served:
        accept(scene.here, scene.without(served.address, revoked=False))
    assert "does not have this node" in scene.membership.outside()
    assert scene.membership.expelled() == ""


async def test_it_is_said_and_taken_back(tmp_path: Path, mock_clock: MockClock) -> None:
    scene = Scene(tmp_path)
    async with trio.open_nursery() as nursery:
        accept_first = scene.roster("n1.example:7400").seal([kit.root()])
        assert scene.here.begin(accept_first, kit.NOW).kind == "accepted"
        nursery.start_soon(scene.membership.run)
        await settle()
        assert scene.codes() == []
        accept(scene.here, scene.without("n1.example:7400"))
        await settle()
        assert scene.codes() == [NodeRemoved.code]
        accept(scene.here, scene.roster("n1.example:7400", version=3))
        await settle()
        assert scene.codes() == []
        nursery.cancel_scope.cancel()


class Dialled:
    """Counts attempts; nobody answers."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    @asynccontextmanager
    async def __call__(self, address: str, *_: object, **__: object) -> AsyncIterator[Link]:
        self.addresses.append(address)
        raise LinkError("nobody there")
        yield


async def test_only_whose_links_are_not_all_open_asks_and_not_often(tmp_path: Path, mock_clock: MockClock) -> None:
    scene, dial = Scene(tmp_path), Dialled()
    assert scene.here.begin(scene.roster("n1.example:7400").seal([kit.root()]), kit.NOW).kind == "accepted"
    membership = Membership(scene.own, scene.here, scene.links, rng=rng(), dial=dial)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(membership.run)
        for _ in range(100):
            await settle()
            mock_clock.jump(MEMBERSHIP_ASK_S / 2)
        assert set(dial.addresses) == {"n1.example:7400"}  # and never itself
        assert 45 <= len(dial.addresses) <= 100
        scene.links.is_open = {"n1": True}
        await settle()
        asked = len(dial.addresses)
        for _ in range(10):
            mock_clock.jump(MEMBERSHIP_ASK_S)
            await settle()
        assert len(dial.addresses) == asked
        nursery.cancel_scope.cancel()


async def test_a_link_that_is_open_keeps_nobody_from_asking_those_to_whom_none_is(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """Found by the simulator: who was removed, and was linked with somebody that had not heard of it, never asked."""
    scene, dial = Scene(tmp_path), Dialled()
    roster = scene.roster("n1.example:7400")
    third = Node("n3", "us", "n3.example:7400", make_identity("n3", now=time.time()).certificate)
    roster = replace(roster, nodes=(*roster.nodes, third))
    assert scene.here.begin(roster.seal([kit.root()]), kit.NOW).kind == "accepted"
    scene.links.is_open = {"n1": False, "n3": True}
    membership = Membership(scene.own, scene.here, scene.links, rng=rng(), dial=dial)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(membership.run)
        for _ in range(10):
            await settle()
            mock_clock.jump(MEMBERSHIP_ASK_S)
        assert set(dial.addresses) == {"n1.example:7400"}
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "answer", [None, {"rosters": "x"}, {"rosters": [1]}, {"rosters": [b""] * 65}, {"rosters": [b"garbage"]}]
)
async def test_what_a_peer_answers_changes_nothing_unless_root_keys_signed_it(tmp_path: Path, answer: object) -> None:
    scene = Scene(tmp_path)

    async def lie(_peer: object, _call: str, _args: object) -> object:
        return answer

    async with serving(scene.peer, scene.there.anchors(), lie, hello=HELLO) as served:
        assert scene.here.begin(scene.roster(served.address).seal([kit.root()]), kit.NOW).kind == "accepted"
        served.anchors = scene.here.anchors()
        before = scene.here.view
        await scene.membership.ask()
        forged = scene.without(served.address).seal([kit.root("stranger")])
        scene.here.accept(forged, kit.NOW)
    assert scene.here.view is before
    assert scene.membership.outside() == ""
