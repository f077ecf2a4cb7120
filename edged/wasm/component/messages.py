"""What traps of the component model say: wasmtime's own words where it has some, since the model's tests compare them.

Source: wasmtime 50, `Trap` and the component runtime's errors.
"""

from __future__ import annotations

from edged.errors import GuestTrap

CANNOT_ENTER = "wasm trap: cannot enter component instance"
CANNOT_LEAVE = "wasm trap: cannot leave component instance"
CANNOT_BLOCK = "wasm trap: cannot block a synchronous task before returning"
CANNOT_BLOCK_HERE = "cannot block in an allocator, a destructor or what is called from one"
NESTED_TOO_LONG = "an allocator, a destructor or what is called from one computed for too long"
DEADLOCK = "wasm trap: deadlock detected: event loop cannot make further progress"
NO_RESULT = "wasm trap: async-lifted export failed to produce a result"
RESULT_TWICE = "wasm trap: `task.return` or `task.cancel` called more than once for current task"
NOT_CANCELLED = "wasm trap: `task.cancel` called by task which has not been cancelled"
RETURN_INVALID = "wasm trap: invalid `task.return` signature and/or options for current task"
CALLBACK_CODE = "wasm trap: unsupported callback code"
CANCEL_TERMINAL = "wasm trap: `subtask.cancel` called after terminal status delivered"
SUBTASK_DROP = "wasm trap: cannot drop a subtask which has not yet resolved"
SET_DROP = "wasm trap: cannot drop waitable set with waiters"
SYNC_IN_SET = "wasm trap: waitable cannot be used synchronously while added to a waitable set"
BACKPRESSURE = "wasm trap: backpressure counter overflow"
CONCURRENT = "wasm trap: cannot have concurrent operations active on a future/stream"
COUNT_TOO_LARGE = "wasm trap: stream read/write count too large"
READ_AFTER_DROP = "wasm trap: cannot read from stream after being notified that the writable end dropped"
WRITE_AFTER_DROP = "wasm trap: cannot write to stream after being notified that the readable end dropped"
FUTURE_WRITE_AFTER = "wasm trap: cannot write to future after previous write succeeded or readable end dropped"
FUTURE_READ_AFTER = "cannot read from future after previous read succeeded"
LIFT_AFTER_DROP = "wasm trap: cannot lift stream after being notified that the writable end dropped"
FUTURE_LIFT_AFTER = "cannot lift future after previous read succeeded"
FUTURE_UNWRITTEN = "cannot drop future write end without first writing a value"


def trap(message: str) -> GuestTrap:
    return GuestTrap(message)


def trap_if(condition: object, message: str) -> None:
    """As the specification writes it.

    Raises:
        GuestTrap: the condition holds.
    """
    if condition:
        raise GuestTrap(message)
