"""The bytes of a request head, taken apart: RFC 9112 sections 2 to 5.

httptools (llhttp) does the tokens. What it lets through although two recipients could read it differently is
checked here on the bytes: lines that end in a bare LF, more than one space in the request line, versions that are not
HTTP/1.x. What the parts mean is `edged.http.guard`'s to judge.
"""

from __future__ import annotations

from dataclasses import dataclass

import httptools

from edged.errors import BadRequest, HeadersTooLarge, NotImplementedByServer, UriTooLong, VersionUnsupported
from edged.http.exchange import Header
from edged.limits import HEADER_BYTES_MAX, HEADER_COUNT_MAX, REQUEST_LINE_BYTES_MAX

_VERSIONS = {b" HTTP/1.1": "1.1", b" HTTP/1.0": "1.0"}

HEAD_BYTES_MAX = REQUEST_LINE_BYTES_MAX + 2 + HEADER_BYTES_MAX + 2
"""A request line, its fields and the blank line, each as long as it may be."""


@dataclass(slots=True)
class Head:
    """A well-formed request head whose meaning nobody looked at yet."""

    method: str
    target: bytes
    version: str
    """`1.0` or `1.1`."""
    headers: list[Header]


class _Collector:
    """What httptools calls back."""

    __slots__ = ("headers", "target")

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[Header] = []

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp strips white space before a value, but not after it.
        self.headers.append((name.lower(), value.rstrip(b" \t")))


def parse_head(head: bytes) -> Head:
    """Parse a head that ends with its blank line.

    Raises:
        BadRequest, UriTooLong, HeadersTooLarge, NotImplementedByServer, VersionUnsupported
    """
    line_end = head.find(b"\r\n")
    if line_end > REQUEST_LINE_BYTES_MAX:
        raise UriTooLong(f"the request line is longer than {REQUEST_LINE_BYTES_MAX} bytes")
    if len(head) - line_end - 4 > HEADER_BYTES_MAX:
        raise HeadersTooLarge(f"the header fields are longer than {HEADER_BYTES_MAX} bytes")
    line_count = head.count(b"\r\n")
    if line_count - 2 > HEADER_COUNT_MAX:
        raise HeadersTooLarge(f"the request has more than {HEADER_COUNT_MAX} header fields")
    if head.count(b"\n") != line_count:
        raise BadRequest("a line of the request head ends in LF without CR")

    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # CONNECT and Upgrade: the guard refuses the one, the other is answered in HTTP/1.1
    except httptools.HttpParserError as error:
        raise _refusal(head, line_end, error) from None

    method: bytes = parser.get_method()
    target = collector.target
    version = _VERSIONS.get(head[line_end - 9 : line_end])
    if version is None:
        raise VersionUnsupported("the request line does not end in HTTP/1.1 or HTTP/1.0")
    if line_end != len(method) + len(target) + 10:  # 10: a space, and " HTTP/1.1"
        raise BadRequest("the request line is not a method, one space, a target, one space and a version")
    return Head(method.decode(), target, version, collector.headers)


def refuse_unfinished(buffer: bytes | bytearray) -> None:
    """Refuse input that can no more become a head within the limits: called while its blank line is awaited.

    Raises:
        UriTooLong, HeadersTooLarge
    """
    if buffer.find(b"\r\n", 0, REQUEST_LINE_BYTES_MAX + 2) < 0 and len(buffer) > REQUEST_LINE_BYTES_MAX + 1:
        raise UriTooLong(f"the request line is longer than {REQUEST_LINE_BYTES_MAX} bytes")
    if len(buffer) >= HEAD_BYTES_MAX:
        raise HeadersTooLarge(f"the header fields are longer than {HEADER_BYTES_MAX} bytes")


def _refusal(
    head: bytes, line_end: int, error: httptools.HttpParserError
) -> BadRequest | NotImplementedByServer | VersionUnsupported:
    """llhttp's complaint as one of ours."""
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return NotImplementedByServer("the request method is not one that edged knows")
    if b" HTTP/" in head[:line_end] and head[line_end - 9 : line_end] not in _VERSIONS:
        return VersionUnsupported("the request line does not end in HTTP/1.1 or HTTP/1.0")
    return BadRequest(f"malformed request head: {error}")
