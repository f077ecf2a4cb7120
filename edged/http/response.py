"""A response on its way out: what a handler said, checked and gathered, and its head in HTTP/1.1's bytes.

Sans-IO: `Response` gathers and checks, whatever carries it; `encode_head` is HTTP/1.1's.
"""

from __future__ import annotations

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

import trio

from edged.errors import EdgedError, GuestNoResponse, GuestResponseInvalid, HostFailed
from edged.http.exchange import Header
from edged.limits import HEADER_BYTES_MAX, HEADER_COUNT_MAX, WRITE_BUFFER_BYTES

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAKS_OUT = re.compile(rb"[\r\n\0]")
_DIGITS = re.compile(rb"[0-9]{1,18}")
# Framing and connection management are ours alone.
_REMOVED = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"http2-settings"}
)
_REMOVED_FROM_TRAILERS = _REMOVED | {b"content-length", b"host", b"trailer", b"te"}
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}


class Response(ABC):
    """One response: status, headers, body bytes gathered but not sent.

    Subclasses send: they implement flush, finish and abort of `edged.http.exchange.Exchange`.
    """

    __slots__ = (
        "_announced",
        "_bodyless",
        "_finished",
        "_gathered",
        "_head_sent",
        "_headers",
        "_interim",
        "_method",
        "_pieces",
        "_status",
        "_written",
    )

    def __init__(self, method: str) -> None:
        self._method = method
        self._status = 0
        self._headers: Sequence[Header] = ()
        self._bodyless = False
        self._announced: int | None = None
        """The content-length that the handler gave."""
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._written = 0
        self._head_sent = False
        self._finished = False
        self._interim: trio.Event | None = None

    @property
    def responded(self) -> bool:
        return self._status != 0

    def respond(self, status: int, headers: Sequence[Header]) -> None:
        """Set status and headers; see `Exchange.respond`.

        Raises:
            GuestResponseInvalid: a status or a field that HTTP cannot carry.
        """
        assert not self._status, "one exchange, one response"
        if not 200 <= status <= 999:
            raise GuestResponseInvalid(f"{status} is not the status of a final response")
        self._headers, self._announced = check_headers(headers)
        self._status = status
        self._bodyless = self._method == "HEAD" or status in {204, 304}

    def write_capacity(self) -> int:
        return max(0, WRITE_BUFFER_BYTES - self._gathered)

    def write(self, data: bytes) -> None:
        assert self._status, "write after respond"
        if self._bodyless:
            return  # the body of a HEAD, 204 or 304 is not sent (RFC 9110 section 6.4.1)
        self._written += len(data)
        if self._announced is not None and self._written > self._announced:
            raise GuestResponseInvalid(f"the response has more bytes than its content-length, {self._announced}")
        if data:
            self._pieces.append(data)
            self._gathered += len(data)

    async def _send_interim(self, sending: Awaitable[None]) -> None:
        """Send `100 Continue`, which whoever receives does: it may be another task than the one that responds."""
        self._interim = sent = trio.Event()
        try:
            await sending
        finally:
            self._interim = None
            sent.set()

    def _take(self) -> bytes:
        """The gathered bytes, which the caller sends."""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        self._gathered = 0
        return data

    def _check_whole(self) -> None:
        """Raises GuestResponseInvalid if the body ended before its content-length."""
        if self._announced is not None and not self._bodyless and self._written < self._announced:
            raise GuestResponseInvalid(f"the response ended {self._announced - self._written} bytes short")

    @abstractmethod
    async def finish(self, trailers: Sequence[Header] = ()) -> None:
        """See `Exchange.finish`."""

    @abstractmethod
    def abort(self) -> None:
        """See `Exchange.abort`."""

    async def conclude(self, failure: EdgedError | None) -> bool:
        """After the handler: answer for it if it did not.

        Returns:
            Whether the client got a whole response.

        Raises:
            ClientGone
        """
        return self._finished or await self._settle(failure)

    async def _settle(self, failure: EdgedError | None) -> bool:
        """Answer for a handler that did not: with its error if nothing was sent yet, else by cutting the response.

        Returns:
            Whether the client got a whole response.

        Raises:
            ClientGone
        """
        if failure is None:
            if self._status:
                failure = HostFailed("the handler returned without finishing its response")
            else:
                failure = GuestNoResponse("the handler returned without a response")
        if self._head_sent:
            self.abort()
            return False
        self._status = 0
        self._pieces = []
        self._gathered = self._written = 0
        status, headers, body = error_response(failure)
        self.respond(status, headers)
        self.write(body)
        await self.finish()
        return True


