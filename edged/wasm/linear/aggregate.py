"""Codecs of what has several values side by side: records, tuples, lists of fixed length.

Where every field has a layout, all are read with one `struct` call: a call of a closure for each costs more.

Source: CanonicalABI.md, "Alignment", "Element Size", `load_record`, `store_record`.
"""

from __future__ import annotations

import struct
from typing import Any

from edged.wasm.canonical_abi import PARAMS_FLAT_MAX, align_to
from edged.wasm.linear.context import Context
from edged.wasm.linear.flat import FLAT_KEPT, NATURAL, Lift, LinearCodec
from edged.wasm.linear.span import get_bytes, getter


def group(fields: list[LinearCodec]) -> LinearCodec:
    """A record or tuple: its values as a tuple."""
    size, align, offsets, layout = _lay_out(fields)
    flat = "".join(field.flat for field in fields)[:FLAT_KEPT]
    slots = sum(field.slots for field in fields)
    loads = [(offset, field.load) for offset, field in zip(offsets, fields, strict=True)]
    stores = [(offset, field.store) for offset, field in zip(offsets, fields, strict=True)]
    lowers = [field.lower for field in fields]
    spreads = [field.spread for field in fields]
    plain = all(field.is_number for field in fields)
    spans = tuple(span for field in fields for span in field.spans)
    count = len(fields)

    def load(cx: Context, address: int) -> tuple[Any, ...]:
        return tuple([load_field(cx, address + offset) for offset, load_field in loads])

    def store(cx: Context, address: int, value: Any) -> None:
        for (offset, store_field), item in zip(stores, value, strict=True):
            store_field(cx, address + offset, item)

    def lower(cx: Context, value: Any, out: list[Any]) -> None:
        for lower_field, item in zip(lowers, value, strict=True):
            lower_field(cx, item, out)

    def spread(cx: Context, value: Any, out: list[Any]) -> None:
        for spread_field, item in zip(spreads, value, strict=True):
            spread_field(cx, item, out)

    def spread_plain(_cx: Context, value: Any, out: list[Any]) -> None:
        if len(value) != count:
            raise ValueError(f"{len(value)} values, and there are {count} fields")
        out += value

    def lift(slot: int, letters: str) -> Lift:
        if plain and letters == NATURAL * slots:
            end = slot + slots
            return lambda _cx, values: tuple(values[slot:end])
        lifts: list[Lift] = []
        start = 0
        for field in fields:
            lifts.append(field.lift(slot + start, letters[start : start + field.slots]))
            start += field.slots
        if len(lifts) == 2:
            first, second = lifts
            return lambda cx, values: (first(cx, values), second(cx, values))
        return lambda cx, values: tuple([lift_field(cx, values) for lift_field in lifts])

    codec = LinearCodec(
        size=size,
        align=align,
        flat=flat,
        slots=slots,
        load=load,
        store=store,
        lower=lower,
        lift=lift,
        layout=layout,
        spread=spread_plain if plain else spread,
        spans=spans if 1 < count == len(spans) and all(len(field.spans) == 1 for field in fields) else (),
        has_borrow=any(field.has_borrow for field in fields),
        moves=any(field.moves for field in fields),
    )
    return codec if layout is None else _at_once(codec, layout)


def _lay_out(fields: list[LinearCodec]) -> tuple[int, int, list[int], str | None]:
    """Size, alignment, where each field is, and how `struct` reads all of them."""
    offsets, parts = [], []
    end, align = 0, 1
    for field in fields:
        start = align_to(end, field.align)
        parts.append("x" * (start - end) + (field.layout or ""))
        offsets.append(start)
        end, align = start + field.size, max(align, field.align)
    size = align_to(end, align)
    parts.append("x" * (size - end))
    known = all(field.layout is not None for field in fields)
    return size, align, offsets, "".join(parts) if known else None


def _at_once(codec: LinearCodec, layout: str) -> LinearCodec:
    whole = struct.Struct(f"<{layout}")
    assert whole.size == codec.size
    size, unpack, pack, spread = codec.size, whole.unpack_from, whole.pack_into, codec.spread
    make = codec.lift(0, NATURAL * codec.slots)

    def load(cx: Context, address: int) -> Any:
        try:
            raw = unpack(cx.view, address)
        except struct.error:
            cx.grow(address + size)
            raw = unpack(cx.view, address)
        return make(cx, raw)

    def store(cx: Context, address: int, value: Any) -> None:
        out: list[Any] = []
        spread(cx, value, out)
        try:
            pack(cx.view, address, *out)
        except struct.error:  # too short a view, or a value that does not fit
            cx.grow(address + size)
            pack(cx.view, address, *out)

    return codec._replace(load=load, store=store)


def fixed_list(element: LinearCodec, length: int, is_bytes: bool) -> LinearCodec:
    """A list whose length is part of its type: a list, or bytes of `u8`."""
    if max(1, element.slots) * length > PARAMS_FLAT_MAX:
        return _looped(element, length, is_bytes)
    return _finished(group([element] * length), bytes if is_bytes else list)


def _finished(codec: LinearCodec, finish: Any) -> LinearCodec:
    load, lift = codec.load, codec.lift

    def lift_finished(slot: int, letters: str) -> Lift:
        lift_tuple = lift(slot, letters)
        return lambda cx, values: finish(lift_tuple(cx, values))

    return codec._replace(load=lambda cx, address: finish(load(cx, address)), lift=lift_finished)


def _looped(element: LinearCodec, length: int, is_bytes: bool) -> LinearCodec:
    """One of so many elements that it is never passed in core values, so that these are never asked for."""
    size, element_size, store_element = element.size * length, element.size, element.store
    get = get_bytes if is_bytes else getter(element)

    def load(cx: Context, address: int) -> Any:
        return get(cx, address, length)

    def store(cx: Context, address: int, value: Any) -> None:
        if len(value) != length:
            raise ValueError(f"{len(value)} values, and there are {length}")
        for item in value:
            store_element(cx, address, item)
            address += element_size

    def flat_refused(*_arguments: Any) -> Any:
        raise AssertionError("more values than are ever passed flat")

    return LinearCodec(
        size=size,
        align=element.align,
        flat=(element.flat * FLAT_KEPT)[:FLAT_KEPT],
        slots=element.slots * length,
        load=load,
        store=store,
        lower=flat_refused,
        lift=flat_refused,
        layout=None,
        spread=flat_refused,
        has_borrow=element.has_borrow,
        moves=element.moves,
    )
