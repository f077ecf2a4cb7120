"""The gate: each transition, and what holds for any evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.gate import Evidence, Gate, GateTimes
from bgp.status import GateState, Level

GOOD = Evidence("all")
SOME = Evidence("some")
NONE = Evidence("none", detail="connection refused")
FULL = Evidence("all", impaired="the disk is full")
UNAPPLIED = Evidence("all", applied=False)
TIMES = GateTimes()
PARTIAL_LOOKS = int(TIMES.partial_s / 0.5)
"""Of a `Player`, in as long as a worker may be away."""


def passing(gate: Gate, start: float, end: float) -> Iterable[float]:
    """What somebody who keeps to the deadlines does until a moment."""
    while (deadline := gate.deadline()) is not None and deadline <= end:
        gate.advance(max(deadline, start))
        yield deadline
    gate.advance(end)


class Player:
    """A gate, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.gate = Gate(self.now)

    def see(self, evidence: Evidence, count: int = 1, every: float = 0.5) -> Player:
        for _ in range(count):
            self.wait(every)
            self.gate.observe(evidence, self.now)
        return self

    def wait(self, seconds: float) -> Player:
        for _ in passing(self.gate, self.now, self.now + seconds):
            pass
        self.now += seconds
        return self

    def at(self, state: GateState, level: Level) -> Player:
        assert (self.gate.state, self.gate.level) == (state, level)
        return self


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
def up(player: Player) -> Player:
    return player.see(GOOD, 4).at("up", "plain")


def test_the_first_start_is_without_a_hold_down(player: Player) -> None:
    player.see(GOOD, 3).at("warming", "withdrawn")
    assert player.gate.deadline() == 1002.0
    player.wait(0.5).at("up", "plain")
    assert player.gate.since == 1002.0
    assert player.gate.hold_until == 0.0


def test_two_good_observations_are_not_enough(player: Player) -> None:
    player.wait(5).see(GOOD, 2).at("warming", "withdrawn").see(GOOD).at("up", "plain")


def test_a_bad_one_between_begins_anew(player: Player) -> None:
    player.see(GOOD, 2).see(NONE).wait(1).at("warming", "withdrawn")
    assert "connection refused" in player.gate.reason
    player.see(GOOD, 2).at("warming", "withdrawn").see(GOOD).at("up", "plain")


def test_what_is_not_applied_keeps_it_warm_and_takes_nothing_away(player: Player) -> None:
    player.see(UNAPPLIED, 20).at("warming", "withdrawn")
    assert "desired state" in player.gate.reason
    player.see(GOOD, 3).at("up", "plain").see(UNAPPLIED, 20).at("up", "plain")
    assert player.gate.reason == str(GOOD)
    player.see(NONE).see(UNAPPLIED).at("up", "plain")
    assert player.gate.reason == str(GOOD)


def test_a_node_of_which_a_part_never_serves_is_a_last_resort(player: Player) -> None:
    player.see(SOME, PARTIAL_LOOKS).at("warming", "withdrawn").see(SOME).at("degraded", "last-resort")


@pytest.mark.parametrize(
    "evidence", [NONE, Evidence("all", address_present=False), Evidence("all", lagging=True)], ids=str
)
def test_bad_health_withdraws_at_the_third_look(up: Player, evidence: Evidence) -> None:
    up.see(evidence).at("suspect", "plain").see(evidence).at("suspect", "plain")
    up.see(evidence).at("down", "withdrawn")
    assert up.gate.flaps == 1
    assert up.gate.reason == str(evidence)


def test_a_suspicion_that_comes_to_nothing(up: Player) -> None:
    up.see(NONE, 2).see(GOOD).at("up", "plain").see(NONE, 2).at("suspect", "plain")
    assert up.gate.flaps == 0


def test_a_suspicion_leads_back_to_where_it_came_from(up: Player) -> None:
    up.see(FULL).at("degraded", "last-resort").see(NONE, 2).at("suspect", "last-resort")
    up.see(GOOD).at("degraded", "last-resort")


def test_some_for_long_and_not_for_long(up: Player) -> None:
    up.see(SOME, PARTIAL_LOOKS - 1).at("up", "plain").see(GOOD).see(SOME, PARTIAL_LOOKS).at("up", "plain")
    up.wait(0.5).at("degraded", "last-resort")


def test_a_degraded_one_recovers_after_a_while(up: Player) -> None:
    up.see(FULL).at("degraded", "last-resort")
    assert up.gate.reason == "the disk is full"
    assert up.gate.hold_until == 0.0
    up.see(GOOD, 19).at("degraded", "last-resort").see(GOOD).at("up", "plain")


def test_hold_down(up: Player) -> None:
    up.see(NONE, 3).at("down", "withdrawn")
    until = up.gate.hold_until
    assert until == up.now + 10
    up.see(GOOD).at("hold-down", "withdrawn").see(NONE).at("down", "withdrawn").see(GOOD, 17)
    assert up.gate.hold_until == until
    up.at("hold-down", "withdrawn").see(GOOD).at("warming", "withdrawn")
    assert up.gate.flaps == 1
    up.see(GOOD, 4).at("up", "plain")


