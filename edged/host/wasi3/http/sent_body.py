"""Bodies that a guest sends: of its responses, and of its own requests.

    guest -> stream<u8>, then future<trailers> -> SentBody -> exchange, or Transport

Nothing is kept in between: bytes leave the guest when there is room for them on their way out.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from edged.host.channel import Dropped, Pieces
from edged.host.http.error import CONNECTION_TERMINATED, ErrorCode, describe
from edged.host.interface import Err, Ok
from edged.host.wasi3.http.fields import Fields
from edged.host.wasi3.http.message import Message
from edged.http.exchange import ClientGone, Header


class SentBody:
    """See `edged.host.http.transport.RequestBody`, whose contract it is for responses too.

    Args:
        message: of which this is the body. A guest that made it is told what became of it by `close`.
        length: announced in content-length, in bytes. The body must have exactly that.
        bytes_max: what the operator allows.
        size_case: the error-code case for a body of the wrong size, whose payload is the size in bytes.

    Attributes:
        error_code: what is wrong with the body, after a `ClientGone`.
    """

    __slots__ = (
        "_asked",
        "_contents",
        "_contents_ended",
        "_fields",
        "_limit",
        "_sent",
        "_size_case",
        "_taken",
        "_trailers",
        "error_code",
        "length",
        "whole",
    )

    def __init__(self, message: Message, length: int | None, bytes_max: int, size_case: str) -> None:
        self._contents = message.contents or Pieces()
        self._trailers = message.trailers
        self._sent = message.sent
        self._limit = bytes_max if length is None else min(length, bytes_max)
        self._size_case = size_case
        self._taken = 0
        self._asked: Coroutine[Any, Any, Ok | Err] | None = None
        self._contents_ended = False
        self._fields: Sequence[Header] = ()
        self.length = length
        self.whole = False
        """Its end, and that of its trailers, was given out."""
        self.error_code: ErrorCode | None = None

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        """Raises ClientGone: the guest has broken off, or the body has the wrong size."""
        if (known := self._known()) is not None:
            return known
        if not self._contents_ended:
            piece: Any = self._contents.read(bytes_max)
            if not isinstance(piece, bytes):
                piece.close()  # it has not begun, so nothing is lost
                return None
            if piece:
                return self._count(piece)
            self._end_contents()
        if self._asked is not None:
            return None
        outcome = self._ask()
        if not isinstance(outcome, Ok | Err):
            self._asked = outcome  # a future is asked for once: `receive` goes on with it
            return None
        return self._conclude(outcome)

    async def receive(self, bytes_max: int) -> bytes:
        """Same errors. Cancelling it loses nothing."""
        if (known := self._known()) is not None:
            return known
        if not self._contents_ended:
            piece: Any = self._contents.read(bytes_max)
            if not isinstance(piece, bytes):
                piece = await piece
            if piece:
                return self._count(piece)
            self._end_contents()
        outcome, self._asked = self._asked or self._ask(), None
        if not isinstance(outcome, Ok | Err):
            try:
                outcome = await outcome
            except Dropped:
                raise self._fail(CONNECTION_TERMINATED) from None
        return self._conclude(outcome)

    def trailers(self) -> Sequence[Header]:
        return self._fields

    def close(self, code: ErrorCode | None = None) -> None:
        """Nobody reads on: the guest is told, and what became of the body. The first call counts.

        Args:
            code: what went wrong on the way.
        """
        self._contents.close()
        if self._asked is not None:
            self._asked.close()
        self._trailers.close()
        if self._sent is None:
            return
        code = self.error_code or code
        if code is None and self._taken and not self.whole:
            code = CONNECTION_TERMINATED
        self._sent.resolve(Ok() if code is None else Err(code))

    # --- inside ---

    def _known(self) -> bytes | None:
        """The end, where it was given out already."""
        if self.error_code is not None:
            raise ClientGone
        return b"" if self.whole else None

    def _count(self, piece: bytes) -> bytes:
        self._taken += len(piece)
        if self._taken > self._limit:
            raise self._fail((self._size_case, self._taken))
        return piece

    def _end_contents(self) -> None:
        self._contents_ended = True
        if self.length not in (None, self._taken):
            raise self._fail((self._size_case, self._taken))

    def _ask(self) -> Ok | Err | Coroutine[Any, Any, Ok | Err]:
        try:
            return self._trailers.read()
        except Dropped:
            raise self._fail(CONNECTION_TERMINATED) from None

    def _conclude(self, outcome: Ok | Err) -> bytes:
        if isinstance(outcome, Err):
            raise self._fail(outcome.value)
        fields: Fields | None = outcome.value
        if fields is not None:
            self._fields = fields.trailers()
            fields.drop()
        self.whole = True
        return b""

    def _fail(self, code: ErrorCode) -> ClientGone:
        self.error_code = code
        return ClientGone(describe(code))
