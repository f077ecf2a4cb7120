"""The HTTP trigger with guests of WASI 0.3 and an in-memory exchange: requests that share an instance, and each its own
end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from edged import manifest
from edged.errors import (
    EdgedError,
    GuestCpuExhausted,
    GuestErrorResponse,
    GuestTrap,
)
from edged.host.guest_log import GuestLog
from edged.host.http.outbound import Outgoing
from edged.host.network.grant import Grant
from edged.host.registry import REFUSED, HostConfig, wasi3_interfaces
from edged.http.exchange import BodyError, ClientGone
from edged.limits import WRITE_BUFFER_BYTES, GuestLimits, KiB, MiB
from edged.manifest.outbound import AllowedHosts, parse_host
from edged.triggers.async_target import AsyncGuestTarget
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import check_handler, find_handler
from edged.triggers.http import HttpTrigger
from edged.triggers.local import LocalTransport
from edged.wasm.component.program import ComponentProgram
from edged.wasm.component.reuse import ReusePool
from edged.wasm.engine import Engine, PoolConfig
from edged.wasm.plan.compiled import compile_in_process
from tests.guests import wat
from tests.host.fakes import FakeExchange, head

MANIFEST = b"""
spin_manifest_version = 2
[application]
name = "test"
[[trigger.http]]
route = "/..."
component = "guest"
[component.guest]
source = "guest.wasm"
"""
APP = manifest.parse(MANIFEST, Path("spin.toml"))
LIMITS = dataclasses.replace(GuestLimits(), cpu_s_max=60.0, memory_bytes_max=16 * MiB, request_body_bytes_max=1 * MiB)

wait = trio.testing.wait_all_tasks_blocked


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(PoolConfig(instances=300, core_instances=3_000, memories=900, tables=900))
    engine.start_ticking()
    yield engine
    engine.close()


class Served:
    """An app of one guest."""

    def __init__(self, engine: Engine, guest: str, config: HostConfig) -> None:
        compiled = compile_in_process(engine, wat.wasm(guest))
        program = ComponentProgram(engine, compiled, wasi3_interfaces(config), tuple(REFUSED), config.limits)
        check_handler("http", program.type)
        exports = {"http": find_handler("http", program)}
        self.pool = ReusePool(program)
        self.component: Any = TriggerComponent("guest", self.pool, GuestLog("test", "guest"), exports)
        self.trigger = HttpTrigger(APP, [("/...", AsyncGuestTarget(self.component))])

    async def ask(self, target: str = "/", body: bytes = b"", **changes: Any) -> FakeExchange:
        return await self.answer(FakeExchange(head(target=target, **changes), body))

    async def answer(self, exchange: FakeExchange) -> FakeExchange:
        await self.trigger.handle(exchange)
        return exchange


Serve = Callable[..., Served]


@pytest.fixture
def serve(engine: Engine) -> Iterator[Serve]:
    """`serve("echo3", **limits)`: an app of one guest. Afterwards nothing may be left of any request."""
    apps: list[Served] = []

    def make(guest: str, *, grant: Grant | None = None, outgoing: Outgoing | None = None, **limits: Any) -> Served:
        allowed = dataclasses.replace(LIMITS, **limits)
        apps.append(
            Served(
                engine, guest, HostConfig(limits=allowed, grant=Grant() if grant is None else grant, outgoing=outgoing)
            )
        )
        return apps[-1]

    before = engine.instances
    yield make
    for app in apps:
        assert app.trigger.counts.active == 0
        app.component.close()
    assert engine.instances == before
    assert engine.guest is None


@pytest.mark.parametrize(
    ("guest", "target", "body", "answer"),
    [
        ("hello3", "/", b"", b"hello"),
        ("counter3", "/", b"", b"1"),
        ("echo3", "/", b"x" * 100_000, b"x" * 100_000),
        ("upload3", "/", b"x" * 100_000, b"100000"),
        ("half3", "/", b"x" * 100_000, b"1000"),
        ("unread3", "/", b"x" * 100_000, b"unread"),
        ("output3", "/100000", b"", bytes(100_000)),
        ("recursion3", "/100", b"", b"100"),
        ("sleep3", "/1", b"", b"1"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) > 2 else "",
)
async def test_a_guest_answers(serve: Serve, guest: str, target: str, body: bytes, answer: bytes) -> None:
    exchange = await serve(guest).ask(target, body)
    assert (exchange.status, exchange.body, exchange.finished) == (200, answer, True)


@pytest.mark.parametrize(
    ("guest", "error", "sent", "limits"),
    [
        ("trap3", GuestTrap, b"", {}),
        ("silent3", GuestTrap, b"", {}),
        ("error3", GuestErrorResponse, b"", {}),
        ("stuck3", GuestTrap, b"", {}),
        ("loop3", GuestCpuExhausted, b"", {"cpu_s_max": 0.1}),
        ("trap-late3", GuestTrap, b"partial", {}),
        ("loop-late3", GuestCpuExhausted, b"partial", {"cpu_s_max": 0.1}),
    ],
)
async def test_a_guest_that_fails_harms_only_itself(
    serve: Serve, guest: str, error: type[EdgedError], sent: bytes, limits: dict[str, Any]
) -> None:
    """It fails twice, beside a guest that answers each time."""
    app, other = serve(guest, **limits), serve("hello3")
    for _ in range(2):
        exchange = FakeExchange(head())
        with pytest.raises(error) as caught:
            await app.answer(exchange)
        assert caught.value.request_id
        assert not exchange.finished
        assert exchange.body in (sent, b"")
        assert (await other.ask()).body == b"hello"
    assert app.trigger.counts.failed == 2


@pytest.mark.parametrize(("limit", "pages"), [(64 * KiB, b"1"), (128 * KiB, b"2"), (16 * MiB, b"11")])
async def test_memory_is_held_to_its_limit(serve: Serve, limit: int, pages: bytes) -> None:
    assert (await serve("memory3", memory_bytes_max=limit).ask("/10")).body == pages


async def test_requests_share_an_instance(serve: Serve) -> None:
    app = serve("counter3")
    assert [(await app.ask()).body for _ in range(3)] == [b"1", b"2", b"3"]
    assert app.pool.instances == 1


async def test_a_body_is_echoed_while_it_comes(serve: Serve) -> None:
    """Each piece is at the client before it sends the next: nothing is held back, and nothing is held."""
    app = serve("echo3")
    exchange = FakeExchange(head(method="POST"), ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.answer, exchange)
        expected = b""
        for number in range(5):
            exchange.feed(piece := b"%d" % number * 1000)
            expected += piece
            while exchange.body != expected:
                await trio.lowlevel.checkpoint()
        assert not exchange.finished
        exchange.end([(b"x-sum", b"1")])
    assert exchange.finished
    assert exchange.trailers == [(b"x-sum", b"1")]


async def test_a_client_that_takes_nothing_stops_the_guest(serve: Serve) -> None:
    app = serve("output3")
    exchange = FakeExchange(head(target="/10000000"))
    exchange.stall()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.answer, exchange)
        await wait()
        assert exchange.write_capacity() < WRITE_BUFFER_BYTES
        assert exchange.body == b""
        exchange.resume()
    assert len(exchange.body) == 10_000_000


async def test_many_requests_in_one_instance_each_have_their_own_body(serve: Serve) -> None:
    app = serve("echo3", instance_concurrent_max=100, instance_requests_max=100)
    exchanges = [FakeExchange(head(method="POST"), ended=False) for _ in range(100)]
    async with trio.open_nursery() as nursery:
        for exchange in exchanges:
            nursery.start_soon(app.answer, exchange)
        await wait()
        for number in reversed(range(100)):
            exchanges[number].feed(b"%d " % number * (number + 1))
            exchanges[number].end()
    assert [exchange.body for exchange in exchanges] == [b"%d " % number * (number + 1) for number in range(100)]
    assert all(exchange.finished for exchange in exchanges)


async def test_a_client_that_goes_takes_only_its_own_request_along(serve: Serve) -> None:
    app = serve("echo3")
    gone = FakeExchange(head(method="POST"), b"x" * 500_000)
    stays = FakeExchange(head(method="POST"), b"x", ended=False)
    gone.stall()
    raised = []

    async def answer() -> None:
        with pytest.raises(ClientGone) as error:
            await app.answer(gone)
        raised.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        nursery.start_soon(app.answer, stays)
        await wait()
        gone.leave()
        while not raised:
            await trio.lowlevel.checkpoint()
        stays.feed(b"y")
        stays.end()
    assert (stays.body, stays.finished) == (b"xy", True)
    assert app.pool.instances == 1


async def test_a_request_that_is_cancelled_ends_its_guest(serve: Serve, autojump_clock: Any) -> None:
    app = serve("sleep3")
    with trio.move_on_after(1) as scope:
        await app.ask()
    assert scope.cancelled_caught
    assert (await app.ask("/1")).body == b"1"


@pytest.mark.parametrize(
    "error",
    [BodyError(400, "malformed"), BodyError(413, "too large"), BodyError(408, "slow")],
    ids=["400", "413", "408"],
)
async def test_a_request_body_that_breaks(serve: Serve, error: BodyError) -> None:
    """The guest is told, and what it makes of that is its own affair: this one says so in its response's trailers."""
    app = serve("echo3")
    exchange = FakeExchange(head(method="POST"), b"x", ended=False)
    exchange.break_off(error)
    with pytest.raises(EdgedError):
        await app.answer(exchange)
    assert not exchange.finished


