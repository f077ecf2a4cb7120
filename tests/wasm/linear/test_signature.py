"""Parameters and results: flat where they are few, in memory where they are many."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from edged.errors import GuestBudgetExhausted, GuestTrap
from edged.host.interface import Err, Ok
from edged.limits import LIFT_BYTES_MAX, LIST_COUNT_MAX
from edged.wasm import types as wit
from edged.wasm.canonical_abi import ASYNC_PARAMS_FLAT_MAX, PARAMS_FLAT_MAX
from edged.wasm.linear.codec import compile_linear
from edged.wasm.linear.context import Context
from edged.wasm.linear.signature import compile_answer, compile_elements, compile_values
from tests.wasm.linear.codecs import BOOL, F32, F64, S8, STRING, TOP32, U8, U16, U64, context
from tests.wasm.linear.memory import PAGE, FakeInstance, FakeMemory

BYTES = wit.List(U8)
OWN, BORROW = wit.Handle(1, owned=True), wit.Handle(1, owned=False)


# --- parameters ---


@pytest.mark.parametrize("flat_max", [PARAMS_FLAT_MAX, ASYNC_PARAMS_FLAT_MAX])
def test_so_many_core_values_are_flat_and_one_more_is_in_memory(flat_max: int) -> None:
    memory = FakeMemory()
    cx = memory.context()
    few = compile_values((U8,) * flat_max, flat_max)
    assert few.letters == "i" * flat_max
    assert few.lower(cx, range(flat_max)) == list(range(flat_max))
    assert memory.calls == []
    many = compile_values((U8,) * (flat_max + 1), flat_max)
    assert many.letters == "i"
    numbers = many.lower(cx, range(flat_max + 1))
    assert memory.calls == [(1, flat_max + 1)]
    assert many.lift(cx, numbers) == list(range(flat_max + 1))


def test_core_values_of_several_parameters() -> None:
    values = compile_values((STRING, wit.Option(F64), S8, wit.Result(F32, U64)), PARAMS_FLAT_MAX)
    assert values.letters == "iiiFiiI"
    cx = context()
    arguments = ["x", -0.5, -1, Ok(1.5)]
    numbers = values.lower(cx, arguments)
    assert numbers[2:] == [1, -0.5, TOP32, 0, 0x3FC0_0000]
    assert values.lift(cx, numbers) == arguments


def test_no_parameters_are_no_core_values() -> None:
    values = compile_values((), PARAMS_FLAT_MAX)
    assert (values.letters, values.lower(context(), ()), values.lift(context(), ())) == ("", [], [])


def test_a_type_of_very_many_values_is_passed_in_memory() -> None:
    ty = wit.FixedList(wit.Tuple((U8, U64)), 100_000)
    assert compile_values((ty,), PARAMS_FLAT_MAX).letters == "i"
    assert compile_values((wit.Option(ty), U8), PARAMS_FLAT_MAX).letters == "i"
    assert compile_answer(ty).by_pointer


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_or_too_many_arguments_are_no_call(count: int) -> None:
    for flat_max in 1, PARAMS_FLAT_MAX:
        with pytest.raises(ValueError, match=r"argument|values"):
            compile_values((U8, U8), flat_max).lower(context(), [0] * count)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (PAGE - 16, "pointer out of bounds"),
        (4, "pointer not aligned"),
        (2**32 - 8, "pointer out of bounds"),
    ],
)
def test_parameters_in_memory_are_checked(address: int, message: str) -> None:
    values = compile_values((U64, U8, U64), 2)
    assert values.lift(context(), [PAGE - 24]) == [0, 0, 0]
    with pytest.raises(GuestTrap, match=f"^{message}$"):
        values.lift(context(), [address])


def test_each_call_has_its_own_budget() -> None:
    """Twice as much as one call may hand over, in two calls; and in one."""
    half = LIFT_BYTES_MAX // 2 + 1
    memory = FakeMemory()
    memory.room = bytearray(half)
    memory.size = half
    cx = memory.context()
    one, two = compile_values((BYTES,), PARAMS_FLAT_MAX), compile_values((BYTES, BYTES), PARAMS_FLAT_MAX)
    for _ in range(3):
        assert len(one.lift(cx, [0, half])[0]) == half
    with pytest.raises(GuestBudgetExhausted):
        two.lift(cx, [0, half, 0, half])


@pytest.mark.parametrize("flat_max", [PARAMS_FLAT_MAX, 2], ids=["flat", "memory"])
def test_a_bad_value_leaves_all_handles_where_they_can_be_dropped(flat_max: int) -> None:
    instance = FakeInstance()
    stream = wit.Stream(U8)
    values = compile_values((OWN, wit.List(OWN), stream, STRING), flat_max)
    memory = FakeMemory()
    cx = memory.context(instance)
    good = ["file", ["a", "b"], "bytes", "text"]
    assert values.lift(cx, values.lower(cx, good)) == good
    assert len(instance.table) == 0
    numbers = values.lower(cx, good)
    if flat_max == PARAMS_FLAT_MAX:
        numbers[4:] = [2**31, 1]
    else:
        struct.pack_into("<II", cx.view, int(numbers[0]) + 16, 2**31, 1)
    with pytest.raises(GuestTrap, match="string pointer/length out of bounds"):
        values.lift(cx, numbers)
    assert len(instance.table) == 4
    held = {entry.rep if hasattr(entry, "rep") else entry[1] for entry in instance.table}
    assert held == {"file", "a", "b", "bytes"}
    assert cx.taken is None


def test_who_may_have_a_borrow_says_so() -> None:
    assert compile_values((wit.List(wit.Option(BORROW)),), PARAMS_FLAT_MAX).has_borrow
    assert compile_values((U8,) * 20 + (wit.Result(BORROW, None),), PARAMS_FLAT_MAX).has_borrow
    assert not compile_values((OWN, STRING), PARAMS_FLAT_MAX).has_borrow


# --- results ---


def test_a_result_of_one_core_value_is_flat() -> None:
    answer = compile_answer(S8)
    assert (answer.letters, answer.by_pointer) == ("i", False)
    assert answer.store_err is answer.lower_err is None
    assert answer.lower_ok(context(), -1) == [TOP32]
    assert answer.lift(context(), [TOP32]) == -1


def test_a_result_of_two_is_in_memory() -> None:
    answer = compile_answer(wit.Tuple((U8, U8)))
    assert (answer.letters, answer.by_pointer) == ("", True)
    cx = context()
    answer.store_ok(cx, 8, (1, 2))
    assert answer.lift(cx, [8]) == (1, 2)


def test_nothing_is_a_result_too() -> None:
    answer = compile_answer(None)
    cx = context()
    answer.store_ok(cx, TOP32, None)
    assert (answer.letters, answer.by_pointer, answer.lower_ok(cx, None), answer.lift(cx, [])) == ("", False, [], None)


ARMS: dict[str, tuple[wit.Result, Any, Any]] = {
    "nothing": (wit.Result(None, None), None, None),
    "ok": (wit.Result(U64, None), 2**64 - 1, None),
    "err": (wit.Result(None, STRING), None, "why"),
    "both": (wit.Result(F32, wit.Tuple((U64, STRING))), 0.5, (7, "why")),
    "nested": (wit.Result(wit.Result(U8, U8), wit.Option(U8)), Err(5), None),
}


@pytest.mark.parametrize("case", list(ARMS))
def test_a_function_answers_in_two_ways(case: str) -> None:
    ty, ok, err = ARMS[case]
    answer, codec, cx = compile_answer(ty), compile_linear(ty), context()
    assert answer.store_err is not None
    assert answer.lower_err is not None
    for value, payload, store, lower in (
        (Ok(ok), ok, answer.store_ok, answer.lower_ok),
        (Err(err), err, answer.store_err, answer.lower_err),
    ):
        store(cx, 64, payload)
        assert codec.load(cx, 64) == value
        numbers = lower(cx, payload)
        assert len(numbers) == codec.slots
        assert codec.lift(0, codec.flat)(cx, numbers) == value
        assert answer.lift(cx, [64] if answer.by_pointer else numbers) == value


def test_where_a_caller_wants_its_result_is_checked() -> None:
    answer = compile_answer(wit.Result(U64, U8))
    assert answer.store_err is not None
    for store in answer.store_ok, answer.store_err:
        store(context(), PAGE - 16, 1)
        for address, message in (PAGE - 8, "out of bounds"), (12, "not aligned"), (2**32 - 8, "out of bounds"):
            with pytest.raises(GuestTrap, match=message):
                store(context(), address, 1)


def test_where_a_guest_put_its_result_is_checked() -> None:
    answer = compile_answer(wit.Tuple((U64, U8)))
    assert answer.lift(context(), [PAGE - 16]) == (0, 0)
    with pytest.raises(GuestTrap, match=r"^pointer out of bounds of memory$"):
        answer.lift(context(), [PAGE - 8])
    with pytest.raises(GuestTrap, match=r"^return pointer not aligned$"):
        answer.lift(context(), [4])


# --- elements of streams ---


def test_bytes_of_a_stream() -> None:
    elements, cx = compile_elements(U8), context()
    assert elements.size == 1
    elements.check(cx, PAGE - 3, 3)
    elements.store(cx, PAGE - 3, memoryview(b"abc"))
    assert elements.load(cx, PAGE - 3, 3) == b"abc"
    with pytest.raises(GuestTrap, match="out of bounds"):
        elements.check(cx, PAGE - 3, 4)
    with pytest.raises(GuestTrap, match="out of bounds"):
        elements.load(cx, PAGE - 3, 4)


@pytest.mark.parametrize(
    ("ty", "values"),
    [
        (U16, [1, 65_535]),
        (BOOL, [True, False]),
        (STRING, ["a", ""]),
        (wit.Tuple((STRING, BYTES)), [("a", b"1"), ("b", b"2")]),
        (wit.Tuple((U8, U64)), [(1, 2), (3, 4)]),
        (wit.Option(STRING), [None, "x"]),
        (OWN, ["file", "socket"]),
    ],
    ids=["u16", "bool", "string", "pairs", "tuple", "option", "own"],
)
def test_values_of_a_stream(ty: wit.WitType, values: list[Any]) -> None:
    elements, cx, codec = compile_elements(ty), context(), compile_linear(ty)
    assert elements.size == codec.size
    end = PAGE - 2 * codec.size
    elements.check(cx, end, 2)
    elements.store(cx, end, values)
    assert elements.load(cx, end, 2) == values
    with pytest.raises(GuestTrap, match="out of bounds"):
        elements.check(cx, end, 3)
    with pytest.raises(GuestTrap, match="out of bounds"):
        elements.check(cx, 0, 2**28 - 1)
    if codec.align > 1:
        with pytest.raises(GuestTrap, match="not aligned"):
            elements.check(cx, 1, 0)


def test_one_read_has_as_many_values_as_a_list() -> None:
    elements = compile_elements(U8), compile_elements(U16)
    assert len(elements[0].load(context(), 0, LIST_COUNT_MAX + 1)) == LIST_COUNT_MAX + 1
    assert len(elements[1].load(context(), 0, LIST_COUNT_MAX)) == LIST_COUNT_MAX
    with pytest.raises(GuestBudgetExhausted):
        elements[1].load(context(), 0, LIST_COUNT_MAX + 1)


def test_a_stream_of_nothing_has_no_memory() -> None:
    elements = compile_elements(None)
    cx = Context(FakeInstance())
    elements.check(cx, TOP32, TOP32)
    elements.store(cx, TOP32, range(TOP32))
    assert elements.size == 0
    assert len(elements.load(cx, TOP32, TOP32)) == TOP32


def test_a_bad_element_leaves_those_before_it_where_they_can_be_dropped() -> None:
    instance = FakeInstance()
    elements, cx = compile_elements(OWN), context(instance=instance)
    elements.store(cx, 0, ["a", "b"])
    struct.pack_into("<I", cx.view, 8, 77)
    with pytest.raises(GuestTrap, match="unknown handle index 77"):
        elements.load(cx, 0, 3)
    assert {entry.rep for entry in instance.table} == {"a", "b"}
