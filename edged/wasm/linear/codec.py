"""Typed codecs between Python values and a guest's linear memory and core values, compiled once per type.

    compile_linear(type) -> LinearCodec       one value: load, store (memory); lift, lower (core values, "flat")
         scalar.py      numbers, char, enums, flags, handles
         span.py        strings and lists: a pointer and a length
         aggregate.py   records, tuples
         choice.py      variants, options, results
    signature.py        whole functions: parameters and results

Which Python value stands for which WIT type is written in `edged.host.interface`. Core values are Python numbers, one
for each letter of `plan.CoreSignature`: integers unsigned, floats as they are.

Bytes and numbers of guests are hostile: what breaks the ABI is a `GuestTrap`. A value out of a host function that does
not fit its type is a plain exception, whose kind says nothing.

Source: CanonicalABI.md, from "Alignment" to "Flat Lowering".
"""

from __future__ import annotations

import functools
from typing import Any

from edged.limits import CODECS_KEPT_MAX
from edged.wasm import types as wit
from edged.wasm.linear import aggregate, choice, scalar, span
from edged.wasm.linear.context import Context
from edged.wasm.linear.flat import LinearCodec


@functools.lru_cache(CODECS_KEPT_MAX)
def compile_linear(ty: wit.WitType) -> LinearCodec:
    """The codec of one type. Equal types share one."""
    match ty:
        case wit.Primitive("STRING"):
            return span.string()
        case wit.Primitive("CHAR"):
            return scalar.char()
        case wit.Primitive(kind):
            return scalar.number(kind)
        case wit.List(wit.Primitive("U8")):
            return span.byte_list()
        case wit.List(element):
            return span.value_list(compile_linear(element))
        case wit.FixedList(element, length):
            return aggregate.fixed_list(compile_linear(element), length, element == wit.Primitive("U8"))
        case wit.Tuple(elements):
            return aggregate.group([compile_linear(element) for element in elements])
        case wit.Record(fields):
            return aggregate.group([compile_linear(field) for _, field in fields])
        case wit.Variant(cases):
            return choice.variant([(name, compile_maybe(payload)) for name, payload in cases])
        case wit.Enum(names):
            return scalar.enum(names)
        case wit.Flags(names):
            return scalar.flags(names)
        case wit.Option(payload):
            return choice.option(compile_linear(payload), nested=isinstance(payload, wit.Option))
        case wit.Result(ok, err):
            return choice.result(compile_maybe(ok), compile_maybe(err))
        case wit.Handle(resource, owned):
            return _own(resource) if owned else _borrow(resource)
        case wit.Stream():
            return _stream(ty)
        case wit.Future():
            return _future(ty)


def compile_maybe(ty: wit.WitType | None) -> LinearCodec | None:
    return None if ty is None else compile_linear(ty)


def _own(resource: int) -> LinearCodec:
    def take(cx: Context, index: int) -> Any:
        return cx.instance.table.take_own(index, resource)

    def give(cx: Context, value: Any) -> int:
        return cx.instance.table.add_own(resource, value)

    return _moved(take, give)


def _borrow(resource: int) -> LinearCodec:
    def take(cx: Context, index: int) -> Any:
        return cx.instance.table.lend(index, resource, cx.scope)

    def give(cx: Context, value: Any) -> Any:
        if resource in cx.instance.defines:
            return value
        assert cx.scope is not None, "a host function cannot return a borrow"
        return cx.instance.table.add_borrow(resource, value, cx.scope)

    return scalar.mapped(scalar.index(), take, give)._replace(has_borrow=True)


def _stream(ty: wit.Stream) -> LinearCodec:
    return _moved(
        lambda cx, index: cx.instance.take_stream(index, ty), lambda cx, value: cx.instance.give_stream(value, ty)
    )


def _future(ty: wit.Future) -> LinearCodec:
    return _moved(
        lambda cx, index: cx.instance.take_future(index, ty), lambda cx, value: cx.instance.give_future(value, ty)
    )


def _moved(take: scalar.Decode, give: scalar.Encode) -> LinearCodec:
    """An index of what leaves the table when it is lifted."""

    def take_noted(cx: Context, index: int) -> Any:
        value = take(cx, index)
        if cx.taken is not None:
            cx.taken.append((give, value))
        return value

    return scalar.mapped(scalar.index(), take_noted, give)._replace(moves=True)
