"""wasi:http/outgoing-handler: who may send what where, and what becomes of it."""

from __future__ import annotations

import gc
import random

import pytest
import trio
import trio.testing

from edged.errors import GuestTrap
from edged.host.budget import Budget
from edged.host.chain import Chain
from edged.host.http.error import HttpError
from edged.host.http.fields import Fields
from edged.host.http.message import OutgoingRequest, RequestOptions
from edged.host.http.outbound import Outgoing
from edged.host.http.outgoing_handler import OutgoingHandler
from edged.host.http.transport import Timeouts
from edged.host.http_client.client import HttpClient
from edged.host.interface import Err, Ok
from edged.http.exchange import ClientGone
from edged.limits import (
    HTTP_CLIENT_BETWEEN_BYTES_S_MAX,
    HTTP_CLIENT_CONNECT_S_MAX,
    HTTP_CLIENT_FIRST_BYTE_S_MAX,
    HTTP_CLIENT_REQUESTS_OPEN_MAX,
    HTTP_CLIENT_TARGET_BYTES_MAX,
    GuestLimits,
)
from tests.host.fakes import err, failed_with, invocation, settled
from tests.host.http.transports import Body, FakeTransport, grant
from tests.host.http_client.servers import DIALER, OK, head, listen

wait = trio.testing.wait_all_tasks_blocked


class Guest:
    """A component with a handler."""

    def __init__(self, nursery, *allowed: str, local: bool = True, budget: Budget | None = None) -> None:
        self.network, self.local = FakeTransport(), FakeTransport()
        outgoing = Outgoing(self.network, nursery, self.local if local else None)
        self.handler = OutgoingHandler(grant(*allowed), outgoing, GuestLimits())
        self.invocation = invocation(budget)

    def handle(self, request=None, options=None):
        return self.handler.handle(self.invocation, request or outgoing_request(), options)


def outgoing_request(
    authority="example.com", path="/", scheme="HTTP", method="get", headers=(), bytes_max=1 << 20
) -> OutgoingRequest:
    request = OutgoingRequest(Fields.from_entries(headers), bytes_max)
    request.set_method(method)
    request.set_scheme(scheme)
    request.set_authority(authority)
    request.set_path_with_query(path)
    return request


@pytest.fixture
def guest(nursery):
    return Guest(nursery, "*://*:*")


# --- who may ---

ALLOWED = [
    (["http://example.com"], {}),
    (["http://EXAMPLE.com:80"], {"authority": "example.com:80"}),
    (["https://example.com"], {"scheme": "HTTPS"}),
    (["https://example.com"], {"scheme": None}),
    (["http://example.com:8080"], {"authority": "Example.Com:8080"}),
    (["http://*.example.com"], {"authority": "a.example.com"}),
    (["http://10.0.0.0/8:*"], {"authority": "10.1.2.3:99"}),
    (["http://[::1]"], {"authority": "[::1]"}),
    (["*://*:*"], {}),
]

DENIED = [
    ([], {}),
    (["https://example.com"], {}),
    (["http://example.com"], {"scheme": "HTTPS"}),
    (["http://example.com"], {"scheme": None}),
    (["http://example.com"], {"authority": "example.com:8080"}),
    (["http://example.com"], {"authority": "evil-example.com"}),
    (["http://example.com"], {"authority": "example.com.evil.net"}),
    (["http://self"], {}),
    (["http://10.0.0.0/8:*"], {"authority": "167837955"}),
]


@pytest.mark.parametrize(("allowed", "request_"), ALLOWED)
async def test_what_the_manifest_allows_is_sent(nursery, allowed, request_) -> None:
    guest = Guest(nursery, *allowed)
    guest.handle(outgoing_request(**request_)).drop()
    await wait()
    assert guest.invocation.budget == Budget()


@pytest.mark.parametrize(("allowed", "request_"), DENIED)
async def test_nothing_else_is(nursery, allowed, request_) -> None:
    guest = Guest(nursery, *allowed)
    with err("HTTP-request-denied"):
        guest.handle(outgoing_request(**request_))
    await wait()
    assert guest.network.requests == guest.local.requests == []


