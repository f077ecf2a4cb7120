"""Lines between daemon and child: of bytes in any pieces, and texts from elsewhere that a line may have."""

from __future__ import annotations

import re

from bgp.errors import WireInvalid
from bgp.limits import LINE_BYTES_MAX, TEXT_CHARS_MAX


def printable(text: object, chars_max: int = TEXT_CHARS_MAX) -> str:
    """A text from elsewhere as one that a line may have: what is not printable ASCII as `?`, cut off at the limit."""
    return re.sub(r"[^\x20-\x7e]", "?", str(text)[:chars_max])


class Lines:
    """Bytes in, whole lines out, with a limit on how much of an unfinished one is kept."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Lines that are whole now, without their ends.

        Raises:
            WireInvalid: a line is longer than LINE_BYTES_MAX. The stream cannot be used any more.
        """
        *lines, rest = (bytes(self._rest) + data).split(b"\n")
        self._rest = bytearray(rest)
        if max(map(len, (*lines, rest))) > LINE_BYTES_MAX:
            raise WireInvalid(f"a line of more than {LINE_BYTES_MAX} bytes")
        return lines
