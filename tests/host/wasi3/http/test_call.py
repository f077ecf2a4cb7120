"""A call of wasi:http/handler of 0.3, driven as a guest, the runtime and a trigger drive it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import GuestErrorResponse, GuestNoResponse, GuestResponseInvalid
from edged.host.budget import Budget
from edged.host.interface import Err, Ok
from edged.host.wasi3.http.call import HandlerCall
from edged.host.wasi3.http.fields import Fields
from edged.host.wasi3.http.types import HttpTypes
from edged.http.exchange import ClientGone
from edged.limits import WRITE_BUFFER_BYTES, GuestLimits
from tests.host.fakes import FakeExchange, head, invocation, settled
from tests.host.wasi3.guest import GuestFuture, GuestStream

wait = trio.testing.wait_all_tasks_blocked
LIMITS = GuestLimits(request_body_bytes_max=1_000, response_body_bytes_max=3 * WRITE_BUFFER_BYTES)
TYPES = HttpTypes()


class Guest:
    """What a guest's handler does, step by step."""

    def __init__(self, exchange=None, **request) -> None:
        self.exchange = exchange or FakeExchange(head(**request))
        self.call = HandlerCall(self.exchange, [(b"spin-base-path", b"/")], LIMITS)

    def make(self, *pieces, status=200, headers=(), contents=True, ended=False, trailers=None) -> Guest:
        """Make a response."""
        self.contents = GuestStream(*pieces, ended=ended) if contents else None
        self.trailers = GuestFuture() if trailers is None else GuestFuture(trailers)
        fields = TYPES.fields_from_list(invocation(), list(headers))
        self.response, self.sent = TYPES.response_new(invocation(), fields, self.contents, self.trailers)
        self.response.set_status_code(status)
        return self

    def whole(self, *pieces, **response) -> Guest:
        return self.make(*pieces, ended=True, trailers=Ok(None), **response)

    async def respond(self) -> None:
        await self.call.respond(Ok(self.response))

    async def result(self):
        """What the guest is told of its response."""
        return await settled(self.sent.read())


# --- what leaves when ---


async def test_a_whole_response_leaves_in_one_send() -> None:
    guest = Guest().whole(b"hello", b", ", b"world", status=201, headers=[("content-type", b"text/plain")])
    await guest.respond()
    guest.call.conclude()
    assert guest.exchange.sends == [b"hello, world"]
    assert (guest.exchange.status, guest.exchange.headers) == (201, [(b"content-type", b"text/plain")])
    assert guest.exchange.finished
    assert guest.call.status == 201
    assert await guest.result() == Ok()
    assert (guest.contents.closed, guest.trailers.closed) == (1, 1)


async def test_a_response_without_contents() -> None:
    guest = Guest().make(contents=False, status=202, trailers=Ok(None))
    await guest.respond()
    assert (guest.exchange.status, guest.exchange.sends) == (202, [b""])
    assert guest.exchange.finished


async def test_the_fields_of_what_was_sent_are_held_no_more() -> None:
    budget = Budget()
    fields = TYPES.fields_from_list(invocation(budget), [("x-name", b"value")])
    response, _ = TYPES.response_new(invocation(budget), fields, None, GuestFuture(Ok(None)))
    assert budget != Budget()
    guest = Guest()
    await guest.call.respond(Ok(response))
    assert budget == Budget()
    assert guest.exchange.headers == [(b"x-name", b"value")]


async def test_what_is_there_is_taken_before_anything_is_awaited() -> None:
    guest = Guest().whole(b"hello", b", ", b"world")
    rest = guest.call.respond(Ok(guest.response))
    assert guest.exchange.sends == []
    assert guest.contents.empty
    assert guest.exchange.write_capacity() == WRITE_BUFFER_BYTES - len(b"hello, world")
    await rest
    assert guest.exchange.sends == [b"hello, world"]


async def test_a_response_that_is_never_awaited_to_its_end_was_cut_off() -> None:
    guest = Guest().whole(b"hello")
    guest.call.respond(Ok(guest.response)).close()
    guest.call.close()
    assert await guest.result() == Err("connection-terminated")
    assert not guest.exchange.finished


