"""wasi:http/types incoming-body and future-trailers"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import GuestTrap
from edged.host.http.incoming_body import BodySource, IncomingBody
from edged.host.interface import Err, Ok
from edged.host.poll import Deadline, Poll, Pollable
from edged.host.streams import CLOSED
from edged.http.exchange import BodyError, ClientGone
from edged.limits import BODY_DISCARD_READS, READ_CHUNK_BYTES
from tests.host.fakes import FakeExchange, err, failed_with, invocation, settled, suspends


def body_of(exchange):
    return IncomingBody(BodySource(exchange), exchange.request_trailers)


def poll(*pollables):
    return Poll().poll(invocation(), list(pollables))


class Guest:
    """A guest that waits for an answer, beside the test."""

    def __init__(self, nursery, answer):
        self.answers = []
        nursery.start_soon(self._run, answer)

    async def _run(self, answer):
        try:
            self.answers.append(await settled(answer))
        except Err as error:
            self.answers.append(error)


# --- the stream ---


def test_a_body_that_is_there_is_read_without_waiting() -> None:
    stream = body_of(FakeExchange(body=b"hello")).stream()
    assert stream.blocking_read(2) == b"he"
    assert stream.read(100) == b"llo"
    for _ in range(3):
        with err(CLOSED):
            stream.blocking_read(100)


def test_an_empty_body_is_at_its_end() -> None:
    stream = body_of(FakeExchange()).stream()
    with err(CLOSED):
        stream.blocking_read(100)


def test_there_is_one_stream() -> None:
    body = body_of(FakeExchange())
    stream = body.stream()
    with err():
        body.stream()
    stream.drop()
    with err():
        body.stream()


def test_a_read_gives_nothing_while_nothing_is_there() -> None:
    exchange = FakeExchange(ended=False)
    stream = body_of(exchange).stream()
    assert stream.read(100) == b""
    assert suspends(stream.blocking_read(100))
    exchange.feed(b"x")
    assert stream.read(100) == b"x"


async def test_a_blocking_read_waits_for_bytes_and_for_the_end(nursery) -> None:
    exchange = FakeExchange(ended=False)
    stream = body_of(exchange).stream()
    guest = Guest(nursery, stream.blocking_read(3))
    await trio.testing.wait_all_tasks_blocked()
    assert guest.answers == []
    exchange.feed(b"hello")
    await trio.testing.wait_all_tasks_blocked()
    assert guest.answers == [b"hel"]
    assert stream.read(1) == b"l"
    assert stream.read(100) == b"o"
    guest = Guest(nursery, stream.blocking_read(100))
    await trio.testing.wait_all_tasks_blocked()
    exchange.end()
    await trio.testing.wait_all_tasks_blocked()
    assert guest.answers == [Err(CLOSED)]


def test_reading_zero_bytes_tells_whether_the_end_is_reached() -> None:
    exchange = FakeExchange(ended=False)
    stream = body_of(exchange).stream()
    assert stream.read(0) == b""
    exchange.feed(b"abc")
    assert stream.read(0) == b""
    assert stream.read(0) == b""
    assert stream.read(2) == b"ab"
    assert stream.read(0) == b""
    exchange.end()
    assert stream.read(0) == b""
    assert stream.read(2) == b"c"
    with err(CLOSED):
        stream.read(0)


async def test_a_pollable_is_ready_when_a_read_would_not_be_empty(nursery) -> None:
    exchange = FakeExchange(ended=False)
    stream = body_of(exchange).stream()
    pollable = stream.subscribe()
    assert not pollable.ready()
    guest = Guest(nursery, poll(pollable))
    await trio.testing.wait_all_tasks_blocked()
    exchange.feed(b"x")
    await trio.testing.wait_all_tasks_blocked()
    assert guest.answers == [[0]]
    assert pollable.ready()
    assert stream.read(100) == b"x"
    assert not pollable.ready()
    exchange.end()
    assert pollable.ready()


async def test_a_timeout_beside_a_body_loses_nothing(autojump_clock) -> None:
    exchange = FakeExchange(ended=False)
    stream = body_of(exchange).stream()
    pollable = stream.subscribe()
    assert await settled(poll(pollable, Pollable(Deadline(trio.current_time() + 1)))) == [1]
    exchange.feed(b"late")
    assert stream.read(100) == b"late"


async def test_a_large_body_in_small_reads(nursery) -> None:
    exchange = FakeExchange(ended=False)
    body = bytes(range(256)) * (READ_CHUNK_BYTES // 128)
    stream = body_of(exchange).stream()
    guest = Guest(nursery, stream.subscribe().block())
    await trio.testing.wait_all_tasks_blocked()
    exchange.feed(body)
    exchange.end()
    await trio.testing.wait_all_tasks_blocked()
    assert guest.answers == [None]
    got = bytearray()
    while True:
        try:
            got += await settled(stream.blocking_read(1000))
        except Err:
            break
    assert got == body


# --- errors ---

ERRORS = [
    (BodyError(400, "bad chunk"), "HTTP-protocol-error"),
    (BodyError(408, "slow"), "connection-read-timeout"),
    (BodyError(413, "large"), ("HTTP-request-body-size", None)),
    (ClientGone(), "connection-terminated"),
]


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_an_error_is_told_once_and_then_the_stream_is_closed(error, code) -> None:
    exchange = FakeExchange(body=b"first", ended=False)
    stream = body_of(exchange).stream()
    exchange.break_off(error)
    assert stream.read(100) == b"first"
    with failed_with(code):
        stream.read(100)
    for _ in range(2):
        with err(CLOSED):
            stream.read(100)
    assert stream.subscribe().ready()


@pytest.mark.parametrize(("error", "code"), ERRORS)
async def test_an_error_ends_a_wait(error, code, nursery) -> None:
    exchange = FakeExchange(ended=False)
    stream = body_of(exchange).stream()
    guest = Guest(nursery, poll(stream.subscribe()))
    await trio.testing.wait_all_tasks_blocked()
    exchange.break_off(error)
    await trio.testing.wait_all_tasks_blocked()
    assert guest.answers == [[0]]
    with failed_with(code):
        stream.blocking_read(100)


async def test_an_error_ends_a_blocking_read(nursery) -> None:
    exchange = FakeExchange(ended=False)
    guest = Guest(nursery, body_of(exchange).stream().blocking_read(100))
    await trio.testing.wait_all_tasks_blocked()
    exchange.break_off(ClientGone())
    await trio.testing.wait_all_tasks_blocked()
    ((case, error),) = [answer.value for answer in guest.answers]
    assert (case, error.code) == ("last-operation-failed", "connection-terminated")


# --- trailers ---


def finished(exchange):
    body = body_of(exchange)
    body.stream().drop()
    return body.finish()


def test_finish_traps_while_the_stream_is_open() -> None:
    body = body_of(FakeExchange())
    stream = body.stream()
    with pytest.raises(GuestTrap):
        body.finish()
    stream.drop()
    body.finish()


def test_a_body_may_be_finished_unread() -> None:
    assert body_of(FakeExchange(body=b"unread")).finish().get() == Ok(Ok(None))


class Crumbs:
    """A body of one-byte pieces, all of them there."""

    def __init__(self, count: int) -> None:
        self.left = count

    def receive_nowait(self, bytes_max: int) -> bytes:
        self.left -= 1
        return b"x" if self.left >= 0 else b""

    async def receive(self, bytes_max: int) -> bytes:
        return self.receive_nowait(bytes_max)


async def test_a_body_in_many_pieces_is_thrown_away_in_turns_with_others(nursery) -> None:
    crumbs = Crumbs(100)
    future = IncomingBody(BodySource(crumbs), lambda: ()).finish()
    assert future.get() is None
    assert crumbs.left == 100 - BODY_DISCARD_READS
    seen = []

    async def beside() -> None:
        while crumbs.left > 0:
            seen.append(crumbs.left)
            await trio.lowlevel.checkpoint()

    nursery.start_soon(beside)
    await settled(future.subscribe().block())
    assert future.get() == Ok(Ok(None))
    assert len(seen) >= 10


def test_no_trailers_is_an_answer_once() -> None:
    future = finished(FakeExchange())
    assert future.subscribe().ready()
    assert future.get() == Ok(Ok(None))
    assert future.get() == Err()


def test_trailers_are_immutable_and_without_what_belongs_to_the_connection() -> None:
    exchange = FakeExchange(body=b"x" * (3 * READ_CHUNK_BYTES), ended=False)
    exchange.end([(b"x-sum", b"1"), (b"connection", b"close")])
    result = finished(exchange).get()
    assert isinstance(result, Ok)
    trailers = result.value.value
    assert trailers.entries() == [("x-sum", b"1")]
    with err("immutable"):
        trailers.delete("x-sum")


async def test_trailers_wait_for_the_end_of_the_body(nursery) -> None:
    exchange = FakeExchange(body=b"first", ended=False)
    future = finished(exchange)
    assert future.get() is None
    assert not future.subscribe().ready()
    guest = Guest(nursery, poll(future.subscribe()))
    await trio.testing.wait_all_tasks_blocked()
    exchange.feed(b"second")
    await trio.testing.wait_all_tasks_blocked()
    assert guest.answers == []
    exchange.end([(b"x", b"y")])
    await trio.testing.wait_all_tasks_blocked()
    assert guest.answers == [[0]]
    assert future.get().value.value.entries() == [("x", b"y")]
    future.drop()


@pytest.mark.parametrize(("error", "code"), ERRORS)
async def test_trailers_of_a_broken_body(error, code, nursery) -> None:
    exchange = FakeExchange(ended=False)
    future = finished(exchange)
    guest = Guest(nursery, future.subscribe().block())
    await trio.testing.wait_all_tasks_blocked()
    exchange.break_off(error)
    await trio.testing.wait_all_tasks_blocked()
    assert guest.answers == [None]
    assert future.get() == Ok(Err(code))
    assert future.get() == Err()


async def test_a_pollable_that_outlives_its_stream_does_not_read_beside_the_trailers(nursery) -> None:
    exchange = FakeExchange(ended=False)
    body = body_of(exchange)
    stream = body.stream()
    pollable = stream.subscribe()
    stream.drop()
    future = body.finish()
    assert poll(pollable, future.subscribe()) == [0]
    assert not future.ready()
