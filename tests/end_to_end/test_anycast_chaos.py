"""A short chaos, of which benchmarks/anycast has a long one: real nodes and routers, the same strikes each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.anycast.chaos import Chaos, hogs
from benchmarks.anycast.chaos_plan import LASTS_S, Strike, plan
from tests.anycast_net import anycast_internet
from tests.lab.anycast import may_run
from tests.lab.internet import Internet

TWO_REGIONS = Path(__file__).parents[1] / "lab" / "two-regions.toml"
NODE = "ams-1"


def test_a_seed_is_a_plan() -> None:
    assert plan(1, 600, ["a", "b"], 3.0) == plan(1, 600, ["a", "b"], 3.0) != plan(2, 600, ["a", "b"], 3.0)
    strikes = plan(1, 600, ["a", "b"], 3.0)
    assert {each.action for each in strikes} == set(LASTS_S)
    assert all(each.at_s <= each.until_s and each.at_s < 600 for each in strikes)


@pytest.mark.skipif(bool(may_run()), reason=may_run())
def test_nothing_is_stale(tmp_path: Path) -> None:
    """The second node keeps still, and its route with it."""
    strikes = (
        Strike(0.5, 0.5, NODE, "kill the speaker", 0),
        Strike(2.0, 2.0, NODE, "kill a worker", 0),
        Strike(4.0, 10.0, NODE, "stop the supervisor", 0),
        Strike(12.0, 12.0, NODE, "kill the supervisor", 0),
        Strike(16.0, 22.0, NODE, "cut the link", 0),
    )
    with anycast_internet(tmp_path, Internet.load(TWO_REGIONS)) as net, hogs(1):
        blind = Chaos(net, lambda _text: None)
        blind.dead(NODE, "stopped", since_s=-60.0)  # it is not, so its route is there
        blind.look()
        assert any(NODE in problem for problem in blind.problems), "it would see nothing"
        chaos = Chaos(net, lambda _text: None)
        chaos.run(strikes, 22)
        assert chaos.done.total() == len(strikes)
        assert chaos.problems == []
