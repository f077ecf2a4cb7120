"""The redis trigger: with a real server, and with one that the test plays and whose time is the test's."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
import trio.lowlevel
from trio.testing import MockClock, wait_all_tasks_blocked

from edged.errors import GuestReturnedError, GuestTrap, VariableError
from edged.host.interface import Err, Ok
from edged.host.network.dialer import Dialer
from edged.host.redis.address import RedisAddress
from edged.host.redis.pool import RedisPool
from edged.host.redis.resp import encode_command
from edged.limits import (
    REDIS_TRIGGER_BACKOFF_S_MAX,
    REDIS_TRIGGER_BACKOFF_S_MIN,
    REDIS_TRIGGER_CALLS_MAX,
    REDIS_TRIGGER_PING_S,
)
from edged.manifest.model import RedisTrigger as Model
from edged.manifest.template import parse_template
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import Entry
from edged.triggers.redis import RedisTrigger, Subscription, backoff_of, guest_call, subscription
from tests.host.fakes import invocation
from tests.host.redis.fakes import LOCAL, Played
from tests.services import Service

PLAYED = RedisAddress("redis", "127.0.0.1")

_numbers = itertools.count()


class Handler:
    """What a message is handled by. Answers once `go` is set."""

    def __init__(self, *, waits: bool = False, error: Exception | None = None) -> None:
        self.messages: list[bytes] = []
        self.go = trio.Event()
        self.error = error
        self._send, self._receive = trio.open_memory_channel[bytes](1000)
        if not waits:
            self.go.set()

    async def __call__(self, message: bytes) -> None:
        self.messages.append(message)
        self._send.send_nowait(message)
        await self.go.wait()
        if self.error is not None:
            raise self.error

    async def next(self) -> bytes:
        return await self._receive.receive()


def to(handler: Handler, channel: str = "c", component: str = "a", address: RedisAddress = PLAYED) -> Subscription:
    return Subscription(address, channel, component, handler)


def message(channel: bytes, payload: bytes) -> bytes:
    return encode_command([b"message", channel, payload])


def confirmed(*channels: bytes) -> bytes:
    return b"".join(
        b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:%d\r\n" % (len(c), c, n) for n, c in enumerate(channels, 1)
    )


@asynccontextmanager
async def running(trigger: RedisTrigger) -> AsyncIterator[None]:
    async with trio.open_nursery() as calls, trio.open_nursery() as nursery:
        nursery.start_soon(trigger.run, calls)
        yield
        nursery.cancel_scope.cancel()


async def subscribed(played: Played, *channels: bytes) -> trio.SocketStream:
    """The server's end of the next connection, after its subscription."""
    server = await played.accepted()
    assert await server.receive_some(1000) == encode_command([b"SUBSCRIBE", *channels])
    await server.send_all(confirmed(*channels))
    return server


# --- a real server ---


@pytest.fixture
def channel() -> str:
    return f"trigger:{next(_numbers)}"


async def test_messages_of_a_real_server(redis: Service, channel: str) -> None:
    address = RedisAddress("redis", "127.0.0.1", redis.port)
    first, second, other = Handler(), Handler(), Handler()
    subscriptions = [
        to(first, channel, "first", address),
        to(second, channel, "second", address),
        to(other, channel + "é", "other", address),
    ]
    trigger, pool = RedisTrigger("app", subscriptions, LOCAL), RedisPool(LOCAL)
    async with running(trigger):
        while await pool.command(address, "PUBLISH", channel, b"\0one") == 0:
            await trio.lowlevel.checkpoint()
        assert await first.next() == await second.next() == b"\0one"
        while await pool.command(address, "PUBLISH", channel + "é", b"") == 0:
            await trio.lowlevel.checkpoint()
        assert await other.next() == b""
        await trigger.counts.wait_idle()
        (found,) = trigger.statistics()
        assert (found.server, found.state) == (address.server, "connected")
        assert found.channels == (channel, channel + "é")
        assert (found.received, found.handled, found.failed, found.active, found.disconnections) == (2, 3, 0, 0, 0)
        assert (trigger.counts.served, trigger.counts.failed) == (3, 0)
        assert first.messages == second.messages == [b"\0one"]
    pool.close()


async def test_servers_are_apart(redis: Service, channel: str, autojump_clock: MockClock) -> None:
    """The one that cannot be reached does not keep the other from working."""
    played = Played()
    gone, here = Handler(), Handler()
    subscriptions = [to(gone, address=RedisAddress("redis", "10.0.0.1")), to(here)]
    trigger = RedisTrigger("app", subscriptions, played.dialer)
    async with running(trigger):
        async with await subscribed(played, b"c") as server:
            await server.send_all(message(b"c", b"1"))
            assert await here.next() == b"1"
        assert [found.received for found in trigger.statistics()] == [0, 1]
    played.close()


# --- what the app's address may lead to ---


