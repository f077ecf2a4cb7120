"""Handle tables. Messages are wasmtime's: the component model's tests compare them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edged.errors import GuestBudgetExhausted, GuestTrap
from edged.wasm.linear.table import INDEX_MAX, HandleTable, Scope

FILE, SOCKET = 1, 2
WRONG_TYPE = (
    "handle index 1 used with the wrong type, expected guest-defined resource but found a different guest-defined "
    "resource"
)


@pytest.fixture
def table() -> HandleTable:
    return HandleTable(4)


def test_indexes_begin_at_one_and_are_used_again_last_freed_first(table: HandleTable) -> None:
    assert [table.add(name) for name in "abc"] == [1, 2, 3]
    assert table.remove(1) == "a"
    assert table.remove(3) == "c"
    assert [table.add(name) for name in "xyz"] == [3, 1, 4]
    assert list(table) == ["y", "b", "x", "z"]


def test_it_holds_so_many_and_not_one_more(table: HandleTable) -> None:
    for name in "abcd":
        table.add(name)
    with pytest.raises(GuestBudgetExhausted, match="more than 4 resource handles at once"):
        table.add("e")
    table.remove(2)
    assert table.add("e") == 2
    assert len(table) == 4


def test_it_never_has_more_than_the_component_model_numbers() -> None:
    assert HandleTable(INDEX_MAX).add("a") == 1
    with pytest.raises(AssertionError):
        HandleTable(INDEX_MAX + 1)


def test_clear_takes_out_everything(table: HandleTable) -> None:
    for name in "abc":
        table.add(name)
    table.remove(2)
    assert table.clear() == ["a", "c"]
    assert len(table) == 0
    assert table.add("d") == 1


USES: dict[str, Callable[[HandleTable, int], Any]] = {
    "get": lambda table, index: table.get(index),
    "remove": lambda table, index: table.remove(index),
    "resource": lambda table, index: table.resource(index, FILE),
    "lend": lambda table, index: table.lend(index, FILE, Scope()),
    "take-own": lambda table, index: table.take_own(index, FILE),
    "drop": lambda table, index: table.drop(index, FILE),
}
TYPED_USES = ["resource", "lend", "take-own", "drop"]


@pytest.mark.parametrize("use", list(USES))
@pytest.mark.parametrize("index", [0, 2, 3, 4, 2**28, 2**32 - 1])
def test_an_index_with_nothing_behind_it_traps(table: HandleTable, use: str, index: int) -> None:
    table.add_own(FILE, "file")
    table.add_own(FILE, "gone")
    table.drop(2, FILE)
    with pytest.raises(GuestTrap, match=f"^unknown handle index {index}$"):
        USES[use](table, index)
    assert table.resource(1, FILE).rep == "file"


@pytest.mark.parametrize("use", TYPED_USES)
def test_another_type_traps_and_stays(table: HandleTable, use: str) -> None:
    table.add_own(SOCKET, "socket")
    with pytest.raises(GuestTrap) as trap:
        USES[use](table, 1)
    assert trap.value.message == WRONG_TYPE
    assert table.resource(1, SOCKET).lends == 0


@pytest.mark.parametrize("use", TYPED_USES)
def test_what_is_no_resource_traps_and_stays(table: HandleTable, use: str) -> None:
    table.add("a waitable set")
    with pytest.raises(GuestTrap, match=r"^index 1 is not a resource$"):
        USES[use](table, 1)
    assert table.get(1) == "a waitable set"


def test_an_own_handle_is_taken_once(table: HandleTable) -> None:
    index = table.add_own(FILE, "file")
    assert table.take_own(index, FILE) == "file"
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        table.take_own(index, FILE)


@pytest.mark.parametrize("use", ["take-own", "drop"])
def test_what_is_lent_stays_until_it_is_given_back(table: HandleTable, use: str) -> None:
    index = table.add_own(FILE, "file")
    first, second = Scope(), Scope()
    assert table.lend(index, FILE, first) == "file"
    assert table.lend(index, FILE, second) == "file"
    first.give_back()
    with pytest.raises(GuestTrap, match=r"^cannot remove owned resource while borrowed$"):
        USES[use](table, index)
    second.give_back()
    second.give_back()
    assert table.resource(index, FILE).lends == 0
    USES[use](table, index)


def test_a_lend_for_nobody_needs_no_giving_back(table: HandleTable) -> None:
    index = table.add_own(FILE, "file")
    assert table.lend(index, FILE, None) == "file"
    assert table.take_own(index, FILE) == "file"


def test_a_borrow_must_be_dropped_before_its_call_ends(table: HandleTable) -> None:
    call = Scope()
    index = table.add_borrow(FILE, "file", call)
    with pytest.raises(GuestTrap, match=r"^borrow handles still remain at the end of the call$"):
        call.check_returned()
    assert table.drop(index, FILE).scope is call
    call.check_returned()
    assert len(table) == 0


def test_a_borrow_is_not_an_own_handle(table: HandleTable) -> None:
    index = table.add_borrow(FILE, "file", Scope())
    with pytest.raises(GuestTrap, match=r"^cannot lift own resource from a borrow$"):
        table.take_own(index, FILE)
    assert table.lend(index, FILE, Scope()) == "file"


def test_a_borrow_that_finds_no_room_is_not_counted() -> None:
    table, call = HandleTable(1), Scope()
    table.add_own(FILE, "file")
    with pytest.raises(GuestBudgetExhausted):
        table.add_borrow(FILE, "file", call)
    call.check_returned()
