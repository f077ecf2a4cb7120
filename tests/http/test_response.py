"""Responses before they are sent: what a handler may say, and what of it reaches the wire."""

from __future__ import annotations

import json
import re

import pytest

from edged.errors import BadRequest, GuestResponseInvalid, HostFailed
from edged.http import response
from edged.http.exchange import Header
from edged.http.response import check_headers, check_trailers, date_value, encode_head, error_response
from edged.limits import HEADER_BYTES_MAX, HEADER_COUNT_MAX


def test_headers_that_pass() -> None:
    given = [(b"X-One", b"1"), (b"x-two", b" \xff\t"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    fields, length = check_headers(given)
    assert fields == [(b"x-one", b"1"), (b"x-two", b" \xff\t"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    assert length is None


@pytest.mark.parametrize("name", [b"Connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"])
def test_headers_that_are_ours(name: bytes) -> None:
    assert check_headers([(name, b"x"), (b"a", b"b")]) == ([(b"a", b"b")], None)


@pytest.mark.parametrize(
    "field",
    [
        (b"", b"x"),
        (b"a b", b"x"),
        (b"a:", b"x"),
        (b"a\r\nb", b"x"),
        (b":status", b"200"),
        (b"\xe4", b"x"),
        (b"a", b"x\ry"),
        (b"a", b"x\ny"),
        (b"a", b"x\r\nset-cookie: y"),
        (b"a", b"\0"),
        (b"transfer-encoding", b"\r\n"),
    ],
)
def test_headers_that_break_out(field: Header) -> None:
    with pytest.raises(GuestResponseInvalid):
        check_headers([field])
    with pytest.raises(GuestResponseInvalid):
        check_trailers([field])


@pytest.mark.parametrize(
    ("values", "length"), [([b"0"], 0), ([b"5"], 5), ([b"5", b"5"], 5), ([b"999999999999999999"], 10**18 - 1)]
)
def test_content_length(values: list[bytes], length: int) -> None:
    assert check_headers([(b"Content-Length", value) for value in values]) == ([], length)


@pytest.mark.parametrize("values", [[b""], [b"-1"], [b"5 "], [b"5", b"6"], [b"5, 5"], [b"1000000000000000000"]])
def test_content_lengths_that_are_none(values: list[bytes]) -> None:
    with pytest.raises(GuestResponseInvalid):
        check_headers([(b"content-length", value) for value in values])


def test_the_most_headers() -> None:
    assert len(check_headers([(b"a", b"b")] * HEADER_COUNT_MAX)[0]) == HEADER_COUNT_MAX


def test_one_header_more() -> None:
    with pytest.raises(GuestResponseInvalid):
        check_headers([(b"a", b"b")] * (HEADER_COUNT_MAX + 1))


def test_the_longest_headers() -> None:
    check_headers([(b"a", b"x" * (HEADER_BYTES_MAX - 1))])


def test_one_byte_more() -> None:
    with pytest.raises(GuestResponseInvalid):
        check_headers([(b"a", b"x" * HEADER_BYTES_MAX)])


def test_trailers() -> None:
    given = [(b"X-Sum", b"1"), (b"content-length", b"1"), (b"Host", b"x"), (b"trailer", b"x"), (b"connection", b"x")]
    assert check_trailers(given) == [(b"x-sum", b"1")]


def test_a_head() -> None:
    head = encode_head(404, [(b"a", b"b"), (b"date", b"today")], b"content-length: 0\r\n")
    assert head == b"HTTP/1.1 404 Not Found\r\na: b\r\ndate: today\r\ncontent-length: 0\r\n\r\n"


def test_a_head_gets_a_date() -> None:
    head = encode_head(299, [], b"")
    assert re.fullmatch(rb"HTTP/1\.1 299 \r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n\r\n", head)


def test_the_date_is_made_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 784111777.2
    monkeypatch.setattr(response.time, "time", lambda: now)
    first = date_value()
    assert first == b"Sun, 06 Nov 1994 08:49:37 GMT"
    now += 0.5
    assert date_value() is first
    now += 0.5
    assert date_value() == b"Sun, 06 Nov 1994 08:49:38 GMT"


def test_an_error() -> None:
    status, headers, body = error_response(BadRequest("no Host"))
    assert status == 400
    assert dict(headers) == {b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    assert body.startswith(b'{"code": "http.bad-request", "message": "no Host", "remedy": "')


def test_a_fault_of_ours_tells_clients_nothing_of_the_node() -> None:
    _, _, body = error_response(HostFailed("read: OSError: /var/lib/edged/secret is gone"))
    assert json.loads(body)["code"] == "host.failed"
    assert b"/var" not in body