@lru_cache(maxsize=1024)
def _field_name(name: bytes) -> bytes:
    """The name in lower case; empty for one that is not the handler's to set."""
    if not _TOKEN.fullmatch(name):
        raise GuestResponseInvalid(f"{name[:64]!r} is not the name of a header field")
    lower = name.lower()
    return b"" if lower in _REMOVED else lower


def check_headers(headers: Sequence[Header]) -> tuple[list[Header], int | None]:
    """Response fields as they may be sent, without content-length, which is returned apart.

    Raises:
        GuestResponseInvalid: a name or value that would break out of its line; two different lengths; more than a
            request may have, which no client would take.
    """
    if len(headers) > HEADER_COUNT_MAX:
        raise GuestResponseInvalid(f"the response has more than {HEADER_COUNT_MAX} header fields")
    checked: list[Header] = []
    length: int | None = None
    size = 0
    for given, value in headers:
        size += len(given) + len(value)
        if size > HEADER_BYTES_MAX:
            raise GuestResponseInvalid(f"the response's header fields are longer than {HEADER_BYTES_MAX} bytes")
        name = _field_name(given)
        if _BREAKS_OUT.search(value):
            raise GuestResponseInvalid(f"the value of {given.decode('latin-1')} has CR, LF or NUL in it")
        if name == b"content-length":
            if not _DIGITS.fullmatch(value) or length not in {None, int(value)}:
                raise GuestResponseInvalid("content-length is not one number")
            length = int(value)
        elif name:
            checked.append((name, value))
    return checked, length


def check_trailers(trailers: Sequence[Header]) -> list[Header]:
    """Trailer fields as they may be sent (RFC 9110 section 6.5.1).

    Raises:
        GuestResponseInvalid
    """
    checked, _ = check_headers(trailers)
    return [field for field in checked if field[0] not in _REMOVED_FROM_TRAILERS]


def encode_fields(fields: Sequence[Header]) -> bytes:
    """Checked fields as lines."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])


def encode_head(status: int, fields: Sequence[Header], framing: bytes) -> bytes:
    """An HTTP/1.1 response head.

    Args:
        fields: checked.
        framing: complete lines that say how the body and the connection end.
    """
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    date = b"" if dated(fields) else b"date: %b\r\n" % date_value()
    return b"%b%b%b%b\r\n" % (line, encode_fields(fields), framing, date)


def dated(fields: Sequence[Header]) -> bool:
    """Whether the handler gave a date; else it is ours to give (RFC 9110 section 6.6.1)."""
    for field in fields:  # noqa: SIM110 - any() with a generator costs more than the rest of the head
        if field[0] == b"date":
            return True
    return False


_date_second = 0
_date_value = b""


def date_value() -> bytes:
    """This second as a `date` field has it."""
    global _date_second, _date_value  # noqa: PLW0603 - a cache of one second, for all connections
    second = int(time.time())
    if second != _date_second:
        _date_second = second
        _date_value = formatdate(second, usegmt=True).encode()
    return _date_value


def error_response(error: EdgedError) -> tuple[int, list[Header], bytes]:
    """Status, headers and body of an error: the JSON shape that all of edged's errors have."""
    shape = error.as_json()
    if isinstance(error, HostFailed):
        shape["message"] = "the host failed"  # what failed is for the log
    body = json.dumps(shape).encode()
    length = b"%d" % len(body)
    return error.http_status, [(b"content-type", b"application/json"), (b"content-length", length)], body
