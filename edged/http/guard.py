"""What a request must be before anything else sees it: pure checks on a parsed head.

Every check has one reason: a request that a proxy in front, edged and a guest could understand differently is
refused, never mended (RFC 9112 sections 3, 6.3 and 11; RFC 9110 sections 7 and 9).

Decided here:
- `Upgrade` (h2c, WebSocket) is ignored, as RFC 9110 section 7.8 allows: the request is answered in HTTP/1.1 and the
  guest does not see the field. A client that offers h2c with every first request (curl --http2) keeps working, and
  nothing is ever tunnelled.
- Fields that only concern one connection are removed by a fixed list. What a `Connection` field names beyond it stays:
  else a client could remove a header that something in front of us added.
- `OPTIONS *` asks about no app and is refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from edged.errors import BadRequest, ExpectationFailed, NotImplementedByServer
from edged.http.exchange import OURS, Header, RequestHead
from edged.limits import AUTHORITY_BYTES_MAX

CHUNKED: Final = -1
"""As a body length: the body is chunked."""

METHODS_REFUSED = frozenset({"CONNECT", "TRACE"})

_DIGITS = re.compile(rb"[0-9]{1,18}")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# A DNS name or IPv4 address, or an IP literal in brackets. RFC 3986 allows more, which no host is called.
_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9\-._]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_TARGET = re.compile(rb"[\x21\x22\x24-\x7e]+")  # visible ASCII without `#`

# One look-up per header field decides whether it needs more than to be passed on.
_HOST, _LENGTH, _TRANSFER, _CONNECTION, _EXPECT, _REMOVED = range(6)
_SPECIAL = {
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _TRANSFER,
    b"connection": _CONNECTION,
    b"expect": _EXPECT,
    b"keep-alive": _REMOVED,
    b"proxy-connection": _REMOVED,
    b"proxy-authorization": _REMOVED,
    b"te": _REMOVED,
    b"upgrade": _REMOVED,
    b"http2-settings": _REMOVED,
}


class Guarded:
    """A request that passed, and what its connection needs to know of it."""

    __slots__ = ("body_length", "close", "expects_continue", "keep_alive", "request")

    def __init__(self, request: RequestHead) -> None:
        self.request = request
        self.body_length = 0
        """In bytes; `CHUNKED` where only its end tells."""
        self.close = False
        """`Connection: close`."""
        self.keep_alive = False
        """`Connection: keep-alive`, which HTTP/1.0 needs."""
        self.expects_continue = False


def guard(
    method: str,
    target: bytes,
    version: str,
    headers: list[Header],
    *,
    scheme: str,
    client: tuple[str, int],
) -> Guarded:
    """Check a request and say what remains of it.

    Args:
        target: as sent in HTTP/1; `:path` in HTTP/2 and 3.
        version: `1.0`, `1.1`, `2` or `3`.
        headers: names in lower case, values without white space around them; `:authority` as `host`.

    Raises:
        BadRequest: what RFC 9112 calls invalid, or ambiguous.
        NotImplementedByServer: CONNECT, TRACE, transfer codings other than chunked.
        ExpectationFailed: an Expect other than 100-continue.
    """
    if method in METHODS_REFUSED:
        raise NotImplementedByServer(f"the method {method} is not served")
    kept: list[Header] = []
    length: bytes | None = None
    codings: list[bytes] = []
    connection: list[bytes] = []
    expect: bytes | None = None
    authority: bytes | None = None
    for header in headers:
        name = header[0]
        special = _SPECIAL.get(name)
        if special is None:
            if not name.startswith(OURS):
                kept.append(header)
        elif special == _HOST:
            if authority is not None:
                raise BadRequest("more than one Host")
            authority = header[1]
            kept.append(header)
        elif special == _LENGTH:
            if length is not None:
                raise BadRequest("more than one Content-Length")
            length = header[1]
            kept.append(header)
        elif special == _TRANSFER:
            codings.append(header[1])
        elif special == _CONNECTION:
            connection.append(header[1])
        elif special == _EXPECT:
            expect = header[1]

    if authority is None:
        if version != "1.0":
            raise BadRequest("the Host header is missing")
        authority = b"localhost"  # what Spin assumes; HTTP/1.0 did not know Host
    host = _authority(authority)
    origin = target if target.startswith(b"/") else _origin_form(target, host, scheme)
    _check_path(origin)

    guarded = Guarded(RequestHead(method, scheme, host, origin.decode("ascii"), version, kept, client))
    if length is not None or codings:
        guarded.body_length = _body_length(length, codings, version)
    if connection:
        options = b",".join(connection).lower().replace(b" ", b"").replace(b"\t", b"").split(b",")
        guarded.close = b"close" in options
        guarded.keep_alive = b"keep-alive" in options
    if expect is not None and version != "1.0":
        if expect.lower() != b"100-continue":
            raise ExpectationFailed("the Expect header asks for something other than 100-continue")
        guarded.expects_continue = guarded.body_length != 0
    return guarded


def check_field_names(headers: list[Header]) -> None:
    """Refuse names and values that HTTP/2 and 3 framing could carry, but no field has (RFC 9113 section 8.2.1).

    Raises:
        BadRequest
    """
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or name != name.lower():
            raise BadRequest("a header field's name is not one")
        if b"\r" in value or b"\n" in value or b"\0" in value:
            raise BadRequest("a header field's value has CR, LF or NUL in it")


def _body_length(length: bytes | None, codings: list[bytes], version: str) -> int:
    """RFC 9112 section 6.3, without the ways out that it leaves to lenient servers."""
    if codings:
        if length is not None:
            raise BadRequest("Content-Length and Transfer-Encoding in one request")
        if version != "1.1":
            raise BadRequest(f"Transfer-Encoding in HTTP/{version}")
        names = [name.strip(b" \t") for name in b",".join(codings).lower().split(b",")]
        if names == [b"chunked"]:
            return CHUNKED
        if names[-1] == b"chunked" and names.count(b"chunked") == 1:
            raise NotImplementedByServer("a transfer coding other than chunked")
        raise BadRequest("chunked is not the last, and only once named, transfer coding")
    assert length is not None
    if not _DIGITS.fullmatch(length):
        raise BadRequest("Content-Length is not a number")
    return int(length)


@lru_cache(maxsize=1024)
def _known_authority(value: bytes) -> str | None:
    match = _AUTHORITY.fullmatch(value)
    if match is None or (match[1] and int(match[1]) > 65535):
        return None
    return value.decode("ascii")


def _authority(value: bytes) -> str:
    # Length first: the cache must not fill with kilobytes.
    authority = _known_authority(value) if len(value) <= AUTHORITY_BYTES_MAX else None
    if authority is None:
        raise BadRequest("the host is not a name or address with an optional port")
    return authority


def _origin_form(target: bytes, host: str, scheme: str) -> bytes:
    """The path and query of an absolute-form target (RFC 9112 section 3.2.2), which must name the same host."""
    prefix = scheme.encode() + b"://"
    if target[: len(prefix)].lower() != prefix:
        raise BadRequest("the request target is neither a path nor a URL of this server")
    rest = target[len(prefix) :]
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    port = ":443" if scheme == "https" else ":80"
    named = _authority(rest[:end]).lower().removesuffix(port)
    if named != host.lower().removesuffix(port):
        raise BadRequest("Host and the request target name different hosts")
    path = rest[end:]
    return path if path.startswith(b"/") else b"/" + path


def _check_path(target: bytes) -> None:
    if not _TARGET.fullmatch(target):
        raise BadRequest("the request target has a character that no URL has")
    if b".." not in target and b"%" not in target:
        return
    path = unquote_to_bytes(target.partition(b"?")[0])
    if b"\0" in path or b"\r" in path or b"\n" in path:
        raise BadRequest("the path has NUL, CR or LF in it")
    # Backslashes too: a guest that runs a Windows-minded library would walk up on them.
    if b".." in path.replace(b"\\", b"/").split(b"/"):
        raise BadRequest("the path has a '..' segment")
