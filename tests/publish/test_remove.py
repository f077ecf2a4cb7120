"""Apps that are taken away: how many were said, and what is said when nodes do not let them go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from edged.errors import AppUnknown, PushInterrupted, RemovalHeld, RolloutUnfinished
from edged.publish import event as events
from edged.publish.fleet import Fleet
from edged.publish.interrupts import Interrupts
from edged.publish.link import open_link
from edged.publish.remove import remove
from tests.publish.fakes import NOW, FakeFleet, Shown, progress, status
from tests.publish.test_push import Publisher


@pytest.fixture
async def fleet(tmp_path: Path) -> FakeFleet:
    """With two apps."""
    fleet = FakeFleet(tmp_path)
    for app in ("blog", "shop"):
        await Publisher(fleet).push(fleet.package(app))
    return fleet


async def removing(fleet: FakeFleet, *apps: str, interrupts: Interrupts | None = None, timeout_s: float = 9) -> Shown:
    shown = Shown()
    async with open_link(fleet.addresses, fleet.connect_as(fleet.ada)) as link:
        found = Fleet(link, fleet.signer)
        heads = [await found.head(app) for app in apps]
        stop = interrupts or Interrupts()
        await remove(found, heads, NOW + 5, show=shown.append, interrupts=stop, timeout_s=timeout_s)
    return shown


def saying(stage: str, error: str = "") -> object:
    async def rollout(_app: str, _sequence: int) -> AsyncIterator[dict[str, object]]:
        yield progress("eu", "a", "removed")
        yield progress("us", "b", stage, error=error)
        await trio.sleep_forever()

    return rollout


def counts(fleet: FakeFleet) -> dict[str, int]:
    return {app: each.removal_count for app, each in fleet.first.state.deployments().items() if not each.regions}


async def test_each_record_has_the_number_of_all(fleet: FakeFleet) -> None:
    shown = await removing(fleet, "shop", "blog")
    assert counts(fleet) == {"shop": 2, "blog": 2}
    assert {each.issued for each in fleet.first.state.deployments().values()} == {NOW + 5}
    assert shown.kinds() == ["published", "region", "finished", "region", "finished"]
    assert shown.last(events.Finished).regions == {"eu": "removed", "us": "removed"}


async def test_one_that_there_never_was_keeps_all(fleet: FakeFleet) -> None:
    with pytest.raises(AppUnknown, match="no app `nothing`"):
        await removing(fleet, "shop", "nothing")
    assert counts(fleet) == {}


async def test_the_same_again_after_it_went_half_way(fleet: FakeFleet) -> None:
    await removing(fleet, "shop")
    await removing(fleet, "shop", "blog")
    assert counts(fleet) == {"shop": 2, "blog": 2}
    with pytest.raises(AppUnknown, match="no app `shop`"):
        await removing(fleet, "shop", "blog")


async def test_what_nodes_hold_on_to_may_be_removed_again(fleet: FakeFleet) -> None:
    await removing(fleet, "shop")
    answer = status(fleet, fleet.first.state.deployments())
    answer["nodes"][1]["alarms"] = ["app shop: too many [app.removal-held]"]

    async def told(_peer: object) -> object:
        return answer

    fleet.first.handlers["status"] = told
    await removing(fleet, "shop")
    head = fleet.first.head()
    assert head is not None
    assert head.sequence == 3


async def test_an_app_that_is_served_as_before(fleet: FakeFleet) -> None:
    fleet.first.rollout = saying("held", "too many")  # type: ignore[assignment]
    with pytest.raises(RemovalHeld, match="shop was not let go") as held:
        await removing(fleet, "shop")
    assert "too many" in held.value.message


@pytest.mark.parametrize(("stage", "said"), [("waiting", "still served in us"), ("silent", "nobody in us is heard of")])
async def test_a_region_that_does_not_say_so(
    fleet: FakeFleet, autojump_clock: MockClock, stage: str, said: str
) -> None:
    fleet.first.rollout = saying(stage)  # type: ignore[assignment]
    with pytest.raises(RolloutUnfinished, match=said):
        await removing(fleet, "shop")


async def test_ctrl_c_between_two_apps(fleet: FakeFleet) -> None:
    interrupts = Interrupts()
    fleet.first.before = lambda name: interrupts.add() if name == "put_record" else None
    with pytest.raises(PushInterrupted, match="interrupted: shop removed, the others not"):
        await removing(fleet, "shop", "blog", interrupts=interrupts)
    assert counts(fleet) == {"shop": 2}
