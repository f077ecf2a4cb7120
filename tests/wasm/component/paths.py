"""One guest on each of the two paths of edged.wasm, with a host that answers the same every time.

    Case ── run(form) ── a program of that form, a fresh host ── each request ── Outcome: the answer, and all host calls

A guest of WASI 0.2 runs on the C API; the core API has to do whatever that does.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import trio
from trio.testing import MockClock
from wasmtime import component

from edged import manifest
from edged.errors import EdgedError
from edged.host.budget import Budget
from edged.host.chain import Chain
from edged.host.guest_log import GuestLog
from edged.host.interface import Interface, Invocation
from edged.host.registry import REFUSED
from edged.http.exchange import BodyError, ClientGone
from edged.limits import GuestLimits
from edged.triggers.component import TriggerComponent
from edged.triggers.exports import Entry, check_handler, find_handler
from edged.triggers.http import HttpTrigger
from edged.triggers.target import GuestTarget, HttpTarget
from edged.triggers.wagi import WagiTarget
from edged.wasm.cache import AotCache
from edged.wasm.component.program import ComponentProgram
from edged.wasm.component.reuse import ComponentPool
from edged.wasm.engine import Engine
from edged.wasm.linker import Program
from edged.wasm.loader import load_component
from edged.wasm.plan.compiled import CompiledPlan, compile_in_process
from edged.wasm.pool import InstancePool
from tests.host.fakes import FakeExchange, Output, head
from tests.wasm.component.recording import Recording, recorded, recorded_drops, show_bytes
from tests.wasm.component.repeatable_host import LIMITS, RepeatableHost

Way = Literal["c-api", "core"]
WAYS: tuple[Way, ...] = ("c-api", "core")
APP = manifest.parse(
    b"""
