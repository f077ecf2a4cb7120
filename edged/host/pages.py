"""A `stream<T>` whose values come page by page, with the `future<result<_, error>>` that says how it ended.

    engine ── Pages.next ── page ── PagedStream.read(count_max) ── guest
                 │                       │
             the last one, or Err ───> outcome ── guest

A page is asked for when the one before has been read, so that no more than one is held here, and a guest that does not
read makes the engine wait. `gather` is for an engine whose connection is needed for something else meanwhile. What is
held of all streams of a request is taken from its budget.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import trio

from edged.errors import GuestBudgetExhausted
from edged.host.budget import Budget
from edged.host.channel import Piece
from edged.host.interface import Err, Ok, Resource, may_suspend

E = TypeVar("E", bound=Exception)

TOO_MANY_STREAMS = "too many rows or keys are being read at once"


class Page(NamedTuple):
    """The next values.

    Attributes:
        size_bytes: what they take here, overhead included.
        is_last: no page comes after it.
    """

    values: Sequence[Any]
    size_bytes: int
    is_last: bool


class Pages(Protocol):
    """Where the values of one stream come from."""

    async def next(self) -> Page:
        """The next page; it may be empty. One at a time, and none after the last one.

        Raises:
            Err: the error that the stream ends with.
        """

    def close(self) -> None:
        """No page will be asked for any more, and none is under way. Called once."""


def taken(budget: Budget, refusal: Err) -> AbstractContextManager[None]:
    """Take one of the streams that a request may have, for a `PagedStream` that is made in this block.

    Raises:
        Err: `refusal`, there is none left.
    """
    return budget.taking("row_streams", refusal)


class PagedStream:
    """Both ends as a guest is given them: this is the stream, and `outcome` the future.

    Args:
        budget: of which one stream was taken, as by `taken`; it is given back.
    """

    __slots__ = ("_at", "_budget", "_is_over", "_is_wanted", "_pages", "_source", "_turn", "outcome")

    def __init__(self, source: Pages, budget: Budget) -> None:
        self.outcome = Outcome()
        self._source = source
        self._budget = budget
        self._pages: deque[Page] = deque()
        self._at = 0  # how much of the first page has been read
        self._turn = trio.Lock()
        self._is_over = False  # of the source
        self._is_wanted = True

    @may_suspend
    def read(self, count_max: int) -> Piece | Coroutine[Any, Any, Piece]:
        if self._pages or self._is_over:
            return self._take(count_max)
        return self._wait_and_take(count_max)

    def close(self) -> None:
        self._is_wanted = False
        while self._pages:
            self._budget.row_bytes += self._pages.popleft().size_bytes
        if not self._is_over and not self._turn.locked():
            self._end(None)

    async def start(self) -> None:
        """Ask for the first page now, where the function that returns the stream has a result to say it failed in.

        Raises:
            Err: the stream is closed.
        """
        try:
            await self._fetch()
        except BaseException:
            self.close()
            raise
        failed = self.outcome.known
        if isinstance(failed, Err):
            raise failed

    async def gather(self) -> bool:
        """Ask for all pages that are left. False if they are more than the request may hold; the rest is to come."""
        async with self._turn:
            while not self._is_over:
                if self._budget.row_bytes <= 0:
                    return False
                await self._fetch()
        return True

    async def _wait_and_take(self, count_max: int) -> Piece:
        async with self._turn:  # `gather` may be under way
            while not self._pages and not self._is_over:
                await self._fetch()
        return self._take(count_max)

    def _take(self, count_max: int) -> Sequence[Any]:
        if not self._pages:
            return ()
        page = self._pages[0]
        taken = page.values[self._at : self._at + count_max]
        self._at += len(taken)
        if self._at == len(page.values):
            self._pages.popleft()
            self._at = 0
            self._budget.row_bytes += page.size_bytes
        return taken

    async def _fetch(self) -> None:
        if self._budget.row_bytes <= 0:
            raise GuestBudgetExhausted("the guest asked for too many rows that it does not read")
        try:
            page = await self._source.next()
        except Err as failed:
            self._end(failed)
            return
        finally:
            if not self._is_wanted and not self._is_over:  # closed meanwhile
                self._end(None)
        if self._is_over:
            return
        if page.is_last:
            self._end(None)
        if page.values:
            self._pages.append(page)
            self._budget.row_bytes -= page.size_bytes

    def _end(self, failed: Err | None) -> None:
        self._is_over = True
        self._source.close()
        self._budget.row_streams += 1
        self.outcome.tell(failed or Ok())


class Outcome:
    """`future<result<_, error>>`: known when the stream's source is at its end, or nobody reads it any more."""

    __slots__ = ("_told", "known")

    def __init__(self) -> None:
        self.known: Ok | Err | None = None
        self._told: trio.Event | None = None

    def tell(self, result: Ok | Err) -> None:
        self.known = result
        if self._told is not None:
            self._told.set()

    @may_suspend
    def read(self) -> Ok | Err | Coroutine[Any, Any, Ok | Err]:
        return self._wait() if self.known is None else self.known

    def close(self) -> None:
        pass

    async def _wait(self) -> Ok | Err:
        self._told = self._told or trio.Event()
        await self._told.wait()
        assert self.known is not None
        return self.known


class StreamingResource(Resource):
    """A resource with streams that go on when its handle is gone: it holds what it holds until they have ended too."""

    __slots__ = ("_uses",)

    def __init__(self) -> None:
        self._uses = 1

    def drop(self) -> None:
        self._uses -= 1
        if not self._uses:
            self._release()

    @abstractmethod
    def _release(self) -> None:
        """Release all. Called once."""


class Cursor(Protocol):
    """The rows of a statement, from an engine."""

    async def page(self) -> Page:
        """The next rows. None is asked for after the last page. Raises what the engine fails with."""

    def close(self) -> None:
        """End the statement, if it is not at its end. Called once."""


class Rows(Generic[E]):
    """`Pages` of a cursor, in the values of an interface.

    Args:
        owner: whose connection it uses.
        fails: what the engine fails with.
        failure: its error -> the interface's.
        values: a page of rows as the interface has them; None where the engine's are.
    """

    __slots__ = ("_cursor", "_fails", "_failure", "_owner", "_values")

    def __init__(
        self,
        cursor: Cursor,
        owner: StreamingResource,
        fails: type[E],
        failure: Callable[[E], Err],
        values: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
    ) -> None:
        self._cursor = cursor
        self._owner = owner
        self._fails = fails
        self._failure = failure
        self._values = values
        owner._uses += 1

    async def next(self) -> Page:
        try:
            page = await self._cursor.page()
        except self._fails as failed:
            raise self._failure(failed) from None
        return page if self._values is None else page._replace(values=self._values(page.values))

    def close(self) -> None:
        self._cursor.close()
        self._owner.drop()
