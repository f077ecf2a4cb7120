"""What benchmarks.anycast makes of what it saw. Needs no lab."""

from __future__ import annotations

import pytest

from benchmarks.anycast.cases import BFD, CASES, CRASH, DRAINED, KEPT_ALL_ANSWERED, WITHDRAWN, Case, Goal
from benchmarks.anycast.route_watch import Change, parse
from benchmarks.anycast.table import rows, to_markdown
from benchmarks.anycast.trial import Trial
from tests.lab.client import Failure
from tests.lab.failover import Failover

NEAR, FAR = "c-ams", "c-edi"


def seen(
    elsewhere_s: float | None = 0.3, *, slow: int = 0, before_ms: float = 20.0, after_ms: float = 200.0, **failures: int
) -> Failover:
    return Failover(elsewhere_s, 0.1, 300, failures, slow, 0.0, before_ms, after_ms, "dal")


def trial(near: Failover, far: Failover, *, gone_s: float | None = 0.01, changes: int = 3) -> Trial:
    failed_at: dict[str, list[tuple[float, Failure]]] = {NEAR: [], FAR: []}
    return Trial("case", {NEAR: near, FAR: far}, gone_s, 2.0, changes, failed_at, load=1.0)


@pytest.mark.parametrize(
    ("goal", "one", "met"),
    [
        (CRASH, trial(seen(0.3), seen(0.699)), True),
        (CRASH, trial(seen(0.3), seen(0.7)), False),  # 0.6 s and a round trip of 0.1 s
        (CRASH, trial(seen(0.3), seen(None)), False),
        (BFD, trial(seen(0.999), seen(0.3)), True),
        (BFD, trial(seen(1.0), seen(0.3)), False),
        # On the wire: 50 requests a second, each for 20 ms near and 80 ms far.
        (DRAINED, trial(seen(reset=1), seen(before_ms=80, reset=4)), True),
        (DRAINED, trial(seen(reset=2), seen(before_ms=80, reset=4)), False),
        (DRAINED, trial(seen(), seen(before_ms=80, reset=5)), False),
        (DRAINED, trial(seen(), seen(timeout=1)), False),
        (WITHDRAWN, trial(seen(), seen(), gone_s=1.999), True),
        (WITHDRAWN, trial(seen(), seen(), gone_s=2.0), False),
        (WITHDRAWN, trial(seen(), seen(), gone_s=None), False),
        (KEPT_ALL_ANSWERED, trial(seen(), seen(), changes=0), True),
        (KEPT_ALL_ANSWERED, trial(seen(), seen(), changes=1), False),
        (KEPT_ALL_ANSWERED, trial(seen(), seen(reset=1), changes=0), False),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal, one: Trial, met: bool) -> None:
    assert goal[1](one) is met


def test_a_table_says_median_worst_and_how_often_there_was_none() -> None:
    case = Case("case", "something", CRASH, lambda _stage: 0.0)
    trials = [
        trial(seen(0.25, reset=1), seen(0.5)),
        trial(seen(0.5, reset=2, timeout=1), seen(None, slow=3), gone_s=None),
        trial(seen(0.75), seen(0.5)),
    ]
    (row,) = rows(case, trials)
    assert to_markdown([row]).splitlines()[-1] == (
        "| something | 0.50 (0.75) / 0.50, 1 never | 1 (3) / 0 | 3 reset, 1 timeout | 0 / 0 (3) | 0.010, 1 never | 2.0 "
        "| first from elsewhere < 0.6 s + RTT: 1 of 3 |"
    )
    assert list(rows(case, [])) == []


def test_each_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (
            "203.0.113.10 via 10.0.0.5 dev to-ams-1 proto bird metric 32 \\ \n",
            Change(1.0, "203.0.113.10/32", "ams-1"),
        ),
        ("Deleted 203.0.113.10 via 10.0.0.5 dev to-ams-1 proto bird metric 32 \n", Change(1.0, "203.0.113.10/32", "")),
        (
            "2001:db8:a::10 via fd00::2 dev to-nyc proto bird metric 32 pref medium \n",
            Change(1.0, "2001:db8:a::10/128", "nyc"),
        ),
        ("203.0.113.0/24 dev to-nyc proto bird \n", Change(1.0, "203.0.113.0/24", "nyc")),
        ("local 10.255.0.8 dev lo table local proto kernel scope host src 10.255.0.8 \n", None),
        ("unreachable 203.0.113.10 proto bird metric 32 \n", None),
        ("Deleted\n", None),
        ("\n", None),
    ],
)
def test_a_line_of_the_kernel(line: str, change: Change | None) -> None:
    assert parse(line, 1.0) == change
