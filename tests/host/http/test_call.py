"""A call of wasi:http/incoming-handler, driven as a guest, the engine and a trigger drive it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.errors import GuestErrorResponse, GuestNoResponse, GuestResponseInvalid, GuestTrap
from edged.host.http.call import HttpCall
from edged.host.http.types import HttpTypes
from edged.host.interface import Err, Ok
from edged.host.streams import CLOSED
from edged.http.exchange import ClientGone
from edged.limits import BODY_WRITE_BYTES_MAX, WRITE_BUFFER_BYTES, GuestLimits
from tests.host.fakes import FakeExchange, err, failed_with, head, invocation, settled

LIMITS = GuestLimits(request_body_bytes_max=1_000, response_body_bytes_max=3 * BODY_WRITE_BYTES_MAX)
TYPES = HttpTypes(LIMITS)


class Guest:
    """What a guest's handler does, step by step."""

    def __init__(self, exchange=None, **request):
        self.exchange = exchange or FakeExchange(head(**request))
        self.call = HttpCall(self.exchange, [(b"spin-base-path", b"/")], LIMITS)
        self.outparam = self.call.outparam()
        self.response = None
        self.body = None
        self.stream = None

    def respond(self, status=200, *entries, body=True):
        self.make(status, *entries, body=body)
        self.set()
        return self

    def make(self, status=200, *entries, body=True):
        fields = TYPES.fields_from_list(invocation(), list(entries))
        self.response = TYPES.outgoing_response_constructor(invocation(), fields)
        self.response.set_status_code(status)
        if body:
            self.body = self.response.body()
            self.stream = self.body.write()

    def set(self, result=None):
        TYPES.response_outparam_set(invocation(), self.outparam, result or Ok(self.response))

    def write(self, data):
        self.stream.write(data)
        return self

    def finish(self, trailers=None):
        self.stream.drop()
        TYPES.outgoing_body_finish(invocation(), self.body, trailers)
        return self


async def conclude(call: HttpCall) -> None:
    """What the trigger does when the guest has returned."""
    call.returned()
    await call.settle()


async def test_a_small_response_leaves_in_one_send() -> None:
    guest = Guest().respond(201, ("content-type", b"text/plain"))
    for piece in (b"hello", b", ", b"world"):
        assert guest.stream.blocking_write_and_flush(piece) is None
    guest.finish()
    assert guest.exchange.sends == []
    await conclude(guest.call)
    assert guest.exchange.sends == [b"hello, world"]
    assert (guest.exchange.status, guest.exchange.headers) == (201, [(b"content-type", b"text/plain")])
    assert guest.exchange.finished
    assert guest.call.state == "finished"
    assert guest.call.status == 201


async def test_a_response_without_a_body() -> None:
    guest = Guest().respond(204, body=False)
    await conclude(guest.call)
    assert guest.exchange.sends == [b""]
    assert guest.exchange.finished


async def test_the_request_comes_with_our_headers_and_the_apps_limit() -> None:
    guest = Guest()
    assert guest.call.request.headers().get("spin-base-path") == [b"/"]
    assert guest.exchange.request_body_bytes_max == 1_000


# --- what the engine calls before the guest waits ---


async def test_nothing_is_sent_before_there_is_a_response() -> None:
    guest = Guest()
    await guest.call.settle()
    guest.make()
    guest.write(b"early")
    await guest.call.settle()
    assert guest.exchange.sends == []
    guest.set()
    await guest.call.settle()
    assert guest.exchange.sends == [b"early"]


async def test_what_was_written_is_sent_when_the_guest_waits_and_only_then() -> None:
    guest = Guest().respond()
    await guest.call.settle()
    assert guest.exchange.sends == [b""]
    guest.write(b"one")
    await guest.call.settle()
    await guest.call.settle()
    guest.write(b"two").write(b"three")
    await guest.call.settle()
    assert guest.exchange.sends == [b"", b"one", b"twothree"]
    guest.write(b"four").finish()
    await conclude(guest.call)
    assert guest.exchange.sends == [b"", b"one", b"twothree", b"four"]
    assert guest.exchange.finished


async def test_a_finished_response_leaves_while_the_guest_goes_on() -> None:
    guest = Guest().respond().write(b"all").finish()
    await guest.call.settle()
    assert guest.exchange.sends == [b"all"]
    assert guest.exchange.finished
    await guest.call.settle()
    await conclude(guest.call)
    assert guest.exchange.sends == [b"all"]


