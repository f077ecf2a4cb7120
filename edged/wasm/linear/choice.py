"""Codecs of what is one of several cases: variants, options, results.

Source: CanonicalABI.md, `load_variant`, `store_variant`, `lift_flat_variant`, `lower_flat_variant`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from edged.errors import GuestTrap
from edged.host.interface import Err, Ok, Some
from edged.wasm.canonical_abi import align_to, join
from edged.wasm.linear.context import Context
from edged.wasm.linear.flat import FLAT_KEPT, Lift, LinearCodec, Load, Lower, Store, bits_of
from edged.wasm.linear.scalar import discriminant_code

Wrap = Callable[[Any], Any]


class Case(NamedTuple):
    """One case of a type.

    Attributes:
        codec: of its payload, if it has one.
        wrap: payload -> value; None: it is the value. Of a case without payload, the value itself.
    """

    codec: LinearCodec | None
    wrap: Any


class Arm(NamedTuple):
    """Ways to write one case, given its payload."""

    store: Store
    lower: Lower


def variant(cases: Sequence[tuple[str, LinearCodec | None]]) -> LinearCodec:
    indexes = {name: index for index, (name, _) in enumerate(cases)}

    def named(name: str) -> Wrap:
        return lambda payload: (name, payload)

    def pick(value: Any) -> tuple[int, Any]:
        if value.__class__ is str:
            return indexes[value], None
        name, payload = value
        return indexes[name], payload

    return choice([Case(codec, name if codec is None else named(name)) for name, codec in cases], pick)


def option(payload: LinearCodec, nested: bool) -> LinearCodec:
    """
    Args:
        nested: the payload is itself an option: `Some` tells its None from ours.
    """

    def pick(value: Any) -> tuple[int, Any]:
        return (0, None) if value is None else (1, value)

    def pick_nested(value: Any) -> tuple[int, Any]:
        return (0, None) if value is None else (1, value.value)

    cases = [Case(None, None), Case(payload, Some if nested else None)]
    return choice(cases, pick_nested if nested else pick)


def result(ok: LinearCodec | None, err: LinearCodec | None) -> LinearCodec:
    def pick(value: Any) -> tuple[int, Any]:
        return (0 if isinstance(value, Ok) else 1), value.value

    return choice(_result_cases(ok, err), pick)


def result_arms(ok: LinearCodec | None, err: LinearCodec | None) -> tuple[Arm, Arm]:
    """The two ways that a function with this result answers."""
    first, second = _Shape(_result_cases(ok, err)).arms()
    return first, second


def _result_cases(ok: LinearCodec | None, err: LinearCodec | None) -> list[Case]:
    return [Case(ok, Ok() if ok is None else Ok), Case(err, Err() if err is None else Err)]


class _Shape:
    """How the cases of one type lie in memory and in slots."""

    def __init__(self, cases: Sequence[Case]) -> None:
        payloads = [case.codec for case in cases if case.codec is not None]
        self.cases = cases
        self.discriminant = struct.Struct(f"<{discriminant_code(len(cases))}")
        align = max((codec.align for codec in payloads), default=1)
        self.offset = align_to(self.discriminant.size, align)
        self.align = max(self.discriminant.size, align)
        self.size = align_to(self.offset + max((codec.size for codec in payloads), default=0), self.align)
        self.slots = 1 + max((codec.slots for codec in payloads), default=0)
        self.flat = ("i" + join([codec.flat for codec in payloads]))[:FLAT_KEPT]

    def arms(self) -> list[Arm]:
        """For each case."""
        return [
            Arm(self._store(index, case.codec), self._lower(index, case.codec)) for index, case in enumerate(self.cases)
        ]

    def _store(self, index: int, codec: LinearCodec | None) -> Store:
        write, size, offset = self.discriminant.pack_into, self.discriminant.size, self.offset
        store_payload = None if codec is None else codec.store

        def store(cx: Context, address: int, payload: Any) -> None:
            try:
                write(cx.view, address, index)
            except struct.error:
                cx.grow(address + size)
                write(cx.view, address, index)
            if store_payload is not None:
                store_payload(cx, address + offset, payload)

        return store

    def _lower(self, index: int, codec: LinearCodec | None) -> Lower:
        """Every case has as many slots; those that it does not need are zero."""
        if codec is None:
            all_of_it = (index, *(0,) * (self.slots - 1))

            def lower_empty(_cx: Context, _payload: Any, out: list[Any]) -> None:
                out += all_of_it

            return lower_empty
        lower_payload = codec.lower
        padding = (0,) * (self.slots - 1 - codec.slots)
        joined = zip(codec.flat, self.flat[1:], strict=False)
        casts = [(at, cast) for at, pair in enumerate(joined) if (cast := bits_of(*pair)) is not None]

        def lower(cx: Context, payload: Any, out: list[Any]) -> None:
            out.append(index)
            start = len(out)
            lower_payload(cx, payload, out)
            for at, cast in casts:
                out[start + at] = cast(out[start + at])
            out += padding

        return lower


def choice(cases: Sequence[Case], pick: Callable[[Any], tuple[int, Any]]) -> LinearCodec:
    """
    Args:
        pick: value -> index of its case, payload.
    """
    shape = _Shape(cases)
    count, offset = len(cases), shape.offset
    read, discriminant_size = shape.discriminant.unpack_from, shape.discriminant.size
    loads: list[tuple[Load | None, Any]] = [(case.codec and case.codec.load, case.wrap) for case in cases]
    arms = shape.arms()
    stores, lowers = [arm.store for arm in arms], [arm.lower for arm in arms]

    def load(cx: Context, address: int) -> Any:
        try:
            index = read(cx.view, address)[0]
        except struct.error:
            cx.grow(address + discriminant_size)
            index = read(cx.view, address)[0]
        if index >= count:
            raise GuestTrap(cx.boundary.discriminant.format(index, count))
        load_payload, wrap = loads[index]
        if load_payload is None:
            return wrap
        payload = load_payload(cx, address + offset)
        return payload if wrap is None else wrap(payload)

    def store(cx: Context, address: int, value: Any) -> None:
        index, payload = pick(value)
        stores[index](cx, address, payload)

    def lower(cx: Context, value: Any, out: list[Any]) -> None:
        index, payload = pick(value)
        lowers[index](cx, payload, out)

    def lift(slot: int, letters: str) -> Lift:
        lifts: list[tuple[Lift | None, Any]] = [
            (case.codec and case.codec.lift(slot + 1, letters[1 : 1 + case.codec.slots]), case.wrap) for case in cases
        ]
        mask = 0xFFFF_FFFF if letters[0] == "I" else -1  # the slot may be joined with one of an i64

        def lift_case(cx: Context, values: Sequence[Any]) -> Any:
            index = values[slot] & mask
            if index >= count:
                raise GuestTrap(cx.boundary.discriminant.format(index, count))
            lift_payload, wrap = lifts[index]
            if lift_payload is None:
                return wrap
            payload = lift_payload(cx, values)
            return payload if wrap is None else wrap(payload)

        return lift_case

    return LinearCodec(
        size=shape.size,
        align=shape.align,
        flat=shape.flat,
        slots=shape.slots,
        load=load,
        store=store,
        lower=lower,
        lift=lift,
        layout=None,
        spread=lower,
        has_borrow=any(case.codec is not None and case.codec.has_borrow for case in cases),
        moves=any(case.codec is not None and case.codec.moves for case in cases),
    )
