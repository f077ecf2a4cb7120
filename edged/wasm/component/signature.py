"""Codecs of whole functions: parameters and results, flat where they are few, in memory where they are many.

These are what a call begins with: each takes note that a call's budget begins anew (`Context.begin`).

Source: CanonicalABI.md, "Flattening" and "Lifting and Lowering Values".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from edged.wasm import types as wit
from edged.wasm.component.context import Context


class Values(NamedTuple):
    """Values passed together: a function's parameters, or its result where it is read or handed over as parameters are.

    Attributes:
        letters: the core values that carry them: their own, or one pointer.
        lift: core values -> Python values.
        lower: Python values -> core values; more than fit are put into memory that the guest allocates.
        has_borrow: `Context.scope` must be that of the call.
    """

    letters: str
    lift: Callable[[Context, Sequence[Any]], list[Any]]
    lower: Callable[[Context, Sequence[Any]], list[int | float]]
    has_borrow: bool


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
        load: `(context, address, count)`: bytes for u8, else a list.
        store: `(context, address, values)`.
    """

    size: int
    check: Callable[[Context, int, int], None]
    load: Callable[[Context, int, int], Any]
    store: Callable[[Context, int, Any], None]


def compile_values(types: tuple[wit.WitType, ...], flat_max: int) -> Values:
    """Codecs of parameters.

    Args:
        flat_max: `plan.PARAMS_FLAT_MAX`, or `plan.ASYNC_PARAMS_FLAT_MAX` for a lowering with `async`.
    """
    raise NotImplementedError


def compile_answer(result: wit.WitType | None) -> Answer:
    """Codecs of a function's result."""
    raise NotImplementedError


def compile_elements(ty: wit.WitType | None) -> Elements:
    """Codecs of what a stream, or a future, carries; None: nothing, which has no size."""
    raise NotImplementedError
