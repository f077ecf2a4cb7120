"""A benchmark from its first measurement to its report.

    check tools -> before: httping, mtr of every target -> series begin -> wait -> EVENT -> wait -> after: the same
                                                            -> UNDO -> wait -> series end -> report

Clients measure side by side, each one target after the other, so that none is in the way of itself. The undo is run
however the benchmark ends, once the event has been given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from edged.bench import httping, mtr, series
from edged.bench.client import Client, check_tools, run_command, run_tool
from edged.bench.report import Comparison, Measurement, Report
from edged.bench.series import Series
from edged.bench.target import Target
from edged.limits import (
    BENCH_COUNT,
    BENCH_INTERVAL_S,
    BENCH_LEAD_S,
    BENCH_SETTLE_S,
    BENCH_TIMEOUT_S,
    BENCH_TOOL_CHECK_S,
)
from edged.nursery import plain_errors

Say = Callable[[str], None]
"""Told what happens, a line each time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        anycast: the address that the event is about.
        regions: each by its own address.
        event, undo: words of commands; empty for none.
        event_text, undo_text: the same, as somebody typed them.
        settle_s: after the event, before it is measured again, and after the undo.
        count: requests, and packets of mtr, of one measurement.
        names: of routers instead of addresses.
    """

    clients: tuple[Client, ...]
    anycast: Target
    regions: tuple[Target, ...] = ()
    event: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    event_text: str = ""
    undo_text: str = ""
    lead_s: float = BENCH_LEAD_S
    settle_s: float = BENCH_SETTLE_S
    count: int = BENCH_COUNT
    names: bool = False

    @property
    def targets(self) -> tuple[Target, ...]:
        """In the order in which they are measured and shown."""
        return (self.anycast, *self.regions)


_Found = dict[tuple[str, str], Measurement]


async def run(plan: Plan, say: Say) -> Report:
    """
    Raises:
        BenchToolMissing
        BenchFailed
    """
    with plain_errors():
        async with trio.open_nursery() as nursery:
            for client in plan.clients:
                nursery.start_soon(check_tools, client)
    began = time.time()
    before = await _measure(plan, "before" if plan.event else "", say)
    if not plan.event:
        return Report(began, _compare(plan, before, None))
    began = time.time()
    event = _Event(plan, say, trio.current_time())
    with plain_errors():
        async with trio.open_nursery() as nursery:
            for each in event.series:
                client = next(client for client in plan.clients if client.name == each.client)
                nursery.start_soon(series.measure, client, plan.anycast, each)
            after = await event.happen()
            nursery.cancel_scope.cancel()
    return Report(
        began,
        _compare(plan, before, after),
        event=plan.event_text,
        undo=plan.undo_text,
        event_s=event.event_s,
        undo_s=event.undo_s,
        series=tuple(event.series),
    )


@dataclass(slots=True)
class _Event:
    """The part with a clock: what happens while the series grow."""

    plan: Plan
    say: Say
    began: float
    series: list[Series] = field(init=False)
    event_s: float | None = None
    undo_s: float | None = None

    def __post_init__(self) -> None:
        self.series = [Series(client.name, self.began) for client in self.plan.clients]

    async def happen(self) -> _Found:
        """The event, the measurement after it, and the undo."""
        plan = self.plan
        self.say(f"latency over time, {plan.lead_s:g} s before the event")
        await trio.sleep(plan.lead_s)
        self.say(f"the event: {plan.event_text}")
        self.event_s = self._now()
        try:
            await run_command(plan.event, "event")
            self.say(f"{plan.settle_s:g} s after the event")
            await trio.sleep(plan.settle_s)
            found = await _measure(plan, "after", self.say)
        finally:
            await self._undo()
        if plan.undo:
            await trio.sleep(plan.settle_s)
        return found

    async def _undo(self) -> None:
        if self.plan.undo:
            self.say(f"the undo: {self.plan.undo_text}")
            self.undo_s = self._now()
            with trio.CancelScope(shield=True):
                await run_command(self.plan.undo, "undo")

    def _now(self) -> float:
        return trio.current_time() - self.began


async def _measure(plan: Plan, when: str, say: Say) -> _Found:
    found: _Found = {}

    async def from_client(client: Client) -> None:
        for target in plan.targets:
            say(f"{client.name} -> {target.name}{f', {when}' if when else ''}")
            found[client.name, target.name] = await _measurement(client, target, plan)

    with plain_errors():
        async with trio.open_nursery() as nursery:
            for client in plan.clients:
                nursery.start_soon(from_client, client)
    return found


async def _measurement(client: Client, target: Target, plan: Plan) -> Measurement:
    each_s = BENCH_INTERVAL_S + BENCH_TIMEOUT_S
    longest_s = BENCH_TOOL_CHECK_S + plan.count * 2 * each_s
    pings = httping.parse(await run_tool(client, httping.arguments(target, plan.count), longest_s))
    path = await run_tool(client, mtr.arguments(target, plan.count, names=plan.names), longest_s)
    return Measurement(httping.Latency.of(pings), mtr.parse(path))


def _compare(plan: Plan, before: _Found, after: _Found | None) -> tuple[Comparison, ...]:
    places: Sequence[tuple[Client, Target]] = [(client, target) for client in plan.clients for target in plan.targets]
    return tuple(
        Comparison(
            client.name,
            target.name,
            target.url,
            before[client.name, target.name],
            None if after is None else after[client.name, target.name],
        )
        for client, target in places
    )
