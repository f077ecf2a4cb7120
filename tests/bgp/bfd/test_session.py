"""A session against the tables of RFC 5880 6.2 and 6.8, and two of them against each other on a network of the test."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.bfd.packet import Diagnostic, Packet, State
from bgp.bfd.session import Session
from bgp.peer import BfdTimes

ADMIN_DOWN, DOWN, INIT, UP = State.ADMIN_DOWN, State.DOWN, State.INIT, State.UP
OURS, THEIRS = 7, 9


def session(times: BfdTimes | None = None, seed: int = 1) -> Session:
    return Session(times or BfdTimes(100, 3), OURS, random.Random(seed), now=0.0)


def packet(state: State, **changes: object) -> Packet:
    fields = {"multiplier": 3, "desired_min_tx_us": 100_000, "required_min_rx_us": 100_000}
    yours = OURS if state in (INIT, UP) else 0
    return Packet(state, THEIRS, **{"your_discriminator": yours, **fields, **changes})  # type: ignore[arg-type]


def brought_to(state: State) -> Session:
    made = session()
    if state == ADMIN_DOWN:
        made.leave(0.0)
    if state == INIT:
        made.receive(packet(DOWN), 0.0)
    if state == UP:
        made.receive(packet(INIT), 0.0)
    made.take()
    assert made.state == state
    return made


# 6.2's drawing, with what 6.8.6 says of AdminDown.
@pytest.mark.parametrize(
    ("ours", "theirs", "follows", "diagnostic"),
    [
        (DOWN, ADMIN_DOWN, DOWN, 0),
        (DOWN, DOWN, INIT, 0),
        (DOWN, INIT, UP, 0),
        (DOWN, UP, DOWN, 0),
        (INIT, ADMIN_DOWN, DOWN, Diagnostic.NEIGHBOUR_SAID_DOWN),
        (INIT, DOWN, INIT, 0),
        (INIT, INIT, UP, 0),
        (INIT, UP, UP, 0),
        (UP, ADMIN_DOWN, DOWN, Diagnostic.NEIGHBOUR_SAID_DOWN),
        (UP, DOWN, DOWN, Diagnostic.NEIGHBOUR_SAID_DOWN),
        (UP, INIT, UP, 0),
        (UP, UP, UP, 0),
        *((ADMIN_DOWN, theirs, ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN) for theirs in State),
    ],
)
def test_states(ours: State, theirs: State, follows: State, diagnostic: int) -> None:
    made = brought_to(ours)
    assert made.receive(packet(theirs), 0.1)
    assert (made.state, made.diagnostic) == (follows, diagnostic)
    news = made.take()
    assert [each.state for each in news] == ([follows] if follows != ours else []), "news are sent at once, and once"


@pytest.mark.parametrize("state", [INIT, UP])
def test_silence(state: State) -> None:
    made = brought_to(state)
    assert made.detection_s == pytest.approx(0.3)
    made.advance(0.2999)
    assert made.state == state
    made.advance(0.3)
    assert (made.state, made.diagnostic) == (DOWN, Diagnostic.TIME_EXPIRED)
    (told,) = made.take()
    assert (told.state, told.diagnostic, told.your_discriminator) == (DOWN, Diagnostic.TIME_EXPIRED, 0)
    made.advance(0.3)
    assert made.take() == []


def test_whose_packets_are_taken() -> None:
    made = brought_to(UP)
    assert not made.receive(packet(DOWN, your_discriminator=OURS + 1), 0.1)
    assert made.state == UP
    made.advance(0.3)
    assert made.state == DOWN, "what is not of this session shows no life either"


def test_a_router_that_began_anew() -> None:
    made = brought_to(UP)
    made.receive(packet(DOWN, your_discriminator=0), 0.1)
    assert made.state == DOWN


def test_detection_time_is_the_slower_of_both() -> None:
    """6.8.4: their multiplier; our interval, or theirs."""
    made = brought_to(UP)
    made.receive(packet(UP, desired_min_tx_us=250_000, multiplier=5), 0.1)
    assert made.detection_s == pytest.approx(1.25)
    made.receive(packet(UP, desired_min_tx_us=10_000, multiplier=2), 0.2)
    assert made.detection_s == pytest.approx(0.2)


def test_slow_until_it_is_up_and_then_at_once() -> None:
    """6.8.3, and the trap: a first packet in the new state that waits for the slow interval comes too late."""
    made = session()
    sent = []
    now = 0.0
    while now < 10:
        made.advance(now)
        sent += [now] * len(made.take())
        now = made.deadline()
    assert sent[0] == 0.0
    assert all(0.75 <= later - earlier <= 1.0 for earlier, later in pairwise(sent))
    made.receive(packet(INIT), now)
    (first,) = made.take()
    assert (first.state, first.poll, first.desired_min_tx_us) == (UP, True, 100_000)
    assert made.deadline() <= now + 0.1


@pytest.mark.parametrize(("multiplier", "most"), [(1, 0.9), (3, 1.0)])
def test_jitter(multiplier: int, most: float) -> None:
    """6.8.7"""
    made = Session(BfdTimes(100, multiplier), OURS, random.Random(5), 0.0)
    made.receive(packet(INIT, required_min_rx_us=1), 0.0)
    sent, now = [], 0.0
    for _ in range(2000):
        made.receive(packet(UP), now)
        made.advance(now)
        sent += [now] * len(made.take())
        now = made.deadline()
    gaps = [(later - earlier) / 0.1 for earlier, later in pairwise(sent)]
    assert 0.7499 <= min(gaps) < 0.76
    assert most - 0.01 < max(gaps) <= most + 0.0001


def test_they_may_ask_for_less_often_and_for_nothing() -> None:
    made = brought_to(UP)
    made.receive(packet(UP, required_min_rx_us=1_000_000, desired_min_tx_us=2_000_000), 0.01)
    made.advance(0.7)
    assert made.take() == []
    made.receive(packet(UP, required_min_rx_us=0, desired_min_tx_us=2_000_000), 0.7)
    made.advance(5.0)
    assert made.take() == []
    made.receive(packet(UP), 5.1)
    made.advance(5.1)
    assert len(made.take()) == 1


def test_a_poll_is_answered_at_once() -> None:
    made = brought_to(UP)
    made.receive(packet(UP, poll=True), 0.01)
    (answer,) = made.take()
    assert (answer.final, answer.poll) == (True, False)


def test_polls_pile_up_nothing() -> None:
    made = brought_to(UP)
    for index in range(1000):
        made.receive(packet(DOWN if index % 2 else INIT, poll=True), 0.01)
    assert len(made.take()) <= 2


def test_our_poll_sequence() -> None:
    """6.5: each packet asks until one answers."""
    made = brought_to(UP)
    for now in (0.1, 0.2):
        made.receive(packet(UP), now)
        made.advance(now)
        assert [each.poll for each in made.take()] == [True]
    made.receive(packet(UP, final=True), 0.25)
    made.advance(0.35)
    assert [each.poll for each in made.take()] == [False]


def test_a_poll_sequence_outlives_a_change_of_state() -> None:
    made = brought_to(UP)
    made.receive(packet(DOWN), 0.1)
    made.take()
    made.receive(packet(DOWN), 0.2)
    (told,) = made.take()
    assert (told.state, told.poll, told.desired_min_tx_us) == (INIT, True, 1_000_000)


def test_demand_mode_of_the_other_side() -> None:
    """6.6: nothing is sent while both are up, but what we ask ourselves, and answers."""
    made = brought_to(UP)
    made.receive(packet(UP, demand=True), 0.05)
    made.advance(0.1)
    assert [each.poll for each in made.take()] == [True]
    made.receive(packet(UP, demand=True, final=True), 0.15)
    made.advance(0.3)
    assert made.take() == []
    made.receive(packet(UP, demand=True, poll=True), 0.35)
    assert [each.final for each in made.take()] == [True]


def test_leaving() -> None:
    made = brought_to(UP)
    made.leave(0.1)
    (told,) = made.take()
    assert (told.state, told.diagnostic) == (ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN)
    made.leave(0.2)
    made.receive(packet(UP, poll=True), 0.2)
    assert made.take() == [], "6.8.6: what comes is discarded"
    made.receive(packet(DOWN), 0.3)
    assert made.remote_state == DOWN


def test_nothing_was_heard_for_ever() -> None:
    made = session()
    made.receive(packet(DOWN, required_min_rx_us=0), 0.0)
    made.advance(0.3)
    assert made.deadline() < math.inf, "who fell silent may come back as another, who wants packets"


# --- two of them -------------------------------------------------------------------------------------------


class Wire:
    """Two sessions, and packets that take a while, unless they are lost."""

    def __init__(self, a: BfdTimes, b: BfdTimes, delay_s: float, seed: int, loss: float = 0.0) -> None:
        self._rng = random.Random(seed)
        self.ends = (Session(a, 1, random.Random(seed + 1), 0.0), Session(b, 2, random.Random(seed + 2), 0.0))
        self.now, self.delay_s, self.loss = 0.0, delay_s, loss
        self.cut = [False, False]  # to which end nothing comes
        self._flying: list[tuple[float, int, bytes]] = []
        self.changes: list[tuple[float, int, State]] = []
        self.packets = 0

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            self._flush()
            due = min([each.deadline() for each in self.ends] + [at for at, _, _ in self._flying])
            if due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            landed = [each for each in self._flying if each[0] <= self.now]
            self._flying = [each for each in self._flying if each[0] > self.now]
            for _, target, data in landed:
                if not self.cut[target]:
                    self._watch(target, lambda one, data=data: one.receive(Packet.decode(data), self.now))
            for index in (0, 1):
                self._watch(index, lambda one: one.advance(self.now))

    def _watch(self, index: int, act) -> None:  # type: ignore[no-untyped-def]
        before = self.ends[index].state
        act(self.ends[index])
        if self.ends[index].state != before:
            self.changes.append((self.now, index, self.ends[index].state))

    def _flush(self) -> None:
        for index, one in enumerate(self.ends):
            for each in one.take():
                self.packets += 1
                if self._rng.random() >= self.loss:
                    self._flying.append((self.now + self.delay_s, 1 - index, each.encode()))

    def states(self) -> tuple[State, State]:
        return self.ends[0].state, self.ends[1].state


TIMES = st.builds(BfdTimes, st.sampled_from([10, 50, 100, 300, 1000, 2000]), st.integers(2, 5))


@given(TIMES, TIMES, st.sampled_from([0.0001, 0.002]), st.integers(0, 10_000))
def test_two_come_up_and_stay(a: BfdTimes, b: BfdTimes, delay_s: float, seed: int) -> None:
    wire = Wire(a, b, delay_s, seed)
    wire.run(10)
    assert wire.states() == (UP, UP)
    count = len(wire.changes)
    wire.run(30)
    assert len(wire.changes) == count
    assert all(not each._polling for each in wire.ends), "both poll sequences came to their end"


@given(TIMES, TIMES, st.integers(0, 10_000), st.integers(0, 1))
def test_one_hears_nothing_any_more(a: BfdTimes, b: BfdTimes, seed: int, deaf: int) -> None:
    """Both go down within the detection time: who is deaf by its clock, the other by being told."""
    wire = Wire(a, b, 0.001, seed)
    wire.run(20)
    assert wire.states() == (UP, UP)
    wire.cut[deaf] = True
    wire.changes.clear()
    wire.run(wire.ends[deaf].detection_s + 0.003)
    assert [state for _, _, state in wire.changes[:2]] == [DOWN, DOWN]
    wire.cut[deaf] = False
    wire.run(20)
    assert wire.states() == (UP, UP)


@given(st.integers(0, 10_000))
def test_lossy_wires_come_up_too(seed: int) -> None:
    wire = Wire(BfdTimes(100, 5), BfdTimes(100, 5), 0.001, seed, loss=0.2)
    ups = 0
    for _ in range(60):
        wire.run(1)
        ups += wire.states() == (UP, UP)
    assert ups >= 30


def test_how_many_packets_a_session_takes() -> None:
    wire = Wire(BfdTimes(100, 3), BfdTimes(100, 3), 0.001, 3)
    wire.run(10)
    wire.packets = 0
    wire.run(100)
    assert 2 * 1000 <= wire.packets <= 2 * 1334


PACKETS = st.builds(
    Packet,
    st.sampled_from(State),
    st.integers(1, 3),
    st.just(OURS),
    st.integers(1, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    poll=st.booleans(),
    final=st.booleans(),
    demand=st.booleans(),
)


@given(st.lists(st.tuples(st.floats(0, 2), st.none() | PACKETS), max_size=60))
def test_whatever_comes(steps: list[tuple[float, Packet | None]]) -> None:
    """Bounded answers, no deadline in the past, and nothing changes between deadlines."""
    made, now = session(), 0.0
    made.advance(now)
    for wait, each in steps:
        end = now + wait
        while made.deadline() <= end:
            assert made.deadline() >= now
            now = made.deadline()
            made.advance(now)
            assert made.deadline() > now
            made.take()
        before = made.state
        made.advance((now + min(made.deadline(), end)) / 2)
        assert made.state == before
        now = end
        if each is not None:
            made.receive(each, now)
            assert len(made.take()) <= 2
            made.advance(now)
