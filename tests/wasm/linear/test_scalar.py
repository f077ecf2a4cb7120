"""Numbers, and what they stand for."""

from __future__ import annotations

import math
import struct

import pytest

from edged.errors import GuestTrap
from edged.wasm import types as wit
from edged.wasm.linear.codec import compile_linear
from edged.wasm.linear.context import BETWEEN_GUESTS
from tests.wasm.linear.codecs import (
    BOOL,
    CHAR,
    F32,
    F64,
    S8,
    S32,
    S64,
    TOP32,
    U8,
    U16,
    U32,
    U64,
    lift,
    load,
    lower,
    stored,
)
from tests.wasm.linear.values import P, integer_range, names

NAN32, NAN64 = 0x7FC0_0000, 0x7FF8_0000_0000_0000


@pytest.mark.parametrize("ty", [U8, S8, U16, P("S16"), U32, S32, U64, S64], ids=lambda ty: ty.kind)
def test_integers_at_their_ends_and_one_over(ty: wit.Primitive) -> None:
    low, high = integer_range(ty.kind)
    mask = 2**64 - 1 if ty.kind[1:] == "64" else TOP32
    for value in low, high:
        assert lower(ty, value) == [value & mask]
        assert lift(ty, value & mask) == value
        assert load(ty, stored(ty, value)) == value
    for value in (low - 1, high + 1, "1", 1.5, None):
        with pytest.raises((ValueError, TypeError)):
            lower(ty, value)
        with pytest.raises(struct.error):
            stored(ty, value)


def test_what_does_not_fit_a_small_integer_is_cut_off() -> None:
    assert lift(U8, 0xFFFF_FF01) == 1
    assert lift(S8, 0xFF) == lift(S8, TOP32) == -1
    assert lift(S8, 0x17F) == 127
    assert lift(U16, 0xFFFF_0000) == 0
    assert lift(P("S16"), 0x18000) == -(2**15)


def test_any_number_but_zero_is_true() -> None:
    assert [lift(BOOL, number) for number in (0, 1, 2, TOP32)] == [False, True, True, True]
    assert [load(BOOL, bytes([byte])) for byte in (0, 1, 255)] == [False, True, True]
    assert lower(BOOL, "anything") == [1]


@pytest.mark.parametrize(
    ("ty", "bits", "code", "canonical"),
    [
        (F32, [0x7F80_0001, 0xFFC0_0000, 0xFFFF_FFFF], "I", NAN32),
        (F64, [0x7FF0_0000_0000_0001, 0xFFF8_0000_0000_0000, 2**64 - 1], "Q", NAN64),
    ],
    ids=["f32", "f64"],
)
def test_a_nan_has_no_payload(ty: wit.WitType, bits: list[int], code: str, canonical: int) -> None:
    floating = {"I": "f", "Q": "d"}[code]
    for pattern in bits:
        data = struct.pack(f"<{code}", pattern)
        value = load(ty, data)
        assert struct.pack(f"<{floating}", value) == struct.pack(f"<{code}", canonical)
        (number,) = lower(ty, struct.unpack(f"<{floating}", data)[0])
        assert struct.pack(f"<{floating}", number) == struct.pack(f"<{code}", canonical)
        assert stored(ty, -math.nan) == struct.pack(f"<{code}", canonical)
        (element,) = load(wit.List(ty), struct.pack("<II", 8, 1) + data)
        assert struct.pack(f"<{floating}", element) == struct.pack(f"<{code}", canonical)


def test_an_f32_holds_no_larger_number() -> None:
    assert lower(F32, 3.4028234663852886e38) == [3.4028234663852886e38]
    for write in (lower, stored):
        with pytest.raises(OverflowError):
            write(F32, 3.5e38)


@pytest.mark.parametrize("number", [0, 0xD7FF, 0xE000, 0x10FFFF])
def test_chars(number: int) -> None:
    assert lift(CHAR, number) == load(CHAR, struct.pack("<I", number)) == chr(number)
    assert lower(CHAR, chr(number)) == [number]


@pytest.mark.parametrize("number", [0xD800, 0xDFFF, 0x11_0000, TOP32])
def test_what_is_no_char_traps(number: int) -> None:
    with pytest.raises(GuestTrap, match=r"^converted integer out of range for `char`$"):
        lift(CHAR, number)
    with pytest.raises(GuestTrap, match=r"^wasm trap: invalid `char` bit pattern$"):
        load(CHAR, struct.pack("<I", number), boundary=BETWEEN_GUESTS)


def test_flags_without_a_name_are_left_out() -> None:
    ty = wit.Flags(names(9))
    assert lift(ty, 0xFFFF_FE11) == load(ty, b"\x11\xfe") == {"n0", "n4"}
    assert lower(ty, ["n8", "n8"]) == [256]
    with pytest.raises(KeyError):
        lower(ty, {"n9"})


def test_a_type_has_so_many_flags_and_not_one_more() -> None:
    assert lift(wit.Flags(names(32)), TOP32) == frozenset(names(32))
    with pytest.raises(AssertionError):
        compile_linear(wit.Flags(names(33)))
