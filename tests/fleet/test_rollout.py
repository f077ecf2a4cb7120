"""The rollout of one app on one node: each way that it can go, and what holds whichever way it goes."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.fleet.record import Version
from edged.fleet.rollout import Rollout
from edged.fleet.rollout_event import (
    CheckedOut,
    CheckOutFailed,
    Crashed,
    Desired,
    Event,
    Fetched,
    FetchFailed,
    Judged,
    Prepared,
    PrepareFailed,
    Preparing,
    Requests,
    Target,
    Tick,
)
from edged.fleet.rollout_plan import Placement, Plan, Refused, Saved, Task
from edged.fleet.wave import Go, Held, Verdict, Wait
from edged.limits import (
    ROLLOUT_CRASH_COUNT_MAX,
    ROLLOUT_FAILURE_COUNT_MAX,
    ROLLOUT_RETRY_S_MAX,
    ROLLOUT_RETRY_S_MIN,
    ROLLOUT_WATCH_S,
)


def version(sequence: int, epoch: int = 1) -> Version:
    return Version(epoch, sequence)


def target(sequence: int, epoch: int = 1) -> Target:
    return Target(version(sequence, epoch), f"release-{epoch}.{sequence}")


class Driver:
    """A rollout with a clock that only moves when told."""

    def __init__(self, saved: Saved | None = None) -> None:
        self.now = 0.0
        self.rollout = Rollout(saved, now=0.0)
        self.plan = self.rollout.plan()

    def tell(self, *events: Event) -> Plan:
        for event in events:
            self.plan = self.rollout.handle(event, self.now)
        return self.plan

    def wait(self, seconds: float) -> Plan:
        self.now += seconds
        return self.tell(Tick())

    def bring(self, sequence: int) -> Plan:
        """All the way to where it is served."""
        self.tell(Desired(target(sequence)))
        return self.tell(*way(sequence))

    def settle(self, sequence: int) -> Plan:
        """And until it is no longer watched."""
        self.bring(sequence)
        return self.wait(ROLLOUT_WATCH_S)


def way(sequence: int) -> list[Event]:
    return [Fetched(version(sequence)), CheckedOut(version(sequence)), Prepared(version(sequence))]


def failed(sequence: int, *, passing: bool = False) -> PrepareFailed:
    return PrepareFailed(version(sequence), "component.invalid", "no component", passing)


# --- the way that it should go ---


def test_each_step_of_a_first_release() -> None:
    driver = Driver()
    assert (driver.plan.stage, driver.plan.task, driver.plan.placements) == ("idle", None, ())
    plan = driver.tell(Desired(target(1)))
    assert (plan.stage, plan.task, plan.desired, plan.running) == ("fetch", Task("fetch", target(1)), 1, 0)
    plan = driver.tell(Fetched(version(1)))
    assert (plan.stage, plan.task) == ("verify", Task("check-out", target(1)))
    plan = driver.tell(CheckedOut(version(1)))
    assert (plan.stage, plan.task, plan.placements) == ("compile", None, (Placement(target(1), serve=False),))
    assert driver.tell(Preparing(version(1), "probe")).stage == "probe"
    plan = driver.tell(Prepared(version(1)))
    assert (plan.stage, plan.placements) == ("live", (Placement(target(1), serve=True),))
    assert (plan.running, plan.release, plan.saved.live, plan.saved.watched) == (1, "release-1.1", target(1), True)


def test_the_old_release_is_served_until_the_new_one_is_ready_and_kept_while_that_is_watched() -> None:
    driver = Driver()
    driver.settle(1)
    driver.tell(Desired(target(2)), Fetched(version(2)))
    plan = driver.tell(CheckedOut(version(2)))
    assert plan.placements == (Placement(target(1), serve=True), Placement(target(2), serve=False))
    assert (plan.desired, plan.running, plan.stage) == (2, 1, "compile")
    plan = driver.tell(Prepared(version(2)))
    assert plan.placements == (Placement(target(2), serve=True), Placement(target(1), serve=False))
    assert plan.wake_at == driver.now + ROLLOUT_WATCH_S
    plan = driver.wait(ROLLOUT_WATCH_S)
    assert plan.placements == (Placement(target(2), serve=True),)
    assert (plan.saved, plan.wake_at) == (Saved(floor=version(2), live=target(2)), None)


def test_a_newer_deployment_takes_the_place_of_one_under_way() -> None:
    driver = Driver()
    driver.tell(Desired(target(1)), Fetched(version(1)), CheckedOut(version(1)))
    plan = driver.tell(Desired(target(2)))
    assert (plan.task, plan.placements) == (Task("fetch", target(2)), ())
    assert driver.tell(Prepared(version(1))).running == 0


def test_an_older_deployment_is_not_followed() -> None:
    driver = Driver()
    before = driver.settle(2)
    assert driver.tell(Desired(target(1))) == before
    assert driver.tell(Desired(target(9, epoch=0))) == before


def test_a_higher_epoch_counts_more_than_any_sequence() -> None:
    driver = Driver()
    driver.settle(7)
    driver.tell(Desired(target(1, epoch=2)))
    plan = driver.tell(*[replace(event, version=version(1, 2)) for event in way(1)])
    assert plan.saved.live == target(1, epoch=2)


# --- waves ---


def judged(sequence: int, verdict: Verdict) -> Judged:
    return Judged(version(sequence), verdict)


def test_a_release_whose_wave_is_not_yet_waits_on_disk_and_its_predecessor_serves() -> None:
    driver = Driver()
    driver.settle(1)
    driver.tell(Desired(target(2), waits=True), Fetched(version(2)))
    plan = driver.tell(CheckedOut(version(2)))
    assert (plan.stage, plan.code, plan.message, plan.task) == ("waiting", "", "", None)
    plan = driver.tell(judged(2, Wait("eu is late")))
    assert (plan.stage, plan.message, plan.running, plan.desired) == ("waiting", "eu is late", 1, 2)
    assert plan.placements == (Placement(target(1), serve=True),)
    assert driver.wait(1e6).stage == "waiting"
    plan = driver.tell(judged(2, Go()))
    assert (plan.stage, plan.message) == ("compile", "")
    assert plan.placements == (Placement(target(1), serve=True), Placement(target(2), serve=False))
    assert driver.tell(Prepared(version(2))).running == 2


def test_a_verdict_that_comes_before_the_release_is_here_counts_then() -> None:
    for verdict, stage in ((Go(), "compile"), (Wait("x"), "waiting"), (Held("x"), "held")):
        driver = Driver()
        driver.tell(Desired(target(1), waits=True))
        assert driver.tell(judged(1, verdict)).stage == "fetch"
        assert driver.tell(Fetched(version(1)), CheckedOut(version(1))).stage == stage


def test_what_is_held_may_still_go_and_what_has_gone_is_not_held() -> None:
    driver = Driver()
    driver.tell(Desired(target(1), waits=True), *way(1)[:2])
    plan = driver.tell(judged(1, Held("eu/n1 failed: no")))
    assert (plan.stage, plan.code, plan.message, plan.placements) == ("held", "rollout.held", "eu/n1 failed: no", ())
    assert driver.tell(judged(1, Go())).stage == "compile"
    for verdict in (Held("x"), Wait("x")):
        assert driver.tell(judged(1, verdict)).stage == "compile"
    assert driver.tell(Prepared(version(1))).stage == "live"


def test_a_verdict_about_another_release_is_none() -> None:
    driver = Driver()
    driver.tell(Desired(target(2), waits=True), *way(2)[:2])
    assert driver.tell(judged(1, Go()), judged(3, Go())).stage == "waiting"


def test_who_waits_for_nobody_does_not_wait() -> None:
    driver = Driver()
    driver.tell(Desired(target(1)), judged(1, Held("x")), *way(1)[:2])
    assert driver.plan.stage == "compile"


def test_a_newer_deployment_takes_the_place_of_one_that_is_held() -> None:
    driver = Driver()
    driver.tell(Desired(target(1), waits=True), *way(1)[:2], judged(1, Held("x")))
    assert driver.bring(2).running == 2


def test_a_region_that_was_passed_over_is_said_while_it_runs() -> None:
    driver = Driver()
    driver.tell(Desired(target(1), waits=True), *way(1)[:2], judged(1, Go(("eu", "ap"))))
    said = "it did not wait for eu, ap, where nobody is heard of"
    assert (driver.plan.stage, driver.plan.code, driver.plan.message) == ("compile", "", said)
    assert (driver.tell(Prepared(version(1))).stage, driver.plan.message) == ("live", said)
    assert driver.bring(2).message == ""


def test_what_is_live_already_waits_for_nobody_after_a_restart() -> None:
    driver = Driver(Saved(floor=version(2), live=target(2)))
    driver.tell(Desired(target(2), waits=True), CheckedOut(version(2)))
    assert (driver.plan.stage, driver.plan.placements) == ("compile", (Placement(target(2), serve=True),))


@pytest.mark.parametrize("told", [0, 1, 2, 3, 4])
def test_an_app_that_is_not_to_run_here_is_let_go_at_any_step(told: int) -> None:
    driver = Driver()
    events = [Desired(target(1)), *way(1)]
    driver.tell(*events[:told])
    plan = driver.tell(Desired(Target(version(2), "")))
    assert (plan.stage, plan.task, plan.placements, plan.running, plan.desired) == ("idle", None, (), 0, 0)
    assert plan.saved == Saved(floor=version(2))
    assert driver.tell(*events) == plan


def test_no_deployment_at_all_is_not_a_removal() -> None:
    """Records may be lost; what runs goes on."""
    driver = Driver(Saved(floor=version(1), live=target(1)))
    plan = driver.tell(CheckedOut(version(1)))
    assert plan.placements == (Placement(target(1), serve=True),)


def test_a_node_that_came_to_another_region_runs_what_that_has() -> None:
    driver = Driver(Saved(floor=version(1), live=target(1)))
    plan = driver.tell(Desired(Target(version(1), "of the other region")))
    assert (plan.running, plan.task) == (0, Task("fetch", Target(version(1), "of the other region")))


# --- faults before it is served ---


def test_a_release_that_cannot_be_good_is_refused_and_what_ran_goes_on() -> None:
    driver = Driver()
    driver.settle(1)
    driver.tell(Desired(target(2)))
    plan = driver.tell(FetchFailed(version(2), "registry.signature", "a stranger's", passing=False))
    assert (plan.stage, plan.code, plan.running, plan.task) == ("failed", "registry.signature", 1, None)
    assert plan.saved.refused == Refused(version(2), False, "registry.signature", "a stranger's")
    assert driver.tell(Desired(target(2)), *way(2)).running == 1
    assert driver.bring(3).running == 3


def test_a_release_that_a_worker_cannot_serve_is_refused() -> None:
    driver = Driver()
    driver.settle(1)
    driver.tell(Desired(target(2)), Fetched(version(2)), CheckedOut(version(2)))
    plan = driver.tell(failed(2))
    assert (plan.stage, plan.running, plan.placements) == ("failed", 1, (Placement(target(1), serve=True),))


def test_what_may_pass_is_tried_again_ever_more_slowly() -> None:
    driver = Driver()
    driver.tell(Desired(target(1)))
    waits = []
    for _ in range(9):
        plan = driver.tell(FetchFailed(version(1), "fleet.unreachable", "no peer has it", passing=True))
        assert (plan.task, plan.code, plan.stage) == (None, "fleet.unreachable", "fetch")
        assert plan.wake_at is not None
        waits.append(plan.wake_at - driver.now)
        assert driver.wait(waits[-1] - 0.25).task is None
        assert driver.wait(0.25).task == Task("fetch", target(1))
    assert waits[:3] == [ROLLOUT_RETRY_S_MIN, 2 * ROLLOUT_RETRY_S_MIN, 4 * ROLLOUT_RETRY_S_MIN]
    assert waits[-1] == ROLLOUT_RETRY_S_MAX
    assert driver.tell(*way(1)).running == 1


def test_a_candidate_that_may_be_served_later_is_taken_from_the_workers_and_given_again() -> None:
    driver = Driver()
    driver.tell(Desired(target(1)), Fetched(version(1)), CheckedOut(version(1)))
    plan = driver.tell(failed(1, passing=True))
    assert (plan.placements, plan.stage, plan.code) == ((), "compile", "component.invalid")
    assert driver.wait(ROLLOUT_RETRY_S_MIN).placements == (Placement(target(1), serve=False),)


def test_chunks_that_were_found_corrupt_are_fetched_again_at_once_the_first_time() -> None:
    driver = Driver()
    driver.tell(Desired(target(1)), Fetched(version(1)))
    corrupt = CheckOutFailed(version(1), "registry.corrupt", "corrupt", incomplete=True)
    assert driver.tell(corrupt).task == Task("fetch", target(1))
    assert driver.tell(Fetched(version(1)), corrupt).task is None
    assert driver.wait(2 * ROLLOUT_RETRY_S_MIN).task == Task("fetch", target(1))


def test_a_full_disk_is_tried_again() -> None:
    driver = Driver()
    driver.tell(Desired(target(1)), Fetched(version(1)))
    full = CheckOutFailed(version(1), "registry.full", "no space", incomplete=False)
    assert driver.tell(full).task is None
    assert driver.wait(ROLLOUT_RETRY_S_MIN).task == Task("check-out", target(1))


def test_chunks_that_make_no_file_of_the_release_are_its_end() -> None:
    driver = Driver()
    driver.tell(Desired(target(1)), Fetched(version(1)))
    other = CheckOutFailed(version(1), "registry.mismatch", "not the file", incomplete=False, passing=False)
    assert driver.tell(other).stage == "failed"


def test_a_candidate_under_which_workers_crash_is_refused() -> None:
    driver = Driver()
    driver.tell(Desired(target(1)), Fetched(version(1)), CheckedOut(version(1)))
    for _ in range(ROLLOUT_CRASH_COUNT_MAX - 1):
        assert driver.tell(Crashed(version(1))).stage == "compile"
    assert driver.tell(Crashed(version(1))).stage == "failed"


# --- faults while it is served ---


def crashes(count: int) -> list[Event]:
    return [Crashed(version(2))] * count


def requests(ended: int, failed: int) -> list[Event]:
    return [Requests(version(2), ended, failed)]


@pytest.mark.parametrize(
    ("events", "reverted"),
    [
        (crashes(ROLLOUT_CRASH_COUNT_MAX - 1), False),
        (crashes(ROLLOUT_CRASH_COUNT_MAX), True),
        (requests(ROLLOUT_FAILURE_COUNT_MAX - 1, ROLLOUT_FAILURE_COUNT_MAX - 1), False),
        (requests(ROLLOUT_FAILURE_COUNT_MAX, ROLLOUT_FAILURE_COUNT_MAX), True),
        (requests(2 * ROLLOUT_FAILURE_COUNT_MAX, ROLLOUT_FAILURE_COUNT_MAX), False),
        (requests(2 * ROLLOUT_FAILURE_COUNT_MAX - 1, ROLLOUT_FAILURE_COUNT_MAX), True),
        ([*requests(1, 1)] * ROLLOUT_FAILURE_COUNT_MAX, True),
        ([failed(2)], True),
    ],
)
def test_what_brings_the_old_release_back(events: list[Event], reverted: bool) -> None:
    driver = Driver()
    driver.settle(1)
    driver.bring(2)
    plan = driver.tell(*events)
    if not reverted:
        assert (plan.stage, plan.running) == ("live", 2)
        return
    assert (plan.stage, plan.desired, plan.running) == ("reverted", 2, 1)
    assert plan.placements == (Placement(target(1), serve=True),)
    assert plan.code
    assert plan.message
    assert plan.saved.refused is not None
    assert plan.saved.refused.reverted
    assert driver.tell(Desired(target(2)), *way(2)) == plan
    assert driver.bring(3).running == 3


@pytest.mark.parametrize("events", [crashes(9), requests(99, 99), [failed(2)]])
def test_after_the_watch_nothing_brings_the_old_release_back(events: list[Event]) -> None:
    driver = Driver()
    driver.settle(1)
    driver.settle(2)
    assert driver.tell(*events).running == 2


def test_a_first_release_under_which_workers_crash_is_taken_down() -> None:
    driver = Driver()
    driver.bring(2)
    plan = driver.tell(*crashes(ROLLOUT_CRASH_COUNT_MAX))
    assert (plan.stage, plan.running, plan.placements) == ("reverted", 0, ())


def test_what_was_refused_stays_so_when_the_one_before_it_is_taken_down() -> None:
    """Found by the simulator: the node said of the newer one that it was idle, without a reason, for ever."""
    driver = Driver()
    driver.bring(2)
    driver.tell(Desired(target(3)), Fetched(version(3)), CheckedOut(version(3)))
    failure = driver.tell(failed(3)).message
    plan = driver.tell(*crashes(ROLLOUT_CRASH_COUNT_MAX))
    assert (plan.stage, plan.desired, plan.running, plan.placements) == ("reverted", 3, 0, ())
    assert plan.message.startswith(failure)
    assert "worker processes crashed" in plan.message
    again = Driver(plan.saved)
    assert again.tell(Desired(target(3))).stage == "reverted"
    assert again.bring(4).running == 4


def test_a_first_release_that_fails_requests_stays_since_nothing_is_better() -> None:
    driver = Driver()
    driver.bring(2)
    assert driver.tell(*requests(99, 99)).running == 2


def test_a_release_without_complaint_is_what_the_next_one_goes_back_to() -> None:
    driver = Driver()
    driver.settle(1)
    driver.bring(2)
    driver.bring(3)
    assert driver.tell(*[Crashed(version(3))] * ROLLOUT_CRASH_COUNT_MAX).running == 2


def test_a_release_under_suspicion_is_not_what_the_next_one_goes_back_to() -> None:
    driver = Driver()
    driver.settle(1)
    driver.bring(2)
    driver.tell(Crashed(version(2)))
    driver.bring(3)
    assert driver.tell(*[Crashed(version(3))] * ROLLOUT_CRASH_COUNT_MAX).running == 1


@pytest.mark.parametrize("passing", [True, False])
def test_what_is_live_and_cannot_be_loaded_stays_with_the_workers_who_try_again(passing: bool) -> None:
    driver = Driver(Saved(floor=version(1), live=target(1)))
    driver.tell(Desired(target(1)), CheckedOut(version(1)))
    plan = driver.tell(failed(1, passing=passing))
    assert (plan.placements, plan.running) == ((Placement(target(1), serve=True),), 1)
    assert (plan.stage, plan.code) == ("compile", "component.invalid")
    plan = driver.tell(Prepared(version(1)))
    assert (plan.stage, plan.code) == ("live", "")


def test_a_passing_fault_of_a_worker_does_not_bring_the_old_release_back() -> None:
    driver = Driver()
    driver.settle(1)
    driver.bring(2)
    assert driver.tell(failed(2, passing=True)).running == 2


def test_a_restart_in_the_watch_goes_on_watching() -> None:
    driver = Driver()
    driver.settle(1)
    saved = driver.bring(2).saved
    again = Driver(saved)
    again.tell(Desired(target(2)), CheckedOut(version(2)), CheckedOut(version(1)), Prepared(version(2)))
    assert again.plan.placements == (Placement(target(2), serve=True), Placement(target(1), serve=False))
    assert again.tell(*crashes(ROLLOUT_CRASH_COUNT_MAX)).running == 1


# --- whatever happens, in any order ---

versions = st.builds(Version, st.integers(1, 2), st.integers(1, 3))
events = st.one_of(
    st.builds(lambda at, here: Desired(Target(at, f"release-{at}" if here else "")), versions, st.booleans()),
    st.builds(Fetched, versions),
    st.builds(FetchFailed, versions, st.just("a"), st.just("b"), st.booleans()),
    st.builds(CheckedOut, versions),
    st.builds(CheckOutFailed, versions, st.just("a"), st.just("b"), st.booleans(), st.booleans()),
    st.builds(Preparing, versions, st.sampled_from(["compile", "probe"])),
    st.builds(Prepared, versions),
    st.builds(PrepareFailed, versions, st.just("a"), st.just("b"), st.booleans()),
    st.builds(Crashed, versions),
    st.builds(Requests, versions, st.integers(5, 9), st.integers(0, 5)),
    st.builds(Tick),
)


def served(plan: Plan) -> Target | None:
    (found,) = [each.target for each in plan.placements if each.serve] or [None]
    return found


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(events, st.sampled_from([0.0, 0.5, 10.0])), max_size=60))
def test_events_in_any_order(told: list[tuple[Event, float]]) -> None:
    rollout, now = Rollout(now=0.0), 0.0
    before = rollout.plan()
    prepared: set[Version] = set()
    for event, seconds in told:
        now += seconds
        plan = rollout.handle(event, now)
        if isinstance(event, Prepared):
            prepared.add(event.version)
        target = served(plan)
        if target is not None:
            assert target.version in prepared, "a candidate is served that no worker has prepared"
            assert plan.saved.live == target, "what is served is not on disk"
        placed = [each.target.version for each in plan.placements]
        assert len(set(placed)) == len(placed)
        assert plan.saved.floor >= before.saved.floor
        old, new = before.saved.live, plan.saved.live
        if old is not None and (new is None or new.version < old.version):
            removed = isinstance(event, Desired) and not event.target.release
            taken_back = plan.saved.refused is not None and plan.saved.refused.version == old.version
            assert removed or taken_back, "it went back by itself"
        if new is not None and new.version != plan.saved.floor and before.saved.floor == plan.saved.floor:
            assert new == old or plan.saved.refused != before.saved.refused, "it went to something else than desired"
        assert plan.wake_at is None or plan.wake_at > now
        before = plan


# --- a restart at any point ---

Outcome = Literal["good", "unsigned", "broken", "crashes", "fails"]


class World:
    """Peers, a disk and workers that do what each release makes them do; and a node that may die at any moment."""

    def __init__(self, outcomes: list[Outcome], random: Random, restarts: int) -> None:
        self.outcomes = outcomes
        self.random = random
        self.restarts = restarts
        self.flaws = 9
        self.now = 0.0
        self.disk = Saved()
        self.desired: Target | None = None
        self.start()

    def start(self) -> None:
        self.rollout = Rollout(self.disk, now=self.now)
        self.prepared: set[Version] = set()
        self.plan = self.rollout.plan()
        if self.desired is not None:
            self.tell(Desired(self.desired))

    def tell(self, event: Event) -> None:
        self.plan = self.rollout.handle(event, self.now)
        self.disk = self.plan.saved

    def happenings(self) -> list[Event]:
        """What may come next."""
        found: list[Event] = []
        if self.plan.task is not None:
            found.append(self.done(self.plan.task))
        for each in self.plan.placements:
            at = each.target.version
            if at not in self.prepared:
                found.append(failed(at.sequence) if self.outcome(at) == "broken" else Prepared(at))
            elif each.serve and self.plan.wake_at is not None:
                if self.outcome(at) == "crashes":
                    found.append(Crashed(at))
                elif self.outcome(at) == "fails":
                    found.append(Requests(at, 3, 3))
        return found

    def outcome(self, at: Version) -> Outcome:
        return self.outcomes[at.sequence - 1]

    def done(self, task: Task) -> Event:
        at = task.target.version
        if task.kind == "check-out":
            return CheckedOut(at)
        if self.outcome(at) == "unsigned":
            return FetchFailed(at, "registry.signature", "", passing=False)
        if self.flaws and self.random.random() < 0.5:
            self.flaws -= 1
            return FetchFailed(at, "fleet.unreachable", "", passing=True)
        return Fetched(at)

    def run(self) -> None:
        """Until nothing more happens by itself."""
        for _ in range(1000):
            if self.restarts and self.random.random() < 0.3:
                self.restarts -= 1
                self.start()
            found = self.happenings()
            if found:
                event = self.random.choice(found)
                if isinstance(event, Prepared):
                    self.prepared.add(event.version)
                self.now += 1.0
                self.tell(event)
            elif self.plan.wake_at is not None:
                self.now = self.plan.wake_at
                self.tell(Tick())
            else:
                return
        raise AssertionError("it does not come to rest")


outcomes = st.lists(st.sampled_from(["good", "unsigned", "broken", "crashes", "fails"]), min_size=1, max_size=5)


@settings(max_examples=300, deadline=None)
@given(outcomes, st.randoms(use_true_random=False))
def test_a_node_that_dies_at_any_point_comes_to_the_same_end(outcomes: list[Outcome], random: Random) -> None:
    steady, shaken = World(outcomes, Random(0), 0), World(outcomes, random, 20)
    good = 0
    for sequence, outcome in enumerate(outcomes, start=1):
        for world in (steady, shaken):
            world.desired = target(sequence)
            world.tell(Desired(world.desired))
            world.run()
        assert (shaken.plan.running, shaken.plan.stage) == (steady.plan.running, steady.plan.stage)
        assert shaken.disk == steady.disk
        if outcome == "good" or (outcome == "fails" and not good):
            good = sequence
        assert steady.plan.running == good
