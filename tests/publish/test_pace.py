"""How fast a change goes through the fleet: which records get waves, and how long a command waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from edged.errors import PushInterrupted, RolloutHeld, RolloutUnfinished
from edged.fleet.deployment import Deployment
from edged.limits import WAVE_SOAK_S
from edged.publish import event as events
from edged.publish.change import rolled_back, with_variables
from edged.publish.deployments import read_head, removed
from edged.publish.link import open_link
from edged.publish.pace import ALL_AT_ONCE, Pace, patience_s
from edged.publish.signer import Signer
from tests.publish.fakes import NOW, FakeFleet, progress
from tests.publish.test_push import Publisher

IN_ORDER = (("eu",), ("us",))


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(tmp_path)


def head_of(fleet: FakeFleet) -> Deployment:
    head = fleet.first.head()
    assert head is not None
    return head


async def twice(fleet: FakeFleet, pace: Pace, publisher: Publisher | None = None, **options: Any) -> Deployment:
    """An app, then a change of it."""
    await Publisher(fleet).push()
    await (publisher or Publisher(fleet)).push(fleet.package(files={"a": b"new"}), pace=pace, **options)
    return head_of(fleet)


async def test_a_new_app_goes_everywhere_at_once(fleet: FakeFleet) -> None:
    publisher = Publisher(fleet)
    await publisher.push(pace=Pace(soak_s=5))
    assert (head_of(fleet).waves, head_of(fleet).soak_s) == ((), 0)
    assert publisher.shown.last(events.Published).waves == ()


@pytest.mark.parametrize(
    ("pace", "waves", "soak_s"),
    [
        (Pace(), IN_ORDER, WAVE_SOAK_S),
        (Pace(soak_s=0), IN_ORDER, 0),
        (Pace(soak_s=77), IN_ORDER, 77),
        (ALL_AT_ONCE, (), 0),
    ],
)
async def test_a_change_goes_region_by_region(fleet: FakeFleet, pace: Pace, waves: Any, soak_s: int) -> None:
    publisher = Publisher(fleet)
    head = await twice(fleet, pace, publisher)
    assert (head.waves, head.soak_s) == (waves, soak_s)
    shown = publisher.shown.last(events.Published)
    assert (shown.waves, shown.soak_s) == (waves, soak_s)


async def test_the_fleet_says_in_which_order(fleet: FakeFleet) -> None:
    roster = replace(fleet.roster, waves=(("us",), ("eu",)), soak_s=3)
    signer = Signer(fleet.ada, roster)
    head = await twice(fleet, Pace(), Publisher(fleet, signer))
    assert (head.waves, head.soak_s) == ((("us",), ("eu",)), 3)


async def test_what_was_removed_comes_back_at_once(fleet: FakeFleet) -> None:
    await Publisher(fleet).push()
    async with open_link(fleet.addresses, fleet.connect_as(fleet.ada)) as link:
        head = await read_head(link.call, fleet.signer, "shop")
    gone = removed(fleet.signer, head, NOW, "gone", 7)
    assert (gone.removal_count, gone.waves) == (7, ())
    fleet.first.state.accept(fleet.signer.sign_deployment(gone), NOW)
    await Publisher(fleet).push()
    assert head_of(fleet).waves == ()


async def test_variables_go_in_waves_and_a_rollback_does_not(fleet: FakeFleet) -> None:
    await twice(fleet, ALL_AT_ONCE)
    async with open_link(fleet.addresses, fleet.connect_as(fleet.ada)) as link:
        head = await read_head(link.call, fleet.signer, "shop")
    assert with_variables(fleet.signer, head, {"a": "1"}, (), NOW).waves == IN_ORDER
    assert with_variables(fleet.signer, head, {"a": "1"}, (), NOW, pace=ALL_AT_ONCE).waves == ()
    old = replace(head.known(), sequence=1, waves=IN_ORDER, soak_s=9)
    back = rolled_back(fleet.signer, head, old, NOW)
    assert (back.waves, back.soak_s) == ((), 0)


async def test_what_ctrl_c_puts_back_goes_everywhere_at_once(fleet: FakeFleet) -> None:
    publisher = Publisher(fleet)
    await Publisher(fleet).push()

    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        yield progress("eu", "a", "live")
        publisher.interrupts.add()
        await trio.sleep_forever()

    fleet.first.rollout = rollout
    with pytest.raises(PushInterrupted, match="as sequence 3"):
        await publisher.push(fleet.package(files={"a": b"new"}))
    assert (head_of(fleet).sequence, head_of(fleet).waves) == (3, ())


def stopping(error: str, stage: str) -> Callable[[str, int], AsyncIterator[dict[str, object]]]:
    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        yield progress("eu", "a", stage, error=error)
        yield progress("us", "b", "held", error=f"eu/a {stage}: {error}", error_code="rollout.held")
        await trio.sleep_forever()

    return rollout


@pytest.mark.parametrize("stage", ["failed", "reverted"])
async def test_a_release_that_stops_says_where_and_why(fleet: FakeFleet, stage: str) -> None:
    await Publisher(fleet).push()
    fleet.first.rollout = stopping("GET / answered 500", stage)
    publisher = Publisher(fleet)
    with pytest.raises(RolloutHeld) as stopped:
        await publisher.push(fleet.package(files={"a": b"new"}))
    assert stopped.value.message == "shop 2 was stopped: it does not go to us\neu: GET / answered 500"
    assert "--all-at-once" in stopped.value.remedy
    assert publisher.shown.last(events.Finished).regions == {"eu": stage, "us": "held"}
    assert publisher.shown.last(events.RegionChanged).wave == 2


@pytest.mark.parametrize(("seconds", "ends"), [(2 * 20 + 5 - 1, False), (2 * 20 + 5, True)])
async def test_each_wave_has_its_time(fleet: FakeFleet, mock_clock: MockClock, seconds: float, *, ends: bool) -> None:
    await Publisher(fleet).push()
    watching = trio.Event()

    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        yield progress("eu", "a", "waiting")
        watching.set()
        await trio.sleep_forever()

    fleet.first.rollout = rollout
    ended: list[BaseException] = []

    async def push() -> None:
        try:
            await Publisher(fleet).push(fleet.package(files={"a": b"new"}), timeout_s=20, pace=Pace(soak_s=5))
        except RolloutUnfinished as error:
            ended.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(push)
        await watching.wait()
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(seconds)
        await trio.testing.wait_all_tasks_blocked()
        assert bool(ended) == ends
        nursery.cancel_scope.cancel()


def test_patience() -> None:
    one = Deployment("demo", "shop", 1, 1, {})
    assert patience_s(one, 20) == 20
    assert patience_s(replace(one, waves=(("eu",), ("us",), ("ap",)), soak_s=5), 20) == 70
