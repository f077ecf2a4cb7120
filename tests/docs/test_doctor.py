"""docs/doctor.md has a row for each check and each state that it comes to, and no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import edged.doctor
from edged.cli.doctor import doctor
from edged.doctor.doctor import CHECKS, FOLLOWS
from edged.doctor.finding import ORDER
from tests.docs.tables import names, rows

PAGE = "doctor.md"


def found_in_source() -> Iterator[tuple[str, str]]:
    """Check and state of every `Finding(...)`; where a state depends, all that it may be."""
    for path in sorted(Path(edged.doctor.__file__ or "").parent.glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Finding":
                check, state = call.args[0], call.args[1]
                if isinstance(check, ast.Constant):
                    yield from ((str(check.value), each) for each in constants(state))


def constants(state: ast.expr) -> list[str]:
    if isinstance(state, ast.IfExp):
        return constants(state.body) + constants(state.orelse)
    assert isinstance(state, ast.Constant)
    return [str(state.value)]


def documented() -> set[tuple[str, str]]:
    return {(names(cells[0])[0], names(cells[1])[0]) for cells in rows(PAGE, "check")}


def test_every_check_and_what_it_comes_to() -> None:
    assert documented() == {pair for pair in found_in_source() if pair[1] != "ok"}


def test_every_check_is_run() -> None:
    assert {check for check, _ in found_in_source()} == {*CHECKS, "start"}
    assert {*FOLLOWS, *(name for each in FOLLOWS.values() for name in each)} <= {*CHECKS, "start"}


def test_causes_stand_before_what_follows_from_them() -> None:
    order = [*CHECKS]
    order.insert(order.index("unit") + 1, "start")
    for name, causes in FOLLOWS.items():
        assert all(order.index(cause) < order.index(name) for cause in causes), name


def test_options() -> None:
    options = {text for option in doctor.params for text in option.opts if text.startswith("--")}
    assert {names(cells[0])[0].split()[0] for cells in rows(PAGE, "option of `doctor`")} == options


def test_states() -> None:
    assert {names(cells[0])[0] for cells in rows(PAGE, "state")} == set(ORDER)
