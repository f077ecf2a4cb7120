"""A router's first message: an OPEN, a NOTIFICATION, or what is none; whole and byte by byte."""

from __future__ import annotations

import pytest

from bgp.greeting import GREETING_BYTES_MAX, MARKER, Greeting, read_greeting


def message(kind: int, body: bytes) -> bytes:
    return MARKER + (19 + len(body)).to_bytes(2, "big") + bytes([kind]) + body


def opened(asn: int = 65101, hold_s: int = 9, parameters: bytes = b"") -> bytes:
    body = b"\x04" + asn.to_bytes(2, "big") + hold_s.to_bytes(2, "big") + bytes([10, 0, 0, 1, len(parameters)])
    return message(1, body + parameters)


FOUR_OCTETS = bytes([2, 8, 1, 0, 65, 4]) + (4_200_000_000).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("data", "greeting"),
    [
        (opened(), Greeting("open", asn=65101, hold_s=9)),
        (opened(23456, parameters=FOUR_OCTETS), Greeting("open", asn=4_200_000_000, hold_s=9)),
        (opened(parameters=FOUR_OCTETS[:-1]), Greeting("open", asn=65101, hold_s=9)),
        (opened(parameters=b"\x02\xff\x41"), Greeting("open", asn=65101, hold_s=9)),
        (message(3, b"\x02\x02"), Greeting("notification", code=2, subcode=2)),
        (message(3, b"\x06\x02\x04late"), Greeting("notification", code=6, subcode=2)),
        (message(3, b"\x06"), Greeting("other")),
        (message(1, b"\x04"), Greeting("other")),
        (message(4, b""), Greeting("other")),
    ],
)
def test_messages(data: bytes, greeting: Greeting) -> None:
    assert read_greeting(data, ended=False) == greeting
    assert read_greeting(data + b"more", ended=False) == greeting
    for end in range(len(data)):
        assert read_greeting(data[:end], ended=False) is None
        assert read_greeting(data[:end], ended=True) == Greeting("other" if end else "closed")


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n", b"\xff" * 15 + b"\xfe"])
def test_another_protocol_is_known_at_once(data: bytes) -> None:
    assert read_greeting(data, ended=False) == Greeting("other")


@pytest.mark.parametrize(
    ("length", "greeting"),
    [
        (18, Greeting("other")),
        (19, Greeting("other")),
        (GREETING_BYTES_MAX, None),
        (GREETING_BYTES_MAX + 1, Greeting("other")),
    ],
)
def test_lengths(length: int, greeting: Greeting | None) -> None:
    assert read_greeting(MARKER + length.to_bytes(2, "big") + b"\x01", ended=False) == greeting
