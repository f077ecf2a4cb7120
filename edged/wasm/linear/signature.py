"""Codecs of whole functions: parameters and results, flat where they are few, in memory where they are many.

These are what values of a guest are lifted with, so they begin its budget anew (`Context.left`).

Source: CanonicalABI.md, "Flattening" and "Lifting and Lowering Values".
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from edged.limits import CODECS_KEPT_MAX, LIFT_BYTES_MAX
from edged.wasm import types as wit
from edged.wasm.canonical_abi import RESULTS_FLAT_MAX
from edged.wasm.linear import choice, span
from edged.wasm.linear.aggregate import group
from edged.wasm.linear.codec import compile_linear, compile_maybe
from edged.wasm.linear.context import LIST, RESULT, Context
from edged.wasm.linear.flat import Lift, LinearCodec, Lower, Store


class Values(NamedTuple):
    """Values passed together: a function's parameters, or its result where it is read or handed over as parameters are.

    Attributes:
        letters: the core values that carry them: their own, or one pointer.
        lift: core values -> Python values.
        lower: Python values -> core values; more than fit are put into memory that the guest allocates.
        has_borrow: `Context.scope` must be that of the call.
        moves: handles may be among them that their owner gives away.
    """

    letters: str
    lift: Callable[[Context, Sequence[Any]], list[Any]]
    lower: Callable[[Context, Sequence[Any]], list[int | float]]
    has_borrow: bool
    moves: bool


class Answer(NamedTuple):
    """The two ways that a function ends: with its value, or with the err case of its result (`Err.value`).

    Attributes:
        letters: core values of the result, if they are at most RESULTS_FLAT_MAX.
        by_pointer: there are more, and the caller says where in memory the result goes.
        store_ok: write it there: `(context, address, value)`. The address is the guest's: it is checked.
        store_err: the same for the err case; None: the function's result is no `result`.
        lower_ok, lower_err: the same as core values: `(context, value) -> numbers`.
        lift: of a function that a guest provides: core values that it returned -> its result (`Ok` or `Err`, where it
            is a `result`); a pointer to it, where `by_pointer`. Of no result: None.
    """

    letters: str
    by_pointer: bool
    store_ok: Callable[[Context, int, Any], None]
    store_err: Callable[[Context, int, Any], None] | None
    lower_ok: Callable[[Context, Any], list[int | float]]
    lower_err: Callable[[Context, Any], list[int | float]] | None
    lift: Callable[[Context, Sequence[Any]], Any]


class Elements(NamedTuple):
    """Values of one type, one after the other in memory: what `stream.read` and `stream.write` name.

    Attributes:
        size: of one, in bytes.
        check: `(context, address, count)`: they are aligned and inside the memory, or the guest traps.
        load: `(context, address, count)`: bytes for u8, else a list of at most `Boundary.list_count_max`.
        store: `(context, address, values)`, where `check` has been.
    """

    size: int
    check: Callable[[Context, int, int], None]
    load: Callable[[Context, int, int], Any]
    store: Callable[[Context, int, Any], None]


@functools.lru_cache(CODECS_KEPT_MAX)
def compile_values(types: tuple[wit.WitType, ...], flat_max: int) -> Values:
    """Codecs of parameters.

    Args:
        flat_max: `PARAMS_FLAT_MAX`, or `ASYNC_PARAMS_FLAT_MAX` for a lowering with `async`.
    """
    codecs = [compile_linear(ty) for ty in types]
    together = group(codecs)
    if len(together.flat) > flat_max:
        return _values_in_memory(together)
    flat, lowers, lifts, slot = together.flat, [], [], 0
    for codec in codecs:
        lowers.append(codec.lower)
        lifts.append(codec.lift(slot, codec.flat))
        slot += codec.slots

    def lift(cx: Context, values: Sequence[Any]) -> list[Any]:
        cx.left = LIFT_BYTES_MAX
        return [lift_one(cx, values) for lift_one in lifts]

    def lower(cx: Context, values: Sequence[Any]) -> list[Any]:
        out: list[Any] = []
        for lower_one, value in zip(lowers, values, strict=True):
            lower_one(cx, value, out)
        return out

    return Values(flat, _all_or_nothing(lift) if together.moves else lift, lower, together.has_borrow, together.moves)


def _values_in_memory(together: LinearCodec) -> Values:
    size, align, load, store = together.size, together.align, together.load, together.store

    def lift(cx: Context, values: Sequence[Any]) -> list[Any]:
        cx.left = LIFT_BYTES_MAX
        address = values[0]
        cx.check(address, size, align)
        return list(load(cx, address))

    def lower(cx: Context, values: Sequence[Any]) -> list[Any]:
        address = cx.alloc(align, size)
        store(cx, address, values)
        return [address]

    return Values("i", _all_or_nothing(lift) if together.moves else lift, lower, together.has_borrow, together.moves)


@functools.lru_cache(CODECS_KEPT_MAX)
def compile_answer(result: wit.WitType | None) -> Answer:
    """Codecs of a function's result."""
    codec = compile_maybe(result)
    if codec is None:
        return Answer("", False, _store_nothing, None, _lower_nothing, None, _lift_nothing)
    ok: choice.Arm = choice.Arm(codec.store, codec.lower)
    err: choice.Arm | None = None
    if isinstance(result, wit.Result):
        ok, err = choice.result_arms(compile_maybe(result.ok), compile_maybe(result.err))
    by_pointer = codec.slots > RESULTS_FLAT_MAX
    return Answer(
        letters="" if by_pointer else codec.flat,
        by_pointer=by_pointer,
        store_ok=_checked(codec, ok.store),
        store_err=None if err is None else _checked(codec, err.store),
        lower_ok=_listed(ok.lower),
        lower_err=None if err is None else _listed(err.lower),
        lift=_lift_by_pointer(codec) if by_pointer else _lift_flat(codec),
    )


