from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from bgp.channel import Channel
from bgp.errors import WireInvalid
from bgp.limits import OUTBOX_BYTES_MAX
from bgp.wire import Applied, Beat, Log, Ready, encode_event, encode_request, parse_event


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        yield Channel(ours), theirs


def test_both_ways(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    assert list(channel.read()) == []
    other.sendall(encode_request(Beat(1)) + encode_request(Beat(2))[:-1])
    assert list(channel.read()) == [Beat(1)]
    other.sendall(b"\n")
    assert list(channel.read()) == [Beat(2)]
    channel.say(Ready())
    assert other.recv(100) == encode_event(Ready())
    assert not channel.ended


def test_the_first_line_is_taken_alone(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    other.sendall(encode_request(Beat(1)) + encode_request(Beat(2)))
    assert channel.first(1.0) == Beat(1)
    assert list(channel.read()) == [Beat(2)]


def test_no_first_line(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    other.close()
    with pytest.raises(WireInvalid, match="went away"):
        channel.first(1.0)


def test_a_first_line_that_does_not_come(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    other.sendall(b'{"beat":')
    with pytest.raises(WireInvalid, match="did not say"):
        channel.first(0.01)


def test_the_end_of_the_other_side(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    other.sendall(encode_request(Beat(1)))
    other.close()
    assert list(channel.read()) == [Beat(1)]
    assert not channel.ended
    assert list(channel.read()) == []
    assert channel.ended
    channel.say(Ready())  # to nobody, and no error


def fill(channel: Channel, event: Ready | Log | Applied) -> None:
    """More than socket and outbox hold, of one kind of event."""
    for _ in range((OUTBOX_BYTES_MAX + 4 * 1024 * 1024) // len(encode_event(event))):
        channel.say(event)


def test_a_daemon_that_does_not_read_loses_logs_and_is_given_up_for_anything_else(
    pair: tuple[Channel, socket.socket],
) -> None:
    channel, other = pair
    fill(channel, Log("error", "a" * 500))
    assert not channel.overrun
    fill(channel, Applied(1))
    assert channel.overrun
    other.setblocking(False)
    seen = b""
    while True:
        channel.flush()
        try:
            seen += other.recv(1024 * 1024)
        except BlockingIOError:
            break
    lines = seen.split(b"\n")
    assert lines.pop() == b""
    assert {type(parse_event(line)) for line in lines} >= {Log}  # what did come, came whole
