"""A publisher and a broker that the test plays: what goes over the wire, and when."""

from __future__ import annotations

import ssl

import pytest
import trio

from edged.host.mqtt.packets import connect, ping, publish, release
from edged.host.mqtt.publisher import AddressInvalid, Broker, Publisher, Publishers, PublishFailed
from edged.host.network.dialer import Dialer
from edged.host.network.gate import LOOPBACK, Address, AddressGate
from edged.limits import MQTT_ADDRESS_CHARS_MAX, MQTT_KEEP_ALIVE_S_MAX, MQTT_PUBLISH_TIMEOUT_S

CONNACK = b"\x20\x02\0\0"
PINGRESP = b"\xd0\0"


class PlayedBroker:
    """The other end of each connection that is dialled: `sides` in order, and a `Dialer` that makes them."""

    def __init__(self) -> None:
        self.sides: list[trio.SocketStream] = []
        self._made, self._take = trio.open_memory_channel[trio.SocketStream](8)
        self.dialer = Dialer(AddressGate(opened=LOOPBACK), connect=self._connect)

    async def _connect(self, address: Address, port: int) -> trio.SocketStream:
        ours, theirs = trio.socket.socketpair()
        self.sides.append(trio.SocketStream(theirs))
        self._made.send_nowait(self.sides[-1])
        return trio.SocketStream(ours)

    async def accept(self, hello: bytes, answer: bytes = CONNACK) -> trio.SocketStream:
        side = await self._take.receive()
        await takes(side, hello)
        await side.send_all(answer)
        return side

    def close(self) -> None:
        for side in self.sides:
            side.socket.close()


async def takes(side: trio.SocketStream, expected: bytes) -> None:
    """Read exactly that."""
    received = b""
    while len(received) < len(expected):
        data = await side.receive_some(len(expected) - len(received))
        assert data, f"the publisher closed after {received!r}"
        received += data
    assert received == expected


async def ended(side: trio.SocketStream) -> bool:
    return await side.receive_some(1) == b""


@pytest.fixture
async def played():
    broker = PlayedBroker()
    yield broker
    broker.close()


def publisher_to(played: PlayedBroker, keep_alive_s: int = 0) -> Publisher:
    return Publisher(Broker("mqtt", "127.0.0.1", 1883, keep_alive_s=keep_alive_s), played.dialer, Publishers())


HELLO = connect("", "", "", 0)


async def test_each_quality_waits_for_its_own_acknowledgement(played) -> None:
    publisher = publisher_to(played)
    answered: list[int] = []

    async def guest() -> None:
        for qos in (0, 1, 2):
            await publisher.publish("t", b"m", qos)
            answered.append(qos)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest)
        side = await played.accept(HELLO)
        await takes(side, publish("t", b"m", 0, 1) + publish("t", b"m", 1, 2))
        assert answered == [0]
        await side.send_all(b"\x40\x02\0\x02")
        await takes(side, publish("t", b"m", 2, 3))
        assert answered == [0, 1]
        await side.send_all(b"\x50\x02\0\x03")
        await takes(side, release(3))
        assert answered == [0, 1]
        await side.send_all(b"\x70\x02\0\x03")
    assert answered == [0, 1, 2]
    assert len(played.sides) == 1
    publisher.close()
    assert await ended(side)


async def test_packet_ids_wrap(played) -> None:
    publisher = publisher_to(played)
    publisher._packet_id = 65_534
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "t", b"", 1)
        side = await played.accept(HELLO)
        await takes(side, publish("t", b"", 1, 65_535))
        await side.send_all(b"\x40\x02\xff\xff")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "t", b"", 1)
        await takes(side, publish("t", b"", 1, 1))
        await side.send_all(b"\x40\x02\0\x01")
    publisher.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x20\x02\0\x05", "not authorized"),
        (b"\x40\x02\0\x01", "something else"),
        (CONNACK + b"\x40\x02\0\x09", "something else"),
        (CONNACK + b"\x30\xff\xff\xff\x7f", "something other"),
        (b"", "closed the connection"),
        (CONNACK, "closed the connection"),
    ],
)
async def test_a_broker_that_errs_or_goes(played, answer, reason) -> None:
    publisher = publisher_to(played)

    async def broker() -> None:
        side = await played.accept(HELLO, answer)
        await side.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker)
        with pytest.raises(PublishFailed, match=reason):
            await publisher.publish("t", b"", 1)
    while await played.sides[0].receive_some(100):
        pass  # the message itself may have come before the end

    # The next message is sent over a connection of its own.
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "t", b"", 0)
        await takes(await played.accept(HELLO), publish("t", b"", 0, 2))
    publisher.close()


