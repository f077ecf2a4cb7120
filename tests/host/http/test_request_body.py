"""The body of a request, from the guest's task to the transport's"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.host.http.fields import Fields
from edged.host.http.outgoing_body import BodySink, OutgoingBody
from edged.host.http.request_body import SinkReader
from edged.host.streams import CLOSED
from edged.http.exchange import ClientGone
from edged.limits import BODY_WRITE_BYTES_MAX
from tests.host.fakes import err, failed_with, settled, suspends

wait = trio.testing.wait_all_tasks_blocked


def body_of(length=None, bytes_max=1 << 30):
    sink = BodySink(length, bytes_max, "HTTP-request-body-size")
    body = OutgoingBody(sink)
    return body, body.write(), SinkReader(sink)


def test_what_was_written_before_is_there() -> None:
    body, stream, reader = body_of()
    stream.write(b"hello")
    stream.write(b" world")
    assert reader.length is None
    assert reader.receive_nowait(7) == b"hello w"
    assert reader.receive_nowait(100) == b"orld"
    assert reader.receive_nowait(100) is None
    stream.drop()
    body.finish(None)
    assert reader.receive_nowait(100) == b""
    assert reader.length == 11
    assert reader.trailers() == ()


async def test_the_reader_waits_for_bytes_and_for_the_end(nursery) -> None:
    body, stream, reader = body_of()
    got = []

    async def read() -> None:
        while piece := await reader.receive(100):
            got.append(piece)
        got.append(reader.trailers())

    nursery.start_soon(read)
    for piece in (b"a", b"b"):
        await wait()
        stream.write(piece)
    await wait()
    assert got == [b"a", b"b"]
    stream.drop()
    body.finish(Fields.from_entries([("x-sum", b"1")]))
    await wait()
    assert got == [b"a", b"b", [(b"x-sum", b"1")]]


async def test_a_cancelled_wait_loses_nothing(autojump_clock) -> None:
    _, stream, reader = body_of()
    with trio.move_on_after(1):
        await reader.receive(100)
    stream.write(b"late")
    assert await reader.receive(100) == b"late"


async def test_a_guest_gets_room_as_its_body_is_taken(nursery) -> None:
    _, stream, reader = body_of()
    stream.write(bytes(BODY_WRITE_BYTES_MAX))
    assert stream.check_write() == 0
    answer = stream.subscribe().block()
    assert suspends(stream.subscribe().block())
    ready = []

    async def guest() -> None:
        ready.append(await settled(answer))

    nursery.start_soon(guest)
    await wait()
    assert ready == []
    assert reader.receive_nowait(1000) == bytes(1000)
    await wait()
    assert ready == [None]
    assert stream.check_write() == 1000


@pytest.mark.parametrize(("length", "trailers", "expected"), [(9, False, 9), (None, False, 4), (None, True, None)])
def test_the_length_is_known_when_it_was_announced_or_the_body_is_whole(length, trailers, expected) -> None:
    body, stream, reader = body_of(length)
    stream.write(b"some")
    assert reader.length == length
    stream.drop()
    if length is None:
        body.finish(Fields.from_entries([("x", b"y")]) if trailers else None)
    assert reader.length == expected


def test_a_body_dropped_before_its_end() -> None:
    body, stream, reader = body_of()
    stream.write(b"some")
    stream.drop()
    body.drop()
    with pytest.raises(ClientGone):
        reader.receive_nowait(100)


async def test_one_that_is_dropped_while_the_reader_waits(nursery) -> None:
    body, stream, reader = body_of()
    raised = []

    async def read() -> None:
        try:
            await reader.receive(100)
        except ClientGone as error:
            raised.append(error)

    nursery.start_soon(read)
    await wait()
    stream.drop()
    body.drop()
    await wait()
    assert len(raised) == 1


@pytest.mark.parametrize("size", [4, 5])
def test_the_operators_limit_and_one_over(size) -> None:
    _, stream, reader = body_of(bytes_max=4)
    if size <= 4:
        stream.write(b"x" * size)
        assert reader.receive_nowait(100) == b"x" * size
    else:
        with failed_with(("HTTP-request-body-size", 5)):
            stream.write(b"x" * size)
        with pytest.raises(ClientGone):
            reader.receive_nowait(100)


async def test_when_nobody_reads_on_the_guest_is_told(nursery) -> None:
    body, stream, reader = body_of()
    stream.write(bytes(BODY_WRITE_BYTES_MAX))
    ready = []
    waiting = stream.subscribe().block()

    async def guest() -> None:
        ready.append(await settled(waiting))

    nursery.start_soon(guest)
    await wait()
    reader.close()
    reader.close()
    await wait()
    assert ready == [None]
    with err(CLOSED):
        stream.write(b"more")
    stream.drop()
    body.finish(None)