def test_a_component_without_a_way_out_is_refused_everything() -> None:
    with err("HTTP-request-denied"):
        OutgoingHandler(grant("*://*:*"), None, GuestLimits()).handle(invocation(), outgoing_request(), None)


# --- the app itself and its components ---


@pytest.mark.parametrize("authority", [None, "self", "self.alt", ":443", "SELF"])
@pytest.mark.parametrize("allowed", ["http://self", "https://self", "*://*:*"])
async def test_a_path_alone_is_for_the_app_itself(nursery, authority, allowed) -> None:
    guest = Guest(nursery, allowed)
    guest.handle(outgoing_request(authority, "/a"))
    await wait()
    (request,) = guest.local.requests
    assert (request.authority, request.host, request.target) == (None, "", "/a")
    assert guest.network.requests == []
    guest.local.answer.set()


async def test_which_the_manifest_must_allow(nursery) -> None:
    for allowed in ("http://example.com", "http://self.example.com"):
        with err("HTTP-request-denied"):
            Guest(nursery, allowed).handle(outgoing_request(None))


@pytest.mark.parametrize("authority", ["other.spin.internal", "OTHER.Spin.Internal", "other.spin.internal."])
async def test_another_component_is_reached_without_the_network(nursery, authority) -> None:
    guest = Guest(nursery, "http://*.spin.internal")
    guest.handle(outgoing_request(authority))
    await wait()
    assert guest.network.requests == []
    (request,) = guest.local.requests
    assert (request.authority, request.host, request.chain.depth) == (authority, "other.spin.internal", 0)
    guest.local.answer.set()
    with err("HTTP-request-denied"):
        Guest(nursery, "http://example.com").handle(outgoing_request("other.spin.internal"))


async def test_neither_is_looked_for_on_the_network(nursery) -> None:
    guest = Guest(nursery, "*://*:*", local=False)
    with err("HTTP-request-URI-invalid"):
        guest.handle(outgoing_request(None))
    with err("destination-not-found"):
        guest.handle(outgoing_request("other.spin.internal"))


@pytest.mark.parametrize("authority", [".", ".:80", "..", "other.spin.internal.."])
async def test_no_host_ends_in_an_empty_label(guest, authority) -> None:
    with err("HTTP-request-URI-invalid"):
        guest.handle(outgoing_request(authority))


async def test_how_deep_in_a_chain_it_is_goes_with_a_request(guest) -> None:
    guest.invocation.chain = Chain(3)
    guest.handle()
    await wait()
    assert guest.network.requests[0].chain == Chain(3)
    guest.network.answer.set()


# --- what is sent ---


async def test_a_request_as_the_transport_gets_it(guest) -> None:
    request = outgoing_request("Example.com:8080", "/a?b", None, "post", [("X-A", b"b"), ("traceparent", b"00-1-2-3")])
    request.body()
    guest.handle(request)
    await wait()
    (sent,) = guest.network.requests
    assert (sent.method, sent.scheme, sent.authority) == ("POST", "https", "Example.com:8080")
    assert (sent.host, sent.port, sent.target) == ("example.com", 8080, "/a?b")
    assert sent.headers == [(b"x-a", b"b"), (b"traceparent", b"00-1-2-3")]
    assert sent.body is not None
    assert sent.response_body_bytes_max == GuestLimits().response_body_bytes_max
    guest.network.answer.set()


@pytest.mark.parametrize(
    ("given", "sent"),
    [(None, "/"), ("", "/"), ("?a", "/?a"), ("/a", "/a"), ("/" + "x" * (HTTP_CLIENT_TARGET_BYTES_MAX - 1),) * 2],
)
async def test_paths(guest, given, sent) -> None:
    guest.handle(outgoing_request(path=given))
    await wait()
    assert guest.network.requests[0].target == sent
    guest.network.answer.set()


async def test_a_method_of_its_own(guest) -> None:
    guest.handle(outgoing_request(method=("other", "PURGE")))
    guest.handle(outgoing_request(method="options", path="*"))
    await wait()
    assert {(sent.method, sent.target) for sent in guest.network.requests} == {("PURGE", "/"), ("OPTIONS", "*")}
    guest.network.answer.set()


