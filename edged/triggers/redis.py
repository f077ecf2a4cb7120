"""The redis trigger: a message published to a channel, a guest called with it.

    Subscriber (one for each server) ── SUBSCRIBE its channels ── message ── each component of the channel ── guest

Redis keeps no messages: who is not connected does not get them, and nobody can tell how many those were. So each
message is handled once by each of its components, or not at all, and `redis.disconnected` in the log is where some may
be missing.

No more than so many calls of a server are under way. Then nothing more is read: messages gather in the socket and in
the server, and a server that has gathered too many closes the connection, as it does with any slow subscriber.
"""

from __future__ import annotations

import functools
import random
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
import trio

from edged.errors import EdgedError, HostFailed, VariableError
from edged.host.network.dialer import Dialer
from edged.host.redis.address import RedisAddress, parse_address
from edged.host.redis.connection import Connection, RedisFailed, connect
from edged.host.redis.resp import ErrorReply
from edged.http.backoff import Backoff
from edged.limits import (
    REDIS_TRIGGER_BACKOFF_S_MAX,
    REDIS_TRIGGER_BACKOFF_S_MIN,
    REDIS_TRIGGER_CALLS_MAX,
    REDIS_TRIGGER_PING_S,
)
from edged.manifest.model import RedisTrigger as Model
from edged.manifest.model import Scope
from edged.triggers.component import TriggerComponent
from edged.triggers.counts import Counts

log = structlog.get_logger()

Call = Callable[[bytes], Awaitable[None]]
"""Handles one message; raises EdgedError."""

Connect = Callable[[RedisAddress], Awaitable[Connection]]
"""Raises RedisFailed."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One `[[trigger.redis]]`, its templates resolved.

    Attributes:
        component: id, for the log.
    """

    address: RedisAddress
    channel: str
    component: str
    call: Call


@dataclass(frozen=True, slots=True)
class SubscriberStatistics:
    """What came of one server since the trigger was loaded.

    Attributes:
        server: host and port.
        state: `waiting` is until the next attempt to connect.
        disconnections: connections that were lost, or could not be made.
        received: messages. Those published while it was not connected are not known.
        handled, failed: calls of components; a message may be for several.
        active: calls under way.
    """

    server: str
    channels: Sequence[str]
    state: Literal["connecting", "connected", "waiting"]
    disconnections: int
    received: int
    handled: int
    failed: int
    active: int


def backoff_of(random: Callable[[], float]) -> Backoff:
    """Between two attempts to connect to one server."""
    highest_s = REDIS_TRIGGER_BACKOFF_S_MAX
    return Backoff(REDIS_TRIGGER_BACKOFF_S_MIN, highest_s, highest_s, random)


class Subscriber:
    """All subscriptions at one server, over one connection."""

    def __init__(
        self,
        app: str,
        subscriptions: Sequence[Subscription],
        counts: Counts,
        connect: Connect,
        backoff: Backoff,
    ) -> None:
        self._address = subscriptions[0].address
        self._channels: dict[bytes, list[Subscription]] = {}
        for subscription in subscriptions:
            self._channels.setdefault(subscription.channel.encode(), []).append(subscription)
        self._counts = counts
        self._connect = connect
        self._backoff = backoff
        self._turns = trio.Semaphore(REDIS_TRIGGER_CALLS_MAX, max_value=REDIS_TRIGGER_CALLS_MAX)
        self._state: Literal["connecting", "connected", "waiting"] = "waiting"
        self._connected_at = 0.0  # trio's time
        self._disconnections = self._received = self._handled = self._failed = 0
        self._app = app

    def statistics(self) -> SubscriberStatistics:
        return SubscriberStatistics(
            self._address.server,
            tuple(channel.decode() for channel in self._channels),
            self._state,
            self._disconnections,
            self._received,
            self._handled,
            self._failed,
            REDIS_TRIGGER_CALLS_MAX - self._turns.value,
        )

    async def run(self, nursery: trio.Nursery) -> None:
        """Stay connected until cancelled. Calls run in the nursery. Never raises."""
        try:
            await self._stay(nursery)
        finally:
            self._state = "waiting"

    async def _stay(self, nursery: trio.Nursery) -> None:
        while True:
            self._state = "connecting"
            try:
                reason = await self._listen(nursery)
            except RedisFailed as failed:
                reason = str(failed)
            retry_s = self._backoff.ended(self._lasted_s())
            self._state = "waiting"
            self._disconnections += 1
            log.warning(
                "redis.disconnected",
                app=self._app,
                server=self._address.server,
                reason=reason,
                retry_s=round(retry_s, 1),
            )
            await trio.sleep(retry_s)

    async def _listen(self, nursery: trio.Nursery) -> str:
        """Take messages until the connection ends; returns why, or raises RedisFailed."""
        connection = await self._connect(self._address)
        try:
            await connection.send("SUBSCRIBE", *self._channels)
            unconfirmed = set(self._channels)
            while True:
                match await _receive(connection):
                    case [b"message", bytes() as channel, bytes() as payload] if channel in self._channels:
                        self._received += 1
                        await self._start(nursery, channel, payload)
                    case [b"subscribe", bytes() as channel, int()] if channel in unconfirmed:
                        unconfirmed.remove(channel)
                        if not unconfirmed:
                            self._connected()
                    case [b"pong", _]:
                        pass
                    case ErrorReply(text):
                        return f"the server refused: {text}"
                    case _:
                        return "the server sent something else than messages"
        finally:
            connection.close()

    def _connected(self) -> None:
        self._state = "connected"
        self._connected_at = trio.current_time()
        log.info("redis.connected", app=self._app, server=self._address.server, channels=len(self._channels))

    def _lasted_s(self) -> float:
        return trio.current_time() - self._connected_at if self._state == "connected" else 0.0

    async def _start(self, nursery: trio.Nursery, channel: bytes, payload: bytes) -> None:
        for subscription in self._channels[channel]:
            await self._turns.acquire()
            nursery.start_soon(self._handle, subscription, payload)

    async def _handle(self, subscription: Subscription, payload: bytes) -> None:
        try:
            with self._counts:
                await subscription.call(payload)
            self._handled += 1
        except EdgedError as error:
            self._report(subscription, error, error.__cause__)
        except Exception as error:  # a mistake of ours ends this call, not the worker
            self._report(subscription, HostFailed("the redis trigger failed"), error)
        finally:
            self._turns.release()

    def _report(self, subscription: Subscription, error: EdgedError, cause: BaseException | None) -> None:
        self._failed += 1
        self._counts.failed += 1
        (log.warning if cause is None else log.error)(
            "message.failed",
            code=error.code,
            message=error.message,
            app=self._app,
            component=subscription.component,
            channel=subscription.channel,
            request_id=error.request_id,
            exc_info=cause,
        )


