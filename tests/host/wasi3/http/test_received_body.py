"""Bodies on their way to a guest of 0.3: a stream, and a future for what comes after it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.host.http.error import HttpError
from edged.host.interface import Err, Ok
from edged.host.wasi3.http.received_body import ReceivedBody, ReceivedTrailers
from edged.http.exchange import BodyError, ClientGone
from edged.limits import READ_CHUNK_BYTES
from tests.host.fakes import FakeExchange, settled, suspends

wait = trio.testing.wait_all_tasks_blocked


class Received:
    """A body, its reader, and how often it was over."""

    def __init__(self, body: bytes = b"", *, ended: bool = True) -> None:
        self.exchange = FakeExchange(body=body, ended=ended)
        self.over = 0
        self.body = ReceivedBody(self.exchange, self.exchange.request_trailers, None, self._is_over)
        self.trailers = ReceivedTrailers(self.body)

    def _is_over(self) -> None:
        self.over += 1


async def test_what_is_there_is_given_at_once() -> None:
    received = Received(b"hello")
    assert received.body.read(3) == b"hel"
    assert received.body.read(3) == b"lo"
    assert received.over == 0
    assert received.body.read(3) == b""
    assert received.body.read(3) == b""
    assert received.trailers.read() == Ok(None)
    assert received.over == 1


async def test_one_read_is_bounded() -> None:
    received = Received(b"x" * (READ_CHUNK_BYTES + 1))
    assert len(received.body.read(1 << 28)) == READ_CHUNK_BYTES
    assert received.body.read(1 << 28) == b"x"


async def test_what_comes_later_is_waited_for() -> None:
    received = Received(ended=False)
    assert suspends(received.body.read(10))
    pieces = []

    async def read() -> None:
        while piece := await settled(received.body.read(10)):
            pieces.append(piece)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait()
        received.exchange.feed(b"hello")
        await wait()
        assert pieces == [b"hello"]
        received.exchange.end([(b"x-sum", b"1"), (b"connection", b"close")])
    trailers = received.trailers.read()
    assert list(trailers.value.copy_all()) == [("x-sum", b"1")]


async def test_a_read_that_is_cancelled_has_taken_nothing() -> None:
    received = Received(ended=False)
    with trio.move_on_after(0):
        await received.body.read(10)
    received.exchange.feed(b"hello")
    assert received.body.read(10) == b"hello"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClientGone(), "connection-terminated"),
        (BodyError(400, ""), "HTTP-protocol-error"),
        (BodyError(413, ""), ("HTTP-request-body-size", None)),
        (HttpError("HTTP-response-incomplete"), "HTTP-response-incomplete"),
    ],
    ids=["gone", "malformed", "too-large", "response"],
)
@pytest.mark.parametrize("waits", [False, True], ids=["at-once", "later"])
async def test_a_body_that_breaks_off(error, code, waits) -> None:
    received = Received(b"hello", ended=False)
    assert received.body.read(10) == b"hello"
    async with trio.open_nursery() as nursery:
        if waits:
            nursery.start_soon(_break_off, received, error)
        else:
            received.exchange.break_off(error)
        assert await settled(received.body.read(10)) == b""
    assert received.body.read(10) == b""
    assert received.trailers.read() == Err(code)
    assert received.body.cut_off == (code == "connection-terminated")
    assert received.over == 1


async def _break_off(received: Received, error: Exception) -> None:
    await wait()
    received.exchange.break_off(error)


async def test_trailers_are_there_when_the_body_was_read() -> None:
    received = Received(b"hello")
    values = []

    async def read() -> None:
        values.append(await settled(received.trailers.read()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait()
        assert values == []
        assert received.body.read(10) == b"hello"
        await wait()
        assert values == []
        assert received.body.read(10) == b""
    assert values == [Ok(None)]


async def test_a_guest_that_gives_the_body_up_gets_the_trailers() -> None:
    received = Received(b"hello", ended=False)
    values = []

    async def read() -> None:
        values.append(await settled(received.trailers.read()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait()
        received.body.close()
        await wait()
        assert received.over == 0
        received.exchange.feed(b"world")
        await wait()
        received.exchange.end([(b"a", b"1")])
    assert list(values[0].value.copy_all()) == [("a", b"1")]
    assert received.over == 1


async def test_a_body_given_up_while_others_wait_does_not_keep_them_waiting() -> None:
    received = Received(b"x" * 10 * READ_CHUNK_BYTES)
    turns = []

    async def other() -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            turns.append(received.body.ended)

    received.body.close()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        assert await settled(received.trailers.read()) == Ok(None)
    assert False in turns


@pytest.mark.parametrize("first", ["body", "trailers"])
async def test_nobody_wants_any_more(first) -> None:
    received = Received(b"hello", ended=False)
    ends = {"body": received.body, "trailers": received.trailers}
    ends.pop(first).close()
    assert received.over == 0
    ends.popitem()[1].close()
    assert received.over == 1
    assert received.body.read(10) == b""
    assert not received.body.ended


async def test_after_the_request_it_is_at_its_end() -> None:
    received = Received(b"hello", ended=False)
    received.body.detach()
    assert received.body.read(10) == b""
    assert received.trailers.read() == Err("connection-terminated")
    assert received.over == 1
    received.body.detach()
    assert received.over == 1


async def test_a_body_that_was_whole_stays_so_after_the_request() -> None:
    received = Received()
    assert received.body.read(10) == b""
    received.body.detach()
    assert received.trailers.read() == Ok(None)


async def test_a_guest_that_waits_for_trailers_is_told_of_the_requests_end() -> None:
    received = Received(ended=False)
    values = []

    async def read() -> None:
        values.append(await settled(received.trailers.read()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait()
        received.body.detach()
    assert values == [Err("connection-terminated")]
