"""What a router says first on a new connection: its OPEN, a NOTIFICATION, or nothing. Sans-IO.

Only enough of RFC 4271 4 is read to tell whom one has reached; sessions are ExaBGP's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

GREETING_BYTES_MAX = 4096  # RFC 4271 4.1: of one message; an OPEN cannot be longer (RFC 8654 3)

MARKER = b"\xff" * 16
"""With which every message begins."""
_HEADER_BYTES = 19
_OPEN, _NOTIFICATION = 1, 3
_CAPABILITIES, _FOUR_OCTET_AS = 2, 65  # RFC 5492 4, RFC 6793 3


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first message.

    Attributes:
        kind: `silent`: nothing yet; `closed`: the connection ended without a word; `other`: not BGP.
        asn: of an OPEN, with four octets if it has them.
        hold_s: of an OPEN: what it offers.
        code, subcode: of a NOTIFICATION.
    """

    kind: Literal["silent", "closed", "open", "notification", "other"]
    asn: int = 0
    hold_s: int = 0
    code: int = 0
    subcode: int = 0


def read_greeting(data: bytes, *, ended: bool) -> Greeting | None:
    """The greeting that these first bytes are.

    Args:
        ended: there will be no more.

    Returns:
        None while it is not whole.
    """
    if not data:
        return Greeting("closed") if ended else None
    if not MARKER.startswith(data[:16]):
        return Greeting("other")
    if len(data) < _HEADER_BYTES:
        return Greeting("other") if ended else None
    length, kind = struct.unpack_from("!HB", data, 16)
    if not _HEADER_BYTES <= length <= GREETING_BYTES_MAX:
        return Greeting("other")
    if len(data) < length:
        return Greeting("other") if ended else None
    body = data[_HEADER_BYTES:length]
    if kind == _OPEN and len(body) >= 10:
        _version, asn, hold_s = struct.unpack_from("!BHH", body)
        return Greeting("open", asn=_four_octet_as(body[10 : 10 + body[9]]) or asn, hold_s=hold_s)
    if kind == _NOTIFICATION and len(body) >= 2:
        return Greeting("notification", code=body[0], subcode=body[1])
    return Greeting("other")


def _four_octet_as(parameters: bytes) -> int | None:
    """Of an OPEN's optional parameters; None without that capability. What is cut short ends the search."""
    for kind, value in _triples(parameters):
        if kind == _CAPABILITIES:
            for code, capability in _triples(value):
                if code == _FOUR_OCTET_AS and len(capability) == 4:
                    return int.from_bytes(capability, "big")
    return None


def _triples(data: bytes) -> list[tuple[int, bytes]]:
    """Type, length and value, one after another."""
    found = []
    while len(data) >= 2 and len(data) >= 2 + data[1]:
        found.append((data[0], data[2 : 2 + data[1]]))
        data = data[2 + data[1] :]
    return found
