"""Applications built for WASI 0.3, as a user has them: by SDKs and served by `edged up`, and guests of WebAssembly text
in the test's own process, where one instance can be watched."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from edged import manifest
from edged.app import LoadOptions, component
from edged.errors import GuestTimeout
from edged.host.redis.address import parse_address
from edged.host.redis.connection import Connection, connect
from edged.host.registry import HostConfig
from edged.limits import CANCEL_GRACE_S, GuestLimits
from edged.triggers.async_target import AsyncGuestTarget
from edged.triggers.component import TriggerComponent
from edged.triggers.http import HttpTrigger
from edged.wasm.cache import AotCache
from edged.wasm.component.reuse import ReusePool
from edged.wasm.engine import Engine, PoolConfig, fingerprint
from tests.conftest import GuestPath
from tests.end_to_end.conftest import CACHE, Serve
from tests.end_to_end.server import edged_up
from tests.end_to_end.test_redis_trigger import publish, running
from tests.end_to_end.upstream import Upstream, upstream
from tests.host.fakes import FakeExchange, head
from tests.host.redis.fakes import LOCAL
from tests.services import Service

# --- applications of the SDKs, over sockets ---

SDK_GUESTS = {"js-wasi3": "hello from JavaScript", "hello-python5": "Hello from Python and WASI 0.3!"}


@pytest.mark.parametrize("guest", SDK_GUESTS)
def test_it_answers_and_answers_again(serve: Serve, guest: str) -> None:
    url = serve(guest).url
    with httpx.Client() as client:
        answers = [client.get(url + "/") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.text.startswith(SDK_GUESTS[guest]) for answer in answers)


@pytest.mark.parametrize(("path", "expected"), [("/echo", b"abcDEF\n"), ("/capitals", b"ABCDEF\n")])
def test_a_body_streams_through_javascript(serve: Serve, path: str, expected: bytes) -> None:
    answer = httpx.post(serve("js-wasi3").url + path, content=b"abcDEF\n" * 30_000, timeout=60)
    assert (answer.status_code, answer.content) == (200, expected * 30_000)


def test_javascript_waits_for_the_clock(serve: Serve) -> None:
    assert httpx.get(serve("js-wasi3").url + "/drip/3/1", timeout=60).text == "0\n1\n2\n"


# --- what Spin adds, by the Python SDK 5; its twin may reach nothing ---

MANIFEST = """
spin_manifest_version = 2
[application]
name = "capabilities"
[variables]
greeting = { default = "good day" }
[[trigger.http]]
route = "/granted/..."
component = "granted"
[[trigger.http]]
route = "/refused/..."
component = "refused"
[component.granted]
source = "guest.wasm"
allowed_outbound_hosts = ["*://127.0.0.1:*"]
key_value_stores = ["default"]
sqlite_databases = ["default"]
variables = { greeting = "{{ greeting }}" }
[component.refused]
source = "guest.wasm"
"""


@pytest.fixture(scope="module")
def python5(guest_path: GuestPath, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("python5")
    shutil.copy(guest_path("python5-capabilities"), folder / "guest.wasm")
    (folder / "spin.toml").write_text(MANIFEST)
    options = ("--cache-dir", str(CACHE), "--limit", "cpu_s_max=120", "--allow-network", "loopback")
    with edged_up(folder, *options) as server:
        yield server.url


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


def ask(url: str, body: str | bytes | list[Any] = b"") -> tuple[int, str]:
    content = json.dumps(body) if isinstance(body, list) else body
    answer = httpx.post(url, content=content, timeout=60)
    return answer.status_code, answer.text


def test_key_value(python5: str) -> None:
    store = f"{python5}/granted"
    assert ask(f"{store}/get/default/a") == (200, "nothing")
    assert ask(f"{store}/set/default/a", "one") == (200, "set")
    assert ask(f"{store}/set/default/b", "two") == (200, "set")
    assert ask(f"{store}/get/default/a") == (200, "one")
    assert ask(f"{store}/exists/default/b") == (200, "true")
    status, keys = ask(f"{store}/keys/default")
    assert (status, sorted(json.loads(keys))) == (200, ["a", "b"])
    assert ask(f"{store}/delete/default/b") == (200, "deleted")
    assert ask(f"{store}/exists/default/b") == (200, "false")


def test_key_value_refused(python5: str) -> None:
    assert ask(f"{python5}/refused/get/default/a") == (403, "access-denied")


def test_sqlite(python5: str) -> None:
    status, text = ask(
        f"{python5}/granted/sql/default",
        [
            ["create table if not exists t (id integer primary key, name text)"],
            ["insert into t (name) values (?), (?)", "ada", "bob"],
            ["select name, id * 0.5 from t where name > ? order by id", "a"],
        ],
    )
    assert status == 200, text
    _, inserted, selected = json.loads(text)
    assert inserted[1:] == [2, 2]
    assert selected[0] == [["name", "id * 0.5"], [["ada", 0.5], ["bob", 1.0]]]


def test_many_rows_come_as_a_stream(python5: str) -> None:
    rows = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) select i from n"
    status, text = ask(f"{python5}/granted/sql/default", [[rows]])
    assert status == 200, text
    assert json.loads(text)[0][0] == [["i"], [[number] for number in range(1, 5001)]]


def test_sqlite_refused(python5: str) -> None:
    assert ask(f"{python5}/refused/sql/default", [["select 1"]]) == (403, "access-denied")


def test_a_variable(python5: str) -> None:
    assert ask(f"{python5}/granted/variable/greeting") == (200, "good day")


def test_a_variable_that_is_not_the_components(python5: str) -> None:
    status, text = ask(f"{python5}/refused/variable/greeting")
    assert (status, text.partition(":")[0]) == (403, "undefined")


def test_http(python5: str, server: Upstream) -> None:
    body = "a body" * 10_000
    status, text = ask(f"{python5}/granted/send", ["POST", f"http://127.0.0.1:{server.port}/x", body])
    assert status == 200, text
    assert json.loads(text)[::2] == [200, body]


def test_http_refused(python5: str, server: Upstream) -> None:
    before = len(server.served)
    status, text = ask(f"{python5}/refused/send", ["GET", f"http://127.0.0.1:{server.port}/x", ""])
    assert (status, text) == (403, "http-request-denied")
    assert len(server.served) == before


def test_many_requests_at_once_of_one_guest(python5: str, server: Upstream) -> None:
    urls = [f"http://127.0.0.1:{server.port}/{number}" for number in range(20)]
    before = len(server.served)
    status, text = ask(f"{python5}/granted/gather", urls)
    assert status == 200, text
    assert json.loads(text) == [[200, len("secret")]] * 20
    assert sorted(server.served[before:]) == sorted(f"/{number}" for number in range(20))


def test_redis(python5: str, redis: Service) -> None:
    calls = [["set", "k", "v"], ["get", "k"], ["incr", "n"], ["sadd", "s", ["a", "b"]], ["smembers", "s"]]
    address = f"redis://127.0.0.1:{redis.port}"
    status, text = ask(f"{python5}/granted/redis", [address, calls])
    assert status == 200, text
    *first, members = json.loads(text)
    assert (first, sorted(members)) == ([None, "v", 1, 2], ["a", "b"])


def test_redis_refused(python5: str, redis: Service) -> None:
    status, _ = ask(f"{python5}/refused/redis", [f"redis://127.0.0.1:{redis.port}", [["get", "k"]]])
    assert status == 403


def test_bodies_stream_both_ways(python5: str) -> None:
    body = random.Random(3).randbytes(1_000_000)
    answer = httpx.post(f"{python5}/granted/echo", content=body, timeout=60)
    assert (answer.status_code, answer.content) == (200, body)


def test_a_body_comes_piece_by_piece(python5: str) -> None:
    with httpx.stream("GET", f"{python5}/granted/drip/3/5", timeout=60) as answer:
        assert b"".join(answer.iter_raw()) == b"0\n1\n2\n"


def test_a_guest_that_raises_fails_alone(python5: str) -> None:
    assert ask(f"{python5}/granted/no-such-route")[0] == 500
    assert ask(f"{python5}/granted/output/3") == (200, "\0\0\0")


# --- the redis trigger ---


@pytest.fixture
async def client(redis: Service) -> AsyncIterator[Connection]:
    connection = await connect(parse_address(f"redis://127.0.0.1:{redis.port}"), LOCAL.dial)
    yield connection
    connection.close()


async def test_messages_reach_the_guest_and_its_answers_the_server(
    redis: Service, client: Connection, tmp_path: Path, guest_path: GuestPath
) -> None:
    """`trap` ends an instance and whoever else it serves; the next message finds another."""
    listener = await connect(client.address, LOCAL.dial)
    with contextlib.closing(listener):
        await listener.command("SUBSCRIBE", "answers")
        async with running(tmp_path, guest_path("python5-redis-trigger"), redis.port) as trigger:
            counts = trigger.counts
            for message in (b"one", b"fail", b"\0\xff" * 5_000, b"trap", b"three"):
                before = counts.failed
                await publish(client, message)
                if message in (b"fail", b"trap"):
                    with trio.fail_after(60):
                        while counts.failed == before:
                            await trio.lowlevel.checkpoint()
                else:
                    assert await listener.receive(60) == [b"message", b"answers", message]
            await counts.wait_idle()
            assert (counts.served, counts.failed) == (3, 2)


# --- guests of text, in the test's own process ---

_POOL = PoolConfig()
_APP = """
spin_manifest_version = 2
[application]
name = "in-process"
[[trigger.http]]
route = "/..."
component = "guest"
[component.guest]
source = "{}"
"""
MANY = 1_000


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(_POOL)
    engine.start_ticking()
    yield engine
    engine.close()


class App:
    """One guest, served."""

    def __init__(self, engine: Engine, loaded: TriggerComponent, trigger: HttpTrigger) -> None:
        self.engine = engine
        self.loaded = loaded
        self._trigger = trigger

    async def handle(self, exchange: FakeExchange) -> None:
        await self._trigger.handle(exchange)

    async def get(self, path: str = "/", body: bytes = b"") -> tuple[int | None, bytes]:
        exchange = FakeExchange(head(method="POST" if body else "GET", target=path), body)
        await self.handle(exchange)
        return exchange.status, exchange.body


class Guests:
    """Loads guests for one test, and closes them with it."""

    def __init__(self, engine: Engine, guest_path: GuestPath) -> None:
        self._engine = engine
        self._guest_path = guest_path
        self._loaded: list[TriggerComponent] = []

    async def app(self, name: str, host: HostConfig | None = None, **limits: Any) -> App:
        path = self._guest_path(name)
        model = manifest.parse(_APP.format(path).encode(), path.parent / "spin.toml")
        loaded = await component.load(
            model,
            model.components["guest"],
            {"http"},
            host=HostConfig(limits=GuestLimits(**limits)) if host is None else host,
            engine=self._engine,
            cache=AotCache(CACHE / "aot", fingerprint(_POOL)),
            options=LoadOptions(sources=CACHE / "sources"),
        )
        self._loaded.append(loaded)
        return App(self._engine, loaded, HttpTrigger(model, [("/...", AsyncGuestTarget(loaded))]))

    def close(self) -> None:
        for loaded in self._loaded:
            loaded.close()


@pytest.fixture
async def guests(engine: Engine, guest_path: GuestPath) -> Any:
    guests = Guests(engine, guest_path)
    yield guests
    guests.close()
    assert engine.instances == 0
    assert engine.guest is None


AT_ONCE: dict[str, Any] = {"instance_concurrent_max": MANY, "instance_requests_max": 2 * MANY}


async def test_a_thousand_streams_in_one_instance_end_in_any_order(
    guests: Guests, mock_clock: trio.testing.MockClock
) -> None:
    app = await guests.app("echo3", **AT_ONCE)
    mock_clock.autojump_threshold = 0
    chance = random.Random(5)
    bodies = [b"%d;" % number * chance.randrange(1, 200) for number in range(MANY)]
    exchanges = [FakeExchange(head(method="POST"), ended=False) for _ in range(MANY)]
    ended: list[int] = []

    async def one(number: int) -> None:
        await app.handle(exchanges[number])
        ended.append(number)

    order = list(range(MANY))
    chance.shuffle(order)
    async with trio.open_nursery() as nursery:
        for number in range(MANY):
            nursery.start_soon(one, number)
        await trio.testing.wait_all_tasks_blocked()
        assert app.engine.instances == 1
        for number in order:
            exchanges[number].feed(bodies[number][:50])
        await trio.sleep(1)  # on a clock that jumps: what a response lingers for is over then
        # All are under way, and each has got back what it gave so far.
        assert [exchange.body for exchange in exchanges] == [body[:50] for body in bodies]
        assert ended == []
        for number in order:
            exchanges[number].feed(bodies[number][50:])
            exchanges[number].end()
    assert [exchange.body for exchange in exchanges] == bodies
    assert {exchange.status for exchange in exchanges} == {200}
    assert ended != sorted(ended)
    assert len(ended) == MANY
    pool = app.loaded.pool
    assert isinstance(pool, ReusePool)
    (shared,) = pool._open
    assert shared.instance.handles() == 0


async def test_a_thousand_sleeps_in_one_instance(guests: Guests, mock_clock: trio.testing.MockClock) -> None:
    app = await guests.app("sleep3", **AT_ONCE, wall_s_max=10_000.0)
    mock_clock.autojump_threshold = 0
    answers: list[bytes] = []

    async def one(milliseconds: int) -> None:
        status, body = await app.get(f"/{milliseconds}")
        assert status == 200
        answers.append(body)

    async with trio.open_nursery() as nursery:
        for number in range(MANY):
            nursery.start_soon(one, 1_000_000 - number * 900)
        await trio.testing.wait_all_tasks_blocked()
        assert app.engine.instances == 1
    assert answers == [b"%d" % (1_000_000 - number * 900) for number in reversed(range(MANY))]


async def test_an_instance_serves_as_many_requests_as_it_may(guests: Guests) -> None:
    app = await guests.app("counter3", instance_requests_max=3)
    answers = b"".join([(await app.get())[1] for _ in range(9)])
    assert b"123123" in answers
    assert b"4" not in answers


@pytest.mark.parametrize(("at_once", "instances"), [(16, 1), (17, 2)], ids=["at the limit", "one over"])
async def test_an_instance_serves_as_many_at_once_as_it_may(guests: Guests, at_once: int, instances: int) -> None:
    app = await guests.app("echo3", instance_concurrent_max=16)
    exchanges = [FakeExchange(head(method="POST"), ended=False) for _ in range(at_once)]
    async with trio.open_nursery() as nursery:
        for exchange in exchanges:
            nursery.start_soon(app.handle, exchange)
        await trio.testing.wait_all_tasks_blocked()
        assert app.engine.instances == instances
        for exchange in exchanges:
            exchange.end()


async def test_trailers_go_through(guests: Guests) -> None:
    app = await guests.app("echo3")
    exchange = FakeExchange(head(method="POST", headers=[(b"te", b"trailers")]), b"body", ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.handle, exchange)
        await trio.testing.wait_all_tasks_blocked()
        exchange.end([(b"x-sum", b"7")])
    assert (exchange.body, list(exchange.trailers)) == (b"body", [(b"x-sum", b"7")])


@pytest.mark.parametrize("guest", ["deaf3", "sleep3"], ids=["that does not listen", "that heeds"])
async def test_a_guest_that_sleeps_too_long_is_cancelled(
    guests: Guests, guest: str, mock_clock: trio.testing.MockClock
) -> None:
    app = await guests.app(guest, wall_s_max=5.0)
    mock_clock.autojump_threshold = 0  # not before: the compiler is a process, which a clock that jumps would cut short
    with pytest.raises(GuestTimeout):
        await app.get()
    assert 5.0 <= trio.current_time() <= 5.0 + 2 * CANCEL_GRACE_S
