"""fermyon:spin/mqtt and spin:mqtt against a real Mosquitto."""

from __future__ import annotations

import queue
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from uuid import uuid4

import pytest
import trio
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edged.host.interface import Err
from edged.host.mqtt.interfaces import Connection, SpinMqtt, SpinMqtt3
from edged.host.mqtt.publisher import Publishers
from edged.host.network.dialer import Dialer
from edged.host.network.gate import LOOPBACK, AddressGate
from edged.host.network.grant import Grant
from edged.limits import MQTT_CONNECTION_COUNT_MAX, MQTT_CONNECTIONS_OPEN_MAX, MQTT_PAYLOAD_BYTES_MAX
from edged.manifest.outbound import AllowedHosts, parse_host
from tests.host.fakes import err, invocation
from tests.services import Mosquitto, free_port

_WAIT_S = 120.0
QUALITIES = ("at-most-once", "at-least-once", "exactly-once")


def mqtt(
    *hosts: str,
    publishers: Publishers | None = None,
    gate: AddressGate | None = None,
    interface: type[SpinMqtt] = SpinMqtt,
) -> SpinMqtt:
    allowed = AllowedHosts(tuple(map(parse_host, hosts)))
    return interface(Grant(allowed, Dialer(gate or AddressGate(opened=LOOPBACK))), publishers or Publishers())


def to(port: int, **more: Publishers) -> Connection:
    """An open connection to a broker of this machine."""
    return open_to(mqtt("mqtt://127.0.0.1:*", **more), f"mqtt://127.0.0.1:{port}?client_id={uuid4().hex}")


def open_to(interface: SpinMqtt, address: str, username: str = "", password: str = "") -> Connection:
    return interface.connection_open(invocation(), address, username, password, 30)


def failed(kind: str, text: str):
    return pytest.raises(Err, check=lambda e: e.value[0] == kind and text in e.value[1])


@contextmanager
def subscribed(port: int, topic: str) -> Iterator[queue.Queue[tuple[str, bytes, int]]]:
    """What another client gets: topic, payload and quality of each message."""
    messages: queue.Queue[tuple[str, bytes, int]] = queue.Queue()
    ready = Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: messages.put((message.topic, message.payload, message.qos))
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        client.subscribe(topic, qos=2)
        assert ready.wait(_WAIT_S)
        yield messages
    finally:
        client.disconnect()
        client.loop_stop()


async def next_of(messages: queue.Queue[tuple[str, bytes, int]]) -> tuple[str, bytes, int]:
    return await trio.to_thread.run_sync(messages.get, True, _WAIT_S)


# --- what is allowed ---


BOTH = pytest.mark.parametrize("interface", [SpinMqtt, SpinMqtt3])


@BOTH
async def test_granted(mosquitto: Mosquitto, interface: type[SpinMqtt]) -> None:
    connection = open_to(mqtt("mqtt://127.0.0.1:*", interface=interface), f"mqtt://127.0.0.1:{mosquitto.port}")
    with subscribed(mosquitto.port, "granted/#") as messages:
        for number, quality in enumerate(QUALITIES):
            payload = bytes([number]) * number * 1000
            await connection.publish(f"granted/{number}", payload, quality)
            assert await next_of(messages) == (f"granted/{number}", payload, number)
    connection.drop()


@pytest.mark.parametrize(
    "hosts", [(), ("mqtt://elsewhere:1883",), ("redis://127.0.0.1:1883",), ("mqtt://127.0.0.1:1",)]
)
@BOTH
def test_denied_by_the_manifest(hosts, interface) -> None:
    with failed("connection-failed", "mqtt://127.0.0.1:1883 is not in"):
        open_to(mqtt(*hosts, interface=interface), "mqtt://127.0.0.1:1883?client_id=x")


async def test_denied_by_the_gate(mosquitto: Mosquitto) -> None:
    address = f"mqtt://127.0.0.1:{mosquitto.port}"
    connection = open_to(mqtt("*://*:*", gate=AddressGate()), address)
    with failed("connection-failed", "not an address that guests may reach"):
        await connection.publish("t", b"", "at-most-once")
    connection.drop()


def test_what_is_no_address() -> None:
    with err("invalid-address"):
        open_to(mqtt("*://*:*"), "127.0.0.1:1883")


async def test_nobody_listens() -> None:
    connection = to(free_port())
    with failed("connection-failed", "refused"):
        await connection.publish("t", b"", "at-most-once")
    connection.drop()


# --- who one is ---


async def test_passwords(mosquitto: Mosquitto) -> None:
    interface, address = mqtt("mqtt://127.0.0.1:*"), f"mqtt://127.0.0.1:{mosquitto.password_port}"
    right = open_to(interface, address, "someone", "secret")
    await right.publish("t", b"", "exactly-once")
    right.drop()
    for username, password in (("someone", "wrong"), ("nobody", "secret"), ("", "")):
        wrong = open_to(interface, address, username, password)
        with failed("connection-failed", "authorized"):
            await wrong.publish("t", b"", "at-most-once")
        wrong.drop()


