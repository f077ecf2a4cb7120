"""Strings and lists: what is behind a pointer and a length that are a guest's to choose."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import Any

import pytest

from edged.errors import GuestBudgetExhausted, GuestTrap
from edged.limits import LIFT_BYTES_MAX, LIFT_VALUE_BYTES, LIST_COUNT_MAX
from edged.wasm import types as wit
from edged.wasm.canonical_abi import Encoding
from edged.wasm.linear.codec import compile_linear
from edged.wasm.linear.context import BETWEEN_GUESTS
from tests.wasm.linear.codecs import (
    BOOL,
    CHAR,
    ENCODINGS,
    STRING,
    TOP32,
    U8,
    U16,
    U32,
    U64,
    context,
    lift,
    lower,
    there_and_back,
)
from tests.wasm.linear.memory import PAGE, FakeMemory
from tests.wasm.linear.values import names

TEXTS = ["", "a", "é", "ÿ", "Ā", "\U0001f600", "a" * 1_000, "nul\0"]


@pytest.mark.parametrize(
    ("text", "encoding", "data", "length"),
    [
        ("aé", "utf8", b"a\xc3\xa9", 3),
        ("aé", "utf16", b"a\0\xe9\0", 2),
        ("aé", "latin1+utf16", b"a\xe9", 2),
        ("aĀ", "latin1+utf16", b"a\0\0\1", 2 | 1 << 31),
        ("\U0001f600", "utf16", b"\x3d\xd8\x00\xde", 2),
        ("", "latin1+utf16", b"", 0),
    ],
)
def test_forms_of_strings(text: str, encoding: Encoding, data: bytes, length: int) -> None:
    memory = FakeMemory()
    cx = memory.context(encoding=encoding)
    start, units = lower(STRING, text, cx)
    assert bytes(cx.view[start : start + len(data)]) == data
    assert units == length
    assert memory.calls == [(1 if encoding == "utf8" else 2, len(data))]


BAD_STRINGS: dict[str, tuple[Encoding, bytes, int]] = {
    "not-utf8": ("utf8", b"\xff", 1),
    "cut-utf8": ("utf8", b"\xc3", 1),
    "overlong-utf8": ("utf8", b"\xc0\x80", 2),
    "surrogate-utf8": ("utf8", b"\xed\xa0\x80", 3),
    "beyond-utf8": ("utf8", b"\xf4\x90\x80\x80", 4),
    "high-alone": ("utf16", b"\x3d\xd8", 1),
    "low-alone": ("utf16", b"\x00\xdea\0", 2),
    "high-alone-tagged": ("latin1+utf16", b"\x3d\xd8", 1 | 1 << 31),
}


@pytest.mark.parametrize("case", list(BAD_STRINGS))
def test_what_is_no_text_traps(case: str) -> None:
    encoding, data, length = BAD_STRINGS[case]
    cx = context(data, at=256, encoding=encoding)
    with pytest.raises(GuestTrap, match=r"^invalid utf-"):
        lift(STRING, 256, length, cx=cx)


@pytest.mark.parametrize("encoding", ["utf16", "latin1+utf16"])
def test_wide_strings_are_aligned(encoding: Encoding) -> None:
    cx = context(encoding=encoding)
    assert lift(STRING, 2, 0, cx=cx) == ""
    for length in (0, 1) if encoding == "utf16" else (0, 1, 1 << 31):
        with pytest.raises(GuestTrap, match=r"^string pointer not aligned to 2$"):
            lift(STRING, 1, length, cx=cx)


@pytest.mark.parametrize(
    ("encoding", "unit", "tag"),
    [("utf8", 1, 0), ("utf16", 2, 0), ("latin1+utf16", 1, 0), ("latin1+utf16", 2, 1 << 31)],
    ids=["utf8", "utf16", "latin1", "tagged"],
)
def test_strings_end_with_the_memory_at_the_latest(encoding: Encoding, unit: int, tag: int) -> None:
    cx = context(encoding=encoding)
    assert lift(STRING, PAGE - 2 * unit, 2 | tag, cx=cx) == "\0\0"
    assert lift(STRING, PAGE, 0 | tag, cx=cx) == ""
    for start, length in (PAGE - unit * 2, 3), (PAGE + 2, 0), (TOP32 - 1, 0), (TOP32 - 1, 2**31 - 1), (0, 2**31 - 1):
        with pytest.raises(GuestTrap, match=r"^string pointer/length out of bounds of memory$"):
            lift(STRING, start, length | tag, cx=cx)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_surrogate_out_of_a_host_is_an_error_of_the_host(encoding: Encoding) -> None:
    with pytest.raises(UnicodeEncodeError):
        lower(STRING, "\ud800", context(encoding=encoding))
    with pytest.raises(ValueError, match="surrogate"):
        lower(CHAR, "\ud800")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_texts_come_back(text: str, encoding: Encoding) -> None:
    there_and_back(compile_linear(wit.Tuple((STRING, wit.Option(STRING)))), (text, text), encoding)


# --- lists ---


LISTS: dict[str, tuple[wit.WitType, int]] = {
    "bytes": (U8, 1),
    "u16": (U16, 2),
    "u64": (U64, 8),
    "options": (wit.Option(U32), 8),
    "pairs": (wit.Tuple((U8, U16)), 4),
    "strings": (STRING, 8),
    "headers": (wit.Tuple((STRING, wit.List(U8))), 16),
}


@pytest.mark.parametrize("case", list(LISTS))
def test_lists_end_with_the_memory_at_the_latest(case: str) -> None:
    element, size = LISTS[case]
    ty, cx = wit.List(element), context()
    assert len(lift(ty, PAGE - 2 * size, 2, cx=cx)) == 2
    assert len(lift(ty, PAGE, 0, cx=cx)) == 0
    overflowing = 2**32 // size  # the product is 0 in 32 bits
    for start, count in (
        (PAGE - size, 2),
        (PAGE + 16, 0),
        (2**32 - 16, 1),
        (2**32 - 16, 17),
        (0, overflowing),
        (0, TOP32),
    ):
        with pytest.raises(GuestTrap, match=r"^list pointer/length out of bounds of memory$"):
            lift(ty, start, count, cx=cx)


@pytest.mark.parametrize("case", ["u16", "u64", "options", "pairs", "strings"])
def test_lists_are_aligned(case: str) -> None:
    with pytest.raises(GuestTrap, match=r"^list pointer is not aligned$"):
        lift(wit.List(LISTS[case][0]), 1, 0)


@pytest.mark.parametrize("element", [U32, BOOL, wit.Tuple((STRING, STRING)), wit.Option(U8), wit.Tuple(())], ids=str)
def test_a_list_has_so_many_values_and_not_one_more(element: wit.WitType) -> None:
    ty = wit.List(element)
    memory = FakeMemory(2 * PAGE)
    assert len(lift(ty, 0, LIST_COUNT_MAX, cx=memory.context())) == LIST_COUNT_MAX
    with pytest.raises(GuestBudgetExhausted, match="a list of 4097 values in one host call, and 4096 are the most"):
        lift(ty, 0, LIST_COUNT_MAX + 1, cx=memory.context())


def test_four_thousand_million_nothings_take_no_time() -> None:
    for element in wit.Tuple(()), wit.Record(()), wit.FixedList(wit.Tuple(()), 5):
        with pytest.raises(GuestBudgetExhausted, match=f"a list of {TOP32} values"):
            lift(wit.List(element), 0, TOP32)
    assert lift(wit.List(wit.Tuple(())), 0, 3) == [(), (), ()]


def test_lists_that_overlap_are_charged_each_time() -> None:
    """A guest may point to the same values any number of times: its memory does not bound what it says."""
    ty = wit.List(wit.List(U8))
    count, length = 256, LIFT_BYTES_MAX // 256 - LIFT_VALUE_BYTES
    memory = FakeMemory()
    memory.room = bytearray(2 * length)
    memory.size = 2 * length
    memory.room[: 8 * count] = struct.pack("<II", 0, length) * count
    cx = memory.context()
    assert len(lift(ty, 0, count, cx=cx)) == count
    assert cx.left == 0
    with pytest.raises(GuestBudgetExhausted, match="handed over more than"):
        lift(wit.List(U8), 0, 1, cx=cx)


def test_so_many_values_of_lists_in_one_call_and_not_one_more() -> None:
    lists = LIFT_BYTES_MAX // LIFT_VALUE_BYTES // LIST_COUNT_MAX
    rows = wit.List(wit.List(BOOL))
    memory = FakeMemory()
    memory.room[: 8 * lists] = struct.pack("<II", 0, LIST_COUNT_MAX - 1) * lists
    cx = memory.context()
    assert len(lift(rows, 0, lists, cx=cx)) == lists
    assert cx.left == 0
    with pytest.raises(GuestBudgetExhausted):
        lift(wit.List(BOOL), 0, 1, cx=cx)


@pytest.mark.parametrize(("width", "price"), [(16, 1), (17, 2), (160, 10)])
def test_a_wide_value_is_charged_for_all_that_it_has(width: int, price: int) -> None:
    ty = wit.List(wit.Record(tuple((name, U8) for name in names(width))))
    cx = context()
    lift(ty, 0, 3, cx=cx)
    assert cx.left == LIFT_BYTES_MAX - 3 * price * LIFT_VALUE_BYTES


@pytest.mark.parametrize("element", [U8, U16, wit.Option(U8)], ids=["bytes", "numbers", "options"])
def test_a_list_of_fixed_length_is_charged_too(element: wit.WitType) -> None:
    cx = context()
    compile_linear(wit.FixedList(element, LIST_COUNT_MAX)).load(cx, 0)
    assert cx.left < LIFT_BYTES_MAX
    if element == U8:
        compile_linear(wit.FixedList(element, LIST_COUNT_MAX + 1)).load(cx, 0)
    else:
        with pytest.raises(GuestBudgetExhausted):
            compile_linear(wit.FixedList(element, LIST_COUNT_MAX + 1)).load(cx, 0)


def test_lists_of_fixed_length_in_lists_of_fixed_length_are_compiled_in_no_time() -> None:
    ty: wit.WitType = U8
    for _ in range(7):
        ty = wit.FixedList(ty, 16)
    assert compile_linear(ty).size == 16**7


def test_guests_give_each_other_longer_lists_than_their_host() -> None:
    most = LIFT_BYTES_MAX // LIFT_VALUE_BYTES
    memory = FakeMemory(2 * PAGE)
    assert len(lift(wit.List(BOOL), 0, most, cx=memory.context(boundary=BETWEEN_GUESTS))) == most
    with pytest.raises(GuestBudgetExhausted):
        lift(wit.List(BOOL), 0, most + 1, cx=memory.context(boundary=BETWEEN_GUESTS))


def test_an_empty_list_or_string_asks_for_memory_too() -> None:
    memory = FakeMemory(start=1_024)
    cx = memory.context()
    for ty, value in (STRING, ""), (wit.List(U8), b""), (wit.List(U64), []):
        lower(ty, value, cx)
    assert memory.calls == [(1, 0), (1, 0), (8, 0)]


def test_a_value_is_written_where_the_memory_has_grown_to() -> None:
    memory = FakeMemory(start=PAGE - 4)
    cx = memory.context()
    strings = ["x" * 50_000] * 3
    ty = wit.List(STRING)
    assert lift(ty, *lower(ty, strings, cx), cx=cx) == strings
    assert memory.size > 2 * PAGE


@pytest.mark.parametrize(
    "data", [bytearray(b"abc"), memoryview(b"abc"), [97, 98, 99]], ids=["bytearray", "view", "list"]
)
def test_whatever_is_like_bytes_is_written_as_bytes(data: Any) -> None:
    cx = context()
    assert lift(wit.List(U8), *lower(wit.List(U8), data, cx), cx=cx) == b"abc"


# --- the collector ---

CYCLES = """
import gc
import struct
from edged.errors import GuestTrap
from edged.wasm import types as wit
from tests.wasm.linear.codecs import STRING, U8, context, lift

for element in STRING, wit.Tuple((STRING, wit.List(U8))), wit.Tuple((STRING, U8)):
    for _ in range(60):
        try:
            lift(wit.List(element), 0, 9, cx=context(struct.pack("<II", 2**31, 1) * 20))
        except GuestTrap as trap:
            trap.itself = trap
    gc.collect()
"""


def test_a_trap_in_the_middle_of_a_list_can_be_collected() -> None:
    """CPython's collector has crashed on an iterator over a view in a cycle: so in a process of its own."""
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", CYCLES], capture_output=True, text=True, check=False, timeout=60
    )
    assert (child.returncode, child.stderr) == (0, "")
