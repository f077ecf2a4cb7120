"""`canon lower async` of the host's functions: the guest goes on while the host is at work.

    call ──┬── answers at once ── RETURNED
           ├── leaves a coroutine ── a subtask that has started; its answer is a turn
           └── no room: a subtask that is to start ── room ── the same as above

Values of any size take the host's memory, and a guest may begin thousands of calls with the same bytes. So only so many
are begun at a time; the specification lets a callee make its caller wait, with the arguments left where they are.

Source: CanonicalABI.md, "canon lower", and `Subtask.on_start`.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from edged.host.interface import Err
from edged.limits import LIFT_BYTES_MAX
from edged.wasm.binding import budget_exhausted
from edged.wasm.component.messages import CANNOT_LEAVE, trap_if
from edged.wasm.component.release import release
from edged.wasm.component.waitable import Subtask, SubtaskState
from edged.wasm.linear.table import Scope
from edged.wasm.store import failure_of
from edged.wasm.types import (
    FixedList,
    Function,
    List,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    WitType,
)

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.lowering import Host
    from edged.wasm.component.trampoline import Answer, Values

_RETURNED = int(SubtaskState.RETURNED)


class AsyncHostCalls:
    """What a trampoline of this kind does.

    Args:
        host: the function, with its codecs.
        ty: as WIT has it.
    """

    def __init__(self, host: Host, ty: Function) -> None:
        self.name = host.name
        self._host = host
        self._is_large = is_large(ty)

    def call(self, instance: Instance, values: Values) -> Answer:
        """The trampoline's operation."""
        running, host = instance.call_running, self._host
        running.host_calls_left -= 1
        if running.host_calls_left < 0:
            raise budget_exhausted(self.name)
        part = instance.parts[host.part]
        trap_if(not part.may_leave, CANNOT_LEAVE)
        scope = Scope() if host.params.has_borrow else None
        if self._is_large and running.room.is_full:
            return self._wait(instance, values, Subtask(scope))
        value, caught, size_bytes = self._begin(instance, values, scope)
        if value.__class__ is not CoroutineType:
            if scope is not None:
                scope.give_back()
            self._store(instance, values, value, caught)
            return _RETURNED
        subtask = Subtask(scope)
        subtask.state = SubtaskState.STARTED
        try:
            packed = subtask.add_to(part.table)
        except BaseException:
            value.close()
            raise
        self._go_on(instance, values, subtask, value, size_bytes)
        return packed

    def _begin(self, instance: Instance, values: Values, scope: Scope | None) -> tuple[Any, Err | None, int]:
        """Call the host: what it answers or leaves, and how large its arguments are, in bytes."""
        host, context = self._host, instance.context(self._host.context)
        context.scope = scope
        arguments = host.params.lift(context, values)
        size_bytes = LIFT_BYTES_MAX - context.left if self._is_large else 0
        try:
            if host.takes_invocation:
                return host.host(instance.call_running.invocation, *arguments), None, size_bytes
            return host.host(*arguments), None, size_bytes
        except Err as err:
            return None, err, size_bytes

    def _go_on(self, instance: Instance, values: Values, subtask: Subtask, coroutine: Any, size_bytes: int) -> None:
        """Have what the host left awaited."""
        running = instance.call_running
        room = running.room if self._is_large else None

        def finish(value: Any, caught: Err | None) -> None:
            if room is not None:
                room.give(size_bytes)
            if not subtask.is_resolved:
                self._store(instance, values, value, caught)
                subtask.resolved(is_returned=True)
            elif (failure := release(value if caught is None else caught)) is not None:
                raise failure_of(self.name, failure)

        host_call = running.spawn(coroutine, finish, self.name)
        if room is not None:
            room.take(size_bytes)
            host_call.lost = lambda: room.give(size_bytes)

        def cancel() -> None:
            host_call.cancel()
            subtask.resolved(is_returned=False)

        subtask.cancel = cancel

    def _wait(self, instance: Instance, values: Values, subtask: Subtask) -> Answer:
        """Call the host when there is room."""
        running = instance.call_running
        room = running.room
        packed = subtask.add_to(instance.parts[self._host.part].table)

        def begin() -> None:
            if not room.take_turn(begin) or running.is_cancelling:
                return  # if it is cancelled, the tasks of those under way have been, too
            if not subtask.is_resolved:  # cancelled, when its turn was due
                value, caught, size_bytes = self._begin(instance, values, subtask.scope)
                subtask.started()
                if value.__class__ is CoroutineType:
                    self._go_on(instance, values, subtask, value, size_bytes)
                else:
                    self._store(instance, values, value, caught)
                    subtask.resolved(is_returned=True)
            room.begin_next()

        def cancel() -> None:
            room.give_up(begin)
            subtask.resolved(is_returned=False)

        subtask.cancel = cancel
        room.wait(begin)
        return packed

    def _store(self, instance: Instance, values: Values, value: Any, caught: Err | None) -> None:
        """Give the guest its answer, where it said."""
        host = self._host
        answer, context = host.answer, instance.context(host.context)
        if caught is not None:
            if answer.store_err is None:
                raise caught
            answer.store_err(context, values[-1], caught.value)
        elif host.has_result:
            answer.store_ok(context, values[-1], value)


def is_large(ty: Function) -> bool:
    """Whether there is a string or list among the parameters, or in what it answers. Errors are short."""
    result = ty.result.ok if isinstance(ty.result, Result) else ty.result
    return any(map(_has_list, ty.params)) or (result is not None and _has_list(result))


def _has_list(ty: WitType) -> bool:
    match ty:
        case Primitive(kind):
            return kind == "STRING"
        case List():
            return True
        case FixedList(element):
            return _has_list(element)
        case Option(payload):
            return _has_list(payload)
        case Tuple(elements):
            parts: Iterable[WitType | None] = elements
        case Record(fields):
            parts = (field for _, field in fields)
        case Variant(cases):
            parts = (payload for _, payload in cases)
        case Result(ok, err):
            parts = (ok, err)
        case _:
            return False
    return any(part is not None and _has_list(part) for part in parts)
