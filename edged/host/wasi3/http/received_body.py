"""Bodies that a guest receives: of requests to it, and of responses to its own requests.

    client or server -> BodyReader -> ReceivedBody     -> stream<u8>       -> guest
                                      ReceivedTrailers -> future<trailers> -> guest

What comes after the stream's end is the future's affair: trailers, or why the body ended before its end. A guest that
has closed the stream and wants the trailers has the rest of the body thrown away.

The instance of a guest outlives its requests, and with it what it did not close. So whoever made the body `detach`es it
when the request ends; from then on it is at an end.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import trio

from edged.host.budget import Budget
from edged.host.http.error import CONNECTION_TERMINATED, ErrorCode, HttpError, code_of
from edged.host.http.incoming_body import BodyReader
from edged.host.interface import Err, Ok, may_suspend
from edged.host.wasi3.http.fields import Fields
from edged.http.exchange import BodyError, ClientGone, Header
from edged.limits import READ_CHUNK_BYTES


class ReceivedBody:
    """The source of the stream. How large a body may be is the reader's affair.

    Args:
        trailers: gives the trailer fields once the reader is at its end.
        budget: pays for what the guest makes of the trailers.
        on_over: called once, when the reader is at its end or nobody wants any more of it.

    Attributes:
        ended: no more bytes come from the reader.
        error_code: why the body ended before its end.
    """

    __slots__ = (
        "_budget",
        "_closed",
        "_fields",
        "_news",
        "_on_over",
        "_reader",
        "_trailer_fields",
        "_trailers_closed",
        "ended",
        "error_code",
    )

    def __init__(
        self,
        reader: BodyReader,
        trailers: Callable[[], Sequence[Header]],
        budget: Budget | None = None,
        on_over: Callable[[], None] | None = None,
    ) -> None:
        self._reader = reader
        self._trailer_fields = trailers
        self._budget = budget
        self._on_over = on_over
        self._closed = False
        self._trailers_closed = False
        self._fields: Sequence[Header] = ()
        self._news: trio.Event | None = None
        self.ended = False
        self.error_code: ErrorCode | None = None

    # --- the stream ---

    @may_suspend
    def read(self, count_max: int) -> bytes | Coroutine[Any, Any, bytes]:
        if self.ended or self._closed:
            return b""
        try:
            data = self._reader.receive_nowait(min(count_max, READ_CHUNK_BYTES))
        except (BodyError, ClientGone, HttpError) as error:
            return self._fail(error)
        if data is None:
            return self._receive(count_max)
        if not data:
            self._end()
        return data

    def close(self) -> None:
        self._closed = True
        self._tell()
        self._settle()

    # --- the future ---

    def outcome(self) -> Ok | Err:
        """`result<option<trailers>, error-code>`, once the body has ended."""
        if self.error_code is not None:
            return Err(self.error_code)
        return Ok(Fields.received(self._fields, self._budget) if self._fields else None)

    async def wait_ended(self) -> Ok | Err:
        """The outcome, once it is there: when the guest has read the body, or given it up."""
        while not self.ended:
            if self._closed:
                await self._receive(READ_CHUNK_BYTES)
                await trio.lowlevel.checkpoint()  # there may be more at once, which nobody waits for
            else:
                self._news = self._news or trio.Event()
                await self._news.wait()
        return self.outcome()

    def close_trailers(self) -> None:
        """Nobody wants the outcome any more."""
        self._trailers_closed = True
        self._settle()

    # --- whoever made it ---

    @property
    def cut_off(self) -> bool:
        """The other side went before the body had ended, and the guest was told so."""
        return self.error_code == CONNECTION_TERMINATED

    def detach(self) -> None:
        """What the body came from is gone. Nothing if it had ended."""
        if not self.ended:
            self.error_code = CONNECTION_TERMINATED
            self._end()

    # --- inside ---

    async def _receive(self, count_max: int) -> bytes:
        try:
            data = await self._reader.receive(min(count_max, READ_CHUNK_BYTES))
        except (BodyError, ClientGone, HttpError) as error:
            return self._fail(error)
        if not data:
            self._end()
        return data

    def _fail(self, error: BodyError | ClientGone | HttpError) -> bytes:
        if not self.ended:
            self.error_code = code_of(error)
            self._end()
        return b""

    def _end(self) -> None:
        if self.ended:
            return
        self.ended = True
        if self.error_code is None:
            self._fields = self._trailer_fields()
        self._tell()
        self._settle()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    def _settle(self) -> None:
        if (self.ended or (self._closed and self._trailers_closed)) and self._on_over is not None:
            on_over, self._on_over = self._on_over, None
            on_over()


class ReceivedTrailers:
    """The source of the future that comes with the stream. One for each body."""

    __slots__ = ("_body",)

    def __init__(self, body: ReceivedBody) -> None:
        self._body = body

    @may_suspend
    def read(self) -> Ok | Err | Coroutine[Any, Any, Ok | Err]:
        body = self._body
        return body.outcome() if body.ended else body.wait_ended()

    def close(self) -> None:
        self._body.close_trailers()
