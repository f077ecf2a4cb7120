"""When a node says that it is kept from news, and when it takes that back. Nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import CheckpointExpired, CheckpointMissed
from edged.fleet.checkpoint import Checkpoint, hash_of
from edged.fleet.record import Version
from edged.fleet.state import FleetState
from edged.limits import CHECKPOINT_GRACE_S
from edged.node.checkpoint_watch import CheckpointWatch
from tests.fleet import kit

KEYS = (kit.key("operator", "deploy"), kit.key("notary", "checkpoint"))
EXPIRES = int(kit.NOW) + 3_600


class Scene:
    def __init__(self, folder: Path) -> None:
        self.now = kit.NOW
        self.state: FleetState = kit.state(folder, keys=KEYS)
        self.watch = CheckpointWatch(self.state, clock=lambda: self.now)

    def checkpoint(self, sequence: int = 1, *, shop: int = 1, expires: int = EXPIRES) -> None:
        heads_hash = hash_of(self.state.heads())
        apps = {"shop": Version(1, shop)}
        made = Checkpoint("demo", 1, sequence, 1, apps, heads_hash, int(kit.NOW), expires)
        assert self.state.accept(made.seal(kit.identity("notary").key), kit.NOW).kind == "accepted"

    def push(self, sequence: int) -> None:
        assert self.state.accept(kit.signed("shop", sequence), kit.NOW).kind == "accepted"

    def look(self, monotonic: float) -> list[str]:
        view = self.state.view
        self.watch.look(monotonic)
        assert self.state.view is view
        return [alarm.code for alarm in self.state.alarms()]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_fleet_without_any_has_no_alarm(scene: Scene) -> None:
    assert scene.look(0) == scene.look(10**9) == []


def test_what_is_missing_has_time_to_come(scene: Scene) -> None:
    scene.checkpoint(shop=2)
    assert scene.look(100) == []
    assert scene.look(100 + CHECKPOINT_GRACE_S) == []
    assert scene.look(101 + CHECKPOINT_GRACE_S) == [CheckpointMissed.code]
    (alarm,) = scene.state.alarms()
    assert (alarm.subject, "shop" in alarm.message) == ("checkpoint demo", True)
    scene.push(1)
    assert scene.look(1_000) == [CheckpointMissed.code]
    scene.push(3)
    assert scene.look(1_001) == []
    scene.checkpoint(2, shop=4)  # time begins anew
    assert scene.look(2_000) == scene.look(2_000 + CHECKPOINT_GRACE_S) == []


def test_one_that_has_expired_until_the_next(scene: Scene) -> None:
    scene.push(1)
    scene.checkpoint()
    scene.now = EXPIRES
    assert scene.look(0) == []
    scene.now = EXPIRES + 1.0
    assert scene.look(0) == [CheckpointExpired.code]
    scene.checkpoint(2, expires=EXPIRES + 100)
    assert scene.look(0) == []


def test_other_bytes_under_the_same_number(scene: Scene) -> None:
    scene.checkpoint()  # of a node that had no app
    scene.push(1)
    assert scene.look(0) == []
    assert scene.look(1 + CHECKPOINT_GRACE_S) == [CheckpointMissed.code]
    assert "under the same numbers" in scene.state.alarms()[0].message


def test_a_clock_that_is_wrong_is_an_alarm_and_no_more(scene: Scene) -> None:
    scene.push(1)
    scene.checkpoint()
    scene.now += 10**9
    assert scene.look(0) == [CheckpointExpired.code]
    scene.now = 0.0
    assert scene.look(0) == []
