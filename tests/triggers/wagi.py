"""Serving programs in tests: `Serve` is the fixture's type."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wasmtime
from wasmtime import component

from edged.host.guest_log import GuestLog
from edged.host.registry import REFUSED, HostConfig, core_modules, wasi_interfaces
from edged.http.router import Router
from edged.limits import GuestLimits, MiB
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import check_handler, find_handler
from edged.triggers.wagi import WagiTarget, find_entry_point
from edged.wasm.core.instance import CorePool
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine
from edged.wasm.linker import Program
from edged.wasm.pool import InstancePool
from tests.host.fakes import FakeExchange, head

# On a machine that is busy elsewhere a second may be short: only tests of the CPU limit have one that can be met.
LIMITS = dataclasses.replace(GuestLimits(), cpu_s_max=60.0, memory_bytes_max=16 * MiB)


class Served:
    """A program at the route `/...`."""

    def __init__(self, target: WagiTarget, route: str) -> None:
        self.target = target
        self._router = Router([(route, target)])

    async def handle(self, exchange: FakeExchange) -> None:
        match = self._router.match(exchange.request.path)
        assert match is not None
        await self.target.handle(exchange, match, 0)

    async def ask(self, target: str = "/", body: bytes = b"", **changes: Any) -> FakeExchange:
        exchange = FakeExchange(head(target=target, **changes), body)
        await self.handle(exchange)
        return exchange


Serve = Callable[..., Served]


@contextmanager
def serving(engine: Engine) -> Iterator[Serve]:
    """`serve(path, WAT text of a module, or binary, **options)`. Afterwards nothing may be left of any request."""
    pools = []

    def serve(
        guest: Path | str | bytes,
        *,
        route: str = "/...",
        argv: str = "${SCRIPT_NAME} ${ARGS}",
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, Path] | None = None,
        **limits: Any,
    ) -> Served:
        allowed = dataclasses.replace(LIMITS, **limits)
        host = HostConfig(environment=environment or {}, files=files or {}, limits=allowed)
        source = guest.read_bytes() if isinstance(guest, Path) else guest
        log = GuestLog("test", "guest")
        if isinstance(source, bytes) and source[4:8] != b"\1\0\0\0":
            compiled = component.Component(engine.wasmtime, source)
            linked = Program(engine, compiled, wasi_interfaces(host), tuple(REFUSED), allowed)
            check_handler("wagi", linked.type)
            pool = InstancePool(linked)
            served = TriggerComponent("guest", pool, log, {"wagi": find_handler("wagi", linked)})
        else:
            program = CoreProgram(engine, wasmtime.Module(engine.wasmtime, source), core_modules(host), allowed)
            served = TriggerComponent("guest", CorePool(program), log, {"wagi": find_entry_point(program)})
        pools.append(served.pool)
        return Served(WagiTarget(served, argv, host.environment), route)

    before = engine.instances
    yield serve
    assert engine.instances == before
    assert engine.guest is None
    assert all(pool.statistics().alive == 0 for pool in pools)