@pytest.mark.parametrize(("size", "fits"), [(10, True), (11, False)], ids=["at-the-limit", "over"])
async def test_a_response_is_held_to_the_operators_limit(serve: Serve, size: int, fits: bool) -> None:
    app = serve("output3", response_body_bytes_max=10)
    exchange = FakeExchange(head(target=f"/{size}"))
    if fits:
        await app.answer(exchange)
        assert exchange.body == bytes(10)
    else:
        with pytest.raises(EdgedError, match="HTTP-response-body-size"):
            await app.answer(exchange)
        assert not exchange.finished


async def test_what_a_guest_keeps_does_not_keep_its_request(serve: Serve) -> None:
    app = serve("keep3")
    exchanges = [await app.answer(FakeExchange(head(method="POST"), b"x" * 100)) for _ in range(3)]
    assert [exchange.body for exchange in exchanges] == [b"1", b"2", b"3"]
    assert all(exchange.finished for exchange in exchanges)


# --- requests of guests ---


def grant(*allowed: str) -> Grant:
    return Grant(AllowedHosts(tuple(map(parse_host, allowed))))


class Proxy:
    """An app that sends its requests on to another's component, and what a client has of one."""

    def __init__(self, serve: Serve, nursery: trio.Nursery, *allowed: str) -> None:
        local = LocalTransport()
        self.app = serve("proxy3", grant=grant(*allowed), outgoing=Outgoing(local, nursery, local))
        local.trigger = serve("echo3").trigger
        url = (b"url", b"http://guest.spin.internal/")
        self.exchange = FakeExchange(head(method="POST", headers=(url,)), b"hello", ended=False)


async def test_a_guest_calls_another_while_its_own_request_comes(serve: Serve) -> None:
    async with trio.open_nursery() as nursery:
        proxy = Proxy(serve, nursery, "http://guest.spin.internal")
        exchange = proxy.exchange
        nursery.start_soon(proxy.app.answer, exchange)
        while exchange.body != b"hello":
            await trio.lowlevel.checkpoint()
        exchange.feed(b" world")
        exchange.end([(b"x-sum", b"1")])
    assert (exchange.status, exchange.body) == (200, b"hello world")
    assert exchange.trailers == [(b"x-sum", b"1")]


async def test_a_guest_calls_nobody_whom_its_manifest_does_not_name(serve: Serve) -> None:
    async with trio.open_nursery() as nursery:
        proxy = Proxy(serve, nursery, "http://other.spin.internal")
        with pytest.raises(GuestErrorResponse, match="HTTP-request-denied"):
            await proxy.app.answer(proxy.exchange)
