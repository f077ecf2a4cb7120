"""One request with a whole body for one response with a whole body: for services that the operator names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import trio

from edged.host.http.error import HttpError
from edged.host.http.transport import InboundResponse, OutboundRequest, Timeouts, Transport
from edged.http.exchange import Header
from edged.limits import READ_CHUNK_BYTES

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A response. Names of headers are in lower case."""

    status: int
    headers: Sequence[Header]
    body: bytes


class WholeBody:
    """A request's body that is there. See `edged.host.http.transport.RequestBody`."""

    __slots__ = ("_ahead", "length")

    def __init__(self, data: bytes) -> None:
        self._ahead = memoryview(data)
        self.length: int | None = len(data)

    def receive_nowait(self, bytes_max: int) -> bytes:
        data, self._ahead = self._ahead[:bytes_max], self._ahead[bytes_max:]
        return bytes(data)

    async def receive(self, bytes_max: int) -> bytes:
        return self.receive_nowait(bytes_max)

    def trailers(self) -> Sequence[Header]:
        return ()

    def close(self) -> None:
        pass


async def fetch(
    transport: Transport,
    method: str,
    url: str,
    *,
    headers: Iterable[Header] = (),
    body: bytes | None = None,
    timeout_s: float,
    body_bytes_max: int,
) -> Fetched:
    """Send a request and read its response, whatever its status.

    Args:
        transport: an `HttpClient`. Its dialer decides which addresses may be reached; no manifest is asked.
        url: http or https, without a user.
        headers: without host and content-length.
        timeout_s: for all of it.
        body_bytes_max: more of a response is an error.

    Raises:
        HttpError: with the error-code; `HTTP-response-timeout` past `timeout_s`.
        ValueError: the URL is not one. The message does not show it: it may hold a secret.
    """
    url_parts = _parse(url)
    request = OutboundRequest(
        method=method,
        scheme=url_parts.scheme,
        authority=url_parts.netloc,
        host=url_parts.hostname or "",
        port=url_parts.port or _PORTS[url_parts.scheme],
        target=(url_parts.path or "/") + (f"?{url_parts.query}" if url_parts.query else ""),
        headers=list(headers),
        body=None if body is None else WholeBody(body),
        timeouts=Timeouts(timeout_s, timeout_s, timeout_s),
        response_body_bytes_max=body_bytes_max,
    )
    responses: list[InboundResponse] = []
    try:
        with trio.move_on_after(timeout_s) as scope:
            await transport.send(request, responses.append)
            (response,) = responses
            return Fetched(response.status, response.headers, await _read(response))
        assert scope.cancelled_caught
        raise HttpError("HTTP-response-timeout")
    finally:
        for response in responses:
            response.body.close()


async def _read(response: InboundResponse) -> bytes:
    pieces: list[bytes] = []
    while piece := await response.body.receive(READ_CHUNK_BYTES):
        pieces.append(piece)
    return b"".join(pieces)


def _parse(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or port == 0:
        raise ValueError("not an http or https URL of a host without a user")
    return parts
