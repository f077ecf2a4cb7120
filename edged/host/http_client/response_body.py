"""The body of a response, read from the connection as the guest asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import h11
import trio

from edged.host.http.error import HttpError
from edged.host.http_client.failure import READ_TIMEOUT
from edged.http.exchange import Header
from edged.limits import CHUNK_COUNT_PER_READ, HEADER_COUNT_MAX, HTTP_CLIENT_CHUNKS_AT_CLOSE, READ_CHUNK_BYTES

Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class Reading(Protocol):
    """A connection, as far as a response's body cares."""

    def next_event(self) -> Event: ...

    async def fill(self) -> None: ...

    def settle(self) -> None: ...

    def abandon(self, failure: HttpError | None = None) -> None: ...


class Http1ResponseBody:
    """See `edged.host.http.transport.ResponseBody`. For one task at a time.

    Args:
        between_bytes_s: how long to wait for more.
        bytes_max: more is the failure HTTP-response-body-size.
    """

    __slots__ = ("_ahead", "_between_bytes_s", "_connection", "_deadline", "_ended", "_failure", "_room", "_trailers")

    def __init__(self, connection: Reading, between_bytes_s: float, bytes_max: int) -> None:
        self._connection = connection
        self._between_bytes_s = between_bytes_s
        self._room = bytes_max
        self._ahead = b""
        self._deadline: float | None = None
        self._ended = False
        self._failure: HttpError | None = None
        self._trailers: Sequence[Header] = ()

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        ahead = self._ahead or self._pull(bytes_max)
        if ahead:
            self._ahead = ahead[bytes_max:]
            return ahead[:bytes_max]
        if self._failure is not None:
            raise self._failure
        return b"" if self._ended else None

    async def receive(self, bytes_max: int) -> bytes:
        while (data := self.receive_nowait(bytes_max)) is None:
            if self._deadline is None:
                # Kept when this wait is cancelled: a guest that looks again and again does not put it off.
                self._deadline = trio.current_time() + self._between_bytes_s
            with trio.move_on_at(self._deadline) as scope:
                try:
                    await self._connection.fill()
                except HttpError as error:
                    self._fail(error)
            self._deadline = None
            if scope.cancelled_caught:
                self._fail(HttpError(READ_TIMEOUT))
        return data

    def trailers(self) -> Sequence[Header]:
        return self._trailers

    def close(self) -> None:
        # A short rest may be here already: then the connection can serve another request. Not a long one: a guest that
        # ends closes all its responses at once, and nothing else runs meanwhile.
        self._pull(2 * READ_CHUNK_BYTES, HTTP_CLIENT_CHUNKS_AT_CLOSE)
        if not self._ended:
            self._connection.abandon()

    def _pull(self, bytes_max: int, count_max: int = CHUNK_COUNT_PER_READ) -> bytes:
        """What was received already: about `bytes_max` of it in `count_max` chunks, and nothing past the end."""
        pieces: list[bytes] = []
        size = 0
        # Each chunk is an event: without a bound, tiny ones would hold the loop for long.
        for _ in range(count_max):
            if self._ended or self._failure is not None or size >= bytes_max:
                break
            try:
                event = self._connection.next_event()
            except HttpError as error:
                self._failure = error
                break
            if isinstance(event, h11.Data):
                pieces.append(event.data)
                size += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                if len(event.headers) > HEADER_COUNT_MAX:
                    self._fail(HttpError(("HTTP-response-trailer-section-size", None)))
                    break
                self._ended = True
                self._trailers = list(event.headers)
                self._connection.settle()
            else:
                break
        self._room -= size
        if self._room < 0:
            self._fail(HttpError(("HTTP-response-body-size", None)))
            return b""
        return b"".join(pieces)

    def _fail(self, failure: HttpError) -> None:
        self._failure = failure
        self._connection.abandon(failure)
