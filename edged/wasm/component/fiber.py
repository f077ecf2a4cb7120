"""Calls into guest code: those that may be left and gone on with, and those that must end at once.

A `Fiber` is a call future of wasmtime's. A poll of it ends in one of three ways: the guest's function is done; it is
parked in a trampoline that has to wait (`Fiber.wait`); or it met its epoch deadline and is preempted in the middle of
its own code, so that nothing else may run in its instance before it goes on.

A nested call runs the guest's allocator, post-return or destructor in the middle of something. It cannot be left:
Python frames of ours may be on the stack that it would be left from. So it is polled once, and what is not done then
is a trap. An epoch deadline does not interrupt it; see `Deadlines`.

wasmtime borrows the function, arguments, results, and the slots for trap and error until the future is deleted. They
live in frames of this module, which are given back only then.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from edged.errors import GuestTrap
from edged.limits import ALLOCATIONS_S_MAX, EPOCH_TICK_S, NESTED_CALL_S_MAX
from edged.wasm import ffi
from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.component.messages import CANNOT_BLOCK_HERE, NESTED_TOO_LONG
from edged.wasm.core_value import KIND, VAL, VAL_WITH_KIND, array
from edged.wasm.trap import guest_error

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.task import Task
    from edged.wasm.engine import Engine

Number = int | float

# The layout of a frame.
_ARGUMENTS = 0
_RESULT = _ARGUMENTS + ffi.CORE_VAL_SIZE * PARAMS_FLAT_MAX
_TRAP = _RESULT + ffi.CORE_VAL_SIZE
_ERROR = _TRAP + 8
_Frame = ctypes.c_char * (_ERROR + 8)
_FRAMES_KEPT = 256
_frames: list[Frame] = []
_outcome = struct.Struct("<QQ")
_delete_future = ffi.lib.wasmtime_call_future_delete
_poll_future = ffi.lib.wasmtime_call_future_poll
_call_async = ffi.lib.wasmtime_func_call_async
_NESTED_TICKS_MAX = round(NESTED_CALL_S_MAX / EPOCH_TICK_S)
_TURN_TICKS_MAX = round(ALLOCATIONS_S_MAX / EPOCH_TICK_S)


class Frame:
    """Arguments, result, trap and error of one call."""

    __slots__ = ("address", "buffer")

    def __init__(self) -> None:
        self.buffer = _Frame()
        self.address = ctypes.addressof(self.buffer)


class Signature:
    """How the core values of one function are written into a frame, and read out of it.

    Attributes:
        count, result_count: of values.
    """

    __slots__ = ("_kinds", "_pack", "_unpack", "count", "result_count")

    def __init__(self, params: str, results: str) -> None:
        assert len(params) <= PARAMS_FLAT_MAX
        assert len(results) <= 1
        self.count = len(params)
        self.result_count = len(results)
        self._kinds = [KIND[letter] for letter in params]
        self._pack = array(VAL_WITH_KIND, params).pack_into
        self._unpack = array(VAL, results).unpack_from if results else None

    def write(self, frame: Frame, values: Sequence[Number]) -> None:
        kinds = self._kinds
        match len(kinds):
            case 0:
                pass
            case 1:
                self._pack(frame.buffer, _ARGUMENTS, kinds[0], values[0])
            case 2:
                self._pack(frame.buffer, _ARGUMENTS, kinds[0], values[0], kinds[1], values[1])
            case _:
                flat: list[Any] = []
                for kind, value in zip(kinds, values, strict=True):
                    flat += (kind, value)
                self._pack(frame.buffer, _ARGUMENTS, *flat)

    def read(self, frame: Frame) -> Sequence[Number]:
        return self._unpack(frame.buffer, _RESULT) if self._unpack is not None else ()


class Wait:
    """Why a fiber is parked in a trampoline.

    Args:
        finish: run on the fiber when it goes on; gives the trampoline's result.
        arm: called with the fiber once it is parked: sees to it that the fiber is scheduled when `ready`.
        ready: whether the fiber may go on, asked where a guest that it called first had to run on.
        is_cancellable: a request to cancel the task ends the wait.

    Attributes:
        done: the fiber goes on at its next poll.
        is_cancelled: because its task is cancelled.
        name, store, results, trap: of the trampoline, and where its answer goes; set by whoever binds it.
    """

    __slots__ = (
        *("arm", "done", "finish", "is_cancellable", "is_cancelled", "ready"),
        *("name", "results", "store", "trap"),
    )

    def __init__(
        self,
        finish: Callable[[], Any],
        arm: Callable[[Fiber], None],
        ready: Callable[[], bool] | None = None,
        is_cancellable: bool = False,
    ) -> None:
        self.finish = finish
        self.arm = arm
        self.ready = ready
        self.is_cancellable = is_cancellable
        self.is_cancelled = False
        self.done = False
        self.name = ""
        self.store: Callable[[Any, int, Number], None] | None = None
        self.results = 0
        self.trap = 0


class Fiber:
    """A guest's function, begun and not yet done. Made by `Instance.enter`.

    Attributes:
        task: whose code it is.
        then: called with the results when it is done.
        wait: what it is parked on.
        future: `wasmtime_call_future_t*`, 0 once it is deleted.
    """

    __slots__ = ("_frame", "_read", "future", "store", "task", "then", "wait")

    def __init__(
        self, task: Task, store: int, then: Callable[[Sequence[Number]], None], signature: Signature | None
    ) -> None:
        self.task = task
        self.store = store
        self.then = then
        self.wait: Wait | None = None
        self.future = 0
        self._frame = _frames.pop() if _frames else Frame()
        self._read = None if signature is None else signature.read

    @classmethod
    def of_call(  # noqa: PLR0917 - all of them say what a call is
        cls,
        task: Task,
        store: int,
        function: int,
        signature: Signature,
        values: Sequence[Number],
        then: Callable[[Sequence[Number]], None],
    ) -> Fiber:
        """A call of a core function.

        Args:
            store: `wasmtime_context_t*`.
            function: `wasmtime_func_t*`, which stays where it is.
        """
        fiber = cls(task, store, then, signature)
        frame = fiber._frame
        signature.write(frame, values)
        at = frame.address
        _outcome.pack_into(frame.buffer, _TRAP, 0, 0)
        fiber.future = _call_async(
            store, function, at, signature.count, at + _RESULT, signature.result_count, at + _TRAP, at + _ERROR
        )
        return fiber

    @classmethod
    def of_instantiation(  # noqa: PLR0917 - likewise
        cls, task: Task, linker: int, store: int, module: int, instance: int, then: Callable[[Sequence[Number]], None]
    ) -> Fiber:
        """A core instantiation, with its start function.

        Args:
            instance: where the `wasmtime_instance_t` goes.
        """
        fiber = cls(task, store, then, None)
        frame = fiber._frame
        _outcome.pack_into(frame.buffer, _TRAP, 0, 0)
        at = frame.address
        fiber.future = ffi.lib.wasmtime_linker_instantiate_async(
            linker, store, module, instance, at + _TRAP, at + _ERROR
        )
        return fiber

    def poll(self) -> bool:
        """Let the guest run. True: its function is done, see `end`."""
        return _poll_future(self.future)  # type: ignore[no-any-return]

    def end(self, instance: Instance) -> Sequence[Number]:
        """The results of a fiber that is done.

        Raises:
            GuestError: it trapped; or what a host function raised.
        """
        trap, error = _outcome.unpack_from(self._frame.buffer, _TRAP)
        results = self._read(self._frame) if self._read is not None and not (trap or error) else ()
        self.delete()
        if trap or error:
            raise_failure(instance, trap, error)
        return results

    def delete(self) -> None:
        """Unwind what is left of it. Idempotent."""
        future, self.future = self.future, 0
        if future:
            _delete_future(future)
            if len(_frames) < _FRAMES_KEPT:
                _frames.append(self._frame)


def nested_call(
    instance: Instance, store: int, function: int, signature: Signature, values: Sequence[Number]
) -> Sequence[Number]:
    """Call a guest's allocator, post-return or destructor, in the middle of something else.

    Args:
        instance: has its `task` set to whose code it is.

    Raises:
        GuestError: it trapped, or would have to wait.
    """
    frame = _frames.pop() if _frames else Frame()
    at = frame.address
    signature.write(frame, values)
    _outcome.pack_into(frame.buffer, _TRAP, 0, 0)
    engine = instance.engine
    instance.check_depth()
    outer, engine.guest = engine.guest, instance
    outer_fiber, instance.fiber = instance.fiber, None
    if not instance.nested:
        instance.nested_ticks = 0
    instance.nested += 1
    instance.depth += 1
    future = _call_async(
        store, function, at, signature.count, at + _RESULT, signature.result_count, at + _TRAP, at + _ERROR
    )
    try:
        done = _poll_future(future)
    finally:
        _delete_future(future)
        instance.nested -= 1
        instance.depth -= 1
        instance.fiber = outer_fiber
        engine.guest = outer
    trap, error = _outcome.unpack_from(frame.buffer, _TRAP)
    results = signature.read(frame) if done and not (trap or error) else ()
    _frames.append(frame)
    if trap or error:
        raise_failure(instance, trap, error)
    if not done:
        raise GuestTrap(CANNOT_BLOCK_HERE)
    return results


def raise_failure(instance: Instance, trap: int, error: int) -> None:
    """Raise what ended a guest: the exception that a host function left, or what wasmtime says."""
    text = ffi.trap_text(trap) if trap else ffi.error_text(error)
    failure, instance.failure = instance.failure, None
    raise guest_error(text) if failure is None else failure


class Deadlines:
    """What becomes of a guest that meets its epoch deadline; one for each engine.

    It is preempted, unless it is in a nested call: that goes on, for NESTED_CALL_S_MAX, and all of one turn together
    for ALLOCATIONS_S_MAX. One value of the host's may need any number of them.
    """

    def __init__(self, engine: Engine) -> None:
        def met(_context: int, _data: int, delta: int, kind: int) -> int | None:
            guest = engine.guest
            try:
                struct.pack_into("<Q", ffi.memory, delta, 1)
                ffi.memory_view[kind] = ffi.UPDATE_DEADLINE_CONTINUE
                if not guest.nested:
                    # The epoch went on while the guest waited, too.
                    if perf_counter() - guest.slice_started > EPOCH_TICK_S:
                        ffi.memory_view[kind] = ffi.UPDATE_DEADLINE_YIELD
                    return None
                guest.nested_ticks += 1
                guest.turn_ticks += 1
                if guest.nested_ticks > _NESTED_TICKS_MAX or guest.turn_ticks > _TURN_TICKS_MAX:
                    raise GuestTrap(NESTED_TOO_LONG)
            except BaseException as exc:
                guest.keep("epoch", exc)
                return ffi.new_error("ended by the host")
            return None

        self._callback = ffi.EpochCallback(met)
        self._address = ffi.address(self._callback)

    def watch(self, store: int) -> None:
        """
        Args:
            store: `wasmtime_store_t*`, new.
        """
        ffi.lib.wasmtime_store_epoch_deadline_callback(store, self._address, None, None)
