"""Request bodies as HTTP/1.1 frames them: by length, or chunked (RFC 9112 sections 6 and 7).

Sans-IO. Bytes arrive at the end of a buffer that the connection owns; `take` removes what belongs to the body from its
front and nothing beyond, so that a pipelined request stays where it is. Chunk framing is read by our own strict grammar
and not by llhttp: a body is then read only as fast as its handler asks for it, and every byte of framing is checked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from edged.http.exchange import OURS, BodyError, Header
from edged.limits import CHUNK_COUNT_PER_READ, CHUNK_LINE_BYTES_MAX, HEADER_BYTES_MAX, HEADER_COUNT_MAX

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
# 15 hexadecimal digits: more than any body, less than 2**60. Extensions are allowed and mean nothing to us.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;" + _VALUE + rb")?")
_FIELD_LINE = re.compile(rb"(" + _TOKEN + rb"):(" + _VALUE + rb")")
# Fields that say how a message is framed or routed come too late in a trailer (RFC 9110 section 6.5.1).
_TRAILERS_REMOVED = frozenset({b"content-length", b"transfer-encoding", b"host", b"connection", b"trailer", b"te"})


class Body(Protocol):
    """How one request's body is framed."""

    complete: bool
    """True once the last byte of the body and its framing was taken."""

    @property
    def trailers(self) -> Sequence[Header]:
        """Whole once the body is complete."""

    def take(self, buffer: bytearray, bytes_max: int) -> bytes:
        """Remove and return body bytes from the front of the buffer; `b""` if there are none yet, or no more.

        Raises:
            BodyError: the framing is broken; status 400.
        """

    def remaining(self) -> int | None:
        """How many bytes are still to come; None where only the end will tell."""


class LengthBody:
    """A body of `content-length` bytes; also, with 0, no body at all."""

    __slots__ = ("_remaining", "complete")

    def __init__(self, length: int) -> None:
        self._remaining = length
        self.complete = length == 0

    def take(self, buffer: bytearray, bytes_max: int) -> bytes:
        size = min(self._remaining, bytes_max)
        data = bytes(buffer[:size])
        del buffer[:size]
        self._remaining -= len(data)
        self.complete = self._remaining == 0
        return data

    def remaining(self) -> int:
        return self._remaining

    @property
    def trailers(self) -> Sequence[Header]:
        return ()


class _Expect(Enum):
    SIZE = 1
    DATA = 2
    DATA_END = 3
    TRAILER = 4


class ChunkedBody:
    """A chunked body: `size CRLF data CRLF`, again and again, then `0 CRLF trailers CRLF`."""

    __slots__ = ("_chunk", "_expect", "_trailer_bytes", "_trailers", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._expect = _Expect.SIZE
        self._chunk = 0
        self._trailers: list[Header] = []
        self._trailer_bytes = 0

    @property
    def trailers(self) -> Sequence[Header]:
        return self._trailers

    def remaining(self) -> None:
        return None

    def take(self, buffer: bytearray, bytes_max: int) -> bytes:
        pieces: list[bytes] = []
        room = bytes_max
        for _ in range(CHUNK_COUNT_PER_READ):
            if self._expect is _Expect.SIZE:
                line = self._line(buffer, CHUNK_LINE_BYTES_MAX, "a chunk's size line is too long")
                if line is None:
                    break
                match = _SIZE_LINE.fullmatch(line)
                if match is None:
                    raise BodyError(400, "a chunk's size is not a hexadecimal number")
                self._chunk = int(match[1], 16)
                self._expect = _Expect.DATA if self._chunk else _Expect.TRAILER
            if self._expect is _Expect.DATA:
                piece = bytes(buffer[: min(self._chunk, room)])
                if not piece:
                    break
                del buffer[: len(piece)]
                pieces.append(piece)
                room -= len(piece)
                self._chunk -= len(piece)
                if self._chunk:
                    break
                self._expect = _Expect.DATA_END
            if self._expect is _Expect.DATA_END:
                line = self._line(buffer, 0, "a chunk is longer than its size")
                if line is None:
                    break
                self._expect = _Expect.SIZE
            if self._expect is _Expect.TRAILER and not self._take_trailers(buffer):
                break
            if self.complete:
                break
        return b"".join(pieces)

    def _take_trailers(self, buffer: bytearray) -> bool:
        """Take trailer fields; True once the blank line after them was taken."""
        while True:
            line = self._line(buffer, HEADER_BYTES_MAX - self._trailer_bytes, "the trailer fields are too long")
            if line is None:
                return False
            if not line:
                self.complete = True
                return True
            self._trailer_bytes += len(line) + 2
            match = _FIELD_LINE.fullmatch(line)
            if match is None:
                raise BodyError(400, "a trailer field is malformed")
            if len(self._trailers) >= HEADER_COUNT_MAX:
                raise BodyError(400, f"more than {HEADER_COUNT_MAX} trailer fields")
            name = match[1].lower()
            if name not in _TRAILERS_REMOVED and not name.startswith(OURS):
                self._trailers.append((name, match[2].strip(b" \t")))

    @staticmethod
    def _line(buffer: bytearray, bytes_max: int, too_long: str) -> bytes | None:
        """The next line of framing without its CRLF, or None while it is not complete."""
        end = buffer.find(b"\n", 0, bytes_max + 2)
        if end < 0:
            if len(buffer) >= bytes_max + 2:
                raise BodyError(400, too_long)
            return None
        line = bytes(buffer[: end + 1])
        if not line.endswith(b"\r\n"):
            raise BodyError(400, "a line of chunk framing ends in LF without CR")
        del buffer[: end + 1]
        return line[:-2]


def encode_chunk(data: bytes) -> bytes:
    """One chunk of a response body; `data` must not be empty, which would end the body."""
    assert data
    return b"%x\r\n%b\r\n" % (len(data), data)
