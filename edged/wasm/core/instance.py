"""One instance of a core module, and calls of what it exports.

CoreInstance(program, invocation) -> instantiate() -> call(export, ...) -> close()
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Awaitable, Callable, Container
from functools import partial
from typing import Any

from edged.errors import GuestTrap
from edged.host.core_module import CoreModule, Session
from edged.host.interface import Err, Invocation
from edged.host.legacy.session import SessionInterface
from edged.host.memory import Memory, MemoryFault
from edged.wasm import ffi
from edged.wasm.binding import budget_exhausted
from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.core.allocator import FRAME_SIZE, Allocator
from edged.wasm.core.binding import CorePending, load_result, store_result
from edged.wasm.core.canonical import CANNOT_LEAVE, Arrived, CanonicalPending
from edged.wasm.core.lifted import LiftedExport
from edged.wasm.core.program import CoreExport, CoreProgram
from edged.wasm.linear.context import Context, Realloc, linear_memory
from edged.wasm.linear.table import HandleTable
from edged.wasm.pool import Pool
from edged.wasm.store import GuestStore
from edged.wasm.trap import guest_error
from edged.wasm.types import Future, Stream

# The layout of an instance's scratch buffer.
_INSTANCE = 0
_FUNC = _INSTANCE + ffi.CORE_INSTANCE_SIZE
_MEMORY = _FUNC + ffi.CORE_EXTERN_SIZE
_TRAP = _MEMORY + ffi.CORE_EXTERN_SIZE
_ERROR = _TRAP + 8
_REALLOC = _ERROR + 8
_FRAME = _REALLOC + ffi.CORE_EXTERN_SIZE
_VALUES = _FRAME + FRAME_SIZE
_VALUES_MAX = PARAMS_FLAT_MAX + 1  # parameters and results of one call
_OF = 8  # where the union of a wasmtime_extern_t begins
_Scratch = ctypes.c_char * (_VALUES + ffi.CORE_VAL_SIZE * _VALUES_MAX)
_FUNC_KIND = ffi.CORE_KIND["WASMTIME_EXTERN_FUNC"]
_MEMORY_KIND = ffi.CORE_KIND["WASMTIME_EXTERN_MEMORY"]
_NOTHING = memoryview(bytearray())
_memory_size = ffi.lib.wasmtime_memory_data_size


class CoreInstance(GuestStore):
    """An instance with a store of its own. Not reentrant: one call at a time. See `GuestStore`."""

    __slots__ = (
        "_address",
        "_allocator",
        "_buffer",
        "_memory",
        "_memory_address",
        "_sessions",
        "arrived",
        "canonical",
        "may_leave",
        "program",
        "table",
    )
    defines: Container[int] = ()
    """See `edged.wasm.linear.context.HandleOwner`: there are no resource types of a core module's own."""

    def __init__(
        self,
        program: CoreProgram,
        invocation: Invocation,
        before_wait: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(program.engine, program.limits, invocation, before_wait)
        self.program = program
        self._sessions: dict[str, Session] = {}
        self._memory = Memory(_NOTHING)
        self._memory_address: int | None = None
        self._buffer = _Scratch()
        self._address = ctypes.addressof(self._buffer)
        self._allocator: Allocator | None = None
        self.table = HandleTable(program.limits.handles_max)
        self.canonical: Context | None = None
        """What values of WIT are lifted from and lowered to, from the first of them on."""
        self.may_leave = True
        """Not while its allocator or a post-return runs: that must not call the host's interfaces."""
        self.arrived: Arrived | None = None
        """A result that waits for the guest's fiber to be lowered on."""

    # --- for callbacks ---

    def session(self, module: CoreModule, caller: int) -> Session:
        """This instance's session of a host module, with the guest's memory as it is now.

        Args:
            caller: `wasmtime_caller_t*`, which knows the exports even of an instance that is only being made.
        """
        where = self._memory_address
        if where is None:
            self._find_memory(caller)
        elif where and _memory_size(self.context, where) != len(self._memory.view):
            self._look_at_memory(where)
        session = self._sessions.get(module.name)
        if session is None:
            session = self._sessions[module.name] = module.open(self.invocation, self._memory)
        return session

    def interface_session(self, interface: SessionInterface) -> Session:
        """This instance's session of an interface that has them."""
        session = self._sessions.get(interface.wit)
        if session is None:
            session = self._sessions[interface.wit] = interface.open(self.invocation)
        return session

    def enter(self, name: str, caller: int) -> Context:
        """Take note of a call of a host's interface.

        Args:
            name: full name of the function.
            caller: `wasmtime_caller_t*`.

        Raises:
            GuestError: the guest may not make it.
        """
        self.host_calls_left -= 1
        if self.host_calls_left < 0:
            raise budget_exhausted(name)
        self.check_may_leave(name)
        return self.canonical or self._open_canonical(caller)

    def check_may_leave(self, name: str) -> None:
        """
        Raises:
            GuestTrap: the guest is where it must not call the host's interfaces.
        """
        if not self.may_leave:
            raise GuestTrap(f"{CANNOT_LEAVE}: the guest's allocator or post-return called {name}")

    def fail(self, name: str, failure: BaseException) -> int:
        """Keep what a host function raised and return the trap that ends the guest."""
        if isinstance(failure, MemoryFault):
            failure = GuestTrap(f"the guest gave {name} an address outside of its memory")
        self.keep(name, failure)
        return ffi.new_trap("ended by the host")

    def raise_failure(self, trap: int, error: int) -> None:
        """Raise what ended the guest: the exception that a host function left, or what wasmtime says.

        Args:
            trap, error: what wasmtime gave; one may be null.
        """
        text = ffi.trap_text(trap) if trap else ffi.error_text(error)
        failure, self.failure = self.failure, None
        raise guest_error(text) if failure is None else failure

    # --- see `HandleOwner`: WASI 0.2 has no streams and futures of the component model ---

    def take_stream(self, _index: int, _ty: Stream) -> Any:
        raise GuestTrap("a core module has no streams")

    def give_stream(self, _value: Any, _ty: Stream) -> int:
        raise GuestTrap("a core module has no streams")

    def take_future(self, _index: int, _ty: Future) -> Any:
        raise GuestTrap("a core module has no futures")

    def give_future(self, _value: Any, _ty: Future) -> int:
        raise GuestTrap("a core module has no futures")

    # --- life ---

    async def instantiate(self) -> None:
        address = self._address
        await self._drive(
            ffi.lib.wasmtime_instance_pre_instantiate_async(
                self.program.pre, self.context, address + _INSTANCE, address + _TRAP, address + _ERROR
            )
        )
        self._check_outcome()
        initializer = self.program.initializer
        if initializer is not None:
            await self.call(initializer)

    async def call(self, export: CoreExport | LiftedExport, *arguments: Any) -> Any:
        """Call an export: one of numbers, which come back unsigned, or one of values as in `edged.host.interface`.

        Raises:
            GuestError: the guest trapped, met a limit, or a host function ended it.
            HostFailed: a host function of ours raised.
        """
        values = self._address + _VALUES
        if isinstance(export, CoreExport):
            for index, (letter, argument) in enumerate(zip(export.signature.params, arguments, strict=True)):
                store_result(values + index * ffi.CORE_VAL_SIZE, letter, argument)
            slot = await self._call(export)
            return load_result(slot, export.signature.result) if export.signature.result else None
        context = self.canonical or self._open_canonical(None)
        numbers = export.params.lower(context, arguments)
        flat = [part for pair in zip(export.kinds, numbers, strict=True) for part in pair]
        export.store(ffi.memory, values, *flat)
        slot = await self._call(export.core)
        returned = export.load(ffi.memory, slot)
        answer = export.answer.lift(context, returned)
        if export.post_return is not None:
            for letter, number in zip(export.post_return.signature.params, returned, strict=True):
                store_result(values, letter, number)
            self.may_leave = False
            try:
                await self._call(export.post_return)
            finally:
                self.may_leave = True
        return answer

    async def _call(self, export: CoreExport) -> int:
        """Call an export with the values that are in their place. Returns where the result is."""
        address, lib = self._address, ffi.lib
        name, (params, result) = export.name.encode(), export.signature
        assert len(params) + len(result) <= _VALUES_MAX, export
        found = lib.wasmtime_instance_export_get(self.context, address + _INSTANCE, name, len(name), address + _FUNC)
        assert found, export
        assert self._buffer[_FUNC][0] == _FUNC_KIND, export
        slot = address + _VALUES + len(params) * ffi.CORE_VAL_SIZE
        await self._drive(
            lib.wasmtime_func_call_async(
                self.context,
                address + _FUNC + _OF,
                address + _VALUES,
                len(params),
                slot,
                len(result),
                address + _TRAP,
                address + _ERROR,
            )
        )
        self._check_outcome()
        return slot

    # --- see GuestStore ---

    def _drop(self) -> Exception | None:
        failure: Exception | None = None
        self._memory.view = _NOTHING  # whoever still has it must not reach into a store that is gone
        while self._sessions:
            _, session = self._sessions.popitem()
            try:
                session.close()
            except Exception as exc:
                failure = exc
        if self.canonical is not None:
            self.canonical.close()
            self.canonical = None
        if self._allocator is not None:
            self._allocator.close()
        for handle in self.table.clear():
            try:
                handle.rep.drop()
            except Exception as exc:
                failure = exc
        return failure

    def _held(self) -> int:
        return len(self.table) + len(self._sessions)

    async def _answer(self, pending: CorePending | CanonicalPending) -> None:
        try:
            if isinstance(pending, CanonicalPending):
                self.arrived = await self._arrive(pending)
                return
            coroutine, _, result, results, _ = pending
            answer = await coroutine
            if result:
                store_result(results, result, answer)
        except Exception as exc:
            struct.pack_into("<Q", ffi.memory, pending.trap, self.fail(pending.name, exc))

    # --- inside ---

    async def _arrive(self, pending: CanonicalPending) -> Arrived:
        try:
            return Arrived(pending, pending.finish_ok, await pending.coroutine)
        except Err as err:
            if pending.finish_err is None:
                raise
            return Arrived(pending, pending.finish_err, err.value)

    def _open_canonical(self, caller: int | None) -> Context:
        """
        Args:
            caller: None outside of any call of the host.
        """
        address, program = self._address, self.program
        if not self._memory_address:
            self._find_memory(caller)
        look = linear_memory(self.context, self._memory_address) if self._memory_address else None
        realloc: Realloc = _no_allocator
        if program.realloc is not None and self._export(caller, program.realloc, _REALLOC, _FUNC_KIND):
            assert program.world is not None
            realloc = self._allocator = Allocator(
                self, address + _REALLOC + _OF, address + _FRAME, program.world.is_old
            )
        self.canonical = context = Context(self, look, realloc)
        return context

    def _export(self, caller: int | None, export: str, slot: int, kind: int) -> bool:
        """Look for an export of a kind, of an instance that may only be being made."""
        name, at = export.encode(), self._address + slot
        if caller is None:
            instance = self._address + _INSTANCE
            found = ffi.lib.wasmtime_instance_export_get(self.context, instance, name, len(name), at)
        else:
            found = ffi.lib.wasmtime_caller_export_get(caller, name, len(name), at)
        return bool(found and self._buffer[slot][0] == kind)

    def _find_memory(self, caller: int | None) -> None:
        self._memory_address = 0
        if self._export(caller, "memory", _MEMORY, _MEMORY_KIND):
            self._memory_address = self._address + _MEMORY + _OF
            self._look_at_memory(self._memory_address)

    def _look_at_memory(self, where: int) -> None:
        start = ffi.lib.wasmtime_memory_data(self.context, where)
        self._memory.view = ffi.memory_view[start : start + _memory_size(self.context, where)]

    def _check_outcome(self) -> None:
        """Raise what ended the guest, if anything did."""
        trap, error = struct.unpack_from("<QQ", self._buffer, _TRAP)
        if trap or error:
            struct.pack_into("<QQ", self._buffer, _TRAP, 0, 0)
            self.raise_failure(trap, error)


def _no_allocator(_old: int, _old_size: int, _align: int, _size: int) -> int:
    raise GuestTrap("the guest exports no allocator, and is given what needs one")


class CorePool(Pool[CoreInstance]):
    """Instances of a core module."""

    def __init__(self, program: CoreProgram) -> None:
        super().__init__(program.limits, partial(CoreInstance, program), program.engine.turnstile)
        self.program = program
