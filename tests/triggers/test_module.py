"""A core module over WASI 0.2, of which no component was made: streams, handles and polls by the canonical ABI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from edged.errors import ComponentUnsupported
from edged.host.http.outbound import Outgoing
from edged.host.network.grant import Grant
from edged.host.redis.pool import RedisPool
from edged.host.registry import HostConfig
from edged.host.sqlite.database import Database
from edged.http.exchange import ClientGone
from edged.limits import GuestLimits
from edged.manifest.outbound import AllowedHosts, parse_host
from edged.wasm.engine import Engine, PoolConfig
from tests.conftest import GuestPath
from tests.host.fakes import FakeExchange, head
from tests.host.http.transports import FakeTransport, grant
from tests.host.key_value.memory import MemoryKeyValue
from tests.host.redis.fakes import LOCAL
from tests.services import Service
from tests.triggers.module import Served, serving


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(PoolConfig(instances=120, core_instances=200, memories=200, tables=200))
    engine.start_ticking()
    yield engine
    engine.close()


@pytest.fixture
def served(engine: Engine, guest_path: GuestPath) -> Iterator[Served]:
    with serving(engine) as serve:
        yield serve(guest_path("streaming-c-module").read_bytes(), HostConfig(), "http")


@pytest.mark.parametrize("size", [0, 1, 4_096, 300_000])
@pytest.mark.parametrize("path", ["/echo", "/splice", "/shout"])
async def test_bodies_both_ways(served: Served, path: str, size: int) -> None:
    body = (b"some text " * (size // 10 + 1))[:size]
    exchange = await served.ask(path, body, method="POST")
    expected = body.upper() if path == "/shout" else body
    assert (exchange.status, exchange.body, exchange.finished) == (200, expected, True)


async def test_it_waits_for_its_client(served: Served) -> None:
    exchange = FakeExchange(head(method="POST", target="/echo"), ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(served.handle, exchange)
        for piece in (b"one", b"two"):
            await trio.testing.wait_all_tasks_blocked()
            exchange.feed(piece)
            await trio.testing.wait_all_tasks_blocked()
            assert exchange.body.endswith(piece), "what it wrote is sent before it waits"
        exchange.end()
    assert exchange.body == b"onetwo"


async def test_a_client_that_leaves(served: Served) -> None:
    exchange = FakeExchange(head(method="POST", target="/echo"), ended=False)
    async with trio.open_nursery() as nursery:

        async def handle() -> None:
            with pytest.raises(ClientGone):
                await served.handle(exchange)

        nursery.start_soon(handle)
        await trio.testing.wait_all_tasks_blocked()
        exchange.leave()
        exchange.feed(b"more")
        await trio.testing.wait_all_tasks_blocked()
        exchange.break_off(ClientGone())


async def test_many_at_once(served: Served) -> None:
    exchanges = [FakeExchange(head(method="POST", target="/echo"), ended=False) for _ in range(100)]
    async with trio.open_nursery() as nursery:
        for exchange in exchanges:
            nursery.start_soon(served.handle, exchange)
        await trio.testing.wait_all_tasks_blocked()
        for number, exchange in reversed(list(enumerate(exchanges))):
            exchange.feed(b"body %d" % number)
            exchange.end()
    assert [exchange.body for exchange in exchanges] == [b"body %d" % number for number in range(100)]


async def test_a_request_that_is_cancelled(served: Served) -> None:
    exchange = FakeExchange(head(method="POST", target="/echo"), ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(served.handle, exchange)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


def test_what_it_does_not_export(engine: Engine, guest_path: GuestPath) -> None:
    with serving(engine) as serve, pytest.raises(ComponentUnsupported, match="exports no fermyon:spin/inbound-redis"):
        serve(guest_path("streaming-c-module").read_bytes(), HostConfig(limits=GuestLimits()), "redis")


# --- one that has WASI preview 1 beside it, and Spin's interfaces with resources ---

Given = Callable[..., Served]


@pytest.fixture
def given(engine: Engine, guest_path: GuestPath) -> Iterator[Given]:
    with serving(engine) as serve:
        module = guest_path("wasip1-p2").read_bytes()
        yield lambda **config: serve(module, HostConfig(**config), "http")


async def test_preview_1_beside_it(given: Given, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    served = given(files={"/folder/a.txt": tmp_path / "a"}, environment={"OWN": "mine"})
    assert (await served.ask("/file/folder/a.txt")).body == b"content"
    assert (await served.ask("/file/folder/b.txt")).body == b"none"
    assert (await served.ask("/env/OWN")).body == b"mine"
    assert (await served.ask("/env/OTHER")).body == b"none"


async def test_key_value(given: Given) -> None:
    served = given(key_value={"default": MemoryKeyValue(), "unbacked": None})
    assert [(await served.ask(f"/kv/{label}")).body for label in ("default", "unbacked", "foreign")] == [
        b"one",
        b"error 1",
        b"error 2",
    ]


async def test_sqlite(given: Given, tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    served = given(databases={"default": database, "unbacked": None})
    try:
        assert [(await served.ask(f"/sql/{name}")).body for name in ("default", "unbacked", "foreign")] == [
            b"seven",
            b"error 0",
            b"error 1",
        ]
    finally:
        database.close()


async def test_variables(given: Given) -> None:
    served = given(variables={"own": "a value"})
    assert [(await served.ask(f"/var/{name}")).body for name in ("own", "other")] == [b"a value", b"error 1"]


async def test_redis(given: Given, redis: Service) -> None:
    pool = RedisPool(LOCAL)
    address = f"redis://127.0.0.1:{redis.port}"
    allowed = given(grant=Grant(AllowedHosts((parse_host(address),)), LOCAL), redis=pool)
    assert (await allowed.ask(f"/redis/{address}")).body == b"said"
    denied = given(grant=Grant(AllowedHosts(()), LOCAL), redis=pool)
    assert (await denied.ask(f"/redis/{address}")).body == b"error 0"
    assert pool.statistics().used == 0, "the guest drops nothing, and its instance has ended"
    pool.close()


async def test_outbound_http(given: Given, nursery: trio.Nursery) -> None:
    network = FakeTransport()
    network.answer.set()
    served = given(grant=grant("http://example.com"), outgoing=Outgoing(network, nursery))
    assert (await served.ask("/fetch/example.com")).body == b"hello"
    denied_number = 15  # HTTP-request-denied among the cases of error-code
    assert (await served.ask("/fetch/other.test")).body == b"error %d" % denied_number
    assert [request.authority for request in network.requests] == ["example.com"]
