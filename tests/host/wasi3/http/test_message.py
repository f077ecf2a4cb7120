"""Requests, responses and request-options of 0.3, through wasi:http/types."""

from __future__ import annotations

import pytest

from edged.host.interface import Err, Ok
from edged.host.wasi3.http.message import Request, RequestOptions, Response
from edged.host.wasi3.http.received_body import ReceivedBody
from edged.host.wasi3.http.types import HttpTypes
from tests.host.fakes import FakeExchange, err, head, invocation, settled
from tests.host.wasi3.guest import GuestFuture, GuestStream

TYPES = HttpTypes()


class Made:
    """A message as a guest makes it, with its ends of streams and futures."""

    def __init__(self, kind: str, *entries: tuple[str, bytes], contents: bool = True, options=None) -> None:
        self.fields = TYPES.fields_from_list(invocation(), list(entries))
        self.contents = GuestStream() if contents else None
        self.trailers = GuestFuture()
        if kind == "request":
            new, consume, more = TYPES.request_new, TYPES.request_consume_body, (options,)
        else:
            new, consume, more = TYPES.response_new, TYPES.response_consume_body, ()
        self.message, self.sent = new(invocation(), self.fields, self.contents, self.trailers, *more)
        self.consume = consume


KINDS = pytest.mark.parametrize("kind", ["request", "response"])


@KINDS
def test_headers_cannot_change_any_more(kind) -> None:
    made = Made(kind, ("a", b"1"))
    headers = made.message.get_headers()
    assert list(headers.copy_all()) == [("a", b"1")]
    for fields in (headers, made.fields, made.message.get_headers()):
        with err("immutable"):
            fields.set("a", [b"2"])


@KINDS
async def test_a_guest_that_consumes_what_it_made_has_what_it_gave(kind) -> None:
    made = Made(kind)
    result = GuestFuture()
    stream, trailers = made.consume(invocation(), made.message, result)
    assert stream is made.contents
    assert trailers is made.trailers
    result.write(Ok())
    assert await settled(made.sent.read()) == Ok()


@KINDS
async def test_its_maker_is_told_what_became_of_the_body(kind) -> None:
    for give, expected in (
        (lambda result: result.write(Err("loop-detected")), Err("loop-detected")),
        (GuestFuture.drop, Err("connection-terminated")),
    ):
        made = Made(kind)
        result = GuestFuture()
        made.consume(invocation(), made.message, result)
        give(result)
        assert await settled(made.sent.read()) == expected


@KINDS
async def test_without_contents_the_body_is_empty(kind) -> None:
    made = Made(kind, contents=False)
    stream, _ = made.consume(invocation(), made.message, GuestFuture())
    assert await settled(stream.read(10)) == b""


@KINDS
async def test_a_message_that_is_dropped_closes_its_body(kind) -> None:
    for contents in (True, False):
        made = Made(kind, contents=contents)
        made.message.drop()
        assert made.contents is None or made.contents.closed == 1
        assert made.trailers.closed == 1
        assert await settled(made.sent.read()) == Err("connection-terminated")


def test_a_response_has_a_status() -> None:
    response = Made("response").message
    assert isinstance(response, Response)
    assert response.get_status_code() == 200
    for status in (100, 999):
        response.set_status_code(status)
        assert response.get_status_code() == status
    for status in (0, 99, 1000):
        with err():
            response.set_status_code(status)
    assert response.get_status_code() == 999


def test_a_request_starts_with_nothing_said() -> None:
    request = Made("request").message
    assert isinstance(request, Request)
    assert request.get_method() == "get"
    assert request.get_path_with_query() is request.get_scheme() is request.get_authority() is None
    assert request.get_options() is None


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("method", ["post", ("other", "PURGE")], [("other", ""), ("other", "A B")]),
        ("path_with_query", ["/a?b", "*", "", None], ["a", "/ä", "/a b"]),
        ("scheme", ["HTTPS", ("other", "ftp"), None], [("other", "1"), ("other", "")]),
        ("authority", ["example.com:8080", "[::1]", None], ["", "a@b", "a:65536"]),
    ],
    ids=["method", "path", "scheme", "authority"],
)
def test_what_stands_before_the_headers_is_checked(name, good, bad) -> None:
    request = Made("request").message
    set_, get = getattr(request, f"set_{name}"), getattr(request, f"get_{name}")
    for value in good:
        set_(value)
        assert get() == value
    for value in bad:
        with err():
            set_(value)
    assert get() == good[-1]


async def test_a_request_that_came_to_us() -> None:
    exchange = FakeExchange(head(method="PURGE", headers=((b"accept", b"*/*"), (b"host", b"x"))), b"hello")
    body = ReceivedBody(exchange, exchange.request_trailers)
    request = Request.received(exchange, [(b"spin-base-path", b"/")], body)
    assert request.get_method() == ("other", "PURGE")
    assert request.get_path_with_query() == "/a%20b?c=d"
    assert request.get_scheme() == "HTTP"
    assert request.get_authority() == "example.com"
    assert list(request.get_headers().copy_all()) == [("accept", b"*/*"), ("spin-base-path", b"/")]
    assert request.get_options() is None
    result = GuestFuture()
    stream, trailers = TYPES.request_consume_body(invocation(), request, result)
    assert result.closed == 1
    assert await settled(stream.read(10)) == b"hello"
    assert await settled(stream.read(10)) == b""
    assert await settled(trailers.read()) == Ok(None)


def test_options_are_set_until_a_request_has_them() -> None:
    options = TYPES.request_options_constructor(invocation())
    names = ("connect", "first_byte", "between_bytes")
    for number, name in enumerate(names):
        assert getattr(options, f"get_{name}_timeout")() is None
        getattr(options, f"set_{name}_timeout")(number)
    request = Made("request", options=options).message
    view = request.get_options()
    clone = view.clone()
    for number, name in enumerate(names):
        assert getattr(view, f"get_{name}_timeout")() == number
        with err("immutable"):
            getattr(view, f"set_{name}_timeout")(7)
        getattr(clone, f"set_{name}_timeout")(None)
        assert getattr(view, f"get_{name}_timeout")() == number
    assert isinstance(clone, RequestOptions)


def test_fields_are_empty_and_mutable() -> None:
    fields = TYPES.fields_constructor(invocation())
    fields.append("a", b"1")
    assert list(fields.copy_all()) == [("a", b"1")]
    with err("forbidden"):
        TYPES.fields_from_list(invocation(), [("connection", b"close")])
