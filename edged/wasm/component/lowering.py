"""`canon lower`: functions that a guest imports, of the host's or of another guest in the same component.

|         | host, answers at once | host, left a coroutine        | guest                              |
|---------|-----------------------|-------------------------------|------------------------------------|
| sync    | its result            | the fiber is parked           | runs; the fiber is parked if it waits |
| `async` | `RETURNED`            | a subtask; the coroutine runs in the call's nursery | runs; a subtask if it waits |

Source: CanonicalABI.md, "canon lower".
"""

from __future__ import annotations

from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from edged.errors import GuestRefused
from edged.host.interface import Err
from edged.limits import LIFT_BYTES_MAX
from edged.wasm.binding import HostFunction, budget_exhausted
from edged.wasm.canonical_abi import ASYNC_PARAMS_FLAT_MAX, PARAMS_FLAT_MAX
from edged.wasm.component.async_host_calls import AsyncHostCalls, is_large
from edged.wasm.component.fiber import Fiber, Wait
from edged.wasm.component.guest_lowering import lower_guest
from edged.wasm.component.messages import CANNOT_BLOCK, CANNOT_LEAVE, trap, trap_if
from edged.wasm.component.release import releasing, releasing_at
from edged.wasm.component.trampoline import Answer, Operation, Values
from edged.wasm.linear.codec import compile_maybe
from edged.wasm.linear.context import TO_HOST
from edged.wasm.linear.signature import Answer as CompiledAnswer
from edged.wasm.linear.signature import compile_answer, compile_values
from edged.wasm.linear.table import Scope
from edged.wasm.plan.plan import HostImport, Lifted, Lower, Trampoline
from edged.wasm.types import WitType

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.program import ComponentProgram
    from edged.wasm.linear.context import Context


def lower(program: ComponentProgram, trampoline: Trampoline, operation: Lower) -> Operation:
    """What a lowered function does."""
    function = operation.function
    if isinstance(function, Lifted):
        return lower_guest(program, trampoline, operation, function)
    name = f"{function.interface}#{function.name}"
    host = program.function(function)
    if host is None:
        return _refuse(name)
    if operation.options.is_async:
        call = AsyncHostCalls(Host(program, trampoline, operation, function, host), function.type)
        return Operation(call.name, call.call)
    if host.suspends:
        return _lower_host_suspending(program, trampoline, operation, function, host)
    return _lower_host(program, trampoline, operation, function, host)


def _refuse(name: str) -> Operation:
    def call(_instance: Instance, _values: Values) -> Answer:
        raise GuestRefused(f"the guest called {name}, which is not provided")

    return Operation(name, call)


class Host:
    """What the three ways to call the host share."""

    def __init__(
        self,
        program: ComponentProgram,
        trampoline: Trampoline,
        operation: Lower,
        function: HostImport,
        host: HostFunction,
    ) -> None:
        options = operation.options
        self.part = trampoline.instance
        self.name = host.name
        self.host = host.call
        self.takes_invocation = host.takes_invocation
        self.params = compile_values(
            function.type.params, ASYNC_PARAMS_FLAT_MAX if options.is_async else PARAMS_FLAT_MAX
        )
        self.answer = _releasing(function.type.result)
        self.context = program.context(options, TO_HOST)
        self.has_result = function.type.result is not None
        self.is_async = function.type.is_async

    def store(self, context: Context, values: Values, value: Any, caught: Err | None) -> Answer:
        """Give the guest its answer.

        Args:
            caught: the err case, in place of a value.
        """
        answer = self.answer
        if caught is not None and answer.store_err is None:
            raise caught
        if answer.by_pointer:
            if caught is None:
                answer.store_ok(context, values[-1], value)
            else:
                assert answer.store_err is not None
                answer.store_err(context, values[-1], caught.value)
            return None
        if caught is None:
            flat = answer.lower_ok(context, value)
        else:
            assert answer.lower_err is not None
            flat = answer.lower_err(context, caught.value)
        return flat[0] if flat else None


def _releasing(result: WitType | None) -> CompiledAnswer:
    """As `compile_answer`. What a guest is to own and cannot be given is let go of."""
    answer, codec = compile_answer(result), compile_maybe(result)
    if codec is None or not codec.moves:
        return answer
    return answer._replace(
        store_ok=releasing_at(answer.store_ok),
        store_err=None if answer.store_err is None else releasing_at(answer.store_err),
        lower_ok=releasing(answer.lower_ok),
        lower_err=None if answer.lower_err is None else releasing(answer.lower_err),
    )


