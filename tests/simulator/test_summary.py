"""The table at the end of many seeds."""

from __future__ import annotations

import pytest

from tests.simulator.invariants import Broken
from tests.simulator.runs import Ran
from tests.simulator.scenario import Result
from tests.simulator.summary import table


def ran(seed: int, *, cpu_s: float, converged_s: float = 0.0, broken: Broken | None = None, **faults: int) -> Ran:
    result = Result(seed, 3, broken, "", 2, converged_s, 50.0, 1_000_000, faults, {})
    return Ran(seed, "small", result, "" if broken is None else str(broken), cpu_s)


def test_it_says_what_befell_seeds_and_what_they_took() -> None:
    runs = [
        ran(0, cpu_s=0.5, converged_s=4, kill=2, slow=1),
        ran(1, cpu_s=1.5, converged_s=10, kill=1),
        ran(2, cpu_s=1.0, broken=Broken("2", "it went back", 3.0), kill=3),
    ]
    assert table(runs).splitlines() == [
        "what befell them            times    seeds   failed",
        "kill                            6        3        1",
        "slow                            1        1        0",
        "",
        "seeds                   3, 1 failed",
        "nodes                   9",
        "changes acknowledged    6",
        "bytes sent              3.0 MB",
        "virtual time            150 s, 50 for each of a processor",
        "processor, each seed    1.00 s; half within 1.00 s, nine in ten within 1.50 s, all within 1.50 s",
        "well after last fault   half within 4 s, nine in ten within 10 s, all within 10 s",
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_runs_that_ended_by_an_exception_count_as_seeds(count: int) -> None:
    lines = table([Ran(seed, "small", None, "a traceback", 0.1) for seed in range(count)]).splitlines()
    assert f"seeds                   {count}, {count} failed" in lines
    assert "well after last fault   never" in lines
