"""Host functions of WIT interfaces for core modules: core values in, Python values to the host, core values out.

What `edged.wasm.core.binding` is for functions over numbers, by the canonical ABI: parameters are lifted out of the
guest's memory, results are lowered into memory that the guest's own allocator gives.

A result can only be lowered where the guest's allocator can run: on the guest's fiber. So the answer of a call that was
awaited is kept until wasmtime asks, from that fiber, whether the host function is done (`Resumption`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from types import CoroutineType
from typing import Any, NamedTuple

from edged.errors import GuestRefused
from edged.host.core_module import Signature
from edged.host.interface import Err, Interface, Resource
from edged.host.legacy.session import SessionInterface
from edged.wasm import ffi
from edged.wasm.binding import HostFunction
from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.core.binding import Bound
from edged.wasm.core.world import Drop, Imported, World
from edged.wasm.core_value import KIND, RAW, VAL, VAL_WITH_KIND, array
from edged.wasm.engine import Engine
from edged.wasm.linear.context import Context
from edged.wasm.linear.signature import Answer, compile_answer, compile_values
from edged.wasm.provide import by_name, provider, resolve
from edged.wasm.types import Function, Handle, Result, WitType

Finish = Callable[[Context, int, Any], None]
"""Write a host function's value where the guest looks for it: (context, where it said, value)."""

CANNOT_LEAVE = "cannot leave component instance"
"""wasmtime's words for a guest's allocator or post-return that calls the host."""


class CanonicalPending(NamedTuple):
    """A host call that the guest is suspended on.

    Attributes:
        where: see `Finish`.
        trap: where a `wasm_trap_t*` goes.
    """

    coroutine: CoroutineType[Any, Any, Any]
    name: str
    finish_ok: Finish
    finish_err: Finish | None
    where: int
    trap: int


class Arrived(NamedTuple):
    """What a host call came to that was awaited, until it is lowered."""

    pending: CanonicalPending
    finish: Finish
    value: Any


class Resumption:
    """The answer to wasmtime's question whether a host function is done, asked on the guest's fiber."""

    def __init__(self, engine: Engine) -> None:
        def resume(_env: int) -> bool:
            guest = engine.guest
            if guest.pending is not None:
                return False
            arrived, guest.arrived = guest.arrived, None
            if arrived is not None:
                pending = arrived.pending
                try:
                    arrived.finish(guest.canonical, pending.where, arrived.value)
                except BaseException as exc:
                    struct.pack_into("<Q", ffi.memory, pending.trap, guest.fail(pending.name, exc))
            return True

        self._callback = ffi.ContinuationCallback(resume)
        self.continuation = ffi.continuation(self._callback)
        """A `wasmtime_async_continuation_t`."""


class CanonicalImports:
    """What a world's imports resolve to.

    Args:
        interfaces: what the host provides.
        refusable: name prefixes of interfaces that are known but not provided.

    Attributes:
        refusals: full names of imported interfaces and functions that are refused when called.
    """

    def __init__(
        self, engine: Engine, world: World, interfaces: Iterable[Interface], refusable: Sequence[str] = ()
    ) -> None:
        self.refusals: list[str] = []
        self._engine = engine
        self._world = world
        self._provided = by_name(interfaces)
        self._refusable = tuple(refusable)
        self._resumption = Resumption(engine)

    def bind(self, module: str, item: str) -> Bound | None:
        """A callback for an import of the core module, or None for one that nobody knows."""
        found = self._world.imported(module, item)
        match found:
            case None:
                return None
            case Drop(resource):
                return _bind_drop(self._engine, resource, f"{module}#{item}")
            case Imported(name):
                interface = provider(self._provided, name)
                if interface is None and not name.startswith(self._refusable):
                    return None
                return self._bind_function(interface, found)

    def _bind_function(self, interface: Interface | None, found: Imported) -> Bound:
        name = f"{found.interface}#{found.item}"
        signature = signature_of(found.type)
        function = None if interface is None else _resolve(interface, name, found.item)
        if function is None:
            self.refusals.append(found.interface if interface is None else name)
            return _bind_refusal(self._engine, signature, name)
        call = _with_first_argument(function, interface)
        if function.suspends:
            return _bind_suspending(self._engine, name, call, found.type, self._resumption.continuation)
        return _bind(self._engine, name, call, found.type)


def signature_of(ty: Function) -> Signature:
    """The core signature that a lowered function has."""
    answer = compile_answer(ty.result)
    params = compile_values(ty.params, PARAMS_FLAT_MAX).letters
    return Signature(params + "i" * answer.by_pointer, answer.letters)


def _resolve(interface: Interface, name: str, item: str) -> HostFunction | None:
    if not isinstance(interface, SessionInterface):
        return resolve(interface, name, item)
    method = interface.functions.get(item)
    return None if method is None else HostFunction.of(name, getattr(interface.session, method), takes_invocation=False)


Call = Callable[[Any, list[Any]], Any]
"""(guest, arguments) -> value or coroutine."""


