"""Triggers that nodes share, between the workers and the fleet: what is passed on, and what is not believed."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
import structlog
import trio
from trio.testing import MockClock

from edged.fleet.scope import Heard, TriggerReport
from edged.limits import SCOPE_APP_COUNT_MAX, SCOPE_SETTLE_S, SCOPE_TRIGGER_COUNT_MAX
from edged.manifest.schedule import Schedule, parse_schedule
from edged.node.pool_event import TickBegun, TickEnded
from edged.node.scopes import Scopes
from edged.worker.report import TriggerState
from edged.worker.table import TriggerOrder

States = Mapping[str, Mapping[str, TriggerState]]
Orders = Mapping[str, Mapping[str, TriggerOrder]]


class Pool:
    """Workers that have what a test gives them."""

    def __init__(self, states: States) -> None:
        self.states = states
        self.told: list[Orders] = []

    def triggers(self) -> States:
        return self.states

    def set_orders(self, orders: Orders) -> None:
        self.told.append(orders)


class Wall:
    """time.time(), for as long as a test wants."""

    def __init__(self) -> None:
        self.now = 1_000_020.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr("edged.node.scopes.time", type("Time", (), {"time": staticmethod(wall)}))
    assert time.time() != wall.now
    return wall


def scopes(pool: Pool, *heard: Heard) -> Scopes:
    return Scopes("n1", pool, lambda: heard, lambda: "eu")


TICKS = {"app": {"nightly": TriggerState("fleet", "0 * * * * *")}}


async def test_workers_are_told_what_is_due_and_once(mock_clock: MockClock, wall: Wall) -> None:
    pool = Pool(TICKS)
    found = scopes(pool)
    found.look()
    assert pool.told == [{"app": {"nightly": TriggerOrder()}}]
    mock_clock.jump(SCOPE_SETTLE_S)
    wall.now += 60
    found.look()
    found.look()
    tick = 1_000_080
    assert pool.told[1:] == [{"app": {"nightly": TriggerOrder(tick, 1)}}]
    found.emit(TickBegun("app", "nightly", tick))
    [report] = found.report().values()
    assert report == TriggerReport(1_000_020, 1_000_020, tick)
    found.emit(TickEnded("app", "nightly", tick))
    found.look()
    assert pool.told[2:] == [{"app": {"nightly": TriggerOrder()}}]
    assert list(found.report().values()) == [TriggerReport(1_000_020, tick)]


async def test_a_call_that_was_cut_is_said_and_not_made_again(mock_clock: MockClock, wall: Wall) -> None:
    pool = Pool(TICKS)
    found = scopes(pool)
    found.look()
    mock_clock.jump(SCOPE_SETTLE_S)
    wall.now += 60
    found.look()
    with structlog.testing.capture_logs() as logs:
        found.emit(TickBegun("app", "nightly", 1_000_080))
        found.emit(TickEnded("app", "nightly", 1_000_080, was_cut=True))
    assert [(line["event"], line["tick"]) for line in logs] == [("tick.cut", "1970-01-12T13:48:00Z")]
    found.look()
    assert pool.told[-1] == {"app": {"nightly": TriggerOrder()}}


async def test_what_came_too_late_is_counted(mock_clock: MockClock, wall: Wall) -> None:
    found = scopes(Pool(TICKS))
    found.look()
    wall.now += 3600
    with structlog.testing.capture_logs() as logs:
        found.look()
    assert [(line["event"], line["app"], line["trigger"], line["missed"]) for line in logs] == [
        ("tick.given-up", "app", "nightly", 55)
    ]


async def test_whether_a_channel_is_listened_to_is_reported(mock_clock: MockClock, wall: Wall) -> None:
    pool = Pool({"app": {"news": TriggerState("region")}})
    found = scopes(pool)
    found.look()
    assert pool.told == [{"app": {"news": TriggerOrder(listen=True)}}]
    assert [each.active for each in found.report().values()] == [0]
    pool.states = {"app": {"news": TriggerState("region", listening=True)}}
    found.look()
    assert [each.active for each in found.report().values()] == [1]
    pool.states = {}
    found.look()
    assert (pool.told[-1], found.report()) == ({}, {})


async def test_an_expression_that_is_none_is_no_trigger(mock_clock: MockClock, wall: Wall) -> None:
    pool = Pool({"app": {"nightly": TriggerState("fleet", "every night")}})
    found = scopes(pool)
    found.look()
    assert (pool.told, found.report()) == ([], {})


@pytest.mark.parametrize("count", [SCOPE_APP_COUNT_MAX, SCOPE_APP_COUNT_MAX + 1])
async def test_triggers_of_an_app_are_bounded(mock_clock: MockClock, wall: Wall, count: int) -> None:
    found = scopes(Pool({"app": {str(number): TriggerState("fleet") for number in range(count)}}))
    found.look()
    assert len(found.report()) == SCOPE_APP_COUNT_MAX


async def test_it_looks_again_when_a_call_has_ended(mock_clock: MockClock, wall: Wall, nursery: trio.Nursery) -> None:
    pool = Pool(TICKS)
    found = scopes(pool)
    nursery.start_soon(found.run)
    await trio.testing.wait_all_tasks_blocked()
    pool.states = {}
    assert len(pool.told) == 1
    found.emit(TickEnded("app", "nightly", 7))
    await trio.testing.wait_all_tasks_blocked()
    assert pool.told[1:] == [{}]


async def test_an_expression_is_read_once_while_there_is_a_trigger_with_it(
    mock_clock: MockClock, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: publishers write them, and each takes milliseconds of the node's loop."""
    read: list[str] = []

    def parse(expression: str) -> Schedule:
        read.append(expression)
        return parse_schedule(expression)

    monkeypatch.setattr("edged.node.scopes.parse_schedule", parse)
    apps = {
        f"app{n}": {"t": TriggerState("fleet", f"{n % 60} {n // 60} 0 29 2 1")}
        for n in range(SCOPE_TRIGGER_COUNT_MAX + 1)
    }
    pool = Pool(apps)
    found = scopes(pool)
    for _ in range(3):
        found.look()
    assert len(read) == len(apps)
    pool.states = {}
    found.look()
    pool.states = {"app0": apps["app0"]}
    found.look()
    assert len(read) == len(apps) + 1  # what nobody has is not kept