async def test_an_address_that_guests_may_not_reach(redis: Service, autojump_clock: MockClock) -> None:
    trigger = RedisTrigger("app", [to(Handler(), address=RedisAddress("redis", "127.0.0.1", redis.port))], Dialer())
    with structlog.testing.capture_logs() as logs:
        async with running(trigger):
            await trio.sleep(1)
    assert {line["event"] for line in logs} == {"redis.disconnected"}
    assert logs[0]["reason"] == "127.0.0.1 is not an address that guests may reach"


# --- failures of guests ---


@pytest.mark.parametrize("error", [GuestTrap("it trapped"), ValueError("a mistake of ours")])
async def test_a_handler_that_fails_is_logged_and_the_others_go_on(error: Exception, autojump_clock: MockClock) -> None:
    played, good, bad = Played(), Handler(), Handler(error=error)
    trigger = RedisTrigger("app", [to(bad, component="bad"), to(good, component="good")], played.dialer)
    with structlog.testing.capture_logs() as logs:
        async with running(trigger), await subscribed(played, b"c") as server:
            for payload in (b"1", b"2"):
                await server.send_all(message(b"c", payload))
                assert await good.next() == payload
            await trigger.counts.wait_idle()
            (found,) = trigger.statistics()
            assert (found.received, found.handled, found.failed) == (2, 2, 2)
            assert (trigger.counts.served, trigger.counts.failed) == (2, 2)
    failures = [line for line in logs if line["event"] == "message.failed"]
    assert len(failures) == 2
    assert {"app": "app", "component": "bad", "channel": "c"}.items() <= failures[0].items()
    ours = not isinstance(error, GuestTrap)
    assert (failures[0]["code"], failures[0]["log_level"]) == (
        ("host.failed", "error") if ours else ("guest.trap", "warning")
    )


# --- back-pressure ---


async def test_calls_at_the_limit_and_over(autojump_clock: MockClock) -> None:
    played, handler = Played(), Handler(waits=True)
    trigger = RedisTrigger("app", [to(handler)], played.dialer)
    async with running(trigger), await subscribed(played, b"c") as server:
        await server.send_all(message(b"c", b"x") * (REDIS_TRIGGER_CALLS_MAX + 5))
        await wait_all_tasks_blocked()
        assert len(handler.messages) == REDIS_TRIGGER_CALLS_MAX
        with trio.move_on_after(1) as full:
            while True:
                await server.send_all(message(b"c", bytes(1 << 16)))
        assert full.cancelled_caught, "nothing more is read"
        assert trigger.statistics()[0].active == REDIS_TRIGGER_CALLS_MAX
        assert trigger.statistics()[0].received == REDIS_TRIGGER_CALLS_MAX + 1
        handler.go.set()
        for _ in range(REDIS_TRIGGER_CALLS_MAX + 5):
            assert await handler.next() == b"x"


# --- the connection ---


async def test_a_lost_connection_is_made_again(autojump_clock: MockClock) -> None:
    played, handler = Played(), Handler()
    trigger = RedisTrigger("app", [to(handler)], played.dialer, random=lambda: 1.0)
    with structlog.testing.capture_logs() as logs:
        async with running(trigger):
            async with await subscribed(played, b"c") as server:
                await server.send_all(message(b"c", b"1"))
                assert await handler.next() == b"1"
            await wait_all_tasks_blocked()
            assert trigger.statistics()[0].state == "waiting"
            before = trio.current_time()
            async with await subscribed(played, b"c") as server:
                assert trio.current_time() - before == REDIS_TRIGGER_BACKOFF_S_MIN
                await server.send_all(message(b"c", b"2"))
                assert await handler.next() == b"2"
                assert trigger.statistics()[0].disconnections == 1
    assert [line["event"] for line in logs][:3] == ["redis.connected", "redis.disconnected", "redis.connected"]
    assert logs[1]["reason"] == "the server closed the connection"
    assert logs[1]["retry_s"] == REDIS_TRIGGER_BACKOFF_S_MIN


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"-NOPERM no permission\r\n", "the server refused: NOPERM no permission"),
        (b"+OK\r\n", "the server sent something else than messages"),
        (message(b"other", b"x"), "the server sent something else than messages"),
        (confirmed(b"other"), "the server sent something else than messages"),
        (b"HTTP/1.1 400\r\n", "the server does not speak the Redis protocol: a value is of no known type"),
        (b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$99999999\r\n", "a reply has more than 4194304 bytes"),
    ],
)
async def test_servers_that_say_the_wrong_thing(said: bytes, reason: str, autojump_clock: MockClock) -> None:
    played = Played()
    trigger = RedisTrigger("app", [to(Handler())], played.dialer)
    with structlog.testing.capture_logs() as logs:
        async with running(trigger), await played.accepted() as server:
            await server.send_all(said)
            await wait_all_tasks_blocked()
    assert [(line["event"], line["reason"]) for line in logs] == [("redis.disconnected", reason)]


