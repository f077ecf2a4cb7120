"""Built-ins on waitables, their sets and subtasks, as operations of trampolines.

Source: CanonicalABI.md, "canon waitable-set.new" to "canon subtask.drop".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from edged.wasm.component.fiber import Fiber, Wait
from edged.wasm.component.messages import CANCEL_TERMINAL, CANNOT_BLOCK, CANNOT_LEAVE, trap_if
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
from edged.wasm.linear.context import TO_HOST
from edged.wasm.plan.plan import BuiltIn, CanonOptions, Trampoline

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.program import ComponentProgram

_NOT_A_SET = "handle is not a waitable-set"
_NOT_A_SUBTASK = "handle is not a subtask"
_EVENT = struct.Struct("<II")


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


WAITABLE_BUILTINS = {
    "waitable-set.new": _set_new,
    "waitable-set.drop": _set_drop,
    "waitable-set.poll": _set_poll,
    "waitable-set.wait": _set_wait,
    "waitable.join": _join,
    "subtask.drop": _subtask_drop,
    "subtask.cancel": _subtask_cancel,
}
