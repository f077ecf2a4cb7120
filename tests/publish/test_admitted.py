"""Nodes that a voucher let in, as a publisher comes to believe them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from edged.fleet.certificate import Identity, make_identity, public_key, save_identity
from edged.fleet.roster import Key
from edged.fleet.voucher import Seed, Voucher, prove
from edged.publish.admitted import admitted
from edged.publish.context import Context, ContextStore
from edged.publish.fleet import open_fleet
from edged.publish.link import Client, Connect
from tests.publish.fakes import NOW, FakeFleet


def voucher(fleet: FakeFleet, by: Identity, name: str = "late") -> bytes:
    seeds = (Seed(fleet.addresses[0], fleet.identities["a"].certificate),)
    made = Voucher("demo", "0" * 32, name, "us", "late.example:7400", NOW + 3_600, (fleet.root.public.raw,), seeds)
    return made.seal(by.key)


def let_in(fleet: FakeFleet, late: Identity) -> bytes:
    """Node `a` admits `late`, by a voucher of the operator."""
    operator = make_identity("operator", now=NOW)
    key = Key("operator", operator.certificate, frozenset({"admit"}), ("*",))
    fleet.roster = replace(fleet.roster, version=2, previous=fleet.roster.digest, keys=(*fleet.roster.keys, key))
    state = fleet.first.state
    assert state.accept(fleet.roster.seal([fleet.root]), NOW).kind == "accepted"
    data = voucher(fleet, operator)
    return state.admit(data, late.certificate, prove(data, late), fleet.identities["a"], NOW)


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(tmp_path)


LATE = make_identity("late", now=NOW)


def test_who_was_let_in(fleet: FakeFleet) -> None:
    data = let_in(fleet, LATE)
    (node,) = admitted(fleet.roster, [data, data, b"none", fleet.roster_envelope])
    assert (node.name, node.address, node.certificate) == ("late", "late.example:7400", LATE.certificate)


def test_who_counts_no_more(fleet: FakeFleet) -> None:
    data = let_in(fleet, LATE)
    roster = fleet.roster
    without_the_operator = replace(roster, keys=roster.keys[:-1])
    without_the_seed = replace(roster, nodes=roster.nodes[1:])
    revoked = replace(roster, revoked=frozenset({public_key(LATE.certificate).id}))
    elsewhere = replace(roster, fleet="other")
    for changed in (without_the_operator, without_the_seed, revoked, elsewhere):
        assert admitted(changed, [data]) == ()


def test_a_name_that_the_roster_has_is_the_roster_s(fleet: FakeFleet) -> None:
    data = let_in(fleet, LATE)
    other = make_identity("late", now=NOW)
    roster = replace(fleet.roster, nodes=(*fleet.roster.nodes, replace(fleet.roster.nodes[0], name="late",
        address="other.example:1", certificate=other.certificate)))  # fmt: skip
    assert admitted(roster, [data]) == ()


async def test_a_command_believes_and_reaches_them(fleet: FakeFleet, tmp_path: Path) -> None:
    let_in(fleet, LATE)
    store = ContextStore(tmp_path / "config")
    key = tmp_path / "ada.key"
    save_identity(fleet.ada, key, key.with_suffix(".crt"))
    roots = (fleet.root.public.raw.hex(),)
    store.save(Context("demo", fleet.addresses[:1], key, key.with_suffix(".crt"), roots, fleet.roster_envelope))
    asked: list[str] = []
    connect: Connect = fleet.connect_as(fleet.ada)

    def connecting(address: str) -> AbstractAsyncContextManager[Client]:
        asked.append(address)
        return connect(address)

    async with open_fleet(await trio.to_thread.run_sync(store.load, "demo"), store, connecting) as found:
        assert found.author.anchors.find(LATE.certificate) is not None
        fleet.nodes["late.example:7400"] = fleet.nodes.pop(fleet.addresses[1])  # whoever else there is, is down
        fleet.first.is_down = True
        fleet.first.lose["status"] = 0
        await found.view()
    assert asked[-1] == "late.example:7400"
