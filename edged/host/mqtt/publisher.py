"""A publisher: the connection of one guest to one broker.

    publish ── dial (checked address) ── TLS ── CONNECT ─► ◄─ CONNACK ── PUBLISH ─► ◄─ acknowledgement

As in Spin it connects with the first message, and again with the next one after a failure. A message is out of our
hands when the broker has acknowledged it, or, with quality 0, when the kernel has taken its bytes.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, urlsplit

import trio

from edged.host.mqtt.packets import HANDSHAKES, Kind, Packet, ProtocolError, Reader, accepted, connect
from edged.host.mqtt.packets import ping as ping_packet
from edged.host.mqtt.packets import publish as publish_packet
from edged.host.mqtt.packets import release as release_packet
from edged.host.network.dialer import Dialer, DialFailed
from edged.host.network.trust import system_trust
from edged.limits import (
    MQTT_ADDRESS_CHARS_MAX,
    MQTT_CONNECTION_COUNT_MAX,
    MQTT_KEEP_ALIVE_S_MAX,
    MQTT_PUBLISH_TIMEOUT_S,
    MQTT_READ_BYTES,
)

_SCHEMES = {"mqtt": (1883, False), "tcp": (1883, False), "mqtts": (8883, True), "ssl": (8883, True)}
"""Scheme -> its own port, whether it means TLS."""


class PublishFailed(Exception):
    """The message was not published, or nobody knows. The message of this error is for the guest."""


class AddressInvalid(ValueError):
    """Not `mqtt[s]://host[:port][?client_id=ID]`."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to publish, and as whom.

    Attributes:
        client_id: empty to be given one by the broker.
        keep_alive_s: the broker may close after one and a half times as long without a packet; 0 for never.
    """

    scheme: str
    host: str
    port: int
    client_id: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    keep_alive_s: int = 0

    @classmethod
    def parse(cls, address: str, username: str, password: str, keep_alive_s: int) -> Self:
        """From what a guest gives. Parameters of the address other than `client_id` tune Spin's client, and say nothing
        here; a user name in it is not used, nor does Spin use it.

        Raises:
            AddressInvalid
        """
        if len(address) > MQTT_ADDRESS_CHARS_MAX:
            raise AddressInvalid
        try:
            url = urlsplit(address)
            port, _ = _SCHEMES[url.scheme]
            parameters = parse_qs(url.query)
            found = cls(
                url.scheme,
                url.hostname or "",
                port if url.port is None else url.port,
                parameters.get("client_id", [""])[0],
                username,
                password,
                min(keep_alive_s, MQTT_KEEP_ALIVE_S_MAX),
            )
        except (KeyError, ValueError):
            raise AddressInvalid from None
        if not found.host or not found.port:
            raise AddressInvalid
        return found

    @property
    def is_tls(self) -> bool:
        return _SCHEMES[self.scheme][1]


class Publishers:
    """What the components of an app share: how many connections there may be, and by what a broker is trusted.

    Args:
        count_max: connections of all requests at once; the operator's choice up to the limit.
        tls: for `mqtts`; None for the authorities that the system trusts.

    Attributes:
        free: connections that may still be made.
    """

    def __init__(self, count_max: int = MQTT_CONNECTION_COUNT_MAX, tls: ssl.SSLContext | None = None) -> None:
        self._count_max = min(count_max, MQTT_CONNECTION_COUNT_MAX)
        self.free = self._count_max
        self._tls = tls

    @property
    def count(self) -> int:
        """Connections that guests have opened, whether there was a first message for the broker or not."""
        return self._count_max - self.free

    def close_one_idle(self) -> bool:
        """False: each has a guest that uses it."""
        return False

    async def tls(self) -> ssl.SSLContext:
        return self._tls or await system_trust()


class Publisher:
    """A connection to a broker, made when it is needed.

    Raises:
        ValueError: user name, password or client id cannot be sent.
    """

    def __init__(self, broker: Broker, dialer: Dialer, publishers: Publishers) -> None:
        self._broker = broker
        self._dialer = dialer
        self._publishers = publishers
        self._hello = connect(broker.client_id, broker.username, broker.password, broker.keep_alive_s)
        self._one_at_a_time = trio.Lock()
        self._socket: trio.SocketStream | None = None
        self._stream: trio.abc.Stream | None = None
        self._reader = Reader()
        self._packet_id = 0
        self._sent_at = 0.0

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Publish a message and wait until the broker has it. A failure, or being cancelled, closes the connection.

        Raises:
            ValueError: the message cannot be sent.
            PublishFailed
        """
        async with self._one_at_a_time:
            self._packet_id = self._packet_id % 0xFFFF + 1
            packet = publish_packet(topic, payload, qos, self._packet_id)
            try:
                with trio.fail_after(MQTT_PUBLISH_TIMEOUT_S):
                    if self._is_stale():
                        self.close()
                    if self._stream is None:
                        await self._connect()
                    await self._deliver(packet, qos)
            except BaseException as error:
                self.close()
                reason = _reason(error)
                if reason is None:
                    raise
                raise PublishFailed(reason) from None

    def close(self) -> None:
        """Close the connection at once. A message that was sent is still delivered. Idempotent."""
        if self._socket is not None:
            self._socket.socket.close()
        self._socket = self._stream = None

    def _is_stale(self) -> bool:
        """Whether the broker may have closed for want of packets."""
        return 0 < self._broker.keep_alive_s < trio.current_time() - self._sent_at

    async def _connect(self) -> None:
        broker = self._broker
        self._socket = await self._dialer.dial(broker.host, broker.port)
        self._reader = Reader()
        stream: trio.abc.Stream = self._socket
        if broker.is_tls:
            context = await self._publishers.tls()
            stream = trio.SSLStream(self._socket, context, server_hostname=broker.host)
        self._stream = stream
        await self._send(self._hello)
        accepted(await self._receive())

    async def _deliver(self, packet: bytes, qos: int) -> None:
        await self._send(packet)
        for expected, answer in HANDSHAKES[qos]:
            if await self._receive() != Packet(expected, self._packet_id):
                raise ProtocolError("the broker acknowledged something else")
            if answer is Kind.PUBREL:
                await self._send(release_packet(self._packet_id))

    async def _send(self, packet: bytes) -> None:
        assert self._stream is not None
        await self._stream.send_all(packet)
        self._sent_at = trio.current_time()

    async def _receive(self) -> Packet:
        """The next packet that is not about being there."""
        assert self._stream is not None
        while True:
            while (packet := self._reader.next_packet()) is None:
                data = None
                with trio.move_on_after(self._broker.keep_alive_s or float("inf")):
                    data = await self._stream.receive_some(MQTT_READ_BYTES)
                if data is None:
                    await self._send(ping_packet())
                elif data:
                    self._reader.feed(data)
                else:
                    raise ProtocolError("the broker closed the connection")
            if packet.kind is not Kind.PINGRESP:
                return packet


def _reason(error: BaseException) -> str | None:
    """What a failure is called before a guest; None for what is none of the broker's."""
    match error:
        case DialFailed() | ProtocolError():
            return str(error)
        case trio.TooSlowError():
            return "the broker did not answer in time"
        case trio.BrokenResourceError(__cause__=ssl.SSLError()):
            return "TLS with the broker failed"
        case trio.BrokenResourceError():
            return "the connection broke"
        case _:
            return None
