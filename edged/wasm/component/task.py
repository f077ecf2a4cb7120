"""A task: one call of a function that a guest exports, from its start until the guest is through with it.

    start ── (waits for its turn) ── code runs ──┬── returns: done (a synchronous function)
                                                 ├── EXIT: done
                                                 └── WAIT or YIELD ── event ── callback runs ──┘

Its answer (`task.return`) may come long before its end. A function with a callback needs no stack while it waits. One
that may block in the middle of its code is parked on a fiber by the trampoline that blocks.

Source: CanonicalABI.md, "Task State" and "canon lift".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from edged.errors import GuestTrap
from edged.wasm.component.fiber import Fiber, Number
from edged.wasm.component.messages import (
    CALLBACK_CODE,
    CANNOT_BLOCK,
    CANNOT_ENTER,
    NO_RESULT,
    NOT_CANCELLED,
    RESULT_TWICE,
    trap_if,
)
from edged.wasm.component.waitable import NONE, TASK_CANCELLED, Event, WaitableSet, entry
from edged.wasm.linear.table import Scope

if TYPE_CHECKING:
    from edged.wasm.component.call import Call
    from edged.wasm.component.code import Code
    from edged.wasm.component.part import Part

_EXIT, _YIELD, _WAIT = range(3)


class State(IntEnum):
    INITIAL = 1
    CANCEL_PENDING = 2
    CANCEL_DELIVERED = 3
    RESOLVED = 4


class Cancelled:
    """Stands for the answer of a task that was cancelled."""


CANCELLED = Cancelled()


class Task(Scope):
    """
    Args:
        arguments: gives them when the task starts, which may be later.
        resolve: called with its answer, or `CANCELLED`.

    Attributes:
        part: the component instance it runs in.
        storage: what `context.set` keeps.
        depth: how many tasks called each other, the last of them this one.
        fiber: its code, where it is parked.
        is_over: the guest is through with it.
    """

    __slots__ = (
        "_arguments",
        "_resolve",
        "_waits",
        "_wset",
        "call",
        "code",
        "depth",
        "fiber",
        "is_over",
        "part",
        "state",
        "storage",
    )

    def __init__(
        self,
        call: Call,
        part: Part,
        code: Code | None,
        arguments: Callable[[], Sequence[Any]],
        resolve: Callable[[Any], None],
    ) -> None:
        super().__init__()
        self.call = call
        self.part = part
        self.depth = 0
        self.code = code
        self._arguments = arguments
        self._resolve = resolve
        self.state = State.INITIAL
        self.storage = [0, 0]
        self._waits = _NOT
        self._wset: WaitableSet | None = None
        self.fiber: Fiber | None = None
        self.is_over = False

    @property
    def may_block(self) -> bool:
        """Whether it may wait in the middle of its code for what is asynchronous."""
        code = self.code
        return (code is not None and code.is_async) or self.state is State.RESOLVED

    # --- start ---

    def start(self) -> None:
        """Run, or wait for one's turn.

        Raises:
            GuestError: it trapped.
        """
        part, code = self.part, self.code
        assert code is not None
        trap_if(part.instance.is_poisoned, CANNOT_ENTER)
        self.call.tasks += 1
        if code.is_async and (part.entering or self._has_backpressure()):
            self._waits = _TO_ENTER
            part.entering.append(self)
        else:
            self._begin()

    def _has_backpressure(self) -> bool:
        part, code = self.part, self.code
        assert code is not None
        return part.backpressure > 0 or (code.is_exclusive and part.exclusive is not None)

    def _begin(self) -> None:
        part, code = self.part, self.code
        assert code is not None
        if code.is_async and code.is_exclusive:
            part.exclusive = self
        values = code.lower_arguments(self, self._arguments())
        part.enter(self, code.function, code.signature, values, self._ended)

    # --- its code ---

    def _ended(self, results: Sequence[Number]) -> None:
        """The core function has returned."""
        code = self.code
        assert code is not None
        if not code.is_async_abi:
            self.resolve(code.lift_result(self, results))
            if code.post_return:
                part = self.part
                part.may_leave = False
                part.nested(self, code.post_return, code.post_return_signature, results)
                part.may_leave = True
        elif code.callback:
            self._called_back(results)
            return
        self._exit()

    def _called_back(self, results: Sequence[Number]) -> None:
        """The core function or the callback has returned what to do next."""
        packed = int(results[0])
        code = packed & 0xF
        if code == _EXIT:
            self._exit()
            return
        part = self.part
        is_cancelled = self.state is State.CANCEL_PENDING
        if code == _WAIT:
            trap_if(not self.may_block, CANNOT_BLOCK)
            wset = entry(part.table, packed >> 4, WaitableSet, "handle is not a waitable-set")
            wset.waiting += 1
            self._wset = wset
            self._waits = _FOR_EVENT
            if is_cancelled or wset.ready:
                self.call.schedule(self.go_on)
            else:
                self._wait_in(wset)
        elif code == _YIELD:
            self._waits = _TO_YIELD
            if is_cancelled:
                self.call.schedule(self.go_on)
            else:
                self.call.schedule_later(self.go_on)
        else:
            raise GuestTrap(CALLBACK_CODE)
        part.release(self)

    def wake(self) -> None:
        """There may be an event for it."""
        self.call.schedule(self.go_on)

    def go_on(self) -> None:
        """Its turn has come: start, or call the callback with an event; or wait for another turn.

        Raises:
            GuestError: it trapped.
        """
        part, waits = self.part, self._waits
        if waits is _NOT:
            return  # a request to cancel came first
        if waits is _TO_ENTER:
            if self._has_backpressure():
                part.entering.appendleft(self)
            else:
                self._waits = _NOT
                self._begin()
                part.let_in()
            return
        if part.exclusive is not None:
            part.turn.append(self)
            return
        wset = self._wset
        if self.state is State.CANCEL_PENDING:
            event: Event = (TASK_CANCELLED, 0, 0)
            self.state = State.CANCEL_DELIVERED
        elif wset is None:
            event = (NONE, 0, 0)
        elif wset.ready:
            event = wset.take_event()
        else:
            self._wait_in(wset)
            part.let_in()  # whoever waits behind this one
            return
        self._call_back(event)

    def _call_back(self, event: Event) -> None:
        part, code, wset = self.part, self.code, self._wset
        assert code is not None
        self._waits = _NOT
        self._wset = None
        if wset is not None:
            wset.waiting -= 1
            if wset.ready and wset.waiters:
                wset.waiters.popleft()()
        part.exclusive = self
        part.enter(self, code.callback, code.callback_signature, event, self._called_back)

    def _exit(self) -> None:
        trap_if(self.state is not State.RESOLVED, NO_RESULT)
        self.is_over = True
        self.part.release(self)
        self.call.end_task(self)

    # --- its answer ---

    def resolve(self, value: Any) -> None:
        """`task.return`.

        Raises:
            GuestTrap: it has answered, or holds borrows.
        """
        trap_if(self.state is State.RESOLVED, RESULT_TWICE)
        self.check_returned()
        self.state = State.RESOLVED
        self._resolve(value)

    def resolve_cancelled(self) -> None:
        """`task.cancel`.

        Raises:
            GuestTrap: nobody cancelled it, it has answered, or holds borrows.
        """
        trap_if(self.state is State.RESOLVED, RESULT_TWICE)
        trap_if(self.state is not State.CANCEL_DELIVERED, NOT_CANCELLED)
        self.check_returned()
        self.state = State.RESOLVED
        self._resolve(CANCELLED)

    # --- cancellation ---

    def request_cancellation(self) -> None:
        """Its caller does not want its answer any more. Runs its code, where that waits for anything.

        Raises:
            GuestError: it trapped.
        """
        part = self.part
        if self._waits is _TO_ENTER:
            self._waits = _NOT
            if self in part.entering:
                part.entering.remove(self)
            self.state = State.RESOLVED
            self.is_over = True
            self._resolve(CANCELLED)
            self.call.end_task(self)
            part.let_in()
            return
        if self.state is not State.INITIAL:
            return
        code, fiber = self.code, self.fiber
        assert code is not None
        holder = part.exclusive
        may_enter = not code.is_exclusive or holder is None or holder is self
        if fiber is not None and fiber.wait is not None and fiber.wait.is_cancellable and may_enter:
            self.state = State.CANCEL_DELIVERED
            fiber.wait.is_cancelled = True
            part.instance.go_on(fiber)
        elif self._waits is _NOT:
            self.state = State.CANCEL_PENDING
        elif may_enter:
            self._leave_queues()
            self.state = State.CANCEL_DELIVERED
            self._call_back((TASK_CANCELLED, 0, 0))
        else:
            self._leave_queues()
            self.state = State.CANCEL_PENDING
            part.turn.append(self)

    def take_pending_cancel(self) -> bool:
        """A wait that may be cancelled begins: whether it ends at once, since its task was cancelled before."""
        if self.state is not State.CANCEL_PENDING:
            return False
        self.state = State.CANCEL_DELIVERED
        return True

    def _wait_in(self, wset: WaitableSet) -> None:
        if self.wake not in wset.waiters:
            wset.waiters.append(self.wake)

    def _leave_queues(self) -> None:
        wset = self._wset
        if wset is not None and self.wake in wset.waiters:
            wset.waiters.remove(self.wake)
        if self in self.part.turn:
            self.part.turn.remove(self)


_NOT, _TO_ENTER, _TO_YIELD, _FOR_EVENT = range(4)
"""What a task waits for, while none of its code runs or is parked."""