def _with_first_argument(function: HostFunction, interface: Interface | None) -> Call:
    method = function.call
    if isinstance(interface, SessionInterface):
        return lambda guest, arguments: method(guest.interface_session(interface), *arguments)
    if function.takes_invocation:
        return lambda guest, arguments: method(guest.invocation, *arguments)
    return lambda _guest, arguments: method(*arguments)


def _finishes(ty: Function, formats: dict[str, str], kinds: dict[str, int] | None) -> tuple[Finish, Finish | None]:
    """How a value and an error are written: to the address that the guest gave, or as one core value.

    Args:
        formats: of one core value, by letter.
        kinds: what stands before it; None for nothing.
    """
    answer = compile_answer(ty.result)
    finish_ok, finish_err = _plain_finishes(answer, formats, kinds)
    return (_dropping(finish_ok) if _is_own(ty.result) else finish_ok), finish_err


def _is_own(result: WitType | None) -> bool:
    """Whether a function gives one handle, and nothing beside it."""
    return isinstance(result.ok if isinstance(result, Result) else result, Handle)


def _dropping(finish: Finish) -> Finish:
    """What a guest is to own and cannot be given, for an address that is none, nobody else would ever drop."""

    def give(context: Context, where: int, value: Resource) -> None:
        try:
            finish(context, where, value)
        except BaseException:
            value.drop()
            raise

    return give


def _plain_finishes(
    answer: Answer, formats: dict[str, str], kinds: dict[str, int] | None
) -> tuple[Finish, Finish | None]:
    if answer.by_pointer:
        return answer.store_ok, answer.store_err

    def flat(lower: Callable[[Context, Any], list[Any]]) -> Finish:
        if not answer.letters:
            return lambda _context, _where, _value: None
        pack = array(formats, answer.letters).pack_into
        memory = ffi.memory
        if kinds is None:
            return lambda context, where, value: pack(memory, where, *lower(context, value))
        kind = kinds[answer.letters]
        return lambda context, where, value: pack(memory, where, kind, *lower(context, value))

    return flat(answer.lower_ok), None if answer.lower_err is None else flat(answer.lower_err)


def _bind(engine: Engine, name: str, call: Call, ty: Function) -> Bound:
    signature = signature_of(ty)
    values, by_pointer = compile_values(ty.params, PARAMS_FLAT_MAX), compile_answer(ty.result).by_pointer
    load = array(RAW, signature.params).unpack_from
    lift, memory = values.lift, ffi.memory
    finish_ok, finish_err = _finishes(ty, RAW, None)

    def callback(_data: int, caller: int, raw: int, _count: int) -> int | None:
        guest = engine.guest
        try:
            context = guest.enter(name, caller)
            numbers = load(memory, raw)
            arguments = lift(context, numbers)
            where = numbers[-1] if by_pointer else raw
            try:
                finish_ok(context, where, call(guest, arguments))
            except Err as err:
                if finish_err is None:
                    raise
                finish_err(context, where, err.value)
        except BaseException as exc:
            return guest.fail(name, exc)  # type: ignore[no-any-return]
        return None

    return Bound(ffi.CoreCallback(callback), False, signature)


def _bind_suspending(engine: Engine, name: str, call: Call, ty: Function, continuation_bytes: bytes) -> Bound:
    signature = signature_of(ty)
    values, by_pointer = compile_values(ty.params, PARAMS_FLAT_MAX), compile_answer(ty.result).by_pointer
    load = array(VAL, signature.params).unpack_from
    lift, memory, view = values.lift, ffi.memory, ffi.memory_view
    finish_ok, finish_err = _finishes(ty, VAL_WITH_KIND, KIND)

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
            view[continuation : continuation + 24] = continuation_bytes
            context = guest.enter(name, caller)
            numbers = load(memory, args)
            arguments = lift(context, numbers)
            where = numbers[-1] if by_pointer else results
            try:
                value = call(guest, arguments)
                if value.__class__ is CoroutineType:
                    guest.pending = CanonicalPending(value, name, finish_ok, finish_err, where, trap)
                else:
                    finish_ok(context, where, value)
            except Err as err:
                if finish_err is None:
                    raise
                finish_err(context, where, err.value)
        except BaseException as exc:
            struct.pack_into("<Q", memory, trap, guest.fail(name, exc))

    return Bound(ffi.CoreAsyncCallback(callback), True, signature)


def _bind_drop(engine: Engine, resource: int, name: str) -> Bound:
    load, memory = struct.Struct("<I").unpack_from, ffi.memory

    def callback(_data: int, _caller: int, raw: int, _count: int) -> int | None:
        guest = engine.guest
        try:
            guest.check_may_leave(name)
            handle = guest.table.drop(load(memory, raw)[0], resource)
            if handle.scope is None:
                handle.rep.drop()
        except BaseException as exc:
            return guest.fail(name, exc)  # type: ignore[no-any-return]
        return None

    return Bound(ffi.CoreCallback(callback), False, Signature("i", ""))


def _bind_refusal(engine: Engine, signature: Signature, name: str) -> Bound:
    def callback(*_arguments: Any) -> int:
        refusal = GuestRefused(f"the guest called {name}, which is not provided")
        return engine.guest.fail(name, refusal)  # type: ignore[no-any-return]

    return Bound(ffi.CoreCallback(callback), False, signature)
