"""The host side of guest.wat: what the guest's imports meet in tests of the engine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import trio

from edged.host.interface import Err, Interface, Invocation, Resource, may_suspend


class Quiet:
    """An output sink that keeps nothing."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def invocation() -> Invocation:
    return Invocation("test", Quiet(), Quiet())


class Thing(Resource):
    def __init__(self, api: Api) -> None:
        api.things += 1
        self._number = api.things
        self._api = api

    def number(self) -> int:
        return self._number

    def drop(self) -> None:
        self._api.dropped += 1


class Api(Interface):
    """`test:host/api`. Set `on_note` to do something in the middle of a guest."""

    wit = "test:host/api"
    resources: ClassVar = {"thing": Thing}

    def __init__(self) -> None:
        self.things = 0
        self.dropped = 0
        self.waiting = 0
        self.notes: list[int] = []
        self.taken: list[bytes] = []
        self.released = trio.Event()
        self.on_note: Callable[[int], None] = lambda _number: None

    def thing_constructor(self, _invocation: Invocation) -> Thing:
        return Thing(self)

    def thing_count(self, _invocation: Invocation) -> int:
        return self.things

    async def wait(self, _invocation: Invocation, number: int) -> int:
        """Suspends until `released`; answers the number plus one. Raises for 13, as a host with a fault would."""
        self.waiting += 1
        try:
            await self.released.wait()
        finally:
            self.waiting -= 1
        if number == 13:
            raise ZeroDivisionError("a fault of the host")
        return number + 1

    @may_suspend
    def perhaps(self, _invocation: Invocation, number: int) -> int | Coroutine[Any, Any, int]:
        """Even: at once. Odd: suspends. From 100 on: the err case, in both ways."""
        if number % 2:
            return self._later(number)
        if number >= 100:
            raise Err("refused")
        return number

    async def _later(self, number: int) -> int:
        await trio.lowlevel.checkpoint()
        if number >= 100:
            raise Err("refused later")
        return number

    def note(self, _invocation: Invocation, number: int) -> None:
        self.notes.append(number)
        self.on_note(number)

    def take(self, _invocation: Invocation, data: bytes) -> None:
        self.taken.append(data)
