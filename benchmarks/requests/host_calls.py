"""What one host call costs: the callback, the codecs of its arguments and answer, and an empty Python function.

On both paths of components: wasmtime's component C API, and its core API with our own canonical ABI. The peer is
wasmtime-py's own way of doing the same: its Linker and its value conversion, with the same guest.
"""

from __future__ import annotations

import ctypes
import dataclasses
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, ClassVar

import trio
import wasmtime
from wasmtime import component

from edged.host.budget import Budget
from edged.host.interface import Interface, Invocation, Ok, Resource
from edged.limits import GuestLimits
from edged.wasm import ffi
from edged.wasm import types as wit
from edged.wasm.cache import AotCache
from edged.wasm.codec import compile_codec
from edged.wasm.component.instance import Instance as ComponentInstance
from edged.wasm.component.program import ComponentProgram
from edged.wasm.engine import Engine, PoolConfig, fingerprint
from edged.wasm.instance import Instance
from edged.wasm.linker import Program
from edged.wasm.loader import load_component

GUEST = Path(__file__).with_name("calls.wat")
CALLS = 20_000
ROUNDS = 7

SHAPES = {
    "nothing": "()",
    "number": "(u32) -> u32",
    "text": "(string of 20) -> option<string of 20>",
    "bytes": "(list<u8> of 100) -> result<_, u8>",
    "touch": "(borrow<thing>)",
    "make": "() -> own<thing>, and its drop",
}


class Thing(Resource):
    def touch(self) -> None: ...


class Calls(Interface):
    wit = "bench:host/calls"
    versions = ("",)
    resources: ClassVar = {"thing": Thing}

    def nothing(self, _invocation: Invocation) -> None: ...

    def number(self, _invocation: Invocation, value: int) -> int:
        return value

    def text(self, _invocation: Invocation, value: str) -> str:
        return value

    def bytes(self, _invocation: Invocation, value: bytes) -> None: ...

    def make(self, _invocation: Invocation) -> Thing:
        return Thing()


class _Nowhere:
    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


LIMITS = dataclasses.replace(GuestLimits(), host_calls_max=10**9, cpu_s_max=600.0)


async def ours() -> dict[str, float]:
    """Median microseconds per host call on the C API, by shape."""
    engine = Engine(PoolConfig())
    program = Program(engine, component.Component(engine.wasmtime, GUEST.read_text()), [Calls()], (), LIMITS)
    instance = Instance(program, _invocation())
    await instance.instantiate()
    try:
        return await _measure(program, instance)
    finally:
        instance.close()


async def ours_on_core_api() -> dict[str, float]:
    """The same on the core API."""
    async with open_on_core_api() as (program, instance):
        return await _measure(program, instance)


@asynccontextmanager
async def open_on_core_api() -> AsyncIterator[tuple[ComponentProgram, ComponentInstance]]:
    """The guest on the core API, instantiated."""
    engine = Engine(PoolConfig())
    with TemporaryDirectory(prefix="edged-bench-") as name:
        binary = Path(name) / "calls.wasm"
        binary.write_bytes(wasmtime.wat2wasm(GUEST.read_text()))
        cache = AotCache(Path(name) / "cache", fingerprint(PoolConfig()))
        compiled = (await load_component(engine, cache, binary, form="plan")).compiled
        program = ComponentProgram(engine, compiled, [Calls()], (), LIMITS)
        instance = ComponentInstance(program, _invocation())
        await instance.instantiate()
        try:
            yield program, instance
        finally:
            instance.close()


def _invocation() -> Invocation:
    return Invocation("bench", _Nowhere(), _Nowhere(), Budget())


async def _measure(program: Any, instance: Any) -> dict[str, float]:
    costs = {}
    for shape in SHAPES:
        export = program.export("bench:guest/run", shape)
        assert export is not None
        times = []
        for _ in range(ROUNDS):
            started = perf_counter()
            await instance.call(export, CALLS)
            times.append((perf_counter() - started) / CALLS * 1e6)
        costs[shape] = statistics.median(times)
    return costs


def wasmtime_py() -> dict[str, float]:
    """The same through wasmtime-py's own component layer."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    linker = component.Linker(engine)
    thing = component.ResourceType.host(1)
    with linker.root() as root, root.add_instance("bench:host/calls") as host:
        host.add_resource("thing", thing, lambda _store, _rep: None)
        host.add_func("nothing", lambda _store: None)
        host.add_func("number", lambda _store, value: value)
        host.add_func("text", lambda _store, value: value)
        host.add_func("bytes", lambda _store, _value: None)
        host.add_func("make", lambda _store: component.ResourceHost.own(1, 1))
        host.add_func("[method]thing.touch", lambda store, thing: thing.drop(store))
    compiled = component.Component(engine, GUEST.read_text())
    instance = linker.instantiate(store, compiled)
    outer = compiled.get_export_index("bench:guest/run")
    costs = {}
    for shape in SHAPES:
        index = compiled.get_export_index(shape, outer)
        assert index is not None
        function = instance.get_func(store, index)
        assert function is not None
        calls = CALLS // 10
        times = []
        for _ in range(ROUNDS):
            started = perf_counter()
            function(store, calls)
            function.post_return(store)
            times.append((perf_counter() - started) / calls * 1e6)
        costs[shape] = statistics.median(times)
    return costs


_U8, _TEXT = wit.Primitive("U8"), wit.Primitive("STRING")
# Argument, its value, result, its value: for shapes whose codecs need no instance. Handles show in what they add.
_CODECS: dict[str, tuple[wit.WitType, Any, wit.WitType, Any]] = {
    "number": (wit.Primitive("U32"), 7, wit.Primitive("U32"), 7),
    "text": (_TEXT, "x" * 20, wit.Option(_TEXT), "x" * 20),
    "bytes": (wit.List(_U8), bytes(100), wit.Result(None, _U8), Ok()),
}


def codecs() -> dict[str, float]:
    """Median microseconds of our codecs alone: load the argument, store the answer and free it."""
    costs = {}
    buffer = ctypes.create_string_buffer(2 * ffi.VAL_SIZE)
    argument = ctypes.addressof(buffer)
    answer = argument + ffi.VAL_SIZE
    free = ffi.lib.wasmtime_component_val_delete
    for shape, (taken, value, given, result) in _CODECS.items():
        load, put = compile_codec(taken)
        put(None, argument, value)
        store = compile_codec(given).store
        times = []
        for _ in range(ROUNDS):
            started = perf_counter()
            for _ in range(CALLS):
                load(None, argument)
                store(None, answer, result)
                free(answer)
            times.append((perf_counter() - started) / CALLS * 1e6)
        free(argument)
        costs[shape] = statistics.median(times)
    return costs


def measure() -> list[dict[str, Any]]:
    """One row per shape: `edged_us` of the whole call, `codec_us` of it, `core_api_us` on the core API, the peer, and
    how many times ours on the C API it takes.

    What `list<u8>` costs beyond its codec is wasmtime's: it lifts 32 bytes for each.
    """
    mine, core, peer, alone = trio.run(ours), trio.run(ours_on_core_api), wasmtime_py(), codecs()
    return [
        {
            "shape": text,
            "edged_us": round(mine[shape], 2),
            "codec_us": round(alone.get(shape, mine[shape] - mine["nothing"]), 2),
            "core_api_us": round(core[shape], 2),
            "wasmtime_py_us": round(peer[shape], 2),
            "ratio": round(peer[shape] / mine[shape], 1),
        }
        for shape, text in SHAPES.items()
    ]
