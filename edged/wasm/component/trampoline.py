"""Trampolines as C callbacks: core values in, an operation called, a core value out.

An operation is a Python function `(instance, values) -> value or None`; what it raises ends the guest. Most answer at
once and are bound as they are. One that may have to wait returns a `Wait`, and is bound as an asynchronous function of
wasmtime's, which parks the fiber: see `edged.wasm.component.fiber`.

The rules of `edged.wasm.binding` hold: a callback returns before anything switches, and nothing may leave it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import wasmtime

from edged.errors import GuestTrap
from edged.wasm import ffi
from edged.wasm.component.fiber import Number, Wait
from edged.wasm.component.messages import CANNOT_BLOCK_HERE
from edged.wasm.core_value import KIND, RAW, VAL, VAL_WITH_KIND, array
from edged.wasm.plan.plan import CoreSignature, Trampoline

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.program import ComponentProgram
    from edged.wasm.engine import Engine

Values = Sequence[Any]
Answer = int | float | None


class Operation(NamedTuple):
    """What a trampoline does.

    Attributes:
        name: for messages.
        may_wait: it may return a `Wait`.
    """

    name: str
    call: Callable[[Instance, Values], Answer | Wait]
    may_wait: bool = False


_TYPES: dict[str, Callable[[], wasmtime.ValType]] = {
    "i": wasmtime.ValType.i32,
    "I": wasmtime.ValType.i64,
    "f": wasmtime.ValType.f32,
    "F": wasmtime.ValType.f64,
}
_NAMES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
_pointer = struct.Struct("<Q").pack_into


class Continuations:
    """The two answers to wasmtime's question whether a trampoline is done, as `wasmtime_async_continuation_t` bytes."""

    def __init__(self, engine: Engine) -> None:
        def go_on(_env: int) -> bool:
            instance = engine.guest
            fiber = instance.fiber
            wait = fiber.wait
            if not wait.done:
                return False
            fiber.wait = None
            try:
                answer = wait.finish()
                if wait.store is not None:
                    wait.store(ffi.memory, wait.results, answer)
            except BaseException as exc:
                _pointer(ffi.memory, wait.trap, instance.fail(wait.name, exc))
            return True

        self._always = ffi.ContinuationCallback(lambda _env: True)
        self._go_on = ffi.ContinuationCallback(go_on)
        self.done = ffi.continuation(self._always)
        self.waiting = ffi.continuation(self._go_on)


def function_type(signature: CoreSignature) -> wasmtime.FuncType:
    return wasmtime.FuncType(
        [_TYPES[letter]() for letter in signature.params], [_TYPES[letter]() for letter in signature.results]
    )


def define(program: ComponentProgram, trampoline: Trampoline, operation: Operation) -> tuple[Any, Any]:
    """Put a trampoline into the program's linker. Keep the result alive as long as that."""
    bind = _bind_waiting if operation.may_wait else _bind
    callback = bind(program, operation, trampoline.signature)
    kind = function_type(trampoline.signature)
    program.define(trampoline, kind, callback, is_async=operation.may_wait)
    return callback, kind


def forwarder(engine: Engine, trampoline: Trampoline) -> wasmtime.Module:
    """A module that exports a trampoline as `f`."""
    params = "".join(f" (param {_NAMES[letter]})" for letter in trampoline.signature.params)
    results = "".join(f" (result {_NAMES[letter]})" for letter in trampoline.signature.results)
    text = f'(module (import "h" "{trampoline.index}" (func{params}{results})) (export "f" (func 0)))'
    return wasmtime.Module(engine.wasmtime, text)


def _bind(program: ComponentProgram, operation: Operation, signature: CoreSignature) -> Any:
    engine, memory = program.engine, ffi.memory
    name, call, _ = operation
    load = array(RAW, signature.params).unpack_from
    if signature.results:
        store = array(RAW, signature.results).pack_into

        def callback(_data: int, _caller: int, raw: int, _count: int) -> int | None:
            instance = engine.guest
            try:
                store(memory, raw, call(instance, load(memory, raw)))
            except BaseException as exc:
                return instance.fail(name, exc)  # type: ignore[no-any-return]
            return None

    else:

        def callback(_data: int, _caller: int, raw: int, _count: int) -> int | None:
            instance = engine.guest
            try:
                call(instance, load(memory, raw))
            except BaseException as exc:
                return instance.fail(name, exc)  # type: ignore[no-any-return]
            return None

    return ffi.CoreCallback(callback)


def _bind_waiting(program: ComponentProgram, operation: Operation, signature: CoreSignature) -> Any:
    engine, memory, memory_view = program.engine, ffi.memory, ffi.memory_view
    name, call, _ = operation
    load = array(VAL, signature.params).unpack_from
    store = _value_store(signature.results)
    done, waiting = program.continuations.done, program.continuations.waiting

    def callback(
        _data: int,
        _caller: int,
        args: int,
        _count: int,
        results: int,
        _results_count: int,
        trap: int,
        continuation: int,
    ) -> None:
        instance = engine.guest
        try:
            memory_view[continuation : continuation + 24] = done
            answer = call(instance, load(memory, args))
            if isinstance(answer, Wait):
                if instance.nested:
                    raise GuestTrap(CANNOT_BLOCK_HERE)
                answer.name, answer.store, answer.results, answer.trap = name, store, results, trap
                instance.fiber.wait = answer
                memory_view[continuation : continuation + 24] = waiting
            elif store is not None:
                store(memory, results, answer)  # type: ignore[arg-type]
        except BaseException as exc:
            _pointer(memory, trap, instance.fail(name, exc))

    return ffi.CoreAsyncCallback(callback)


def _value_store(letter: str) -> Callable[[Any, int, Number], None] | None:
    """Writes a `wasmtime_val_t`."""
    if not letter:
        return None
    pack, kind = array(VAL_WITH_KIND, letter).pack_into, KIND[letter]

    def store(memory: Any, address: int, value: Number) -> None:
        pack(memory, address, kind, value)

    return store
