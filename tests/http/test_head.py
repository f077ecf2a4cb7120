"""Request heads, byte by byte: what is taken, what is refused, and as what."""

from __future__ import annotations

import pytest

from edged.errors import (
    BadRequest,
    EdgedError,
    HeadersTooLarge,
    NotImplementedByServer,
    UriTooLong,
    VersionUnsupported,
)
from edged.http.head import HEAD_BYTES_MAX, parse_head, refuse_unfinished
from edged.limits import HEADER_BYTES_MAX, HEADER_COUNT_MAX, REQUEST_LINE_BYTES_MAX


def test_a_head_taken_apart() -> None:
    head = parse_head(b"PATCH /a%20b?c HTTP/1.1\r\nHost:\t a \t\r\nX-Empty:\r\nX-Two: a  b\r\nx-two: \xff\r\n\r\n")
    assert (head.method, head.target, head.version) == ("PATCH", b"/a%20b?c", "1.1")
    assert head.headers == [(b"host", b"a"), (b"x-empty", b""), (b"x-two", b"a  b"), (b"x-two", b"\xff")]


def test_version_1_0() -> None:
    assert parse_head(b"GET / HTTP/1.0\r\n\r\n").version == "1.0"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "QUERY"])
def test_methods(method: str) -> None:
    assert parse_head(f"{method} / HTTP/1.1\r\nhost: a\r\n\r\n".encode()).method == method


@pytest.mark.parametrize(
    "options", [b"upgrade: h2c\r\nconnection: upgrade", b"upgrade: websocket\r\nconnection: Upgrade"]
)
def test_an_upgrade_is_parsed_like_any_request(options: bytes) -> None:
    head = parse_head(b"GET /x HTTP/1.1\r\nhost: a\r\n" + options + b"\r\n\r\n")
    assert head.target == b"/x"
    assert len(head.headers) == 3


@pytest.mark.parametrize(
    ("head", "error"),
    [
        # line ends
        (b"GET / HTTP/1.1\nHost: a\n\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", BadRequest),
        (b"GET /x\nHost: a\r\nContent-Length: 5\r\n\r\n", BadRequest),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BadRequest),
        # header fields
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tfolded\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nHost\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\n: a\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nX\x80: a\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nX(y): a\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nX: a\x01b\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nX: a\x7fb\r\n\r\n", BadRequest),
        # the request line
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BadRequest),
        (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", EdgedError),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", EdgedError),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", BadRequest),
        (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", BadRequest),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", BadRequest),
        (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", BadRequest),
        (b"\r\n\r\n", EdgedError),
        # framing, where llhttp already objects
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", BadRequest),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", BadRequest),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", BadRequest),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", BadRequest),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", BadRequest),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", BadRequest),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n", BadRequest),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", BadRequest),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", BadRequest),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", BadRequest),
        # methods and versions
        (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", NotImplementedByServer),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", NotImplementedByServer),
        (b"GET /x\r\n\r\n", VersionUnsupported),
        (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", VersionUnsupported),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", VersionUnsupported),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", VersionUnsupported),
        (b"GET / HTTP/11.1\r\nHost: a\r\n\r\n", VersionUnsupported),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", VersionUnsupported),
        (b"PRI * HTTP/2.0\r\n\r\n", VersionUnsupported),
    ],
)
def test_refused(head: bytes, error: type[EdgedError]) -> None:
    with pytest.raises(error):
        parse_head(head)


def request_line(size: int) -> bytes:
    return b"GET /" + b"a" * (size - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"


def test_the_longest_request_line() -> None:
    line = request_line(REQUEST_LINE_BYTES_MAX)
    assert len(line) == REQUEST_LINE_BYTES_MAX
    parse_head(line + b"\r\nHost: a\r\n\r\n")


def test_one_byte_more() -> None:
    with pytest.raises(UriTooLong):
        parse_head(request_line(REQUEST_LINE_BYTES_MAX + 1) + b"\r\nHost: a\r\n\r\n")


def fields(size: int) -> bytes:
    return b"X: " + b"a" * (size - len(b"X: \r\n")) + b"\r\n"


def test_the_longest_fields() -> None:
    parse_head(b"GET / HTTP/1.1\r\n" + fields(HEADER_BYTES_MAX) + b"\r\n")


def test_one_byte_of_fields_more() -> None:
    with pytest.raises(HeadersTooLarge):
        parse_head(b"GET / HTTP/1.1\r\n" + fields(HEADER_BYTES_MAX + 1) + b"\r\n")


def test_the_most_fields() -> None:
    assert len(parse_head(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * HEADER_COUNT_MAX + b"\r\n").headers) == HEADER_COUNT_MAX


def test_one_field_more() -> None:
    with pytest.raises(HeadersTooLarge):
        parse_head(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (HEADER_COUNT_MAX + 1) + b"\r\n")


def test_an_unfinished_head_may_become_one() -> None:
    refuse_unfinished(b"")
    refuse_unfinished(request_line(REQUEST_LINE_BYTES_MAX) + b"\r")
    refuse_unfinished(request_line(REQUEST_LINE_BYTES_MAX) + b"\r\n" + fields(HEADER_BYTES_MAX) + b"\r")


def test_an_unfinished_line_that_is_too_long() -> None:
    with pytest.raises(UriTooLong):
        refuse_unfinished(request_line(REQUEST_LINE_BYTES_MAX + 1) + b"\r")


def test_unfinished_fields_that_are_too_long() -> None:
    with pytest.raises(HeadersTooLarge):
        refuse_unfinished(b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_BYTES_MAX)
