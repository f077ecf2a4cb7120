"""`wasi:io/poll`: pollables, and waiting for the first of several.

A `Pollable` is only the guest's handle. What it stands for is a `Waitable`: a timer, the source of an input stream, the
sink of an output stream, a response that may arrive. Several pollables may stand for the same one.
"""

from __future__ import annotations

import math
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, ClassVar, Protocol

import trio

from edged.errors import GuestTrap
from edged.host.interface import Interface, Invocation, Resource, may_suspend


class Waitable(Protocol):
    """Something that a guest can wait for."""

    def ready(self) -> bool:
        """True when the operation behind it can go on, or has failed."""

    async def wait(self) -> None:
        """Return once `ready()` is true.

        May be cancelled at any point without loss, since another pollable may win. Never raises what went wrong: the
        operation itself reports that.
        """


class Deadline:
    """A point in time on trio's clock, in seconds. Kept apart from other waitables: any number cost no task."""

    __slots__ = ("instant",)

    def __init__(self, instant: float) -> None:
        self.instant = instant

    def ready(self) -> bool:
        return trio.current_time() >= self.instant

    async def wait(self) -> None:
        await trio.sleep_until(self.instant)


class Pollable(Resource):
    """`resource pollable`. Stays valid when the resource that it was made from is dropped first."""

    __slots__ = ("waitable",)

    def __init__(self, waitable: Waitable) -> None:
        self.waitable = waitable

    def ready(self) -> bool:
        return self.waitable.ready()

    @may_suspend
    def block(self) -> Coroutine[Any, Any, None] | None:
        return None if self.waitable.ready() else self.waitable.wait()


class Poll(Interface):
    """`wasi:io/poll`."""

    wit: ClassVar[str] = "wasi:io/poll"
    resources: ClassVar[Mapping[str, type[Resource]]] = {"pollable": Pollable}

    @may_suspend
    def poll(self, _invocation: Invocation, pollables: list[Pollable]) -> list[int] | Coroutine[Any, Any, list[int]]:
        """Indices of all pollables that are ready; at least one.

        Raises:
            GuestTrap: the list is empty, so that nothing could ever be ready.
        """
        if not pollables:
            raise GuestTrap("wasi:io/poll#poll was called with no pollable")
        return _ready(pollables) or _poll(pollables)


def _ready(pollables: list[Pollable]) -> list[int]:
    return [index for index, pollable in enumerate(pollables) if pollable.waitable.ready()]


async def _poll(pollables: list[Pollable]) -> list[int]:
    # Looked at again before waiting: the engine sends gathered output first, which makes output streams ready.
    while not (ready := _ready(pollables)):
        await wait_first(pollable.waitable for pollable in pollables)
    return ready


async def wait_first(waitables: Iterable[Waitable]) -> None:
    """Return when the first of them is ready. The others are cancelled."""
    instant = math.inf
    others: dict[int, Waitable] = {}  # by identity: one stream subscribed to twice is waited for once
    for waitable in waitables:
        if isinstance(waitable, Deadline):
            instant = min(instant, waitable.instant)
        else:
            others[id(waitable)] = waitable
    with trio.move_on_at(instant):
        if not others:
            await trio.sleep_forever()
        if len(others) == 1:
            await next(iter(others.values())).wait()
            return
        async with trio.open_nursery() as nursery:
            for waitable in others.values():
                nursery.start_soon(_win, waitable, nursery.cancel_scope)


async def _win(waitable: Waitable, others: trio.CancelScope) -> None:
    await waitable.wait()
    others.cancel()