INVALID = [
    ({"method": "connect"}, "HTTP-request-method-invalid"),
    ({"method": ("other", "connect")}, "HTTP-request-method-invalid"),
    ({"scheme": ("other", "ftp")}, "HTTP-protocol-error"),
    ({"authority": "a%2eb"}, "HTTP-request-URI-invalid"),
    ({"authority": "a(b)"}, "HTTP-request-URI-invalid"),
    ({"authority": "[::1"}, None),
    ({"authority": "[1.2.3.4]"}, "HTTP-request-URI-invalid"),
    ({"authority": "[::g]"}, None),
    ({"authority": "[:::]"}, "HTTP-request-URI-invalid"),
    ({"authority": "example.com:0"}, "HTTP-request-URI-invalid"),
    ({"path": "*"}, "HTTP-request-URI-invalid"),
    ({"path": "/" + "x" * HTTP_CLIENT_TARGET_BYTES_MAX}, "HTTP-request-URI-too-long"),
    ({"headers": [("content-length", b"1")]}, ("HTTP-request-body-size", 0)),
    ({"headers": [("content-length", b"1"), ("content-length", b"2")]}, "HTTP-protocol-error"),
    ({"headers": [("content-length", b"+1")]}, "HTTP-protocol-error"),
]


@pytest.mark.parametrize(("request_", "code"), INVALID)
async def test_what_cannot_be_sent_is_known_at_once(guest, request_, code) -> None:
    with err(code):  # None: `set-authority` has refused it
        guest.handle(outgoing_request(**request_))
    await wait()
    assert guest.network.requests == []
    assert guest.invocation.budget == Budget()


@pytest.mark.parametrize(
    "name", ["host", "transfer-encoding", "connection", "upgrade", "keep-alive", "proxy-connection"]
)
def test_fields_of_the_connection_are_no_guests(name) -> None:
    with err("forbidden"):
        outgoing_request(headers=[(name, b"x")])


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\0b"])
def test_nor_is_a_second_line(value) -> None:
    with err("invalid-syntax"):
        outgoing_request(headers=[("x", value)])


# --- how long ---

MOST = Timeouts(HTTP_CLIENT_CONNECT_S_MAX, HTTP_CLIENT_FIRST_BYTE_S_MAX, HTTP_CLIENT_BETWEEN_BYTES_S_MAX)


@pytest.mark.parametrize(
    ("nanoseconds", "seconds"),
    [
        (None, MOST),
        ((None, None, None), MOST),
        ((1_500_000_000, 1, 0), Timeouts(1.5, 1e-9, 0)),
        ((1 << 63,) * 3, MOST),
    ],
)
async def test_a_guests_timeouts_are_held_to_ours(guest, nanoseconds, seconds) -> None:
    options = None
    if nanoseconds is not None:
        options = RequestOptions()
        options.set_connect_timeout(nanoseconds[0])
        options.set_first_byte_timeout(nanoseconds[1])
        options.set_between_bytes_timeout(nanoseconds[2])
    guest.handle(options=options)
    await wait()
    assert guest.network.requests[0].timeouts == seconds
    guest.network.answer.set()


# --- what comes back ---


def got(future):
    """The answer that the guest takes out of its future."""
    answer = future.get()
    assert isinstance(answer, Ok)
    return answer.value


async def test_a_response(guest) -> None:
    future = guest.handle()
    assert future.get() is None
    await wait()
    assert not future.subscribe().ready()
    guest.network.answer.set()
    await settled(future.subscribe().block())
    response = got(future).value
    future.drop()
    assert response.status() == 200
    assert response.headers().entries() == [("x", b"y")]
    body = response.consume()
    response.drop()
    stream = body.stream()
    assert stream.blocking_read(100) == b"hello"
    stream.drop()
    assert guest.network.body.closed == 0
    trailers = body.finish()
    assert trailers.get() == Ok(Ok(None))
    trailers.drop()
    assert guest.network.body.closed == 1
    assert guest.invocation.budget == Budget()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (HttpError("connection-refused"), "connection-refused"),
        (HttpError(("DNS-error", ("x", 0))), ("DNS-error", ("x", 0))),
        (ClientGone(), "HTTP-protocol-error"),
        (ZeroDivisionError("ours"), ("internal-error", None)),
    ],
)
async def test_failures(guest, failure, code) -> None:
    guest.network.failure = failure
    guest.network.answer.set()
    future = guest.handle()
    await settled(future.subscribe().block())
    assert got(future) == Err(code)
    future.drop()
    assert guest.invocation.budget == Budget()


