"""Our codecs against wasmtime's: each reads what the other one has written."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edged.errors import GuestBudgetExhausted, GuestError
from edged.host.interface import Err, Ok, Some
from edged.wasm import types as wit
from edged.wasm.canonical_abi import PARAMS_FLAT_MAX, Encoding
from edged.wasm.engine import Engine
from edged.wasm.linear.signature import compile_values
from tests.wasm.linear.memory import PAGE, FakeMemory
from tests.wasm.linear.oracle import HEAP, Oracle, letters
from tests.wasm.linear.values import P, names, typed_values, types, values

CODES = {"i": "I4x", "I": "Q", "f": "f4x", "F": "d"}
ENCODINGS: tuple[Encoding, ...] = ("utf8", "utf16", "latin1+utf16")
U8, U32, U64, F32, F64, STRING = P("U8"), P("U32"), P("U64"), P("F32"), P("F64"), P("STRING")


def slots(flat: str) -> struct.Struct:
    return struct.Struct("<" + "".join(CODES[letter] for letter in flat))


def ours_from(ty: wit.WitType, memory: bytes, encoding: Encoding) -> Any:
    codec = compile_values((ty,), PARAMS_FLAT_MAX)
    guest = FakeMemory()
    guest.room[: len(memory)] = memory
    (value,) = codec.lift(guest.context(encoding=encoding), slots(codec.letters).unpack_from(memory))
    return value


def ours_of(ty: wit.WitType, value: Any, encoding: Encoding) -> bytes:
    codec = compile_values((ty,), PARAMS_FLAT_MAX)
    guest = FakeMemory(start=HEAP)
    cx = guest.context(encoding=encoding)
    slots(codec.letters).pack_into(cx.view, 0, *codec.lower(cx, [value]))
    return bytes(guest.look()[: guest.top])


async def judge(engine: Engine, ty: wit.WitType, samples: list[Any], encoding: Encoding = "utf8") -> None:
    assert compile_values((ty,), PARAMS_FLAT_MAX).letters == letters(ty)
    oracle = Oracle(engine, ty, encoding)
    for value in samples:
        assert ours_from(ty, await oracle.memory_of(value), encoding) == value, "what wasmtime wrote"
        assert await oracle.value_of(ours_of(ty, value, encoding)) == value, "what we wrote"


def _many(count: int) -> wit.Variant:
    return wit.Variant(tuple(zip(names(count), (None, U32) * count, strict=False)))


CASES: dict[str, tuple[wit.WitType, list[Any]]] = {
    "flags-8": (wit.Flags(names(8)), [frozenset(), frozenset(names(8))]),
    "flags-9": (wit.Flags(names(9)), [frozenset({"n8"}), frozenset(names(9))]),
    "flags-16": (wit.Flags(names(16)), [frozenset({"n15"})]),
    "flags-17": (wit.Flags(names(17)), [frozenset({"n16", "n0"})]),
    "flags-32": (wit.Flags(names(32)), [frozenset({"n31", "n0"})]),
    "list-flags": (wit.List(wit.Flags(names(17))), [[frozenset({"n16"}), frozenset()]]),
    "enum-256": (wit.List(wit.Enum(names(256))), [["n0", "n255"]]),
    "enum-257": (wit.List(wit.Enum(names(257))), [["n0", "n256"]]),
    "variant-256": (wit.List(_many(256)), [["n0", ("n255", 7)]]),
    "variant-257": (wit.List(_many(257)), [[("n255", 7), "n256"]]),
    "joined-int-float": (
        wit.Variant((("a", F32), ("b", U32), ("c", U8))),
        [("a", 1.5), ("b", 2**32 - 1), ("c", 255)],
    ),
    "joined-f32-f64": (wit.Variant((("a", F32), ("b", F64))), [("a", -0.25), ("b", 1e300)]),
    "joined-f32-u64": (wit.Variant((("a", F32), ("b", U64), ("c", P("S8")))), [("a", 2.5), ("b", 2**63), ("c", -1)]),
    "joined-string-u64": (
        wit.Variant((("a", STRING), ("b", U64), ("c", wit.Tuple((F32, F64))), ("d", P("BOOL")))),
        [("a", "x"), ("b", 2**64 - 1), ("c", (0.5, -2.0)), ("d", True)],
    ),
    "joined-variants": (
        wit.Result(wit.Variant((("a", U64), ("b", wit.Option(F32)))), wit.Tuple((F64, wit.Enum(names(2)), STRING))),
        [Ok(("a", 2**64 - 1)), Ok(("b", 1.5)), Ok(("b", None)), Err((0.5, "n1", "é"))],
    ),
    "params-16": (wit.Tuple((U8,) * 16), [tuple(range(16))]),
    "params-17": (wit.Tuple((U8,) * 17), [tuple(range(17))]),
    "variant-of-17": (wit.Option(wit.Tuple((P("S16"),) * 16)), [None, (-1,) * 16]),
    "padding": (wit.Tuple((U8, U64, U8, P("U16"), U8)), [(1, 2**64 - 1, 3, 65535, 5)]),
    "padded-elements": (wit.List(wit.Tuple((U64, U8))), [[(1, 2), (3, 4)]]),
    "nested-options": (wit.List(wit.Option(wit.Option(U8))), [[None, Some(None), Some(3)]]),
    "negative": (wit.Tuple((P("S8"), P("S16"), P("S32"), P("S64"))), [(-1, -1, -1, -1), (-128, -(2**15), -(2**31), 7)]),
    "negative-elements": (wit.List(P("S16")), [[-1, -(2**15), 2**15 - 1]]),
    "headers": (wit.List(wit.Tuple((STRING, wit.List(U8)))), [[("host", b"x"), ("", b""), ("é", bytes(300))]]),
    "no-payloads": (wit.Result(None, None), [Ok(), Err()]),
}


@pytest.mark.parametrize("case", list(CASES))
async def test_values_at_the_borders(engine: Engine, case: str) -> None:
    await judge(engine, *CASES[case])


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_strings(engine: Engine, encoding: Encoding) -> None:
    texts = ["", "a", "nul\0inside", "grüße", "ÿ", "Ā", "日本", "\U0001f600", "a" * 300, "ß" * 300 + "\U0001f600"]
    await judge(engine, STRING, texts, encoding)
    await judge(engine, wit.List(wit.Option(STRING)), [[None, *texts]], encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_random_types_and_values(engine: Engine, encoding: Encoding) -> None:
    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(case=typed_values())
    def check(case: tuple[wit.WitType, Any]) -> None:
        trio.run(judge, engine, case[0], [case[1]], encoding)

    check()


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_variants_share_slots(engine: Engine, data: st.DataObject) -> None:
    payloads = data.draw(st.lists(st.none() | types(4), min_size=2, max_size=6))
    ty = wit.Variant(tuple(zip(names(len(payloads)), payloads, strict=True)))
    samples = [
        name if payload is None else (name, data.draw(values(payload)))
        for name, payload in zip(names(len(payloads)), payloads, strict=True)
    ]
    trio.run(judge, engine, ty, samples)


# --- memory of a guest that means harm ---

INTERESTING = [
    0,
    1,
    2,
    8,
    128,
    136,
    255,
    256,
    65_536,
    16 * PAGE - 8,
    16 * PAGE,
    0xD800,
    0x11_0000,
    2**31 + 1,
    2**32 - 1,
]
TEXT_FAULTS = ("invalid utf-", "incomplete utf-8", "unpaired surrogate")


def hostile(seed: Any) -> bytes:
    words = [seed.choice(INTERESTING) if seed.random() < 0.7 else seed.getrandbits(32) for _ in range(HEAP // 4 + 16)]
    return struct.pack(f"<{len(words)}I", *words)


def ours_or_error(ty: wit.WitType, image: bytes, encoding: Encoding) -> Any:
    guest = FakeMemory(16 * PAGE)
    guest.room[HEAP : HEAP + len(image)] = image  # where the oracle was given it
    guest.room[: len(image)] = image
    codec = compile_values((ty,), PARAMS_FLAT_MAX)
    try:
        return codec.lift(guest.context(encoding=encoding), slots(codec.letters).unpack_from(image))[0]
    except GuestError as error:
        return error


async def theirs_or_error(oracle: Oracle, image: bytes) -> Any:
    try:
        return await oracle.value_of(image)
    except GuestError as error:
        return error


def said(answer: Any) -> str:
    """The value, or the reason why there is none."""
    if not isinstance(answer, GuestError):
        return repr(answer)  # a NaN is not equal to itself
    return "no text" if answer.message.startswith(TEXT_FAULTS) else answer.message


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_wasmtime_refuses_we_refuse_in_its_words(engine: Engine, encoding: Encoding) -> None:
    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(ty=types(6), seed=st.randoms(use_true_random=False))
    def check(ty: wit.WitType, seed: Any) -> None:
        oracle = Oracle(engine, ty, encoding)
        for _ in range(4):
            image = hostile(seed)
            ours = ours_or_error(ty, image, encoding)
            if not isinstance(ours, GuestBudgetExhausted):  # a list that is too long for us is not for wasmtime
                assert said(ours) == said(trio.run(theirs_or_error, oracle, image))

    check()
