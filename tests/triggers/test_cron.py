"""The cron trigger: when it calls, what it never does twice, what it reports. Its time is the tests'."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import structlog
import trio
import trio.testing
from trio.testing import MockClock

from edged.errors import EdgedError, GuestTrap
from edged.limits import CRON_CLOCK_CHECK_S, CRON_GRACE_S
from edged.manifest.model import CronTrigger as Model
from edged.manifest.schedule import parse_schedule
from edged.triggers.cron import CronClock, CronTrigger, Due, OrderedCron

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


# --- the clock, without IO ---


def test_nothing_is_due_before_the_first_tick() -> None:
    clock = CronClock(parse_schedule("0 * * * * *"), at(0))
    assert clock.next() == at(60)
    assert clock.due(at(59.999)) == Due()
    assert clock.due(at(60)) == Due(at(60))
    assert clock.due(at(60)) == Due()
    assert clock.next() == at(120)


def test_clock_set_back() -> None:
    clock = CronClock(parse_schedule("0 * * * * *"), at(0))
    assert clock.due(at(125)) == Due(at(120), missed=1)
    assert clock.due(at(59)) == Due()
    assert clock.due(at(125)) == Due()
    assert clock.next() == at(180)
    assert clock.due(at(180)) == Due(at(180))


@pytest.mark.parametrize(
    ("expression", "until", "expected"),
    [
        ("0 * * * * *", 3600, Due(at(3600), missed=59)),
        ("* * * * * *", 86_400, Due(at(86_400), missed=86_399)),
        ("0 1 12 * * *", 60 + CRON_GRACE_S - 0.001, Due(at(60))),
        ("0 1 12 * * *", 60 + CRON_GRACE_S, Due(missed=1)),
        ("0 0 0 1 * *", 3600, Due()),
    ],
)
def test_after_a_while_in_which_nobody_looked(expression: str, until: float, expected: Due) -> None:
    assert CronClock(parse_schedule(expression), at(0)).due(at(until)) == expected


def test_what_is_skipped_is_neither_due_nor_missed() -> None:
    clock = CronClock(parse_schedule("0 * * * * *"), at(0))
    clock.skip(at(300))
    clock.skip(at(100))
    assert clock.due(at(360)) == Due(at(360))


@pytest.mark.parametrize(
    ("expression", "now", "wait_s"),
    [
        ("* * * * * *", 0.25, 0.75),
        ("0 * * * * *", 0, CRON_CLOCK_CHECK_S),
        ("0 * * * * *", 60 - CRON_CLOCK_CHECK_S, CRON_CLOCK_CHECK_S),
        ("0 * * * * *", 61, 0),
        ("* * * * * * 2020", 0, CRON_CLOCK_CHECK_S),
    ],
)
def test_wait(expression: str, now: float, wait_s: float) -> None:
    assert CronClock(parse_schedule(expression), at(0)).wait_s(at(now)) == wait_s


# --- the trigger ---


class Wall:
    """A wall clock that goes with the test's clock, until it is set."""

    def __init__(self) -> None:
        self._base = START  # MockClock begins at 0

    def __call__(self) -> datetime:
        return self._base + timedelta(seconds=trio.current_time())

    def set_by(self, seconds: float) -> None:
        self._base += timedelta(seconds=seconds)


class Guest:
    """What is called: notes each tick in seconds since START, and when by the monotonic clock."""

    def __init__(self, wall: Wall, run_s: float = 0) -> None:
        self.ticks: list[int] = []
        self.called: list[float] = []
        self.ended = 0
        self.failure: Exception | None = None
        self.run_s = run_s
        self._wall = wall

    async def __call__(self, timestamp: int) -> None:
        self.ticks.append(timestamp - int(START.timestamp()))
        self.called.append((self._wall() - START).total_seconds())
        await trio.sleep(self.run_s)
        if self.failure is not None:
            raise self.failure
        self.ended += 1


def model(expression: str) -> Model:
    return Model("hourly", "worker", schedule=parse_schedule(expression))


@asynccontextmanager
async def running(trigger: CronTrigger) -> AsyncIterator[None]:
    async with trio.open_nursery() as calls, trio.open_nursery() as nursery:
        nursery.start_soon(trigger.run, calls)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def guest(wall: Wall) -> Guest:
    return Guest(wall)


def missed(logs: list[structlog.typing.EventDict]) -> list[tuple[int, str]]:
    return [(line["missed"], line["reason"]) for line in logs if line["event"] == "tick.missed"]


