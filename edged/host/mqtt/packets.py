"""MQTT 3.1.1 (OASIS standard, 29 October 2014) as one who only publishes needs it, without input or output.

    CONNECT ─► CONNACK, once, then for each message, by its quality of service:
    PUBLISH                             0, at most once: nothing comes back
    PUBLISH ─► PUBACK                   1, at least once
    PUBLISH ─► PUBREC, PUBREL ─► PUBCOMP    2, exactly once
    PINGREQ ─► PINGRESP                 while there is nothing else to say

What a broker may send to such a client has two bytes after its head at most. Anything else ends the connection, so that
a broker, which may be a guest's own, makes nobody hold more than that. paho-mqtt takes packets of any length, opens
its socket itself and waits for it in the caller's thread; hence this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from edged.limits import MQTT_STRING_BYTES_MAX

_VARIABLE_LENGTH_MAX = 0x0FFF_FFFF  # section 2.2.3
_LEVEL_3_1_1 = 4
_CLEAN_SESSION, _PASSWORD, _USERNAME = 0x02, 0x40, 0x80


class Kind(IntEnum):
    """Control packet types (table 2.1), as far as a publisher meets them."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    PINGREQ = 12
    PINGRESP = 13


HANDSHAKES: Mapping[int, Sequence[tuple[Kind, Kind | None]]] = {
    0: (),
    1: ((Kind.PUBACK, None),),
    2: ((Kind.PUBREC, Kind.PUBREL), (Kind.PUBCOMP, None)),
}
"""Quality of service -> what the broker answers to a PUBLISH, and what is sent back then (section 4.3)."""

_BODY_BYTES = {Kind.CONNACK: 2, Kind.PUBACK: 2, Kind.PUBREC: 2, Kind.PUBCOMP: 2, Kind.PINGRESP: 0}

_REFUSALS = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not take this client id",
    3: "it is not available",
    4: "bad user name or password",
    5: "not authorized",
}
"""Table 3.1"""


class ProtocolError(Exception):
    """The broker refused, or sent what it may not. The message is for the guest."""


class Packet(NamedTuple):
    """A packet from the broker.

    Attributes:
        value: the packet id; the return code of a CONNACK; 0 of a PINGRESP.
    """

    kind: Kind
    value: int


class Reader:
    """Bytes from the broker, as packets."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes | bytearray) -> None:
        self._received += data

    def next_packet(self) -> Packet | None:
        """The next packet; None until it is complete.

        Raises:
            ProtocolError: it is none that a publisher may be sent.
        """
        received = self._received
        if len(received) < 2:
            return None
        body_bytes = _BODY_BYTES.get(received[0] >> 4)  # type: ignore[call-overload]  # an IntEnum is its number
        if body_bytes is None or received[0] & 0x0F or received[1] != body_bytes:
            raise ProtocolError("the broker sent something other than MQTT 3.1.1 to a publisher")
        if len(received) < 2 + body_bytes:
            return None
        packet = Packet(Kind(received[0] >> 4), int.from_bytes(received[2 : 2 + body_bytes], "big"))
        del received[: 2 + body_bytes]
        return packet


def accepted(packet: Packet) -> None:
    """Take the answer to a CONNECT.

    Raises:
        ProtocolError: the broker does not let this client in, or answered something else.
    """
    if packet.kind is not Kind.CONNACK:
        raise ProtocolError("the broker answered a CONNECT with something else")
    code = packet.value & 0xFF
    if code:
        raise ProtocolError(f"the broker refused: {_REFUSALS.get(code, f'reason {code}')}")


def connect(client_id: str, username: str, password: str, keep_alive_s: int) -> bytes:
    """A CONNECT for a session that ends with the connection. An empty user name or password is left out.

    Raises:
        ValueError: a string that MQTT cannot carry, or a password alone (3.1.2.9).
    """
    if password and not username:
        raise ValueError("a password needs a user name")
    flags = _CLEAN_SESSION | (_USERNAME if username else 0) | (_PASSWORD if password else 0)
    body = _string("MQTT") + bytes([_LEVEL_3_1_1, flags]) + keep_alive_s.to_bytes(2, "big") + _string(client_id)
    if username:
        body += _string(username)
    if password:
        body += _string(password)
    return _packet(Kind.CONNECT, 0, body)


def publish(topic: str, payload: bytes, qos: int, packet_id: int) -> bytes:
    """A PUBLISH that is not retained.

    Args:
        packet_id: 1 to 65535; not sent with quality 0.

    Raises:
        ValueError: a topic that nothing can be published to.
    """
    if not topic or "#" in topic or "+" in topic:
        raise ValueError("a topic to publish to is not empty and has no wildcard")
    head = _string(topic) + (packet_id.to_bytes(2, "big") if qos else b"")
    return _packet(Kind.PUBLISH, qos << 1, head + payload)


def release(packet_id: int) -> bytes:
    """A PUBREL."""
    return _packet(Kind.PUBREL, 0x02, packet_id.to_bytes(2, "big"))


def ping() -> bytes:
    return _packet(Kind.PINGREQ, 0, b"")


def _packet(kind: Kind, flags: int, body: bytes) -> bytes:
    length = len(body)
    assert length <= _VARIABLE_LENGTH_MAX, "limits.py has the bound of what is sent"
    head = bytearray([kind << 4 | flags])
    while True:
        length, low = length >> 7, length & 0x7F
        head.append(low | (0x80 if length else 0))
        if not length:
            return bytes(head) + body


def _string(text: str) -> bytes:
    """Section 1.5.3."""
    data = text.encode()
    if len(data) > MQTT_STRING_BYTES_MAX or b"\0" in data:
        raise ValueError(f"a string has more than {MQTT_STRING_BYTES_MAX} bytes, or a NUL")
    return len(data).to_bytes(2, "big") + data
