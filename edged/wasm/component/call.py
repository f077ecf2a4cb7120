"""One request in an instance: the trio task that drives what the guest does for it.

    run ── turn, turn, ... ──┬── over
             ^               ├── preempted: the other tasks of the loop have their turn
             │               └── nothing to do: wait for a host function, or for another call of the instance
             └── schedule ───────┘

Whatever happens for a call is a turn: a callable in its queue, run when no guest code is in the middle of anything.
Host functions that wait run in the call's own nursery, which is made only if there is something for it: most calls of
WASI 0.2 components wait for one host function at a time, which the call awaits itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from enum import IntEnum
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import trio

from edged.errors import EdgedError, GuestError, GuestTrap, HostFailed
from edged.host.interface import RUNNING, Err, Invocation
from edged.http.exchange import ClientGone
from edged.limits import CANCEL_GRACE_S, EPOCH_TICK_S
from edged.wasm.component.host_call import Arrival, HostCall, HostRoom, Tasks
from edged.wasm.component.messages import DEADLOCK
from edged.wasm.component.release import release
from edged.wasm.component.task import Task
from edged.wasm.store import FREE_YIELDS, InstanceStatistics, cpu_exhausted, failure_of, timed_out

if TYPE_CHECKING:
    from edged.wasm.component.code import Code
    from edged.wasm.component.instance import Instance

Turn = Callable[[], None]
Returned = Callable[[Any], Coroutine[Any, Any, None]]
"""Is called with an answer, and gives what is left to await."""
_SLICE_S = 2 * EPOCH_TICK_S  # turns that follow each other give way after as long as guest code does


class _State(IntEnum):
    OVER = 0
    PREEMPTED = 1
    BUSY = 2
    IDLE = 3


class _Returned(IntEnum):
    """How far the function is that is given the answer."""

    NOT_DUE = 0
    DUE = 1
    LEFT = 2  # it was called, and there is something left to wait for
    RUNS = 3
    DONE = 4


class Call:
    """
    Args:
        before_wait: awaited before the guest waits for anything, so that output gathered for the client is sent.

    Attributes:
        tasks: of the guest, that are not over.
        is_over: nothing of it runs any more.
    """

    __slots__ = (
        *("_answer", "_away", "_deadline", "_failure", "_hosts_new", "_is_advancing", "_is_cancelling", "_is_taking"),
        *("_later", "_new", "_nursery", "_ready", "_rest", "_returned", "_returning", "_root", "_stand_in", "_woken"),
        *("before_wait", "cpu_s", "host_calls_left", "instance", "invocation", "is_over", "room"),
        *("tasks", "yields"),
    )

    def __init__(
        self, instance: Instance, invocation: Invocation, before_wait: Callable[[], Awaitable[None]] | None
    ) -> None:
        self.instance = instance
        self.invocation = invocation
        self.before_wait = before_wait
        self.host_calls_left = instance.program.limits.host_calls_max
        self.room = HostRoom(self)
        self.cpu_s = 0.0
        self.yields = 0
        self.tasks = 0
        self.is_over = False
        self._deadline: float | None = None
        self._ready: deque[Turn] = deque()
        self._later: list[Turn] = []
        self._woken: trio.Event | None = None
        self._nursery: trio.Nursery | None = None
        self._new: list[Callable[[], Awaitable[None]]] = []
        """Tasks for a nursery that is not there yet."""
        self._hosts_new: list[HostCall] = []
        """The same of host functions."""
        self._failure: BaseException | None = None
        self._root: Task | None = None
        self._answer: Any = None
        self._returned: Returned | None = None
        self._rest: Coroutine[Any, Any, None] | None = None
        """What is left of giving the answer."""
        self._returning = _Returned.DONE
        self._is_cancelling = False
        self._is_advancing = False
        self._is_taking = False
        """What is given the answer is called right now."""
        self._away: trio.CancelScope | None = None
        """Around what the answer is given to, while the call's own task is in it."""
        self._stand_in: trio.Event | None = None
        """Set at the end of the task that drives the call meanwhile."""

    @property
    def is_cancelling(self) -> bool:
        """Nobody wants its answer any more, and the guest has been told."""
        return self._is_cancelling

    def statistics(self) -> InstanceStatistics:
        used = self.instance.program.limits.host_calls_max - self.host_calls_left
        return InstanceStatistics(self.cpu_s, used, self.instance.handles(), self.yields)

    # --- for what runs in it ---

    def schedule(self, turn: Turn) -> None:
        """Do something as soon as no guest code is in the middle of anything."""
        self._ready.append(turn)
        self._notify()

    def schedule_later(self, turn: Turn) -> None:
        """The same, once the other tasks of the loop have had their turn."""
        self._later.append(turn)
        self._notify()

    def wake(self) -> None:
        """Have it look whether there is something to do."""
        woken, self._woken = self._woken, None
        if woken is not None:
            self.instance.parked -= 1
            woken.set()

    def interrupt(self) -> None:
        """The instance has ended: there will be no more for whatever takes the answer."""
        if self._away is not None and not self.is_over:
            self._away.cancel()
        self.wake()

    def _notify(self) -> None:
        """There is something to do: tell whoever drives the call, if nobody is at it."""
        held = self.instance.held
        if self._is_advancing:
            return
        if held is not None:
            held.append(self)
        elif self._woken is not None:
            self.wake()
        elif self._away is not None and self._stand_in is None:
            assert self._nursery is not None
            self._stand_in = stand_in = trio.Event()
            self._nursery.start_soon(self._drive_meanwhile, stand_in)

    def advance(self, turn: Turn | None = None) -> None:
        """Have turns in the task that brings news, where the call's own has nothing to do: to wake that would take
        a pass of the loop.

        Args:
            turn: to begin with.
        """
        if turn is not None:
            self._ready.append(turn)
        is_free = self._woken is not None or self._is_taking or (self._away is not None and self._stand_in is None)
        if not is_free or self._is_advancing or self.instance.fiber is not None:
            self._notify()
            return
        self._is_advancing = True
        try:
            is_idle = self._advance() is _State.IDLE
        except Exception as exc:
            is_idle = False
            self._failure = exc
            if self._away is not None:
                self._away.cancel()
        finally:
            self._is_advancing = False
        # What these turns have left for the call's own task, which waits, is no turn: it has to be told.
        if not is_idle or self._returning is _Returned.DUE or self._wants_nursery:
            self._notify()

    def miss_task(self) -> None:
        """A task of the host's ends: if it was the last, somebody has to see whether anything can still happen."""
        if self._nursery is not None and len(self._nursery.child_tasks) <= 1:
            self.wake()

    def spawn(
        self,
        coroutine: Coroutine[Any, Any, Any],
        finish: Callable[[Any, Err | None], None],
        name: str = "a stream",
        *,
        is_alone: bool = False,
    ) -> HostCall:
        """Await what a host function left, beside the guest; then `finish` is a turn.

        Args:
            is_alone: the task that called it is parked until then.
        """
        host = HostCall(self, coroutine, finish, name, is_alone)
        if self._nursery is None:
            self._hosts_new.append(host)
        else:
            self._nursery.start_soon(host.run)
        return host

    def start(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task that ends with the call, at the latest."""
        if self._nursery is None:
            self._new.append(task)
        else:
            self._nursery.start_soon(self._guard, task)

    def end_task(self, task: Task) -> None:
        """A task of the guest's is over."""
        self.tasks -= 1
        if task is self._root:
            self.is_over = True

    # --- run ---

    async def run_export(self, code: Code, arguments: tuple[Any, ...], returned: Returned | None) -> Any:
        """Call an exported function; see `Instance.call`."""
        part = self.instance.parts[code.part]
        root = Task(self, part, code, lambda: arguments, self._answered)
        self._root = root
        self.is_over = False
        if returned is not None:
            self._returned = returned
            self._returning = _Returned.NOT_DUE
        await self.run(root.start)
        return self._answer

    async def run(self, begin: Turn) -> None:
        """Do something and all that follows from it."""
        instance = self.instance
        instance.check()
        instance.calls.add(self)
        self.invocation.nursery = cast(trio.Nursery, Tasks(self))
        running = RUNNING.set(self.invocation)
        self._ready.append(begin)
        try:
            if self._advance() is not _State.OVER:
                await self._drive()
        finally:
            instance.calls.discard(self)
            self.is_over = True
            self.invocation.nursery = None
            RUNNING.reset(running)
            for turn in self._ready:
                if isinstance(turn, Arrival):
                    turn.discard()
            self._ready.clear()
            self._later.clear()
            if self._returning is _Returned.DUE:
                release(self._answer)
            for host in self._hosts_new:
                host.close()
            self._hosts_new.clear()
            if self._rest is not None:
                self._rest.close()
            if self.tasks > 0:
                instance.abandon(self)
            if instance.parked == len(instance.calls):
                for other in instance.calls:
                    other.wake()  # one of them is to see that they all wait for nothing, if so
                    break

    def turn(self, turn: Turn) -> None:
        """Let the guest run."""
        instance = self.instance
        engine = instance.engine
        engine.polls += 1
        instance.call_running = self
        instance.turn_ticks = 0
        instance.slice_started = started = perf_counter()
        try:
            turn()
        except BaseException as exc:
            instance.poison(exc)
            raise
        finally:
            spent_s = perf_counter() - started
            self.cpu_s += spent_s
            engine.turnstile.spent_s += spent_s

    def _advance(self) -> _State:
        """Have as many turns as can be had without waiting."""
        instance, ready = self.instance, self._ready
        cpu_s_max = instance.program.limits.cpu_s_max
        if self._failure is not None:
            raise self._failure
        until = perf_counter() + _SLICE_S
        while True:
            if self.is_over and (self._returning is _Returned.DONE or self._is_cancelling):
                return _State.OVER
            instance.check()
            if self.cpu_s > cpu_s_max:
                exhausted = cpu_exhausted(instance.program.limits)
                instance.poison(exhausted)
                raise exhausted
            if instance.preempted:
                return _State.PREEMPTED
            if not ready:
                return _State.BUSY if self._later else _State.IDLE
            if perf_counter() > until:
                return _State.BUSY
            self.turn(ready.popleft())

    async def _drive(self) -> None:
        """Drive a call that is not over at once. Only such a call needs a clock."""
        limits = self.instance.program.limits
        if self._deadline is None:
            self._deadline = trio.current_time() + limits.wall_s_max
        with trio.CancelScope(deadline=self._deadline) as scope:
            try:
                if not await self._loop():
                    await self._drive_with_nursery()
            except (trio.Cancelled, Exception):
                await self._cancel_guest()
                raise
        if scope.cancelled_caught:
            raise timed_out(limits)

    async def _drive_with_nursery(self) -> None:
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for host in self._hosts_new:
                nursery.start_soon(host.run)
            self._hosts_new.clear()
            for task in self._new:
                nursery.start_soon(self._guard, task)
            self._new.clear()
            try:
                await self._loop()
            except trio.Cancelled:
                await self._cancel_guest()
                raise
            except Exception as exc:
                await self._cancel_guest()
                failure = exc
            finally:
                nursery.cancel_scope.cancel()
        self._nursery = None
        if failure is not None:
            raise failure

    async def _loop(self, *, is_stand_in: bool = False) -> bool:
        """Have turns until the call is over. False: a nursery is needed first.

        Args:
            is_stand_in: only as long as the call's own task is away.
        """
        instance = self.instance
        while True:
            state = self._advance()
            if state is _State.OVER:
                return True
            if is_stand_in and self._away is None:
                return True
            if self._returning is _Returned.DUE:
                self._give_answer()
                continue
            if self._returning is _Returned.LEFT:
                if self._nursery is not None:
                    await self._return_meanwhile()
                    continue
                if self.is_over and not self._wants_tasks:
                    await self._return()
                    continue
            if self.before_wait is not None and not self._is_cancelling:
                await self.before_wait()
            match state:
                case _State.PREEMPTED:
                    if instance.preempted and instance.preempted[0].task.call is not self:
                        await instance.wait_vacant()
                        continue
                    if self._wants_nursery:
                        return False
                    await self._give_way()
                    if instance.preempted:
                        self.turn(instance.go_on_preempted)
                case _State.BUSY:
                    if self._wants_nursery:
                        return False
                    await self._give_way()
                    self._ready.extend(self._later)
                    self._later.clear()
                case _State.IDLE:
                    if self._ready or self._later or self._failure is not None:
                        continue
                    if self._nursery is None and not await self._wait_alone():
                        return False
                    if self._nursery is not None and not self._ready and not self._later:
                        await self._park()

    @property
    def _wants_nursery(self) -> bool:
        return self._nursery is None and (self._wants_tasks or self._returning is _Returned.LEFT)

    @property
    def _wants_tasks(self) -> bool:
        return bool(self._hosts_new or self._new)

    async def _wait_alone(self) -> bool:
        """Wait for the one thing that there is to wait for. False: there may be several."""
        if self._new or self._returning is _Returned.LEFT:
            return False
        if not self._hosts_new:
            await self._park()
            return True
        if len(self._hosts_new) > 1 or self.tasks > 1:
            return False
        if not self._hosts_new[0].is_alone:
            return False  # the guest waits on a set, where others may have news for it
        await self._hosts_new.pop().run()
        return True

    async def _park(self) -> None:
        """Wait until there is something to do.

        Raises:
            GuestTrap: there never will be.
        """
        instance = self.instance
        self.wake()  # another task that drives it, and is about to end
        self._woken = woken = trio.Event()
        instance.parked += 1
        try:
            if instance.parked == len(instance.calls) and not any(call.has_tasks for call in instance.calls):
                deadlock = GuestTrap(DEADLOCK)
                instance.poison(deadlock)
                raise deadlock
            await woken.wait()
        finally:
            if self._woken is woken:
                self._woken = None
                instance.parked -= 1

    @property
    def has_tasks(self) -> bool:
        """Something of the host's is under way for it."""
        return self._away is not None or (self._nursery is not None and bool(self._nursery.child_tasks))

    async def _give_way(self) -> None:
        self.yields += 1
        if self.yields < FREE_YIELDS:
            await trio.lowlevel.checkpoint()
        else:
            await self.instance.engine.turnstile.wait()

    # --- its answer ---

    def _answered(self, value: Any) -> None:
        self._answer = value
        if self._returning is _Returned.NOT_DUE:
            self._returning = _Returned.DUE

    def _give_answer(self) -> None:
        """Most answers are sent by what takes them at once, with the guest going on in between: so that most calls
        have nothing to wait for at the same time as their guest does."""
        assert self._returned is not None
        self._is_taking = True
        try:
            self._rest = self._returned(self._answer)
            self._returning = _Returned.LEFT
        except Exception as exc:
            self._returning = _Returned.DONE
            self._fail_return(exc)
        finally:
            self._is_taking = False

    def _fail_return(self, failure: Exception) -> None:
        if self._failure is None:
            own = isinstance(failure, EdgedError | ClientGone)
            self._failure = failure if own else failure_of("a task of the host's", failure)

    async def _return(self) -> None:
        assert self._rest is not None
        rest, self._rest = self._rest, None
        self._returning = _Returned.RUNS
        await rest
        self._returning = _Returned.DONE

    async def _return_meanwhile(self) -> None:
        """The same while the guest goes on: driven by whoever has news for it, or by a task that stands in."""
        try:
            with trio.CancelScope() as self._away:
                if self.instance.preempted or self._ready or self._later:
                    self._notify()
                await self._return()
        except Exception as exc:
            self._fail_return(exc)
        finally:
            self._away = None
            stand_in, self._stand_in = self._stand_in, None
        if stand_in is not None:
            self.wake()
            await stand_in.wait()

    async def _drive_meanwhile(self, stand_in: trio.Event) -> None:
        away = self._away
        try:
            if away is not None:
                await self._loop(is_stand_in=True)
        except Exception as exc:
            self._failure = exc
            if away is not None:
                away.cancel()
        finally:
            stand_in.set()

    async def _guard(self, task: Callable[[], Awaitable[None]]) -> None:
        """A task of the nursery's: what it raises ends the call, as itself."""
        try:
            await task()
        except Exception as exc:
            if self._failure is None:
                own = isinstance(exc, EdgedError | ClientGone)
                self._failure = exc if own else failure_of("a task of the host's", exc)
        finally:
            self.wake()

    # --- its end ---

    async def _cancel_guest(self) -> None:
        """Nobody wants the answer any more: tell the guest, and let it clean up behind itself."""
        root, instance = self._root, self.instance
        if root is None or root.is_over or self._is_cancelling or instance.is_poisoned:
            return
        if root.code is None or not root.code.is_async_abi:
            return  # nothing can be told to a function that is not asynchronous: it is unwound where it is
        self._is_cancelling = True
        self._failure = None
        self._ready.append(root.request_cancellation)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CANCEL_GRACE_S):
            try:
                if not await self._loop():
                    instance.poison(GuestTrap("a cancelled request had to be cut off"))
            except (GuestError, HostFailed):
                pass  # it has been ended, which is what was wanted
