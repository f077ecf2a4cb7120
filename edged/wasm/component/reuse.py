"""Pools of components on the core API.

`ComponentPool` gives every request a fresh instance, as for WASI 0.2 everywhere. `ReusePool` lets one instance serve
several requests, at once and one after the other, which components of WASI 0.3 are made for: to make a Python guest
takes 4 ms, and a request in one that is there 0.2 ms.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import trio

from edged.errors import HostFailed
from edged.host.budget import Budget, hold_too_much, is_whole
from edged.host.interface import Invocation
from edged.limits import INSTANCE_IDLE_S
from edged.wasm.component.call import Call, Returned
from edged.wasm.component.code import Code
from edged.wasm.component.instance import Instance
from edged.wasm.component.program import ComponentProgram
from edged.wasm.pool import BeforeWait, Pool
from edged.wasm.store import InstanceStatistics


class ComponentPool(Pool[Instance]):
    """A fresh instance for each request."""

    def __init__(self, program: ComponentProgram) -> None:
        super().__init__(program.limits, partial(Instance, program), program.engine.turnstile)
        self.program = program


class _Shared:
    """An instance that serves several requests.

    Attributes:
        visits: requests in it now; `served`: so far, these included.
        owing: budgets of those that are over, of which the guest still holds something.
        idle_until: when it is closed, if nobody comes; trio's clock, s.
    """

    __slots__ = ("idle_until", "instance", "owing", "served", "visits")

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.visits = 0
        self.served = 0
        self.owing: list[Budget] = []
        self.idle_until = 0.0

    @property
    def is_sound(self) -> bool:
        return not (self.instance.is_poisoned or self.instance.is_retired)

    def settle(self, budget: Budget) -> None:
        """A request is over. What guests may keep of several together is what one of them may have: more would be a
        way to take from the host what no request may."""
        if self.owing or not is_whole(budget):
            self.owing = [each for each in (*self.owing, budget) if not is_whole(each)]
            if hold_too_much(self.owing):
                self.instance.is_retired = True


class Visit:
    """One request's use of an instance: the same to its caller as an instance of its own."""

    __slots__ = ("_before_wait", "_call", "_invocation", "_pool", "_shared")

    def __init__(self, pool: ReusePool, invocation: Invocation, before_wait: BeforeWait | None) -> None:
        self._pool = pool
        self._invocation = invocation
        self._before_wait = before_wait
        self._shared: _Shared | None = None
        self._call: Call | None = None

    @property
    def program(self) -> ComponentProgram:
        return self._pool.program

    @property
    def is_sound(self) -> bool:
        """Its instance has not been ended by another request."""
        return self._shared is not None and self._shared.is_sound

    def begin(self, invocation: Invocation, before_wait: BeforeWait | None) -> None:
        """As of `GuestStore`."""
        assert self._shared is not None
        self._invocation = invocation
        self._before_wait = before_wait
        self._call = Call(self._shared.instance, invocation, before_wait)

    async def instantiate(self) -> None:
        """Find a place in an instance, or make one. Errors as of `Instance.instantiate`."""
        self._shared = await self._pool.enter(self._invocation, self._before_wait)
        self._call = Call(self._shared.instance, self._invocation, self._before_wait)

    async def call(self, export: Code, *arguments: Any, returned: Returned | None = None) -> Any:
        """As `Instance.call`."""
        assert self._call is not None
        return await self._call.run_export(export, arguments, returned)

    def statistics(self) -> InstanceStatistics:
        return InstanceStatistics(0.0, 0, 0, 0) if self._call is None else self._call.statistics()

    def close(self) -> None:
        """Leave the instance. Idempotent. Errors as of `Instance.close`, where that goes with its last request."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.settle(self._invocation.budget)
            self._pool.leave(shared)


class ReusePool(Pool[Visit]):
    """Instances that serve up to `instance_concurrent_max` requests at once and `instance_requests_max` in all.

    One that serves none is kept for INSTANCE_IDLE_S.
    """

    def __init__(self, program: ComponentProgram) -> None:
        super().__init__(program.limits, partial(Visit, self), program.engine.turnstile)
        self.program = program
        self._open: list[_Shared] = []
        """Those that take more requests, the one used last at the end."""
        self._is_closed = False
        self._is_sweeping = False

    @property
    def instances(self) -> int:
        """How many take more requests."""
        return len(self._open)

    async def acquire(self, invocation: Invocation, before_wait: BeforeWait | None = None) -> Visit:
        while self._spares and not self._spares[0].is_sound:
            self._spares.popleft().close()
            self._spare_wanted.set()
        return await super().acquire(invocation, before_wait)

    async def enter(self, invocation: Invocation, before_wait: BeforeWait | None) -> _Shared:
        """A place in an instance, for `leave` to give back."""
        limits = self.limits
        for shared in reversed(self._open):
            if shared.visits < limits.instance_concurrent_max and shared.is_sound:
                return self._take(shared)
        instance = Instance(self.program, invocation, before_wait)
        try:
            await instance.instantiate()
        except BaseException:
            instance.close()
            raise
        shared = _Shared(instance)
        self._open.append(shared)
        return self._take(shared)

    def _take(self, shared: _Shared) -> _Shared:
        shared.visits += 1
        shared.served += 1
        if shared.served >= self.limits.instance_requests_max:
            self._open.remove(shared)
        return shared

    def leave(self, shared: _Shared) -> None:
        """A request is over. Errors as of `Instance.close`."""
        shared.visits -= 1
        is_open = shared in self._open
        if is_open and (self._is_closed or not shared.is_sound):
            self._open.remove(shared)
            is_open = False
        if shared.visits:
            return
        if not is_open:
            shared.instance.close()
            return
        shared.idle_until = trio.current_time() + INSTANCE_IDLE_S
        if not self._is_sweeping:
            self._is_sweeping = True
            trio.lowlevel.spawn_system_task(self._sweep, name="edged.wasm.component.reuse")

    async def _sweep(self) -> None:
        """Close instances that nobody has come for, as long as there are instances: to begin for each request that
        leaves one would cost more than what is swept."""
        try:
            while self._open:
                idle = [shared.idle_until for shared in self._open if not shared.visits]
                await trio.sleep_until(min(idle, default=trio.current_time() + INSTANCE_IDLE_S))
                now = trio.current_time()
                for shared in list(self._open):
                    if not shared.visits and shared.idle_until <= now:
                        self._open.remove(shared)
                        with suppress(HostFailed):  # nobody's request: what it could not let go of has gone with it
                            shared.instance.close()
        finally:
            self._is_sweeping = False

    def close(self) -> None:
        """Free what is idle; what is in use goes with its last request."""
        self._is_closed = True
        super().close()
        for shared in [shared for shared in self._open if not shared.visits]:
            self._open.remove(shared)
            shared.instance.close()
