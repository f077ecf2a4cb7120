"""What an instance of any kind of guest is: a store of its own, and calls of it as part of a trio task.

A call is a future of wasmtime's that this module polls. A poll ends in one of three ways:
- done: the guest returned or trapped;
- a host function left a coroutine (`pending`): it is awaited here, in the caller's task, and its answer is written
  where the guest's fiber will look;
- neither: the guest met its epoch deadline, and gives way to the other tasks of the loop.

Cancelling the task drops the future: the fiber is unwound, and `close` frees the store with all memory of the guest.
There is one loop thread per process, so `engine.guest` names the one instance that is on the stack.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from types import CoroutineType
from typing import Any, Protocol

import trio

from edged.errors import GuestCpuExhausted, GuestError, GuestTimeout, HostFailed
from edged.host.interface import Invocation
from edged.limits import GuestLimits
from edged.wasm import ffi
from edged.wasm.engine import Engine

EPOCH_TICKS = 2  # to the deadline: a slice lasts one to two ticks, so a short request is rarely interrupted
_EPOCH_TICKS_BUSY = 1  # for a guest known to be busy: others should not wait for it longer than one
FREE_YIELDS = 4  # slices before a guest counts as busy and queues at the turnstile
_poll_future = ffi.lib.wasmtime_call_future_poll


class Suspended(Protocol):
    """A host call that the guest is suspended on; where its answer goes is the binding's affair."""

    @property
    def coroutine(self) -> CoroutineType[Any, Any, Any]: ...


@dataclass(frozen=True, slots=True)
class InstanceStatistics:
    """What one instance used. Times in seconds."""

    cpu_s: float
    host_calls: int
    handles: int
    yields: int


def new_store(engine: Engine, limits: GuestLimits) -> tuple[int, int]:
    """A store whose guest cannot have more than `limits`: `wasmtime_store_t*`, `wasmtime_context_t*`."""
    lib = ffi.lib
    store = lib.wasmtime_store_new(engine.address, None, None)
    context = lib.wasmtime_store_context(store)
    lib.wasmtime_store_limiter(
        store,
        limits.memory_bytes_max,
        limits.table_elements_max,
        limits.instance_count_max,
        limits.table_count_max,
        limits.memory_count_max,
    )
    lib.wasmtime_context_set_epoch_deadline(context, EPOCH_TICKS)  # a new one's would be at once
    return store, context


def failure_of(name: str, failure: BaseException) -> BaseException:
    """What a call ends with when a host function has raised: it, where it is about the guest, or HostFailed."""
    if isinstance(failure, GuestError | HostFailed) or not isinstance(failure, Exception):
        return failure
    wrapped = HostFailed(f"{name}: {type(failure).__name__}: {failure}")
    wrapped.__cause__ = failure
    return wrapped


def cpu_exhausted(limits: GuestLimits) -> GuestCpuExhausted:
    return GuestCpuExhausted(f"the guest used more than {limits.cpu_s_max:g} s of CPU time in one request")


def timed_out(limits: GuestLimits) -> GuestTimeout:
    return GuestTimeout(f"the guest took more than {limits.wall_s_max:g} s for one request")


