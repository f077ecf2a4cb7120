"""wasi:http/client of 0.3: who may send what where, and what becomes of it."""

from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing

from edged.host.budget import Budget
from edged.host.chain import Chain
from edged.host.http.error import HttpError
from edged.host.http.outbound import Outgoing
from edged.host.http.transport import Timeouts
from edged.host.interface import Err, Ok
from edged.host.wasi3.http.client import Client, Handler
from edged.host.wasi3.http.message import RequestOptions
from edged.host.wasi3.http.types import HttpTypes
from edged.http.exchange import ClientGone
from edged.limits import (
    HTTP_CLIENT_BETWEEN_BYTES_S_MAX,
    HTTP_CLIENT_CONNECT_S_MAX,
    HTTP_CLIENT_FIRST_BYTE_S_MAX,
    HTTP_CLIENT_REQUESTS_OPEN_MAX,
    GuestLimits,
)
from tests.host.fakes import err, invocation, settled
from tests.host.http.transports import FakeTransport, grant
from tests.host.wasi3.guest import GuestFuture, GuestStream

wait = trio.testing.wait_all_tasks_blocked
TYPES = HttpTypes()
LIMITS = GuestLimits(request_body_bytes_max=10)


class Request:
    """A request as a guest makes it, with its ends of streams and futures."""

    def __init__(self, *entries, contents=True, options=None, **line) -> None:
        self.contents = GuestStream() if contents else None
        self.trailers = GuestFuture()
        fields = TYPES.fields_from_list(invocation(), list(entries))
        self.resource, self.sent = TYPES.request_new(invocation(), fields, self.contents, self.trailers, options)
        line = {"method": "get", "scheme": "HTTP", "authority": "example.com", "path_with_query": "/"} | line
        for name, value in line.items():
            getattr(self.resource, f"set_{name}")(value)

    async def result(self):
        return await settled(self.sent.read())


class Guest:
    """A component with a client, in the middle of a call."""

    def __init__(self, nursery, *allowed: str, local: bool = True, budget=None, interface=Client) -> None:
        self.network, self.local = FakeTransport(), FakeTransport()
        outgoing = Outgoing(self.network, nursery, self.local if local else None)
        self.client = interface(grant(*allowed), outgoing, LIMITS)
        self.invocation = invocation(budget)
        self.invocation.nursery = self.nursery = nursery
        self.answers = []

    def send(self, request: Request) -> None:
        """Start it; the answer, a response or an error, goes to `answers`."""
        self.nursery.start_soon(self._send, request)

    async def _send(self, request: Request) -> None:
        try:
            self.answers.append(await self.client.send(self.invocation, request.resource))
        except Err as error:
            self.answers.append(error)

    async def response(self, request: Request | None = None):
        """Send it and have it answered."""
        self.network.answer.set()
        self.send(request or Request())
        await wait()
        return self.answers.pop()


def consume(response):
    return TYPES.response_consume_body(invocation(), response, GuestFuture())


@pytest.fixture
def guest(nursery):
    return Guest(nursery, "*://*:*")


# --- who may ---


@pytest.mark.parametrize(
    ("allowed", "line", "is_allowed"),
    [
        (["http://example.com"], {}, True),
        (["https://example.com"], {"scheme": None}, True),
        (["http://*.example.com"], {"authority": "a.example.com"}, True),
        ([], {}, False),
        (["https://example.com"], {}, False),
        (["http://example.com"], {"authority": "example.com:8080"}, False),
        (["http://self"], {}, False),
    ],
)
async def test_what_the_manifest_allows_is_sent_and_nothing_else(nursery, allowed, line, is_allowed) -> None:
    guest = Guest(nursery, *allowed)
    request = Request(**line)
    guest.send(request)
    await wait()
    assert len(guest.network.requests) == is_allowed
    if not is_allowed:
        assert guest.answers == [Err("HTTP-request-denied")]
        assert await request.result() == Err("HTTP-request-denied")
        assert (request.contents.closed, request.trailers.closed) == (1, 1)
        assert guest.invocation.budget == Budget()


async def test_a_component_without_a_way_out_is_refused_everything() -> None:
    with err("HTTP-request-denied"):
        await Client(grant("*://*:*"), None, LIMITS).send(invocation(), Request().resource)


async def test_the_app_itself_and_its_components_are_reached_without_the_network(nursery) -> None:
    guest = Guest(nursery, "*://*:*")
    guest.invocation.chain = Chain(3)
    guest.send(Request(authority=None, path_with_query="/a"))
    guest.send(Request(authority="other.spin.internal"))
    await wait()
    assert guest.network.requests == []
    assert {(sent.authority, sent.host, sent.target, sent.chain.depth) for sent in guest.local.requests} == {
        (None, "", "/a", 3),
        ("other.spin.internal", "other.spin.internal", "/", 3),
    }


