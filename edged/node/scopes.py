"""Triggers with a scope, on this node: the trio shell around `edged.fleet.scope`.

workers ── triggers, ticks begun and ended ──> Scopes ── orders ──> workers
board ──── reports of other nodes ───────────>   '── report ──────> own report
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog
import trio

from edged.fleet.scope import Duty, GivenUp, Heard, NextTick, ScopedTrigger, Shares, TriggerId, TriggerReport
from edged.limits import SCOPE_APP_COUNT_MAX, SCOPE_LOOK_S
from edged.manifest.schedule import Schedule, ScheduleError, parse_schedule
from edged.node.pool_event import PoolEvent, TickBegun, TickEnded
from edged.worker.report import TriggerState
from edged.worker.table import TriggerOrder

log = structlog.get_logger()


class SharedPool(Protocol):
    """What is needed of `edged.node.workers.WorkerPool`."""

    def triggers(self) -> Mapping[str, Mapping[str, TriggerState]]: ...

    def set_orders(self, orders: Mapping[str, Mapping[str, TriggerOrder]]) -> None: ...


class Scopes:
    """See the module.

    Args:
        name: of this node.
        pool: of workers.
        heard: the other nodes of the fleet, as they said last.
        region: of this node, as the fleet has it now.
    """

    def __init__(
        self, name: str, pool: SharedPool, heard: Callable[[], Sequence[Heard]], region: Callable[[], str]
    ) -> None:
        self._pool = pool
        self._heard = heard
        self._region = region
        self._shares = Shares(name)
        self._ordered: dict[TriggerId, Duty] = {}
        self._schedules: dict[str, NextTick | None] = {}
        """Of the expressions that there are: each takes milliseconds to read."""
        self._news = trio.Event()

    def emit(self, event: PoolEvent) -> None:
        """What happened in the pool. Quick; on the loop."""
        match event:
            case TickBegun(app, trigger, tick):
                self._shares.begun((app, trigger), tick)
            case TickEnded(app, trigger, tick, was_cut):
                self._shares.ended((app, trigger), tick)
                if was_cut:
                    log.warning("tick.cut", app=app, trigger=trigger, tick=_text(tick))
                self._news.set()

    def report(self) -> Mapping[str, TriggerReport]:
        """For this node's own report."""
        return self._shares.report()

    async def run(self) -> None:
        """Give orders until cancelled."""
        while True:
            self._news = trio.Event()
            self.look()
            now = time.time()
            with trio.move_on_after(min(SCOPE_LOOK_S, self._shares.wake_at(now) - now)):
                await self._news.wait()

    def look(self) -> None:
        """Find out what there is to be done, and have it done."""
        now, wall = trio.current_time(), time.time()
        triggers = self._pool.triggers()
        self._shares.set(self._scoped(triggers), now, wall)
        self._shares.set_listening(
            (app, id_) for app, states in triggers.items() for id_, each in states.items() if each.listening
        )
        for given_up in self._shares.look(self._heard(), self._region(), now, wall):
            _say(given_up)
        duties = self._shares.duties()
        if duties != self._ordered:
            self._ordered = duties
            self._pool.set_orders(_orders(duties))

    def _scoped(self, triggers: Mapping[str, Mapping[str, TriggerState]]) -> list[ScopedTrigger]:
        """Those that a worker has told of, which is not believed to tell only what it should."""
        found: list[ScopedTrigger] = []
        schedules: dict[str, NextTick | None] = {}
        for app, states in triggers.items():
            for id_, state in itertools.islice(states.items(), SCOPE_APP_COUNT_MAX):
                text = state.expression
                if text and text not in schedules:
                    schedules[text] = self._schedules[text] if text in self._schedules else _next_tick(text)
                next_tick = schedules[text] if text else None
                if not text or next_tick is not None:
                    found.append(ScopedTrigger(app, id_, state.scope, text, next_tick))
        self._schedules = schedules
        return found


def _next_tick(expression: str) -> NextTick | None:
    try:
        schedule = parse_schedule(expression)
    except ScheduleError:
        return None  # its worker has read it already, in the manifest

    def after(at: int) -> int | None:
        tick = schedule.next(datetime.fromtimestamp(at, UTC))
        return None if tick is None else int(tick.timestamp())

    return after


def _orders(duties: Mapping[TriggerId, Duty]) -> dict[str, dict[str, TriggerOrder]]:
    found: dict[str, dict[str, TriggerOrder]] = {}
    for (app, id_), duty in duties.items():
        found.setdefault(app, {})[id_] = TriggerOrder(duty.tick, duty.order, duty.listen)
    return found


def _say(given_up: GivenUp) -> None:
    trigger = given_up.trigger
    schedule: Schedule = parse_schedule(trigger.expression)
    since, until = (datetime.fromtimestamp(at, UTC) for at in (given_up.since, given_up.until))
    log.warning(
        "tick.given-up",
        app=trigger.app,
        trigger=trigger.id,
        missed=schedule.count(since, until),
    )


def _text(tick: int) -> str:
    return f"{datetime.fromtimestamp(tick, UTC):%Y-%m-%dT%H:%M:%SZ}"
