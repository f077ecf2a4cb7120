"""Types and values of them, by chance."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from edged.host.interface import Err, Ok, Some
from edged.wasm import types as wit

P = wit.Primitive
INTEGERS = [P(f"{sign}{bits}") for bits in (8, 16, 32, 64) for sign in "SU"]
PRIMITIVES = [P("BOOL"), *INTEGERS, P("F32"), P("F64"), P("CHAR"), P("STRING")]
_characters = st.characters(exclude_categories=["Cs"])
# Text of latin-1 alone, and any: `latin1+utf16` has two forms.
_texts = st.text(st.characters(max_codepoint=0xFF), max_size=8) | st.text(_characters, max_size=8)


def integer_range(kind: str) -> tuple[int, int]:
    bits = int(kind[1:])
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind[0] == "S" else (0, 2**bits - 1)


def values(ty: wit.WitType) -> st.SearchStrategy[Any]:
    match ty:
        case wit.Primitive("BOOL"):
            return st.booleans()
        case wit.Primitive("CHAR"):
            return _characters
        case wit.Primitive("STRING"):
            return _texts
        case wit.Primitive("F32"):
            return st.floats(width=32, allow_nan=False)
        case wit.Primitive("F64"):
            return st.floats(allow_nan=False)
        case wit.Primitive(kind):
            low, high = integer_range(kind)
            return st.integers(low, high)
        case wit.List(wit.Primitive("U8")):
            return st.binary(max_size=20)
        case wit.List(element):
            return st.lists(values(element), max_size=3)
        case wit.FixedList(wit.Primitive("U8"), length):
            return st.binary(min_size=length, max_size=length)
        case wit.FixedList(element, length):
            return st.lists(values(element), min_size=length, max_size=length)
        case wit.Tuple(elements):
            return st.tuples(*map(values, elements))
        case wit.Record(fields):
            return st.tuples(*(values(value) for _, value in fields))
        case wit.Variant(cases):
            return st.one_of(
                st.just(key) if value is None else st.tuples(st.just(key), values(value)) for key, value in cases
            )
        case wit.Enum(names):
            return st.sampled_from(names)
        case wit.Flags(names):
            return st.frozensets(st.sampled_from(names))
        case wit.Option(payload):
            inner = values(payload)
            return st.none() | (inner.map(Some) if isinstance(payload, wit.Option) else inner)
        case wit.Result(ok, err):
            return st.one_of(
                (st.none() if ok is None else values(ok)).map(Ok),
                (st.none() if err is None else values(err)).map(Err),
            )
    raise AssertionError(ty)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"n{index}" for index in range(count))


def _compounds(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    maybe = st.none() | inner

    def keyed(make: Any, payload: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        several = st.lists(payload, min_size=1, max_size=4)
        return several.map(lambda tys: make(tuple(zip(names(len(tys)), tys, strict=True))))

    return st.one_of(
        inner.map(wit.List),
        inner.map(wit.Option),
        st.lists(inner, min_size=1, max_size=5).map(lambda tys: wit.Tuple(tuple(tys))),
        keyed(wit.Record, inner),
        keyed(wit.Variant, maybe),
        st.integers(1, 6).map(lambda count: wit.Enum(names(count))),
        st.integers(1, 32).map(lambda count: wit.Flags(names(count))),
        st.builds(wit.Result, maybe, maybe),
    )


def types(leaves_max: int = 8) -> st.SearchStrategy[wit.WitType]:
    """Types that both paths have values for."""
    return st.recursive(st.sampled_from(PRIMITIVES), _compounds, max_leaves=leaves_max)


def typed_values(leaves_max: int = 8) -> st.SearchStrategy[tuple[wit.WitType, Any]]:
    return types(leaves_max).flatmap(lambda ty: st.tuples(st.just(ty), values(ty)))