def _all_or_nothing(lift: Callable[..., Any]) -> Callable[..., Any]:
    """Where a later value is bad, what earlier ones took out of the table is put back: what owns it drops it."""

    def lift_all(cx: Context, *where: Any) -> Any:
        taken: list[Any] = []
        cx.taken = taken
        try:
            return lift(cx, *where)
        except BaseException:
            for give, value in reversed(taken):
                give(cx, value)
            raise
        finally:
            cx.taken = None

    return lift_all


def _store_nothing(_cx: Context, _address: int, _value: Any) -> None:
    pass


def _lower_nothing(_cx: Context, _value: Any) -> list[Any]:
    return []


def _lift_nothing(_cx: Context, _values: Sequence[Any]) -> None:
    return None


def _checked(codec: LinearCodec, store: Store) -> Store:
    size, align = codec.size, codec.align

    def store_checked(cx: Context, address: int, value: Any) -> None:
        cx.check(address, size, align)
        store(cx, address, value)

    return store_checked


def _listed(lower: Lower) -> Callable[[Context, Any], list[Any]]:
    def lower_alone(cx: Context, value: Any) -> list[Any]:
        out: list[Any] = []
        lower(cx, value, out)
        return out

    return lower_alone


def _lift_by_pointer(codec: LinearCodec) -> Lift:
    size, align, load = codec.size, codec.align, codec.load

    def lift(cx: Context, values: Sequence[Any]) -> Any:
        cx.left = LIFT_BYTES_MAX
        address = values[0]
        cx.check(address, size, align, RESULT)
        return load(cx, address)

    return _all_or_nothing(lift) if codec.moves else lift


def _lift_flat(codec: LinearCodec) -> Lift:
    """A value of so few core values has no list in it."""
    return codec.lift(0, codec.flat)


def compile_elements(ty: wit.WitType | None) -> Elements:
    """Codecs of what a stream, or a future, carries; None: nothing, which has no size."""
    if ty is None:
        return Elements(0, _check_nothing, _load_nothing, _store_nothing)
    codec = compile_linear(ty)
    is_bytes = ty == wit.Primitive("U8")
    size, align = codec.size, codec.align
    get = span.get_bytes if is_bytes else span.getter(codec)
    put = _store_bytes if is_bytes else span.setter(codec)

    def check(cx: Context, address: int, count: int) -> None:
        cx.check(address, size * count, align, LIST)

    def load(cx: Context, address: int, count: int) -> Any:
        cx.left = LIFT_BYTES_MAX
        return get(cx, address, count)

    return Elements(size, check, _all_or_nothing(load) if codec.moves else load, put)


def _check_nothing(_cx: Context, _address: int, _count: int) -> None:
    pass


def _load_nothing(_cx: Context, _address: int, count: int) -> range:
    """So many values, none of which says anything: a sequence that takes no memory."""
    return range(count)


def _store_bytes(cx: Context, address: int, values: Any) -> None:
    cx.view[address : address + len(values)] = values