async def test_a_transport_that_returns_without_an_answer(nursery) -> None:
    class Silent:
        async def send(self, request, respond) -> None:
            await trio.lowlevel.checkpoint()

    handler = OutgoingHandler(grant("*://*:*"), Outgoing(Silent(), nursery), GuestLimits())
    future = handler.handle(invocation(), outgoing_request(), None)
    await future.wait()
    assert got(future) == Err("connection-terminated")


async def test_an_app_that_ends_answers_its_guests() -> None:
    async with trio.open_nursery() as nursery:
        guest = Guest(nursery, "*://*:*")
        future = guest.handle()
        await wait()
        nursery.cancel_scope.cancel()
    assert got(future) == Err("connection-terminated")
    future.drop()


async def test_a_body_that_breaks_tells_why(guest) -> None:
    class Broken(Body):
        def receive_nowait(self, bytes_max):
            raise HttpError("HTTP-response-incomplete")

    guest.network.body = Broken(b"")
    guest.network.answer.set()
    future = guest.handle()
    await future.wait()
    stream = got(future).value.consume().stream()
    with failed_with("HTTP-response-incomplete"):
        stream.read(10)


# --- who loses interest ---


async def test_a_future_dropped_before_the_answer_ends_the_request(guest) -> None:
    future = guest.handle()
    await wait()
    future.drop()
    await wait()
    assert guest.network.cancelled == 1
    assert guest.invocation.budget == Budget()


async def test_before_it_began_too(guest) -> None:
    guest.handle().drop()
    await wait()
    assert guest.network.cancelled <= 1
    assert guest.invocation.budget == Budget()


async def test_an_answer_that_was_not_taken_is_let_go_of_with_its_future(guest) -> None:
    guest.network.answer.set()
    future = guest.handle()
    await future.wait()
    future.drop()
    assert guest.network.body.closed == 1
    assert guest.invocation.budget == Budget()


@pytest.mark.parametrize("drop", ["response", "body", "trailers", "future and response"])
async def test_a_response_is_let_go_of_with_whatever_stands_for_it(guest, drop) -> None:
    guest.network.goes_on = trio.Event()
    guest.network.answer.set()
    future = guest.handle()
    await future.wait()
    response = got(future).value
    if drop != "future and response":
        future.drop()
    assert guest.network.body.closed == 0
    if drop.endswith("response"):
        response.drop()
        future.drop()
    else:
        body = response.consume()
        response.drop()
        assert guest.network.body.closed == 0
        if drop == "trailers":
            body.finish().drop()
        else:
            body.drop()
    await wait()
    assert guest.network.body.closed == 1
    assert guest.network.cancelled == 1
    assert guest.invocation.budget == Budget()


async def test_a_response_that_never_reached_the_guest_is_let_go_of(guest) -> None:
    """As when the guest's handles are used up."""
    guest.network.answer.set()
    future = guest.handle()
    await future.wait()
    future.get()
    del future
    gc.collect()
    assert guest.network.body.closed == 1
    assert guest.invocation.budget == Budget()


async def test_when_the_request_is_over_its_body_takes_no_more(guest) -> None:
    request = outgoing_request(method="post")
    body = request.body()
    stream = body.write()
    guest.network.answer.set()
    future = guest.handle(request)
    await future.wait()
    await wait()
    with err("closed"):
        stream.write(b"more")
    stream.drop()
    body.drop()
    future.drop()


