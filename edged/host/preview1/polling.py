"""`poll_oneoff`: waiting for clocks and streams."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, NamedTuple

import trio

from edged.host.clocks import NANOSECONDS
from edged.host.poll import Deadline, Waitable, wait_first
from edged.host.preview1.abi import (
    EVENT,
    SUBSCRIPTION,
    SUBSCRIPTION_CLOCK,
    SUBSCRIPTION_FD,
    SUBSCRIPTION_SIZE,
    Errno,
    Failure,
    answers_errno_later,
    answers_errno_or_suspends,
)
from edged.host.preview1.process import MONOTONIC, REALTIME
from edged.host.preview1.state import State
from edged.limits import PREVIEW1_SUBSCRIPTION_COUNT_MAX

_CLOCK, _READ, _WRITE = range(3)
_ABSOLUTE = 1


class _Subscription(NamedTuple):
    """One thing to wait for.

    Attributes:
        waitable: None where there is nothing to wait for: it is ready, or never will be.
        errno: why it never will be.
    """

    userdata: int
    kind: int
    waitable: Waitable | None
    errno: Errno

    def ready(self) -> bool:
        return self.waitable is None or self.waitable.ready()


class Polling(State):
    """See the module."""

    @answers_errno_or_suspends
    def poll_oneoff(self, subscriptions: int, events: int, count: int, stored: int) -> Coroutine[Any, Any, int] | None:
        """Events of all subscriptions that are ready; at least one."""
        if not 0 < count <= PREVIEW1_SUBSCRIPTION_COUNT_MAX:
            raise Failure(Errno.INVAL)
        self.memory.check(subscriptions, count * SUBSCRIPTION_SIZE)
        self.memory.check(events, count * EVENT.size)
        self.memory.check(stored, 4)
        wanted = [self._subscription(subscriptions + number * SUBSCRIPTION_SIZE) for number in range(count)]
        if not any(subscription.ready() for subscription in wanted):
            return self._poll_later(wanted, events, stored)
        self._store_events(wanted, events, stored)
        return None

    @answers_errno_later
    async def _poll_later(self, wanted: list[_Subscription], events: int, stored: int) -> None:
        # Looked at again before waiting: the engine sends gathered output first, which makes output streams ready.
        while not any(subscription.ready() for subscription in wanted):
            await wait_first(subscription.waitable for subscription in wanted if subscription.waitable is not None)
        self._store_events(wanted, events, stored)

    def _store_events(self, wanted: list[_Subscription], events: int, stored: int) -> None:
        ready = [subscription for subscription in wanted if subscription.ready()]
        for number, (userdata, kind, _, errno) in enumerate(ready):
            size = 0 if errno or kind == _CLOCK else 1  # at least that much
            self.memory.pack(EVENT, events + number * EVENT.size, userdata, errno, kind, size, 0)
        self.memory.set_u32(stored, len(ready))

    def _subscription(self, address: int) -> _Subscription:
        userdata, kind = self.memory.unpack(SUBSCRIPTION, address)
        match kind:
            case 0:
                clock, timeout, _precision, flags = self.memory.unpack(SUBSCRIPTION_CLOCK, address)
                if clock not in (REALTIME, MONOTONIC):
                    return _Subscription(userdata, kind, None, Errno.INVAL)
                return _Subscription(userdata, kind, _deadline(clock, timeout, flags), Errno.SUCCESS)
            case 1 | 2:
                (fd,) = self.memory.unpack(SUBSCRIPTION_FD, address)
                opened = self.opened.get(fd)
                if opened is None:
                    return _Subscription(userdata, kind, None, Errno.BADF)
                return _Subscription(userdata, kind, opened.waitable(), Errno.SUCCESS)
            case _:
                raise Failure(Errno.INVAL)


def _deadline(clock: int, timeout: int, flags: int) -> Deadline:
    """`timeout` in nanoseconds: from now on, or on that clock where `flags` say so."""
    if not flags & _ABSOLUTE:
        return Deadline(trio.current_time() + timeout / NANOSECONDS)
    if clock == MONOTONIC:
        return Deadline(timeout / NANOSECONDS)
    return Deadline(trio.current_time() + (timeout - time.time_ns()) / NANOSECONDS)
