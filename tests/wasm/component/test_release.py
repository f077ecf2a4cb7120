"""What becomes of values that do not reach their guest."""

from __future__ import annotations

from typing import Any

import pytest

from edged.host.interface import Err, Ok, Resource, Some
from edged.wasm.component.release import release
from edged.wasm.linear.table import HandleTable


class Thing(Resource):
    def __init__(self) -> None:
        self.drops = 0

    def drop(self) -> None:
        self.drops += 1


class Source:
    """A stream."""

    def __init__(self) -> None:
        self.drops = 0

    def read(self, _count_max: int) -> bytes:
        raise AssertionError("nobody reads it")

    def close(self) -> None:
        self.drops += 1


class Faulty(Resource):
    def drop(self) -> None:
        raise ZeroDivisionError("a fault of the host")


@pytest.mark.parametrize("made", [Thing, Source], ids=["resource", "stream"])
@pytest.mark.parametrize(
    "around",
    [
        lambda value: value,
        lambda value: (1, "text", value, b"bytes"),
        lambda value: [value],
        lambda value: ("case", value),
        Ok,
        Err,
        Some,
        lambda value: Ok([(None, Some(("case", value)))]),
    ],
    ids=["alone", "record", "list", "variant", "ok", "err", "some", "deep"],
)
def test_what_a_value_owns_is_let_go_of_once(made: Any, around: Any) -> None:
    thing = made()
    assert release(around(thing)) is None
    assert thing.drops == 1


@pytest.mark.parametrize("value", [None, 1, 1.5, True, "text", b"bytes", frozenset({"flag"}), (), []], ids=repr)
def test_plain_values_own_nothing(value: Any) -> None:
    assert release(value) is None


def test_what_came_through_is_left_to_the_table() -> None:
    table, through, lost = HandleTable(10), Thing(), Thing()
    table.add_own(1, through)
    assert release([through, lost], table) is None
    assert (through.drops, lost.drops) == (0, 1)


def test_one_that_cannot_be_let_go_of_keeps_no_other() -> None:
    before, after = Thing(), Thing()
    assert isinstance(release([before, Faulty(), after]), ZeroDivisionError)
    assert (before.drops, after.drops) == (1, 1)