async def test_the_head_leaves_before_the_guest_has_a_body() -> None:
    guest = Guest().make()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest.respond)
        await wait()
        assert guest.exchange.sends == [b""]
        assert not guest.exchange.finished
        guest.contents.end()
        guest.trailers.write(Ok(None))
    assert guest.exchange.finished


async def test_what_a_guest_writes_in_one_go_leaves_in_one_send() -> None:
    """It was given room by the first read, and is about to run, here in the loop's next turn."""
    guest = Guest().make(b"hello")

    async def go_on() -> None:
        while not guest.contents.reads:
            await trio.lowlevel.checkpoint()
        guest.contents.write(b", world")
        guest.contents.end()
        guest.trailers.write(Ok(None))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest.respond)
        nursery.start_soon(go_on)
    assert guest.exchange.sends == [b"hello, world"]


async def test_what_a_guest_has_written_leaves_when_it_waits() -> None:
    guest = Guest().make(b"hello")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest.respond)
        for number in range(3):
            await wait()
            assert guest.exchange.sends[number:] == [b"hello"]
            guest.contents.write(b"hello")
        await wait()
        guest.contents.end()
        guest.trailers.write(Ok(None))
    assert guest.exchange.sends == [b"hello"] * 4 + [b""]


async def test_a_guest_that_writes_more_than_fits_is_sent_in_between() -> None:
    guest = Guest().whole(b"x" * (2 * WRITE_BUFFER_BYTES + 1))
    await guest.respond()
    assert [len(send) for send in guest.exchange.sends] == [WRITE_BUFFER_BYTES, WRITE_BUFFER_BYTES, 1]
    assert max(guest.contents.reads) == WRITE_BUFFER_BYTES


async def test_a_client_that_takes_nothing_makes_the_guest_wait() -> None:
    guest = Guest().make(b"x" * (WRITE_BUFFER_BYTES + 1))
    guest.exchange.stall()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest.respond)
        await wait()
        assert not guest.contents.empty
        guest.exchange.resume()
        await wait()
        assert guest.contents.empty
        guest.contents.end()
        guest.trailers.write(Ok(None))
    assert len(guest.exchange.body) == WRITE_BUFFER_BYTES + 1


async def test_trailers() -> None:
    guest = Guest().make(b"hello", ended=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest.respond)
        await wait()
        assert not guest.exchange.finished
        guest.trailers.write(Ok(Fields.from_entries([("x-sum", b"1"), ("set-cookie", b"a=b")])))
    assert guest.exchange.trailers == [(b"x-sum", b"1")]


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)], ids=["head", "no-content", "not-modified"]
)
async def test_where_no_body_is_sent_none_is_asked_for(method, status) -> None:
    guest = Guest(method=method).make(b"hello", status=status, headers=[("content-length", b"5")] * (method == "HEAD"))
    await guest.respond()
    guest.call.conclude()
    assert guest.contents.reads == []
    assert guest.contents.closed == 1
    assert guest.exchange.finished
    assert await guest.result() == Ok()


async def test_a_response_that_was_received_is_sent_on() -> None:
    """A guest that answers with what another server answered."""
    guest = Guest().whole(b"hello")
    guest.response.sent = None
    await guest.respond()
    assert guest.exchange.body == b"hello"


# --- responses that are none ---


async def test_a_guest_that_returns_nothing() -> None:
    guest = Guest()
    with pytest.raises(GuestNoResponse):
        guest.call.conclude()


async def test_a_guest_that_returns_an_error_code() -> None:
    guest = Guest()
    await guest.call.respond(Err(("internal-error", "no")))
    with pytest.raises(GuestErrorResponse, match=r"internal-error\(no\)"):
        guest.call.conclude()
    assert not guest.exchange.responded


@pytest.mark.parametrize(
    "response",
    [
        {"status": 100},
        {"headers": [("content-length", b"+1")]},
        {"headers": [("content-length", b"1"), ("content-length", b"2")]},
    ],
    ids=["status", "no-number", "two-lengths"],
)
async def test_a_response_that_cannot_be_sent(response) -> None:
    guest = Guest().make(b"hello", **response)
    with pytest.raises(GuestResponseInvalid):
        await guest.respond()
    with pytest.raises(GuestResponseInvalid):
        guest.call.conclude()
    assert guest.contents.closed == 1
    assert await guest.result() == Err("HTTP-protocol-error")
    assert guest.exchange.sends == []


