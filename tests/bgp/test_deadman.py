from __future__ import annotations

from bgp.deadman import Deadman
from bgp.limits import DEADMAN_GRACE_S

TICK_S = 0.1  # between two turns of the child's loop


class Daemon:
    """One that says what a test has it say, to a child whose clock is the test's."""

    def __init__(self, timeout_s: float) -> None:
        self.now = 1000.0
        self.deadman = Deadman(timeout_s, lambda: self.now)

    def turn(self, after_s: float = TICK_S, *, heard: bool = False) -> bool:
        self.now += after_s
        if heard:
            self.deadman.heard()
        return self.deadman.expired()

    def silent_s(self, turn_s: float = TICK_S) -> float:
        """How long it may be silent."""
        since = self.now
        while not self.turn(turn_s):
            assert self.now < since + 100, "for ever"
        return self.now - since


def test_a_daemon_that_speaks_is_alive() -> None:
    daemon = Daemon(1.5)
    assert not any(daemon.turn(heard=number % 14 == 0) for number in range(1000))


def test_one_that_is_silent_is_not() -> None:
    assert 1.5 < Daemon(1.5).silent_s() < 1.5 + 2 * TICK_S


def test_at_the_limit_and_beyond() -> None:
    daemon = Daemon(0.25)
    assert not daemon.turn(0.25)
    assert daemon.turn(0.001)


def test_after_a_pause_of_the_machine_its_word_is_waited_for() -> None:
    daemon = Daemon(1.5)
    assert not daemon.turn(3600.0)
    assert not daemon.turn(heard=True)
    assert 1.5 < daemon.silent_s() < 1.5 + 2 * TICK_S


def test_after_a_pause_of_the_machine_a_dead_daemon_is_noticed() -> None:
    daemon = Daemon(1.5)
    assert not daemon.turn(3600.0)
    assert daemon.silent_s() < DEADMAN_GRACE_S + 2 * TICK_S


def test_a_child_that_hardly_runs_leaves_all_the_same() -> None:
    daemon = Daemon(1.5)
    turns_s = 4 * DEADMAN_GRACE_S
    assert daemon.silent_s(turns_s) <= 2 * turns_s
