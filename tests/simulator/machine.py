"""A simulated machine, and the lives of the process that runs on it.

    machine ── disk, clock, address ........ outlive the process
       └─ process ── tasks, streams, threads ... end with it, in one instant

From the instant in which a process ends, nothing that its tasks still do has an effect: what they send goes nowhere,
the disk refuses them, their threads never run. They are cancelled, whatever shields they hold up.
"""

from __future__ import annotations

import contextvars
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import trio
from outcome import Error

from tests.simulator.clock import Clock
from tests.simulator.memory_disk import MemoryDisk, PowerCut

if TYPE_CHECKING:
    from trio._core._run import CancelStatus

    from tests.simulator.stream import SimulatedStream
    from tests.simulator.threads import Work
    from tests.simulator.world import World

End = Literal["killed", "power cut", "ended", "failed"]
"""How a process ended: by kill -9, with its machine, as its program wanted, or by an exception of it."""

_THREAD_COUNT = 40  # of one process, as trio has it
_UNWIND_STEPS_MAX = 10_000  # of the tasks of a process that has ended

_current: contextvars.ContextVar[Process | None] = contextvars.ContextVar("simulated process", default=None)


class Died(BaseException):
    """The process of the task that sees this is gone. Not an Exception: nothing may catch it and carry on."""


def current_process() -> Process | None:
    """That of the current task; None for a task of the world outside."""
    return _current.get()


class Process:
    """One life of a machine's program. Made by `Machine.process`.

    Attributes:
        nursery: of all its tasks.
        is_alive: nothing that it does has an effect once it is not.
        end_kind: how it ended; None while it lives.
        number: 1 for the machine's first.
        limiter: of its threads.
    """

    def __init__(self, machine: Machine, number: int) -> None:
        self.machine = machine
        self.number = number
        self.is_alive = True
        self.end_kind: End | None = None
        self.nursery: trio.Nursery
        self.scope = trio.CancelScope()
        self.limiter = trio.CapacityLimiter(_THREAD_COUNT)
        self.context: contextvars.Context
        self.streams: dict[SimulatedStream, None] = {}
        self.works: dict[Work, None] = {}
        self.token = Token(self)
        self.is_gone = False

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        """A task of it, whoever asks for it."""
        self.context.copy().run(self.nursery.start_soon, function, *args)

    def check(self) -> None:
        """
        Raises:
            Died
        """
        if not self.is_alive:
            raise Died

    def end(self, kind: End) -> None:
        """In this instant."""
        if not self.is_alive:
            return
        self.is_alive, self.end_kind = False, kind
        world = self.machine.world
        world.trace.note("process.end", self.machine.name, self.number, kind)
        self.machine.disk.halt()
        world.network.process_ended(self)
        works, self.works = self.works, {}
        for work in works:
            work.wake(Error(Died()))
        self.scope.cancel()
        world.nursery.start_soon(self._unwind)

    async def _unwind(self) -> None:
        """No shield keeps the tasks of a process that is gone."""
        for _ in range(_UNWIND_STEPS_MAX):
            if self.is_gone:
                return
            for task in list(_below(self.nursery)):
                status: CancelStatus | None = task._cancel_status
                while status is not None and status._scope is not self.scope:
                    status._scope.shield = False
                    status = status._parent
            await trio.lowlevel.cancel_shielded_checkpoint()
        names = sorted(task.name for task in _below(self.nursery))
        raise AssertionError(f"tasks of {self.machine.name} do not let themselves be cancelled: {names}")


def _below(nursery: trio.Nursery) -> list[trio.lowlevel.Task]:
    """Its tasks, and theirs."""
    found: list[trio.lowlevel.Task] = []
    nurseries = [nursery]
    while nurseries:
        for task in nurseries.pop().child_tasks:
            found.append(task)
            nurseries += task.child_nurseries
    return found


