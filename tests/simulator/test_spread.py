"""The model of how news spread: it is what it says, and what large fleets do is at least as good as a link to each."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest

from edged.fleet.frame import encode_frame
from edged.limits import LINK_CHOSEN_COUNT, REPORT_UP_S
from tests.simulator.spread import MESH, Design, Fleet, RecordSpread, ReportSpread, record_spread, report_spread

LARGE = Design("large", kept_max=40)
NODES = 60


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ReportSpread]:
    """Of one fleet, both ways."""
    folder = tmp_path_factory.mktemp("reports")
    return {each.name: report_spread(NODES, each, 1, folder / each.name, apps=5) for each in (MESH, LARGE)}


@cache
def records(folder: Path, count: int, design: Design, seed: int) -> RecordSpread:
    return record_spread(count, design, seed, folder / f"{design.name} {seed}", apps=3)


def test_messages_are_as_long_as_frames(tmp_path: Path) -> None:
    fleet = Fleet(3, MESH, 1, tmp_path / "node", apps=1)
    one, two = fleet.places[:2]
    args = {"hash": one.state.heads_hash()}
    one._compare(two)
    fleet.run_until(1.0)
    answer = {"hash": args["hash"], "buckets": []}
    frames = [encode_frame({"id": 1_000, "call": "heads", "args": args}), encode_frame({"id": 1_000, "ok": answer})]
    assert fleet.bytes == {"heads": sum(map(len, frames))}


def test_the_same_seed_gives_the_same_and_another_does_not(tmp_path: Path) -> None:
    first = records(tmp_path, 10, MESH, 1)
    records.cache_clear()
    assert records(tmp_path / "again", 10, MESH, 1) == first
    assert records(tmp_path, 10, MESH, 2) != first


@pytest.mark.parametrize("count", [3, 10, NODES])
def test_a_record_comes_everywhere(tmp_path: Path, count: int) -> None:
    found = records(tmp_path, count, LARGE, 1)
    assert 0 < found.half_s <= found.most_s <= found.all_s < math.inf
    assert found.bytes_per_node > found.record_bytes
    assert found.links == (count - 1 if count <= LARGE.kept_max else LINK_CHOSEN_COUNT)


def test_reports_by_need_are_fewer_bytes_and_no_slower(reports: dict[str, ReportSpread]) -> None:
    by_need, to_all = reports[LARGE.name], reports[MESH.name]
    assert by_need.bytes_s < to_all.bytes_s / 3
    assert by_need.all_s < math.inf
    assert by_need.all_s <= to_all.all_s + REPORT_UP_S


def test_nobody_seems_silent_who_lives(reports: dict[str, ReportSpread]) -> None:
    """Where nodes hear of each other directly once in minutes. By reports alone, one of thousands does at times."""
    assert reports[LARGE.name].silent == 0
    assert reports[MESH.name].silent < 0.001
