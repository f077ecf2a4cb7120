"""docs/track-record.md: what was found is held by a test, mistakes made on purpose can be made."""

from __future__ import annotations

import re

from tests.docs.tables import known_tests, names, rows
from tests.simulator.mutants import MUTANTS

PAGE = "track-record.md"


def test_what_was_found_is_held_by_a_test() -> None:
    found = rows(PAGE, "found by")
    assert len(found) > 10
    for *_, cell, commit in found:
        (name,) = names(cell)
        module, _, test = name.partition("::")
        assert test in known_tests(module), name
        assert re.fullmatch("[0-9a-f]{7}", commit)


def test_what_a_seed_found_can_be_seen_again() -> None:
    found = rows(PAGE, "seed")
    assert found
    for seed, commit, *said in found:
        assert re.fullmatch(r"[a-z]+, \d+( and \d+)*", seed)
        assert re.fullmatch("[0-9a-f]{7}", commit)
        assert all(said)


def test_mistakes_made_on_purpose() -> None:
    found = {names(cells[0])[0] for cells in rows(PAGE, "mistake")}
    assert len(found) > 10
    assert found <= set(MUTANTS)