class Token:
    """What `trio.lowlevel.current_trio_token` answers to a process: who calls back by it, calls back that process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def run_sync_soon(self, function: Callable[..., object], *args: Any, idempotent: bool = False) -> None:
        """Soon, in order; once only if it was asked for with `idempotent` and has not been called yet."""
        if idempotent and (function, args) in self._calls:
            return
        self._calls.append((function, args))
        if len(self._calls) == 1:
            self._process.start_soon(self._run)

    async def _run(self) -> None:
        await trio.lowlevel.checkpoint()
        while self._calls:
            function, args = self._calls.popleft()
            function(*args)


class Machine:
    """One computer. Made by `World.machine`.

    Attributes:
        ip: its address.
        disk: outlives processes.
        clock: its wall clock.
        thread_s: about how long a thread takes before and after its work, s: slow disks, busy processors.
        is_on: it has power: what is sent to it arrives.
        process_count: lives of its program so far.
    """

    def __init__(self, world: World, name: str, number: int) -> None:
        self.world = world
        self.name = name
        self.ip = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.disk = MemoryDisk(world.random(f"disk {name}"))
        self.disk.seen = self._disk_seen
        self.clock = Clock()
        self.thread_s = 0.002
        self.is_on = True
        self.process_count = 0
        self.rng: random.Random = world.random(f"machine {name}")
        self._process: Process | None = None
        self._operations_left = self._awaits_left = 0
        self._crash: Literal["killed", "power cut"] = "power cut"
        self._steps: _Steps | None = None

    @property
    def is_alive(self) -> bool:
        """Its program runs."""
        return self._process is not None and self._process.is_alive

    def streams(self) -> list[SimulatedStream]:
        """Open ends of connections."""
        return [] if self._process is None else list(self._process.streams)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[trio.Nursery]:
        """One life of its program: the body, and the tasks of the nursery.

        Left without an exception when it was killed or the power was cut, once all that was left of it is gone;
        otherwise as a nursery is.
        """
        assert self._process is None, f"{self.name} runs its program already"
        self.process_count += 1
        self.is_on = True
        self._process = process = Process(self, self.process_count)
        self.world.network.machine_on(self)
        self.world.trace.note("process.begin", self.name, process.number)
        token = _current.set(process)
        process.context = contextvars.copy_context()
        try:
            with process.scope:
                try:
                    async with trio.open_nursery() as process.nursery:
                        yield process.nursery
                except BaseException as error:
                    if process.is_alive and _has(error, PowerCut):
                        self.power_cut()  # by whoever told the disk itself
                    if process.is_alive and not isinstance(error, trio.Cancelled):
                        process.end("failed")
                        raise
                    # What its tasks raised while they unwound is nobody's.
                    rest = _part(error, (trio.Cancelled, KeyboardInterrupt))
                    if rest is not None:
                        raise rest from None
        finally:
            process.end("ended")
            process.is_gone = True
            self._process = None
            self._operations_left = self._awaits_left = 0
            _current.reset(token)
            if process.end_kind == "power cut":
                self.disk.power_cut(self.rng)
            else:
                self.disk.process_killed()

    async def live(self, program: Callable[[Machine], Awaitable[object]]) -> End:
        """One life of a program, to its end.

        Returns:
            How it ended. Its exceptions are raised.
        """
        async with self.process() as nursery:
            process = self._process
            await program(self)
            nursery.cancel_scope.cancel()
        assert process is not None
        assert process.end_kind is not None
        return process.end_kind

    # --- faults ---

    def kill(self) -> None:
        """kill -9: what it wrote stays, its connections are closed by the kernel. Nothing if nothing runs."""
        if self._process is not None:
            self._process.end("killed")

    def power_cut(self) -> None:
        """The machine is off until the next process begins: what is not durable is lost, or is not; nothing answers."""
        was_on, self.is_on = self.is_on, False
        if self._process is not None and self._process.is_alive:
            self._process.end("power cut")
        elif self._process is not None:
            self._process.end_kind = "power cut"  # right after the process itself ended
        elif was_on:
            self.disk.power_cut(self.rng)

    def crash_at(
        self, *, operations: int = 0, awaits: int = 0, kind: Literal["killed", "power cut"] = "power cut"
    ) -> None:
        """This process ends at a moment to come, if it gets there.

        Args:
            operations: before its that many-th disk operation from now (1: the next), a write half done.
            awaits: after that many steps of its tasks from now (1: the next).
        """
        if self._process is None:
            return
        self._crash = kind
        self._operations_left, self._awaits_left = operations, awaits
        if operations:
            self.disk.crash_after(operations)
        if awaits and self._steps is None:
            self._steps = _Steps(self)
            trio.lowlevel.add_instrument(self._steps)

    def _fall(self) -> None:
        self.power_cut() if self._crash == "power cut" else self.kill()

    def _disk_seen(self, operation: str, path: Path) -> None:
        self.world.trace.note("disk", self.name, operation, path)
        if self._operations_left:
            self._operations_left -= 1
            if not self._operations_left:
                self._fall()

    def stepped(self, task: trio.lowlevel.Task) -> None:
        """A task has taken a step, while `crash_at` waits for one."""
        process = self._process
        if process is None or not process.is_alive or not self._awaits_left:
            assert self._steps is not None
            trio.lowlevel.remove_instrument(self._steps)
            self._steps = None
        elif task.context.get(_current) is process:
            self._awaits_left -= 1
            if not self._awaits_left:
                self._fall()


class _Steps(trio.abc.Instrument):
    """Sees every step of every task."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._machine.stepped(task)


def _part(error: BaseException, kinds: type[BaseException] | tuple[type[BaseException], ...]) -> BaseException | None:
    """What of an error is of these kinds."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(kinds)
    return error if isinstance(error, kinds) else None


def _has(error: BaseException, kind: type[BaseException]) -> bool:
    return _part(error, kind) is not None