@pytest.mark.parametrize("count", [HTTP_CLIENT_REQUESTS_OPEN_MAX, HTTP_CLIENT_REQUESTS_OPEN_MAX + 1])
async def test_a_guest_has_only_so_many_under_way(guest, count) -> None:
    futures = [guest.handle() for _ in range(HTTP_CLIENT_REQUESTS_OPEN_MAX)]
    if count > len(futures):
        with err("connection-limit-reached"):
            guest.handle()
        futures.pop().drop()
        futures.append(guest.handle())
    await wait()
    for future in futures:
        future.drop()
    await wait()
    assert guest.invocation.budget == Budget()


# --- with the real client ---


async def shout(stream) -> None:
    """Answers with the request's body in capitals, while it comes. The head says how it is framed."""
    data = await head(stream)
    assert b"transfer-encoding: chunked" in data
    body = data.partition(b"\r\n\r\n")[2]
    await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not body.endswith(b"0\r\n\r\n"):
        await stream.send_all(body.upper())
        body = await stream.receive_some(65536)
    await stream.send_all(body.upper())


async def test_a_guest_that_writes_and_reads_at_once(nursery) -> None:
    port = await listen(nursery, shout)
    client = HttpClient(DIALER)
    handler = OutgoingHandler(grant("http://127.0.0.1:*"), Outgoing(client, nursery), GuestLimits())
    request = outgoing_request(f"127.0.0.1:{port}", method="post")
    body = request.body()
    out = body.write()
    future = handler.handle(invocation(), request, None)
    out.write(b"first")
    await settled(future.subscribe().block())
    response = got(future).value
    incoming = response.consume()
    stream = incoming.stream()
    assert await settled(stream.blocking_read(100)) == b"FIRST"
    for piece in (b"second", b"third"):
        out.write(piece)
        assert await settled(stream.blocking_read(100)) == piece.upper()
    with pytest.raises(GuestTrap):
        body.finish(None)
    out.drop()
    body.finish(None)
    with err("closed"):
        await settled(stream.blocking_read(100))
    stream.drop()
    incoming.drop()
    await wait()
    assert (client.statistics().active, client.statistics().idle) == (0, 1)
    client.close()
    nursery.cancel_scope.cancel()


async def test_guests_that_let_go_at_any_point_leave_nothing_behind(nursery) -> None:
    """Sockets left open would be ResourceWarnings, which are errors in tests."""
    choose = random.Random(7)

    async def serve(stream) -> None:
        while await head(stream):
            for at in range(0, len(OK), 7):
                await stream.send_all(OK[at : at + 7])
                for _ in range(choose.randrange(3)):
                    await trio.lowlevel.checkpoint()
            if choose.random() < 0.2:
                return

    port = await listen(nursery, serve)
    client = HttpClient(DIALER, connections_max=8)
    budgets = []

    async def guest(handler) -> None:
        """Drops what it has, the last first, after a random number of turns: as the end of a request does."""
        held = []
        budgets.append(Budget())
        request = outgoing_request(f"127.0.0.1:{port}", method=choose.choice(["get", "post"]))
        if choose.random() < 0.7:
            body = request.body()
            held += [body, body.write()]
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_after, scope, choose.randrange(60))
            future = handler.handle(invocation(budgets[-1]), request, None)
            held.append(future)
            if len(held) > 1:
                held[1].write(b"some")
                if choose.random() < 0.5:
                    held.pop(1).drop()
                    held.pop(0).finish(None)
            await future.wait()
            answer = got(future)
            if isinstance(answer, Ok):
                held.append(answer.value)
                incoming = answer.value.consume()
                held += [incoming, incoming.stream()]
                while True:
                    try:
                        await settled(held[-1].blocking_read(3))
                    except Err:
                        break
        for resource in reversed(held):
            resource.drop()

    async def cancel_after(scope, turns) -> None:
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with trio.open_nursery() as sending:
        handler = OutgoingHandler(grant("http://127.0.0.1:*"), Outgoing(client, sending), GuestLimits())
        async with trio.open_nursery() as guests:
            for _ in range(300):
                guests.start_soon(guest, handler)
    # Here every task of the handler has ended.
    assert budgets == [Budget()] * 300
    assert client.statistics().active == client.statistics().waiting == 0
    assert client.statistics().idle <= 8
    client.close()
    assert client.statistics().idle == 0
    nursery.cancel_scope.cancel()
