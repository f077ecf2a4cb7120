"""The stand-in for systemd: who ended is started again, and when requests may fail. With processes that do nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from benchmarks.chaos.keeper import Keeper
from tests.fleets import Event, FleetNode


class Sleeper:
    """As a node, but that it is ready when the test says so."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self, *, wait: bool = True) -> None:
        assert not wait
        self.starts += 1
        self.process = subprocess.Popen(["sleep", "infinity"])

    def kill(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self.process = None

    def mark(self) -> int:
        return len(self.events)

    def workers(self) -> dict[int, int]:
        return {}

    def get_ready(self) -> None:
        self.events.append({"event": "node.ready"})


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Sleeper]:
    sleeper = Sleeper()
    sleeper.start(wait=False)
    sleeper.get_ready()
    yield sleeper
    if sleeper.process is not None:
        sleeper.kill()


@pytest.fixture
def keeper(node: Sleeper, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    monkeypatch.setattr("benchmarks.chaos.keeper.RESTART_S", 0.0)
    return Keeper({"a": cast(FleetNode, node)})


def wait_ended(node: Sleeper) -> None:
    assert node.process is not None
    node.process.wait()


def test_who_was_killed_comes_back(keeper: Keeper, node: Sleeper) -> None:
    """Requests may fail from the kill until it is ready."""
    assert keeper.is_running("a")
    keeper.kill("a", "a kill", everything=True)
    wait_ended(node)
    assert not keeper.is_running("a")
    keeper.poll()
    assert node.starts == 2
    keeper.poll()
    assert keeper.windows == []
    assert not keeper.is_running("a"), "it is not ready yet"
    node.get_ready()
    keeper.poll()
    assert keeper.is_running("a")
    assert [(each.node, each.why) for each in keeper.windows] == [("a", "a kill")]
    assert keeper.windows[0].from_s < keeper.windows[0].until_s
    assert keeper.ended == []


def test_who_ended_by_itself_is_told_of(keeper: Keeper, node: Sleeper) -> None:
    assert node.process is not None
    node.process.terminate()
    wait_ended(node)
    keeper.poll()
    assert keeper.ended == ["a ended by itself, with status -15"]
    assert node.starts == 2


def test_who_is_away_is_left_alone(keeper: Keeper, node: Sleeper) -> None:
    keeper.may_fail("a", "away")
    keeper.away.add("a")
    node.kill()
    keeper.poll()
    assert node.starts == 1
    keeper.start_again("a")
    node.get_ready()
    keeper.poll()
    assert node.starts == 2
    assert [each.why for each in keeper.windows] == ["away"]
    assert keeper.ended == []


def test_a_kill_of_who_is_dead_excuses_nothing(keeper: Keeper, node: Sleeper) -> None:
    assert node.process is not None
    node.process.kill()
    wait_ended(node)
    keeper.kill("a", "a kill", everything=False)
    keeper.end()
    assert keeper.windows == []
