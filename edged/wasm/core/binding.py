"""Host functions for core modules as C callbacks: numbers in, the Python method called, a number out.

The rules of `edged.wasm.binding` hold: nothing may leave a callback, whatever it is.
"""

from __future__ import annotations

import struct
from types import CoroutineType
from typing import Any, NamedTuple

from edged.errors import GuestTrap
from edged.host.core_module import CoreModule, Signature
from edged.wasm import ffi
from edged.wasm.binding import Continuations, HostFunction, budget_exhausted
from edged.wasm.core_value import KIND, RAW, VAL, VAL_WITH_KIND, array
from edged.wasm.engine import Engine

_STORE = {letter: array(VAL_WITH_KIND, letter).pack_into for letter in KIND}
_LOAD = {letter: array(VAL, letter).unpack_from for letter in KIND}
_MASK = {"i": 0xFFFF_FFFF, "I": 0xFFFF_FFFF_FFFF_FFFF}


class Bound(NamedTuple):
    """A host function for a linker. Keep the callback alive as long as that.

    Attributes:
        suspends: the callback is an async one.
        signature: what the module has to import it as. Callbacks count on it: nothing else checks.
    """

    callback: Any
    suspends: bool
    signature: Signature


class CorePending(NamedTuple):
    """A host call that the guest is suspended on, and where its answer goes."""

    coroutine: CoroutineType[Any, Any, Any]
    name: str
    result: str
    results: int
    trap: int


def store_result(address: int, letter: str, value: Any) -> None:
    """Write a `wasmtime_val_t`."""
    if letter in _MASK:
        value &= _MASK[letter]
    _STORE[letter](ffi.memory, address, KIND[letter], value)


def load_result(address: int, letter: str) -> Any:
    """Read a `wasmtime_val_t`; integers unsigned."""
    return _LOAD[letter](ffi.memory, address)[0]


def bind(engine: Engine, module: CoreModule, name: str, continuations: Continuations) -> Bound:
    """A callback for one function."""
    function = HostFunction.of(f"{module.name}#{name}", getattr(module.session, name), takes_invocation=False)
    callback = (
        _bind_suspending(engine, module, function, name, continuations)
        if function.suspends
        else _bind(engine, module, function, name)
    )
    return Bound(callback, function.suspends, module.functions[name])


def _bind(engine: Engine, module: CoreModule, function: HostFunction, name: str) -> Any:
    full_name, method = function.name, function.call
    params, result = module.functions[name]
    load = array(RAW, params).unpack_from
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
    load = array(VAL, params).unpack_from
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
                if not guest.may_leave:
                    answer.close()
                    raise GuestTrap(f"the guest's allocator called {full_name}, which would have to wait")
                guest.pending = CorePending(answer, full_name, result, results, trap)
                memory[continuation : continuation + 24] = waiting
            elif result:
                store_result(results, result, answer)
        except BaseException as exc:
            struct.pack_into("<Q", ffi.memory, trap, guest.fail(full_name, exc))

    return ffi.CoreAsyncCallback(callback)
