"""One instance of a component, and a call of it as part of a trio task.

    Instance(program, invocation) -> instantiate() -> call(export, ...) -> close()

A call is a future of wasmtime's that this module polls. A poll ends in one of three ways:
- done: the guest returned or trapped;
- a host function left a coroutine (`pending`): it is awaited here, in the caller's task, and its answer is written
  where the guest's fiber will look;
- neither: the guest met its epoch deadline, and gives way to the other tasks of the loop.

Cancelling the task drops the future: the fiber is unwound, and `close` frees the store with all memory of the guest.
There is one loop thread per process, so `engine.guest` names the one instance that is on the stack.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import trio

from edged.errors import GuestBudgetExhausted, GuestCpuExhausted, GuestError, GuestTimeout, HostFailed
from edged.host.interface import Err, Invocation
from edged.wasm import ffi
from edged.wasm.binding import Pending
from edged.wasm.linker import Export, Program
from edged.wasm.trap import guest_error

_EPOCH_TICKS = 2  # to the deadline: a slice lasts one to two ticks, so a short request is rarely interrupted
_EPOCH_TICKS_BUSY = 1  # for a guest known to be busy: others should not wait for it longer than one
_FREE_YIELDS = 4  # slices before a guest counts as busy and queues at the turnstile

# The layout of an instance's scratch buffer.
_INSTANCE = 0
_FUNC = _INSTANCE + ffi.INSTANCE_SIZE
_ERROR = _FUNC + ffi.FUNC_SIZE
_VALUES = _ERROR + 16
_VALUES_MAX = 20  # arguments and results of one call: the canonical ABI has 16 flat parameters
_poll_future = ffi.lib.wasmtime_call_future_poll
_Scratch = ctypes.c_char * (_VALUES + ffi.VAL_SIZE * _VALUES_MAX)


@dataclass(frozen=True, slots=True)
class InstanceStatistics:
    """What one instance used. Times in seconds."""

    cpu_s: float
    host_calls: int
    handles: int
    yields: int


class Instance:
    """An instance with a store of its own. Not reentrant: one call at a time.

    Args:
        before_wait: awaited before the guest waits for anything, so that output gathered for the client is sent.
    """

    __slots__ = (
        "_address",
        "_buffer",
        "_deadline",
        "_handles_max",
        "_next_rep",
        "_store",
        "before_wait",
        "context",
        "cpu_s",
        "engine",
        "failure",
        "handles",
        "host_calls_left",
        "invocation",
        "pending",
        "program",
        "yields",
    )

    def __init__(
        self,
        program: Program,
        invocation: Invocation,
        before_wait: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        limits = program.limits
        self.program = program
        self.engine = program.engine
        self.invocation = invocation
        self.before_wait = before_wait
        self.handles: dict[int, Any] = {}
        self._handles_max = limits.handles_max
        self._next_rep = 0
        self.host_calls_left = limits.host_calls_max
        self.failure: BaseException | None = None
        self.pending: Pending | None = None
        self._deadline: float | None = None
        self.cpu_s = 0.0
        self.yields = 0
        self._buffer = _Scratch()
        self._address = ctypes.addressof(self._buffer)
        lib = ffi.lib
        self._store = lib.wasmtime_store_new(self.engine.address, None, None)
        self.context = lib.wasmtime_store_context(self._store)
        lib.wasmtime_store_limiter(
            self._store,
            limits.memory_bytes_max,
            limits.table_elements_max,
            limits.instance_count_max,
            limits.table_count_max,
            limits.memory_count_max,
        )
        lib.wasmtime_context_set_epoch_deadline(self.context, _EPOCH_TICKS)
        lib.wasmtime_context_epoch_deadline_async_yield_and_update(self.context, _EPOCH_TICKS)
        self.engine.instances += 1

    # --- the guest's handle table, for codecs ---

    def add_handle(self, value: Any) -> int:
        """Put a Python object into the table; its number is what the guest's handle stands for."""
        handles = self.handles
        if len(handles) >= self._handles_max:
            raise GuestBudgetExhausted(f"more than {self._handles_max} resource handles at once")
        self._next_rep = rep = self._next_rep + 1
        handles[rep] = value
        return rep

    def fail(self, name: str, failure: BaseException) -> int:
        """Keep what a host function raised and return the error that ends the guest."""
        if not isinstance(failure, GuestError) and isinstance(failure, Exception):
            wrapped = HostFailed(f"{name}: {type(failure).__name__}: {failure}")
            wrapped.__cause__ = failure
            failure = wrapped
        self.failure = failure
        return ffi.new_error("ended by the host")

    # --- life ---

    async def instantiate(self) -> None:
        """Make the component instance; runs its start functions.

        Raises:
            GuestError: a start function trapped, or a limit was met.
        """
        program, address = self.program, self._address
        await self._drive(
            ffi.lib.wasmtime_component_linker_instantiate_async(
                program.linker, self.context, program.component, address + _INSTANCE, address + _ERROR
            )
        )
        self._raise_failure()

    def begin(self, invocation: Invocation, before_wait: Callable[[], Awaitable[None]] | None) -> None:
        """Take on a request, whose time starts now: for an instance that was made before it came."""
        self.invocation = invocation
        self.before_wait = before_wait
        self._deadline = None
        self.cpu_s = 0.0
        self.yields = 0
        # The epoch went on since the instance was made; without this the guest would yield at once.
        ffi.lib.wasmtime_context_set_epoch_deadline(self.context, _EPOCH_TICKS)

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
                values += ffi.VAL_SIZE

    def close(self) -> None:
        """Drop what the guest still held and free its store. Idempotent.

        Raises:
            HostFailed: a resource of ours could not be dropped. All others were.
        """
        if self._store is None:
            return
        failure: Exception | None = None
        while self.handles:
            _, resource = self.handles.popitem()
            try:
                resource.drop()
            except Exception as exc:
                failure = exc
        ffi.lib.wasmtime_store_delete(self._store)
        self._store = None
        self.engine.instances -= 1
        if failure is not None:
            raise HostFailed(f"resource drop: {type(failure).__name__}: {failure}") from failure

    def statistics(self) -> InstanceStatistics:
        used = self.program.limits.host_calls_max - self.host_calls_left
        return InstanceStatistics(self.cpu_s, used, len(self.handles), self.yields)

    # --- the poll loop ---

    async def _drive(self, future: int) -> None:
        try:
            if not self._poll(future):
                await self._drive_on(future)
        finally:
            # A future that is not done unwinds its fiber now, and may drop handles on the way.
            self.engine.guest = self
            ffi.lib.wasmtime_call_future_delete(future)
            self.engine.guest = None
            if self.pending is not None:
                self.pending.coroutine.close()
                self.pending = None

    async def _drive_on(self, future: int) -> None:
        """Drive a guest that did not end at its first poll. Only such a guest needs a clock."""
        limits = self.program.limits
        if self._deadline is None:
            self._deadline = trio.current_time() + limits.wall_s_max
        with trio.CancelScope(deadline=self._deadline) as scope:
            while True:
                if self.cpu_s > limits.cpu_s_max:
                    raise GuestCpuExhausted(
                        f"the guest used more than {limits.cpu_s_max:g} s of CPU time in one request"
                    )
                if self.before_wait is not None:
                    await self.before_wait()
                if self.pending is None:
                    await self._give_way()
                else:
                    await self._answer(self.pending)
                if self._poll(future):
                    return
        if scope.cancelled_caught:
            raise GuestTimeout(f"the guest took more than {limits.wall_s_max:g} s for one request")

    def _poll(self, future: int) -> bool:
        """Let the guest run until it is done, waits or has to give way. True: done."""
        engine = self.engine
        engine.polls += 1
        engine.guest = self
        started = perf_counter()
        done: bool = _poll_future(future)
        self.cpu_s += perf_counter() - started
        engine.guest = None
        return done

    async def _give_way(self) -> None:
        self.yields += 1
        if self.yields < _FREE_YIELDS:
            await trio.lowlevel.checkpoint()
            return
        if self.yields == _FREE_YIELDS:
            ffi.lib.wasmtime_context_epoch_deadline_async_yield_and_update(self.context, _EPOCH_TICKS_BUSY)
        await self.engine.turnstile.wait()

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
        self.pending = None
        # The epoch went on while the guest waited; without this it would yield at once.
        ffi.lib.wasmtime_context_set_epoch_deadline(self.context, _EPOCH_TICKS)

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
