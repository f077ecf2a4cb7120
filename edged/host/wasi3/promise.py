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

    Whoever makes it calls `resolve` or `follow` at some time; the first call counts.
    """

    __slots__ = ("_followed", "_news", "_value")

    def __init__(self) -> None:
        self._value = _NOTHING
        self._followed: FutureReader[Any] | None = None
        self._news: trio.Event | None = None

    @property
    def resolved(self) -> bool:
        """Whether there is a value, or another future for it."""
        return self._value is not _NOTHING or self._followed is not None

    def resolve(self, value: Any) -> None:
        """Give it its value. Ignored where it has one."""
        if not self.resolved:
            self._value = value
            self._tell()

    def follow(self, future: FutureReader[Any], dropped: Any) -> None:
        """Its value is another future's, or `dropped` where that has none. Ignored where it has a value."""
        if self.resolved:
            future.close()
            return
        self._value = dropped
        self._followed = future
        self._tell()

    @may_suspend
    def read(self) -> Any:
        return self._value if self._followed is None and self._value is not _NOTHING else self._wait()

    def close(self) -> None:
        """Nobody wants the value. It may still come."""
        if self._followed is not None:
            self._followed.close()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()

    async def _wait(self) -> Any:
        if not self.resolved:
            self._news = trio.Event()
            await self._news.wait()
        if self._followed is not None:
            return await value_of(self._followed, self._value)
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
