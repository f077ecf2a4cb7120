"""Built-ins: canonical definitions that are no functions of WIT, as operations of trampolines.

Source: CanonicalABI.md, from "canon resource.new" on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edged.errors import ComponentUnsupported
from edged.wasm.canonical_abi import PARAMS_FLAT_MAX
from edged.wasm.component.fiber import Fiber, Signature, Wait
from edged.wasm.component.lowering import lower
from edged.wasm.component.messages import (
    BACKPRESSURE,
    CANNOT_LEAVE,
    RETURN_INVALID,
    trap_if,
)
from edged.wasm.component.stream_builtins import STREAM_BUILTINS
from edged.wasm.component.task import Task
from edged.wasm.component.trampoline import Answer, Operation, Values
from edged.wasm.component.waitable_builtins import WAITABLE_BUILTINS
from edged.wasm.linear.context import TO_HOST
from edged.wasm.linear.signature import compile_values
from edged.wasm.plan.plan import BuiltIn, CanonOptions, Lower, Trampoline

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.program import ComponentProgram

Make = Callable[["ComponentProgram", Trampoline, BuiltIn], Operation]

_BACKPRESSURE_MAX = 2**16
_I32 = 0xFFFF_FFFF
_DESTRUCTOR = Signature("i", "")


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
    **WAITABLE_BUILTINS,
    **STREAM_BUILTINS,
}
