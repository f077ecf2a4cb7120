"""Codecs of values of one core value: numbers, `bool`, and what a number stands for: `char`, enums, flags, handles.

Source: CanonicalABI.md, "Loading", "Storing", "Flat Lifting", "Flat Lowering".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from edged.errors import GuestTrap
from edged.wasm.linear.context import Context
from edged.wasm.linear.flat import NATURAL, Lift, LinearCodec, convert
from edged.wasm.types import NUMBER_FORMATS

Decode = Callable[[Context, Any], Any]
Encode = Callable[[Context, Any], Any]

FLAGS_COUNT_MAX = 32
"""Of one type; validation refuses more."""


def scalar(
    code: str,
    letter: str,
    from_core: Callable[[Any], Any] | None = None,
    to_core: Callable[[Any], Any] | None = None,
) -> LinearCodec:
    """A codec of a number.

    Args:
        code: of `struct`: the number in memory.
        letter: the core value's.
        from_core: core value, as it came -> number. None: it is the number.
        to_core: number -> core value; raises for a number that does not fit `code`. None: it is the core value.
    """
    layout = struct.Struct(f"<{code}")
    size, read, write = layout.size, layout.unpack_from, layout.pack_into

    def load(cx: Context, address: int) -> Any:
        try:
            return read(cx.view, address)[0]
        except struct.error:
            cx.grow(address + size)
            return read(cx.view, address)[0]

    def store(cx: Context, address: int, value: Any) -> None:
        try:
            write(cx.view, address, value)
        except struct.error:  # too short a view, or a value that does not fit
            cx.grow(address + size)
            write(cx.view, address, value)

    def spread(_cx: Context, value: Any, out: list[Any]) -> None:
        out.append(value)

    def lower(_cx: Context, value: Any, out: list[Any]) -> None:
        out.append(to_core(value) if to_core is not None else value)

    def lift(slot: int, letters: str) -> Lift:
        steps = [convert(letter, letters), None if letters == NATURAL else from_core]
        match [step for step in steps if step is not None]:
            case [first, second]:
                return lambda _cx, values: second(first(values[slot]))
            case [only]:
                return lambda _cx, values: only(values[slot])
        return lambda _cx, values: values[slot]

    return LinearCodec(size, size, letter, 1, load, store, lower, lift, layout=code, spread=spread, is_number=True)


def mapped(base: LinearCodec, decode: Decode, encode: Encode) -> LinearCodec:
    """A codec of a value that a number stands for.

    Args:
        base: a `scalar` without `from_core`.
        decode: number -> value.
        encode: value -> number.
    """

    def load(cx: Context, address: int) -> Any:
        return decode(cx, base_load(cx, address))

    def store(cx: Context, address: int, value: Any) -> None:
        base_store(cx, address, encode(cx, value))

    def lower(cx: Context, value: Any, out: list[Any]) -> None:
        base_lower(cx, encode(cx, value), out)

    def spread(cx: Context, value: Any, out: list[Any]) -> None:
        out.append(encode(cx, value))

    def lift(slot: int, letters: str) -> Lift:
        if letters in (NATURAL, base.flat):
            return lambda cx, values: decode(cx, values[slot])
        lift_number = base.lift(slot, letters)
        return lambda cx, values: decode(cx, lift_number(cx, values))

    base_load, base_store, base_lower = base.load, base.store, base.lower
    return base._replace(load=load, store=store, lower=lower, lift=lift, spread=spread, is_number=False)


def number(kind: str) -> LinearCodec:
    """`bool`, integers and floats, by their kind in `edged.wasm.types.Primitive`."""
    code = NUMBER_FORMATS[kind]
    match kind:
        case "BOOL":
            return scalar(code, "i", bool, _bit)
        case "F32":
            return mapped(scalar(code, "f", to_core=_f32), _canonical, _canonical)
        case "F64":
            return mapped(scalar(code, "F", to_core=float), _canonical, _canonical)
    return _integer(code, int(kind[1:]), signed=kind[0] == "S")


def _bit(value: Any) -> int:
    return 1 if value else 0


def _canonical(_cx: Context, value: float) -> float:
    """A NaN has no payload and no sign."""
    return value if value == value else math.nan  # noqa: PLR0124 # the test for a NaN


def _f32(value: float) -> float:
    """Nothing that an f32 cannot hold, as `struct` has it; it is rounded when it is packed."""
    struct.pack("<f", value)
    return float(value)


def _integer(code: str, bits: int, signed: bool) -> LinearCodec:
    letter, core_bits = ("I", 64) if bits == 64 else ("i", 32)
    half = 1 << (bits - 1)
    low, high = (-half, half - 1) if signed else (0, 2 * half - 1)
    mask, core_mask = 2 * half - 1, (1 << core_bits) - 1

    def to_core(value: int) -> int:
        if low <= value <= high:
            return value & core_mask
        raise ValueError(f"{value} does not fit {bits} bits")

    def from_core_signed(value: int) -> int:
        return ((value & mask) ^ half) - half

    if signed:
        return scalar(code, letter, from_core_signed, to_core)
    return scalar(code, letter, None if bits == core_bits else mask.__and__, to_core)


def char() -> LinearCodec:
    def decode(cx: Context, value: int) -> str:
        if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
            raise GuestTrap(cx.boundary.char)
        return chr(value)

    def encode(_cx: Context, value: str) -> int:
        point = ord(value)
        if 0xD800 <= point <= 0xDFFF:
            raise ValueError("a surrogate is not a char")
        return point

    return mapped(scalar("I", "i"), decode, encode)


def discriminant_code(count: int) -> str:
    """How `struct` reads the number of one of so many cases."""
    assert 0 < count < 1 << 32, count
    return "B" if count <= 1 << 8 else "H" if count <= 1 << 16 else "I"


def enum(names: tuple[str, ...]) -> LinearCodec:
    numbers = {name: index for index, name in enumerate(names)}
    count = len(names)

    def decode(cx: Context, value: int) -> str:
        if value >= count:
            raise GuestTrap(cx.boundary.discriminant.format(value, count))
        return names[value]

    def encode(_cx: Context, value: str) -> int:
        return numbers[value]

    return mapped(scalar(discriminant_code(count), "i"), decode, encode)


def flags(names: tuple[str, ...]) -> LinearCodec:
    """Bits without a name are left out."""
    count = len(names)
    assert 0 < count <= FLAGS_COUNT_MAX, count
    bits = {name: 1 << index for index, name in enumerate(names)}
    pairs = tuple(bits.items())

    def decode(_cx: Context, value: int) -> frozenset[str]:
        return frozenset([name for name, bit in pairs if value & bit])

    def encode(_cx: Context, value: frozenset[str]) -> int:
        return sum({bits[name] for name in value})

    return mapped(scalar("B" if count <= 8 else "H" if count <= 16 else "I", "i"), decode, encode)


def index() -> LinearCodec:
    """A u32 that is one already: an index into a handle table."""
    return scalar("I", "i")
