"""What a node says of itself: numbered so that it counts, whatever others took for its word before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from trio.testing import MockClock

from edged.fleet.board import Board
from edged.limits import REPORT_AGE_S_MAX
from edged.node.own_report import OwnReport
from edged.node.pool_state import PoolStatistics
from registry.chunk_store import StoreStatistics
from tests.fleet import kit


def own_report(folder: Path, incarnation: int, outdone: Callable[[], int]) -> OwnReport:
    return OwnReport(
        identity=kit.identity("n1"),
        state=kit.state(folder),
        region=lambda: "eu",
        version="0.1",
        incarnation=incarnation,
        apps=dict,
        app_alarms=tuple,
        pool=lambda: PoolStatistics(1, 1, 0, 0, 0, None),
        traffic=dict,
        storage=lambda: StoreStatistics(0, 0, 0, 0, 0, 0),
        anycast=lambda: None,
        outdone=outdone,
    )


@pytest.mark.parametrize(("outdone", "incarnation"), [(0, 7), (6, 7), (7, 8), (2**31, 2**31 + 1)])
async def test_a_report_is_above_what_others_take_for_this_nodes(
    tmp_path: Path, mock_clock: MockClock, outdone: int, incarnation: int
) -> None:
    """From then on: it goes up and never down, and so does the count of reports."""
    heard = 0
    report = own_report(tmp_path, 7, lambda: heard)
    first = report.make()
    assert (first.incarnation, first.beat) == (7, 1)
    heard = outdone
    mock_clock.jump(2 * REPORT_AGE_S_MAX)
    second = report.make()
    assert (second.incarnation, second.beat) == (incarnation, 2)


async def test_a_node_whose_clock_was_ahead_when_it_ran_before_is_heard(tmp_path: Path, mock_clock: MockClock) -> None:
    names = {"n1", "n2"}
    here, there = (Board(name, names.__contains__, 0.0) for name in ("n1", "n2"))
    before = own_report(tmp_path / "before", 2_000, lambda: 0)
    for _ in range(3):
        mock_clock.jump(2 * REPORT_AGE_S_MAX)
        there.merge([before.make()], "n1", 0.0)
    report = own_report(tmp_path / "now", 1_000, lambda: here.outdone)
    here.put(report.make(), 1.0)
    assert there.merge(here.all(), "n1", 1.0) == []
    here.merge(there.all(), "n2", 2.0)
    mock_clock.jump(2 * REPORT_AGE_S_MAX)
    here.put(report.make(), 3.0)
    assert there.merge(here.all(), "n1", 3.0) == ["n1"]
