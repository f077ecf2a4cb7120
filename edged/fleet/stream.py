"""Who waits for the answers of a link: a `Reply` for one value, a `Stream` for items as they come."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol, Self

import trio

from edged.errors import EdgedError, LinkError
from edged.fleet.session_event import EndReceived, ItemReceived
from edged.limits import STREAM_WINDOW


class Asker(Protocol):
    """What a stream needs of its `Link`."""

    async def ask(self, name: str, args: dict[str, Any], waiting: Stream, /) -> int:
        """Send a request; returns its number. Raises LinkError if the link is closed."""

    def took(self, number: int, count: int, /) -> None:
        """So many items were taken; as many more may come."""

    def cancel(self, number: int, /) -> None:
        """No more is wanted of that request."""


class Stream:
    """The items of a streamed answer, as they come. Made by `Link.stream`; asks when its first item is wanted.

    Use `contextlib.aclosing` where it may be left before its end: the other end is then told to stop. It reads ahead by
    `STREAM_WINDOW` items at most.
    """

    __slots__ = ("_args", "_call", "_end", "_items", "_link", "_news", "_number", "_taken")

    def __init__(self, link: Asker, call: str, args: dict[str, Any]) -> None:
        self._link = link
        self._call = call
        self._args = args
        self._number: int | None = None
        self._items: deque[Any] = deque()
        self._taken = 0
        self._end: EdgedError | EndReceived | None = None
        self._news = trio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """The next item.

        Raises:
            RemoteError: the other end failed.
            LinkError: the link broke.
        """
        if self._number is None:
            self._number = await self._link.ask(self._call, self._args, self)
        while not self._items:
            if isinstance(self._end, EdgedError):
                raise self._end
            if self._end is not None:
                raise StopAsyncIteration
            self._news = trio.Event()
            await self._news.wait()
        item = self._items.popleft()
        self._taken += 1
        if self._taken >= STREAM_WINDOW // 2:
            self._link.took(self._number, self._taken)
            self._taken = 0
        return item

    async def aclose(self) -> None:
        """No more of it; returns at once."""
        self.cancel()

    def cancel(self) -> None:
        """No more of it. May be called at any time, and twice."""
        if self._number is not None and self._end is None:
            self._link.cancel(self._number)
        if self._end is None:
            self._end = LinkError(f"the stream of {self._call} was closed")
        self._items.clear()
        self._news.set()

    def put(self, event: ItemReceived | EndReceived | EdgedError) -> None:
        if isinstance(event, ItemReceived):
            self._items.append(event.value)
        elif self._end is None:
            self._end = event
        self._news.set()


class Reply:
    """What a call waits for."""

    __slots__ = ("came", "value")

    def __init__(self) -> None:
        self.came = trio.Event()
        self.value: Any = None

    def put(self, value: Any) -> None:
        self.value = value
        self.came.set()