async def test_neither_is_looked_for_on_the_network(nursery) -> None:
    guest = Guest(nursery, "*://*:*", local=False)
    for authority, code in ((None, "HTTP-request-URI-invalid"), ("other.spin.internal", "destination-not-found")):
        with err(code):
            await guest.client.send(guest.invocation, Request(authority=authority).resource)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (lambda: Request(method="connect"), "HTTP-request-method-invalid"),
        (lambda: Request(scheme=("other", "ftp")), "HTTP-protocol-error"),
        (lambda: Request(("content-length", b"+1")), "HTTP-protocol-error"),
        (lambda: Request(("content-length", b"1"), contents=False), ("HTTP-request-body-size", 0)),
    ],
    ids=["connect", "scheme", "length", "no-body"],
)
async def test_what_cannot_be_sent_is_known_at_once(guest, request_, code) -> None:
    request = request_()
    with err(code):
        await guest.client.send(guest.invocation, request.resource)
    assert await request.result() == Err(code)
    assert guest.network.requests == []
    assert guest.invocation.budget == Budget()


async def test_handle_is_send(nursery) -> None:
    guest = Guest(nursery, "http://example.com", interface=Handler)
    guest.network.answer.set()
    response = await guest.client.handle(guest.invocation, Request().resource)
    assert response.get_status_code() == 200
    response.drop()
    with err("HTTP-request-denied"):
        await guest.client.handle(guest.invocation, Request(authority="example.org").resource)


# --- what is sent ---


@pytest.mark.parametrize(
    ("nanoseconds", "seconds"),
    [
        (None, (HTTP_CLIENT_CONNECT_S_MAX, HTTP_CLIENT_FIRST_BYTE_S_MAX, HTTP_CLIENT_BETWEEN_BYTES_S_MAX)),
        ((1_500_000_000, 1, 0), (1.5, 1e-9, 0)),
        ((1 << 63,) * 3, (HTTP_CLIENT_CONNECT_S_MAX, HTTP_CLIENT_FIRST_BYTE_S_MAX, HTTP_CLIENT_BETWEEN_BYTES_S_MAX)),
    ],
    ids=["none", "some", "most"],
)
async def test_a_guests_timeouts_are_held_to_ours(guest, nanoseconds, seconds) -> None:
    options = None if nanoseconds is None else RequestOptions(*nanoseconds)
    guest.send(Request(options=options))
    await wait()
    assert guest.network.requests[0].timeouts == Timeouts(*seconds)


async def test_a_request_as_the_transport_gets_it(guest) -> None:
    request = Request(("X-A", b"b"), ("content-length", b"5"), method="post")
    guest.send(request)
    await wait()
    (sent,) = guest.network.requests
    assert (sent.method, sent.headers) == ("POST", [(b"x-a", b"b"), (b"content-length", b"5")])
    assert sent.response_body_bytes_max == LIMITS.response_body_bytes_max
    assert sent.body.length == 5
    assert sent.body.receive_nowait(10) is None
    request.contents.write(b"hello")
    assert sent.body.receive_nowait(10) == b"hello"
    request.contents.end()
    request.trailers.write(Ok(None))
    assert await sent.body.receive(10) == b""
    guest.network.answer.set()
    await wait()
    guest.answers.pop().drop()
    await wait()
    assert await request.result() == Ok()


async def test_a_request_without_contents_has_no_body(guest) -> None:
    request = Request(contents=False)
    (await guest.response(request)).drop()
    assert guest.network.requests[0].body is None
    await wait()
    assert await request.result() == Ok()
    assert request.trailers.closed == 1


@pytest.mark.parametrize("size", [10, 11])
async def test_a_body_is_held_to_the_operators_limit(guest, size) -> None:
    request = Request()
    guest.send(request)
    await wait()
    body = guest.network.requests[0].body
    request.contents.write(b"x" * size)
    if size == 10:
        assert await body.receive(100) == b"x" * 10
    else:
        with pytest.raises(ClientGone):
            await body.receive(100)
        guest.network.failure = ClientGone()
        guest.network.answer.set()
        await wait()
        assert guest.answers == [Err(("HTTP-request-body-size", 11))]
        assert await request.result() == Err(("HTTP-request-body-size", 11))


# --- what comes back ---


