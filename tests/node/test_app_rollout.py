"""One app's rollout at work: what is saved before what is placed, and what goes wrong stays with the app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from edged.errors import EdgedError, ReleaseUnavailable, RolloutNotSaved
from edged.fleet.deployment import Deployment
from edged.fleet.record import Version
from edged.fleet.rollout_event import Prepared
from edged.fleet.rollout_plan import Saved
from edged.limits import ROLLOUT_RETRY_S_MAX, ROLLOUT_RETRY_S_MIN, ROLLOUT_WATCH_S
from edged.node.app_rollout import AppRollout, Moved, Placed
from edged.node.rollout_store import Kept
from registry.digest import digest_of
from registry.errors import BlobMissing, KeyNotAllowed, RegistryError


def release(sequence: int) -> str:
    return digest_of(b"%d" % sequence)


def deployment(sequence: int, region: str = "eu") -> Deployment:
    return Deployment("demo", "shop", 1, sequence, {region: digest_of(b"%d" % sequence)})


class FakeHands:
    """Notes what is asked for. `faults` are raised by the next calls of that name."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.saved: Saved | None = None
        self.placed: tuple[Placed, ...] = ()
        self.faults: dict[str, list[Exception]] = {"save": [], "fetch": [], "check_out": []}
        self.pause = trio.Event()
        self.pause.set()

    async def save(self, app: str, kept: Kept) -> None:
        await self._step("save", kept.saved.floor.sequence)
        self.saved = kept.saved

    def place(self, app: str, placed: tuple[Placed, ...]) -> None:
        assert [each.release for each in placed if each.serve] in (
            [],
            [self.saved.live.release if self.saved and self.saved.live else ""],
        ), "what is served has to be on disk"
        self.placed = placed

    async def fetch(self, app: str, release: str, moved: Callable[[Moved], None]) -> None:
        await self._step("fetch", release)
        moved(Moved(3, 4, 1))

    async def check_out(self, release: str) -> None:
        await self._step("check_out", release)

    async def _step(self, name: str, what: object) -> None:
        self.calls.append((name, what))
        await self.pause.wait()
        if self.faults[name]:
            raise self.faults[name].pop(0)

    @property
    def served(self) -> list[int]:
        return [each.deployment.sequence for each in self.placed if each.serve]


