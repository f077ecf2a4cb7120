"""Streams of pages, over a source that the test plays."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import GuestBudgetExhausted
from edged.host.budget import Budget
from edged.host.interface import Err, Ok
from edged.host.pages import Page, PagedStream, Rows, StreamingResource, taken
from edged.limits import ROW_STREAMS_OPEN_MAX, ROWS_HELD_BYTES_MAX
from tests.host.fakes import suspends
from tests.host.reading import outcome, read, read_all

FAILED = Err(("other", "the server is gone"))


class Played:
    """Gives these pages, and says what was asked of it. `None` waits until the test says `go_on`."""

    def __init__(self, *pages: Page | Err | None) -> None:
        self._pages = list(pages)
        self.asked = 0
        self.closed = 0
        self.go_on = trio.Event()

    async def next(self) -> Page:
        assert not self.closed
        self.asked += 1
        while self._pages and self._pages[0] is None:
            await self.go_on.wait()
            self._pages.pop(0)
        page = self._pages.pop(0)
        if isinstance(page, Err):
            raise page
        assert page is not None
        return page

    def close(self) -> None:
        self.closed += 1


def page(*values: int, size_bytes: int = 10, is_last: bool = False) -> Page:
    return Page(values, size_bytes, is_last)


def stream_of(*pages: Page | Err | None, budget: Budget | None = None) -> tuple[PagedStream, Played, Budget]:
    budget = budget or Budget()
    source = Played(*pages)
    with taken(budget, FAILED):
        return PagedStream(source, budget), source, budget


def assert_given_back(source: Played, budget: Budget) -> None:
    assert source.closed == 1
    assert budget == Budget()


@pytest.mark.parametrize("count_max", [1, 2, 100])
async def test_all_values_then_the_end_then_how_it_went(count_max) -> None:
    stream, source, budget = stream_of(page(1, 2, 3), page(), page(4, 5), page(6, is_last=True))
    assert await read_all(stream, count_max) == [1, 2, 3, 4, 5, 6]
    assert await outcome(stream.outcome) == Ok()
    assert source.asked == 4
    stream.close()
    assert_given_back(source, budget)


async def test_a_page_is_asked_for_when_the_one_before_was_read() -> None:
    stream, source, budget = stream_of(page(1, 2), page(3, is_last=True))
    assert source.asked == 0
    assert await read(stream, 1) == [1]
    assert not suspends(stream.read(1))  # the second value
    assert source.asked == 1
    assert budget.row_bytes == ROWS_HELD_BYTES_MAX
    assert await read(stream) == [3]
    assert source.asked == 2


async def test_an_error_comes_after_the_values_before_it() -> None:
    stream, source, budget = stream_of(page(1), FAILED)
    assert await read_all(stream) == [1]
    assert await outcome(stream.outcome) == FAILED
    assert_given_back(source, budget)


async def test_an_error_of_the_first_page_is_the_functions() -> None:
    stream, source, budget = stream_of(FAILED)
    with pytest.raises(Err) as raised:
        await stream.start()
    assert raised.value == FAILED
    assert_given_back(source, budget)
    stream, source, budget = stream_of(page(1, is_last=True))
    await stream.start()
    assert source.closed == 1
    assert await read_all(stream) == [1]
    assert_given_back(source, budget)


async def test_the_future_waits_for_the_end() -> None:
    stream, source, _ = stream_of(None, page(1, is_last=True))
    told: list[object] = []

    async def wait() -> None:
        told.append(await outcome(stream.outcome))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert told == []
        source.go_on.set()
        assert await read_all(stream) == [1]
    assert told == [Ok()]


async def test_a_stream_that_is_dropped_half_way() -> None:
    stream, source, budget = stream_of(page(1, 2, 3), page(4))
    assert await read(stream, 1) == [1]
    assert budget.row_bytes < ROWS_HELD_BYTES_MAX
    stream.close()
    assert await outcome(stream.outcome) == Ok()
    assert source.asked == 1
    stream.close()
    assert_given_back(source, budget)


async def test_a_stream_that_is_dropped_while_a_page_is_under_way() -> None:
    """The source is closed when it is at rest again."""
    stream, source, budget = stream_of(None, page(1), page(2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, stream)
        await trio.testing.wait_all_tasks_blocked()
        stream.close()
        assert source.closed == 0
        source.go_on.set()
    assert_given_back(source, budget)
    assert await read(stream) == []


async def test_a_read_that_is_cancelled_has_taken_nothing() -> None:
    stream, source, budget = stream_of(page(1), None, page(2, is_last=True))
    assert await read(stream) == [1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, stream)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    source.go_on.set()
    assert await read_all(stream) == [2]
    assert_given_back(source, budget)


# --- what a request may hold ---


async def test_gathering_reads_all_that_is_left() -> None:
    stream, source, budget = stream_of(page(1), page(2), page(3, is_last=True))
    assert await stream.gather()
    assert await stream.gather()
    assert source.closed == 1
    assert budget.row_bytes == ROWS_HELD_BYTES_MAX - 30
    assert not suspends(stream.read(1))
    assert await read_all(stream) == [2, 3]
    assert_given_back(source, budget)


async def test_gathering_waits_for_a_page_under_way() -> None:
    stream, source, _ = stream_of(None, page(1), page(2, is_last=True))
    got: list[list[int]] = []

    async def take() -> None:
        got.append(await read(stream))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(stream.gather)
        await trio.testing.wait_all_tasks_blocked()
        assert source.asked == 1
        source.go_on.set()
    assert got == [[1]]
    assert await read_all(stream) == [2]


async def test_gathering_at_the_limit_and_over() -> None:
    half = page(1, size_bytes=ROWS_HELD_BYTES_MAX // 2)
    stream, *_ = stream_of(half, half._replace(is_last=True))
    assert await stream.gather()
    stream, source, budget = stream_of(half, half, page(2, is_last=True))
    assert not await stream.gather()
    assert source.asked == 2
    assert await read_all(stream) == [1, 1, 2]
    assert_given_back(source, budget)


async def test_a_request_that_holds_too_much_elsewhere() -> None:
    budget = Budget()
    held, *_ = stream_of(page(1, size_bytes=ROWS_HELD_BYTES_MAX), budget=budget)
    await held.start()
    other, source, _ = stream_of(page(2), budget=budget)
    with pytest.raises(GuestBudgetExhausted):
        await read(other)
    assert source.asked == 0
    held.close()
    assert await read(other) == [2]


def test_streams_of_a_request_at_the_limit_and_over() -> None:
    budget = Budget()
    streams = [stream_of(page(1), budget=budget)[0] for _ in range(ROW_STREAMS_OPEN_MAX)]
    with pytest.raises(Err) as raised:
        stream_of(budget=budget)
    assert raised.value == FAILED
    streams.pop().close()
    stream_of(budget=budget)


def test_what_fails_before_there_is_a_stream_takes_none() -> None:
    budget = Budget()
    with pytest.raises(ZeroDivisionError), taken(budget, FAILED):
        raise ZeroDivisionError
    assert budget == Budget()


# --- rows of an engine ---


class Owner(StreamingResource):
    def __init__(self) -> None:
        super().__init__()
        self.released = 0

    def _release(self) -> None:
        self.released += 1


class Cursor:
    def __init__(self, *pages: Page | Exception) -> None:
        self._pages = list(pages)
        self.closed = 0

    async def page(self) -> Page:
        page = self._pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("first", ["handle", "stream"])
async def test_what_is_held_goes_with_the_handle_and_the_last_stream(first) -> None:
    owner, cursor, budget = Owner(), Cursor(page(1), page(2)), Budget()
    with taken(budget, FAILED):
        stream = PagedStream(Rows(cursor, owner, KeyError, lambda _: FAILED), budget)
    assert await read(stream) == [1]
    (owner.drop if first == "handle" else stream.close)()
    assert owner.released == 0
    (stream.close if first == "handle" else owner.drop)()
    assert (owner.released, cursor.closed) == (1, 1)


async def test_rows_in_the_values_of_an_interface() -> None:
    rows = Rows(Cursor(page(1, 2)), Owner(), KeyError, lambda _: FAILED, lambda values: [value * 2 for value in values])
    assert await rows.next() == Page([2, 4], 10, is_last=False)


async def test_what_an_engine_fails_with() -> None:
    rows = Rows(
        Cursor(KeyError("k"), ZeroDivisionError()), Owner(), KeyError, lambda error: Err(("other", error.args[0]))
    )
    with pytest.raises(Err) as raised:
        await rows.next()
    assert raised.value == Err(("other", "k"))
    with pytest.raises(ZeroDivisionError):  # a mistake of ours
        await rows.next()
