"""One HTTP request and its response, whatever carried it.

`edged.http.connection` (HTTP/1.1 on a socket) and `edged.http.gateway` (hypercorn: TLS, HTTP/2, HTTP/3) both make an
Exchange and hand it to the same handler. The handler reads the body, answers once, and returns; it runs
in the task that made the exchange.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Header = tuple[bytes, bytes]
"""Name in lower case, value as received or as sent (no CR, LF, NUL)."""


class ClientGone(Exception):
    """The client closed or reset the connection. The handler stops; there is nobody to answer."""


class BodyError(Exception):
    """The request body broke HTTP, was too slow or too large. The connection ends after this exchange.

    Attributes:
        status: 400, 408 or 413, for a handler that has not answered yet.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


OURS = (b"spin-", b"spin_")
"""How the names of fields begin that only edged sets: they tell a guest where a request came from."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's head, already guarded: well-formed, Host checked, path decodable."""

    method: str
    """As sent: `GET`."""
    scheme: str
    """`http` or `https`."""
    authority: str
    """The Host header or :authority."""
    target: str
    """Path and query as sent, percent-encoding untouched: `/a%20b?c=d`."""
    http_version: str
    """`1.0`, `1.1`, `2` or `3`."""
    headers: Sequence[Header]
    """In the order received. Without `spin-*`, which only edged sets."""
    client: tuple[str, int]
    """Address and port of the peer."""

    @property
    def path(self) -> str:
        """The target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


class Exchange(Protocol):
    """One request, one response. One task may receive while another responds."""

    request: RequestHead
    request_body_bytes_max: int
    """More than this of a request body is a `BodyError` 413. The handler may set it, before it first receives."""

    @property
    def responded(self) -> bool:
        """True once `respond` was called."""

    async def receive(self, bytes_max: int) -> bytes:
        """Next piece of the request body, at most `bytes_max` bytes; `b""` at its end.

        Does not yield where bytes are there already.

        Raises:
            BodyError: the body is malformed, too large or too slow.
            ClientGone: the connection broke before the body ended.
        """

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        """What `receive` would give at once, or None where it would wait. Same errors.

        Only `receive` asks a client for a body that waits for `100 Continue`.
        """

    def request_trailers(self) -> Sequence[Header]:
        """Trailer fields; complete only after `receive` gave `b""`."""

    def respond(self, status: int, headers: Sequence[Header]) -> None:
        """Set status and headers. Nothing is sent before `flush`, a full buffer or `finish`.

        Framing headers (`transfer-encoding`, `connection`) are the exchange's own: given ones are dropped. A
        `content-length` is kept and enforced. May be called once; later calls are our mistake.

        Raises:
            edged.errors.GuestResponseInvalid: a status outside 200 to 999, a field that HTTP cannot carry.
        """

    def write_capacity(self) -> int:
        """How many bytes `write` takes now without growing past the buffer's limit; 0 means flush first."""

    def write(self, data: bytes) -> None:
        """Add to the response body. Gathers; `flush` sends. Ignored where HTTP sends no body (HEAD, 204, 304).

        Raises:
            edged.errors.GuestResponseInvalid: more bytes than content-length announced.
        """

    async def flush(self) -> None:
        """Send what was gathered; returns when the socket took it. The way back-pressure reaches a guest.

        Raises:
            ClientGone: nobody is there to take it, or it took nothing for `WRITE_TIMEOUT_S`.
        """

    async def finish(self, trailers: Sequence[Header] = ()) -> None:
        """End the response body and send everything. Trailers are dropped where the framing cannot carry them.

        Raises:
            edged.errors.GuestResponseInvalid: fewer bytes than content-length announced. If anything was sent, the
                connection is cut; else the handler's caller answers with the error.
            ClientGone: as for `flush`.
        """

    def abort(self) -> None:
        """Cut the connection (or reset the stream), so that the client sees an incomplete response."""


Handler = Callable[[Exchange], Awaitable[None]]
"""What a listener calls for each exchange.

It should handle its own errors. What leaves it all the same: `ClientGone` ends the connection; `BodyError` and
`EdgedError` are answered with their status and JSON, anything else with a 500, if nothing was sent yet; if something
was, the connection is cut. Returning without `respond` and `finish` is such an error too.
"""