async def test_a_subscription_is_confirmed_once(autojump_clock: MockClock) -> None:
    """A server that says it again and again would write our log."""
    played = Played()
    trigger = RedisTrigger("app", [to(Handler())], played.dialer)
    with structlog.testing.capture_logs() as logs:
        async with running(trigger), await subscribed(played, b"c") as server:
            await server.send_all(confirmed(b"c") * 10)
            await wait_all_tasks_blocked()
    assert [line["event"] for line in logs] == ["redis.connected", "redis.disconnected"]


async def test_a_silent_server_is_asked_and_given_up(autojump_clock: MockClock) -> None:
    played = Played()
    trigger = RedisTrigger("app", [to(Handler())], played.dialer)
    with structlog.testing.capture_logs() as logs:
        async with running(trigger), await subscribed(played, b"c") as server:
            for _ in range(3):
                before = trio.current_time()
                assert await server.receive_some(1000) == encode_command(["PING"])
                assert trio.current_time() - before == REDIS_TRIGGER_PING_S
                await server.send_all(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
            assert await server.receive_some(1000) == encode_command(["PING"])
            before = trio.current_time()
            assert await server.receive_some(1000) == b"", "closed"
            assert trio.current_time() - before == REDIS_TRIGGER_PING_S
    assert [line["event"] for line in logs] == ["redis.connected", "redis.disconnected"]


def test_waiting_grows_to_its_limit_and_begins_anew() -> None:
    backoff = backoff_of(lambda: 1.0)
    waits = [backoff.ended() for _ in range(10)]
    assert (waits[0], waits[-1]) == (REDIS_TRIGGER_BACKOFF_S_MIN, REDIS_TRIGGER_BACKOFF_S_MAX)
    assert backoff.ended(REDIS_TRIGGER_BACKOFF_S_MAX - 1) == REDIS_TRIGGER_BACKOFF_S_MAX, "it did not last"
    assert backoff.ended(REDIS_TRIGGER_BACKOFF_S_MAX) == REDIS_TRIGGER_BACKOFF_S_MIN


# --- the end ---


async def test_calls_under_way_are_not_cut_off(autojump_clock: MockClock) -> None:
    played, handler = Played(), Handler(waits=True)
    trigger = RedisTrigger("app", [to(handler)], played.dialer)
    async with trio.open_nursery() as calls:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trigger.run, calls)
            async with await subscribed(played, b"c") as server:
                await server.send_all(message(b"c", b"1"))
                await handler.next()
                nursery.cancel_scope.cancel()
        assert trigger.counts.active == 1
        handler.go.set()
        await trigger.counts.wait_idle()
    assert trigger.counts.served == 1


# --- a component ---


class FakePool:
    """An `InstancePool` whose instances answer what they are told to."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.calls: list[tuple[object, ...]] = []
        self.alive = 0

    async def acquire(self, _invocation: object) -> FakePool:
        self.alive += 1
        return self

    def release(self, _instance: object) -> None:
        self.alive -= 1

    async def call(self, *arguments: object) -> object:
        self.calls.append(arguments)
        return self.answer


def component(answer: object) -> tuple[TriggerComponent, FakePool]:
    class Component(TriggerComponent):
        def invocation(self, chain=None):
            return invocation()

    pool = FakePool(answer)
    return Component("a", pool, None, {"redis": Entry("handle-message")}), pool  # type: ignore[arg-type]


async def test_a_component_is_given_the_message() -> None:
    guest, pool = component(Ok())
    await guest_call(guest)(b"news")
    assert pool.calls == [("handle-message", b"news")]
    assert pool.alive == 0


async def test_a_component_that_returns_an_error() -> None:
    guest, pool = component(Err("error"))
    with pytest.raises(GuestReturnedError) as failure:
        await guest_call(guest)(b"news")
    assert failure.value.request_id == "request-1"
    assert pool.alive == 0


# --- what the manifest asks for ---


def model(channel: str, address: str) -> Model:
    return Model("t", "a", channel=parse_template(channel), address=parse_template(address))


def test_templates_are_resolved() -> None:
    guest, _ = component(Ok())
    found = subscription(model("c-{{ x }}", "redis://:{{ x }}@h:7000/2"), guest, {"x": "secret"})
    assert (found.channel, found.component) == ("c-secret", "a")
    assert found.address == RedisAddress("redis", "h", 7000, password="secret", database=2)


@pytest.mark.parametrize(
    ("channel", "address", "message"),
    [
        ("{{ empty }}", "redis://h", "trigger `t`: its channel, resolved, is empty"),
        ("c", "{{ x }}", "trigger `t`: its address, resolved, is not a redis:// or rediss:// URL"),
        (
            "c",
            "redis://h/{{ x }}",
            "trigger `t`: its address, resolved, has a path that is not the number of a database",
        ),
    ],
)
def test_values_that_do_not_fit_are_not_shown(channel: str, address: str, message: str) -> None:
    guest, _ = component(Ok())
    with pytest.raises(VariableError) as failure:
        subscription(model(channel, address), guest, {"empty": "", "x": "secret"})
    assert failure.value.message == message
