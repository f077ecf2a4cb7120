"""How many connections of all kinds an app may have."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from edged.host.http.error import HttpError
from edged.host.http_client.client import HttpClient
from edged.host.mqtt.publisher import Publishers
from edged.host.network.dialer import Dialer, TooManyConnections
from edged.host.network.gate import LOOPBACK, AddressGate
from edged.host.network.room import Room
from edged.host.rdbms.failure import ConnectionFailed
from edged.host.rdbms.pool import Pool
from edged.host.redis.address import RedisAddress
from edged.host.redis.connection import RedisFailed
from edged.host.redis.pool import RedisPool
from tests.host.http_client.servers import Call, hello, listen, read, request
from tests.host.redis.fakes import Played


class Kind:
    def __init__(self, used: int, idle: int = 0) -> None:
        self.used, self.idle = used, idle

    @property
    def count(self) -> int:
        return self.used + self.idle

    def close_one_idle(self) -> bool:
        self.idle -= 1 if (had := self.idle > 0) else 0
        return had


def test_at_the_limit_and_over() -> None:
    assert Room(3, [Kind(1), Kind(2)]).has_room()
    assert not Room(3, [Kind(2), Kind(2)]).has_room()


def test_without_a_limit() -> None:
    kind = Kind(1000, 1000)
    assert Room(None, [kind]).has_room()
    assert kind.count == 2000


def test_as_many_idle_ones_are_closed_as_needed() -> None:
    first, second = Kind(1, 1), Kind(1, 5)
    room = Room(4, [first, second])
    assert room.has_room()
    assert (first.count, second.count) == (1, 3)
    first.used += 1
    assert room.has_room()
    assert (first.count, second.count) == (2, 2)
    first.used += 2
    assert not room.has_room()
    assert (first.count, second.count) == (4, 1)


async def test_a_dialer_asks_before_anything_else() -> None:
    asked = []

    async def resolve(host: str, _port: int):
        asked.append(host)
        return []

    for dial in (Dialer(resolve=resolve, has_room=lambda: False).dial, Dialer(has_room=lambda: False).addresses):
        with pytest.raises(TooManyConnections, match="too many connections are open"):
            await dial("example.com", 80)
    assert not asked


# --- real pools ---


async def held(stream: trio.SocketStream) -> None:
    """Never answers."""
    while await stream.receive_some():
        pass


class App:
    """HTTP to a server of the test's, everything else to one that says nothing."""

    def __init__(self, connections_max: int) -> None:
        self.room = Room(connections_max)
        self.web = Dialer(AddressGate(opened=LOOPBACK), has_room=self.room.has_room)
        self.played = Played()
        self.http = HttpClient(self.web)
        self.dialer = Dialer(self.web.gate, connect=self.played.dialer.connect, has_room=self.room.has_room)
        self.redis = RedisPool(self.dialer)
        self.sql: Pool[str, trio.SocketStream] = Pool(self._connect)  # type: ignore[type-var]
        self.mqtt = Publishers()
        self.room.pools = (self.http, self.redis, self.mqtt, self.sql)

    async def _connect(self, host: str) -> trio.SocketStream:
        try:
            return await self.dialer.dial(host, 5432)
        except TooManyConnections as failed:
            raise ConnectionFailed(str(failed)) from None

    async def get(self, nursery: trio.Nursery, port: int) -> bytes:
        call = Call(nursery, self.http, request(authority=f"127.0.0.1:{port}"))
        await call.finished.wait()
        if call.error is not None:
            raise call.error
        return await read(call.response)


ADDRESS = RedisAddress("redis", "127.0.0.1", 6379)


async def test_across_kinds(nursery) -> None:
    app = App(2)
    busy, free = await listen(nursery, held), await listen(nursery, hello)
    redis = await app.redis.acquire(ADDRESS)
    waiting = Call(nursery, app.http, request(authority=f"127.0.0.1:{busy}"))
    await trio.testing.wait_all_tasks_blocked()
    assert (app.http.count, app.redis.count) == (1, 1)

    for _ in range(3):  # none leaves anything behind
        with pytest.raises(HttpError, match="connection-limit-reached"):
            await app.get(nursery, free)
        with pytest.raises(RedisFailed, match="too many connections"):
            await app.redis.acquire(ADDRESS)
        with pytest.raises(ConnectionFailed, match="too many connections"):
            await app.sql.acquire("127.0.0.1")
    assert [pool.count for pool in app.room.pools] == [1, 1, 0, 0]

    redis.close()
    app.redis.release(redis)
    assert await app.get(nursery, free) == b"hello"
    waiting.scope.cancel()
    await waiting.finished.wait()
    await finish(nursery, app)


async def test_a_failed_dial_gives_its_place_back(nursery) -> None:
    app = App(1)
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    for _ in range(3):
        with pytest.raises(HttpError, match="connection-refused"):
            await app.get(nursery, port)
    redis = await app.redis.acquire(ADDRESS)
    app.redis.release(redis)
    await finish(nursery, app)


async def test_idle_connections_of_another_kind_make_room(nursery) -> None:
    app = App(1)
    port = await listen(nursery, hello)
    for _ in range(2):
        assert await app.get(nursery, port) == b"hello"
        assert [pool.count for pool in app.room.pools] == [1, 0, 0, 0]
        redis = await app.redis.acquire(ADDRESS)
        app.redis.release(redis)
        assert [pool.count for pool in app.room.pools] == [0, 1, 0, 0]
        assert not redis.is_closed
    assert await app.get(nursery, port) == b"hello"
    assert redis.is_closed
    await finish(nursery, app)


async def test_of_many_at_once_as_many_as_may_get_one(nursery) -> None:
    app = App(2)
    made, outcomes = [], []

    async def acquire() -> None:
        try:
            made.append(await app.redis.acquire(ADDRESS))
            outcomes.append("made")
        except RedisFailed:
            outcomes.append("refused")

    for _ in range(5):
        nursery.start_soon(acquire)
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(outcomes) == ["made", "made", "refused", "refused", "refused"]
    for connection in made:
        connection.close()
    app.played.close()


async def finish(nursery: trio.Nursery, app: App) -> None:
    app.http.close()
    app.redis.close()
    app.played.close()
    nursery.cancel_scope.cancel()
