"""The host side of core guests: a module with a function of each kind."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import trio

from edged.host.core_module import Signature
from edged.host.interface import Invocation, may_suspend
from edged.host.memory import Memory


class Api:
    """`host`. Set `on_note` to do something in the middle of a guest."""

    name = "host"
    functions: Mapping[str, Signature] = {
        "note": Signature("i", ""),
        "widen": Signature("iI", "I"),
        "perhaps": Signature("i", "i"),
        "wait": Signature("I", "I"),
        "peek": Signature("ii", "i"),
        "poke": Signature("ii", ""),
        "poke_later": Signature("ii", ""),
        "absent": Signature("f", ""),
    }

    def __init__(self) -> None:
        self.notes: list[int] = []
        self.on_note: Callable[[int], None] = lambda _number: None
        self.opened = 0
        self.closed = 0
        self.waiting = 0
        self.released = trio.Event()
        self.sessions: list[ApiSession] = []

    @property
    def session(self) -> type[ApiSession]:
        return ApiSession

    def open(self, invocation: Invocation, memory: Memory) -> ApiSession:
        self.opened += 1
        session = ApiSession(self, invocation, memory)
        self.sessions.append(session)
        return session


class ApiSession:
    def __init__(self, api: Api, invocation: Invocation, memory: Memory) -> None:
        self._api = api
        self.invocation = invocation
        self.memory = memory

    def note(self, number: int) -> None:
        self._api.notes.append(number)
        self._api.on_note(number)

    def widen(self, low: int, high: int) -> int:
        """-1 for zeroes; else the sum, which may be more than 64 bits."""
        return low + high if low or high else -1

    @may_suspend
    def perhaps(self, number: int) -> int | Coroutine[Any, Any, int]:
        """Even: at once. Odd: suspends."""
        return self._later(number) if number % 2 else number + 1

    async def _later(self, number: int) -> int:
        await trio.lowlevel.checkpoint()
        return number + 1

    async def wait(self, number: int) -> int:
        """Suspends until `released`. Raises for 13, as a host with a fault would."""
        self._api.waiting += 1
        try:
            await self._api.released.wait()
        finally:
            self._api.waiting -= 1
        if number == 13:
            raise ZeroDivisionError("a fault of the host")
        return number + 1

    def peek(self, address: int, length: int) -> int:
        return sum(self.memory.read(address, length))

    def poke(self, address: int, value: int) -> None:
        self.memory.set_u32(address, value)

    async def poke_later(self, address: int, value: int) -> None:
        await trio.lowlevel.checkpoint()
        self.memory.set_u32(address, value)

    def absent(self) -> None:
        """Of an f32, which no guest here calls."""

    def close(self) -> None:
        self._api.closed += 1
