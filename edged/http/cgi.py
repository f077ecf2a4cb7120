"""CGI/1.1 (RFC 3875) as Spin's Wagi executor has it: a request as variables and arguments, output as a response.

Sans-IO. Where Spin departs from the RFC, so does this: `PATH_INFO` is as sent (`PATH_TRANSLATED` is decoded),
`SCRIPT_NAME` is the route without its wildcard, but the path in arguments, and a `status` alone makes a response. Where
Spin loses something, this does not: fields sent twice are joined, and `set-cookie` may be written twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from edged.errors import GuestBudgetExhausted, GuestResponseInvalid
from edged.http.exchange import Header, RequestHead
from edged.http.router import RouteMatch, spin_headers
from edged.limits import ARGUMENTS_CHARS_MAX, HEADER_BYTES_MAX

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_PLACEHOLDER = re.compile(r"\$\{(?:SCRIPT_NAME|ARGS)\}")
_VERSIONS: Mapping[str, str] = {"2": "HTTP/2.0", "3": "HTTP/3.0"}
_DEFAULT_PORTS: Mapping[str, str] = {"http": "80", "https": "443"}
_KEPT_BACK = frozenset({"authorization", "connection", "proxy"})
"""Fields that become no variable. RFC 3875 section 4.1.18 has the first two; `HTTP_PROXY` would be taken for the
configuration of a proxy (CVE-2016-5385)."""


def variables(request: RequestHead, match: RouteMatch[Any], body_length: int | None) -> dict[str, str]:
    """The environment of one request.

    Args:
        body_length: of the request's body in bytes; None where that is not known before it has come, and
            `CONTENT_LENGTH` is not there.
    """
    host, port = _host_and_port(request)
    found = {
        "AUTH_TYPE": "",
        "CONTENT_TYPE": "",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "PATH_TRANSLATED": unquote(match.path_info),
        "QUERY_STRING": request.query,
        "REMOTE_ADDR": request.client[0],
        "REMOTE_HOST": request.client[0],
        "REMOTE_USER": "",
        "REQUEST_METHOD": request.method,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": _VERSIONS.get(request.http_version, f"HTTP/{request.http_version}"),
        "SERVER_SOFTWARE": "WAGI/1",
        "X_RAW_PATH_INFO": match.path_info,
    }
    if body_length is not None:
        found["CONTENT_LENGTH"] = str(body_length)
    for name, value in _joined(request.headers).items():
        if name == "content-type":
            found["CONTENT_TYPE"] = value
        if name not in _KEPT_BACK:
            found[f"HTTP_{_variable(name)}"] = value
    for field, raw in spin_headers(match, request):
        name = _variable(field.decode().removeprefix("spin-"))
        found[name if name == "PATH_INFO" else f"X_{name}"] = raw.decode()
    found["SCRIPT_NAME"] = found["X_COMPONENT_ROUTE"]
    return found


def arguments(template: str, request: RequestHead) -> list[str]:
    """The argv of one request.

    Args:
        template: words separated by blanks. In them `${SCRIPT_NAME}` stands for the path and `${ARGS}` for the pieces
            of the query between its `&`, as sent; a word that is `${ARGS}` becomes a word for each piece.

    Raises:
        GuestBudgetExhausted: a template that says them often has made too much of path and query.
    """
    pieces = [piece for piece in request.query.split("&") if piece]
    values = {"${SCRIPT_NAME}": request.path, "${ARGS}": " ".join(pieces)}
    words: list[str] = []
    left = ARGUMENTS_CHARS_MAX
    for word in template.split():
        left -= len(word) + 1 + sum(word.count(name) * len(value) for name, value in values.items())
        if left < 0:
            raise GuestBudgetExhausted(f"the program's arguments are longer than {ARGUMENTS_CHARS_MAX} characters")
        if word == "${ARGS}":
            words += pieces
        else:
            # In one go: what a client writes into its path stands for nothing.
            words.append(_PLACEHOLDER.sub(lambda found: values[found[0]], word))
    return words


@dataclass(frozen=True, slots=True)
class CgiHead:
    """What stands before the blank line."""

    status: int
    headers: Sequence[Header]


class CgiOutput:
    """The output of one program, taken as it comes.

    Attributes:
        head: once it is whole.
        empty: nothing was written yet.
    """

    __slots__ = ("_held", "empty", "head")

    def __init__(self) -> None:
        self._held = bytearray()
        self.empty = True
        self.head: CgiHead | None = None

    def feed(self, data: bytes) -> bytes:
        """Take output; what of it belongs to the body is returned.

        Raises:
            GuestResponseInvalid: the head is longer than may be, or says none of what makes a response.
        """
        if self.head is not None:
            return data
        self.empty = self.empty and not data
        held, known = self._held, len(self._held)
        held += data
        end = _head_end(held, max(known - 2, 0))
        _check_length(len(held) if end is None else end[0])
        if end is None:
            return b""
        self.head = _parse_head(bytes(held[: end[0]]))
        rest = bytes(held[end[1] :])
        held.clear()
        return rest


def _check_length(length: int) -> None:
    if length > HEADER_BYTES_MAX:
        raise GuestResponseInvalid(f"the program wrote more than {HEADER_BYTES_MAX} bytes and no blank line")


def _head_end(data: bytearray, start: int) -> tuple[int, int] | None:
    """Where the head's last line ends, and where the body begins. Lines end with LF or CR LF.

    Args:
        start: nothing ends before.
    """
    ends = [(at, at + len(blank)) for blank in (b"\n\n", b"\n\r\n") if (at := data.find(blank, start)) >= 0]
    return min(ends, default=None)


def _parse_head(data: bytes) -> CgiHead:
    """Lines that are no field are passed over, as Spin does: programs print what they should not."""
    status: int | None = None
    headers: list[Header] = []
    once: dict[bytes, bytes] = {}
    for line in data.split(b"\n"):
        name, colon, value = line.partition(b":")
        name, value = name.strip().lower(), value.strip()
        if not colon or not _TOKEN.fullmatch(name):
            continue
        if name == b"status":
            status = _status(value)
        elif name in (b"content-type", b"location"):
            once[name] = value
        else:
            headers.append((name, value))
    if status is None and not once:
        raise GuestResponseInvalid("the program wrote no content-type, location or status before its first blank line")
    if status is None:
        status = 302 if b"location" in once else 200
    return CgiHead(status, [*once.items(), *headers])


def _status(value: bytes) -> int:
    """`404 Not Found`: the number."""
    code = value.split(b" ")[0]
    if len(code) != 3 or not code.isdigit():
        raise GuestResponseInvalid(f"the program wrote the status {value[:64].decode('latin-1')!r}, which is none")
    return int(code)


def _joined(headers: Sequence[Header]) -> dict[str, str]:
    """Fields by name, several of one name as one (RFC 9110 section 5.3, RFC 6265 section 5.4 for cookies)."""
    joined: dict[str, str] = {}
    for field, raw in headers:
        name, value = field.decode("latin-1"), raw.decode("utf-8", "replace")
        if name in joined:
            value = joined[name] + ("; " if name == "cookie" else ", ") + value
        joined[name] = value
    return joined


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _host_and_port(request: RequestHead) -> tuple[str, str]:
    host, _, port = request.authority.rpartition(":")
    if not host or "]" in port:
        host, port = request.authority, ""
    return host, port or _DEFAULT_PORTS.get(request.scheme, "80")
