"""Serving core modules in tests, as an app would: with all that the host has for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import wasmtime

from edged.host.guest_log import GuestLog
from edged.host.registry import (
    REFUSED,
    HostConfig,
    core_modules,
    spin1_interfaces,
    spin_interfaces,
    wasi_interfaces,
)
from edged.http.router import Router
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import check_handler, find_handler
from edged.triggers.record import RecordTarget
from edged.triggers.redis import guest_call
from edged.triggers.target import GuestTarget, HttpTarget
from edged.wasm.core.instance import CorePool
from edged.wasm.core.kinds import world_of
from edged.wasm.core.lifted import WorldProgram
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine
from tests.host.fakes import FakeExchange, head


class Served:
    """A module, by each of its triggers."""

    def __init__(self, program: WorldProgram, component: TriggerComponent) -> None:
        self.program = program
        self.component = component
        target: HttpTarget = GuestTarget(component)
        if "http" in component.exports and component.exports["http"].style == "record":
            target = RecordTarget(component)
        self._router = Router([("/:first/...", target), ("/...", target)])

    async def handle(self, exchange: FakeExchange) -> None:
        match = self._router.match(exchange.request.path)
        assert match is not None
        await match.target.handle(exchange, match, None)

    async def ask(self, target: str = "/", body: bytes = b"", **changes: Any) -> FakeExchange:
        exchange = FakeExchange(head(target=target, **changes), body)
        await self.handle(exchange)
        return exchange

    async def message(self, message: bytes) -> None:
        await guest_call(self.component)(message)


Serve = Callable[..., Served]


@contextmanager
def serving(engine: Engine) -> Iterator[Serve]:
    """`serve(binary, host, *triggers)`. Afterwards nothing may be left of any request."""
    served = []

    def serve(module: bytes, host: HostConfig, *triggers: str) -> Served:
        compiled = wasmtime.Module(engine.wasmtime, module)
        world = world_of(compiled, module)
        assert world is not None
        core = CoreProgram(
            engine,
            compiled,
            core_modules(host),
            host.limits,
            world=world,
            interfaces=[*wasi_interfaces(host), *spin_interfaces(host), *spin1_interfaces(host)],
            refusable=tuple(REFUSED),
        )
        program = WorldProgram(core)
        for trigger in triggers:
            check_handler(trigger, program.type)
        exports = {trigger: find_handler(trigger, program) for trigger in triggers}
        served.append(Served(program, TriggerComponent("guest", CorePool(core), GuestLog("test", "guest"), exports)))
        return served[-1]

    before = engine.instances
    yield serve
    assert engine.instances == before
    assert engine.guest is None
    assert all(each.component.pool.statistics().alive == 0 for each in served)
