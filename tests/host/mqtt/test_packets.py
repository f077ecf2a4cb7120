"""MQTT 3.1.1, byte for byte."""

from __future__ import annotations

import pytest

from edged.host.mqtt.packets import (
    Kind,
    Packet,
    ProtocolError,
    Reader,
    accepted,
    connect,
    ping,
    publish,
    release,
)
from edged.limits import MQTT_STRING_BYTES_MAX


def test_connect_with_and_without_credentials() -> None:
    assert connect("me", "", "", 60) == b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02me"
    assert connect("", "u", "", 0) == b"\x10\x0f\0\x04MQTT\x04\x82\0\0\0\0\0\x01u"
    assert connect("", "u", "pw", 65535) == b"\x10\x13\0\x04MQTT\x04\xc2\xff\xff\0\0\0\x01u\0\x02pw"


def test_a_password_alone() -> None:
    with pytest.raises(ValueError, match="user name"):
        connect("", "", "secret", 0)


def test_publish_release_and_ping() -> None:
    assert publish("a/b", b"hi", 0, 7) == b"\x30\x07\0\x03a/bhi"
    assert publish("a/b", b"hi", 1, 7) == b"\x32\x09\0\x03a/b\0\x07hi"
    assert publish("é", b"", 2, 65535) == b"\x34\x06\0\x02\xc3\xa9\xff\xff"
    assert release(258) == b"\x62\x02\x01\x02"
    assert ping() == b"\xc0\0"


@pytest.mark.parametrize(
    ("length", "encoded"),
    [
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
        (2_097_152, b"\x80\x80\x80\x01"),
    ],
)
def test_lengths(length, encoded) -> None:
    """Table 2.4."""
    packet = publish("t", bytes(length - 3), 0, 1)
    assert packet[: 1 + len(encoded)] == b"\x30" + encoded
    assert len(packet) == 1 + len(encoded) + length


@pytest.mark.parametrize("topic", ["", "a/#", "+/b", "a\0b"])
def test_topics_that_nothing_can_be_published_to(topic) -> None:
    with pytest.raises(ValueError, match=r"wildcard|NUL"):
        publish(topic, b"", 0, 1)


def test_a_string_at_the_limit_and_over() -> None:
    assert len(publish("t" * MQTT_STRING_BYTES_MAX, b"", 0, 1)) == 4 + 2 + MQTT_STRING_BYTES_MAX
    for text in ("t" * (MQTT_STRING_BYTES_MAX + 1), "é" * (MQTT_STRING_BYTES_MAX // 2 + 1)):
        with pytest.raises(ValueError, match="65535"):
            publish(text, b"", 0, 1)
        with pytest.raises(ValueError, match="65535"):
            connect(text, "", "", 0)


ANSWERS = b"\x20\x02\x01\x05\x40\x02\x12\x34\x50\x02\0\x01\x70\x02\0\x01\xd0\0"
PACKETS = [
    Packet(Kind.CONNACK, 0x0105),
    Packet(Kind.PUBACK, 0x1234),
    Packet(Kind.PUBREC, 1),
    Packet(Kind.PUBCOMP, 1),
    Packet(Kind.PINGRESP, 0),
]


@pytest.mark.parametrize("step", [1, 2, 3, len(ANSWERS)])
def test_answers_whole_and_in_pieces(step) -> None:
    reader, packets = Reader(), []
    for start in range(0, len(ANSWERS), step):
        reader.feed(ANSWERS[start : start + step])
        while (packet := reader.next_packet()) is not None:
            packets.append(packet)
    assert packets == PACKETS


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x07",  # PUBLISH: we subscribe to nothing
        b"\x40\x03",  # PUBACK of MQTT 5
        b"\x40\xff",
        b"\x41\x02",  # flags
        b"\xd0\x01",
        b"\x90\x03",
        b"\0\0",
        b"\xf0\0",
        b"HTTP/1.1 400 Bad Request",
    ],
)
def test_what_no_publisher_is_sent(data) -> None:
    reader = Reader()
    reader.feed(data)
    with pytest.raises(ProtocolError, match="something other"):
        reader.next_packet()


def test_answers_to_connect() -> None:
    accepted(Packet(Kind.CONNACK, 0x0000))
    accepted(Packet(Kind.CONNACK, 0x0100))
    for code, reason in ((4, "password"), (5, "authorized"), (99, "reason 99")):
        with pytest.raises(ProtocolError, match=reason):
            accepted(Packet(Kind.CONNACK, code))
    with pytest.raises(ProtocolError, match="something else"):
        accepted(Packet(Kind.PINGRESP, 0))
