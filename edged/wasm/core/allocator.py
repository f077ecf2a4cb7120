"""The allocator of a core module, called from the middle of a host function.

A call of it is a call future like any other: a synchronous call would end the process where the guest reaches a host
function that may suspend. Its fiber runs on top of the one that called the host, so it cannot be left: it is polled
until it is done. What ends it:
- a host function of an interface that it calls: a trap, as the canonical ABI has it;
- a host function of preview 1 that would have to wait: a trap;
- time: each poll lasts until the guest's epoch deadline, and there are only so many.

An allocator that met the deadline has used up the time slice of whoever is suspended below it, who then gives way as
soon as it runs on. Until then nobody else runs, and one answer may need any number of allocations: all of them together
have a limit too.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from edged.errors import GuestTrap
from edged.limits import ALLOCATIONS_S_MAX, EPOCH_TICK_S, NESTED_CALL_S_MAX
from edged.wasm import ffi
from edged.wasm.store import EPOCH_TICKS

if TYPE_CHECKING:
    from edged.wasm.core.instance import CoreInstance

_POLLS_MAX = round(NESTED_CALL_S_MAX / (EPOCH_TICKS * EPOCH_TICK_S))
_SLICES_MAX = round(ALLOCATIONS_S_MAX / (EPOCH_TICKS * EPOCH_TICK_S))
_PARAMS = 4
_RESULT = _PARAMS * ffi.CORE_VAL_SIZE
_TRAP = _RESULT + ffi.CORE_VAL_SIZE
_ERROR = _TRAP + 8
FRAME_SIZE = _ERROR + 8
"""What a call needs of memory, in bytes."""

_I32 = ffi.CORE_KIND["WASMTIME_I32"]
_begin = struct.Struct("<" + "B7xI20x" * _PARAMS + f"{ffi.CORE_VAL_SIZE}xQQ").pack_into  # result and outcome cleared
_read_result = struct.Struct("<8xI").unpack_from
_read_outcome = struct.Struct("<QQ").unpack_from
_call_async = ffi.lib.wasmtime_func_call_async
_poll_future = ffi.lib.wasmtime_call_future_poll
_delete_future = ffi.lib.wasmtime_call_future_delete


class Allocator:
    """`cabi_realloc` of one instance. Costs 4 us a call.

    Args:
        function: address of the `wasmtime_func_t`.
        frame: address of FRAME_SIZE bytes that nobody else writes to. Both stay there as long as this is used.
        is_old: it is not asked for no bytes: the allocators of the first wit-bindgen ended the guest then.
    """

    __slots__ = ("_frame", "_function", "_guest", "_is_old", "_poll", "_slices")

    def __init__(self, guest: CoreInstance, function: int, frame: int, is_old: bool) -> None:
        self._guest: CoreInstance | None = guest
        self._function = function
        self._frame = frame
        self._is_old = is_old
        self._poll = 0  # the engine's, when the first of `_slices` was used up
        self._slices = 0

    def __call__(self, old: int, old_size: int, align: int, size: int) -> int:
        """An address that nobody has checked.

        Raises:
            GuestError: the allocator trapped, or took too long; or what a host function raised that it called.
        """
        if self._is_old and not size:
            return align
        guest, frame, memory = self._guest, self._frame, ffi.memory
        assert guest is not None
        engine, context = guest.engine, guest.context
        _begin(memory, frame, _I32, old, _I32, old_size, _I32, align, _I32, size, 0, 0)
        outer, engine.guest = engine.guest, guest
        guest.may_leave = False
        polls = 1
        future = _call_async(context, self._function, frame, _PARAMS, frame + _RESULT, 1, frame + _TRAP, frame + _ERROR)
        try:
            while not (done := _poll_future(future)) and polls < _POLLS_MAX:
                polls += 1
        finally:
            _delete_future(future)
            guest.may_leave = True
            engine.guest = outer
        if polls > 1:
            ffi.lib.wasmtime_context_set_epoch_deadline(context, 0)
            if self._poll != engine.polls:
                self._poll, self._slices = engine.polls, 0
            self._slices += polls - 1
        trap, error = _read_outcome(memory, frame + _TRAP)
        if trap or error:
            guest.raise_failure(trap, error)
        if not done:
            raise GuestTrap(f"the guest's allocator took more than {NESTED_CALL_S_MAX:g} s")
        if self._slices > _SLICES_MAX:
            raise GuestTrap(f"the guest's allocations for one call took more than {ALLOCATIONS_S_MAX:g} s")
        address: int = _read_result(memory, frame + _RESULT)[0]
        return address

    def close(self) -> None:
        """Let go of the instance, which holds this too."""
        self._guest = None
