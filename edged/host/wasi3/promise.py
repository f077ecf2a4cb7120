"""A future that the host completes later."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import trio

from edged.host.channel import Dropped, FutureReader
from edged.host.interface import may_suspend

_NOTHING: Any = object()


class Promise:
    """A source of a future: see `edged.host.channel.FutureReader` for what its reader does.

    Whoever makes it calls `resolve` at some time; the first value counts.
    """

    __slots__ = ("_resolved", "_value")

    def __init__(self) -> None:
        self._value = _NOTHING
        self._resolved: trio.Event | None = None

    @property
    def resolved(self) -> bool:
        return self._value is not _NOTHING

    def resolve(self, value: Any) -> None:
        """Give it its value. Ignored where it has one."""
        if self._value is _NOTHING:
            self._value = value
            if self._resolved is not None:
                self._resolved.set()

    @may_suspend
    def read(self) -> Any:
        return self._wait() if self._value is _NOTHING else self._value

    def close(self) -> None:
        """Nobody wants the value. It may still come."""

    async def _wait(self) -> Any:
        if self._resolved is None:
            self._resolved = trio.Event()
        await self._resolved.wait()
        return self._value


async def value_of(future: FutureReader[Any], dropped: Any) -> Any:
    """A future's value, whichever way it comes; `dropped` where its writer has gone without one."""
    try:
        value = future.read()
        return await value if isinstance(value, Coroutine) else value
    except Dropped:
        return dropped
    finally:
        future.close()