SIZE = 3 * WRITE_BUFFER_BYTES


@pytest.mark.parametrize(
    ("announced", "size", "wrong"),
    [
        (None, SIZE, False),
        (None, SIZE + 1, True),
        (5, 5, False),
        (5, 4, True),
        (5, 6, True),
        (0, 0, False),
        (SIZE + 1, SIZE + 1, True),
    ],
)
async def test_a_body_has_the_size_that_it_may_have(announced, size, wrong) -> None:
    headers = [] if announced is None else [("content-length", b"%d" % announced)]
    guest = Guest().whole(b"x" * size, headers=headers)
    if wrong:
        with pytest.raises(GuestResponseInvalid):
            await guest.respond()
        assert not guest.exchange.finished
        with pytest.raises(GuestResponseInvalid, match="HTTP-response-body-size"):
            guest.call.conclude()
        result = await guest.result()
        assert result.value[0] == "HTTP-response-body-size"
        assert guest.contents.closed == 1
    else:
        await guest.respond()
        assert guest.exchange.finished
        guest.call.conclude()


async def test_a_guest_that_ends_its_body_with_an_error() -> None:
    guest = Guest().make(b"hello", ended=True, trailers=Err("configuration-error"))
    with pytest.raises(GuestResponseInvalid):
        await guest.respond()
    with pytest.raises(GuestResponseInvalid, match="configuration-error"):
        guest.call.conclude()
    assert not guest.exchange.finished
    assert await guest.result() == Err("configuration-error")


async def test_a_guest_that_is_gone_before_its_body_has_ended() -> None:
    guest = Guest().make(b"hello", ended=True)
    guest.trailers.drop()
    with pytest.raises(GuestResponseInvalid):
        await guest.respond()
    with pytest.raises(GuestResponseInvalid):
        guest.call.conclude()
    assert not guest.exchange.finished


# --- clients that leave ---


async def test_a_client_that_is_gone_ends_the_call() -> None:
    guest = Guest().make(b"x" * (WRITE_BUFFER_BYTES + 1))
    guest.exchange.leave()
    with pytest.raises(ClientGone):
        await guest.respond()
    assert guest.call.client_gone
    with pytest.raises(ClientGone):
        guest.call.conclude()
    assert guest.contents.closed == 1
    assert await guest.result() == Err("connection-terminated")


async def test_a_client_that_breaks_off_its_request_is_known() -> None:
    guest = Guest(FakeExchange(body=b"hello", ended=False))
    assert guest.call.request.contents.read(10) == b"hello"
    assert not guest.call.client_gone
    guest.exchange.break_off(ClientGone())
    assert guest.call.request.contents.read(10) == b""
    assert guest.call.client_gone


async def test_a_call_that_is_cancelled_ends_its_response() -> None:
    guest = Guest().make()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest.respond)
        await wait()
        nursery.cancel_scope.cancel()
    assert guest.contents.closed == 1
    assert await guest.result() == Err("connection-terminated")


# --- the request ---


async def test_a_request_body_is_held_to_the_operators_limit() -> None:
    assert Guest().exchange.request_body_bytes_max == 1_000


async def test_what_a_guest_keeps_of_its_request_is_at_an_end() -> None:
    guest = Guest(FakeExchange(body=b"hello"))
    stream, trailers = TYPES.request_consume_body(invocation(), guest.call.request, GuestFuture())
    guest.call.close()
    assert await settled(stream.read(10)) == b""
    assert await settled(trailers.read()) == Err("connection-terminated")


async def test_a_request_is_echoed_while_it_comes() -> None:
    """Its body is the response's: neither is held."""
    guest = Guest(FakeExchange(body=b"hello", ended=False)).make()
    guest.response.contents, guest.response.trailers = TYPES.request_consume_body(
        invocation(), guest.call.request, GuestFuture()
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest.respond)
        await wait()
        assert guest.exchange.body == b"hello"
        guest.exchange.feed(b" world")
        await wait()
        guest.exchange.end([(b"x-sum", b"1")])
    assert guest.exchange.body == b"hello world"
    assert guest.exchange.trailers == [(b"x-sum", b"1")]
