"""wasi:http/types outgoing-body"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import GuestBudgetExhausted, GuestTrap
from edged.host.budget import Budget
from edged.host.http.fields import Fields
from edged.host.http.outgoing_body import BodySink, OutgoingBody
from edged.host.streams import CLOSED
from edged.limits import BLOCKING_WRITE_BYTES_MAX, BODIES_HELD_BYTES_MAX, BODY_WRITE_BYTES_MAX, WRITE_BUFFER_BYTES
from tests.host.fakes import FakeExchange, err, failed_with, settled, suspends

SIZE = "HTTP-response-body-size"


def sink(length=None, bytes_max=10 * BODY_WRITE_BYTES_MAX):
    return BodySink(length, bytes_max, SIZE)


def attached(length=None, **more):
    exchange = FakeExchange()
    exchange.respond(200, [])
    made = sink(length, **more)
    made.attach(exchange)
    return made, exchange


# --- the stream ---


def test_there_is_one_stream() -> None:
    body = OutgoingBody(sink())
    stream = body.write()
    with err():
        body.write()
    stream.drop()
    with err():
        body.write()


async def test_what_is_written_is_gathered_and_leaves_in_one_send() -> None:
    made, exchange = attached()
    stream = OutgoingBody(made).write()
    for piece in (b"one ", b"two ", b"three"):
        assert stream.blocking_write_and_flush(piece) is None
    stream.flush()
    stream.blocking_flush()
    assert exchange.sends == []
    assert made.dirty
    await made.drain()
    assert exchange.sends == [b"one two three"]
    assert not made.dirty


def test_the_permit_is_all_or_nothing() -> None:
    made, _ = attached()
    stream = OutgoingBody(made).write()
    assert stream.check_write() == BODY_WRITE_BYTES_MAX
    stream.write(b"x" * (WRITE_BUFFER_BYTES - 1))
    assert stream.check_write() == BODY_WRITE_BYTES_MAX
    stream.write(b"x")
    assert stream.check_write() == 0
    assert not stream.subscribe().ready()
    stream.write(b"")
    with pytest.raises(GuestTrap):
        stream.write(b"x")


async def test_the_largest_write_is_taken_whole_and_one_byte_more_traps() -> None:
    made, exchange = attached()
    stream = OutgoingBody(made).write()
    with pytest.raises(GuestTrap):
        stream.write(b"x" * (BODY_WRITE_BYTES_MAX + 1))
    data = bytes(range(256)) * (BODY_WRITE_BYTES_MAX // 256)
    stream.write(data)
    assert made.held
    assert stream.check_write() == 0
    await made.drain()
    assert not made.held
    assert exchange.body == data
    assert max(map(len, exchange.sends)) == WRITE_BUFFER_BYTES
    assert stream.check_write() == BODY_WRITE_BYTES_MAX


async def test_a_slow_client_holds_the_guest_back(nursery) -> None:
    made, exchange = attached()
    stream = OutgoingBody(made).write()
    exchange.stall()
    stream.write(b"x" * WRITE_BUFFER_BYTES)
    answer = stream.blocking_write_and_flush(b"more")
    done = trio.Event()

    async def guest():
        await settled(answer)
        done.set()

    nursery.start_soon(guest)
    await trio.testing.wait_all_tasks_blocked()
    assert not done.is_set()
    exchange.resume()
    await done.wait()
    assert made.written == WRITE_BUFFER_BYTES + 4


async def test_a_pollable_waits_for_room(nursery) -> None:
    made, exchange = attached()
    stream = OutgoingBody(made).write()
    stream.write(b"x" * BODY_WRITE_BYTES_MAX)
    pollable = stream.subscribe()
    exchange.stall()
    nursery.start_soon(settled, pollable.block())
    await trio.testing.wait_all_tasks_blocked()
    assert not pollable.ready()
    exchange.resume()
    await trio.testing.wait_all_tasks_blocked()
    assert pollable.ready()
    assert len(exchange.body) == BODY_WRITE_BYTES_MAX


# --- before the response is set ---


async def test_a_body_may_be_written_before_it_has_a_way_out() -> None:
    made = sink()
    body = OutgoingBody(made)
    stream = body.write()
    stream.blocking_write_and_flush(b"early ")
    stream.write(b"bird")
    stream.drop()
    body.finish(None)
    exchange = FakeExchange()
    exchange.respond(200, [])
    made.attach(exchange)
    await made.drain()
    assert exchange.sends == [b"early bird"]


def test_what_waits_for_a_way_out_is_bounded() -> None:
    stream = OutgoingBody(sink()).write()
    stream.write(b"x" * (BODY_WRITE_BYTES_MAX - 1))
    assert stream.check_write() == 1
    with pytest.raises(GuestTrap):
        stream.write(b"xx")
    stream.write(b"x")
    assert stream.check_write() == 0
    assert not stream.subscribe().ready()
    assert suspends(stream.blocking_write_and_flush(b"x"))


async def test_a_full_body_goes_on_once_it_has_a_way_out(nursery) -> None:
    made = sink()
    stream = OutgoingBody(made).write()
    data = bytes(range(256)) * (BODY_WRITE_BYTES_MAX // 256)
    stream.write(data)
    done = trio.Event()

    async def guest():
        await settled(stream.blocking_write_and_flush(b"!"))
        done.set()

    nursery.start_soon(guest)
    await trio.testing.wait_all_tasks_blocked()
    assert not done.is_set()
    exchange = FakeExchange()
    exchange.respond(200, [])
    made.attach(exchange)
    await done.wait()
    await made.drain()
    assert exchange.body == data + b"!"


# --- the end ---


async def test_finish_marks_the_body_whole() -> None:
    made, _ = attached()
    OutgoingBody(made).finish(None)
    assert made.finished
    assert made.trailers == ()
    await made.wait_ended()


def test_trailers_are_kept_for_the_end() -> None:
    made, _ = attached()
    OutgoingBody(made).finish(Fields.from_entries([("x-sum", b"1"), ("content-length", b"1")]))
    assert made.trailers == [(b"x-sum", b"1")]


def test_finish_traps_while_the_stream_is_open() -> None:
    made, _ = attached()
    body = OutgoingBody(made)
    stream = body.write()
    with pytest.raises(GuestTrap):
        body.finish(None)
    stream.drop()
    body.finish(None)


def test_a_dropped_body_is_aborted_and_a_finished_one_is_not() -> None:
    made, _ = attached()
    OutgoingBody(made).drop()
    assert made.aborted
    made, _ = attached()
    body = OutgoingBody(made)
    body.finish(None)
    body.drop()
    assert not made.aborted


async def test_the_sender_learns_of_the_end(nursery) -> None:
    for end in (lambda body: body.finish(None), lambda body: body.drop()):
        made = sink()
        ended = trio.Event()

        async def sender(made=made, ended=ended):
            await made.wait_ended()
            ended.set()

        nursery.start_soon(sender)
        await trio.testing.wait_all_tasks_blocked()
        made.attach(FakeExchange())
        await trio.testing.wait_all_tasks_blocked()
        assert not ended.is_set()
        end(OutgoingBody(made))
        await ended.wait()


def test_a_pollable_that_outlives_its_stream_is_ready() -> None:
    made, _ = attached()
    stream = OutgoingBody(made).write()
    stream.write(b"x" * WRITE_BUFFER_BYTES)
    pollable = stream.subscribe()
    stream.drop()
    assert pollable.ready()


# --- content-length ---


def test_a_body_of_the_announced_length() -> None:
    made, _ = attached(5)
    body = OutgoingBody(made)
    stream = body.write()
    stream.write(b"hel")
    stream.write(b"lo")
    stream.drop()
    body.finish(None)
    assert made.finished


def test_one_byte_more_than_announced() -> None:
    made, exchange = attached(5)
    body = OutgoingBody(made)
    stream = body.write()
    stream.write(b"hello")
    with failed_with((SIZE, 6)):
        stream.write(b"!")
    for call in (stream.check_write, stream.blocking_flush, lambda: stream.blocking_write_and_flush(b"x")):
        with err(CLOSED):
            call()
    assert stream.subscribe().ready()
    stream.drop()
    with err((SIZE, 6)):
        body.finish(None)
    assert made.aborted
    assert not made.finished
    assert exchange.write_capacity() == WRITE_BUFFER_BYTES - 5


def test_one_byte_less_than_announced() -> None:
    made, _ = attached(5)
    body = OutgoingBody(made)
    stream = body.write()
    stream.write(b"hell")
    stream.drop()
    with err((SIZE, 4)):
        body.finish(None)
    assert made.aborted
    assert not made.finished


def test_a_body_that_may_be_absent_is_absent_or_whole() -> None:
    for written, fine in ((b"", True), (b"hello", True), (b"hell", False)):
        made, _ = attached(5)
        made.may_be_absent = True
        made.write(written)
        if fine:
            made.finish(None)
        else:
            with err((SIZE, 4)):
                made.finish(None)
        assert made.finished is fine


def test_the_operators_limit_and_one_byte_over() -> None:
    made, _ = attached(bytes_max=10)
    stream = OutgoingBody(made).write()
    stream.write(b"x" * 10)
    with failed_with((SIZE, 11)):
        stream.blocking_write_and_flush(b"x")
    made, _ = attached(20, bytes_max=10)
    with failed_with((SIZE, 11)):
        OutgoingBody(made).write().write(b"x" * 11)


# --- nobody is there ---


async def test_a_client_that_left_closes_the_stream() -> None:
    made, exchange = attached()
    body = OutgoingBody(made)
    stream = body.write()
    stream.write(b"x" * WRITE_BUFFER_BYTES)
    exchange.leave()
    with err(CLOSED):
        await settled(stream.blocking_write_and_flush(b"x" * BLOCKING_WRITE_BYTES_MAX))
    for call in (stream.check_write, stream.flush, stream.blocking_flush):
        with err(CLOSED):
            call()
    assert stream.subscribe().ready()
    stream.drop()
    body.finish(None)
    assert made.gone


# --- what is held of bodies that are not sent ---


def test_bodies_that_are_not_sent_are_held_up_to_the_limit() -> None:
    budget = Budget()
    bodies = [BodySink(None, 1 << 40, SIZE, budget) for _ in range(BODIES_HELD_BYTES_MAX // BODY_WRITE_BYTES_MAX)]
    for body in bodies:
        body.write(bytes(BODY_WRITE_BYTES_MAX))
    with pytest.raises(GuestBudgetExhausted):
        BodySink(None, 1 << 40, SIZE, budget).write(b"x")


async def test_what_is_sent_or_dropped_is_held_no_more() -> None:
    budget = Budget()
    taken, left, aborted, sent = (BodySink(None, 1 << 40, SIZE, budget) for _ in range(4))
    for body in (taken, left, aborted, sent):
        body.write(bytes(BODY_WRITE_BYTES_MAX))
    assert budget.body_bytes == BODIES_HELD_BYTES_MAX - 4 * BODY_WRITE_BYTES_MAX
    assert len(taken.take(BODY_WRITE_BYTES_MAX)) == BODY_WRITE_BYTES_MAX
    left.leave()
    aborted.abort()
    exchange = FakeExchange()
    exchange.respond(200, [])
    sent.attach(exchange)
    await sent.drain()
    assert budget.body_bytes == BODIES_HELD_BYTES_MAX
