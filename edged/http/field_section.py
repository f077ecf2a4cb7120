"""A request as HTTP/2 and 3 carry it: fields, some with a colon (RFC 9113 section 8.3, RFC 9114 section 4.3)."""

from __future__ import annotations

from collections.abc import Sequence

from edged.errors import BadRequest, HeadersTooLarge, UriTooLong
from edged.http.exchange import OURS, Header, RequestHead
from edged.http.guard import Guarded, check_field_names, guard
from edged.limits import HEADER_COUNT_MAX, REQUEST_LINE_BYTES_MAX

_NOT_TAKEN = (b":", *OURS)


def guard_section(fields: Sequence[Header], version: str, client: tuple[str, int]) -> Guarded:
    """The request that a HEADERS frame makes.

    Raises:
        RequestRefused
    """
    if len(fields) > HEADER_COUNT_MAX:
        raise HeadersTooLarge(f"the request has more than {HEADER_COUNT_MAX} header fields")
    pseudo: dict[bytes, bytes] = {}
    hosts: set[bytes] = set()
    headers: list[Header] = []
    cookies: list[bytes] = []
    for name, value in fields:
        if name.startswith(b":"):
            pseudo[name] = value
            if name == b":authority":
                hosts.add(value)
        elif name == b"host":
            hosts.add(value)
        elif name == b"cookie":
            cookies.append(value)  # may come in pieces (RFC 9113 section 8.2.3)
        else:
            headers.append((bytes(name), bytes(value)))
    if len(hosts) > 1:
        raise BadRequest("Host and :authority differ")
    headers[:0] = [(b"host", host) for host in hosts]
    if cookies:
        headers.append((b"cookie", b"; ".join(cookies)))
    check_field_names(headers)
    target = pseudo.get(b":path", b"")
    if len(target) > REQUEST_LINE_BYTES_MAX:
        raise UriTooLong(f"the path is longer than {REQUEST_LINE_BYTES_MAX} bytes")
    method = pseudo.get(b":method", b"").decode("latin-1")
    return guard(method, target, version, headers, scheme="https", client=client)


def refused(fields: Sequence[Header], version: str, client: tuple[str, int]) -> Guarded:
    """What stands for a request that was refused: its answer only depends on whether it may have a body."""
    method = "HEAD" if (b":method", b"HEAD") in fields else "GET"
    return Guarded(RequestHead(method, "https", "", "/", version, (), client))


def trailers(fields: Sequence[Header]) -> list[Header]:
    """The trailer fields that a guest may see."""
    return [(bytes(name), bytes(value)) for name, value in fields if not name.startswith(_NOT_TAKEN)]