@pytest.mark.parametrize(
    ("username", "password"), [("", "secret"), ("a\0", ""), ("a" * 65_536, ""), ("a", "b" * 65_536)]
)
def test_credentials_that_mqtt_cannot_carry(username, password) -> None:
    publishers, call = Publishers(), invocation()
    with pytest.raises(Err) as caught:
        mqtt("*://*:*", publishers=publishers).connection_open(call, "mqtt://127.0.0.1", username, password, 0)
    assert caught.value.value[0] == "other"
    assert "secret" not in caught.value.value[1]
    assert (publishers.free, call.budget.mqtt_connections) == (Publishers().free, MQTT_CONNECTIONS_OPEN_MAX)


async def test_tls(mosquitto: Mosquitto) -> None:
    trusting = ssl.create_default_context()
    mosquitto.authority.configure_trust(trusting)
    address = f"mqtts://localhost:{mosquitto.tls_port}"
    connection = open_to(mqtt("mqtts://localhost:*", publishers=Publishers(tls=trusting)), address)
    with subscribed(mosquitto.port, "secretly") as messages:
        await connection.publish("secretly", b"1", "at-least-once")
        await connection.publish("secretly", b"2", "at-most-once")
        connection.drop()
        assert [(await next_of(messages))[1] for _ in range(2)] == [b"1", b"2"]


async def test_tls_with_somebody_else(mosquitto: Mosquitto) -> None:
    """An authority that nobody knows, and a certificate for another name."""
    trusting = ssl.create_default_context()
    mosquitto.authority.configure_trust(trusting)
    for publishers, host in ((Publishers(), "localhost"), (Publishers(tls=trusting), "127.0.0.1")):
        connection = open_to(mqtt("*://*:*", publishers=publishers), f"mqtts://{host}:{mosquitto.tls_port}")
        with failed("connection-failed", "TLS"):
            await connection.publish("t", b"", "at-most-once")
        connection.drop()


# --- limits ---


@pytest.mark.parametrize("topic", ["", "a/+/b", "#", "a\0", "t" * 65_536])
async def test_topics(mosquitto: Mosquitto, topic) -> None:
    connection = to(mosquitto.port)
    with failed("other", ""):
        await connection.publish(topic, b"", "at-least-once")
    await connection.publish("t", b"", "at-least-once")
    connection.drop()


async def test_a_payload_at_the_limit_and_over(mosquitto: Mosquitto) -> None:
    connection = to(mosquitto.port)
    with subscribed(mosquitto.port, "long") as messages:
        await connection.publish("long", bytes(MQTT_PAYLOAD_BYTES_MAX), "at-most-once")
        assert len((await next_of(messages))[1]) == MQTT_PAYLOAD_BYTES_MAX
    with failed("other", "bytes"):
        await connection.publish("long", bytes(MQTT_PAYLOAD_BYTES_MAX + 1), "at-most-once")
    connection.drop()


def test_connections_of_a_request_at_the_limit_and_over() -> None:
    call, interface = invocation(), mqtt("*://*:*")

    def one() -> Connection:
        return interface.connection_open(call, "mqtt://127.0.0.1", "", "", 0)

    connections = [one() for _ in range(MQTT_CONNECTIONS_OPEN_MAX)]
    with err("too-many-connections"):
        one()
    connections.pop().drop()
    one()


def test_connections_of_an_app_at_the_limit_and_over() -> None:
    publishers = Publishers(count_max=2)
    interfaces = [mqtt("*://*:*", publishers=publishers) for _ in range(2)]
    first, _second = (open_to(interface, "mqtt://127.0.0.1") for interface in interfaces)
    with err("too-many-connections"):
        open_to(interfaces[0], "mqtt://127.0.0.1")
    first.drop()
    open_to(interfaces[1], "mqtt://127.0.0.1")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (3, 3),
        (MQTT_CONNECTION_COUNT_MAX, MQTT_CONNECTION_COUNT_MAX),
        (MQTT_CONNECTION_COUNT_MAX + 1, MQTT_CONNECTION_COUNT_MAX),
    ],
)
def test_an_operator_may_lower_the_connections_of_an_app(asked, given) -> None:
    assert Publishers(asked).free == given


async def test_a_message_is_delivered_though_the_request_ends_at_once(mosquitto: Mosquitto) -> None:
    with subscribed(mosquitto.port, "last/words") as messages:
        connection = to(mosquitto.port)
        await connection.publish("last/words", bytes(MQTT_PAYLOAD_BYTES_MAX), "at-most-once")
        connection.drop()
        assert len((await next_of(messages))[1]) == MQTT_PAYLOAD_BYTES_MAX


async def test_messages_at_once_go_one_after_the_other(mosquitto: Mosquitto) -> None:
    """As a guest of WASI 0.3 gives them."""
    connection = to(mosquitto.port)
    with subscribed(mosquitto.port, "at-once/#") as messages:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(connection.publish, f"at-once/{number}", b"", "exactly-once")
        assert {(await next_of(messages))[0] for _ in range(20)} == {f"at-once/{number}" for number in range(20)}
    connection.drop()
