"""One instance of a component, and calls of what it exports.

    Instance(program, invocation) -> instantiate() -> call(export, ...) -> close()

How a call runs as part of a trio task is in `edged.wasm.store`.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from edged.errors import GuestBudgetExhausted
from edged.host.interface import Err, Invocation
from edged.wasm import ffi
from edged.wasm.binding import Pending
from edged.wasm.linker import Export, Program
from edged.wasm.store import GuestStore
from edged.wasm.trap import guest_error

# The layout of an instance's scratch buffer.
_INSTANCE = 0
_FUNC = _INSTANCE + ffi.INSTANCE_SIZE
_ERROR = _FUNC + ffi.FUNC_SIZE
_VALUES = _ERROR + 16
_EMPTY = ffi.KIND["BOOL"]  # owns nothing
_VALUES_MAX = 20  # arguments and results of one call: the canonical ABI has 16 flat parameters
_Scratch = ctypes.c_char * (_VALUES + ffi.VAL_SIZE * _VALUES_MAX)


class Instance(GuestStore):
    """An instance with a store of its own. Not reentrant: one call at a time. See `GuestStore`."""

    __slots__ = ("_address", "_buffer", "_handles_max", "_next_rep", "handles", "program")

    def __init__(
        self,
        program: Program,
        invocation: Invocation,
        before_wait: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(program.engine, program.limits, invocation, before_wait)
        self.program = program
        self.handles: dict[int, Any] = {}
        self._handles_max = program.limits.handles_max
        self._next_rep = 0
        self._buffer = _Scratch()
        self._address = ctypes.addressof(self._buffer)

    # --- the guest's handle table, for codecs ---

    def add_handle(self, value: Any) -> int:
        """Put a Python object into the table; its number is what the guest's handle stands for."""
        handles = self.handles
        if len(handles) >= self._handles_max:
            value.drop()  # it is the guest's, who cannot have it
            raise GuestBudgetExhausted(f"more than {self._handles_max} resource handles at once")
        self._next_rep = rep = self._next_rep + 1
        handles[rep] = value
        return rep

    def fail(self, name: str, failure: BaseException) -> int:
        """Keep what a host function raised and return the error that ends the guest."""
        self.keep(name, failure)
        return ffi.new_error("ended by the host")

    # --- life ---

    async def instantiate(self) -> None:
        program, address = self.program, self._address
        await self._drive(
            ffi.lib.wasmtime_component_linker_instantiate_async(
                program.linker, self.context, program.component, address + _INSTANCE, address + _ERROR
            )
        )
        self._raise_failure()

    async def call(self, export: Export, *arguments: Any) -> Any:
        """Call an export; values as in `edged.host.interface`.

        Raises:
            GuestError: the guest trapped, met a limit, or a host function ended it.
            HostFailed: a host function of ours raised.
        """
        address, lib = self._address, ffi.lib
        found = lib.wasmtime_component_instance_get_func(
            address + _INSTANCE, self.context, export.index, address + _FUNC
        )
        assert found, export.name
        slot = values = address + _VALUES
        try:
            for codec, argument in zip(export.params, arguments, strict=True):
                codec.store(self, slot, argument)
                slot += ffi.VAL_SIZE
            await self._drive(
                lib.wasmtime_component_func_call_async(
                    address + _FUNC,
                    self.context,
                    values,
                    len(arguments),
                    slot,
                    0 if export.result is None else 1,
                    address + _ERROR,
                )
            )
            self._raise_failure()
            if export.result is None:
                return None
            slot += ffi.VAL_SIZE
            return export.result.load(self, slot - ffi.VAL_SIZE)
        finally:
            while values < slot:
                lib.wasmtime_component_val_delete(values)
                ffi.memory_view[values] = _EMPTY  # the tag stays otherwise, and the next call would free it again
                values += ffi.VAL_SIZE

    # --- see GuestStore ---

    def _drop(self) -> Exception | None:
        failure: Exception | None = None
        while self.handles:
            _, resource = self.handles.popitem()
            try:
                resource.drop()
            except Exception as exc:
                failure = exc
        return failure

    def _held(self) -> int:
        return len(self.handles)

    async def _answer(self, pending: Pending) -> None:
        coroutine, store_ok, store_err, results, error = pending
        try:
            try:
                store_ok(self, results, await coroutine)
            except Err as err:
                if store_err is None:
                    raise
                store_err(self, results, err.value)
        except Exception as exc:
            struct.pack_into("<Q", ffi.memory, error, self.fail(coroutine.__qualname__, exc))

    def _raise_failure(self) -> None:
        (error,) = struct.unpack_from("<Q", self._buffer, _ERROR)
        if not error:
            return
        struct.pack_into("<Q", self._buffer, _ERROR, 0)
        text = ffi.error_text(error)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        raise guest_error(text)