spin_manifest_version = 2
[application]
name = "both"
[[trigger.http]]
route = "/..."
component = "guest"
[[trigger.http]]
route = "/hello/:name"
component = "guest"
[component.guest]
source = "guest.wasm"
""",
    Path("spin.toml"),
)


Expected = int | type[Exception] | None
"""A status, the class of an error, or None where there is neither."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, message or tick.

    Attributes:
        pieces: of the body, each sent when everybody waits; `trailers` come behind the last.
        cut: the body ends with this instead.
        leaves: the client takes nothing and goes.
        expects: so that it is known that the guest did what it is asked for.
    """

    target: str = "/"
    body: bytes = b""
    method: str = "GET"
    expects: Expected = 200
    pieces: Sequence[bytes] = ()
    trailers: Sequence[tuple[bytes, bytes]] = ()
    cut: BodyError | ClientGone | None = None
    leaves: bool = False
    headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"example.com"), (b"accept", b"*/*"))


def post(target: str, value: object, expects: Expected = 200) -> Ask:
    """JSON for a path; bytes as they are."""
    return Ask(target, value if isinstance(value, bytes) else json.dumps(value).encode(), "POST", expects)


@dataclass(frozen=True, slots=True)
class Case:
    """What one guest is asked, one after the other, with one host.

    Attributes:
        ticks: epochs go by, so that a guest that computes is interrupted. Where that is, and so how much of its answer
            has been sent, is the machine's affair, and the answer is not kept.
        sleeps: the guest waits for the clock, which goes on when nobody has anything to do; else it stands still.
        granted: the manifest allows all that there is.
        has_spin: the host has Spin's interfaces; else they are refused.
    """

    guest: str
    asks: Sequence[Ask]
    name: str = ""
    trigger: Literal["http", "cron", "redis", "wagi"] = "http"
    limits: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    ticks: bool = False
    sleeps: bool = False
    granted: bool = True
    has_spin: bool = True

    @property
    def id(self) -> str:
        return f"{self.guest}-{self.name}" if self.name else self.guest


class Outcome(NamedTuple):
    """What came of one request.

    Attributes:
        status: of the response; None where there is none.
        answer: headers, body, trailers, whether it was finished, and whether aborted; of other triggers their result.
        error: class, code and message, or None.
        output: of stdout and stderr.
        calls: of the host, see `Recording`.
        left: drops of what the guest still held at its end, in no order.
        budget: what was left of it.
    """

    status: int | None
    answer: Sequence[object]
    error: Sequence[object] | None
    output: Sequence[str]
    calls: Sequence[Sequence[str]]
    left: Sequence[Sequence[str]]
    budget: Budget


_Answer = tuple[int | None, Sequence[object], Exception | None]


class Compiled(NamedTuple):
    """A guest, for each path."""

    component: component.Component
    plan: CompiledPlan


def compile_both(engine: Engine, binary: bytes) -> Compiled:
    """Of a small guest."""
    return Compiled(component.Component(engine.wasmtime, binary), compile_in_process(engine, binary))


async def load_both(engine: Engine, cache: AotCache, source: Path) -> Compiled:
    """The same of what takes long to compile."""
    usual = await load_component(engine, cache, source)
    assert isinstance(usual.compiled, component.Component)
    return Compiled(usual.compiled, (await load_component(engine, cache, source, form="plan")).compiled)


@dataclass(frozen=True, slots=True)
class _Guest(TriggerComponent):
    """A component whose invocations are kept, with their output."""

    invocations: list[Invocation] = field(default_factory=list)

    def invocation(self, chain: Chain | None = None) -> Invocation:
        self.invocations.append(Invocation("request", Output(), Output(), Budget(), chain or Chain()))
        return self.invocations[-1]


def link(
    engine: Engine,
    compiled: Compiled,
    way: Way,
    interfaces: Sequence[Interface],
    limits: GuestLimits,
    refusable: Sequence[str] = tuple(REFUSED),
) -> InstancePool | ComponentPool:
    """A pool of its instances; as `edged.app.component`."""
    if way == "c-api":
        return InstancePool(Program(engine, compiled.component, interfaces, refusable, limits))
    return ComponentPool(ComponentProgram(engine, compiled.plan, interfaces, refusable, limits))


class _Rig:
    """A guest on one path, with a host of its own."""

    def __init__(
        self, engine: Engine, compiled: Compiled, case: Case, way: Way, folder: Path, nursery: trio.Nursery
    ) -> None:
        self.case = case
        self.recording = Recording()
        self.host = RepeatableHost(folder, f"{way}.db", nursery, granted=case.granted, environment=case.environment)
        limits = dataclasses.replace(LIMITS, **case.limits)
        self.interfaces = self.host.interfaces(limits, has_spin=case.has_spin)
        pool: Any = link(engine, compiled, way, [recorded(each, self.recording) for each in self.interfaces], limits)
        check_handler(case.trigger, pool.program.type)
        exports: dict[str, Entry] = {case.trigger: find_handler(case.trigger, pool.program)}
        self.component = _Guest("guest", pool, GuestLog("both", "guest"), exports)
        target: HttpTarget = GuestTarget(self.component)
        if case.trigger == "wagi":
            target = WagiTarget(self.component, "${SCRIPT_NAME} ${ARGS}", self.host.environment)
        self.trigger = self.host.local.trigger = HttpTrigger(APP, [("/...", target), ("/hello/:name", target)])

    def close(self) -> None:
        assert self.component.pool.statistics().alive == 0
        self.component.close()
        self.host.close()

    async def ask(self, ask: Ask) -> Outcome:
        self.recording.calls.clear()
        self.component.invocations.clear()
        begin = self._request if self.case.trigger in ("http", "wagi") else self._call
        status, answer, error = await begin(ask)
        outputs = [self.component.invocations[0].stdout, self.component.invocations[0].stderr]
        calls = list(self.recording.calls)
        left = []
        while calls and calls[-1][0] == "drop":
            left.append(calls.pop())
        return Outcome(
            status,
            () if self.case.ticks else answer,
            None if error is None else _shown(error),
            [show_bytes(output.data) for output in outputs if isinstance(output, Output)],
            calls,
            sorted(left),
            self.component.invocations[0].budget,
        )

    async def _call(self, ask: Ask) -> _Answer:
        argument: object = ask.body if self.case.trigger == "redis" else (int(ask.target),)
        try:
            result = await self.component.call(self.component.exports[self.case.trigger].export, argument)
        except EdgedError as error:
            return None, (), error
        return None, (result,), None

    async def _request(self, ask: Ask) -> _Answer:
        request = head(target=ask.target, method=ask.method, headers=tuple(ask.headers))
        exchange = FakeExchange(request, ask.body, ended=False)

        async def client() -> None:
            for piece in ask.pieces:
                await trio.testing.wait_all_tasks_blocked()
                exchange.feed(piece)
            if ask.cut is None:
                exchange.end(ask.trailers)
            else:
                exchange.break_off(ask.cut)

        if not ask.pieces:
            await client()
        if ask.leaves:
            exchange.leave()
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            if ask.pieces:
                nursery.start_soon(client)
            try:
                await self.trigger.handle(exchange)
            except (EdgedError, ClientGone, BodyError) as error:
                failure = error
            nursery.cancel_scope.cancel()
        sent = (exchange.headers, show_bytes(exchange.body), exchange.trailers, exchange.finished, exchange.aborted)
        return exchange.status, sent, failure


def _shown(error: Exception) -> Sequence[object]:
    return type(error), *((error.code, error.message) if isinstance(error, EdgedError) else (str(error),))


def run(engine: Engine, compiled: Compiled, case: Case, way: Way, folder: Path) -> list[Outcome]:
    """Ask a guest all that the case has, on one path."""

    async def main() -> list[Outcome]:
        async with trio.open_nursery() as nursery:
            rig = _Rig(engine, compiled, case, way, folder, nursery)
            with recorded_drops(rig.interfaces, rig.recording):
                outcomes = [await rig.ask(ask) for ask in case.asks]
                await trio.testing.wait_all_tasks_blocked()
            rig.close()
            nursery.cancel_scope.cancel()
        return outcomes

    before = engine.instances
    clock = MockClock(autojump_threshold=0.0) if case.sleeps else MockClock()
    outcomes = trio.run(main, clock=clock)
    assert engine.instances == before
    assert engine.guest is None
    return outcomes
