"""Who hangs: answered by nobody for long enough, and not by our own lateness."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest

from edged.anycast.probe import Probe, Round, Target
from edged.anycast.silence import Silence
from edged.limits import CANARY_LAG_S_MAX, CANARY_SILENT_COUNT, HUNG_ALONE_S_MAX, HUNG_NEW_S_MAX, HUNG_S_MAX

TARGETS = tuple(Target(ip_address(text), 80) for text in ("203.0.113.10", "2001:db8::10"))
PIDS = {0: 100, 1: 101}


def round_of(silent: Iterable[int] = (), *, lag_s: float = 0.0, workers: Iterable[int] = PIDS) -> Round:
    quiet = set(silent)
    probes = (Probe(each, target, each not in quiet, 0.5, "", each in quiet) for target in TARGETS for each in workers)
    return Round(tuple(probes), lag_s)


class Watch:
    """Rounds, each some time after the one before."""

    def __init__(self) -> None:
        self.silence = Silence()
        self.now = 1000.0
        self.round()

    def round(self, *silent: int, after_s: float = 0.1, lag_s: float = 0.0, pids: dict[int, int] = PIDS) -> list[int]:
        self.now += after_s
        return self.silence.hung(round_of(silent, lag_s=lag_s), pids, self.now)


@pytest.mark.parametrize(("after_s", "hung"), [(HUNG_S_MAX, [1]), (HUNG_S_MAX - 0.01, [])])
def test_so_long_beside_one_that_answers(after_s: float, hung: list[int]) -> None:
    watch = Watch()
    for _ in range(CANARY_SILENT_COUNT - 1):
        assert watch.round(1, after_s=0.0) == []
    assert watch.round(1, after_s=after_s) == hung


@pytest.mark.parametrize(("count", "hung"), [(CANARY_SILENT_COUNT, [1]), (CANARY_SILENT_COUNT - 1, [])])
def test_so_often(count: int, hung: list[int]) -> None:
    watch = Watch()
    for _ in range(count - 1):
        assert watch.round(1, after_s=0.0) == []
    assert watch.round(1, after_s=10 * HUNG_S_MAX) == hung


@pytest.mark.parametrize(("after_s", "hung"), [(HUNG_ALONE_S_MAX, [0, 1]), (HUNG_ALONE_S_MAX - 0.01, [])])
def test_all_of_them_are_given_more_time(after_s: float, hung: list[int]) -> None:
    watch = Watch()
    for _ in range(CANARY_SILENT_COUNT - 1):
        assert watch.round(0, 1, after_s=0.0) == []
    assert watch.round(0, 1, after_s=after_s) == hung


@pytest.mark.parametrize(("after_s", "hung"), [(HUNG_NEW_S_MAX, [0, 1]), (HUNG_NEW_S_MAX - 0.01, [])])
def test_those_that_never_answered_are_given_most(after_s: float, hung: list[int]) -> None:
    watch = Watch()
    successors = {0: 200, 1: 201}
    for _ in range(CANARY_SILENT_COUNT):
        assert watch.round(0, 1, after_s=0.0, pids=successors) == []
    assert watch.round(0, 1, after_s=after_s, pids=successors) == hung


def test_an_answer_begins_anew() -> None:
    watch = Watch()
    for _ in range(20):
        assert watch.round(1, after_s=HUNG_S_MAX / 2) == []
        assert watch.round(after_s=HUNG_S_MAX / 2) == []


@pytest.mark.parametrize(("lag_s", "hung"), [(CANARY_LAG_S_MAX, [1]), (CANARY_LAG_S_MAX + 0.01, [])])
def test_what_we_were_too_late_to_read_is_nobodys_fault(lag_s: float, hung: list[int]) -> None:
    watch = Watch()
    found = [watch.round(1, after_s=1.0, lag_s=lag_s) for _ in range(CANARY_SILENT_COUNT)]
    assert found[-1] == hung


def test_a_new_process_has_all_the_time_again() -> None:
    watch = Watch()
    successor = {0: 100, 1: 201}
    for _ in range(CANARY_SILENT_COUNT):
        watch.round(1)
    assert watch.round(1, after_s=HUNG_S_MAX, pids=successor) == []
    assert watch.round(1, pids=successor) == []


def test_one_that_does_not_accept_yet_is_not_hung() -> None:
    watch = Watch()
    for _ in range(10):
        assert watch.round(1, after_s=HUNG_S_MAX, pids={0: 100}) == []


def test_one_target_that_answers_is_enough() -> None:
    watch = Watch()
    half = tuple(Probe(1, target, index == 0, 0.5, "", silent=index > 0) for index, target in enumerate(TARGETS))
    for _ in range(10):
        watch.now += HUNG_S_MAX
        assert watch.silence.hung(Round(half, 0.0), {1: 101}, watch.now) == []


def test_it_is_named_again_only_after_as_long() -> None:
    """Should it live on, whatever was done to it."""
    watch = Watch()
    named = [round_ for round_ in range(1, 40) if watch.round(1, after_s=HUNG_S_MAX / 4)]
    assert named == [4, 9, 14, 19, 24, 29, 34, 39]
