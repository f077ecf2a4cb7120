"""What mutants are run in: an engine, all that the host has for guests, and small limits.

data ── validated, planned, verified, compiled ── linked ── asked ── closed ── looked after: nothing is left
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio
import wasmtime

from edged.errors import ComponentInvalid, ComponentUnsupported, EdgedError, HostFailed
from edged.host.channel import Pieces
from edged.host.guest_log import GuestLog
from edged.host.http.outbound import Outgoing
from edged.host.interface import Invocation
from edged.host.registry import (
    REFUSED,
    HostConfig,
    core_modules,
    spin1_interfaces,
    spin_interfaces,
    wasi3_interfaces,
    wasi_interfaces,
)
from edged.http.exchange import BodyError, ClientGone
from edged.http.router import Router
from edged.limits import INSTANCE_IDLE_S, GuestLimits, KiB, MiB
from edged.triggers.async_target import AsyncGuestTarget
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import Entry, check_handler, find_handler
from edged.triggers.record import RecordTarget
from edged.triggers.target import GuestTarget, HttpTarget
from edged.triggers.wagi import WagiTarget, find_entry_point
from edged.wasm.component.program import ComponentProgram
from edged.wasm.component.reuse import ComponentPool, ReusePool
from edged.wasm.core.instance import CorePool
from edged.wasm.core.kinds import world_of
from edged.wasm.core.lifted import WorldProgram
from edged.wasm.core.program import CoreProgram
from edged.wasm.engine import Engine, PoolConfig
from edged.wasm.plan.compiled import CompiledPlan, Parts, check_module, compile_module, take_apart
from edged.wasm.plan.elaborate import build_plan
from edged.wasm.plan.skeleton import skeleton
from edged.wasm.types import ComponentType, Function
from tests.host.fakes import FakeExchange, head
from tests.host.http.transports import FakeTransport, grant
from tests.host.key_value.memory import MemoryKeyValue
from tests.wasm.component import fuzz_corpus
from tests.wasm.component.conftest import Drip, Tasks
from tests.wasm.component.fuzz_values import has_values, value
from tests.wasm.hosts import Api

LIMITS = replace(
    GuestLimits(),
    memory_bytes_max=16 * MiB,
    wall_s_max=0.5,
    cpu_s_max=0.1,
    host_calls_max=10_000,
    handles_max=1_000,
    request_body_bytes_max=1 * MiB,
    response_body_bytes_max=1 * MiB,
)
_POOL = PoolConfig(instances=40, core_instances=400, memories=100, tables=100, memory_bytes_max=16 * MiB)
_CALLS_MAX = 8
_MODULES_KEPT_MAX = 300
_ENDS_WITHIN_S = 1_000.0  # on a clock that jumps where nothing else happens
_TARGETS = ("/", "/1", "/100", "/2000", "/a?b=c")
_FAKES = "test:host/"  # interfaces of these tests, which may fail

Call = Callable[[], Awaitable[object]]


class Finding(Exception):
    """Something that no guest may be able to bring about."""


class _Tasks(Tasks):
    """What the guests of these tests import, where they may ask for anything."""

    def source(self, invocation: Invocation, size: int) -> Drip | Pieces:
        return super().source(invocation, min(size, 100 * KiB))


class Bench:
    """Runs mutants, one after the other.

    Args:
        nursery: where outbound requests run.
        folder: for a file that guests are given.
    """

    def __init__(self, nursery: trio.Nursery, folder: Path) -> None:
        self.engine = Engine(_POOL)
        self.engine.start_ticking()
        self.outcomes: Counter[str] = Counter()
        (folder / "a").write_bytes(b"content")
        network = FakeTransport()
        network.answer.set()
        closed = HostConfig(
            environment={"a": "b"},
            files={"/a": folder / "a"},
            key_value={"default": MemoryKeyValue()},
            variables={"a": "b"},
            limits=LIMITS,
        )
        self._hosts = (
            closed,
            replace(closed, grant=grant("http://*:*", "https://*:*"), outgoing=Outgoing(network, nursery)),
        )
        self._interfaces = [
            [*wasi_interfaces(host), *wasi3_interfaces(host), *spin_interfaces(host)] for host in self._hosts
        ]
        self._modules: OrderedDict[bytes, wasmtime.Module] = OrderedDict()
        self._lies = False
        """The mutant imports something with another type than the host has it."""
        self._log = GuestLog("fuzz", "mutant")

    def close(self) -> None:
        self.engine.close()

    async def component(self, data: bytes, chance: random.Random, *, validate: bool = True) -> None:
        """Take a component through all that an app's goes through.

        Args:
            validate: have wasmtime validate the whole; without it, edged's own checks stand alone.

        Raises:
            Finding
        """
        await self._watch("ended", lambda: self._component(data, chance, validate))
        self._check_alive()

    async def module(self, data: bytes, chance: random.Random) -> None:
        """The same with a core module."""
        await self._watch("ended", lambda: self._module(data, chance))
        self._check_alive()

    # --- components ---

    async def _component(self, data: bytes, chance: random.Random, validate: bool) -> None:
        compiled = self._compile(data, validate)
        self._lies = not fuzz_corpus.import_signatures().issuperset(fuzz_corpus.signatures(compiled.plan.type))
        released = trio.Event()
        released.set()
        tasks = _Tasks()
        tasks.released = released
        tasks.drips = chance.random() < 0.5
        interfaces = [*chance.choice(self._interfaces), tasks, Api()]
        program = ComponentProgram(self.engine, compiled, interfaces, tuple(REFUSED), LIMITS)
        pool: Any = ReusePool(program) if program.reusable else ComponentPool(program)
        served = TriggerComponent("mutant", pool, self._log, _handlers(program, program.type))
        await self._serve(served, program.type, chance)

    def _compile(self, data: bytes, validate: bool) -> CompiledPlan:
        if validate:
            parts = take_apart(data)
        else:
            bones = skeleton(data)
            parts = Parts(data, bones, build_plan(bones))
        for unused in parts.unused_modules():
            check_module(self.engine.wasmtime, unused)
        return CompiledPlan(parts.plan, tuple(self._module_of(rewritten) for rewritten in parts.modules()))

    def _module_of(self, data: bytes) -> wasmtime.Module:
        """Most mutants have most modules of what they were made from."""
        found = self._modules.pop(data, None)
        if found is None:
            found = compile_module(self.engine.wasmtime, data)
            if len(self._modules) > _MODULES_KEPT_MAX:
                self._modules.popitem(last=False)
        self._modules[data] = found
        return found

    # --- core modules ---

    async def _module(self, data: bytes, chance: random.Random) -> None:
        try:
            compiled = wasmtime.Module(self.engine.wasmtime, data)
        except wasmtime.WasmtimeError as error:
            raise ComponentInvalid(str(error)) from None
        host = chance.choice(self._hosts)
        self._lies = False
        world = world_of(compiled, data)
        program = CoreProgram(
            self.engine,
            compiled,
            core_modules(host),
            LIMITS,
            world=world,
            interfaces=[*wasi_interfaces(host), *spin_interfaces(host), *spin1_interfaces(host)],
            refusable=tuple(REFUSED),
        )
        if world is None:
            exports: Mapping[str, Entry] = {"wagi": find_entry_point(program)}
            ty = ComponentType({}, {}, ())
        else:
            exports, ty = _handlers(WorldProgram(program), world.type), world.type
        await self._serve(TriggerComponent("mutant", CorePool(program), self._log, exports), ty, chance)

    # --- requests ---

    async def _serve(self, served: TriggerComponent, ty: ComponentType, chance: random.Random) -> None:
        target = _target(served)
        calls: list[Call]
        if target is not None:
            calls = [self._request(target, chance) for _ in range(chance.choice((1, 2, 2, 3)))]
        else:
            calls = self._calls(served, ty, chance)
        try:
            await self._ask(calls, chance)
        finally:
            served.close()
            await trio.sleep(2 * INSTANCE_IDLE_S)  # whoever closes what is idle sees that there is nothing
        statistics = served.pool.statistics()
        if statistics.alive or statistics.waiting:
            raise Finding(f"left behind in the pool: {statistics}")

    async def _ask(self, calls: list[Call], chance: random.Random) -> None:
        if chance.random() < 0.5:
            for call in calls:
                await self._watch("answered", call)
            return
        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(self._watch, "answered", call)
            if chance.random() < 0.3:
                for _ in range(chance.randrange(4)):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()

    def _request(self, target: HttpTarget, chance: random.Random) -> Call:
        body = chance.randbytes(chance.choice((0, 1, 100, 70 * KiB)))
        ended = chance.random() < 0.7
        headers = ((b"host", b"example.com"), (b"url", b"http://example.com/x"))
        request = head(method=chance.choice(("GET", "POST", "HEAD")), target=chance.choice(_TARGETS), headers=headers)
        exchange = FakeExchange(request, body, ended=ended)
        end = chance.choice(
            (
                exchange.end,
                lambda: _leave(exchange),
                lambda: exchange.break_off(ClientGone()),
                lambda: exchange.break_off(BodyError(408, "too slow")),
            )
        )
        router = Router([("/...", target)])

        async def ask() -> None:
            match = router.match(exchange.request.path)
            assert match is not None
            failure: Exception | None = None
            async with trio.open_nursery() as client:
                if not ended:
                    client.start_soon(_later, end)
                try:
                    await target.handle(exchange, match, None)
                except (EdgedError, ClientGone, BodyError) as exc:
                    failure = exc
                client.cancel_scope.cancel()
            if failure is not None:
                raise failure

        return ask

    def _calls(self, served: TriggerComponent, ty: ComponentType, chance: random.Random) -> list[Call]:
        """Calls of what is exported, with values by chance."""
        program = served.pool.program  # type: ignore[attr-defined]
        named: list[tuple[str, str, Function]] = [("", name, function) for name, function in ty.functions.items()]
        named += [
            (interface, name, function)
            for interface, exported in ty.exports.items()
            for name, function in exported.functions.items()
        ]
        if not named:
            return [lambda: self._instantiate(served)]
        chosen = chance.choices(named, k=chance.randint(1, _CALLS_MAX))
        return [self._call(served, program, each, chance) for each in chosen]

    def _call(
        self, served: TriggerComponent, program: Any, named: tuple[str, str, Function], chance: random.Random
    ) -> Call:
        interface, name, function = named
        lifted = WorldProgram(program) if isinstance(program, CoreProgram) else program
        export = lifted.export(interface, name)
        if export is None or not all(map(has_values, function.params)):
            return lambda: self._instantiate(served)
        arguments = [value(chance, param) for param in function.params]

        async def call() -> None:
            await served.call(export, *arguments)

        return call

    async def _instantiate(self, served: TriggerComponent) -> None:
        invocation = served.invocation()
        served.pool.release(await served.pool.acquire(invocation))
        invocation.close()

    # --- what becomes of it ---

    async def _watch(self, well: str, step: Call) -> None:
        """Count how something ends.

        Raises:
            Finding: it ends as nothing may.
        """
        try:
            with trio.fail_after(_ENDS_WITHIN_S):
                await step()
        except trio.TooSlowError:
            raise Finding("never ends") from None
        except HostFailed as failed:
            if not failed.message.startswith(_FAKES) and not self._lies:
                raise Finding(f"the host fails: {failed.message}") from failed
            self.outcomes["host.failed, which was asked for"] += 1
        except EdgedError as error:
            self.outcomes[error.code] += 1
        except (ClientGone, BodyError) as gone:
            self.outcomes[type(gone).__name__] += 1
        except trio.Cancelled:
            self.outcomes["cancelled"] += 1
            raise
        else:
            self.outcomes[well] += 1
        if self.engine.guest is not None:
            raise Finding("the engine has a guest on its stack")

    def _check_alive(self) -> None:
        if self.engine.instances:
            raise Finding(f"{self.engine.instances} instances are left")


def _handlers(program: Any, ty: ComponentType) -> dict[str, Entry]:
    """By type of trigger, what the mutant has for it."""
    found = {}
    for trigger in ("http", "redis", "cron"):
        try:
            check_handler(trigger, ty)
        except ComponentUnsupported:
            continue
        found[trigger] = find_handler(trigger, program)
    return found


def _target(served: TriggerComponent) -> HttpTarget | None:
    if "wagi" in served.exports:
        return WagiTarget(served, "${SCRIPT_NAME} ${ARGS}", {})
    if "http" not in served.exports:
        return None
    match served.exports["http"].style:
        case "handler":
            return AsyncGuestTarget(served)
        case "record":
            return RecordTarget(served)
    return GuestTarget(served)


def _leave(exchange: FakeExchange) -> None:
    exchange.leave()
    exchange.break_off(ClientGone())


async def _later(action: Callable[[], None]) -> None:
    await trio.sleep(0.01)
    action()
