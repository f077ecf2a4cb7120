"""Whole runs, with tools that print what is in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from edged.bench.run import Plan, run
from edged.bench.target import parse_target
from edged.errors import BenchFailed, BenchToolMissing
from tests.bench.tools import CAT, STAYS, client

ANYCAST = parse_target("anycast", "http://203.0.113.10/")
REGION = parse_target("ams", "http://198.51.100.1/")
HTTPING = f'case "$*" in *-c*) {CAT}httping-answered.txt;; *) {CAT}httping-cut.txt; {STAYS};; esac'


def before_and_after(folder: Path) -> str:
    """Two ways for the anycast address: the second once the event has happened."""
    return (
        f'case "$*" in *203.*) [ -e {folder}/event ] && {{ {CAT}mtr-ipv6.json; exit; }};; esac; {CAT}mtr-answered.json'
    )


def plan(folder: Path, **changes: object) -> Plan:
    clients = tuple(client(folder, name, httping=HTTPING, mtr=before_and_after(folder)) for name in ("edi", "lax"))
    return Plan(**{"clients": clients, "anycast": ANYCAST, "regions": (REGION,), "lead_s": 0, "settle_s": 0} | changes)  # type: ignore[arg-type]


async def test_without_an_event(tmp_path: Path) -> None:
    said: list[str] = []
    report = await run(plan(tmp_path), said.append)
    assert [(each.client, each.target) for each in report.comparisons] == [
        ("edi", "anycast"), ("edi", "ams"), ("lax", "anycast"), ("lax", "ams"),
    ]  # fmt: skip
    assert {each.before.httping.answered for each in report.comparisons} == {5}
    assert {(each.after, each.ratio, each.path_changed) for each in report.comparisons} == {(None, None, None)}
    assert report.series == ()
    assert sorted(said) == ["edi -> ams", "edi -> anycast", "lax -> ams", "lax -> anycast"]


async def test_before_and_after_an_event(tmp_path: Path) -> None:
    event, undo = tmp_path / "event", tmp_path / "undo"
    said: list[str] = []
    report = await run(
        plan(
            tmp_path,
            event=("touch", str(event)),
            undo=("mv", str(event), str(undo)),
            event_text="the lights go out",
            undo_text="on again",
        ),
        said.append,
    )
    assert {(each.target, each.path_changed) for each in report.comparisons} == {("anycast", True), ("ams", False)}
    assert {each.ratio for each in report.comparisons} == {1.0}
    assert [series.client for series in report.series] == ["edi", "lax"]
    assert report.event_s is not None
    assert report.undo_s is not None
    assert report.undo_s >= report.event_s
    assert undo.exists()
    assert "the event: the lights go out" in said
    assert said[-1] == "the undo: on again"
    shape = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert shape["event"] == "the lights go out"
    assert shape["comparisons"][0]["after"]["mtr"]["hops"][0]["host"] == "fd00:1::2"
    assert set(shape["series"][0]) == {"client", "failed", "longest_gap_s", "samples"}


async def test_the_event_is_undone_if_it_fails(tmp_path: Path) -> None:
    undo = tmp_path / "undone"
    with pytest.raises(BenchFailed, match="the event ended with 1"):
        await run(plan(tmp_path, event=("false",), undo=("touch", str(undo))), lambda text: None)
    assert undo.exists()


async def test_the_event_is_undone_if_the_run_is_cancelled(tmp_path: Path) -> None:
    undo = tmp_path / "undone"
    with trio.CancelScope() as scope:

        def cancel(text: str) -> None:
            if text.endswith(", after"):
                scope.cancel()

        await run(plan(tmp_path, event=("true",), undo=("touch", str(undo))), cancel)
    assert scope.cancelled_caught
    assert undo.exists()


async def test_nothing_is_measured_without_tools(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(BenchToolMissing):
        await run(plan(tmp_path, clients=(client(tmp_path, "bare"),), event=("true",)), said.append)
    assert said == []