@pytest.mark.parametrize("answer", [b"", CONNACK])
async def test_a_broker_that_does_not_answer(played, autojump_clock, answer) -> None:
    publisher = publisher_to(played)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(played.accept, HELLO, answer)
        with pytest.raises(PublishFailed, match="in time"):
            await publisher.publish("t", b"", 1)
    assert trio.current_time() - start == pytest.approx(MQTT_PUBLISH_TIMEOUT_S)


async def test_an_answer_just_in_time(played, autojump_clock) -> None:
    publisher = publisher_to(played)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "t", b"", 1)
        side = await played.accept(HELLO)
        await trio.sleep(MQTT_PUBLISH_TIMEOUT_S - 0.1)
        await side.send_all(b"\x40\x02\0\x01")
    publisher.close()


async def test_it_says_that_it_is_there_while_it_waits(played, autojump_clock) -> None:
    publisher = publisher_to(played, keep_alive_s=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "t", b"", 1)
        side = await played.accept(connect("", "", "", 10))
        await takes(side, publish("t", b"", 1, 1))
        for expected_s in (10, 20):
            await takes(side, ping())
            assert trio.current_time() == pytest.approx(expected_s)
            await side.send_all(PINGRESP)
        await side.send_all(b"\x40\x02\0\x01")
    publisher.close()


@pytest.mark.parametrize(("idle_s", "connections"), [(10, 1), (10.1, 2)])
async def test_a_connection_that_the_broker_may_have_closed_is_made_again(
    played, autojump_clock, idle_s, connections
) -> None:
    hello = connect("", "", "", 10)
    publisher = publisher_to(played, keep_alive_s=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "t", b"1", 0)
        await played.accept(hello)
    await trio.sleep(idle_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "t", b"2", 0)
        if connections == 2:
            await played.accept(hello)
    assert len(played.sides) == connections
    publisher.close()


async def test_cancelling_closes(played) -> None:
    publisher = publisher_to(played)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "t", b"", 2)
        side = await played.accept(HELLO)
        await takes(side, publish("t", b"", 2, 1))
        nursery.cancel_scope.cancel()
    assert await ended(side)


async def test_messages_of_two_tasks_do_not_mix(played) -> None:
    publisher = publisher_to(played)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "t", b"", 1)
        side = await played.accept(HELLO)
        await takes(side, publish("t", b"", 1, 1))
        nursery.start_soon(publisher.publish, "t", b"", 1)
        await trio.testing.wait_all_tasks_blocked()
        await side.send_all(b"\x40\x02\0\x01")
        await takes(side, publish("t", b"", 1, 2))
        await side.send_all(b"\x40\x02\0\x02")
    publisher.close()


async def test_a_broker_that_does_not_speak_tls(played) -> None:
    broker = Broker("mqtts", "localhost", 8883)
    publisher = Publisher(broker, played.dialer, Publishers(tls=ssl.create_default_context()))

    async def answer() -> None:
        side = await played._take.receive()
        await side.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        with pytest.raises(PublishFailed, match="TLS"):
            await publisher.publish("t", b"", 0)


# --- addresses ---


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("mqtt://a", Broker("mqtt", "a", 1883)),
        ("mqtt://a:1?client_id=x%20y", Broker("mqtt", "a", 1, "x y")),
        ("mqtts://A.example/", Broker("mqtts", "a.example", 8883)),
        ("tcp://[::1]:7", Broker("tcp", "::1", 7)),
        ("ssl://a?keep_alive_secs=3&client_id=c", Broker("ssl", "a", 8883, "c")),
        ("mqtt://user:pass@a", Broker("mqtt", "a", 1883)),
    ],
)
def test_addresses(address, expected) -> None:
    assert Broker.parse(address, "", "", 0) == expected


@pytest.mark.parametrize(
    "address",
    ["", "a", "a:1883", "mqtt:", "mqtt://", "mqtt://:1883", "mqtt://a:b", "mqtt://a:0", "mqtt://a:65536", "http://a",
     "mqtt://[::1", "ws://a"],
)  # fmt: skip
def test_no_addresses(address) -> None:
    with pytest.raises(AddressInvalid):
        Broker.parse(address, "", "", 0)


def test_an_address_at_the_limit_and_over() -> None:
    longest = "mqtt://a?client_id=".ljust(MQTT_ADDRESS_CHARS_MAX, "x")
    assert Broker.parse(longest, "", "", 0).host == "a"
    with pytest.raises(AddressInvalid):
        Broker.parse(longest + "x", "", "", 0)


def test_keep_alive_at_the_limit_and_over() -> None:
    for seconds in (MQTT_KEEP_ALIVE_S_MAX, MQTT_KEEP_ALIVE_S_MAX + 1, 2**64 - 1):
        assert Broker.parse("mqtt://a", "", "", seconds).keep_alive_s == MQTT_KEEP_ALIVE_S_MAX


def test_credentials_stay_out_of_the_repr() -> None:
    shown = repr(Broker.parse("mqtt://a", "someone", "secret", 0))
    assert "secret" not in shown
    assert "someone" not in shown
