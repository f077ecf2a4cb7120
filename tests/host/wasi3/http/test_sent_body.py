"""Bodies on their way from a guest of 0.3."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.host.interface import Err, Ok
from edged.host.wasi3.http.fields import Fields
from edged.host.wasi3.http.message import Message
from edged.host.wasi3.http.sent_body import SentBody
from edged.host.wasi3.promise import Promise
from edged.http.exchange import ClientGone
from tests.host.fakes import settled
from tests.host.wasi3.guest import GuestFuture, GuestStream

wait = trio.testing.wait_all_tasks_blocked
SIZE = "HTTP-request-body-size"


class Sent:
    """A body with both its ends."""

    def __init__(self, *pieces: bytes, ended: bool = False, length=None, most=1_000, trailers=None) -> None:
        self.stream = GuestStream(*pieces, ended=ended)
        self.future = GuestFuture() if trailers is None else GuestFuture(trailers)
        self.sent = Promise()
        self.body = SentBody(Message(Fields(), self.stream, self.future, self.sent), length, most, SIZE)

    async def result(self):
        return await settled(self.sent.read())


async def take_all(body: SentBody) -> None:
    while await body.receive(10):
        pass


async def test_a_body_that_is_there() -> None:
    sent = Sent(b"hello", b"world", ended=True, trailers=Ok(None))
    assert sent.body.length is None
    assert sent.body.receive_nowait(3) == b"hel"
    assert await sent.body.receive(10) == b"lo"
    assert sent.body.receive_nowait(10) == b"world"
    assert not sent.body.whole
    assert sent.body.receive_nowait(10) == b""
    assert sent.body.whole
    assert sent.body.receive_nowait(10) == b""
    assert await sent.body.receive(10) == b""
    assert list(sent.body.trailers()) == []
    sent.body.close()
    assert await sent.result() == Ok()
    assert (sent.stream.closed, sent.future.closed) == (1, 1)


async def test_bytes_are_taken_as_they_come() -> None:
    sent = Sent()
    assert sent.body.receive_nowait(10) is None
    pieces = []

    async def read() -> None:
        while piece := await sent.body.receive(10):
            pieces.append(piece)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait()
        sent.stream.write(b"hello")
        await wait()
        assert pieces == [b"hello"]
        sent.stream.end()
        await wait()
        assert not sent.body.whole
        sent.future.write(Ok(None))
    assert sent.body.whole


async def test_trailers_that_come_late_are_waited_for() -> None:
    sent = Sent(ended=True)
    assert sent.body.receive_nowait(10) is None
    assert sent.body.receive_nowait(10) is None
    fields = Fields.from_entries([("x-sum", b"1"), ("content-length", b"0")])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sent.body.receive, 10)
        await wait()
        sent.future.write(Ok(fields))
    assert list(sent.body.trailers()) == [(b"x-sum", b"1")]


async def test_waiting_that_is_cancelled_loses_nothing() -> None:
    sent = Sent()
    with trio.move_on_after(0):
        await sent.body.receive(10)
    sent.stream.write(b"hello")
    assert await sent.body.receive(10) == b"hello"
    sent.stream.end()
    with trio.move_on_after(0):
        await sent.body.receive(10)
    sent.future.write(Ok(None))
    assert await sent.body.receive(10) == b""


async def test_a_guest_that_ends_its_body_with_an_error() -> None:
    sent = Sent(b"hello", ended=True, trailers=Err("configuration-error"))
    assert sent.body.receive_nowait(10) == b"hello"
    for _ in range(2):
        with pytest.raises(ClientGone):
            sent.body.receive_nowait(10)
        with pytest.raises(ClientGone):
            await sent.body.receive(10)
    assert sent.body.error_code == "configuration-error"
    sent.body.close()
    assert await sent.result() == Err("configuration-error")


@pytest.mark.parametrize("waits", [False, True], ids=["at-once", "later"])
async def test_a_guest_that_ends_before_its_body_does(waits) -> None:
    sent = Sent(ended=True)
    if waits:
        assert sent.body.receive_nowait(10) is None
    sent.future.drop()
    with pytest.raises(ClientGone):
        await sent.body.receive(10)
    assert sent.body.error_code == "connection-terminated"
    sent = Sent(ended=True)
    sent.future.drop()
    with pytest.raises(ClientGone):
        sent.body.receive_nowait(10)


@pytest.mark.parametrize(
    ("length", "most", "pieces", "size"),
    [
        (None, 5, [b"hello"], None),
        (None, 4, [b"hel", b"lo"], 5),
        (5, 9, [b"hello"], None),
        (4, 9, [b"hello"], 5),
        (6, 9, [b"hello"], 5),
        (9, 4, [b"hello"], 5),
        (0, 9, [], None),
        (1, 9, [], 0),
        (0, 9, [b"x"], 1),
        (None, 0, [], None),
    ],
)
async def test_a_body_has_the_size_that_it_may_have(length, most, pieces, size) -> None:
    sent = Sent(*pieces, ended=True, length=length, most=most, trailers=Ok(None))
    assert sent.body.length == length
    if size is None:
        await take_all(sent.body)
        assert sent.body.whole
    else:
        with pytest.raises(ClientGone):
            await take_all(sent.body)
        assert sent.body.error_code == (SIZE, size)
    sent.body.close()
    assert await sent.result() == (Ok() if size is None else Err((SIZE, size)))


async def test_what_went_wrong_on_the_way_is_told() -> None:
    sent = Sent(b"hello", ended=True, trailers=Ok(None))
    await take_all(sent.body)
    sent.body.close("connection-refused")
    sent.body.close()
    assert await sent.result() == Err("connection-refused")


async def test_a_body_that_was_not_taken_to_its_end() -> None:
    sent = Sent(b"hello")
    assert await sent.body.receive(10) == b"hello"
    assert sent.body.receive_nowait(10) is None
    sent.body.close()
    assert await sent.result() == Err("connection-terminated")
    assert (sent.stream.closed, sent.future.closed) == (1, 1)


async def test_a_body_that_was_not_needed() -> None:
    sent = Sent(b"hello")
    sent.body.close()
    assert await sent.result() == Ok()
    assert sent.stream.closed == 1


async def test_closing_before_trailers_that_were_asked_for() -> None:
    sent = Sent(ended=True)
    assert sent.body.receive_nowait(10) is None
    sent.body.close()
    assert sent.future.closed == 1


async def test_a_message_that_was_received_has_nobody_to_tell() -> None:
    stream, future = GuestStream(b"hello", ended=True), GuestFuture(Ok(None))
    body = SentBody(Message(Fields(), stream, future), None, 10, SIZE)
    assert await body.receive(10) == b"hello"
    body.close()
    assert stream.closed == 1


async def test_a_message_without_contents_has_an_empty_body() -> None:
    body = SentBody(Message(Fields(), None, GuestFuture(Ok(None)), Promise()), None, 10, SIZE)
    assert body.receive_nowait(10) == b""
    assert body.whole