def test_who_was_down_for_long_is_not_held(up: Player) -> None:
    up.see(NONE, 30).at("down", "withdrawn").see(GOOD).at("warming", "withdrawn")


def test_hold_downs_double_and_are_forgotten(up: Player) -> None:
    def hold() -> float:
        up.see(NONE, 3).at("down", "withdrawn")
        held = up.gate.hold_until - up.now
        up.see(GOOD, math.ceil(held / 0.5) + 5).at("up", "plain")
        return held

    assert [hold() for _ in range(9)] == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    up.see(GOOD, 2 * 3600 * 4)
    assert hold() == 40.0
    up.see(GOOD, 2 * 3600 * 7)
    assert hold() == 10.0
    assert up.gate.flaps == 11


def test_who_does_not_look_does_not_know(up: Player) -> None:
    up.wait(3).at("suspect", "plain").wait(2.9).at("suspect", "plain").wait(0.1).at("down", "withdrawn")
    assert "nothing was observed for 6 s" in up.gate.reason


def test_a_pause_of_the_whole_process_withdraws_nothing(up: Player) -> None:
    up.now += 3600
    up.gate.advance(up.now)
    up.at("suspect", "plain").see(GOOD).at("up", "plain")


def test_a_pause_announces_nothing(player: Player) -> None:
    player.see(GOOD, 3)
    player.now += 3600
    player.gate.advance(player.now)
    player.at("warming", "withdrawn").see(GOOD, 3).at("up", "plain")


def test_drain(up: Player) -> None:
    up.gate.drain(up.now, "an operator asked")
    up.at("draining", "last-resort").see(GOOD, 3).at("draining", "last-resort")
    up.gate.withdraw(up.now)
    up.at("drained", "withdrawn").see(GOOD, 100).at("drained", "withdrawn")
    assert up.gate.reason == "an operator asked"
    assert up.gate.deadline() is None
    up.gate.undrain(up.now)
    up.at("warming", "withdrawn").see(GOOD, 3).at("warming", "withdrawn").see(GOOD).at("up", "plain")


def test_a_drain_of_what_is_not_announced(player: Player) -> None:
    player.gate.drain(player.now)
    player.at("drained", "withdrawn")


def test_a_drain_whose_node_fails_ends_at_once(up: Player) -> None:
    up.gate.drain(up.now)
    up.see(NONE, 2).at("draining", "last-resort").see(NONE).at("drained", "withdrawn")
    assert "connection refused" in up.gate.reason


def test_a_drain_that_nobody_ends(up: Player) -> None:
    up.gate.drain(up.now)
    up.see(GOOD, 599).at("draining", "last-resort").see(GOOD).at("drained", "withdrawn")


def test_draining_is_no_way_around_a_hold_down(up: Player) -> None:
    up.see(NONE, 3)
    until = up.gate.hold_until
    up.gate.drain(up.now)
    up.at("drained", "withdrawn")
    up.gate.undrain(up.now)
    up.at("hold-down", "withdrawn")
    assert up.gate.hold_until == until


def test_undrain_of_what_is_not_drained(up: Player) -> None:
    up.gate.undrain(up.now)
    up.at("up", "plain")


# --- whatever is seen --------------------------------------------------------------------------------------

EVIDENCE = st.builds(
    Evidence,
    serving=st.sampled_from(["all", "all", "some", "none"]),
    address_present=st.sampled_from([True, True, True, False]),
    lagging=st.sampled_from([False, False, False, True]),
    applied=st.booleans(),
    impaired=st.sampled_from(["", "", "the disk is full"]),
)
ACTIONS: dict[str, Callable[[Gate, float], None]] = {
    "drain": Gate.drain,
    "withdraw": Gate.withdraw,
    "undrain": Gate.undrain,
    "advance": Gate.advance,
}
# Runs of one kind of evidence, since three in a row are what matters.
SEEN = st.tuples(EVIDENCE, st.integers(1, 8))
STEPS = st.lists(st.tuples(st.floats(0.01, 20.0), st.one_of(SEEN, st.sampled_from(sorted(ACTIONS)))), max_size=60)


def play(gate: Gate, now: float, step: tuple[Evidence, int] | str, every: float) -> Iterable[float]:
    """Yields after each thing that may have changed the gate, with the moment."""
    if isinstance(step, str):
        for moment in passing(gate, now, now + every):
            yield moment
        ACTIONS[step](gate, now + every)
        yield now + every
        return
    evidence, count = step
    for _ in range(count):
        for moment in passing(gate, now, now + every):
            yield moment
        now += every
        gate.observe(evidence, now)
        yield now


def length(step: tuple[Evidence, int] | str, every: float) -> float:
    return every if isinstance(step, str) else every * step[1]


