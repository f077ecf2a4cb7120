"""The HTTP trigger with real guests and an in-memory exchange: what each does to its own request, and to no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing
from wasmtime import component

from edged import manifest
from edged.errors import (
    EdgedError,
    GuestBudgetExhausted,
    GuestCpuExhausted,
    GuestErrorResponse,
    GuestExit,
    GuestNoResponse,
    GuestRefused,
    GuestResponseInvalid,
    GuestStackExhausted,
    GuestTimeout,
    GuestTrap,
    Overloaded,
)
from edged.host.guest_log import GuestLog
from edged.host.registry import REFUSED, HostConfig, wasi_interfaces
from edged.http.exchange import ClientGone
from edged.limits import GuestLimits, KiB, MiB
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import check_handler, find_handler
from edged.triggers.http import HttpTrigger
from edged.triggers.target import GuestTarget, StaticTarget
from edged.wasm.engine import Engine, PoolConfig
from edged.wasm.linker import Program
from edged.wasm.pool import InstancePool
from tests.guests import wat
from tests.host.fakes import FakeExchange, head

MANIFEST = b"""
spin_manifest_version = 2
[application]
name = "test"
version = "1.2.3"
[[trigger.http]]
route = "/..."
component = "guest"
[[trigger.http]]
route = "/static"
static_response = { status_code = 201, headers = { x-a = "b" }, body = "still" }
[component.guest]
source = "guest.wasm"
"""
APP = manifest.parse(MANIFEST, Path("spin.toml"))
# On a machine that is busy elsewhere a second may be short: only tests of the CPU limit have one that can be met.
LIMITS = dataclasses.replace(GuestLimits(), cpu_s_max=60.0, memory_bytes_max=16 * MiB)
LITTLE_CPU = {"cpu_s_max": 0.1}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(PoolConfig(instances=300, core_instances=3_000, memories=900, tables=900))
    engine.start_ticking()
    yield engine
    engine.close()


Serve = Callable[..., HttpTrigger]


@pytest.fixture
def serve(engine: Engine) -> Iterator[Serve]:
    """`serve("echo", **limits)`: an app of one guest. Afterwards nothing may be left of any request."""
    triggers: list[HttpTrigger] = []

    def make(guest: str, **limits: Any) -> HttpTrigger:
        allowed = dataclasses.replace(LIMITS, **limits)
        compiled = component.Component(engine.wasmtime, wat.text(guest))
        program = Program(engine, compiled, wasi_interfaces(HostConfig(limits=allowed)), tuple(REFUSED), allowed)
        check_handler("http", program.type)
        exports = {"http": find_handler("http", program)}
        served = TriggerComponent("guest", InstancePool(program), GuestLog("test", "guest"), exports)
        static = APP.http_triggers[1].static_response
        assert static is not None
        triggers.append(HttpTrigger(APP, [("/...", GuestTarget(served)), ("/static", StaticTarget(static))]))
        return triggers[-1]

    before = engine.instances
    yield make
    assert engine.instances == before
    assert engine.guest is None
    assert all(trigger.counts.active == 0 for trigger in triggers)


async def ask(trigger: HttpTrigger, target: str = "/", body: bytes = b"", **changes: Any) -> FakeExchange:
    exchange = FakeExchange(head(target=target, **changes), body)
    await trigger.handle(exchange)
    return exchange


@pytest.mark.parametrize(
    ("guest", "target", "body", "answer"),
    [
        ("hello", "/", b"", b"hello"),
        ("counter", "/", b"", b"1"),
        ("echo", "/", b"x" * 100_000, b"x" * 100_000),
        ("upload", "/", b"x" * 100_000, b"100000"),
        ("unread", "/", b"x" * 100_000, b"unread"),
        ("calls", "/1000", b"", b"1000"),
        ("handles", "/1000", b"", b"1000"),
        ("length", "/10", b"", bytes(10)),
        ("output", "/100000", b"", bytes(100_000)),
        ("output-unflushed", "/100000", b"", bytes(100_000)),
        ("recursion", "/100", b"", b"100"),
        ("memory", "/10", b"", b"14"),  # it has four pages from the start
        ("table", "/10", b"", b"10"),
        ("poll", "/1", b"", b"1"),
        ("sleep", "/1", b"", b"1"),
        ("stderr", "/3", b"", b"3"),
        ("trailers", "/", b"x", b"trailers"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) > 2 else "",
)
async def test_a_guest_answers(serve: Serve, guest: str, target: str, body: bytes, answer: bytes) -> None:
    exchange = await ask(serve(guest), target, body)
    assert (exchange.status, bytes(exchange.body), exchange.finished) == (200, answer, True)


@pytest.mark.parametrize(
    ("guest", "target", "error", "limits"),
    [
        ("trap", "/", GuestTrap, {}),
        ("memory-trap", "/", GuestTrap, {}),
        ("recursion", "/", GuestStackExhausted, {}),
        ("loop", "/", GuestCpuExhausted, LITTLE_CPU),
        ("calls", "/", GuestBudgetExhausted, {"host_calls_max": 1_000}),
        ("handles", "/", GuestBudgetExhausted, {}),
        ("silent", "/", GuestNoResponse, {}),
        ("error", "/", GuestErrorResponse, {}),
        ("exit", "/", GuestExit, {}),
        ("exit", "/1", GuestExit, {}),
        ("key-value", "/", GuestRefused, {}),
        ("length", "/9", GuestResponseInvalid, {}),
        ("length", "/11", GuestResponseInvalid, {}),
        ("trap-late", "/", GuestTrap, {}),
        ("loop-late", "/", GuestCpuExhausted, LITTLE_CPU),
    ],
)
async def test_a_guest_that_fails_harms_only_itself(
    serve: Serve, guest: str, target: str, error: type[EdgedError], limits: dict[str, Any]
) -> None:
    """It fails three times over, beside a guest that answers each time."""
    trigger, other = serve(guest, **limits), serve("hello")
    for _ in range(3):
        with structlog.testing.capture_logs() as logs, pytest.raises(error) as caught:
            await ask(trigger, target)
        failures = [line for line in logs if line["event"] == "request.failed"]
        assert [(line["code"], line["request_id"]) for line in failures] == [(error.code, caught.value.request_id)]
        assert (await ask(other)).body == b"hello"
    assert trigger.counts.failed == 3


async def test_request_ids_are_distinct(serve: Serve) -> None:
    trigger = serve("trap")
    seen = set()
    for _ in range(5):
        with pytest.raises(GuestTrap) as caught:
            await ask(trigger)
        seen.add(caught.value.request_id)
        assert caught.value.as_json()["request_id"] == caught.value.request_id
    assert len(seen) == 5


async def test_endless_loops_do_not_stop_others(serve: Serve) -> None:
    loop, hello = serve("loop"), serve("hello")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, loop)
        nursery.start_soon(ask, loop)
        for _ in range(30):
            assert (await ask(hello)).body == b"hello"
        nursery.cancel_scope.cancel()


async def test_a_large_body_passes_through(serve: Serve) -> None:
    """The client takes every piece, so memory never holds more than the buffers of one request."""
    trigger = serve("echo", host_calls_max=10_000_000)
    size, piece = 4 * MiB, bytes(64 * KiB)
    exchange = FakeExchange(head(), b"", ended=False)
    taken = 0

    async def client() -> None:
        nonlocal taken
        for _ in range(size // len(piece)):
            exchange.feed(piece)
            await trio.testing.wait_all_tasks_blocked()
            taken += sum(map(len, exchange.sends))
            exchange.sends.clear()
        exchange.end()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trigger.handle, exchange)
        nursery.start_soon(client)
    assert taken + sum(map(len, exchange.sends)) == size
    assert exchange.finished


async def test_a_slow_guest_ends_at_its_wall_time(serve: Serve, autojump_clock: trio.testing.MockClock) -> None:
    assert (await ask(serve("sleep", wall_s_max=2.0), "/1900")).body == b"1900"
    with pytest.raises(GuestTimeout, match="more than 2 s"):
        await ask(serve("sleep", wall_s_max=2.0), "/2100")


async def test_a_client_that_takes_nothing_holds_no_instance(serve: Serve, engine: Engine) -> None:
    trigger = serve("hello")
    before = engine.instances
    exchange = FakeExchange(head())
    exchange.stall()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trigger.handle, exchange)
        await trio.testing.wait_all_tasks_blocked()
        assert (trigger.counts.active, engine.instances) == (1, before)
        exchange.resume()
    assert exchange.body == b"hello"


async def test_a_client_that_goes_ends_the_guest(serve: Serve) -> None:
    trigger = serve("sleep")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, trigger)
        await trio.testing.wait_all_tasks_blocked()
        assert trigger.counts.active == 1
        nursery.cancel_scope.cancel()


async def test_a_client_that_goes_within_its_body_is_no_fault_of_the_guest(serve: Serve) -> None:
    """The guest traps on the broken stream, as guests do; nobody is told that it failed."""
    trigger = serve("echo")
    exchange = FakeExchange(head(), b"the beginning", ended=False)
    exchange.break_off(ClientGone())
    with structlog.testing.capture_logs() as logs, pytest.raises(ClientGone):
        await trigger.handle(exchange)
    assert not [line for line in logs if line["event"] == "request.failed"]
    assert trigger.counts.failed == 0


async def test_what_the_guest_gave_is_sent_before_it_waits(serve: Serve) -> None:
    trigger = serve("trailers")
    exchange = FakeExchange(head(), b"", ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trigger.handle, exchange)
        await trio.testing.wait_all_tasks_blocked()
        assert exchange.sends == [], "it has not answered yet, and waits for the body"
        exchange.end()
    assert exchange.body == b"trailers"


async def test_more_requests_than_may_wait_are_refused(serve: Serve) -> None:
    trigger = serve("sleep", concurrent_max=1, queue_max=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, trigger)
        nursery.start_soon(ask, trigger)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Overloaded):
            await ask(trigger)
        nursery.cancel_scope.cancel()


async def test_the_guest_sees_the_request_and_spin_headers(serve: Serve) -> None:
    exchange = await ask(serve("inspect"), "/a/b?c=d", method="POST")
    lines = bytes(exchange.body).decode().splitlines()
    assert lines[:4] == ["POST", "http", "example.com", "/a/b?c=d"]
    headers = dict(line.split(": ", 1) for line in lines[4:] if ": " in line)
    assert headers["spin-path-info"] == "/a/b"
    assert headers["spin-matched-route"] == "/..."
    assert headers["spin-client-addr"] == "192.0.2.1:40000"
    assert headers["spin-full-url"] == "http://example.com/a/b?c=d"


async def test_static_responses_need_no_guest(serve: Serve) -> None:
    exchange = await ask(serve("trap"), "/static")
    assert (exchange.status, bytes(exchange.body)) == (201, b"still")
    assert (b"x-a", b"b") in exchange.headers


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("health", 200, b"OK"), ("info", 200, b'{"name": "test", "version": "1.2.3"}'), ("other", 404, b"")],
)
async def test_well_known_paths_never_reach_the_app(serve: Serve, path: str, status: int, body: bytes) -> None:
    exchange = await ask(serve("trap"), f"/.well-known/spin/{path}")
    assert (exchange.status, bytes(exchange.body)) == (status, body)


async def test_no_route_is_404(engine: Engine) -> None:
    exchange = await ask(HttpTrigger(APP, []), "/nothing")
    assert (exchange.status, bytes(exchange.body)) == (404, b"")
