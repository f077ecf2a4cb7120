"""`canon lower` of another guest's function: a task of that guest's, in the same call.

Source: CanonicalABI.md, "canon lower".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edged.wasm.canonical_abi import ASYNC_PARAMS_FLAT_MAX, PARAMS_FLAT_MAX, RESULTS_FLAT_MAX
from edged.wasm.component.fiber import Fiber, Wait
from edged.wasm.component.messages import CANNOT_BLOCK, CANNOT_LEAVE, trap_if
from edged.wasm.component.release import release
from edged.wasm.component.task import CANCELLED, Task
from edged.wasm.component.trampoline import Answer, Operation, Values
from edged.wasm.component.waitable import Subtask, SubtaskState
from edged.wasm.linear.codec import compile_maybe
from edged.wasm.linear.context import BETWEEN_GUESTS
from edged.wasm.linear.signature import compile_values
from edged.wasm.linear.table import Scope
from edged.wasm.plan.plan import Lifted, Lower, Trampoline

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.program import ComponentProgram

_RETURNED = int(SubtaskState.RETURNED)


def lower_guest(program: ComponentProgram, trampoline: Trampoline, operation: Lower, lifted: Lifted) -> Operation:
    """What it does; see the table in `edged.wasm.component.lowering`."""
    name = f"function {trampoline.index}"
    call = _Guest(program, trampoline, operation, lifted, name)
    return Operation(name, call.call_async if operation.options.is_async else call.call, may_wait=True)


class _Guest:
    """A function of another guest."""

    def __init__(
        self, program: ComponentProgram, trampoline: Trampoline, operation: Lower, lifted: Lifted, name: str
    ) -> None:
        options = operation.options
        self._part = trampoline.instance
        self._code = program.code(name, lifted, is_between=True)
        self._params = compile_values(
            lifted.type.params, ASYNC_PARAMS_FLAT_MAX if options.is_async else PARAMS_FLAT_MAX
        )
        self._result = compile_maybe(lifted.type.result)
        self._by_pointer = self._result is not None and (options.is_async or self._result.slots > RESULTS_FLAT_MAX)
        self._context = program.context(options, BETWEEN_GUESTS)

    def call(self, instance: Instance, values: Values) -> Answer | Wait:
        part = instance.parts[self._part]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        scope = Scope() if self._params.has_borrow else None
        outcome: list[Any] = []
        parked: list[Callable[[], None]] = []

        def resolve(value: Any) -> None:
            outcome.append(value)
            if parked:
                parked.pop()()

        def finish() -> Answer:
            if scope is not None:
                scope.give_back()
            return self._store(instance, values, outcome[0])

        def arm(fiber: Fiber) -> None:
            self._check_blocking(fiber.task)
            parked.append(instance.resume(fiber))

        self._start(instance, lambda: self._lift(instance, values, scope), resolve)
        if outcome and not instance.preempted:
            return finish()
        if not instance.preempted:
            self._check_blocking(instance.task)
        return Wait(finish, arm, ready=lambda: bool(outcome))

    def call_async(self, instance: Instance, values: Values) -> Answer | Wait:
        part = instance.parts[self._part]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        subtask = Subtask(Scope() if self._params.has_borrow else None)

        def arguments() -> list[Any]:
            subtask.started()
            return self._lift(instance, values, subtask.scope)

        def resolve(value: Any) -> None:
            if value is not CANCELLED:
                self._store(instance, values, value)
            subtask.resolved(is_returned=value is not CANCELLED)

        def finish() -> Answer:
            if subtask.is_resolved:
                subtask.deliver()
                return _RETURNED
            return subtask.add_to(part.table)

        task = self._start(instance, arguments, resolve)
        subtask.cancel = task.request_cancellation
        return Wait(finish, _never) if instance.preempted else finish()

    def _check_blocking(self, task: Task) -> None:
        """What waits is the callee. If that is synchronous, it waits for its host, which is nobody else's affair."""
        trap_if(self._code.is_async and not task.may_block, CANNOT_BLOCK)

    def _start(self, instance: Instance, arguments: Callable[[], list[Any]], resolve: Callable[[Any], None]) -> Task:
        code = self._code
        task = Task(instance.task.call, instance.parts[code.part], code, arguments, resolve)
        task.depth = instance.task.depth + 1
        instance.check_depth(task.depth)
        task.start()
        return task

    def _lift(self, instance: Instance, values: Values, scope: Scope | None) -> list[Any]:
        context = instance.context(self._context)
        context.scope = scope
        return self._params.lift(context, values)

    def _store(self, instance: Instance, values: Values, value: Any) -> Answer:
        result = self._result
        if result is None:
            return None
        context = instance.context(self._context)
        try:
            if self._by_pointer:
                context.check(values[-1], result.size, result.align)
                result.store(context, values[-1], value)
                return None
            flat: list[Any] = []
            result.lower(context, value, flat)
        except BaseException:
            release(value, context.instance.table)
            raise
        return flat[0]  # type: ignore[no-any-return]


def _never(_fiber: Fiber) -> None:
    raise AssertionError("it waits only for a guest that was preempted")
