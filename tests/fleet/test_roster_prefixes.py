"""Which prefixes rosters let nodes announce: what a roster takes away by mistake stays."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from bgp.prefix import AllowList
from edged.errors import RecordForbidden, RecordInvalid, RecordsUnusable
from edged.fleet.record import Version
from edged.fleet.roster import Roster
from edged.fleet.roster_prefixes import allowed_prefixes, read_allowed
from edged.fleet.store import RecordStore, Stored
from registry import strict
from tests.fleet.kit import NOW, ROSTER, root, roster, state

A, B, C = "203.0.113.10/32", "2001:db8:a::10/128", "203.0.113.11/32"


@pytest.mark.parametrize(
    ("steps", "left", "is_refused"),
    [
        ([], [], False),
        ([([A, B], 0)], [A, B], False),
        ([([A], 0), ([A, B], 0)], [A, B], False),
        ([([A, B], 0), ([B], 0)], [B], False),
        ([([A], 0), ([], 0)], [A], True),
        ([([A], 0), ([], 1)], [], False),
        ([([A, B, C], 0), ([A], 0)], [A, B, C], True),
        ([([A, B, C], 0), ([A], 1)], [A, B, C], True),
        ([([A, B, C], 0), ([A], 2)], [A], False),
        # Another in place of the only one takes no last one away.
        ([([A], 0), ([B], 0)], [B], False),
        # Signing it once more does not make it meant.
        ([([A, B], 0), ([], 0), ([], 0)], [A, B], True),
        ([([A, B], 0), ([], 0), ([], 2)], [], False),
        ([([A, B], 0), ([], 0), ([A, B, C], 0)], [A, B, C], False),
    ],
)
def test_what_may_be_announced(steps: list[tuple[list[str], int]], left: list[str], is_refused: bool) -> None:
    found = allowed_prefixes((frozenset(map(ip_network, prefixes)), removal) for prefixes, removal in steps)
    assert list(found.allow_list) == list(AllowList(map(ip_network, left)))
    assert bool(found.refused) == is_refused


def next_roster(former: Roster, **changes: object) -> Roster:
    return replace(former, version=former.version + 1, previous=former.digest, **changes)  # type: ignore[arg-type]


def test_from_disk(tmp_path: Path) -> None:
    assert list(read_allowed(tmp_path).allow_list) == []
    first = roster(prefixes=(A, B))
    held = state(tmp_path / "records", prefixes=(A, B))
    assert list(map(str, read_allowed(tmp_path).allow_list)) == [A, B]

    second = next_roster(first, prefixes=())
    assert held.accept(second.seal([root()]), NOW).kind == "accepted"
    found = read_allowed(tmp_path)
    assert list(map(str, found.allow_list)) == [A, B]
    assert "2 prefixes" in found.refused

    assert held.accept(next_roster(second, prefixes=(), allow_removal=2).seal([root()]), NOW).kind == "accepted"
    assert list(read_allowed(tmp_path).allow_list) == []


def test_a_roster_that_the_disk_does_not_give_is_not_as_if_it_were_not_there(tmp_path: Path) -> None:
    """Found by the simulator: what the newest one had taken away stayed, and with the only one all went."""
    first = roster(prefixes=(A, B))
    held = state(tmp_path / "records", prefixes=(A, B))
    assert held.accept(next_roster(first, prefixes=(A,)).seal([root()]), NOW).kind == "accepted"
    newest = max((tmp_path / "records" / "roster" / ROSTER.name).iterdir())
    aside = newest.rename(tmp_path / "aside")
    newest.mkdir()  # which cannot be read as a file
    with pytest.raises(RecordsUnusable, match="cannot be read"):
        read_allowed(tmp_path)
    newest.rmdir()
    aside.rename(newest)
    assert list(map(str, read_allowed(tmp_path).allow_list)) == [A]


def test_a_roster_on_disk_that_the_one_before_has_not_signed(tmp_path: Path) -> None:
    state(tmp_path / "records", prefixes=(A,))
    forged = next_roster(roster(prefixes=(A,)), prefixes=(A, C)).seal([root("thief")])
    RecordStore(tmp_path / "records").save(Stored(ROSTER, Version(1, 2), forged, b"", int(NOW)))
    with pytest.raises(RecordForbidden):
        read_allowed(tmp_path)


def test_two_fleets_on_one_disk(tmp_path: Path) -> None:
    state(tmp_path / "records")
    (tmp_path / "records" / "roster" / "other").mkdir()
    with pytest.raises(RecordInvalid, match="several fleets"):
        read_allowed(tmp_path)


def test_the_key_of_the_roster() -> None:
    one = roster(prefixes=(A,), allow_removal=1)
    assert Roster.parse(one.encode()) == one
    # Rosters from before there was the key are what they were.
    assert b"allow_removal" not in roster(prefixes=(A,)).encode()
    fields = strict.decode(one.encode(), 10_000_000)
    assert isinstance(fields, dict)
    for wrong in (0, 65, -1, "1", True):
        with pytest.raises(RecordInvalid):
            Roster.parse(strict.encode({**fields, "allow_removal": wrong}))
    assert Roster.parse(strict.encode({**fields, "allow_removal": 64})).allow_removal == 64
