"""docs/compatibility.md is what `python -m tests.compatibility` makes, and the tests that it names are there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.compatibility.interfaces import SHOWN
from tests.compatibility.page import PAGE, page, spin1s, spins, wasi3s, wasis
from tests.compatibility.ways import KINDS, WAYS, Kind, Way, refusal
from tests.guests import wat
from tests.guests.catalog import GUESTS

ROOT = Path(__file__).parents[2]
NAMED = {test for shown in SHOWN.values() for test in shown if "::" in test}
NAMED |= {test for entry in (*KINDS, *WAYS) for test in entry.tests}


def test_it_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.compatibility"


def test_every_interface_says_who_shows_it() -> None:
    assert sorted(SHOWN) == sorted([*spins(), *spin1s(), *wasis(), *wasi3s()]), "see tests/compatibility/interfaces.py"


def test_what_spin_adds_is_shown_by_a_test_that_it_works_and_one_that_it_is_refused() -> None:
    assert [name for name in spins() for test in SHOWN[name] if "::" not in test] == []
    assert [name for name in spins() if SHOWN[name].granted == SHOWN[name].refused] == []


@pytest.mark.parametrize("test", sorted(NAMED))
def test_a_test_that_it_names_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    defined = (node for node in ast.parse((ROOT / path).read_text()).body)
    assert name in {node.name for node in defined if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_way_to_be_called_is_refused_or_shown(way: Way) -> None:
    assert bool(way.tests) == (refusal(way) is None)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.made_by)
def test_a_kind_of_guest_is_shown_or_says_what_is_missing(kind: Kind) -> None:
    assert kind.tests or kind.missing
    assert [name for name in kind.guests if name not in GUESTS and name not in wat.names()] == []
