"""When a node has what the fleet wants of it, so that it may announce."""

from __future__ import annotations

import pytest

from edged.fleet.report import STAGES, AppReport, Stage
from edged.node.announcing import is_settled

SETTLED = {"live", "failed", "reverted", "held", "idle"}


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_under_way_is_waited_for(stage: Stage) -> None:
    assert is_settled({"shop": AppReport(desired=1, stage=stage)}) == (stage in SETTLED)
    others = {"shop": AppReport(desired=1, stage=stage), "blog": AppReport(desired=1, stage="fetch")}
    assert not is_settled(others)


@pytest.mark.parametrize(("running", "settled"), [(0, False), (1, True)])
def test_a_release_that_waits_for_other_regions_keeps_no_node_from_traffic(running: int, *, settled: bool) -> None:
    """That may take days."""
    assert is_settled({"shop": AppReport(desired=2, running=running, stage="waiting")}) == settled


def test_no_app_is_all() -> None:
    assert is_settled({})
