"""CGI: what a program is told of a request, and what its output means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import GuestBudgetExhausted, GuestResponseInvalid
from edged.http.cgi import CgiHead, CgiOutput, arguments, variables
from edged.http.exchange import RequestHead
from edged.http.router import Router
from edged.limits import ARGUMENTS_CHARS_MAX, HEADER_BYTES_MAX
from tests.host.fakes import head


def variables_of(request: RequestHead, route: str = "/...", body_length: int | None = 0) -> dict[str, str]:
    match = Router([(route, None)]).match(request.path)
    assert match is not None
    return variables(request, match, body_length)


def test_a_request_as_variables() -> None:
    request = head(
        method="POST",
        target="/base/a/%C3%BC/x?a=1&b=%20c",
        authority="example.com:8080",
        headers=(
            (b"host", b"example.com:8080"),
            (b"content-type", b"text/plain"),
            (b"accept", b"a/b"),
            (b"accept", b"c/d"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
            (b"x-odd-name", "ü".encode()),
        ),
    )
    assert variables_of(request, "/base/:name/...", 17) == {
        "AUTH_TYPE": "",
        "CONTENT_LENGTH": "17",
        "CONTENT_TYPE": "text/plain",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_ACCEPT": "a/b, c/d",
        "HTTP_CONTENT_TYPE": "text/plain",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_HOST": "example.com:8080",
        "HTTP_X_ODD_NAME": "ü",
        "PATH_INFO": "/%C3%BC/x",
        "PATH_TRANSLATED": "/ü/x",
        "QUERY_STRING": "a=1&b=%20c",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_HOST": "192.0.2.1",
        "REMOTE_USER": "",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/base/:name",
        "SERVER_NAME": "example.com",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "WAGI/1",
        "X_BASE_PATH": "/",
        "X_CLIENT_ADDR": "192.0.2.1:40000",
        "X_COMPONENT_ROUTE": "/base/:name",
        "X_FULL_URL": "http://example.com:8080/base/a/%C3%BC/x?a=1&b=%20c",
        "X_MATCHED_ROUTE": "/base/:name/...",
        "X_PATH_MATCH_NAME": "a",
        "X_RAW_COMPONENT_ROUTE": "/base/:name/...",
        "X_RAW_PATH_INFO": "/%C3%BC/x",
    }


def test_a_body_of_unknown_length() -> None:
    assert "CONTENT_LENGTH" not in variables_of(head(), body_length=None)


@pytest.mark.parametrize("name", [b"authorization", b"connection", b"proxy"])
def test_fields_that_become_no_variable(name: bytes) -> None:
    found = variables_of(head(headers=((name, b"secret"), (b"x", b"y"))))
    assert "secret" not in found.values()
    assert found["HTTP_X"] == "y"


@pytest.mark.parametrize(
    ("authority", "scheme", "name", "port"),
    [
        ("a.test", "http", "a.test", "80"),
        ("a.test", "https", "a.test", "443"),
        ("a.test:81", "https", "a.test", "81"),
        ("[::1]", "http", "[::1]", "80"),
        ("[::1]:81", "http", "[::1]", "81"),
        ("", "http", "", "80"),
    ],
)
def test_the_server(authority: str, scheme: str, name: str, port: str) -> None:
    found = variables_of(head(authority=authority, scheme=scheme))
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == (name, port)


@pytest.mark.parametrize(("version", "protocol"), [("1.0", "HTTP/1.0"), ("2", "HTTP/2.0"), ("3", "HTTP/3.0")])
def test_the_protocol(version: str, protocol: str) -> None:
    assert variables_of(head(http_version=version))["SERVER_PROTOCOL"] == protocol


@pytest.mark.parametrize(
    ("template", "target", "words"),
    [
        ("${SCRIPT_NAME} ${ARGS}", "/a/b", ["/a/b"]),
        ("${SCRIPT_NAME} ${ARGS}", "/a/b?x=1&y&&z=%20", ["/a/b", "x=1", "y", "z=%20"]),
        ("  program -a ${ARGS} end", "/?x&y", ["program", "-a", "x", "y", "end"]),
        ("all:${ARGS} ${SCRIPT_NAME}/x", "/a?x&y", ["all:x y", "/a/x"]),
        ("${ARGS}", "/?${SCRIPT_NAME}", ["${SCRIPT_NAME}"]),
        ("${SCRIPT_NAME}x", "/${ARGS}?x", ["/${ARGS}x"]),
        ("", "/?x", []),
    ],
)
def test_arguments(template: str, target: str, words: list[str]) -> None:
    assert arguments(template, head(target=target)) == words


@pytest.mark.parametrize(
    ("word", "length"),
    [("${SCRIPT_NAME}", 14 + 100), ("${ARGS}", 7 + 51), ("-${ARGS}${SCRIPT_NAME}", 22 + 151), ("a", 1)],
)
def test_a_template_makes_only_so_much_of_a_request(word: str, length: int) -> None:
    """It may be as long as a manifest, and path and query as long as a request line: together they were gigabytes."""
    request = head(target=f"/{'a' * 99}?{'b' * 20}&{'c' * 30}")
    fits = ARGUMENTS_CHARS_MAX // (length + 1)
    assert len(arguments(f"{word} " * fits, request)) >= fits
    with pytest.raises(GuestBudgetExhausted, match=str(ARGUMENTS_CHARS_MAX)):
        arguments(f"{word} " * (fits + 1), request)


# --- output ---


def parsed(*pieces: bytes) -> tuple[CgiHead | None, bytes]:
    output = CgiOutput()
    body = b"".join([output.feed(piece) for piece in pieces])
    return output.head, body


OUTPUTS = [
    (b"content-type: text/plain\n\nhello", 200, [(b"content-type", b"text/plain")], b"hello"),
    (b"Content-Type:text/plain\r\n\r\n\r\nhello", 200, [(b"content-type", b"text/plain")], b"\r\nhello"),
    (b"location: /x\n\n", 302, [(b"location", b"/x")], b""),
    (b"location: /x\nstatus: 301 Moved\n\n", 301, [(b"location", b"/x")], b""),
    (b"Status: 404\n\nno", 404, [], b"no"),
    (b"status: 404 Not Found\nX-A: b: c\n\nno", 404, [(b"x-a", b"b: c")], b"no"),
    (
        b"set-cookie: a\nset-cookie: b\ncontent-type: a/b\ncontent-type: c/d\n\n",
        200,
        [(b"content-type", b"c/d"), (b"set-cookie", b"a"), (b"set-cookie", b"b")],
        b"",
    ),
    (b"oops\nan error: x\n:y\ncontent-type: a/b\n\n\n\nx", 200, [(b"content-type", b"a/b")], b"\n\nx"),
]


@pytest.mark.parametrize(("output", "status", "headers", "body"), OUTPUTS)
def test_output_whole_and_byte_by_byte(
    output: bytes, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    assert parsed(output) == (CgiHead(status, headers), body)
    assert parsed(*(bytes([byte]) for byte in output)) == (CgiHead(status, headers), body)


@pytest.mark.parametrize(
    "output", [b"\n\n", b"hello\n\n", b"x-a: b\n\n", b"status: no\n\n", b"status:\n\n", b"status: 20\n\n"]
)
def test_output_that_is_no_response(output: bytes) -> None:
    with pytest.raises(GuestResponseInvalid):
        parsed(output)


def test_output_without_a_blank_line() -> None:
    output = CgiOutput()
    assert output.empty
    assert output.feed(b"") == b""
    assert output.empty
    assert output.feed(b"content-type: a/b\n") == b""
    assert (output.head, output.empty) == (None, False)


def test_a_head_at_the_limit_and_one_over() -> None:
    field = b"status: 200\nx: "
    longest = field + b"y" * (HEADER_BYTES_MAX - len(field))
    assert parsed(longest + b"\n\n")[0] is not None
    for output in (longest + b"y\n\n", longest + b"y"):
        with pytest.raises(GuestResponseInvalid, match="no blank line"):
            parsed(output)


PIECES = st.sampled_from(
    [b"\n", b"\n", b"\r", b"status: 200", b"content-type: a/b", b"x: y", b":", b" ", b"body", b"\xff"]
)


@given(st.lists(PIECES, max_size=12).map(b"".join), st.integers(0, 100))
def test_any_output_means_the_same_however_it_is_cut(output: bytes, at: int) -> None:
    def outcome(*pieces: bytes) -> object:
        try:
            return parsed(*pieces)
        except GuestResponseInvalid as error:
            return str(error)

    assert outcome(output) == outcome(output[:at], output[at:])
