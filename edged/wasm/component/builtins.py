"""Built-ins: canonical definitions that are no functions of WIT, as operations of trampolines.

Source: CanonicalABI.md, from "canon resource.new" on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from edged.errors import ComponentUnsupported
from edged.wasm.component.context import TO_HOST
from edged.wasm.component.fiber import Fiber, Signature, Wait
from edged.wasm.component.lowering import lower
from edged.wasm.component.messages import (
    BACKPRESSURE,
    CANCEL_TERMINAL,
    CANNOT_BLOCK,
    CANNOT_LEAVE,
    RETURN_INVALID,
    trap_if,
)
from edged.wasm.component.plan import PARAMS_FLAT_MAX, BuiltIn, CanonOptions, Lower, Trampoline
from edged.wasm.component.signature import compile_values
from edged.wasm.component.stream_builtins import STREAM_BUILTINS
from edged.wasm.component.task import Task
from edged.wasm.component.trampoline import Answer, Operation, Values
from edged.wasm.component.waitable import (
    BLOCKED,
    NONE,
    TASK_CANCELLED,
    Event,
    Subtask,
    WaitableSet,
    entry,
    waitable,
)

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.program import ComponentProgram

Make = Callable[["ComponentProgram", Trampoline, BuiltIn], Operation]

_BACKPRESSURE_MAX = 2**16
_I32 = 0xFFFF_FFFF
_NOT_A_SET = "handle is not a waitable-set"
_NOT_A_SUBTASK = "handle is not a subtask"
_DESTRUCTOR = Signature("i", "")
_EVENT = struct.Struct("<II")


def operation(program: ComponentProgram, trampoline: Trampoline) -> Operation:
    """What a trampoline does.

    Raises:
        ComponentUnsupported: edged does not have it.
    """
    what = trampoline.operation
    if isinstance(what, Lower):
        return lower(program, trampoline, what)
    make = _MAKERS.get(what.name)
    if make is None:
        raise ComponentUnsupported(
            f"the component uses {what.name}, which edged does not have",
            remedy="Build it without threads and error contexts; see docs/compatibility.md.",
        )
    return make(program, trampoline, what)


# --- resources ---


def _resource_new(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index, resource = trampoline.instance, built_in.resource
    assert resource is not None

    def call(instance: Instance, values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        return part.table.add_own(resource, values[0])

    return Operation(built_in.name, call)


def _resource_rep(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index, resource = trampoline.instance, built_in.resource
    assert resource is not None

    def call(instance: Instance, values: Values) -> Answer:
        return instance.parts[index].table.resource(values[0], resource).rep  # type: ignore[no-any-return]

    return Operation(built_in.name, call)


def _resource_drop(program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index, resource = trampoline.instance, built_in.resource
    assert resource is not None
    ty = program.plan.resources[resource - 1]

    def drop_of_host(instance: Instance, values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        handle = part.table.drop(values[0], resource)
        if handle.scope is None:
            handle.rep.drop()
        return None

    if ty.instance is None:
        return Operation(f"drop of {ty.name}", drop_of_host)
    owner, destructor = ty.instance, 0 if ty.destructor is None else program.item(ty.destructor)

    def drop(instance: Instance, values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        handle = part.table.drop(values[0], resource)
        if handle.scope is None and destructor:
            # As the call of a synchronous function, which has to end before it could wait.
            other = instance.parts[owner]
            task = Task(instance.task.call, other, None, tuple, lambda _value: None)
            other.nested(task, destructor, _DESTRUCTOR, (handle.rep,))
        return None

    return Operation(built_in.name, drop)


# --- tasks ---


def _context_get(_program: ComponentProgram, _trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    slot, mask = built_in.slot, _I32 if built_in.slot_kind == "i" else _I32 << 32 | _I32

    def call(instance: Instance, _values: Values) -> Answer:
        return instance.task.storage[slot] & mask

    return Operation(built_in.name, call)


def _context_set(_program: ComponentProgram, _trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    slot = built_in.slot

    def call(instance: Instance, values: Values) -> Answer:
        instance.task.storage[slot] = values[0]
        return None

    return Operation(built_in.name, call)


def _task_return(program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index, result = trampoline.instance, built_in.type
    options = built_in.options or CanonOptions(index)
    params = compile_values(() if result is None else (result,), PARAMS_FLAT_MAX)
    context_number = program.context(options, TO_HOST)

    def call(instance: Instance, values: Values) -> Answer:
        trap_if(not instance.parts[index].may_leave, CANNOT_LEAVE)
        task = instance.task
        code = task.code
        if code is None or not code.is_async_abi or code.type.result != result or not _same(code.options, options):
            trap_if(True, RETURN_INVALID)
        if result is None:
            task.resolve(None)
            return None
        context = instance.context(context_number)
        context.scope = task
        (value,) = params.lift(context, values)
        task.resolve(value)
        return None

    return Operation(built_in.name, call)


def _same(task: CanonOptions, given: CanonOptions) -> bool:
    """`LiftOptions.equal`. A result that needs no memory need not name one."""
    return task.encoding == given.encoding and given.memory in (None, task.memory)


def _task_cancel(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index = trampoline.instance

    def call(instance: Instance, _values: Values) -> Answer:
        trap_if(not instance.parts[index].may_leave, CANNOT_LEAVE)
        task = instance.task
        trap_if(task.code is None or not task.code.is_async_abi, RETURN_INVALID)
        task.resolve_cancelled()
        return None

    return Operation(built_in.name, call)


def _backpressure(change: int) -> Make:
    def make(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
        index = trampoline.instance

        def call(instance: Instance, _values: Values) -> Answer:
            part = instance.parts[index]
            part.backpressure += change
            trap_if(not 0 <= part.backpressure < _BACKPRESSURE_MAX, BACKPRESSURE)
            if part.backpressure == 0:
                part.let_in()
            return None

        return Operation(built_in.name, call)

    return make


def _thread_yield(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index, cancellable = trampoline.instance, built_in.cancellable

    def call(instance: Instance, _values: Values) -> Answer | Wait:
        trap_if(not instance.parts[index].may_leave, CANNOT_LEAVE)
        task = instance.task
        if not task.may_block:
            return 0
        if cancellable and task.take_pending_cancel():
            return 1

        def arm(fiber: Fiber) -> None:
            task.call.schedule_later(instance.turn_of(fiber))

        wait = Wait(lambda: int(wait.is_cancelled), arm, is_cancellable=cancellable)
        return wait

    return Operation(built_in.name, call, may_wait=True)


# --- waitables ---


def _set_new(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index = trampoline.instance

    def call(instance: Instance, _values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        return part.table.add(WaitableSet())

    return Operation(built_in.name, call)


def _set_drop(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index = trampoline.instance

    def call(instance: Instance, values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        entry(part.table, values[0], WaitableSet, _NOT_A_SET).check_droppable()
        part.table.remove(values[0])
        return None

    return Operation(built_in.name, call)


def _event_store(program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Callable[..., int]:
    """Writes an event where the guest wants it, and gives its code."""
    context_number = program.context(CanonOptions(trampoline.instance, memory=built_in.memory), TO_HOST)

    def store(instance: Instance, address: int, event: Event) -> int:
        context = instance.context(context_number)
        context.check(address, 8, 4)
        _EVENT.pack_into(context.view, address, event[1], event[2])
        return event[0]

    return store


def _set_poll(program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index, cancellable = trampoline.instance, built_in.cancellable
    store = _event_store(program, trampoline, built_in)

    def call(instance: Instance, values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        wset: WaitableSet = entry(part.table, values[0], WaitableSet, _NOT_A_SET)
        if cancellable and instance.task.take_pending_cancel():
            return store(instance, values[1], (TASK_CANCELLED, 0, 0))
        return store(instance, values[1], wset.take_event() if wset.ready else (NONE, 0, 0))

    return Operation(built_in.name, call)


def _set_wait(program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index, cancellable = trampoline.instance, built_in.cancellable
    store = _event_store(program, trampoline, built_in)

    def call(instance: Instance, values: Values) -> Answer | Wait:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        task = instance.task
        wset: WaitableSet = entry(part.table, values[0], WaitableSet, _NOT_A_SET)
        if cancellable and task.take_pending_cancel():
            return store(instance, values[1], (TASK_CANCELLED, 0, 0))
        if wset.ready:
            return store(instance, values[1], wset.take_event())
        trap_if(not task.may_block, CANNOT_BLOCK)
        wset.waiting += 1
        woken: list[Callable[[], None]] = []

        def finish() -> Answer:
            wset.waiting -= 1
            if woken and woken[0] in wset.waiters:
                wset.waiters.remove(woken[0])
            return store(instance, values[1], (TASK_CANCELLED, 0, 0) if wait.is_cancelled else wset.take_event())

        def arm(fiber: Fiber) -> None:
            go_on = instance.turn_of(fiber)

            def look() -> None:
                if wset.ready:
                    go_on()
                elif woken[0] not in wset.waiters:
                    wset.waiters.append(woken[0])

            def wake() -> None:
                task.call.schedule(look)

            woken.append(wake)
            wset.waiters.append(wake)

        wait = Wait(finish, arm, is_cancellable=cancellable)
        return wait

    return Operation(built_in.name, call, may_wait=True)


def _join(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index = trampoline.instance

    def call(instance: Instance, values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        joining = waitable(part.table, values[0])
        joining.join(entry(part.table, values[1], WaitableSet, _NOT_A_SET) if values[1] else None)
        return None

    return Operation(built_in.name, call)


def _subtask_drop(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index = trampoline.instance

    def call(instance: Instance, values: Values) -> Answer:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        subtask: Subtask = entry(part.table, values[0], Subtask, _NOT_A_SUBTASK)
        subtask.check_droppable()
        subtask.join(None)
        part.table.remove(values[0])
        return None

    return Operation(built_in.name, call)


def _subtask_cancel(_program: ComponentProgram, trampoline: Trampoline, built_in: BuiltIn) -> Operation:
    index, is_async = trampoline.instance, built_in.is_async

    def call(instance: Instance, values: Values) -> Answer | Wait:
        part = instance.parts[index]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        subtask: Subtask = entry(part.table, values[0], Subtask, _NOT_A_SUBTASK)
        trap_if(subtask.is_delivered or subtask.is_cancelling, CANCEL_TERMINAL)
        if not is_async:
            subtask.check_alone()

        def deliver() -> Answer:
            subtask.is_waited = False
            subtask.take_event()
            return int(subtask.state)

        if subtask.is_resolved:
            return deliver()
        subtask.is_cancelling = True
        subtask.is_waited = True  # the callee may enter this instance anew, where it is not to be moved about
        assert subtask.cancel is not None
        subtask.cancel()

        def finish() -> Answer:
            subtask.is_waited = False
            return deliver() if subtask.is_resolved else BLOCKED

        if is_async:
            return Wait(finish, _never) if instance.preempted else finish()
        if subtask.is_resolved and not instance.preempted:
            return deliver()
        trap_if(not instance.preempted and not instance.task.may_block, CANNOT_BLOCK)

        def arm(fiber: Fiber) -> None:
            def look() -> None:
                if subtask.is_resolved:
                    task.call.schedule(go_on)
                else:
                    subtask.wait(look)  # it has only started

            task, go_on = fiber.task, instance.turn_of(fiber)
            subtask.wait(look)

        return Wait(deliver, arm, ready=lambda: subtask.is_resolved)

    return Operation(built_in.name, call, may_wait=True)


def _never(_fiber: Fiber) -> None:
    raise AssertionError("it waits only for a guest that was preempted")


_MAKERS: dict[str, Make] = {
    "resource.new": _resource_new,
    "resource.rep": _resource_rep,
    "resource.drop": _resource_drop,
    "context.get": _context_get,
    "context.set": _context_set,
    "task.return": _task_return,
    "task.cancel": _task_cancel,
    "backpressure.inc": _backpressure(1),
    "backpressure.dec": _backpressure(-1),
    "thread.yield": _thread_yield,
    "waitable-set.new": _set_new,
    "waitable-set.drop": _set_drop,
    "waitable-set.poll": _set_poll,
    "waitable-set.wait": _set_wait,
    "waitable.join": _join,
    "subtask.drop": _subtask_drop,
    "subtask.cancel": _subtask_cancel,
    **STREAM_BUILTINS,
}
