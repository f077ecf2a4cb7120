"""The cron trigger: calls a guest at the moments of a schedule.

    wall clock -> CronClock.due ─ CronTrigger ──┬─> the guest's handle-cron-event, with the tick
    supervisor ── order ── OrderedCron ─────────┘

A tick is a moment of the schedule, in UTC. A trigger without a scope is a `CronTrigger` on each node. What it promises:

- It runs at most once, also when the wall clock is set back: ticks up to the last one seen are over.
- It never runs early. It is late by as long as the event loop is busy, and by `CRON_CLOCK_CHECK_S` at most after the
  wall clock was set forward.
- Two runs of one trigger never overlap. What comes due during a run is missed.
- After a while in which nobody looked (a suspended machine, a clock set forward) the last missed tick runs, if it is
  not older than `CRON_GRACE_S`; nothing is caught up besides. Ticks before the trigger was started are not missed.
- Missed ticks are counted and logged. A failed run is not tried again.

One with a scope is an `OrderedCron`: `edged.fleet.scope` says which node runs which tick, and promises something else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
import trio

from edged.errors import EdgedError, HostFailed
from edged.limits import CRON_CLOCK_CHECK_S, CRON_GRACE_S
from edged.manifest.model import CronTrigger as Model
from edged.manifest.schedule import Schedule
from edged.triggers.component import TriggerComponent
from edged.triggers.counts import Counts
from edged.triggers.scope import TickNews

log = structlog.get_logger()

Call = Callable[[int], Awaitable[None]]
"""Runs a guest for a tick, in seconds since 1970; raises EdgedError."""

_TICK = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Due:
    """What has come due since the clock was last looked at.

    Attributes:
        tick: to be run now.
        missed: ticks that will not run.
    """

    tick: datetime | None = None
    missed: int = 0


class CronClock:
    """Which ticks have come due, from nothing but the times it is told. All times are in UTC."""

    def __init__(self, schedule: Schedule, now: datetime) -> None:
        self._schedule = schedule
        self._seen = now

    def due(self, now: datetime) -> Due:
        """What is due. Asked again, it answers with what came due since; never, if the clock went back."""
        since = self._seen
        if now <= since:
            return Due()
        self._seen = now
        tick = self._schedule.latest(max(since, now - timedelta(seconds=CRON_GRACE_S)), now)
        return Due(tick, self._schedule.count(since, now) - (tick is not None))

    def skip(self, until: datetime) -> None:
        """Take what was due until then as done with."""
        self._seen = max(self._seen, until)

    def next(self) -> datetime | None:
        """The tick that comes due next, or None."""
        return self._schedule.next(self._seen)

    def wait_s(self, now: datetime) -> float:
        """How long to sleep, at most `CRON_CLOCK_CHECK_S`: the sleeper's clock does not notice when ours is set."""
        tick = self.next()
        if tick is None:
            return CRON_CLOCK_CHECK_S
        return min(max((tick - now).total_seconds(), 0.0), CRON_CLOCK_CHECK_S)


@dataclass(frozen=True, slots=True)
class CronStatistics:
    """What a trigger has done since it was loaded.

    Attributes:
        last_tick: that was run, or is.
        next_tick: None if there is none.
        served: runs that ended well.
        failed: runs that did not.
        missed: ticks that came due and did not run.
    """

    last_tick: datetime | None
    next_tick: datetime | None
    served: int
    failed: int
    missed: int


def utc_now() -> datetime:
    return datetime.now(UTC)


class CronTrigger:
    """One `[[trigger.cron]]` of an app.

    Args:
        call: runs the guest; given the tick in seconds since 1970. Raises EdgedError.
        now: the wall clock, in UTC.
    """

    def __init__(
        self,
        app: str,
        model: Model,
        call: Call,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.model = model
        self.counts = Counts()
        self._call = call
        self._now = now
        self._clock = CronClock(model.schedule, now())
        self._last_tick: datetime | None = None
        self._missed = 0
        self._is_running = False
        self._missed_in_run = 0
        self._app = app

    def statistics(self) -> CronStatistics:
        return CronStatistics(
            self._last_tick,
            self._clock.next(),
            self.counts.served,
            self.counts.failed,
            self._missed,
        )

    async def run(self, calls: trio.Nursery) -> None:
        """Call the guest at every tick until cancelled. Never raises.

        Args:
            calls: where the calls run, which this does not end with it.
        """
        self._clock.skip(self._now())
        while True:
            self._start_due(calls)
            await trio.sleep(self._clock.wait_s(self._now()))

    def _start_due(self, calls: trio.Nursery) -> None:
        due = self._clock.due(self._now())
        if self._is_running:
            # Reported in one line when the run has ended, not in one for each second of it.
            self._missed_in_run += due.missed + (due.tick is not None)
            return
        self._report_missed(due.missed, "late")
        if due.tick is not None:
            self._is_running = True
            calls.start_soon(self._run_tick, due.tick)

    async def _run_tick(self, tick: datetime) -> None:
        self._last_tick = tick
        try:
            await _run(self._call, tick, self._app, self.model, self.counts)
        finally:
            self._is_running = False
            missed, self._missed_in_run = self._missed_in_run, 0
            self._report_missed(missed, "running")

    def _report_missed(self, missed: int, reason: str) -> None:
        if missed:
            self._missed += missed
            log.warning(
                "tick.missed",
                app=self._app,
                component=self.model.component,
                trigger=self.model.id,
                missed=missed,
                reason=reason,
            )


class OrderedCron:
    """One `[[trigger.cron]]` with a scope: it runs the ticks that it is told to, one at a time.

    Args:
        call: as for `CronTrigger`.
        news: told before a run and after it.
    """

    def __init__(self, app: str, model: Model, call: Call, news: TickNews) -> None:
        self.model = model
        self.counts = Counts()
        self.scope = model.scope
        self._app = app
        self._call = call
        self._news = news
        self._is_running = False

    @property
    def expression(self) -> str:
        return self.model.schedule.expression

    def order(self, tick: int, calls: trio.Nursery) -> None:
        """Run a tick, unix s. During a run nothing happens: whoever gives orders knows of it, or soon will."""
        if not self._is_running:
            self._is_running = True
            calls.start_soon(self._run_tick, tick)

    async def _run_tick(self, tick: int) -> None:
        try:
            await _run(self._begin, datetime.fromtimestamp(tick, UTC), self._app, self.model, self.counts)
        finally:
            self._is_running = False
        # It is told last: who hears of it gives the next order at once, which may be here before this returns.
        await self._news.ended(self.model.id, tick)

    async def _begin(self, tick: int) -> None:
        await self._news.begun(self.model.id, tick)
        await self._call(tick)


async def _run(call: Call, tick: datetime, app: str, model: Model, counts: Counts) -> None:
    """A run, from which only a cancellation comes out."""
    failure: EdgedError
    try:
        with counts:
            await call(int(tick.timestamp()))
        return
    except EdgedError as error:
        failure, cause = error, error.__cause__
    except Exception as error:  # a mistake of ours ends this run, not the worker
        failure, cause = HostFailed("the cron trigger failed"), error
    counts.failed += 1
    (log.warning if cause is None else log.error)(
        "tick.failed",
        code=failure.code,
        message=failure.message,
        app=app,
        component=model.component,
        trigger=model.id,
        request_id=failure.request_id,
        tick=f"{tick:{_TICK}}",
        exc_info=cause,
    )


def guest_call(guest: TriggerComponent) -> Call:
    """A component that exports the handler of Spin's cron plugin."""

    async def call(tick_s: int) -> None:
        await guest.call(guest.exports["cron"].export, (tick_s,))

    return call
