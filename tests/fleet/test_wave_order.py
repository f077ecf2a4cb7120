"""In which waves a release goes, and which waves a record may have."""

from __future__ import annotations

from typing import Any

import pytest

from edged.errors import RecordInvalid
from edged.fleet.deployment import Deployment
from edged.fleet.roster import Region, Roster
from edged.fleet.wave_order import waves_for
from edged.limits import REGION_COUNT_MAX, REMOVAL_COUNT_MAX, WAVE_SOAK_S_MAX
from registry import strict
from tests.fleet.kit import RELEASE, deployment, roster

KNOWN = ("eu", "us", "ap")
WAVES = (("us",), ("eu",))


@pytest.mark.parametrize(
    ("regions", "preferred", "found"),
    [
        (KNOWN, (), (("eu",), ("us",), ("ap",))),
        (("ap", "eu"), (), (("eu",), ("ap",))),
        (KNOWN, (("ap",), ("eu", "us")), (("ap",), ("eu", "us"))),
        (KNOWN, (("ap",),), (("ap",), ("eu",), ("us",))),
        (("eu", "us"), (("ap",), ("eu", "us")), ()),  # one wave is none
        (("us",), (), ()),
        ((), (), ()),
    ],
)
def test_the_order(regions: Any, preferred: Any, found: Any) -> None:
    assert waves_for(KNOWN, regions, preferred) == found


def test_records_without_waves_are_what_they_were() -> None:
    """The same bytes, so the same digests, as before there were any."""
    fields: Any = strict.decode(deployment().encode(), 10_000)
    assert not {"waves", "soak_s", "removal_count"} & set(fields)
    fields = strict.decode(roster().encode(), 100_000)
    assert not {"waves", "soak_s"} & set(fields)


@pytest.mark.parametrize(
    "one",
    [
        deployment(waves=WAVES),
        deployment(waves=WAVES, soak_s=WAVE_SOAK_S_MAX),
        deployment(waves=(("eu", "us"),), soak_s=7),
        deployment(regions={}, removal_count=REMOVAL_COUNT_MAX),
    ],
)
def test_deployments_come_back(one: Deployment) -> None:
    assert Deployment.parse(one.encode()) == one


@pytest.mark.parametrize(
    "one", [roster(waves=WAVES), roster(waves=(("us",),), soak_s=0), roster(soak_s=WAVE_SOAK_S_MAX)]
)
def test_rosters_come_back(one: Roster) -> None:
    assert Roster.parse(one.encode()) == one


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"waves": (("eu",), ("ap",))}, "'ap'"),
        ({"waves": (("eu",), ("us", "eu"))}, "'eu' twice"),
        ({"waves": (("eu",),)}, "leaves out the region 'us'"),
        ({"waves": (("eu", "us"), ())}, "without regions"),
        ({"waves": (("eu",), ("US",))}, "lower-case"),
        ({"waves": WAVES, "soak_s": WAVE_SOAK_S_MAX + 1}, "soak_s"),
        ({"removal_count": 1}, "removes the app"),
        ({"regions": {}, "removal_count": REMOVAL_COUNT_MAX + 1}, "removal_count"),
    ],
)
def test_deployments_that_are_none(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(RecordInvalid, match=why):
        Deployment.parse(deployment(**changes).encode())


@pytest.mark.parametrize(
    "fields", [{"waves": []}, {"soak_s": 0}, {"soak_s": 5}, {"removal_count": 0}, {"waves": [], "soak_s": 0}]
)
def test_what_says_nothing_is_left_out(fields: dict[str, object]) -> None:
    """One content has one form."""
    value: Any = strict.decode(deployment().encode(), 10_000)
    with pytest.raises(RecordInvalid, match="one form"):
        Deployment.parse(strict.encode({**value, **fields}))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"waves": (("eu",), ("ap",))}, "'ap'"),
        ({"waves": (("eu",), ("eu",))}, "twice"),
        ({"waves": ((),)}, "without regions"),
        ({"soak_s": WAVE_SOAK_S_MAX + 1}, "soak_s"),
    ],
)
def test_rosters_that_are_none(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(RecordInvalid, match=why):
        Roster.parse(roster(**changes).encode())


def test_many_waves() -> None:
    """As many as there can be regions."""
    names = [f"r{number}" for number in range(REGION_COUNT_MAX)]
    waves = tuple((name,) for name in names)
    one = deployment(regions=dict.fromkeys(names, RELEASE), waves=waves)
    assert Deployment.parse(one.encode()).waves == waves
    other = roster(regions=tuple(map(Region, names)), nodes=(), keys=(), waves=waves)
    assert Roster.parse(other.encode()).waves == waves
