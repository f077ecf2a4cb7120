"""Instances of one program: how many at once, who waits, and which are made ahead of need.

Every request gets a fresh instance, so that nothing leaks from one to the next. Making one costs 12 us for a small
guest and half a millisecond for a Python guest; with `instances_ahead` that is paid before the request comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

import trio

from edged.errors import EdgedError, Overloaded
from edged.host.interface import Invocation
from edged.limits import CHAIN_WAIT_S_MAX, GuestLimits
from edged.wasm.instance import Instance
from edged.wasm.linker import Program
from edged.wasm.store import InstanceStatistics
from edged.wasm.turnstile import Turnstile

BeforeWait = Callable[[], Awaitable[None]]


class Poolable(Protocol):
    """What a pool hands out: an instance, or one request's use of it. See `edged.wasm.store.GuestStore`."""

    async def instantiate(self) -> None: ...

    def begin(self, invocation: Invocation, before_wait: BeforeWait | None) -> None: ...

    def statistics(self) -> InstanceStatistics: ...

    def close(self) -> None: ...


InstanceT = TypeVar("InstanceT", bound=Poolable)


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """`alive`: requests that have an instance now, or a place in one; `ahead`: instances or places made and unused;
    `waiting`: requests without one.
    """

    alive: int
    ahead: int
    waiting: int
    refused: int


class Pool(Generic[InstanceT]):
    """Hands out instances of one program, inside `limits.concurrent_max` and `limits.queue_max`.

    Args:
        make: gives an instance that is not instantiated yet.

    Attributes:
        turnstile: where requests wait to begin; None for a program whose requests go before all others'.
    """

    def __init__(
        self,
        limits: GuestLimits,
        make: Callable[[Invocation, BeforeWait | None], InstanceT],
        turnstile: Turnstile | None = None,
    ) -> None:
        self.limits = limits
        self.make = make
        self.turnstile = turnstile
        self._alive = 0
        self._refused = 0
        self._spares: deque[InstanceT] = deque()
        self._spare_wanted = trio.Event()
        self._queue = trio.lowlevel.ParkingLot()

    async def acquire(self, invocation: Invocation, before_wait: BeforeWait | None = None) -> InstanceT:
        """An instantiated instance for one request. Give it back with `release`, whatever happens.

        Raises:
            Overloaded: as many requests wait as may.
            GuestError: the component cannot be instantiated.
        """
        limits = self.limits
        if self._alive >= limits.concurrent_max:
            if len(self._queue) >= limits.queue_max:
                self._refused += 1
                raise Overloaded(f"{limits.concurrent_max} requests of this app are under way and more wait than may")
            wait_s = min(limits.wall_s_max, CHAIN_WAIT_S_MAX) if invocation.chain.depth else limits.wall_s_max
            with trio.move_on_after(wait_s) as waited:
                await self._queue.park()  # whoever releases hands over its place, so `_alive` stays as it is
            if waited.cancelled_caught:
                self._refused += 1
                raise Overloaded(f"no instance of this app became free within {wait_s:g} s")
        else:
            self._alive += 1
        if self.turnstile is not None:
            try:
                await self.turnstile.start()
            except BaseException:
                self._leave()
                raise
        if self._spares:
            instance = self._spares.popleft()
            instance.begin(invocation, before_wait)
            self._spare_wanted.set()
            return instance
        instance = self.make(invocation, before_wait)
        try:
            await instance.instantiate()
        except BaseException:
            self.release(instance)
            raise
        return instance

    def release(self, instance: InstanceT) -> None:
        """Free an instance and let the next request in."""
        try:
            instance.close()
        finally:
            self._leave()

    def _leave(self) -> None:
        """A place is free: for whoever has waited longest, or nobody."""
        if self._queue:
            self._queue.unpark()
        else:
            self._alive -= 1

    async def keep_ahead(self, invocation: Invocation) -> None:
        """Make instances ahead of need, for ever. Returns if the component does not lend itself to it.

        Args:
            invocation: what start functions see. An instance that called the host at its start may hold on to what it
                was told then, so such a component is always instantiated for its request.
        """
        try:
            while True:
                while len(self._spares) < self.limits.instances_ahead:
                    instance = self.make(invocation, None)
                    try:
                        await instance.instantiate()
                        keep = instance.statistics().host_calls == 0
                    except BaseException:
                        instance.close()
                        raise
                    if not keep:
                        instance.close()
                        return
                    self._spares.append(instance)
                await self._spare_wanted.wait()
                self._spare_wanted = trio.Event()
        except EdgedError:
            return  # the next request meets the same error, and reports it
        finally:
            self.close()

    def close(self) -> None:
        """Free the instances made ahead."""
        while self._spares:
            self._spares.pop().close()

    def statistics(self) -> PoolStatistics:
        return PoolStatistics(self._alive, len(self._spares), len(self._queue), self._refused)


class InstancePool(Pool[Instance]):
    """Of a component."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.limits, partial(Instance, program), program.engine.turnstile)
        self.program = program
