"""Variants, and the slots that their cases share."""

from __future__ import annotations

import math
import struct

import pytest

from edged.errors import GuestTrap
from edged.host.interface import Some
from edged.wasm import types as wit
from edged.wasm.linear.codec import compile_linear
from edged.wasm.linear.context import BETWEEN_GUESTS
from tests.wasm.linear.codecs import (
    BOOL,
    CHAR,
    F32,
    F64,
    S8,
    STRING,
    TOP32,
    U8,
    U16,
    U64,
    context,
    lift,
    load,
    lower,
    stored,
)
from tests.wasm.linear.values import names

CASE_TYPES: dict[str, tuple[wit.WitType, int]] = {
    "enum": (wit.Enum(names(3)), 3),
    "enum-257": (wit.Enum(names(257)), 257),
    "variant": (wit.Variant((("a", U8), ("b", None))), 2),
    "option": (wit.Option(U64), 2),
    "result": (wit.Result(None, STRING), 2),
}


@pytest.mark.parametrize("case", list(CASE_TYPES))
def test_a_case_that_there_is_not_traps(case: str) -> None:
    ty, count = CASE_TYPES[case]
    zeros = (0,) * (compile_linear(ty).slots - 1)
    lift(ty, count - 1, *zeros)
    with pytest.raises(GuestTrap) as trap:
        lift(ty, count, *zeros)
    assert trap.value.message == f"discriminant {count} out of range [0..{count})"
    with pytest.raises(GuestTrap, match=f"discriminant {TOP32} out of range"):
        lift(ty, TOP32, *zeros)
    with pytest.raises(GuestTrap, match="discriminant"):
        load(ty, struct.pack("<Q", count))
    with pytest.raises(GuestTrap, match=r"^wasm trap: invalid variant discriminant$"):
        load(ty, struct.pack("<Q", count), boundary=BETWEEN_GUESTS)


def test_joined_slots_convert() -> None:
    ty = wit.Variant((("f", F32), ("u", U64), ("s", wit.Tuple((S8, BOOL, CHAR)))))
    assert compile_linear(ty).flat == "iIii"
    assert lower(ty, ("f", 1.5)) == [0, 0x3FC0_0000, 0, 0]
    assert lift(ty, 0, 0xDEAD_BEEF_3FC0_0000, 0, 0) == ("f", 1.5), "the upper half is nobody's"
    assert lift(ty, 2, 0xFFFF_FFFF_0000_00FF, 7, 0x61) == ("s", (-1, True, "a"))
    wide = wit.Variant((("b", BOOL), ("c", CHAR), ("o", wit.Option(U8)), ("x", F64)))
    assert lift(wide, 0, 0x1_0000_0000, 0) == ("b", False)
    assert lift(wide, 1, 0x1_0000_0061, 0) == ("c", "a")
    assert lift(wide, 2, 0x1_0000_0001, 5) == ("o", 5)
    assert lift(wide, 3, 0x3FF8_0000_0000_0000, 0) == ("x", 1.5)
    assert math.isnan(lift(wide, 3, 2**64 - 1, 0)[1])


def test_joined_pointers_are_cut_to_32_bits() -> None:
    ty = wit.Variant((("s", STRING), ("l", wit.List(U16)), ("u", wit.Tuple((U64, U64)))))
    cx = context(b"ab", at=256)
    assert lift(ty, 0, 0xFFFF_FFFF_0000_0100, 0x1_0000_0002, cx=cx) == ("s", "ab")
    assert lift(ty, 1, 0xFFFF_FFFF_0000_0100, 0x1_0000_0001, cx=cx) == ("l", [0x6261])


def test_a_case_without_payload_leaves_no_core_value_out() -> None:
    ty = wit.Variant((("a", None), ("b", wit.Tuple((U64, F32)))))
    assert lower(ty, "a") == [0, 0, 0]
    assert lower(ty, ("b", (1, 2.0))) == [1, 1, 2.0]


def test_nested_options_differ() -> None:
    ty = wit.Option(wit.Option(wit.Option(U8)))
    for value in None, Some(None), Some(Some(None)), Some(Some(3)):
        assert lift(ty, *lower(ty, value)) == load(ty, stored(ty, value)) == value
