"""Sizes and core values of types: the same as those of the codecs, which are written apart."""

from __future__ import annotations

import pytest
from hypothesis import given

from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.linear.codec import compile_linear
from edged.wasm.plan.layout import Layout, Layouts
from edged.wasm.types import (
    Enum,
    FixedList,
    Flags,
    Future,
    Handle,
    List,
    Option,
    Primitive,
    Record,
    Result,
    Stream,
    Tuple,
    Variant,
    WitType,
)
from tests.wasm.linear.values import names, types

U8, U64, F32, STRING = (Primitive(kind) for kind in ("U8", "U64", "F32", "STRING"))


@given(types(leaves_max=20))
def test_as_the_codecs_have_it(ty: WitType) -> None:
    layout, codec = Layouts().of(ty), compile_linear(ty)
    assert (layout.size, layout.align) == (codec.size, codec.align)
    assert layout.flat == (codec.flat if codec.slots <= PARAMS_FLAT_MAX else None)


def layout_of(ty: WitType) -> Layout:
    return Layouts().of(ty)


@pytest.mark.parametrize(
    ("ty", "expected"),
    [
        (STRING, Layout(8, 4, "ii", points=True)),
        (List(U64), Layout(8, 4, "ii", points=True, nodes=2, depth=2)),
        (FixedList(U64, 3), Layout(24, 8, "III", nodes=2, depth=2)),
        (FixedList(U8, 17), Layout(17, 1, None, nodes=2, depth=2)),
        (FixedList(STRING, 2), Layout(16, 4, "iiii", points=True, nodes=2, depth=2)),
        (Tuple((U8, U64, U8)), Layout(24, 8, "iIi", nodes=4, depth=2)),
        (Record((("a", U8), ("b", STRING))), Layout(12, 4, "iii", points=True, nodes=3, depth=2)),
        (Variant((("a", None), ("b", U64), ("c", F32))), Layout(16, 8, "iI", nodes=4, depth=2)),
        (Option(F32), Layout(8, 4, "if", nodes=3, depth=2)),
        (Result(F32, U8), Layout(8, 4, "ii", nodes=3, depth=2)),
        (Result(None, None), Layout(1, 1, "i", nodes=3, depth=2)),
        (Enum(names(256)), Layout(1, 1, "i", nodes=257, depth=2)),
        (Enum(names(257)), Layout(2, 2, "i", nodes=258, depth=2)),
        (Flags(names(8)), Layout(1, 1, "i", nodes=9)),
        (Flags(names(9)), Layout(2, 2, "i", nodes=10)),
        (Flags(names(17)), Layout(4, 4, "i", nodes=18)),
        (Handle(1, owned=True), Layout(4, 4, "i")),
        (Handle(1, owned=False), Layout(4, 4, "i", borrows=True)),
        (List(Handle(1, owned=False)), Layout(8, 4, "ii", points=True, borrows=True, nodes=2, depth=2)),
        (Stream(STRING), Layout(4, 4, "i", nodes=2, depth=2)),
        (Future(None), Layout(4, 4, "i", nodes=2, depth=2)),
    ],
    ids=str,
)
def test_layouts(ty: WitType, expected: Layout) -> None:
    assert layout_of(ty) == expected


def test_core_values_to_their_bound() -> None:
    assert layout_of(Tuple((U64,) * 16)).flat == "I" * 16
    assert layout_of(Tuple((U64,) * 17)).flat is None
    assert layout_of(Option(Tuple((U64,) * 15))).flat == "i" + "I" * 15
    assert layout_of(Option(Tuple((U64,) * 16))).flat is None
    assert layout_of(Tuple((Option(Tuple((U64,) * 16)),))).flat is None


def test_types_that_double_take_time_for_each_but_once() -> None:
    """Written out it has 2 ** 200 parts."""
    ty: WitType = U8
    for _ in range(200):
        ty = Tuple((ty, ty))
    layouts = Layouts()
    inner: list[WitType] = [ty]
    while isinstance(inner[-1], Tuple):
        inner.append(inner[-1].elements[0])
    for part in reversed(inner):
        layouts.of(part)
    assert layouts.of(ty).nodes == 2**201 - 1
    assert layouts.of(ty).size == 2**200
