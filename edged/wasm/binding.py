"""Host functions as C callbacks: decode the arguments, call the Python function, encode the answer.

A callback runs on the guest's fiber, inside a poll, and returns before anything switches. Nothing may leave it: an
exception that crosses back into wasmtime's frames kills the process, so everything is caught, kept on the instance,
and raised again by `Instance` when the poll has ended.
"""

from __future__ import annotations

import inspect
import struct
from collections.abc import Callable
from types import CoroutineType
from typing import Any, NamedTuple

from edged.errors import GuestBudgetExhausted, GuestRefused
from edged.host.interface import Err
from edged.wasm import ffi
from edged.wasm import types as wit
from edged.wasm.codec import Load, Store, compile_codec, compile_result
from edged.wasm.engine import Engine


class HostFunction(NamedTuple):
    """A Python function under a WIT name.

    Attributes:
        takes_invocation: its first argument is the `Invocation`; otherwise the first WIT argument is its `self`.
        suspends: it returns a coroutine, always (`async def`) or sometimes (`@may_suspend`).
    """

    name: str
    call: Callable[..., Any]
    takes_invocation: bool
    suspends: bool

    @classmethod
    def of(cls, name: str, call: Callable[..., Any], takes_invocation: bool) -> HostFunction:
        suspends = inspect.iscoroutinefunction(call) or getattr(call, "may_suspend", False)
        return cls(name, call, takes_invocation, suspends)


class Pending(NamedTuple):
    """A host call that the guest is suspended on, and where its answer goes."""

    coroutine: CoroutineType[Any, Any, Any]
    store_ok: Store
    store_err: Store | None
    results: int
    error: int


class Continuations:
    """The two answers to wasmtime's question whether a host call is done, as `wasmtime_async_continuation_t` bytes."""

    def __init__(self, engine: Engine) -> None:
        self._always = ffi.ContinuationCallback(lambda _env: True)
        self._when_answered = ffi.ContinuationCallback(lambda _env: engine.guest.pending is None)
        self.done = ffi.continuation(self._always)
        self.waiting = ffi.continuation(self._when_answered)


def _store_nothing(_guest: Any, _address: int, _value: Any) -> None:
    pass


def _stores(result: wit.WitType | None) -> tuple[Store, Store | None]:
    match result:
        case None:
            return _store_nothing, None
        case wit.Result():
            return compile_result(result)
        case _:
            return compile_codec(result).store, None


def _loads(params: tuple[wit.WitType, ...]) -> list[tuple[int, Load]]:
    return [(ffi.VAL_SIZE * index, compile_codec(param).load) for index, param in enumerate(params)]


def budget_exhausted(name: str) -> GuestBudgetExhausted:
    return GuestBudgetExhausted(f"too many host calls in one request; the last was {name}")


def bind(engine: Engine, function: HostFunction, ty: wit.Function) -> Any:
    """A callback that answers at once. Keep the result alive as long as the linker."""
    name, call, takes_invocation, _ = function
    loads = _loads(ty.params)
    store_ok, store_err = _stores(ty.result)

    def callback(
        _data: int, _context: int, _type: int, args: int, _count: int, results: int, _results_count: int
    ) -> int | None:
        guest = engine.guest
        try:
            guest.host_calls_left -= 1
            if guest.host_calls_left < 0:
                raise budget_exhausted(name)
            try:
                values = [load(guest, args + offset) for offset, load in loads]
                if takes_invocation:
                    store_ok(guest, results, call(guest.invocation, *values))
                else:
                    store_ok(guest, results, call(*values))
            except Err as err:
                if store_err is None:
                    raise
                store_err(guest, results, err.value)
        except BaseException as exc:
            return guest.fail(name, exc)  # type: ignore[no-any-return]
        return None

    return ffi.HostCallback(callback)


def bind_suspending(engine: Engine, function: HostFunction, ty: wit.Function, continuations: Continuations) -> Any:
    """A callback that may leave a coroutine behind as `guest.pending`, for `Instance` to await."""
    name, call, takes_invocation, _ = function
    loads = _loads(ty.params)
    store_ok, store_err = _stores(ty.result)
    done, waiting, memory = continuations.done, continuations.waiting, ffi.memory_view

    def callback(
        _data: int,
        _context: int,
        _type: int,
        args: int,
        _count: int,
        results: int,
        _results_count: int,
        error: int,
        continuation: int,
    ) -> None:
        guest = engine.guest
        try:
            memory[continuation : continuation + 24] = done
            guest.host_calls_left -= 1
            if guest.host_calls_left < 0:
                raise budget_exhausted(name)
            try:
                values = [load(guest, args + offset) for offset, load in loads]
                value = call(guest.invocation, *values) if takes_invocation else call(*values)
                if value.__class__ is CoroutineType:
                    guest.pending = Pending(value, store_ok, store_err, results, error)
                    memory[continuation : continuation + 24] = waiting
                else:
                    store_ok(guest, results, value)
            except Err as err:
                if store_err is None:
                    raise
                store_err(guest, results, err.value)
        except BaseException as exc:
            struct.pack_into("<Q", ffi.memory, error, guest.fail(name, exc))

    return ffi.HostAsyncCallback(callback)


def bind_refusal(engine: Engine, name: str) -> Any:
    """A callback for a function that edged does not provide: the request ends, and the message names it."""

    def callback(*_arguments: Any) -> int:
        refusal = GuestRefused(f"the guest called {name}, which is not provided")
        return engine.guest.fail(name, refusal)  # type: ignore[no-any-return]

    return ffi.HostCallback(callback)


def bind_destructor(engine: Engine) -> Any:
    """A callback for the guest's drop of a handle it owns."""

    def destructor(_data: int, _context: int, rep: int) -> int | None:
        guest = engine.guest
        try:
            resource = guest.handles.pop(rep, None)
            if resource is not None:
                resource.drop()
        except BaseException as exc:
            return guest.fail("resource drop", exc)  # type: ignore[no-any-return]
        return None

    return ffi.Destructor(destructor)