class GuestStore(ABC):
    """A store, and the one call at a time that runs in it. Not reentrant.

    Args:
        before_wait: awaited before the guest waits for anything, so that output gathered for the client is sent.
    """

    __slots__ = (
        "_deadline",
        "_limits",
        "_store",
        "before_wait",
        "context",
        "cpu_s",
        "engine",
        "failure",
        "host_calls_left",
        "invocation",
        "pending",
        "yields",
    )

    def __init__(
        self,
        engine: Engine,
        limits: GuestLimits,
        invocation: Invocation,
        before_wait: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.engine = engine
        self._limits = limits
        self.invocation = invocation
        self.before_wait = before_wait
        self.host_calls_left = limits.host_calls_max
        self.failure: BaseException | None = None
        self.pending: Any = None
        """The `Suspended` host call that a callback left behind."""
        self._deadline: float | None = None
        self.cpu_s = 0.0
        self.yields = 0
        self._store: int | None
        self._store, self.context = new_store(engine, limits)
        ffi.lib.wasmtime_context_epoch_deadline_async_yield_and_update(self.context, EPOCH_TICKS)
        engine.instances += 1

    def begin(self, invocation: Invocation, before_wait: Callable[[], Awaitable[None]] | None) -> None:
        """Take on a request, whose time starts now: for an instance that was made before it came."""
        self.invocation = invocation
        self.before_wait = before_wait
        self._deadline = None
        self.cpu_s = 0.0
        self.yields = 0
        # The epoch went on since the instance was made; without this the guest would yield at once.
        ffi.lib.wasmtime_context_set_epoch_deadline(self.context, EPOCH_TICKS)

    @abstractmethod
    async def instantiate(self) -> None:
        """Make the instance; runs its start functions.

        Raises:
            GuestError: a start function trapped, or a limit was met.
        """

    def close(self) -> None:
        """Drop what the guest still held and free its store. Idempotent.

        Raises:
            HostFailed: something of ours could not be dropped. All else was.
        """
        if self._store is None:
            return
        failure = self._drop()
        ffi.lib.wasmtime_store_delete(self._store)
        self._store = None
        self.engine.instances -= 1
        if failure is not None:
            raise HostFailed(f"resource drop: {type(failure).__name__}: {failure}") from failure

    def statistics(self) -> InstanceStatistics:
        used = self._limits.host_calls_max - self.host_calls_left
        return InstanceStatistics(self.cpu_s, used, self._held(), self.yields)

    # --- for bindings ---

    def keep(self, name: str, failure: BaseException) -> None:
        """Keep what a host function raised, to raise it again when the poll has ended."""
        self.failure = failure_of(name, failure)

    @abstractmethod
    def _drop(self) -> Exception | None:
        """Let go of all that the guest holds of the host's. What could not be is returned."""

    @abstractmethod
    def _held(self) -> int:
        """How many things of the host's the guest holds."""

    @abstractmethod
    async def _answer(self, pending: Any) -> None:
        """Await a suspended host call and write its answer where the guest will look. Raises nothing of its own."""

    # --- the poll loop ---

    async def _drive(self, future: int) -> None:
        try:
            if not self._poll(future):
                await self._drive_on(future)
        finally:
            # A future that is not done unwinds its fiber now, and may drop handles on the way.
            self.engine.guest = self
            ffi.lib.wasmtime_call_future_delete(future)
            self.engine.guest = None
            if self.pending is not None:
                self.pending.coroutine.close()
                self.pending = None

    async def _drive_on(self, future: int) -> None:
        """Drive a guest that did not end at its first poll. Only such a guest needs a clock."""
        limits = self._limits
        if self._deadline is None:
            self._deadline = trio.current_time() + limits.wall_s_max
        with trio.CancelScope(deadline=self._deadline) as scope:
            while True:
                if self.cpu_s > limits.cpu_s_max:
                    raise cpu_exhausted(limits)
                if self.before_wait is not None:
                    await self.before_wait()
                if self.pending is None:
                    await self._give_way()
                else:
                    await self._answer(self.pending)
                    self.pending = None
                    # The epoch went on while the guest waited; without this it would yield at once.
                    ffi.lib.wasmtime_context_set_epoch_deadline(self.context, EPOCH_TICKS)
                if self._poll(future):
                    return
        if scope.cancelled_caught:
            raise timed_out(limits)

    def _poll(self, future: int) -> bool:
        """Let the guest run until it is done, waits or has to give way. True: done."""
        engine = self.engine
        engine.polls += 1
        engine.guest = self
        started = perf_counter()
        done: bool = _poll_future(future)
        spent_s = perf_counter() - started
        self.cpu_s += spent_s
        engine.turnstile.spent_s += spent_s
        engine.guest = None
        return done

    async def _give_way(self) -> None:
        self.yields += 1
        if self.yields < FREE_YIELDS:
            await trio.lowlevel.checkpoint()
            return
        if self.yields == FREE_YIELDS:
            ffi.lib.wasmtime_context_epoch_deadline_async_yield_and_update(self.context, _EPOCH_TICKS_BUSY)
        await self.engine.turnstile.wait()