async def test_a_response(guest) -> None:
    response = await guest.response()
    assert response.get_status_code() == 200
    assert list(response.get_headers().copy_all()) == [("x", b"y")]
    with err("immutable"):
        response.get_headers().append("a", b"b")
    assert guest.invocation.budget.http_requests == HTTP_CLIENT_REQUESTS_OPEN_MAX - 1
    stream, trailers = consume(response)
    assert stream.read(100) == b"hello"
    assert guest.network.body.closed == 0
    assert stream.read(100) == b""
    await wait()
    assert guest.network.body.closed == 1
    assert trailers.read() == Ok(None)
    assert guest.invocation.budget == Budget()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (HttpError("connection-refused"), "connection-refused"),
        (HttpError(("DNS-error", ("x", 0))), ("DNS-error", ("x", 0))),
        (ClientGone(), "HTTP-protocol-error"),
        (ZeroDivisionError("ours"), ("internal-error", None)),
    ],
    ids=["refused", "dns", "gone", "ours"],
)
async def test_failures(guest, failure, code) -> None:
    guest.network.failure = failure
    request = Request()
    assert await guest.response(request) == Err(code)
    assert await request.result() == Err(code)
    assert request.contents.closed == 1
    assert guest.invocation.budget == Budget()


async def test_a_transport_that_returns_without_an_answer(nursery) -> None:
    class Silent:
        async def send(self, request, respond) -> None:
            await trio.lowlevel.checkpoint()

    call = invocation()
    call.nursery = nursery
    with err("connection-terminated"):
        await Client(grant("*://*:*"), Outgoing(Silent(), nursery), LIMITS).send(call, Request().resource)


async def test_a_response_that_is_sent_on_is_read_where_it_goes(guest) -> None:
    """As a handler does that answers with what it was answered."""
    response = await guest.response()
    assert response.contents.read(100) == b"hello"
    assert response.sent is None
    response.drop()


# --- who loses interest ---


async def test_a_guest_that_waits_no_more_ends_the_request(guest) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(guest.client.send, guest.invocation, Request().resource)
            await wait()
            scope.cancel()
    await wait()
    assert guest.network.cancelled == 1
    assert guest.invocation.budget == Budget()


@pytest.mark.parametrize("drop", ["response", "both ends"])
async def test_a_response_that_is_dropped_ends_the_request(guest, drop) -> None:
    guest.network.goes_on = trio.Event()
    response = await guest.response()
    if drop == "response":
        response.drop()
    else:
        stream, trailers = consume(response)
        stream.close()
        await wait()
        assert guest.network.body.closed == 0
        trailers.close()
    await wait()
    assert guest.network.body.closed == 1
    assert guest.network.cancelled == 1
    assert guest.invocation.budget == Budget()


async def test_an_answer_that_was_read_does_not_end_what_is_still_sent(guest) -> None:
    guest.network.goes_on = trio.Event()
    request = Request()
    stream, _ = consume(await guest.response(request))
    while await settled(stream.read(100)):
        pass
    await wait()
    assert guest.network.cancelled == 0
    assert request.contents.closed == 0
    guest.network.goes_on.set()
    await wait()
    assert request.contents.closed == 1
    assert guest.invocation.budget == Budget()


async def test_the_end_of_the_call_is_the_end_of_its_requests() -> None:
    """What the guest keeps of them is at an end: its instance may go on for others."""
    async with trio.open_nursery() as nursery:
        guest = Guest(nursery, "*://*:*")
        waiting = Request()
        stream, trailers = consume(await guest.response())
        guest.network.answer = trio.Event()
        guest.send(waiting)
        await wait()
        nursery.cancel_scope.cancel()
    assert guest.network.body.closed == 1
    assert await settled(stream.read(100)) == b""
    assert await settled(trailers.read()) == Err("connection-terminated")
    assert waiting.contents.closed == 1
    assert guest.invocation.budget == Budget()


@pytest.mark.parametrize("count", [HTTP_CLIENT_REQUESTS_OPEN_MAX, HTTP_CLIENT_REQUESTS_OPEN_MAX + 1])
async def test_a_guest_has_only_so_many_under_way(guest, count) -> None:
    for _ in range(count):
        guest.send(Request())
        await trio.lowlevel.checkpoint()
    await wait()
    assert len(guest.network.requests) == HTTP_CLIENT_REQUESTS_OPEN_MAX
    refused = [Err("connection-limit-reached")] if count > HTTP_CLIENT_REQUESTS_OPEN_MAX else []
    assert guest.answers == refused


@pytest.mark.parametrize("allowed", [("*://*:*",), ()], ids=["sent", "refused"])
async def test_the_fields_of_a_request_are_its_guests_no_more(nursery, allowed) -> None:
    guest = Guest(nursery, *allowed)
    budget = guest.invocation.budget
    fields = TYPES.fields_from_list(guest.invocation, [("x", b"y" * 100)])
    request, _ = TYPES.request_new(guest.invocation, fields, None, GuestFuture(), None)
    request.set_authority("example.com")
    request.set_scheme("HTTP")
    assert budget.fields_bytes < Budget().fields_bytes
    with contextlib.suppress(Err), trio.move_on_after(0):
        await guest.client.send(guest.invocation, request)
    assert budget.fields_bytes == Budget().fields_bytes
    assert bool(allowed) == bool(budget.http_requests < HTTP_CLIENT_REQUESTS_OPEN_MAX)
