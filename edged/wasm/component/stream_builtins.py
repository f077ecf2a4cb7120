"""Built-ins on streams and futures, as operations of trampolines.

Source: CanonicalABI.md, "canon {stream,future}.new" and following.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edged.wasm import types as wit
from edged.wasm.component.fiber import Fiber, Wait
from edged.wasm.component.messages import (
    CANNOT_BLOCK,
    CANNOT_LEAVE,
    FUTURE_READ_AFTER,
    FUTURE_UNWRITTEN,
    FUTURE_WRITE_AFTER,
    READ_AFTER_DROP,
    WRITE_AFTER_DROP,
    trap_if,
)
from edged.wasm.component.pipe import (
    ASYNC_COPYING,
    CANCELLING,
    DONE,
    SYNC_COPYING,
    End,
    GuestBuffer,
    Kind,
    Pipe,
    kind_of,
)
from edged.wasm.component.trampoline import Answer, Operation, Values
from edged.wasm.component.waitable import BLOCKED
from edged.wasm.linear.context import TO_HOST
from edged.wasm.plan.plan import BuiltIn, Trampoline

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.program import ComponentProgram

_AFTER = {
    ("stream", False): READ_AFTER_DROP,
    ("stream", True): WRITE_AFTER_DROP,
    ("future", False): FUTURE_READ_AFTER,
    ("future", True): FUTURE_WRITE_AFTER,
}


def _kind(built_in: BuiltIn) -> Kind:
    """Of what it is about."""
    is_stream = built_in.name.startswith("stream")
    return kind_of(wit.Stream(built_in.type) if is_stream else wit.Future(built_in.type))


def _new(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index = trampoline.instance
    kind = _kind(built_in)

    def call(instance: Instance, _values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        pipe = Pipe(instance, kind)
        readable = part.add_end(pipe, is_writable=False)
        return readable | part.add_end(pipe, is_writable=True) << 32

    return Operation(built_in.name, call)


def _copy(program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    """`read` and `write`."""
    index, is_async = trampoline.instance, built_in.is_async
    kind = _kind(built_in)
    what = kind.name
    is_writable = built_in.name.endswith("write")
    is_future = kind.is_future
    after = _AFTER[what, is_writable]
    assert built_in.options is not None
    context_number = program.context(built_in.options, TO_HOST)

    def call(instance: Instance, values: Values) -> Answer | Wait:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        end = part.idle_end(values[0], kind, is_writable, after)
        if not is_async:
            end.check_alone()
        buffer = GuestBuffer(end, instance.context(context_number), values[1], 1 if is_future else values[2])
        if is_writable:
            end.pipe.write(buffer)
        else:
            end.pipe.read(buffer)
        if end.event is not None:
            return end.take_event()[2]
        end.buffer = buffer
        if is_async:
            end.state = ASYNC_COPYING
            return BLOCKED
        trap_if(not instance.task.may_block, CANNOT_BLOCK)
        end.state = SYNC_COPYING
        return _wait(instance, end)

    return Operation(built_in.name, call, may_wait=not is_async)


def _cancel(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    """`cancel-read` and `cancel-write`."""
    index, is_async = trampoline.instance, built_in.is_async
    kind = _kind(built_in)
    is_writable = built_in.name.endswith("write")
    side = "write" if is_writable else "read"
    other = f"passed {'read' if is_writable else 'write'} end to `{{stream|future}}.cancel-{side}`"
    idle = f"stream or future {side} cancelled when no {side} is pending"

    def call(instance: Instance, values: Values) -> Answer | Wait:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        end = part.end(values[0], kind)
        trap_if(end.is_writable is not is_writable, other)
        trap_if(end.state is not ASYNC_COPYING, idle)
        if not is_async:
            end.check_alone()
        end.state = CANCELLING
        assert end.buffer is not None
        end.buffer.cancel()
        return end.take_event()[2]

    return Operation(built_in.name, call)


def _drop(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    """`drop-readable` and `drop-writable`."""
    index = trampoline.instance
    kind = _kind(built_in)
    what = kind.name
    is_writable = built_in.name.endswith("writable")
    other = f"passed read end to `{what}.drop-writable`" if is_writable else f"handle is not a readable end of a {what}"

    def call(instance: Instance, values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        end = part.end(values[0], kind)
        trap_if(end.is_writable is not is_writable, other)
        trap_if(end.is_copying, f"cannot {'drop' if is_writable else 'remove'} busy {what}")
        trap_if(end.pipe.is_future and is_writable and end.state is not DONE, FUTURE_UNWRITTEN)
        end.join(None)
        part.table.remove(values[0])
        end.pipe.ends[is_writable] = None
        end.pipe.drop(is_writable)
        return None

    return Operation(built_in.name, call)


def _wait(instance: Instance, end: End) -> Wait:
    """Until the other side has come."""
    end.is_waited = True

    def finish() -> Answer:
        end.is_waited = False
        return end.take_event()[2]

    def arm(fiber: Fiber) -> None:
        go_on = instance.turn_of(fiber)
        call = fiber.task.call
        end.wait(lambda: call.schedule(go_on))

    return Wait(finish, arm)


Make = Callable[..., Operation]
STREAM_BUILTINS: dict[str, Any] = {
    f"{what}.{name}": make
    for what in ("stream", "future")
    for name, make in (
        ("new", _new),
        ("read", _copy),
        ("write", _copy),
        ("cancel-read", _cancel),
        ("cancel-write", _cancel),
        ("drop-readable", _drop),
        ("drop-writable", _drop),
    )
}
