"""What the benchmark of upgrades counts."""

from __future__ import annotations

from benchmarks.anycast.upgrade import Trial, to_markdown
from tests.lab.client import Answer, Failure


def answer(begun: float, failure: Failure = "") -> Answer:
    return Answer(begun, 0.1, "" if failure else "ams", failure)


def trial(*, keeps: bool, away_s: float, failures: tuple[Failure, ...] = ()) -> Trial:
    good = tuple(answer(float(each)) for each in range(10))
    return Trial("drain", keeps, (*good, *(answer(20.0, each) for each in failures)), good, away_s)


def test_failures_of_all_runs() -> None:
    trials = [
        trial(keeps=True, away_s=3.0),
        trial(keeps=False, away_s=1.0, failures=("reset",)),
        trial(keeps=False, away_s=2.0, failures=("reset", "timeout")),
    ]
    keeps, turns = to_markdown(trials).splitlines()[2:]
    assert keeps.endswith("| keeps flows | 1 | 0 of 10 | 0 of 10 | 3.0 (3.0) |")
    assert turns.endswith("| turns all at once | 2 | 3 of 23: 2 reset, 1 timeout | 0 of 20 | 1.5 (2.0) |")


def test_as_json() -> None:
    shape = trial(keeps=False, away_s=1.0, failures=("reset",)).as_json()
    assert shape["fresh"] == {"sent": 11, "failed": {"reset": 1}, "slowest_s": 0.1}
    assert shape["kept"] == {"sent": 10, "failed": {}, "slowest_s": 0.1}
