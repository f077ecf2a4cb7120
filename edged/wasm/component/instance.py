"""One instance of a component on the core API, and calls of what it exports.

    Instance(program, invocation) -> instantiate() -> call(export, ...) ... -> close()

Several calls may be under way at once (`edged.wasm.component.call`), each in its own trio task. Guest code of one
instance never runs in two of them at a time: a guest that is preempted in the middle of its code is gone on with before
anything else of its instance runs, whoever's it is.

Any trap ends the instance: the call that met it fails with it, all others with an error that names it, and nobody
enters any more (`is_poisoned`).
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from edged.errors import GuestBudgetExhausted, GuestStackExhausted, GuestTrap, HostFailed
from edged.host.interface import Invocation
from edged.limits import CALL_DEPTH_MAX, FIBER_COUNT_MAX, FIBER_OWN_COUNT, FIBER_SPARE_COUNT_MAX
from edged.wasm import ffi
from edged.wasm.component.call import Call, Returned
from edged.wasm.component.code import Code
from edged.wasm.component.fiber import Fiber
from edged.wasm.component.messages import CANNOT_ENTER
from edged.wasm.component.part import Part
from edged.wasm.component.program import ComponentProgram
from edged.wasm.component.task import Task
from edged.wasm.linear.context import Context
from edged.wasm.store import InstanceStatistics, failure_of

_EXTERN_OF = 8  # where the union of a wasmtime_extern_t begins
_KINDS = {"func": ffi.CORE_KIND["WASMTIME_EXTERN_FUNC"], "memory": ffi.CORE_KIND["WASMTIME_EXTERN_MEMORY"]}
_SPARE_BUFFERS_MAX = 64


class Instance:
    """An instance with a store for each of its parts.

    Args:
        invocation, before_wait: of the first call, as of `edged.wasm.store.GuestStore`.

    Attributes:
        parts: its component instances.
        task: whose code runs, or in whose name we do something.
        fiber: the one that is being polled, innermost.
        depth: how many fibers and nested calls are on the stack.
        nested: how many nested calls are on the stack; `nested_ticks`: how long the outermost has taken, and
            `turn_ticks` all of this turn together, in ticks of the epoch.
        failure: what a host function raised, to raise it again when the poll has ended.
        preempted: fibers to go on with before anything else runs, in order.
        calls: those under way; `parked`: how many of them have nothing to do.
        call_running: the one whose turn it is.
        is_retired: it should serve no more requests.
        held: calls that got something to do in the middle of a host's read; None: they are told at once.
        slice_started: when the guest code on the stack was entered, by `perf_counter`.
    """

    __slots__ = (
        *("_buffer", "_contexts", "_failed", "_fibers", "_idle", "_is_closed", "_items", "_items_address", "_own"),
        *("_steps_address", "call_running", "calls", "depth", "engine", "failure", "fiber", "held", "is_poisoned"),
        *("is_retired", "nested", "nested_ticks", "parked", "parts", "preempted", "program", "slice_started"),
        *("task", "turn_ticks", "vacant"),
    )

    def __init__(
        self,
        program: ComponentProgram,
        invocation: Invocation,
        before_wait: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.program = program
        self.engine = program.engine
        self.parts = [Part(self, index) for index in range(program.plan.instance_count)]
        self.fiber: Fiber | None = None
        self.depth = 0
        self.held: list[Call] | None = None
        self.nested = 0
        self.nested_ticks = 0
        self.turn_ticks = 0
        self.failure: BaseException | None = None
        self.is_poisoned = False
        self.is_retired = False
        self._failed: BaseException | None = None
        self.preempted: deque[Fiber] = deque()
        self.calls: set[Call] = set()
        self.parked = 0
        self.slice_started = 0.0
        self.vacant: trio.Event | None = None
        """Set when no fiber is preempted any more; None: nobody asks."""
        self._own = self.call_running = Call(self, invocation, before_wait)
        self.task = self._idle = Task(self._own, self.parts[0], None, tuple, lambda _value: None)
        self._fibers: dict[Fiber, None] = {}
        items = len(program.items)
        self._items = [0] * (items + 1)
        self._contexts: list[Context | None] = [None] * len(program.contexts)
        spare = program.spare_buffers
        size = items * ffi.CORE_EXTERN_SIZE + len(program.steps) * ffi.CORE_INSTANCE_SIZE
        self._buffer = spare.pop() if spare else (ctypes.c_char * size)()
        self._items_address = ctypes.addressof(self._buffer)
        self._steps_address = self._items_address + items * ffi.CORE_EXTERN_SIZE
        self._is_closed = False
        self.engine.instances += 1

    def begin(self, invocation: Invocation, before_wait: Callable[[], Awaitable[None]] | None) -> None:
        """Take on a request, whose time starts now: for an instance that was made before it came."""
        self._own = self.call_running = Call(self, invocation, before_wait)

    # --- life ---

    async def instantiate(self) -> None:
        """Make the core instances; runs their start functions.

        Raises:
            GuestError: a start function trapped, or a limit was met.
            HostFailed: a host function of ours raised.
        """
        await self._own.run(partial(self._make_steps, 0))

    async def call(self, export: Code, *arguments: Any, returned: Returned | None = None) -> Any:
        """Call an export in the name of this instance's invocation; values as in `edged.host.interface`.

        Args:
            returned: called with the answer as soon as there is one, and what it gives awaited while the guest goes on.
                It may read what the answer has in it at once: the guest then goes on inside of such a read.

        Returns:
            The answer, once the guest is through and `returned` too.

        Raises:
            GuestError: the guest trapped, met a limit, or a host function ended it.
            HostFailed: a host function of ours raised.
        """
        call = self._own
        if call in self.calls:
            call = Call(self, call.invocation, call.before_wait)
        return await call.run_export(export, arguments, returned)

    def close(self) -> None:
        """Unwind what is parked, drop what the guest held, free its stores. Idempotent.

        Raises:
            HostFailed: something of ours could not be dropped. All else was.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self.is_poisoned = True
        outer, self.engine.guest = self.engine.guest, self
        for fiber in list(self._fibers):
            fiber.delete()
        self.engine.fibers_spare -= max(0, len(self._fibers) - FIBER_OWN_COUNT)
        self._fibers.clear()
        self.preempted.clear()
        self.engine.guest = outer
        failure: Exception | None = None
        for part in self.parts:
            failure = part.drop_handles() or failure
        for context in self._contexts:
            if context is not None:
                context.close()
        for part in self.parts:
            part.delete()
        if self.program.linked is self:
            self.program.linked = None
        spare = self.program.spare_buffers
        if len(spare) < _SPARE_BUFFERS_MAX:
            spare.append(self._buffer)
        self.engine.instances -= 1
        if failure is not None:
            raise HostFailed(f"resource drop: {type(failure).__name__}: {failure}") from failure

    def statistics(self) -> InstanceStatistics:
        """Of the invocation that it was made for."""
        return self._own.statistics()

    def handles(self) -> int:
        """How many things its handle tables have."""
        return sum(len(part.table) for part in self.parts)

    # --- what an instance has, by the program's numbers ---

    def item(self, number: int) -> int:
        """The address of a `wasmtime_func_t` or `wasmtime_memory_t`."""
        return self._items[number] or self._find(number)

    def _find(self, number: int) -> int:
        export = self.program.items[number - 1]
        part = self.parts[self.program.steps[export.step].part]
        at = self._items_address + (number - 1) * ffi.CORE_EXTERN_SIZE
        name = export.name.encode()
        found = ffi.lib.wasmtime_instance_export_get(
            part.context, self._steps_address + export.step * ffi.CORE_INSTANCE_SIZE, name, len(name), at
        )
        if not found or ffi.memory[at] != bytes((_KINDS[export.kind],)):
            raise GuestTrap(f"the component has no {export.kind} {export.name!r} yet")
        self._items[number] = at + _EXTERN_OF
        return at + _EXTERN_OF

    def context(self, number: int) -> Context:
        """What codecs work in."""
        return self._contexts[number] or self._make_context(number)

    def _make_context(self, number: int) -> Context:
        plan = self.program.contexts[number]
        context = self._contexts[number] = self.parts[plan.part].make_context(plan)
        return context

    # --- running guest code ---

    def begin_fiber(self, fiber: Fiber) -> None:
        """Run a new fiber until it is done, parked or preempted."""
        self._fibers[fiber] = None
        count = len(self._fibers)
        if count > FIBER_OWN_COUNT:
            self.engine.fibers_spare += 1
            if count > FIBER_COUNT_MAX:
                raise GuestBudgetExhausted(f"more than {FIBER_COUNT_MAX} calls wait in the middle of a guest's code")
            if self.engine.fibers_spare > FIBER_SPARE_COUNT_MAX:
                raise GuestBudgetExhausted("the worker has no more stacks for calls that wait in a guest's code")
        self.go_on(fiber)

    def go_on(self, fiber: Fiber) -> None:
        """The same with one that was parked or preempted, and has not been done since.

        Raises:
            GuestError: the guest trapped.
        """
        self.check_depth()
        self.depth += 1
        engine = self.engine
        guest, task, outer = engine.guest, self.task, self.fiber
        engine.guest, self.task, self.fiber = self, fiber.task, fiber
        wait = fiber.wait
        if wait is not None:
            wait.done = True
            fiber.task.fiber = None
        try:
            done = fiber.poll()
            self.fiber = outer
            if done:
                if len(self._fibers) > FIBER_OWN_COUNT:
                    engine.fibers_spare -= 1
                del self._fibers[fiber]
                fiber.then(fiber.end(self))
                return
        finally:
            engine.guest, self.task, self.fiber = guest, task, outer
            self.depth -= 1
        if self.preempted or fiber.wait is None:
            self.preempted.append(fiber)
        else:
            self._park(fiber)

    def check_depth(self, depth: int = 0) -> None:
        """
        Args:
            depth: of a task. One that was preempted goes on from the bottom of the stack, and is as deep as before.

        Raises:
            GuestStackExhausted: its guests call each other, or themselves, too deeply.
        """
        if max(self.depth, depth) >= CALL_DEPTH_MAX:
            raise GuestStackExhausted(f"calls between guests are more than {CALL_DEPTH_MAX} deep")

    @staticmethod
    def _park(fiber: Fiber) -> None:
        fiber.task.fiber = fiber
        assert fiber.wait is not None
        fiber.wait.arm(fiber)

    def go_on_preempted(self) -> None:
        """Go on with the guest code that is in the middle of something: the innermost fiber first, then those whose
        trampolines called it."""
        rest = self.preempted
        fiber = rest.popleft()
        self.preempted = deque()
        if fiber.wait is None or fiber.wait.ready is None or fiber.wait.ready():
            self.go_on(fiber)
        else:
            self._park(fiber)
        self.preempted.extend(rest)
        if not self.preempted and self.vacant is not None:
            self.vacant.set()
            self.vacant = None

    def hold(self, action: Callable[[], None]) -> None:
        """Do something that calls get something to do from, and have them do it in the task that is running."""
        held: list[Call] = []
        self.held = held
        try:
            action()
        finally:
            self.held = None
        for call in held:
            call.advance()

    async def wait_vacant(self) -> None:
        """Wait until no guest code is in the middle of something."""
        if self.vacant is None:
            self.vacant = trio.Event()
        await self.vacant.wait()

    def turn_of(self, fiber: Fiber) -> Callable[[], None]:
        """A turn for a fiber that is parked, once what it waits for is there. It comes too late if another did."""
        wait = fiber.wait

        def go_on() -> None:
            if fiber.wait is wait and fiber.future:
                self.go_on(fiber)

        return go_on

    def resume(self, fiber: Fiber) -> Callable[[], None]:
        """Schedules that turn."""
        go_on, call = self.turn_of(fiber), fiber.task.call
        return lambda: call.schedule(go_on)

    # --- failures ---

    def keep(self, name: str, failure: BaseException) -> None:
        """Keep what a host function raised, to raise it again when the poll has ended."""
        self.failure = failure_of(name, failure)

    def fail(self, name: str, failure: BaseException) -> int:
        """The same; returns the trap that ends the guest."""
        self.keep(name, failure)
        return ffi.new_trap("ended by the host")

    def poison(self, failure: BaseException) -> None:
        """Nothing of it runs any more."""
        if self.is_poisoned:
            return
        self.is_poisoned = True
        self._failed = failure
        if self.vacant is not None:
            self.vacant.set()
            self.vacant = None
        for call in self.calls:
            call.interrupt()

    def check(self) -> None:
        """
        Raises:
            GuestTrap: it is poisoned.
        """
        if self.is_poisoned:
            raise GuestTrap(f"{CANNOT_ENTER}: another request ended it: {self._failed}")

    def abandon(self, call: Call) -> None:
        """A call ends, and tasks of it do not. What is in the middle of its code takes the instance with it; what
        waits for an event never gets one."""
        self.is_retired = True
        if any(fiber.task.call is call for fiber in self._fibers):
            self.poison(GuestTrap("a request ended in the middle of the guest's code"))
            return
        for part in self.parts:
            part.entering = deque(task for task in part.entering if task.call is not call)
            part.turn = deque(task for task in part.turn if task.call is not call)
            part.let_in()

    # --- instantiation ---

    def _make_steps(self, index: int) -> None:
        """Make the core instances from a step on."""
        while index < len(self.program.steps):
            if not self._make_step(index):
                return  # its start function is not done, and goes on with the next step when it is
            index += 1
        self._own.is_over = True

    def _make_step(self, index: int) -> bool:
        """Make a core instance. True: it is there."""
        program = self.program
        if program.linked is not self:
            program.linked = self
            for earlier in range(index):
                self._define_step(earlier)
        plan = program.steps[index]
        part = self.parts[plan.part]
        task = self._idle if part is self._idle.part else Task(self._own, part, None, tuple, lambda _value: None)
        is_late = is_done = False

        def then(_results: object) -> None:
            nonlocal is_done
            is_done = True
            if program.linked is self:
                self._define_step(index)
            if is_late:
                self._own.schedule(partial(self._make_steps, index + 1))

        at = self._steps_address + index * ffi.CORE_INSTANCE_SIZE
        self.begin_fiber(Fiber.of_instantiation(task, program.linker, part.open(), plan.module, at, then))
        is_late = True
        return is_done

    def _define_step(self, index: int) -> None:
        plan = self.program.steps[index]
        if plan.name is None:
            return
        ffi.check(
            ffi.lib.wasmtime_linker_define_instance(
                self.program.linker,
                self.parts[plan.part].context,
                plan.name,
                len(plan.name),
                self._steps_address + index * ffi.CORE_INSTANCE_SIZE,
            )
        )
