"""A core module over WASI 0.2, of which no component was made: streams, handles and polls by the canonical ABI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
import trio.testing

from edged.errors import ComponentUnsupported
from edged.host.registry import HostConfig
from edged.http.exchange import ClientGone
from edged.limits import GuestLimits
from edged.wasm.engine import Engine, PoolConfig
from tests.conftest import GuestPath
from tests.host.fakes import FakeExchange, head
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
