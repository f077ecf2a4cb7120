"""One component instance: its handles, its store, and who may run in it.

A component that is composed of others has several; most have one with core instances, and thus one store.

Source: CanonicalABI.md, "Component Instance State".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any

from edged.errors import GuestTrap
from edged.wasm import ffi
from edged.wasm import types as wit
from edged.wasm.component.fiber import Fiber, Number, Signature, nested_call
from edged.wasm.component.messages import (
    CONCURRENT,
    FUTURE_LIFT_AFTER,
    LIFT_AFTER_DROP,
    trap_if,
)
from edged.wasm.component.pipe import DONE, IDLE, End, Kind, Pipe, kind_of
from edged.wasm.component.stream import HostWriter, PipeFuture, PipeReader
from edged.wasm.linear.context import Context, linear_memory
from edged.wasm.linear.table import HandleTable, ResourceHandle
from edged.wasm.store import new_store

if TYPE_CHECKING:
    from edged.wasm.component.instance import Instance
    from edged.wasm.component.program import ContextPlan
    from edged.wasm.component.task import Task

_REALLOC = Signature("iiii", "i")


class Part:
    """
    Attributes:
        defines: numbers of the resource types that it defines.
        may_leave: it may call what it imports.
        backpressure: more than 0: no asynchronous function of it may be entered.
        exclusive: the task that runs, of those that take turns.
        entering: tasks that wait to be entered.
        turn: tasks with an event whose turn it is not.
        context: `wasmtime_context_t*` of its store, 0 before anything is instantiated in it.
    """

    __slots__ = (
        "_store",
        "backpressure",
        "context",
        "defines",
        "entering",
        "exclusive",
        "index",
        "instance",
        "may_leave",
        "table",
        "turn",
    )

    def __init__(self, instance: Instance, index: int) -> None:
        program = instance.program
        self.instance = instance
        self.index = index
        self.defines: Container[int] = program.defines[index]
        self.table = HandleTable(program.limits.handles_max)
        self.may_leave = True
        self.backpressure = 0
        self.exclusive: Task | None = None
        self.entering: deque[Task] = deque()
        self.turn: deque[Task] = deque()
        self._store = 0
        self.context = 0

    # --- its store ---

    def open(self) -> int:
        """Make its store, if it has none. Returns `context`."""
        if not self._store:
            engine, limits = self.instance.engine, self.instance.program.limits
            self._store, self.context = new_store(engine, limits)
            self.instance.program.deadlines.watch(self._store)
        return self.context

    def delete(self) -> None:
        """Free its store, with the guest's memory. No call of it may be under way."""
        if self._store:
            ffi.lib.wasmtime_store_delete(self._store)
            self._store = self.context = 0

    def make_context(self, plan: ContextPlan) -> Context:
        """The codecs' view of it, by one set of canonical options."""
        look = None if plan.memory is None else linear_memory(self.context, self.instance.item(plan.memory))
        realloc = None if plan.realloc is None else self._realloc(plan.realloc)
        return Context(self, look, realloc, plan.encoding, plan.boundary)

    def _realloc(self, item: int) -> Callable[[int, int, int, int], int]:
        instance = self.instance

        def realloc(old: int, old_size: int, align: int, size: int) -> int:
            may_leave, self.may_leave = self.may_leave, False
            (address,) = nested_call(
                instance, self.context, instance.item(item), _REALLOC, (old, old_size, align, size)
            )
            self.may_leave = may_leave
            return int(address)

        return realloc

    # --- running ---

    def enter(
        self,
        task: Task,
        item: int,
        signature: Signature,
        values: Sequence[Number],
        then: Callable[[Sequence[Number]], None],
    ) -> None:
        """Run a core function as part of a task, `then` what follows. Returns when that is done, or has to wait.

        Args:
            item: of the program's items.

        Raises:
            GuestError: it trapped.
        """
        instance = self.instance
        instance.begin_fiber(Fiber.of_call(task, self.context, instance.item(item), signature, values, then))

    def nested(self, task: Task, item: int, signature: Signature, values: Sequence[Number]) -> Sequence[Number]:
        """Run a core function that must end at once, as part of a task. Errors as of `nested_call`."""
        instance = self.instance
        outer, instance.task = instance.task, task
        try:
            return nested_call(instance, self.context, instance.item(item), signature, values)
        finally:
            instance.task = outer

    def release(self, task: Task) -> None:
        """A task has stopped running."""
        if self.exclusive is task:
            self.exclusive = None
            self.let_in()

    def let_in(self) -> None:
        """Schedule whoever is next: those under way before those that want to start."""
        if self.exclusive is None and self.turn:
            task = self.turn.popleft()
            task.call.schedule(task.go_on)
        elif self.entering and self.backpressure == 0:
            task = self.entering.popleft()
            task.call.schedule(task.go_on)

    # --- streams and futures, for codecs ---

    def take_stream(self, index: int, ty: wit.Stream) -> PipeReader:
        return PipeReader(self._take(index, kind_of(ty), LIFT_AFTER_DROP))

    def take_future(self, index: int, ty: wit.Future) -> PipeFuture:
        return PipeFuture(self._take(index, kind_of(ty), FUTURE_LIFT_AFTER))

    def give_stream(self, value: Any, ty: wit.Stream) -> int:
        return self._give(value, kind_of(ty), PipeReader)

    def give_future(self, value: Any, ty: wit.Future) -> int:
        return self._give(value, kind_of(ty), PipeFuture)

    def _take(self, index: int, kind: Kind, after: str) -> Pipe:
        end = self.end(index, kind)
        name = kind.name
        trap_if(end.is_writable, f"handle is not a readable end of a {name}")
        trap_if(end.state is DONE, after)
        trap_if(end.state is not IDLE, f"cannot remove busy {name}")
        trap_if(end.is_in_set, f"cannot lift {name} while it's in a waitable set")
        self.table.remove(index)
        end.pipe.ends[0] = None
        return end.pipe

    def end(self, index: int, kind: Kind) -> End:
        """The end of a stream or future.

        Raises:
            GuestTrap: it is none, or one of other values.
        """
        found = self.table.get(index)
        if found.__class__ is End and found.pipe.kind is kind:
            return found
        is_other = found.__class__ is End and found.pipe.is_future is kind.is_future
        raise GuestTrap(f"handle is {'' if is_other else 'not '}a {kind.name}{' of a different type' * is_other}")

    def idle_end(self, index: int, kind: Kind, is_writable: bool, after: str) -> End:
        """The same, which must be of one kind and not in use.

        Args:
            after: message, if it has been told that there is no use for it any more.
        """
        end = self.end(index, kind)
        if end.is_writable is not is_writable:
            raise GuestTrap(f"handle is not a {_SIDE[is_writable]} end of a {kind.name}")
        trap_if(end.state is DONE, after)
        trap_if(end.state is not IDLE, CONCURRENT)
        return end

    def _give(self, value: Any, kind: Kind, reader: type[PipeReader | PipeFuture]) -> int:
        if value.__class__ is reader and value.pipe is not None and value.pipe.instance is self.instance:
            pipe, value.pipe = value.pipe, None
        else:
            pipe = Pipe(self.instance, kind)
            pipe.writer = HostWriter(self.instance, pipe, value)
        try:
            return self.add_end(pipe, is_writable=False)
        except BaseException:
            pipe.drop(is_writable=False)
            raise

    def add_end(self, pipe: Pipe, is_writable: bool) -> int:
        """A new end for the guest; its index."""
        end = End(pipe, is_writable)
        end.index = self.table.add(end)
        pipe.ends[is_writable] = end
        if pipe.is_dropped:
            end.notice_drop()
        return end.index

    # --- the end ---

    def drop_handles(self) -> Exception | None:
        """Let go of all that the guest holds. What could not be is returned."""
        failure: Exception | None = None
        resources = self.instance.program.plan.resources
        for held in self.table.clear():
            try:
                if held.__class__ is End:
                    held.pipe.pending = None
                    held.pipe.drop(held.is_writable)
                elif (
                    held.__class__ is ResourceHandle
                    and held.scope is None
                    and resources[held.resource - 1].instance is None
                ):
                    held.rep.drop()
            except Exception as exc:
                failure = exc
        return failure


_SIDE = ("readable", "writable")
