"""What a request costs on each path that guests run on, and where the time goes.

    C API     wasmtime's own component model: WASI 0.2
    core API  the component model's rules in Python (`edged.wasm.component`): WASI 0.3, and 0.2 for comparison;
              core modules (`edged.wasm.core`)

Each guest answers requests of an exchange in memory, one after the other: no socket. Paths take turns, so that a
machine that is slow for a while is slow for all; medians of the CPU time of the thread are shown.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import trio
import wasmtime
from wasmtime import component

from benchmarks.requests import host_calls
from edged.host.channel import Pieces, Ready
from edged.host.guest_log import GuestLog
from edged.host.interface import Ok
from edged.host.registry import (
    REFUSED,
    HostConfig,
    core_modules,
    spin1_interfaces,
    spin_interfaces,
    wasi3_interfaces,
    wasi_interfaces,
)
from edged.host.wasi3.http.fields import Fields
from edged.host.wasi3.http.message import Request, Response
from edged.host.wasi3.promise import Promise
from edged.http.router import Router
from edged.limits import GuestLimits
from edged.triggers.async_target import AsyncGuestTarget
from edged.triggers.component import TriggerComponent, start_invocation
from edged.triggers.exports import Entry, find_handler
from edged.triggers.record import RecordTarget
from edged.triggers.target import GuestTarget, HttpTarget
from edged.wasm.cache import AotCache
from edged.wasm.compiler import kind_of
from edged.wasm.component.program import ComponentProgram
from edged.wasm.component.reuse import ComponentPool, ReusePool
from edged.wasm.core.instance import CorePool
from edged.wasm.core.kinds import world_of
from edged.wasm.core.lifted import WorldProgram
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine, PoolConfig, fingerprint
from edged.wasm.linker import Program
from edged.wasm.loader import load_component, load_module
from edged.wasm.plan.compiled import CompiledPlan
from edged.wasm.pool import InstancePool, Pool
from tests.guests import build
from tests.host.fakes import FakeExchange, head

_TARGETS: dict[str, Callable[[TriggerComponent], HttpTarget]] = {
    "handler": AsyncGuestTarget,
    "incoming-handler": GuestTarget,
    "record": RecordTarget,
}


class Way(NamedTuple):
    """One guest on one path.

    Attributes:
        path: `C API`, `core API`; `reuse` is an instance that serves many requests.
    """

    guest: str
    path: str
    pool: Pool[Any]
    router: Router[HttpTarget]


GUESTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "hello": ("/", ("C API", "core API")),
    "echo": ("/", ("C API", "core API")),
    "hello-js": ("/", ("C API", "core API")),
    "hello-python": ("/hello/you", ("C API", "core API")),
    "hello3": ("/", ("core API", "reuse")),
    "echo3": ("/", ("core API", "reuse")),
    "js-wasi3": ("/", ("core API", "reuse")),
    "hello-python5": ("/", ("core API", "reuse")),
    "spin1": ("/status/200", ("core API",)),
    "spin02": ("/status/200", ("core API",)),
    "wasip1-p2": ("/env/NAME", ("core API",)),
}
"""Guest -> path of the request, and what it can run on."""
BODY = {"echo": b"x" * 1000, "echo3": b"x" * 1000}


async def measure(rounds: int, guests: tuple[str, ...] = tuple(GUESTS)) -> list[dict[str, Any]]:
    """One row for each guest on each path, in microseconds of CPU time.

    `instantiate_us`: an instance made and closed. `call_us`: the rest of it, or all where instances are reused.
    """
    engine = Engine(PoolConfig())
    engine.start_ticking()
    rows = []
    try:
        with TemporaryDirectory(prefix="edged-bench-") as folder:
            cache = AotCache(Path(folder) / "cache", fingerprint(PoolConfig()))
            for guest in guests:
                target, paths = GUESTS[guest]
                ways = [await _way(engine, cache, guest, path) for path in paths]
                rows += await _measure(ways, target, rounds)
    finally:
        engine.close()
    return rows


async def measure_parts() -> list[dict[str, Any]]:
    """What the microseconds of `hello3` go to, in an instance that is reused; and what a fresh one adds."""
    engine = Engine(PoolConfig())
    engine.start_ticking()
    try:
        with TemporaryDirectory(prefix="edged-bench-") as folder:
            cache = AotCache(Path(folder) / "cache", fingerprint(PoolConfig()))
            way = await _way(engine, cache, "hello3", "reuse")
            fresh = await _way(engine, cache, "hello3", "core API")
        whole = await _cost(partial(_ask, way, "/"))
        make = await _cost(partial(_make, fresh.pool))
        way.pool.close()
    finally:
        engine.close()
    entry = Entry(None, "handler")
    host = await _cost(partial(_ask, _served("none", "none", _NoGuests(), entry), "/"))
    async with host_calls.open_on_core_api() as (program, instance):
        export = program.export("bench:guest/run", "nothing")
        assert export is not None
        enter = await _cost(partial(instance.call, export, 1))  # one call of the host with it
    parts = {
        "exchange, router, invocation, response: the same without a guest": host,
        "a call of a guest: its task, its fiber, in and out": enter,
        "what the guest calls: its resources, streams and their waits": whole - host - enter,
        "all": whole,
        "a fresh instance, in addition": make,
    }
    return [{"part": part, "us": round(us, 1)} for part, us in parts.items()]


class _NoGuest:
    """Answers as `hello3` does, at once and in Python."""

    async def call(self, _export: Any, request: Request, *, returned: Callable[[Ok], Awaitable[None]]) -> None:
        request.drop()
        fields = Fields.from_entries([("content-type", b"text/plain")])
        await returned(Ok(Response(fields, Pieces(b"hello"), Ready(Ok()), Promise())))


class _NoGuests(Pool[Any]):
    def __init__(self) -> None:
        super().__init__(GuestLimits(), lambda _invocation, _before_wait: None, None)

    async def acquire(self, *_arguments: Any) -> Any:
        return _NoGuest()

    def release(self, _instance: Any) -> None: ...


async def _measure(ways: list[Way], target: str, rounds: int) -> list[dict[str, Any]]:
    totals: dict[str, list[float]] = {}
    makes: dict[str, list[float]] = {}
    calls: dict[str, int] = {}
    for way in ways:
        calls[way.path] = await _host_calls(way, target)
    for _ in range(rounds):
        for way in ways:
            totals.setdefault(way.path, []).append(await _cost(partial(_ask, way, target)))
            if way.path != "reuse":
                makes.setdefault(way.path, []).append(await _cost(partial(_make, way.pool)))
    rows = []
    for way in ways:
        total = statistics.median(totals[way.path])
        make = statistics.median(makes.get(way.path, [0.0]))
        rows.append(
            {
                "guest": way.guest,
                "path": way.path,
                "request_us": round(total),
                "instantiate_us": round(make),
                "call_us": round(total - make),
                "host_calls": calls[way.path],
            }
        )
        way.pool.close()
    return rows


async def _cost(do: Callable[[], Awaitable[None]]) -> float:
    """Microseconds of one, the median of as many as a fifth of a second has room for."""
    started = time.thread_time()
    await do()
    count = max(5, min(400, int(0.2 / (time.thread_time() - started))))
    times = []
    for _ in range(count):
        started = time.thread_time()
        await do()
        times.append(time.thread_time() - started)
    return statistics.median(times) * 1e6


async def _ask(way: Way, target: str) -> None:
    body = BODY.get(way.guest, b"")
    exchange = FakeExchange(head(target=target, method="POST" if body else "GET"), body)
    match = way.router.match(exchange.request.path)
    assert match is not None
    await match.target.handle(exchange, match, None)
    assert exchange.status == 200, (way.guest, way.path, exchange.status)
    assert not body or exchange.body == body


async def _make(pool: Pool[Any]) -> None:
    instance = pool.make(start_invocation(_LOG, "bench"), None)
    try:
        await instance.instantiate()
    finally:
        instance.close()


async def _host_calls(way: Way, target: str) -> int:
    """How many calls of the host one request makes."""
    counts: list[int] = []
    release = way.pool.release

    def count(instance: Any) -> None:
        counts.append(instance.statistics().host_calls)
        release(instance)

    way.pool.release = count  # type: ignore[method-assign]
    await _ask(way, target)
    way.pool.release = release  # type: ignore[method-assign]
    return counts[0]


_LOG = GuestLog("bench", "guest")


async def _way(engine: Engine, cache: AotCache, guest: str, path: str) -> Way:
    limits = dataclasses.replace(GuestLimits(), instance_requests_max=1_000_000)
    host = HostConfig(limits=limits)
    interfaces = [*wasi_interfaces(host), *wasi3_interfaces(host), *spin_interfaces(host)]
    source = build.path(guest)
    if kind_of(source) == "module":
        return await _module(engine, cache, guest, source, host)
    program: Program | ComponentProgram
    pool: Pool[Any]
    if path == "C API":
        loaded = await load_component(engine, cache, source)
        assert isinstance(loaded.compiled, component.Component)
        program = Program(engine, loaded.compiled, interfaces, tuple(REFUSED), limits)
        pool = InstancePool(program)
    else:
        compiled = (await load_component(engine, cache, source, form="plan")).compiled
        assert isinstance(compiled, CompiledPlan)
        program = ComponentProgram(engine, compiled, interfaces, tuple(REFUSED), limits)
        pool = ReusePool(program) if path == "reuse" else ComponentPool(program)
    return _served(guest, path, pool, find_handler("http", program))


def _served(guest: str, path: str, pool: Pool[Any], entry: Entry) -> Way:
    target = _TARGETS[entry.style](TriggerComponent("guest", pool, _LOG, {"http": entry}))
    return Way(guest, path, pool, Router([("/hello/:name", target), ("/...", target)]))


async def _module(engine: Engine, cache: AotCache, guest: str, source: Path, host: HostConfig) -> Way:
    loaded = await load_module(engine, cache, source)
    assert isinstance(loaded.compiled, wasmtime.Module)
    core = CoreProgram(
        engine,
        loaded.compiled,
        core_modules(host),
        host.limits,
        world=world_of(loaded.compiled, await trio.Path(source).read_bytes()),
        interfaces=[*wasi_interfaces(host), *spin_interfaces(host), *spin1_interfaces(host)],
        refusable=tuple(REFUSED),
    )
    return _served(guest, "core API", CorePool(core), find_handler("http", WorldProgram(core)))