async def test_a_large_write_is_sent_whole() -> None:
    data = bytes(range(256)) * (BODY_WRITE_BYTES_MAX // 256)
    guest = Guest().respond().write(data)
    assert guest.stream.check_write() == 0
    await guest.call.settle()
    assert guest.exchange.body == data
    assert guest.stream.check_write() == BODY_WRITE_BYTES_MAX
    guest.write(data).finish()
    await conclude(guest.call)
    assert guest.exchange.body == data + data
    assert guest.exchange.finished


async def test_after_settling_there_is_room_so_no_poll_waits_for_the_client() -> None:
    guest = Guest().respond().write(b"x" * WRITE_BUFFER_BYTES)
    pollable = guest.stream.subscribe()
    assert not pollable.ready()
    await guest.call.settle()
    assert pollable.ready()


async def test_trailers() -> None:
    guest = Guest().respond()
    guest.finish(TYPES.fields_from_list(invocation(), [("x-sum", b"1")]))
    await conclude(guest.call)
    assert guest.exchange.trailers == [(b"x-sum", b"1")]


async def test_a_slow_client_holds_back_the_guest_that_waits(nursery) -> None:
    guest = Guest().respond().write(b"x")
    guest.exchange.stall()
    done = trio.Event()

    async def engine():
        await guest.call.settle()
        done.set()

    nursery.start_soon(engine)
    await trio.testing.wait_all_tasks_blocked()
    assert not done.is_set()
    guest.exchange.resume()
    await done.wait()


# --- what goes wrong ---


async def test_no_response() -> None:
    guest = Guest()
    guest.outparam.drop()
    assert guest.call.state == "unset"
    with pytest.raises(GuestNoResponse):
        await conclude(guest.call)
    assert not guest.exchange.responded


@pytest.mark.parametrize("code", ["loop-detected", ("internal-error", "no such thing")])
async def test_an_error_code_instead_of_a_response(code) -> None:
    guest = Guest()
    guest.set(Err(code))
    assert guest.call.state == "refused"
    assert guest.call.error_code == code
    await guest.call.settle()
    with pytest.raises(GuestErrorResponse, match=code if isinstance(code, str) else "no such thing"):
        await conclude(guest.call)
    assert not guest.exchange.responded


@pytest.mark.parametrize("first", [Err("loop-detected"), None])
@pytest.mark.parametrize("second", [Err("loop-detected"), None])
def test_a_response_is_set_once(first, second) -> None:
    guest = Guest()
    guest.make()
    guest.set(first)
    guest.make()
    with pytest.raises(GuestTrap):
        guest.set(second)


def test_an_interim_status_is_no_response() -> None:
    guest = Guest()
    with pytest.raises(GuestResponseInvalid):
        guest.respond(103)
    assert guest.call.state == "unset"


async def test_a_dropped_body_is_incomplete() -> None:
    guest = Guest().respond().write(b"half")
    await guest.call.settle()
    assert guest.call.state == "open"
    guest.stream.drop()
    guest.body.drop()
    assert guest.call.state == "aborted"
    await guest.call.settle()
    with pytest.raises(GuestResponseInvalid, match="dropped"):
        await conclude(guest.call)
    assert not guest.exchange.finished


async def test_a_body_that_was_neither_finished_nor_dropped_is_whole_when_the_handler_returns() -> None:
    guest = Guest().respond(500).write(b"sorry")
    await conclude(guest.call)
    assert guest.exchange.sends == [b"sorry"]
    assert guest.exchange.finished
    guest.body.drop()
    assert guest.call.state == "finished"


async def test_but_not_if_it_is_shorter_than_announced() -> None:
    guest = Guest().respond(200, ("content-length", b"5")).write(b"half")
    with pytest.raises(GuestResponseInvalid):
        await conclude(guest.call)
    assert not guest.exchange.finished


async def test_an_aborted_body_sends_no_more() -> None:
    guest = Guest().respond().write(b"half")
    guest.stream.drop()
    guest.body.drop()
    await guest.call.settle()
    assert guest.exchange.sends == []


async def test_a_body_shorter_than_its_content_length() -> None:
    guest = Guest().respond(200, ("content-length", b"5")).write(b"hell")
    with err(("HTTP-response-body-size", 4)):
        guest.finish()
    with pytest.raises(GuestResponseInvalid, match=r"HTTP-response-body-size\(4\)"):
        await conclude(guest.call)
    assert not guest.exchange.finished


async def test_a_body_longer_than_its_content_length() -> None:
    guest = Guest().respond(200, ("content-length", b"5")).write(b"hello")
    with failed_with(("HTTP-response-body-size", 6)):
        guest.write(b"!")
    with pytest.raises(GuestResponseInvalid, match=r"HTTP-response-body-size\(6\)"):
        await conclude(guest.call)


async def test_a_body_of_its_content_length() -> None:
    guest = Guest().respond(200, ("content-length", b"5")).write(b"hello").finish()
    await conclude(guest.call)
    assert guest.exchange.body == b"hello"


async def test_a_content_length_and_no_body() -> None:
    guest = Guest().respond(200, ("content-length", b"5"), body=False)
    with pytest.raises(GuestResponseInvalid):
        await conclude(guest.call)


@pytest.mark.parametrize(
    ("request_", "status"), [({"method": "HEAD"}, 200), ({"method": "HEAD"}, 404), ({}, 304), ({}, 204)]
)
async def test_where_http_sends_no_body_a_content_length_announces_none(request_, status) -> None:
    guest = Guest(**request_).respond(status, ("content-length", b"5"))
    guest.finish()
    assert guest.call.state == "finished"


async def test_a_head_may_be_answered_with_a_body() -> None:
    guest = Guest(method="HEAD").respond(200, ("content-length", b"5")).write(b"hello").finish()
    await conclude(guest.call)
    assert guest.exchange.sends == [b""]


async def test_the_operators_limit_on_a_response() -> None:
    guest = Guest().respond()
    for _ in range(3):
        guest.write(b"x" * BODY_WRITE_BYTES_MAX)
        await guest.call.settle()
    with failed_with(("HTTP-response-body-size", 3 * BODY_WRITE_BYTES_MAX + 1)):
        guest.write(b"x")
    with pytest.raises(GuestResponseInvalid):
        await conclude(guest.call)


async def test_a_client_that_left_ends_the_call_when_it_is_noticed() -> None:
    guest = Guest().respond().write(b"x")
    guest.exchange.leave()
    with pytest.raises(ClientGone):
        await guest.call.settle()
    with err(CLOSED):
        guest.write(b"y")
    with pytest.raises(ClientGone):
        await conclude(guest.call)


async def test_a_client_that_left_before_the_end() -> None:
    guest = Guest().respond().write(b"x").finish()
    guest.exchange.leave()
    with pytest.raises(ClientGone):
        await conclude(guest.call)


async def test_a_client_that_left_while_the_guest_waited_to_write() -> None:
    guest = Guest().respond().write(b"x" * WRITE_BUFFER_BYTES)
    guest.exchange.leave()
    with err(CLOSED):
        await settled(guest.stream.blocking_write_and_flush(b"y"))
    guest.finish()
    with pytest.raises(ClientGone):
        await conclude(guest.call)


# --- informational responses ---


@pytest.mark.parametrize("status", [100, 103, 199])
def test_informational_responses_are_not_supported(status) -> None:
    with err(("internal-error", "informational responses are not supported")):
        Guest().outparam.send_informational(status, TYPES.fields_constructor(invocation()))


@pytest.mark.parametrize("status", [0, 99, 200, 999])
def test_other_responses_are_not_informational(status) -> None:
    with err("HTTP-protocol-error"):
        Guest().outparam.send_informational(status, TYPES.fields_constructor(invocation()))


# --- whole guests ---


async def test_an_echo_of_any_size(nursery) -> None:
    """Copies the request to the response with splice, as a streaming guest does."""
    exchange = FakeExchange(head(method="POST"), ended=False)
    guest = Guest(exchange)
    sent = bytes(range(256)) * 4_096

    async def client():
        for start in range(0, len(sent), 100_000):
            exchange.feed(sent[start : start + 100_000])
            await trio.testing.wait_all_tasks_blocked()
        exchange.end()

    nursery.start_soon(client)
    body = guest.call.request.consume()
    source = body.stream()
    guest.respond()
    with err(CLOSED):
        while True:
            answer = guest.stream.blocking_splice(source, 2**64 - 1)
            if not isinstance(answer, int):
                await guest.call.settle()  # as the engine does
                await answer
    source.drop()
    assert TYPES.incoming_body_finish(invocation(), body).get() == Ok(Ok(None))
    guest.finish()
    await conclude(guest.call)
    assert exchange.body == sent


def test_the_other_constructors() -> None:
    fields = TYPES.fields_constructor(invocation())
    fields.append("x", b"y")
    request = TYPES.outgoing_request_constructor(invocation(), fields)
    assert request.headers().entries() == [("x", b"y")]
    assert TYPES.request_options_constructor(invocation()).connect_timeout() is None
