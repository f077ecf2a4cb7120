"""Codecs of what lies behind a pointer and a length: strings and lists.

Source: CanonicalABI.md, `load_string`, `load_list`, `store_string`, `store_list`. Its MAX_STRING_BYTE_LENGTH and
MAX_LIST_BYTE_LENGTH, 256 MiB, are above LIFT_BYTES_MAX, which is what a guest meets here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from edged.errors import GuestBudgetExhausted, GuestTrap
from edged.limits import LIFT_VALUE_BYTES
from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.linear.context import LIST, STRING, Context
from edged.wasm.linear.flat import NATURAL, Get, Lift, LinearCodec, Put

_PAIR = struct.Struct("<II")
_read_pair, _write_pair = _PAIR.unpack_from, _PAIR.pack_into
_UTF16_TAG = 1 << 31
"""In a length of `latin1+utf16`: the string is UTF-16."""


def span(get: Get, put: Put) -> LinearCodec:
    """A codec of a pointer and a length.

    Args:
        get: `(context, address, length)` -> value. Both are u32, and nobody has checked them.
        put: `(context, value)` -> address and length of a copy in memory that the guest allocates.
    """

    def load(cx: Context, address: int) -> Any:
        try:
            start, length = _read_pair(cx.view, address)
        except struct.error:
            cx.grow(address + 8)
            start, length = _read_pair(cx.view, address)
        return get(cx, start, length)

    def store(cx: Context, address: int, value: Any) -> None:
        start, length = put(cx, value)
        try:
            _write_pair(cx.view, address, start, length)
        except struct.error:
            cx.grow(address + 8)
            _write_pair(cx.view, address, start, length)

    def lower(cx: Context, value: Any, out: list[Any]) -> None:
        out += put(cx, value)

    def lift(slot: int, letters: str) -> Lift:
        second = slot + 1
        if letters in ("ii", NATURAL * 2):
            return lambda cx, values: get(cx, values[slot], values[second])
        return lambda cx, values: get(cx, values[slot] & 0xFFFF_FFFF, values[second] & 0xFFFF_FFFF)

    return LinearCodec(
        size=8,
        align=4,
        flat="ii",
        slots=2,
        load=load,
        store=store,
        lower=lower,
        lift=lift,
        layout="II",
        spread=lower,
        spans=((get, put),),
    )


# --- strings ---


def string() -> LinearCodec:
    return span(get_string, put_string)


def get_string(cx: Context, start: int, length: int) -> str:
    if cx.encoding != "utf8":
        return _get_wide_string(cx, start, length)
    end = start + length
    if end > cx.size:
        cx.grow(end, STRING)
    cx.left -= length
    if cx.left < 0:
        cx.overspent()
    try:
        return cx.view[start:end].tobytes().decode()
    except UnicodeDecodeError:
        raise GuestTrap(cx.boundary.utf8) from None


def _get_wide_string(cx: Context, start: int, length: int) -> str:
    is_latin1 = cx.encoding != "utf16" and not length & _UTF16_TAG
    if cx.encoding != "utf16":
        length &= ~_UTF16_TAG
    end = start + (length if is_latin1 else 2 * length)
    if start & 1:
        raise GuestTrap(cx.boundary.unaligned[STRING])
    if end > cx.size:
        cx.grow(end, STRING)
    cx.left -= end - start
    if cx.left < 0:
        cx.overspent()
    data = cx.view[start:end].tobytes()
    try:
        return data.decode("latin-1" if is_latin1 else "utf-16-le")
    except UnicodeDecodeError:
        raise GuestTrap(cx.boundary.utf16) from None


def put_string(cx: Context, value: str) -> tuple[int, int]:
    if cx.encoding == "utf8":
        data = value.encode()
        size = len(data)
        start = cx.alloc(1, size, STRING)
        cx.view[start : start + size] = data
        return start, size
    tag = 0
    if cx.encoding == "utf16":
        data, unit = value.encode("utf-16-le"), 2
    else:
        try:
            data, unit = value.encode("latin-1"), 1
        except UnicodeEncodeError:
            data, unit, tag = value.encode("utf-16-le"), 2, _UTF16_TAG
    size = len(data)
    start = cx.alloc(2, size, STRING)
    cx.view[start : start + size] = data
    return start, size // unit | tag


# --- lists ---


def byte_list() -> LinearCodec:
    """`list<u8>`: one slice out, one slice in."""
    return span(get_bytes, put_bytes)


def get_bytes(cx: Context, start: int, length: int) -> bytes:
    end = start + length
    if end > cx.size:
        cx.grow(end, LIST)
    cx.left -= length
    if cx.left < 0:
        cx.overspent()
    return cx.view[start:end].tobytes()


def put_bytes(cx: Context, value: Any) -> tuple[int, int]:
    size = len(value)
    start = cx.alloc(1, size, LIST)
    cx.view[start : start + size] = bytes(value) if value.__class__ in (list, tuple) else value
    return start, size


def getter(element: LinearCodec) -> Get:
    """A reader of so many elements at an address, as a list."""
    size, mask, read = element.size, element.align - 1, _reader(element)
    cost = LIFT_VALUE_BYTES * -(-max(1, element.slots) // PARAMS_FLAT_MAX)

    def get(cx: Context, start: int, length: int) -> list[Any]:
        end = start + size * length
        if end > cx.size:
            cx.grow(end, LIST)
        if start & mask:
            raise GuestTrap(cx.boundary.unaligned[LIST])
        if length > cx.boundary.list_count_max:
            most = cx.boundary.list_count_max
            raise GuestBudgetExhausted(f"a list of {length} values in one host call, and {most} are the most")
        cx.left -= cost * length
        if cx.left < 0:
            cx.overspent()
        return read(cx, start, length)

    return get


def _reader(element: LinearCodec) -> Callable[[Context, int, int], list[Any]]:
    """Reads elements that are there. Those that have a layout are unpacked together.

    From a copy: an iterator over a view, kept by the frame of an exception that is part of a cycle, crashes CPython's
    garbage collector (3.11 and 3.12, gh-77894).
    """
    size, load, layout = element.size, element.load, element.layout
    if not layout:
        return lambda cx, start, length: [load(cx, start + size * index) for index in range(length)]
    if element.is_number:
        return lambda cx, start, length: list(struct.unpack_from(f"<{length}{layout}", cx.view, start))
    unpack = struct.Struct(f"<{layout}").iter_unpack
    match element.spans:
        case ((get, _),):
            return lambda cx, start, length: [
                get(cx, address, count) for address, count in unpack(cx.view[start : start + size * length].tobytes())
            ]
        case (first, _), (second, _):
            return lambda cx, start, length: [
                (first(cx, one, one_count), second(cx, other, other_count))
                for one, one_count, other, other_count in unpack(cx.view[start : start + size * length].tobytes())
            ]
    make = element.lift(0, NATURAL * element.slots)
    return lambda cx, start, length: [make(cx, raw) for raw in unpack(cx.view[start : start + size * length].tobytes())]


def setter(element: LinearCodec) -> Callable[[Context, int, Any], None]:
    """A writer of a sequence of elements at an address, where there is room for them."""
    size, store, spread = element.size, element.store, element.spread

    def put(cx: Context, start: int, values: Any) -> None:
        for value in values:
            store(cx, start, value)
            start += size

    if not element.layout:
        return put
    pack = struct.Struct(f"<{element.layout}").pack_into

    def put_laid_out(cx: Context, start: int, values: Any) -> None:
        for value in values:
            out: list[Any] = []
            spread(cx, value, out)
            pack(cx.view, start, *out)
            start += size

    def put_numbers(cx: Context, start: int, values: Any) -> None:
        struct.pack_into(f"<{len(values)}{element.layout}", cx.view, start, *values)

    def put_spans(cx: Context, start: int, values: Any) -> None:
        for value in values:
            address, length = put_only(cx, value)  # the guest runs: the view may be another
            pack(cx.view, start, address, length)
            start += size

    def put_pairs(cx: Context, start: int, values: Any) -> None:
        for first, second in values:
            one, other = put_first(cx, first), put_second(cx, second)
            pack(cx.view, start, *one, *other)
            start += size

    match element.spans:
        case ((_, put_only),):
            return put_spans
        case (_, put_first), (_, put_second):
            return put_pairs
    return put_numbers if element.is_number else put_laid_out


def value_list(element: LinearCodec) -> LinearCodec:
    """Any other list."""
    size, align, fill = element.size, element.align, setter(element)

    def put(cx: Context, values: Any) -> tuple[int, int]:
        length = len(values)
        start = cx.alloc(align, size * length, LIST)
        fill(cx, start, values)
        return start, length

    return span(getter(element), put)._replace(has_borrow=element.has_borrow, moves=element.moves)
