"""Host functions for core modules as C callbacks: numbers in, the Python method called, a number out.

The rules of `edged.wasm.binding` hold: nothing may leave a callback, whatever it is.
"""

from __future__ import annotations

import struct
from types import CoroutineType
from typing import Any, NamedTuple

from edged.host.core_module import CoreModule
from edged.wasm import ffi
from edged.wasm.binding import Continuations, HostFunction, budget_exhausted
from edged.wasm.engine import Engine

_RAW = {"i": "I12x", "I": "Q8x"}  # of a wasmtime_val_raw_t
_VAL = {"i": "8xI20x", "I": "8xQ16x"}  # of a wasmtime_val_t, behind its kind
_RESULT = struct.Struct("<B7xQ")  # a wasmtime_val_t: an i32 is the low half of the union
_MASK = {"i": 0xFFFF_FFFF, "I": 0xFFFF_FFFF_FFFF_FFFF}
KINDS = {"i": ffi.CORE_KIND["WASMTIME_I32"], "I": ffi.CORE_KIND["WASMTIME_I64"]}


class CorePending(NamedTuple):
    """A host call that the guest is suspended on, and where its answer goes."""

    coroutine: CoroutineType[Any, Any, Any]
    name: str
    result: str
    results: int
    trap: int


def store_result(address: int, letter: str, value: int) -> None:
    """Write a `wasmtime_val_t`."""
    _RESULT.pack_into(ffi.memory, address, KINDS[letter], value & _MASK[letter])


def load_result(address: int, letter: str) -> int:
    """Read a `wasmtime_val_t`, unsigned."""
    number: int = _RESULT.unpack_from(ffi.memory, address)[1]
    return number & _MASK[letter]


def bind(engine: Engine, module: CoreModule, name: str, continuations: Continuations) -> tuple[Any, bool]:
    """A callback for one function, and whether it is an async one. Keep it alive as long as the linker."""
    function = HostFunction.of(f"{module.name}#{name}", getattr(module.session, name), takes_invocation=False)
    if function.suspends:
        return _bind_suspending(engine, module, function, name, continuations), True
    return _bind(engine, module, function, name), False


def _bind(engine: Engine, module: CoreModule, function: HostFunction, name: str) -> Any:
    full_name, method = function.name, function.call
    params, result = module.functions[name]
    load = struct.Struct("<" + "".join(_RAW[letter] for letter in params)).unpack_from
    store = struct.Struct("<Q").pack_into
    mask = _MASK[result] if result else 0

    def callback(_data: int, caller: int, raw: int, _count: int) -> int | None:
        guest = engine.guest
        try:
            guest.host_calls_left -= 1
            if guest.host_calls_left < 0:
                raise budget_exhausted(full_name)
            answer = method(guest.session(module, caller), *load(ffi.memory, raw))
            if mask:
                store(ffi.memory, raw, answer & mask)
        except BaseException as exc:
            return guest.fail(full_name, exc)  # type: ignore[no-any-return]
        return None

    return ffi.CoreCallback(callback)


def _bind_suspending(
    engine: Engine, module: CoreModule, function: HostFunction, name: str, continuations: Continuations
) -> Any:
    full_name, method = function.name, function.call
    params, result = module.functions[name]
    load = struct.Struct("<" + "".join(_VAL[letter] for letter in params)).unpack_from
    done, waiting, memory = continuations.done, continuations.waiting, ffi.memory_view

    def callback(
        _data: int,
        caller: int,
        args: int,
        _count: int,
        results: int,
        _results_count: int,
        trap: int,
        continuation: int,
    ) -> None:
        guest = engine.guest
        try:
            memory[continuation : continuation + 24] = done
            guest.host_calls_left -= 1
            if guest.host_calls_left < 0:
                raise budget_exhausted(full_name)
            answer = method(guest.session(module, caller), *load(ffi.memory, args))
            if answer.__class__ is CoroutineType:
                guest.pending = CorePending(answer, full_name, result, results, trap)
                memory[continuation : continuation + 24] = waiting
            elif result:
                store_result(results, result, answer)
        except BaseException as exc:
            struct.pack_into("<Q", ffi.memory, trap, guest.fail(full_name, exc))

    return ffi.CoreAsyncCallback(callback)
