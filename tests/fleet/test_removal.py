"""Whether removed apps may go, by what the records of their removal say."""

from __future__ import annotations

import pytest

from edged.fleet.deployment import Deployment
from edged.fleet.record import Head
from edged.fleet.removal import removals_held
from edged.fleet.view import Record
from edged.limits import REMOVAL_WINDOW_S
from tests.fleet.kit import NOW, deployment

START = int(NOW)
WINDOW_S = int(REMOVAL_WINDOW_S)


def record(app: str, count: int = 1, at: int = 0, signer: bytes = b"a", **changes: object) -> Record:
    one = deployment(app, 2, **{"regions": {}, "removal_count": count, "issued": START + at} | changes)
    return Record(Head(one.key, one.version, one.digest), b"", one, signer, "ada", START)


def test_no_removal_is_no_question() -> None:
    live = record("shop", regions=deployment().regions, removal_count=0)
    assert removals_held([]) == removals_held([live]) == {}


@pytest.mark.parametrize(("count", "held"), [(0, True), (1, False), (2, False)])
def test_one_removal_needs_a_count(count: int, *, held: bool) -> None:
    assert ("shop" in removals_held([record("shop", count)])) == held


@pytest.mark.parametrize(("count", "held"), [(2, True), (3, False)])
def test_as_many_as_were_said_and_one_more(count: int, *, held: bool) -> None:
    found = removals_held([record(app, count) for app in ("a", "b", "c")])
    assert set(found) == ({"a", "b", "c"} if held else set())


def test_a_script_that_loops_takes_one_app_away() -> None:
    """Each says that it removes one, some seconds after the other; and so it goes on for ever."""
    records = [record(f"app-{at:03}", 1, at) for at in range(0, 3 * WINDOW_S, 5)]
    assert set(removals_held(records)) == {f"app-{at:03}" for at in range(5, 3 * WINDOW_S, 5)}
    (why,) = {removals_held(records)["app-005"]}
    assert why == (
        "app-005 is served as before: 2 apps (app-000, app-005) were removed within 60 s, and its removal allows 1"
    )


def test_thousands_of_apps_are_not_named_once_for_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key may remove ten thousand, and each record that comes meanwhile has the node look anew."""
    said: list[list[str]] = []

    def why(_removal: Deployment, shown: list[str], count: int) -> str:
        said.append(shown)
        return str(count)

    monkeypatch.setattr("edged.fleet.removal._why", why)
    found = removals_held([record(f"app-{number:04}") for number in range(1_000)])
    assert set(found.values()) == {"1000"}
    assert max(map(len, said)) == 5


def test_many_apps_are_not_all_named() -> None:
    (why, *_) = removals_held([record(f"app-{number}", 2, number) for number in range(7)]).values()
    assert why.startswith("app-2 is served as before: 3 apps (app-0, app-1, app-2) were removed")
    *_, why = removals_held([record(f"app-{number}", 2, number) for number in range(7)]).values()
    assert "7 apps (app-0, app-1, app-2, app-3, app-4 and 2 more) were removed" in why


@pytest.mark.parametrize(("apart", "held"), [(WINDOW_S, True), (WINDOW_S + 1, False)])
def test_what_was_removed_long_before_does_not_count(apart: int, *, held: bool) -> None:
    assert ("b" in removals_held([record("a", 1), record("b", 1, apart)])) == held


def test_what_is_removed_later_does_not_count_against_what_has_gone() -> None:
    """Else a node that comes late would decide otherwise than those that were there."""
    assert set(removals_held([record("c", 1, 9), record("a", 2), record("b", 2)])) == {"c"}


def test_signers_do_not_stand_in_each_others_way() -> None:
    assert removals_held([record("a", 1), record("b", 1, signer=b"b")]) == {}


def test_the_order_of_the_records_is_nothing() -> None:
    records = [record("c", 1, 3), record("a", 2), record("b", 2, 1), record("d", 4, 3)]
    assert removals_held(records) == removals_held(records[::-1])
    assert set(removals_held(records)) == {"c"}


def test_many_names_are_not_all_told() -> None:
    found = removals_held([record(f"app-{number}", 1) for number in range(7)])
    assert "7 apps (app-0, app-1, app-2, app-3, app-4 and 2 more)" in found["app-3"]
