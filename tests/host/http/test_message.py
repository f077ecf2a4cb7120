"""wasi:http/types requests and responses"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.host.http.fields import Fields
from edged.host.http.incoming_body import BodySource, IncomingBody
from edged.host.http.message import (
    METHODS,
    FutureIncomingResponse,
    IncomingRequest,
    IncomingResponse,
    OutgoingRequest,
    OutgoingResponse,
    RequestOptions,
)
from edged.host.interface import Err, Ok
from edged.host.poll import Poll
from tests.host.fakes import FakeExchange, err, failed_with, head, invocation, settled


def request(extra_headers=(), **changes):
    return IncomingRequest(FakeExchange(head(**changes)), extra_headers)


# --- incoming-request ---


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_have_a_case(method) -> None:
    assert request(method=method).method() == method.lower()


@pytest.mark.parametrize("method", ["PURGE", "get", "Get"])
def test_methods_that_have_none(method) -> None:
    assert request(method=method).method() == ("other", method)


def test_the_head_of_a_request() -> None:
    incoming = request()
    assert incoming.path_with_query() == "/a%20b?c=d"
    assert incoming.authority() == "example.com"
    assert incoming.scheme() == "HTTP"
    assert request(scheme="https").scheme() == "HTTPS"


def test_the_headers_of_a_request_end_with_ours_and_are_immutable() -> None:
    incoming = request(
        extra_headers=[(b"spin-base-path", b"/")],
        headers=[(b"host", b"example.com"), (b"connection", b"close"), (b"accept", b"a"), (b"accept", b"b")],
    )
    headers = incoming.headers()
    assert headers.entries() == [("accept", b"a"), ("accept", b"b"), ("spin-base-path", b"/")]
    with err("immutable"):
        headers.append("x", b"y")
    headers.drop()
    assert incoming.headers().get("Accept") == [b"a", b"b"]


def test_a_request_is_consumed_once() -> None:
    incoming = IncomingRequest(FakeExchange(body=b"hello"), ())
    assert incoming.consume().stream().read(100) == b"hello"
    with err():
        incoming.consume()


def test_the_trailers_of_a_request() -> None:
    exchange = FakeExchange(ended=False)
    exchange.end([(b"x", b"y")])
    assert IncomingRequest(exchange, ()).consume().finish().get().value.value.entries() == [("x", b"y")]


# --- outgoing-response ---


def response(*entries, bytes_max=1000):
    return OutgoingResponse(Fields.from_entries(entries), bytes_max)


def test_a_response_is_200_until_it_is_something_else() -> None:
    made = response()
    assert made.status_code() == 200
    made.set_status_code(404)
    assert made.status_code() == 404


@pytest.mark.parametrize("status", [100, 101, 200, 299, 599, 600, 999])
def test_statuses_that_are_some(status) -> None:
    made = response()
    made.set_status_code(status)
    assert made.status_code() == status


@pytest.mark.parametrize("status", [0, 99, 1000, 65535])
def test_statuses_that_are_none(status) -> None:
    made = response()
    with err():
        made.set_status_code(status)
    assert made.status_code() == 200


def test_a_message_consumes_its_headers() -> None:
    for kind in (OutgoingResponse, OutgoingRequest):
        fields = Fields.from_entries([("x", b"y")])
        headers = kind(fields, 1000).headers()
        assert headers.entries() == [("x", b"y")]
        for each in (headers, fields):
            with err("immutable"):
                each.append("a", b"b")
        mutable = headers.clone()
        mutable.append("a", b"b")
        assert headers.entries() == [("x", b"y")]


@pytest.mark.parametrize("kind", [OutgoingResponse, OutgoingRequest])
def test_a_message_has_one_body(kind) -> None:
    made = kind(Fields(), 1000)
    made.body()
    with err():
        made.body()


@pytest.mark.parametrize("kind", [OutgoingResponse, OutgoingRequest])
@pytest.mark.parametrize("value", [b"x", b"-1", b"1, 2"])
def test_a_message_with_a_wrong_content_length_has_no_body(kind, value) -> None:
    made = kind(Fields.from_entries([("content-length", value)]), 1000)
    with err():
        made.body()


@pytest.mark.parametrize(
    ("kind", "case"), [(OutgoingResponse, "HTTP-response-body-size"), (OutgoingRequest, "HTTP-request-body-size")]
)
def test_a_body_knows_its_content_length_and_its_limit(kind, case) -> None:
    for entries, bytes_max in (([("content-length", b"3")], 1000), ([], 3)):
        stream = kind(Fields.from_entries(entries), bytes_max).body().write()
        stream.write(b"123")
        with failed_with((case, 4)):
            stream.write(b"4")


# --- outgoing-request ---


def outgoing():
    return OutgoingRequest(Fields(), 1000)


def test_the_defaults_of_a_request() -> None:
    made = outgoing()
    assert made.method() == "get"
    assert (made.path_with_query(), made.scheme(), made.authority()) == (None, None, None)


@pytest.mark.parametrize("method", [*METHODS.values(), ("other", "PURGE"), ("other", "x!y")])
def test_methods_that_can_be_set(method) -> None:
    made = outgoing()
    made.set_method(method)
    assert made.method() == method


@pytest.mark.parametrize("method", ["", "a b", "a\r\nb", "a/b", "ä"])
def test_methods_that_cannot(method) -> None:
    made = outgoing()
    with err():
        made.set_method(("other", method))
    assert made.method() == "get"


@pytest.mark.parametrize("path", [None, "", "/", "*", "/a%20b?c=d&e", "?q", '/?q={"a":["b"]}|~', "//a", "/a?b/c?d"])
def test_paths_that_can_be_set(path) -> None:
    made = outgoing()
    made.set_path_with_query(path)
    assert made.path_with_query() == path


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "*a",
        "http://x/",
        "/a b",
        "/a\n",
        "/a\r\nHost: x",
        "/a\0",
        "/ä",
        "/a#b",
        "/<a>",
        "/a\\b",
        "/^",
        "/`",
        "/\x7f",
    ],
)
def test_paths_that_cannot(path) -> None:
    made = outgoing()
    made.set_path_with_query("/before")
    with err():
        made.set_path_with_query(path)
    assert made.path_with_query() == "/before"


@pytest.mark.parametrize("scheme", [None, "HTTP", "HTTPS", ("other", "ftp"), ("other", "a+b-c.1")])
def test_schemes_that_can_be_set(scheme) -> None:
    made = outgoing()
    made.set_scheme(scheme)
    assert made.scheme() == scheme


@pytest.mark.parametrize("scheme", ["", "1a", "a b", "a:", "ä"])
def test_schemes_that_cannot(scheme) -> None:
    with err():
        outgoing().set_scheme(("other", scheme))


@pytest.mark.parametrize(
    "authority",
    [None, "example.com", "example.com:8080", "192.0.2.1:0", "[2001:db8::1]", "[::1]:65535", "a-b_c~d", "x%41", ":443"],
)
def test_authorities_that_can_be_set(authority) -> None:
    made = outgoing()
    made.set_authority(authority)
    assert made.authority() == authority


@pytest.mark.parametrize(
    "authority",
    [
        "",
        ":",
        "a:",
        "a:65536",
        "a:123456",
        "a:-1",
        "a:b",
        "a b",
        "a/b",
        "user@a",
        "u:p@a",
        "[::1",
        "::1",
        "a\n",
        "ä",
        "a%4",
    ],
)
def test_authorities_that_cannot(authority) -> None:
    with err():
        outgoing().set_authority(authority)


# --- request-options ---


@pytest.mark.parametrize("name", ["connect_timeout", "first_byte_timeout", "between_bytes_timeout"])
def test_timeouts_are_kept_each_for_itself(name) -> None:
    options = RequestOptions()
    assert getattr(options, name)() is None
    getattr(options, f"set_{name}")(1_000_000)
    assert getattr(options, name)() == 1_000_000
    assert sum(value is not None for value in (options.connect_timeout(), options.first_byte_timeout())) <= 1
    getattr(options, f"set_{name}")(None)
    assert getattr(options, name)() is None


# --- incoming-response and its future ---


def incoming_response():
    exchange = FakeExchange(body=b"hello")
    return IncomingResponse(
        404, Fields.received([(b"x", b"y")]), IncomingBody(BodySource(exchange), exchange.request_trailers)
    )


def test_an_incoming_response() -> None:
    made = incoming_response()
    assert made.status() == 404
    assert made.headers().entries() == [("x", b"y")]
    with err("immutable"):
        made.headers().delete("x")
    assert made.consume().stream().read(100) == b"hello"
    with err():
        made.consume()


@pytest.mark.parametrize("result", [Ok("the response"), Err("connection-refused")])
async def test_a_response_that_may_arrive(result, nursery) -> None:
    future = FutureIncomingResponse()
    assert future.get() is None
    pollable = future.subscribe()
    assert not pollable.ready()
    answers = []

    async def guest():
        answers.append(await settled(Poll().poll(invocation(), [pollable])))

    nursery.start_soon(guest)
    await trio.testing.wait_all_tasks_blocked()
    future.resolve(result)
    await trio.testing.wait_all_tasks_blocked()
    assert answers == [[0]]
    assert future.get() == Ok(result)
    assert future.get() == Err()


def test_a_dropped_future_tells_the_sender() -> None:
    dropped = []
    FutureIncomingResponse(lambda: dropped.append(True)).drop()
    assert dropped == [True]
    FutureIncomingResponse().drop()