@given(STEPS)
def test_never_announced_while_local_health_is_bad(steps: list[tuple[float, tuple[Evidence, int] | str]]) -> None:
    gate, now, bads = Gate(0.0), 0.0, 0
    for every, step in steps:
        if isinstance(step, str):
            for _ in play(gate, now, step, every):
                assert bads < TIMES.fall or gate.level == "withdrawn"
        else:
            evidence, count = step
            for index in range(count):
                for _ in play(gate, now + index * every, (evidence, 1), every):
                    pass
                bads = bads + 1 if evidence.bad else 0
                assert bads < TIMES.fall or gate.level == "withdrawn"
        now += length(step, every)


@given(STEPS)
def test_announced_only_after_enough_good_ones(steps: list[tuple[float, tuple[Evidence, int] | str]]) -> None:
    gate, now, oks = Gate(0.0), 0.0, 0
    for every, step in steps:
        for index in range(1 if isinstance(step, str) else step[1]):
            before = gate.level
            one = step if isinstance(step, str) else (step[0], 1)
            for _ in play(gate, now + index * every, one, every):
                pass
            if not isinstance(step, str):
                oks = 0 if step[0].bad else oks + 1
            if before == "withdrawn" and gate.level != "withdrawn":
                assert oks >= TIMES.rise
        now += length(step, every)


@given(st.lists(st.tuples(st.sampled_from([0.05, 0.1, 0.5, 2.0]), SEEN), min_size=20, max_size=200), st.booleans())
def test_flaps_are_bounded(steps: list[tuple[float, tuple[Evidence, int]]], repeated: bool) -> None:
    """By any evidence, in any hour: 10 + 20 + 40 + ... s between, and six times the longest."""
    gate, now, withdrawn = Gate(0.0), 0.0, []
    for every, step in steps * (20 if repeated else 1):
        for moment in play(gate, now, step, every):
            if gate.flaps > len(withdrawn):
                withdrawn.append(moment)
        now += length(step, every)
    for start in withdrawn:
        assert sum(start <= moment < start + 3600 for moment in withdrawn) <= 12
    for index, (earlier, later) in enumerate(pairwise(withdrawn)):
        assert later - earlier >= min(10 * 2 ** min(index, 4), 600)


@pytest.mark.parametrize("every", [0.1, 0.5])
def test_the_worst_that_evidence_can_do(every: float) -> None:
    """As quickly up and as quickly down as the gate lets it, for six hours."""
    gate, now, flaps, changes = Gate(0.0), 0.0, [], []
    while now < 6 * 3600:
        now += every
        for _ in passing(gate, now, now):
            pass
        level, seen = gate.level, gate.flaps
        gate.observe(GOOD if level == "withdrawn" else NONE, now)
        if gate.flaps > seen:
            flaps.append(now)
        if gate.level != level:
            changes.append(now)
    hours = [sum(hour * 3600 <= each < (hour + 1) * 3600 for each in flaps) for hour in range(6)]
    assert 6 < hours[0] <= 12
    assert all(0 < each <= 7 for each in hours[1:])
    assert len(changes) <= 2 * len(flaps) + 1


@given(STEPS, st.sampled_from(["drain", "withdraw"]))
def test_a_drain_ends_withdrawn(steps: list[tuple[float, tuple[Evidence, int] | str]], action: str) -> None:
    """Whatever is seen meanwhile, as long as nobody undoes it; and nothing is announced as usual from then on."""
    gate, now = Gate(0.0), 0.0
    for every, step in steps[: len(steps) // 2]:
        for _ in play(gate, now, step, every):
            pass
        now += length(step, every)
    ACTIONS[action](gate, now)
    drained = now
    for every, step in steps[len(steps) // 2 :]:
        if step != "undrain":
            for _ in play(gate, now, step, every):
                assert gate.level != "plain"
            now += length(step, every)
    for _ in passing(gate, now, max(now, drained + TIMES.drain_s_max)):
        pass
    assert (gate.state, gate.level) == ("drained", "withdrawn")


def visible(gate: Gate) -> tuple[object, ...]:
    return gate.state, gate.level, gate.since, gate.reason, gate.hold_until, gate.flaps


@given(STEPS, st.lists(st.floats(0.0, 1.0), max_size=5))
def test_nothing_changes_before_the_deadline(
    steps: list[tuple[float, tuple[Evidence, int] | str]], looks: list[float]
) -> None:
    gate, now = Gate(0.0), 0.0
    for every, step in steps:
        for _ in play(gate, now, step, every):
            pass
        now += length(step, every)
        deadline, before = gate.deadline(), visible(gate)
        assert deadline is None or deadline > now
        end = now + 10_000 if deadline is None else deadline
        for look in sorted(looks):
            moment = now + (end - now) * look
            if moment < end:
                gate.advance(moment)
                assert visible(gate) == before
                assert gate.deadline() is None or gate.deadline() >= end  # type: ignore[operator]
                now = max(now, moment)
