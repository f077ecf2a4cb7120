"""Values of every type through a real component and back: host -> guest -> host -> guest -> host."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import component

from edged.errors import GuestBudgetExhausted, HostFailed
from edged.host.interface import Err, Interface, Invocation, Ok, Some
from edged.limits import LIST_COUNT_MAX, MiB
from edged.wasm import types as wit
from edged.wasm.engine import Engine
from edged.wasm.linker import Program
from tests.wasm.conftest import instance_of
from tests.wasm.mirror import mirror

P = wit.Primitive
U8, U32, STRING, F32 = P("U8"), P("U32"), P("STRING"), P("F32")


class Host(Interface):
    wit = "test:mirror/host"
    versions = ("",)

    def __init__(self, ty: wit.WitType, answer: Any = ...) -> None:
        self._is_result = isinstance(ty, wit.Result)
        self._answer = answer
        self.seen: Any = None

    def g(self, _invocation: Invocation, value: Any) -> Any:
        self.seen = value
        if self._answer is not ...:
            return self._answer
        if self._is_result:
            if isinstance(value, Err):
                raise value
            return value.value
        return value


async def call(engine: Engine, ty: wit.WitType, value: Any, host: Host) -> Any:
    program = Program(engine, component.Component(engine.wasmtime, mirror(ty)), [host])
    export = program.export("test:mirror/guest", "f")
    assert export is not None
    async with instance_of(program) as instance:
        return await instance.call(export, value)


async def reflect(engine: Engine, ty: wit.WitType, value: Any) -> Any:
    host = Host(ty)
    answer = await call(engine, ty, value, host)
    assert host.seen == value, "what the host was given"
    return answer


CASES: list[tuple[wit.WitType, list[Any]]] = [
    (P("BOOL"), [True, False]),
    (P("S8"), [-128, 127]),
    (U8, [0, 255]),
    (P("S16"), [-(2**15), 2**15 - 1]),
    (P("U16"), [0, 2**16 - 1]),
    (P("S32"), [-(2**31), 2**31 - 1]),
    (U32, [0, 2**32 - 1]),
    (P("S64"), [-(2**63), 2**63 - 1]),
    (P("U64"), [0, 2**64 - 1]),
    (F32, [0.0, -1.5, math.inf]),
    (P("F64"), [0.1, -math.inf]),
    (P("CHAR"), ["a", "\U0001f600"]),
    (STRING, ["", "a", "grüße \U0001f600", "nul\0inside"]),
    (wit.List(U8), [b"", b"\0", bytes(range(256)) * 100]),
    (wit.List(U32), [[], [1, 2, 3]]),
    (wit.List(wit.List(STRING)), [[], [[]], [["a"], ["b", ""]]]),
    (wit.Tuple((U8, STRING)), [(1, "one")]),
    (wit.Record((("name", STRING), ("body", wit.List(U8)), ("n", P("U64")))), [("x", b"y", 2)]),
    (wit.Variant((("none", None), ("text", STRING), ("number", P("F64")))), ["none", ("text", "t"), ("number", 0.5)]),
    (wit.Enum(("red", "green")), ["red", "green"]),
    (wit.Flags(("read", "write", "create")), [frozenset(), frozenset({"read"}), frozenset({"write", "create"})]),
    (wit.Option(STRING), [None, "", "there"]),
    (wit.Option(wit.Option(U8)), [None, Some(None), Some(3)]),
    (wit.Result(STRING, U32), [Ok("fine"), Err(7)]),
    (wit.Result(None, None), [Ok(), Err()]),
    (wit.Option(wit.Result(wit.Result(wit.Option(U8), STRING), None)), [None, Ok(Ok(None)), Ok(Err("e")), Err()]),
    (wit.Tuple((U8,) * 17), [tuple(range(17))]),
]


@pytest.mark.parametrize(("ty", "values"), CASES, ids=lambda case: str(case)[:40] if not isinstance(case, list) else "")
async def test_values_come_back(engine: Engine, ty: wit.WitType, values: list[Any]) -> None:
    for value in values:
        assert await reflect(engine, ty, value) == value


def _values(ty: wit.WitType) -> st.SearchStrategy[Any]:
    match ty:
        case wit.Primitive("BOOL"):
            return st.booleans()
        case wit.Primitive("CHAR"):
            return st.characters(exclude_categories=["Cs"])
        case wit.Primitive("STRING"):
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
        case wit.Primitive("F32"):
            return st.floats(width=32, allow_nan=False)
        case wit.Primitive("F64"):
            return st.floats(allow_nan=False)
        case wit.Primitive(kind):
            bits = int(kind[1:])
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind[0] == "S" else (0, 2**bits - 1)
            return st.integers(low, high)
        case wit.List(wit.Primitive("U8")):
            return st.binary(max_size=20)
        case wit.List(element):
            return st.lists(_values(element), max_size=3)
        case wit.Tuple(elements):
            return st.tuples(*map(_values, elements))
        case wit.Record(fields):
            return st.tuples(*(_values(value) for _, value in fields))
        case wit.Variant(cases):
            return st.one_of(
                st.just(key) if value is None else st.tuples(st.just(key), _values(value)) for key, value in cases
            )
        case wit.Enum(names):
            return st.sampled_from(names)
        case wit.Flags(names):
            return st.frozensets(st.sampled_from(names))
        case wit.Option(payload):
            inner = _values(payload)
            return st.none() | (inner.map(Some) if isinstance(payload, wit.Option) else inner)
        case wit.Result(ok, err):
            return st.one_of(
                (st.none() if ok is None else _values(ok)).map(Ok),
                (st.none() if err is None else _values(err)).map(Err),
            )
    raise AssertionError(ty)


_primitives = st.sampled_from([P(kind) for kind in ("BOOL", "S8", "U16", "S64", "U8", "F32", "F64", "CHAR", "STRING")])
_keys = st.lists(st.sampled_from(["a", "bb", "c-c", "d1"]), min_size=1, max_size=4, unique=True).map(tuple)


def _compounds(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def keyed(make: Any, payload: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return _keys.flatmap(
            lambda keys: st.tuples(*(payload for _ in keys)).map(lambda tys: make(tuple(zip(keys, tys, strict=True))))
        )

    maybe = st.none() | inner
    return st.one_of(
        inner.map(wit.List),
        inner.map(wit.Option),
        st.lists(inner, min_size=1, max_size=4).map(lambda tys: wit.Tuple(tuple(tys))),
        keyed(wit.Record, inner),
        keyed(wit.Variant, maybe),
        _keys.map(wit.Enum),
        _keys.map(wit.Flags),
        st.builds(wit.Result, maybe, maybe),
    )


_typed_values = st.recursive(_primitives, _compounds, max_leaves=6).flatmap(
    lambda ty: st.tuples(st.just(ty), _values(ty))
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=_typed_values)
def test_random_types_and_values_come_back(engine: Engine, case: tuple[wit.WitType, Any]) -> None:
    ty, value = case
    assert trio.run(reflect, engine, ty, value) == value


@pytest.mark.parametrize(
    ("ty", "value", "answer"),
    [
        (U8, 1, 256),
        (U8, 1, "one"),
        (STRING, "", b"bytes"),
        (wit.List(U8), b"", ["x"]),
        (wit.Tuple((U8, STRING)), (1, ""), (1,)),
        (wit.Tuple((U8, STRING)), (1, ""), (1, 2)),
        (wit.List(STRING), [], ["fine", 3]),
        (wit.Enum(("red",)), "red", "blue"),
        (wit.Variant((("a", None),)), "a", "b"),
        (wit.Record((("a", STRING), ("b", wit.List(STRING)))), ("", []), ("x", ["y", None])),
    ],
    ids=str,
)
async def test_nonsense_from_a_host_function_ends_the_request(
    engine: Engine, ty: wit.WitType, value: Any, answer: Any
) -> None:
    """Half-written values must be safe to free: two hundred times, so that a double free would show."""
    host = Host(ty, answer)
    for _ in range(200):
        with pytest.raises(HostFailed):
            await call(engine, ty, value, host)


BYTES = 4 * MiB


@pytest.mark.parametrize(
    ("ty", "value", "answer"),
    [
        (wit.List(P("CHAR")), [], bytes(BYTES // 32)),
        (wit.List(U8), b"", ["x"] * (BYTES // 32)),
        (wit.Tuple((STRING, U8)), ("", 0), ("x" * BYTES, None)),
        (wit.Record((("a", STRING), ("b", U8))), ("", 0), ("x" * BYTES, None)),
        (wit.Option(wit.Tuple((STRING, U8))), None, ("x" * BYTES, None)),
        (wit.Variant((("a", wit.Tuple((STRING, U8))),)), ("a", ("", 0)), ("a", ("x" * BYTES, None))),
        (wit.Result(wit.Tuple((STRING, U8)), None), Err(), ("x" * BYTES, None)),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, wit.WitType) else "",
)
async def test_half_written_values_are_freed(engine: Engine, ty: wit.WitType, value: Any, answer: Any) -> None:
    """A guest chooses the types that it imports a host function with, and could have the worker's memory this way."""
    host = Host(ty, answer)
    before = resident_bytes()
    for _ in range(60):
        with pytest.raises(HostFailed):
            await call(engine, ty, value, host)
    assert resident_bytes() - before < 60 * BYTES / 2


async def test_a_list_from_a_guest_has_so_many_values_and_not_one_more(engine: Engine) -> None:
    values = list(range(LIST_COUNT_MAX))
    assert await reflect(engine, wit.List(U32), values) == values
    with pytest.raises(GuestBudgetExhausted, match="a list of 4097 values"):
        await reflect(engine, wit.List(U32), [*values, 0])


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
