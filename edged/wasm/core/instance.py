"""One instance of a core module, and calls of what it exports.

CoreInstance(program, invocation) -> instantiate() -> call(export, ...) -> close()
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Awaitable, Callable
from functools import partial

from edged.errors import GuestTrap
from edged.host.core_module import CoreModule, Session
from edged.host.interface import Invocation
from edged.host.memory import Memory, MemoryFault
from edged.wasm import ffi
from edged.wasm.core.binding import CorePending, load_result, store_result
from edged.wasm.core.program import CoreExport, CoreProgram
from edged.wasm.pool import Pool
from edged.wasm.store import GuestStore
from edged.wasm.trap import guest_error

# The layout of an instance's scratch buffer.
_INSTANCE = 0
_FUNC = _INSTANCE + ffi.CORE_INSTANCE_SIZE
_MEMORY = _FUNC + ffi.CORE_EXTERN_SIZE
_TRAP = _MEMORY + ffi.CORE_EXTERN_SIZE
_ERROR = _TRAP + 8
_VALUES = _ERROR + 8
_VALUES_MAX = 16  # parameters and results of one call
_OF = 8  # where the union of a wasmtime_extern_t begins
_Scratch = ctypes.c_char * (_VALUES + ffi.CORE_VAL_SIZE * _VALUES_MAX)
_FUNC_KIND = ffi.CORE_KIND["WASMTIME_EXTERN_FUNC"]
_MEMORY_KIND = ffi.CORE_KIND["WASMTIME_EXTERN_MEMORY"]
_NOTHING = memoryview(bytearray())
_memory_size = ffi.lib.wasmtime_memory_data_size


class CoreInstance(GuestStore):
    """An instance with a store of its own. Not reentrant: one call at a time. See `GuestStore`."""

    __slots__ = ("_address", "_buffer", "_memory", "_memory_address", "_sessions", "program")

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

    def fail(self, name: str, failure: BaseException) -> int:
        """Keep what a host function raised and return the trap that ends the guest."""
        if isinstance(failure, MemoryFault):
            failure = GuestTrap(f"the guest gave {name} an address outside of its memory")
        self.keep(name, failure)
        return ffi.new_trap("ended by the host")

    # --- life ---

    async def instantiate(self) -> None:
        address = self._address
        await self._drive(
            ffi.lib.wasmtime_instance_pre_instantiate_async(
                self.program.pre, self.context, address + _INSTANCE, address + _TRAP, address + _ERROR
            )
        )
        self._raise_failure()

    async def call(self, export: CoreExport, *arguments: int) -> int | None:
        """Call an export. Numbers come back unsigned.

        Raises:
            GuestError: the guest trapped, met a limit, or a host function ended it.
            HostFailed: a host function of ours raised.
        """
        address, lib = self._address, ffi.lib
        name, (params, result) = export.name.encode(), export.signature
        assert len(params) + len(result) <= _VALUES_MAX, export
        found = lib.wasmtime_instance_export_get(self.context, address + _INSTANCE, name, len(name), address + _FUNC)
        assert found, export
        assert self._buffer[_FUNC][0] == _FUNC_KIND, export
        slot = values = address + _VALUES
        for letter, argument in zip(params, arguments, strict=True):
            store_result(slot, letter, argument)
            slot += ffi.CORE_VAL_SIZE
        await self._drive(
            lib.wasmtime_func_call_async(
                self.context,
                address + _FUNC + _OF,
                values,
                len(params),
                slot,
                len(result),
                address + _TRAP,
                address + _ERROR,
            )
        )
        self._raise_failure()
        return load_result(slot, result) if result else None

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
        return failure

    def _held(self) -> int:
        return len(self._sessions)

    async def _answer(self, pending: CorePending) -> None:
        coroutine, name, result, results, trap = pending
        try:
            answer = await coroutine
            if result:
                store_result(results, result, answer)
        except Exception as exc:
            struct.pack_into("<Q", ffi.memory, trap, self.fail(name, exc))

    # --- inside ---

    def _find_memory(self, caller: int) -> None:
        slot = self._address + _MEMORY
        found = ffi.lib.wasmtime_caller_export_get(caller, b"memory", 6, slot)
        if found and self._buffer[_MEMORY][0] == _MEMORY_KIND:
            self._memory_address = slot + _OF
            self._look_at_memory(slot + _OF)
        else:
            self._memory_address = 0

    def _look_at_memory(self, where: int) -> None:
        start = ffi.lib.wasmtime_memory_data(self.context, where)
        self._memory.view = ffi.memory_view[start : start + _memory_size(self.context, where)]

    def _raise_failure(self) -> None:
        trap, error = struct.unpack_from("<QQ", self._buffer, _TRAP)
        if not (trap or error):
            return
        struct.pack_into("<QQ", self._buffer, _TRAP, 0, 0)
        text = ffi.trap_text(trap) if trap else ffi.error_text(error)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        raise guest_error(text)


class CorePool(Pool[CoreInstance]):
    """Instances of a core module."""

    def __init__(self, program: CoreProgram) -> None:
        super().__init__(program.limits, partial(CoreInstance, program), program.engine.turnstile)
        self.program = program