async def test_calls_at_each_tick_and_never_early(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    trigger = CronTrigger("app", model("*/20 * * * * *"), guest, now=wall)
    async with running(trigger):
        await trio.sleep(70)
        assert guest.ticks == [20, 40, 60]
        assert guest.called == pytest.approx([20, 40, 60], abs=0.001)
        assert all(called >= tick for called, tick in zip(guest.called, guest.ticks, strict=True))
        statistics = trigger.statistics()
    assert (statistics.last_tick, statistics.next_tick) == (at(60), at(80))
    assert (statistics.served, statistics.failed, statistics.missed) == (3, 0, 0)


async def test_ticks_before_it_was_started_are_not_missed(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    trigger = CronTrigger("app", model("* * * * * *"), guest, now=wall)
    await trio.sleep(30.5)
    with structlog.testing.capture_logs() as logs:
        async with running(trigger):
            await trio.sleep(1)
    assert guest.ticks == [31]
    assert missed(logs) == []


async def test_clock_set_forward_is_noticed_soon(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    trigger = CronTrigger("app", model("0 0 * * * *"), guest, now=wall)
    async with running(trigger):
        await trio.sleep(CRON_CLOCK_CHECK_S * 1.5)
        wall.set_by(3600 - 10)
        await trio.sleep(CRON_CLOCK_CHECK_S)
    assert guest.ticks == [3600]


async def test_clock_set_back_runs_no_tick_twice(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    trigger = CronTrigger("app", model("0 * * * * *"), guest, now=wall)
    async with running(trigger):
        await trio.sleep(125)
        wall.set_by(-100)
        await trio.sleep(160)
    assert guest.ticks == [60, 120, 180]


async def test_suspended_machine(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    trigger = CronTrigger("app", model("0 * * * * *"), guest, now=wall)
    with structlog.testing.capture_logs() as logs:
        async with running(trigger):
            await trio.sleep(1)
            wall.set_by(3600)
            await trio.sleep(10)
    assert guest.ticks == [3600]
    assert missed(logs) == [(59, "late")]
    assert trigger.statistics().missed == 59


async def test_runs_do_not_overlap(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    guest.run_s = 2.5
    trigger = CronTrigger("app", model("* * * * * *"), guest, now=wall)
    with structlog.testing.capture_logs() as logs:
        async with running(trigger):
            await trio.sleep(6.75)
            assert guest.ticks == [1, 4]
            assert missed(logs) == [(2, "running"), (2, "running")]
    assert trigger.statistics().missed == 4


async def test_a_run_that_ends_as_a_tick_comes_due_leaves_none_of_both(
    autojump_clock: MockClock, wall: Wall, guest: Guest
) -> None:
    """Each tick is run or missed, whichever task goes first."""
    guest.run_s = 1
    trigger = CronTrigger("app", model("* * * * * *"), guest, now=wall)
    async with running(trigger):
        await trio.sleep(10.5)
        assert len(guest.ticks) + trigger.statistics().missed == 10
    assert len(set(guest.ticks)) == len(guest.ticks)


@pytest.mark.parametrize(
    ("failure", "level", "code"),
    [(GuestTrap("it trapped"), "warning", "guest.trap"), (RuntimeError("a mistake"), "error", "host.failed")],
)
async def test_failed_run(
    autojump_clock: MockClock, wall: Wall, guest: Guest, failure: Exception, level: str, code: str
) -> None:
    guest.failure = failure
    if isinstance(failure, EdgedError):
        failure.request_id = "r1"
    trigger = CronTrigger("app", model("0 * * * * *"), guest, now=wall)
    with structlog.testing.capture_logs() as logs:
        async with running(trigger):
            await trio.sleep(61)
            guest.failure = None
            await trio.sleep(60)
    assert (guest.ticks, guest.ended) == ([60, 120], 1)
    [line] = logs
    assert line["log_level"] == level
    assert (line["event"], line["code"], line["tick"]) == ("tick.failed", code, "2026-01-01T12:01:00Z")
    assert (line["app"], line["component"], line["trigger"]) == ("app", "worker", "hourly")
    assert line["request_id"] == ("r1" if code == "guest.trap" else None)
    statistics = trigger.statistics()
    assert (statistics.served, statistics.failed) == (1, 1)


async def test_a_run_is_not_cut_off(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    guest.run_s = 20
    trigger = CronTrigger("app", model("0 * * * * *"), guest, now=wall)
    async with running(trigger):
        await trio.sleep(61)
        assert trigger.counts.active == 1
    assert guest.ended == 1
    with trio.fail_after(0):
        await trigger.counts.wait_idle()


async def test_wait_idle_waits_for_the_run(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    guest.run_s = 20
    trigger = CronTrigger("app", model("0 * * * * *"), guest, now=wall)
    async with running(trigger):
        await trio.sleep(61)
        await trigger.counts.wait_idle()
        assert guest.ended == 1


async def test_started_again_it_runs_no_tick_twice(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    trigger = CronTrigger("app", model("0 * * * * *"), guest, now=wall)
    async with running(trigger):
        await trio.sleep(61)
    wall.set_by(-30)
    async with running(trigger):
        await trio.sleep(95)
    assert guest.ticks == [60, 120]


async def test_no_tick_ever(autojump_clock: MockClock, wall: Wall, guest: Guest) -> None:
    trigger = CronTrigger("app", model("* * * * * * 2020"), guest, now=wall)
    async with running(trigger):
        await trio.sleep(100)
    assert guest.ticks == []
    assert trigger.statistics().next_tick is None


# --- with a scope ---


class News:
    """What whoever gives orders is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, int]] = []
        self.next_order: Callable[[], object] = lambda: None
        """What it does when it hears of an end."""

    async def begun(self, trigger: str, tick: int) -> None:
        await trio.lowlevel.checkpoint()
        self.said.append(("begun", trigger, tick))

    async def ended(self, trigger: str, tick: int) -> None:
        self.said.append(("ended", trigger, tick))
        self.next_order()
        await trio.lowlevel.checkpoint()


@dataclass
class Ordering:
    """An `OrderedCron` of a guest, and what it says."""

    trigger: OrderedCron
    news: News
    calls: trio.Nursery

    def order(self, seconds: int) -> int:
        tick = int(at(seconds).timestamp())
        self.trigger.order(tick, self.calls)
        return tick


@pytest.fixture
async def ordering(guest: Guest, nursery: trio.Nursery) -> Ordering:
    news = News()
    shared = Model("hourly", "worker", schedule=parse_schedule("@hourly"), scope="fleet")
    return Ordering(OrderedCron("app", shared, guest, news), news, nursery)


async def test_an_order_is_told_of_before_and_after(
    autojump_clock: MockClock, guest: Guest, ordering: Ordering
) -> None:
    guest.run_s = 20
    tick = ordering.order(60)
    await trio.sleep(1)
    assert ordering.news.said == [("begun", "hourly", tick)]
    assert ordering.trigger.counts.active == 1
    await ordering.trigger.counts.wait_idle()
    await trio.testing.wait_all_tasks_blocked()
    assert ordering.news.said == [("begun", "hourly", tick), ("ended", "hourly", tick)]
    assert guest.ticks == [60]


async def test_the_next_order_comes_while_the_end_is_being_told(
    autojump_clock: MockClock, guest: Guest, ordering: Ordering
) -> None:
    """Whoever gives orders has heard of the end before the one that tells it knows that it has."""
    following = iter((120, 180))
    ordering.news.next_order = lambda: [ordering.order(seconds) for seconds in itertools.islice(following, 1)]
    told = [ordering.order(60), int(at(120).timestamp()), int(at(180).timestamp())]
    await trio.sleep(1)
    assert guest.ticks == [60, 120, 180]
    assert ordering.news.said == [(what, "hourly", tick) for tick in told for what in ("begun", "ended")]


async def test_nothing_runs_without_an_order(autojump_clock: MockClock, guest: Guest, ordering: Ordering) -> None:
    await trio.sleep(7200)
    assert (guest.ticks, ordering.news.said) == ([], [])
    assert (ordering.trigger.scope, ordering.trigger.expression) == ("fleet", "@hourly")


async def test_an_order_during_a_run_is_none(autojump_clock: MockClock, guest: Guest, ordering: Ordering) -> None:
    guest.run_s = 20
    ordering.order(60)
    ordering.order(60)
    await trio.sleep(10)
    ordering.order(120)
    await trio.sleep(60)
    assert guest.ticks == [60]
    ordering.order(60)  # the clock was set back, and whoever gives orders means it
    await trio.sleep(60)
    assert guest.ticks == [60, 60]


@pytest.mark.parametrize("failure", [GuestTrap("it trapped"), RuntimeError("a mistake")], ids=["guest", "ours"])
async def test_a_call_that_fails_has_ended(
    autojump_clock: MockClock, guest: Guest, ordering: Ordering, failure: Exception
) -> None:
    guest.failure = failure
    with structlog.testing.capture_logs() as logs:
        tick = ordering.order(60)
        await trio.sleep(1)
    assert ordering.news.said == [("begun", "hourly", tick), ("ended", "hourly", tick)]
    assert [line["event"] for line in logs] == ["tick.failed"]
    assert (ordering.trigger.counts.served, ordering.trigger.counts.failed) == (0, 1)
