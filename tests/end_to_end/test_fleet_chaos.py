"""Short forms of what benchmarks/chaos does for minutes: real nodes that are struck, the same strikes each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.kills import killed
from benchmarks.chaos.minutes import judged
from benchmarks.chaos.plan import Strike
from benchmarks.chaos.stage import APPS, may_run, staged
from benchmarks.chaos.striking import Striking

NODE, OTHER = "eu-1", "us-1"
STRIKES = (
    Strike(0.5, 0.5, NODE, "an equivocating record", 0),
    Strike(1.0, 5.0, OTHER, "cut the link", 0),
    Strike(1.5, 1.5, NODE, "kill while a record is written", 0),
    Strike(6.0, 9.0, OTHER, "a peer that sends garbage", 0),
    Strike(6.5, 9.5, OTHER, "the clock jumps ahead", 0),
    Strike(7.0, 10.0, OTHER, "fill the disk", 0),
    Strike(10.5, 10.5, OTHER, "an old record", 0),
)


def nobody(_text: str) -> None:
    return


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that leaves room for the path of a socket, 108 bytes; `tmp_path` has the name of the test in it."""
    return tmp_path_factory.mktemp("chaos")


@pytest.mark.skipif(bool(may_run()), reason=may_run())
def test_nothing_is_lost_and_all_come_together(short: Path) -> None:
    """What fails is what was with a node that was killed; afterwards all have and run the same."""
    with staged(short, nodes={NODE: "eu", OTHER: "us"}, workers=1) as stage:
        stage.fleet.push(stage.app(APPS[0])[1])  # so that there is an old record
        striking = Striking(stage, nobody)
        found = judged(striking, STRIKES, 12, rate=10)
        said = striking.said_by_attackers()
    assert found["problems"] == []
    assert found["converged_s"] is not None
    assert found["records_lost"] == 0 < found["published"]
    assert set(found["failures"]) <= {"kill while a record is written"}
    assert found["requests"] > 0
    assert found["strikes"] == {each.action: 1 for each in STRIKES}
    assert [set(each.values()) for each in said if each["what"] == "old"] == [{"old", "fleet.record-stale"}]


def test_a_supervisor_is_killed_again_and_again(short: Path) -> None:
    """While releases arrive: nothing on its disk is damaged, lost or older, and it starts each time."""
    found = killed(short, 3, 2, nobody)
    assert found["problems"] == []
    assert sum(found["kills"].values()) == 3
    assert found["acknowledged"] > 0