@asynccontextmanager
async def running(hands: FakeHands, kept: Kept | None = None) -> AsyncIterator[AppRollout]:
    rollout = AppRollout("shop", kept, hands, trio.Semaphore(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rollout.run)
        yield rollout
        nursery.cancel_scope.cancel()


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def bring(rollout: AppRollout, sequence: int) -> None:
    rollout.desire(deployment(sequence), "eu")
    await settle()
    rollout.tell(Prepared(Version(1, sequence)))
    await settle()


async def test_from_a_deployment_to_a_release_that_is_served(autojump_clock: trio.testing.MockClock) -> None:
    hands = FakeHands()
    async with running(hands) as rollout:
        rollout.desire(deployment(1), "eu")
        await settle()
        assert hands.calls == [("save", 1), ("fetch", release(1)), ("check_out", release(1))]
        assert [(each.deployment.sequence, each.serve) for each in hands.placed] == [(1, False)]
        report = rollout.report(requests=0, failures=0)
        assert (report.stage, report.desired, report.running) == ("compile", 1, 0)
        assert (report.bytes_done, report.bytes_total, report.bytes_saved) == (3, 4, 1)
        rollout.tell(Prepared(Version(1, 1)))
        await settle()
        assert (hands.served, hands.saved) == ([1], rollout.plan.saved)
        assert rollout.report(requests=7, failures=1).requests == 7


async def test_an_app_of_another_region_is_not_served(autojump_clock: trio.testing.MockClock) -> None:
    hands = FakeHands()
    async with running(hands) as rollout:
        await bring(rollout, 1)
        rollout.desire(deployment(2, "us"), "eu")
        await settle()
        assert hands.placed == ()
        assert rollout.releases() == set()


async def test_what_is_on_disk_is_served_without_a_deployment(autojump_clock: trio.testing.MockClock) -> None:
    hands = FakeHands()
    async with running(hands) as rollout:
        await bring(rollout, 1)
        await trio.sleep(ROLLOUT_WATCH_S + 1)
    assert hands.saved is not None
    again = FakeHands()
    again.saved = hands.saved
    async with running(again, Kept(hands.saved, {Version(1, 1): deployment(1)})) as rollout:
        with trio.fail_after(1):
            await rollout.placed.wait()
        await settle()
        assert again.calls == [("check_out", release(1))]
        assert again.served == [1]


async def test_nothing_is_served_that_cannot_be_saved(autojump_clock: trio.testing.MockClock) -> None:
    hands = FakeHands()
    async with running(hands) as rollout:
        await bring(rollout, 1)
        hands.faults["save"] = [RolloutNotSaved("full")] * 9
        rollout.desire(deployment(2), "eu")
        await settle()
        assert hands.served == [1]
        assert [each.deployment.sequence for each in hands.placed] == [1]
        said = rollout.report(requests=0, failures=0)
        assert (said.running, said.release, said.error_code) == (1, release(1), RolloutNotSaved.code)
        hands.faults["save"] = []
        await trio.sleep(ROLLOUT_RETRY_S_MAX + 1)
        assert hands.saved is not None
        assert hands.saved.floor == Version(1, 2)
        assert rollout.report(requests=0, failures=0).error_code == ""


async def test_another_deployment_ends_the_fetch_of_the_one_before(autojump_clock: trio.testing.MockClock) -> None:
    hands = FakeHands()
    async with running(hands) as rollout:
        rollout.desire(deployment(1), "eu")
        await settle()
        hands.calls.clear()
        hands.pause = trio.Event()
        await bring(rollout, 2)
        assert hands.calls == [("save", 2)]
        hands.pause.set()
        await settle()
        assert [name for name, _ in hands.calls] == ["save", "fetch", "check_out"]
        hands.pause = trio.Event()
        rollout.desire(deployment(3), "eu")
        await settle()
        hands.pause.set()
        await settle()
        assert ("check_out", release(3)) in hands.calls


@pytest.mark.parametrize(
    ("step", "error", "again"),
    [
        ("fetch", ReleaseUnavailable("no peer"), ["fetch", "check_out"]),
        ("fetch", RegistryError("the disk"), ["fetch", "check_out"]),
        ("fetch", KeyError("a mistake"), ["fetch", "check_out"]),
        ("fetch", KeyNotAllowed("not for this app"), []),
        ("check_out", RegistryError("the disk"), ["check_out"]),
        ("check_out", BlobMissing("a chunk"), ["fetch", "check_out"]),
    ],
)
async def test_what_goes_wrong(
    step: str, error: Exception, again: list[str], autojump_clock: trio.testing.MockClock
) -> None:
    hands = FakeHands()
    async with running(hands) as rollout:
        await bring(rollout, 1)
        hands.calls.clear()
        hands.faults[step] = [error]
        rollout.desire(deployment(2), "eu")
        await settle()
        failed = [name for name, _ in hands.calls if name != "save"]
        assert hands.served == [1]
        await trio.sleep(2 * ROLLOUT_RETRY_S_MIN)
        await settle()
        names = [name for name, _ in hands.calls if name != "save"]
        if isinstance(error, BlobMissing):  # fetched again at once
            assert names == ["fetch", "check_out", *again]
        else:
            assert names == failed + again
        plan = rollout.plan
        if again:
            assert plan.stage == "compile"
        else:
            assert isinstance(error, EdgedError | RegistryError)
            assert (plan.stage, plan.code, hands.served) == ("failed", error.code, [1])


async def test_tasks_of_all_apps_take_turns(autojump_clock: trio.testing.MockClock) -> None:
    hands, turns = FakeHands(), trio.Semaphore(1)
    await turns.acquire()
    rollout = AppRollout("shop", None, hands, turns)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rollout.run)
        rollout.desire(deployment(1), "eu")
        await settle()
        assert hands.calls == [("save", 1)]
        turns.release()
        await settle()
        assert ("fetch", release(1)) in hands.calls
        nursery.cancel_scope.cancel()