def _lower_host(
    program: ComponentProgram, trampoline: Trampoline, operation: Lower, function: HostImport, host: HostFunction
) -> Operation:
    """The hot path: most calls of most guests."""
    shared = Host(program, trampoline, operation, function, host)
    name, call_host, takes_invocation = shared.name, shared.host, shared.takes_invocation
    part_index, context_number = shared.part, shared.context
    lift, by_pointer = shared.params.lift, shared.answer.by_pointer
    store_ok, lower_ok, finish = shared.answer.store_ok, shared.answer.lower_ok, shared.store
    has_result = shared.has_result
    if shared.params.has_borrow and shared.params.moves:
        # A handle that is lent may be given away in the same call. Only a scope counts the loan, which forbids it.
        return _lower_host_suspending(program, trampoline, operation, function, host)

    def call(instance: Instance, values: Values) -> Answer:
        running = instance.call_running
        running.host_calls_left -= 1
        if running.host_calls_left < 0:
            raise budget_exhausted(name)
        if not instance.parts[part_index].may_leave:
            raise trap(CANNOT_LEAVE)
        context = instance.context(context_number)
        context.scope = None
        arguments = lift(context, values)
        try:
            value = call_host(running.invocation, *arguments) if takes_invocation else call_host(*arguments)
        except Err as caught:
            return finish(context, values, None, caught)
        if by_pointer:
            store_ok(context, values[-1], value)
        elif has_result:
            return lower_ok(context, value)[0]
        return None

    return Operation(name, call)


def _lower_host_suspending(
    program: ComponentProgram, trampoline: Trampoline, operation: Lower, function: HostImport, host: HostFunction
) -> Operation:
    shared = Host(program, trampoline, operation, function, host)
    name, has_borrow, finish = shared.name, shared.params.has_borrow, shared.store
    may_hold = is_large(function.type)

    def call(instance: Instance, values: Values) -> Answer | Wait:
        running = instance.call_running
        running.host_calls_left -= 1
        if running.host_calls_left < 0:
            raise budget_exhausted(name)
        trap_if(not instance.parts[shared.part].may_leave, CANNOT_LEAVE)
        if may_hold:
            running.room.check()
        context = instance.context(shared.context)
        scope = context.scope = Scope() if has_borrow else None
        arguments = shared.params.lift(context, values)
        size_bytes = LIFT_BYTES_MAX - context.left if may_hold else 0
        try:
            value = shared.host(running.invocation, *arguments) if shared.takes_invocation else shared.host(*arguments)
            if value.__class__ is CoroutineType:
                if shared.is_async and not instance.task.may_block:
                    value.close()
                    raise trap(CANNOT_BLOCK)
                return _Waiting(instance, shared, values, scope).wait(value, size_bytes)
            caught = None
        except Err as err:
            value, caught = None, err
        if scope is not None:
            scope.give_back()
        return finish(context, values, value, caught)

    return Operation(name, call, may_wait=True)


class _Waiting:
    """A call that the fiber is parked for."""

    __slots__ = ("_caught", "_fiber", "_host", "_instance", "_scope", "_size_bytes", "_value", "_values")

    def __init__(self, instance: Instance, host: Host, values: Values, scope: Scope | None) -> None:
        self._instance = instance
        self._host = host
        self._values = values
        self._scope = scope
        self._size_bytes = 0
        self._value: Any = None
        self._caught: Err | None = None
        self._fiber: Fiber | None = None

    def wait(self, coroutine: Any, size_bytes: int) -> Wait:
        """
        Args:
            size_bytes: of the arguments, which the host holds meanwhile.
        """
        running = self._instance.call_running
        host_call = running.spawn(coroutine, self._arrived, self._host.name, is_alone=True)
        if size_bytes:
            self._size_bytes = size_bytes
            running.room.take(size_bytes)
            host_call.lost = partial(running.room.give, size_bytes)
        return Wait(self._finish, self._arm)

    def _arm(self, fiber: Fiber) -> None:
        self._fiber = fiber

    def _arrived(self, value: Any, caught: Err | None) -> None:
        self._value, self._caught = value, caught
        if self._size_bytes:
            self._instance.call_running.room.give(self._size_bytes)
        assert self._fiber is not None
        self._instance.go_on(self._fiber)

    def _finish(self) -> Answer:
        if self._scope is not None:
            self._scope.give_back()
        host = self._host
        return host.store(self._instance.context(host.context), self._values, self._value, self._caught)
