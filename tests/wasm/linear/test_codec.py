"""Codecs on linear memory: values of every type there and back, in whatever memory a guest has."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import GuestError, GuestTrap
from edged.host.interface import Err, Ok
from edged.limits import CODECS_KEPT_MAX
from edged.wasm import types as wit
from edged.wasm.canonical_abi import Encoding
from edged.wasm.codec import compile_codec
from edged.wasm.linear.codec import compile_linear
from edged.wasm.linear.signature import compile_answer, compile_values
from edged.wasm.linear.table import Scope
from tests.wasm.linear.codecs import (
    CHAR,
    ENCODINGS,
    F32,
    F64,
    STRING,
    TOP32,
    U8,
    U16,
    U32,
    U64,
    context,
    lift,
    lower,
    stored,
    there_and_back,
)
from tests.wasm.linear.memory import PAGE, FakeInstance, FakeMemory
from tests.wasm.linear.values import names, typed_values, types


@settings(max_examples=200, deadline=None, derandomize=True)
@given(case=typed_values(12), encoding=st.sampled_from(ENCODINGS))
def test_random_values_come_back(case: tuple[wit.WitType, Any], encoding: Encoding) -> None:
    there_and_back(compile_linear(case[0]), case[1], encoding)


FIXED: dict[str, tuple[wit.WitType, Any]] = {
    "u8-3": (wit.FixedList(U8, 3), b"abc"),
    "u8-16": (wit.FixedList(U8, 16), bytes(range(16))),
    "u8-17": (wit.FixedList(U8, 17), bytes(range(17))),
    "u16-16": (wit.FixedList(U16, 16), list(range(16))),
    "u16-17": (wit.FixedList(U16, 17), list(range(17))),
    "string-2": (wit.FixedList(STRING, 2), ["a", "bc"]),
    "option-1000": (wit.FixedList(wit.Option(U32), 1_000), [None, 1] * 500),
    "inside": (wit.Tuple((U8, wit.FixedList(wit.Tuple((U8, U32)), 2), STRING)), (1, [(2, 3), (4, 5)], "x")),
    "list-of": (wit.List(wit.FixedList(U16, 3)), [[1, 2, 3], [4, 5, 6]]),
    "tuples-of-one": (wit.List(wit.Tuple((wit.Tuple((STRING,)), STRING))), [(("a",), "b")]),
    "tuple-of-one": (wit.List(wit.Tuple((wit.List(U8),))), [(b"a",), (b"",)]),
    "empty": (wit.Tuple((wit.Tuple(()), U8, wit.Record(()))), ((), 1, ())),
    "enum-65536": (wit.List(wit.Enum(names(65_536))), ["n0", "n65535"]),
    "enum-65537": (wit.List(wit.Enum(names(65_537))), ["n0", "n65536"]),
}


@pytest.mark.parametrize("case", list(FIXED))
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_the_c_api_has_no_values_for_comes_back(case: str, encoding: Encoding) -> None:
    ty, value = FIXED[case]
    there_and_back(compile_linear(ty), value, encoding)


SIZES: dict[str, tuple[wit.WitType, int, int]] = {
    "enum-256": (wit.Enum(names(256)), 1, 1),
    "enum-257": (wit.Enum(names(257)), 2, 2),
    "enum-65536": (wit.Enum(names(65_536)), 2, 2),
    "enum-65537": (wit.Enum(names(65_537)), 4, 4),
    "flags-8": (wit.Flags(names(8)), 1, 1),
    "flags-9": (wit.Flags(names(9)), 2, 2),
    "flags-17": (wit.Flags(names(17)), 4, 4),
    "padded": (wit.Tuple((U8, U64, U8)), 24, 8),
    "variant-u64": (wit.Variant((("a", U8), ("b", U64), ("c", None))), 16, 8),
    "variant-257": (wit.Variant(tuple((name, U8) for name in names(257))), 4, 2),
    "option-string": (wit.Option(STRING), 12, 4),
    "result-nothing": (wit.Result(None, None), 1, 1),
    "empty": (wit.Tuple(()), 0, 1),
    "fixed": (wit.FixedList(wit.Tuple((U32, U8)), 100), 800, 4),
}


@pytest.mark.parametrize("case", list(SIZES))
def test_sizes_and_alignments(case: str) -> None:
    ty, size, align = SIZES[case]
    codec = compile_linear(ty)
    assert (codec.size, codec.align) == (size, align)


def test_no_load_or_store_leaves_the_memory() -> None:
    samples: list[tuple[wit.WitType, Any]] = [
        (U8, 1),
        (U64, 1),
        (CHAR, "a"),
        (STRING, ""),
        (wit.Enum(names(3)), "n0"),
        (wit.Flags(names(9)), frozenset()),
        (wit.Tuple((U32, U32)), (1, 2)),
        (wit.Tuple((U32, wit.Option(U8))), (1, None)),
        (wit.Option(U64), 5),
        (wit.Result(U32, None), Ok(1)),
        (wit.FixedList(U32, 20), [0] * 20),
    ]
    for ty, value in samples:
        codec, cx = compile_linear(ty), context()
        end = PAGE - codec.size
        codec.store(cx, end, value)
        assert codec.load(cx, end) == value
        for address in PAGE, 2**32 - codec.align:
            with pytest.raises(GuestTrap, match="out of bounds"):
                codec.load(cx, address)
            with pytest.raises(GuestTrap, match="out of bounds"):
                codec.store(cx, address, value)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    ty=types(10),
    data=st.binary(max_size=128),
    seed=st.randoms(use_true_random=False),
    encoding=st.sampled_from(ENCODINGS),
)
def test_random_bytes_and_numbers_are_values_or_errors_of_the_guest(
    ty: wit.WitType, data: bytes, seed: Any, encoding: Encoding
) -> None:
    codec = compile_linear(ty)
    memory = FakeMemory(PAGE)
    memory.room[: len(data)] = data
    cx = memory.context(encoding=encoding)
    choices = [0, 1, 2, 7, 255, 2**31, TOP32, PAGE, PAGE - 1]
    for _ in range(5):
        with suppress(GuestError):
            codec.load(cx, seed.choice([0, 8, 64, PAGE - 8, 2**32 - 8]))
        numbers = [
            seed.choice([0.0, -1.5, math.nan, math.inf])
            if letter in "fF"
            else seed.choice(choices) | (seed.choice([0, 2**63]) if letter == "I" else 0)
            for letter in codec.flat
        ]
        if codec.slots == len(numbers):
            with suppress(GuestError):
                codec.lift(0, codec.flat)(cx, numbers)


# --- nonsense out of a host ---

NONSENSE: list[tuple[wit.WitType, Any]] = [
    (U8, "one"),
    (STRING, b"bytes"),
    (STRING, None),
    (wit.List(U8), ["x"]),
    (wit.List(U8), 5),
    (wit.List(U8), "text"),
    (wit.List(U8), memoryview(b"abcd").cast("I")),
    (wit.List(U32), 5),
    (wit.List(U32), ["x"]),
    (wit.List(STRING), ["fine", 3]),
    (wit.Tuple((U8, STRING)), (1,)),
    (wit.Tuple((U8, STRING)), (1, 2)),
    (wit.Tuple((U8, U8)), (1, 2, 3)),
    (wit.Tuple((U8, U8)), (1,)),
    (wit.List(wit.Tuple((STRING, STRING))), [("a", "b", "c")]),
    (wit.List(wit.Tuple((STRING, STRING))), [("a",)]),
    (wit.Enum(("red",)), "blue"),
    (wit.Variant((("a", None),)), "b"),
    (wit.Variant((("a", U8),)), ("a", "b")),
    (wit.Variant((("a", U8),)), "a"),
    (wit.Variant((("a", U8),)), 7),
    (wit.Result(U8, None), 5),
    (wit.Result(U8, None), Ok("x")),
    (wit.Option(U8), "x"),
    (wit.Option(wit.Option(U8)), 5),
    (wit.FixedList(U8, 3), b"ab"),
    (wit.FixedList(U32, 20), [0] * 19),
    (CHAR, "ab"),
    (CHAR, 5),
    (F32, "one"),
    (F64, "one"),
    (F64, None),
    (wit.Flags(("a",)), {"b"}),
]


@pytest.mark.parametrize("case", range(len(NONSENSE)))
def test_nonsense_out_of_a_host_is_an_error_but_no_trap(case: int) -> None:
    ty, value = NONSENSE[case]
    for write in (stored, lower) if compile_linear(ty).slots <= 16 else (stored,):
        with pytest.raises(Exception) as raised:  # noqa: PT011 # of any kind, but a guest's
            write(ty, value)
        assert not isinstance(raised.value, GuestError | AssertionError)


# --- handles ---

FILE = 1
OWN, BORROW = wit.Handle(FILE, owned=True), wit.Handle(FILE, owned=False)


def test_an_own_handle_moves() -> None:
    instance = FakeInstance()
    cx = context(instance=instance)
    (index,) = lower(OWN, "file", cx)
    assert index == 1
    assert lift(OWN, index, cx=cx) == "file"
    assert len(instance.table) == 0
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        lift(OWN, index, cx=cx)


def test_a_borrow_out_of_a_guest_is_lent_for_the_call() -> None:
    instance = FakeInstance()
    cx = context(instance=instance)
    index = instance.table.add_own(FILE, "file")
    assert lift(BORROW, index, cx=cx) == "file"
    cx.scope = Scope()
    assert lift(BORROW, index, cx=cx) == "file"
    with pytest.raises(GuestTrap, match="cannot remove owned resource while borrowed"):
        lift(OWN, index, cx=cx)
    cx.scope.give_back()
    assert lift(OWN, index, cx=cx) == "file"


def test_a_borrow_for_a_guest_is_counted_but_for_the_resource_s_own_it_is_its_number() -> None:
    instance = FakeInstance()
    cx = context(instance=instance)
    cx.scope = Scope()
    (index,) = lower(BORROW, "file", cx)
    assert instance.table.resource(index, FILE).rep == "file"
    assert cx.scope.borrows == 1
    instance.defines.add(FILE)
    assert lower(BORROW, 42, cx) == [42]
    assert cx.scope.borrows == 1


@pytest.mark.parametrize(
    "ty", [OWN, wit.Stream(U8), wit.Stream(None), wit.Future(STRING), wit.Future(None)], ids=["own", *["end"] * 4]
)
def test_handles_inside_other_values(ty: wit.WitType) -> None:
    cx = context()
    nested = wit.List(wit.Tuple((U8, wit.Option(ty), wit.Result(ty, STRING))))
    value = [(1, "one", Ok("two")), (2, None, Err("none"))]
    assert compile_linear(nested).moves
    assert lift(nested, *lower(nested, value, cx), cx=cx) == value
    assert len(cx.instance.table) == 0


@pytest.mark.parametrize("compile", [compile_codec, compile_linear, compile_values, compile_answer])
def test_codecs_that_are_kept_are_bounded(compile: Any) -> None:
    assert compile.cache_parameters()["maxsize"] == CODECS_KEPT_MAX


def test_a_codec_that_was_not_kept_is_made_again() -> None:
    types = [wit.FixedList(wit.Primitive("U8"), length + 1) for length in range(CODECS_KEPT_MAX + 1)]
    first = compile_linear(types[0])
    assert [compile_linear(ty).size for ty in types] == [ty.length for ty in types]
    assert compile_linear.cache_info().currsize == CODECS_KEPT_MAX
    assert compile_linear(types[0]).size == first.size
