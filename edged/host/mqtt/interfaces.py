"""`fermyon:spin/mqtt` and `spin:mqtt/mqtt`: connections of one component to brokers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from edged.host.budget import Budget
from edged.host.interface import Err, Interface, Invocation, Resource
from edged.host.mqtt.publisher import AddressInvalid, Broker, Publisher, Publishers, PublishFailed
from edged.host.network.grant import Grant
from edged.limits import MQTT_PAYLOAD_BYTES_MAX

_QUALITIES = {"at-most-once": 0, "at-least-once": 1, "exactly-once": 2}


class Connection(Resource):
    """`resource connection`. Each is a connection of its own: brokers know a client by it."""

    __slots__ = ("_budget", "_publisher", "_publishers")

    def __init__(self, publisher: Publisher, publishers: Publishers, budget: Budget) -> None:
        self._publisher = publisher
        self._publishers = publishers
        self._budget = budget
        publishers.free -= 1
        budget.mqtt_connections -= 1

    def drop(self) -> None:
        self._publisher.close()
        self._publishers.free += 1
        self._budget.mqtt_connections += 1

    async def publish(self, topic: str, payload: bytes, qos: str) -> None:
        """Answers once the broker has acknowledged; with `at-most-once`, once the message is on its way.

        Errors: `connection-failed` for all that is between here and the broker's acknowledgement, `other` for a message
        that cannot be sent.
        """
        if len(payload) > MQTT_PAYLOAD_BYTES_MAX:
            raise Err(("other", f"the payload has more than {MQTT_PAYLOAD_BYTES_MAX} bytes"))
        try:
            await self._publisher.publish(topic, payload, _QUALITIES[qos])
        except ValueError as error:
            raise Err(("other", str(error))) from None
        except PublishFailed as failed:
            raise Err(("connection-failed", str(failed))) from None


class SpinMqtt(Interface):
    """`fermyon:spin/mqtt@2.0.0` of one component."""

    wit: ClassVar[str] = "fermyon:spin/mqtt"
    versions: ClassVar[tuple[str, ...]] = ("2.0.0",)
    resources: ClassVar[Mapping[str, type[Resource]]] = {"connection": Connection}

    def __init__(self, grant: Grant, publishers: Publishers) -> None:
        self._grant = grant
        self._publishers = publishers

    def connection_open(
        self, invocation: Invocation, address: str, username: str, password: str, keep_alive_interval_in_secs: int
    ) -> Connection:
        """Connects with the first message, as in Spin.

        Errors: `invalid-address`, `connection-failed` where the manifest does not allow it, `too-many-connections`,
        `other` for credentials that MQTT cannot carry.
        """
        try:
            broker = Broker.parse(address, username, password, keep_alive_interval_in_secs)
        except AddressInvalid:
            raise Err("invalid-address") from None
        if not self._grant.allows(broker.scheme, broker.host, broker.port):
            destination = f"{broker.scheme}://{broker.host}:{broker.port}"
            raise Err(("connection-failed", f"{destination} is not in this component's allowed_outbound_hosts"))
        if invocation.budget.mqtt_connections < 1 or self._publishers.free < 1:
            raise Err("too-many-connections")
        try:
            publisher = Publisher(broker, self._grant.dialer, self._publishers)
        except ValueError as error:
            raise Err(("other", str(error))) from None
        return Connection(publisher, self._publishers, invocation.budget)


class SpinMqtt3(SpinMqtt):
    """`spin:mqtt/mqtt@3.0.0`: asynchronous. Messages of one connection go one after the other."""

    wit: ClassVar[str] = "spin:mqtt/mqtt"
    versions: ClassVar[tuple[str, ...]] = ("3.0.0",)
