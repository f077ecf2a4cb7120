"""Who was taken out of the roster is told so, and nobody else is told anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import CallForbidden, IdentityInvalid
from edged.fleet.certificate import Identity, make_identity
from edged.fleet.removed import prove_held
from edged.fleet.roster import Roster
from edged.fleet.state import FleetState
from tests.fleet.kit import NOW, Joining, forged, identity, key, node, root, roster, state

ASKED = identity("n1").fingerprint


def without_n2(version: int = 2) -> Roster:
    return roster(version=version, nodes=(node("n1"),), revoked=frozenset({identity("n2").key.public.id}))


def ask(fleet: FleetState, who: Identity, version: int = 1, *, asked: str = ASKED, name: str = "demo") -> list[bytes]:
    return fleet.rosters_for(who.certificate, prove_held(who, name, asked), ASKED, version)


def test_a_node_that_was_removed_gets_the_rosters_that_it_lacks(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    removing = without_n2().seal([root()])
    assert fleet.accept(removing, NOW).kind == "accepted"
    assert ask(fleet, identity("n2"), 1) == [removing]
    assert ask(fleet, identity("n2"), 2) == []


def test_the_rosters_that_changed_root_keys_come_before_it(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    other = roster(version=2, root_keys=(root("other").public.raw,)).seal([root(), root("other")])
    removing = roster(
        version=3, root_keys=(root("other").public.raw,), nodes=(node("n1"),), revoked=without_n2().revoked
    ).seal([root("other")])
    for record in (other, removing):
        assert fleet.accept(record, NOW).kind == "accepted"
    found = ask(fleet, identity("n2"), 1)
    assert found == [other, removing]
    away = state(tmp_path / "away")  # a node that has the first one can follow
    assert [away.accept(record, NOW).kind for record in found] == ["accepted", "accepted"]


def test_a_node_whose_certificate_has_expired_is_told_as_well(tmp_path: Path) -> None:
    """It is in the roster, and no link takes it."""
    fleet = state(tmp_path)
    newer = roster(version=2, domain="").seal([root()])
    assert fleet.accept(newer, NOW).kind == "accepted"
    assert ask(fleet, identity("n2"), 1) == [newer]


def test_a_node_whose_admission_has_ended_is_told(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    joining = Joining()
    fleet.admit(joining.voucher, joining.identity.certificate, joining.proof(), identity("n1"), NOW)
    ending = roster(version=2, keys=(key("reader", "read"),)).seal([root()])
    assert fleet.accept(ending, NOW).kind == "accepted"
    assert joining.name not in {each.name for each in fleet.nodes()}
    assert ask(fleet, joining.identity, 1) == [ending]


@pytest.mark.parametrize(
    ("who", "asked", "name"),
    [
        (make_identity("n2", now=NOW), ASKED, "demo"),  # the name says nothing
        (identity("n2"), identity("n3").fingerprint, "demo"),  # what another node was told
        (identity("n2"), ASKED, "other"),
    ],
    ids=["stranger", "replayed", "other-fleet"],
)
def test_nobody_else_is_told_anything(tmp_path: Path, who: Identity, asked: str, name: str) -> None:
    fleet = state(tmp_path)
    assert fleet.accept(without_n2().seal([root()]), NOW).kind == "accepted"
    with pytest.raises(CallForbidden):
        ask(fleet, who, asked=asked, name=name)


def test_the_proof_of_one_key_is_none_of_another(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    with pytest.raises(CallForbidden, match="proof"):
        fleet.rosters_for(identity("n2").certificate, prove_held(identity("n3"), "demo", ASKED), ASKED, 1)


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IdentityInvalid):
        state(tmp_path).rosters_for(forged(b"abcdefgh", b"ABCDEFGH")[:-1], bytes(64), ASKED, 1)
