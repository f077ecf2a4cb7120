"""The guard: what it refuses, what it lets through, what it takes away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import BadRequest, EdgedError, ExpectationFailed, NotImplementedByServer
from edged.http.exchange import Header
from edged.http.guard import CHUNKED, Guarded, check_field_names, guard
from edged.limits import AUTHORITY_BYTES_MAX

HOST = (b"host", b"example.com")


def check(
    *headers: Header, method: str = "GET", target: bytes = b"/", version: str = "1.1", scheme: str = "http"
) -> Guarded:
    return guard(method, target, version, list(headers), scheme=scheme, client=("192.0.2.1", 4711))


def test_what_comes_through() -> None:
    guarded = check(HOST, (b"accept", b"*/*"), method="PUT", target=b"/a%20b?c=%00", scheme="https")
    request = guarded.request
    assert (request.method, request.scheme, request.authority) == ("PUT", "https", "example.com")
    assert (request.target, request.path, request.query) == ("/a%20b?c=%00", "/a%20b", "c=%00")
    assert (request.http_version, request.client) == ("1.1", ("192.0.2.1", 4711))
    assert request.headers == [HOST, (b"accept", b"*/*")]
    assert (guarded.body_length, guarded.close, guarded.keep_alive, guarded.expects_continue) == (
        0,
        False,
        False,
        False,
    )


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_methods_that_are_not_served(method: str) -> None:
    with pytest.raises(NotImplementedByServer):
        check(HOST, method=method)


# --- how long the body is ---


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([], 0),
        ([(b"content-length", b"0")], 0),
        ([(b"content-length", b"42")], 42),
        ([(b"content-length", b"999999999999999999")], 10**18 - 1),
        ([(b"transfer-encoding", b"chunked")], CHUNKED),
        ([(b"transfer-encoding", b"Chunked")], CHUNKED),
    ],
)
def test_body_lengths(headers: list[Header], length: int) -> None:
    assert check(HOST, *headers).body_length == length


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], BadRequest),
        ([(b"transfer-encoding", b"chunked"), (b"content-length", b"0")], BadRequest),
        ([(b"content-length", b"1"), (b"content-length", b"1")], BadRequest),
        ([(b"content-length", b"1"), (b"content-length", b"2")], BadRequest),
        ([(b"content-length", b"1, 1")], BadRequest),
        ([(b"content-length", b"")], BadRequest),
        ([(b"content-length", b"-1")], BadRequest),
        ([(b"content-length", b"+1")], BadRequest),
        ([(b"content-length", b"0x1")], BadRequest),
        ([(b"content-length", b"1_0")], BadRequest),
        ([(b"content-length", "٣".encode())], BadRequest),
        ([(b"content-length", b"1000000000000000000")], BadRequest),
        ([(b"transfer-encoding", b"")], BadRequest),
        ([(b"transfer-encoding", b"identity")], BadRequest),
        ([(b"transfer-encoding", b"xchunked")], BadRequest),
        ([(b"transfer-encoding", b"gzip, chunked")], NotImplementedByServer),
        ([(b"transfer-encoding", b"gzip"), (b"transfer-encoding", b"chunked")], NotImplementedByServer),
        ([(b"transfer-encoding", b"chunked, gzip")], BadRequest),
        ([(b"transfer-encoding", b"chunked, chunked")], BadRequest),
        ([(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], BadRequest),
        ([(b"transfer-encoding", b"chunked;q=1")], BadRequest),
    ],
)
def test_ambiguous_lengths(headers: list[Header], error: type[EdgedError]) -> None:
    with pytest.raises(error):
        check(HOST, *headers)


@pytest.mark.parametrize("version", ["1.0", "2", "3"])
def test_transfer_encoding_is_http_1_1s(version: str) -> None:
    with pytest.raises(BadRequest):
        check(HOST, (b"transfer-encoding", b"chunked"), version=version)


# --- which host ---


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "example.com:8080",
        "EXAMPLE.com:",
        "localhost",
        "127.0.0.1:3000",
        "[::1]",
        "[2001:db8::1]:443",
        "my_host-1.internal",
        "a:65535",
    ],
)
def test_hosts(host: str) -> None:
    assert check((b"host", host.encode())).request.authority == host


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "a b",
        "a,b",
        "a%2eb",
        "user@a",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "http://a",
        "a:b",
        "a:80:80",
        "a:65536",
        "a:-1",
        ":80",
        "[::1",
        "::1",
        "[::1]x",
        "[a/b]",
        "ä.example",
        "a\0",
    ],
)
def test_bad_hosts(host: str) -> None:
    with pytest.raises(BadRequest):
        check((b"host", host.encode()))


def test_the_longest_host() -> None:
    assert check((b"host", b"a" * AUTHORITY_BYTES_MAX)).request.authority == "a" * AUTHORITY_BYTES_MAX


def test_a_longer_host() -> None:
    with pytest.raises(BadRequest):
        check((b"host", b"a" * (AUTHORITY_BYTES_MAX + 1)))


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_missing_host(version: str) -> None:
    with pytest.raises(BadRequest):
        check(version=version)


def test_http_1_0_needs_none() -> None:
    guarded = check(version="1.0")
    assert guarded.request.authority == "localhost"
    assert guarded.request.headers == []


@pytest.mark.parametrize("second", [b"example.com", b"other.example"])
def test_two_hosts(second: bytes) -> None:
    with pytest.raises(BadRequest):
        check(HOST, (b"host", second))


# --- which path ---


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        (b"http://example.com", "/"),
        (b"http://example.com/", "/"),
        (b"http://example.com/a?b", "/a?b"),
        (b"http://example.com?b", "/?b"),
        (b"HTTP://EXAMPLE.com/a", "/a"),
        (b"http://example.com:80/a", "/a"),
        (b"http://example.com/http://other", "/http://other"),
    ],
)
def test_absolute_form(target: bytes, origin: str) -> None:
    request = check(HOST, target=target).request
    assert (request.target, request.authority) == (origin, "example.com")


def test_absolute_form_without_the_default_port() -> None:
    assert check((b"host", b"example.com:443"), target=b"https://example.com/", scheme="https").request.target == "/"


@pytest.mark.parametrize(
    "target",
    [
        b"http://other.example/",
        b"http://example.com:8080/",
        b"http://example.com.other/",
        b"http://user@example.com/",
        b"http://example.com:443/",
        b"http:///a",
        b"http:/a",
        b"https://example.com/",
        b"ftp://example.com/",
        b"example.com:80",
        b"*",
        b"",
        b"a",
        b"?a",
    ],
)
def test_other_forms(target: bytes) -> None:
    with pytest.raises(BadRequest):
        check(HOST, target=target)


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"//",
        b"/a//b",
        b"/.",
        b"/a/./b",
        b"/...",
        b"/a..b",
        b"/..a",
        b"/a..",
        b"/%2e",
        b"/%2e%2e%2e",
        b"/%252e%252e/a",
        b"/%2500",
        b"/100%",
        b"/%zz",
        b"/%C3%A4",
        b'/a|b[c]{d}"e<f>`g^h\\i',
        b"/?..",
        b"/?a=/../b",
        b"/?%00%0d%0a",
    ],
)
def test_paths(target: bytes) -> None:
    assert check(HOST, target=target).request.target == target.decode()


@pytest.mark.parametrize(
    "target",
    [
        b"/..",
        b"/../a",
        b"/a/../b",
        b"/a/..",
        b"/a/..?b",
        b"/%2e%2e",
        b"/%2E%2e/a",
        b"/.%2e/a",
        b"/a/%2e./b",
        b"/..%2fa",
        b"/%2e%2e%2fa",
        b"/..\\a",
        b"/a%5c..%5cb",
        b"/a\\..",
        b"/a%00",
        b"/%00",
        b"/a%0d",
        b"/a%0a",
        b"/a%0D%0Ab",
        b"/a#b",
        b"/a?b#c",
        b"/a b",
        b"/\x7f",
        b"/\x01",
        b"/\xc3\xa4",
        b"/a\nb",
    ],
)
def test_bad_paths(target: bytes) -> None:
    with pytest.raises(BadRequest):
        check(HOST, target=target)


@given(st.lists(st.sampled_from([b"..", b"%2e", b"%2E", b".", b"/", b"%2f", b"\\", b"%5C", b"a", b"%25"]), max_size=8))
def test_nothing_that_decodes_to_a_walk_up_comes_through(pieces: list[bytes]) -> None:
    target = b"/" + b"".join(pieces)
    decoded = target
    for code, character in ((b"%2e", b"."), (b"%2E", b"."), (b"%2f", b"/"), (b"%5C", b"/"), (b"\\", b"/")):
        decoded = decoded.replace(code, character)
    if b".." in decoded.split(b"/"):
        with pytest.raises(BadRequest):
            check(HOST, target=target)
    else:
        assert check(HOST, target=target).request.target == target.decode()


# --- what is taken away ---


@pytest.mark.parametrize(
    "name",
    [
        b"spin-client-addr",
        b"spin-path-match-x",
        b"spin-anything",
        b"spin_full_url",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authorization",
        b"te",
        b"upgrade",
        b"http2-settings",
    ],
)
def test_headers_that_no_guest_sees(name: bytes) -> None:
    guarded = check(HOST, (b"before", b"1"), (name, b"x"), (b"after", b"2"))
    assert guarded.request.headers == [HOST, (b"before", b"1"), (b"after", b"2")]


@pytest.mark.parametrize("name", [b"spinning", b"x-spin-client-addr", b"trailer", b"authorization", b"traceparent"])
def test_headers_that_they_do(name: bytes) -> None:
    assert (name, b"x") in check(HOST, (name, b"x")).request.headers


def test_transfer_encoding_is_taken_away_and_content_length_is_not() -> None:
    assert check(HOST, (b"transfer-encoding", b"chunked")).request.headers == [HOST]
    assert check(HOST, (b"content-length", b"1")).request.headers == [HOST, (b"content-length", b"1")]


def test_a_connection_field_removes_nothing_else() -> None:
    guarded = check(HOST, (b"connection", b"authorization, x-forwarded-for"), (b"authorization", b"secret"))
    assert guarded.request.headers == [HOST, (b"authorization", b"secret")]


# --- what the connection needs to know ---


@pytest.mark.parametrize(
    ("values", "close", "keep_alive"),
    [
        ([b"close"], True, False),
        ([b"Close"], True, False),
        ([b"keep-alive"], False, True),
        ([b"Keep-Alive, Upgrade"], False, True),
        ([b"upgrade,\tclose"], True, False),
        ([b"upgrade", b"close"], True, False),
        ([b"closed"], False, False),
        ([b""], False, False),
    ],
)
def test_connection_options(values: list[bytes], close: bool, keep_alive: bool) -> None:
    guarded = check(HOST, *[(b"connection", value) for value in values])
    assert (guarded.close, guarded.keep_alive) == (close, keep_alive)


def test_expect_continue() -> None:
    assert check(HOST, (b"expect", b"100-Continue"), (b"content-length", b"1")).expects_continue
    assert check(HOST, (b"expect", b"100-continue"), (b"transfer-encoding", b"chunked")).expects_continue


def test_expect_continue_without_a_body_or_in_http_1_0_means_nothing() -> None:
    assert not check(HOST, (b"expect", b"100-continue")).expects_continue
    assert not check(HOST, (b"expect", b"100-continue"), (b"content-length", b"1"), version="1.0").expects_continue


def test_another_expectation() -> None:
    with pytest.raises(ExpectationFailed):
        check(HOST, (b"expect", b"200-ok"))


# --- fields of HTTP/2 and 3 ---


@pytest.mark.parametrize(
    "field", [(b"", b"x"), (b"a b", b"x"), (b"A", b"x"), (b"a:", b"x"), (b"a", b"x\r\ny"), (b"a", b"\0"), (b"a\n", b"")]
)
def test_fields_that_are_none(field: Header) -> None:
    with pytest.raises(BadRequest):
        check_field_names([(b"ok", b"x"), field])


def test_fields_that_are_some() -> None:
    check_field_names([(b"x-a_b.c!", b"\xff \t"), (b"a", b"")])
