"""A fleet's backup: every record verified, the rosters a chain, nothing else in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import BackupInvalid
from edged.fleet.archive import decode_archive, encode_archive
from edged.fleet.backup import FleetBackup, backup_of, verified
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from tests.fleet.kit import NOW, RELEASE, Joining, identity, key, node, root, roster, signed, state


def fleet_with_all(folder: Path) -> FleetState:
    """Two rosters with other root keys, two apps, one admission."""
    fleet = state(folder)
    other = roster(version=2, root_keys=(root("other").public.raw,)).seal([root(), root("other")])
    joining = Joining()
    assert fleet.accept(other, NOW).kind == "accepted"
    for app in ("shop", "blog"):
        assert fleet.accept(signed(app), NOW).kind == "accepted"
    fleet.admit(joining.voucher, joining.identity.certificate, joining.proof(), identity("n1"), NOW)
    return fleet


def backup(fleet: FleetState) -> FleetBackup:
    return backup_of(list(fleet.view.records.values()), fleet.roster_chain(), int(NOW))


def test_there_and_back(tmp_path: Path) -> None:
    made = backup(fleet_with_all(tmp_path))
    assert FleetBackup.parse(decode_archive(made.encode())) == made
    assert made.counts == {"roster": 1, "admission": 1, "deployment": 2} | {
        kind: 0 for kind in made.counts if kind not in ("roster", "admission", "deployment")
    }
    assert made.releases == {RELEASE: "shop"} or made.releases == {RELEASE: "blog"}


def test_all_of_it_is_accepted_by_an_empty_node_in_that_order(tmp_path: Path) -> None:
    fleet = fleet_with_all(tmp_path / "one")
    made = backup(fleet)
    other = FleetState(RecordStore(tmp_path / "other"), now=NOW)
    assert other.begin(made.rosters[0], NOW).kind == "accepted"
    for record in (*made.rosters[1:], *made.records):
        assert other.accept(record, NOW).error is None
    assert other.heads_hash() == fleet.heads_hash()


def test_what_the_roster_does_not_bear_out_is_left_out(tmp_path: Path) -> None:
    fleet = state(tmp_path)
    assert fleet.accept(signed("shop"), NOW).kind == "accepted"
    assert fleet.accept(roster(version=2, keys=(key("reader", "read"),)).seal([root()]), NOW).kind == "accepted"
    assert backup(fleet).records == ()


def sealed(version: int = 1, by: str = "root", **changes: object) -> bytes:
    return roster(version=version, **changes).seal([root(by)])


BAD: dict[str, tuple[list[bytes], list[bytes]]] = {
    "no roster": ([], []),
    "roster of strangers": ([sealed(), sealed(2, "stranger", root_keys=(root("stranger").public.raw,))], []),
    "rosters not in order": ([sealed(2), sealed(1)], []),
    "another fleet's roster": ([sealed(), sealed(2, fleet="other")], []),
    "record of strangers": ([sealed()], [signed(by="reader")]),
    "roster among records": ([sealed()], [sealed()]),
    "record twice": ([sealed()], [signed(sequence=1), signed(sequence=2)]),
    "garbage": ([sealed()], [b"garbage"]),
    "garbage for a roster": ([b"garbage"], []),
    "deployment for a roster": ([sealed(), signed()], []),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_count_is_refused(name: str) -> None:
    with pytest.raises(BackupInvalid):
        verified(*BAD[name], int(NOW))


def test_a_good_one_beside_the_bad() -> None:
    assert verified([sealed(), sealed(2, nodes=(node("n1"),))], [signed()], int(NOW)).roster.version == 2


@pytest.mark.parametrize(
    "changes",
    [{"what": "node"}, {"format": 2}, {"fleet": "other"}, {"records": [1]}, {"rosters": "x"}, {"more": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_file_that_says_something_else_is_refused(changes: dict[str, object]) -> None:
    content = verified([sealed()], [signed()], int(NOW)).content()
    FleetBackup.parse(decode_archive(encode_archive(content)))
    with pytest.raises(BackupInvalid):
        FleetBackup.parse(decode_archive(encode_archive(content | changes)))
