"""Core values ("flat") of values of the component model: what a codec is, and how variants share slots.

A slot of a variant may carry an f32 in one case and an i32 or i64 in another: `join` says what carries both, `reader`
and `bits_of` convert.

Source: CanonicalABI.md, "Flattening".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.linear.context import Context

NATURAL = "="
"""In place of a core value's letter: the slot holds what was unpacked from memory by `LinearCodec.layout`."""

Load = Callable[[Context, int], Any]
Store = Callable[[Context, int, Any], None]
Lower = Callable[[Context, Any, "list[Any]"], None]
Lift = Callable[[Context, "Sequence[Any]"], Any]
Get = Callable[[Context, int, int], Any]
Put = Callable[[Context, Any], tuple[int, int]]


class LinearCodec(NamedTuple):
    """Of one type.

    Attributes:
        size, align: in memory, bytes.
        flat: letters of its core values, of the first FLAT_KEPT: nothing longer is ever passed in them.
        slots: number of its core values.
        load: the value at an address, which is aligned.
        store: write a value at an address, which is aligned.
        lower: append its core values: integers unsigned, floats as they are.
        lift: `lift(slot, letters)`: a reader of the value whose first core value is at `slot` of a sequence. `letters`
            are those that are there: `flat`, or where variants join slots, wider ones; or all NATURAL.
        layout: how `struct` reads it, with a field for each slot; None where what is there depends on the value.
        spread: append what `layout` packs; only where there is one.
        is_number: what `layout` unpacks is the value.
        spans: for each pointer and length, where there is nothing else: what reads and writes what they point to.
        has_borrow: there may be a borrow in it: `Context.scope` is asked for.
        moves: lifting it may take something out of the guest's table.
    """

    size: int
    align: int
    flat: str
    slots: int
    load: Load
    store: Store
    lower: Lower
    lift: Callable[[int, str], Lift]
    layout: str | None
    spread: Lower
    is_number: bool = False
    spans: tuple[tuple[Get, Put], ...] = ()
    has_borrow: bool = False
    moves: bool = False


FLAT_KEPT = PARAMS_FLAT_MAX + 1


_F32, _F64, _U32, _U64 = (struct.Struct(f"<{code}") for code in "fdIQ")


def _f32_of(bits: int) -> float:
    return _F32.unpack(_U32.pack(bits & 0xFFFF_FFFF))[0]  # type: ignore[no-any-return]


def _f64_of(bits: int) -> float:
    return _F64.unpack(_U64.pack(bits))[0]  # type: ignore[no-any-return]


def _f32_bits(value: float) -> int:
    return _U32.unpack(_F32.pack(value))[0]  # type: ignore[no-any-return]


def _f64_bits(value: float) -> int:
    return _U64.unpack(_F64.pack(value))[0]  # type: ignore[no-any-return]


def convert(letter: str, have: str) -> Callable[[Any], Any] | None:
    """What makes a core value out of one that a joined slot holds; None: it is that already."""
    match letter, have:
        case "i", "I":
            return 0xFFFF_FFFF.__and__
        case "f", ("i" | "I"):
            return _f32_of
        case "F", "I":
            return _f64_of
    assert have in (letter, NATURAL), (letter, have)
    return None


def bits_of(letter: str, have: str) -> Callable[[Any], Any] | None:
    """What makes the number that a joined slot holds out of a core value; None: it is that already."""
    if letter == have:
        return None
    return {"f": _f32_bits, "F": _f64_bits}.get(letter)