class RedisTrigger:
    """All redis triggers of one app.

    Args:
        dialer: of the app: an app is not trusted with where it connects to, here as elsewhere.
        tls: see `edged.host.redis.connection.connect`.
        scope: of them all.
        random: a number from 0 to 1.
    """

    def __init__(
        self,
        app: str,
        subscriptions: Iterable[Subscription],
        dialer: Dialer,
        tls: ssl.SSLContext | None = None,
        random: Callable[[], float] = random.random,
        *,
        scope: Scope = "node",
    ) -> None:
        self.counts = Counts()
        self.scope = scope
        servers: dict[RedisAddress, list[Subscription]] = {}
        for subscription in subscriptions:
            servers.setdefault(subscription.address, []).append(subscription)
        connecting: Connect = functools.partial(connect, dial=dialer.dial, tls=tls)
        self._subscribers = [
            Subscriber(app, at_server, self.counts, connecting, backoff_of(random)) for at_server in servers.values()
        ]

    @property
    def is_connected(self) -> bool:
        """Messages of all its channels arrive."""
        return all(subscriber.statistics().state == "connected" for subscriber in self._subscribers)

    def statistics(self) -> Sequence[SubscriberStatistics]:
        """One record for each server."""
        return [subscriber.statistics() for subscriber in self._subscribers]

    async def run(self, calls: trio.Nursery) -> None:
        """Call guests with messages until cancelled. Never raises.

        Args:
            calls: where the calls run, which this does not end with it.
        """
        async with trio.open_nursery() as nursery:
            for subscriber in self._subscribers:
                nursery.start_soon(subscriber.run, calls)


def subscription(trigger: Model, guest: TriggerComponent, values: Mapping[str, str]) -> Subscription:
    """What a trigger of the manifest asks for.

    Args:
        values: of the app's variables; they may be secrets.

    Raises:
        VariableError: the address or the channel, resolved, is not one. Neither is in the message.
    """
    channel = trigger.channel.render(values)
    if not channel:
        raise VariableError(f"trigger `{trigger.id}`: its channel, resolved, is empty")
    try:
        address = parse_address(trigger.address.render(values))
    except ValueError as error:
        raise VariableError(
            f"trigger `{trigger.id}`: its address, resolved, {error}",
            remedy="Make it redis://[user][:password@]host[:port][/database], or rediss:// for TLS.",
        ) from None
    return Subscription(address, channel, guest.id, guest_call(guest))


def guest_call(guest: TriggerComponent) -> Call:
    """A component that exports fermyon:spin/inbound-redis, or spin:redis/inbound-redis."""

    async def call(message: bytes) -> None:
        await guest.call(guest.exports["redis"].export, message)

    return call


async def _receive(connection: Connection) -> object:
    """What comes next. A server that says nothing is asked whether it is still there."""
    try:
        return await connection.receive(REDIS_TRIGGER_PING_S)
    except trio.TooSlowError:
        await connection.send("PING")
    try:
        return await connection.receive(REDIS_TRIGGER_PING_S)
    except trio.TooSlowError:
        raise RedisFailed("the server does not answer any more") from None
