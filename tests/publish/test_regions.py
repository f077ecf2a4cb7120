"""Regions: what nodes say, folded."""

from __future__ import annotations

import pytest

from edged.publish.regions import NodeProgress, Regions


def regions() -> Regions:
    return Regions({"eu": ["a", "b"], "us": ["c"]})


def test_waiting_until_somebody_speaks() -> None:
    board = regions()
    assert board.stages() == {"eu": "waiting", "us": "waiting"}
    assert [event.region for event in board.changes()] == ["eu", "us"]
    assert board.changes() == []
    assert not board.is_settled


def test_a_region_is_as_far_as_its_last_node() -> None:
    board = regions()
    board.update(NodeProgress("eu", "a", "live"))
    changed = board.update(NodeProgress("eu", "b", "fetch", 5, 10, 3))
    assert changed is not None
    assert (changed.stage, changed.nodes_live, changed.nodes_total) == ("fetch", 1, 2)
    assert (changed.bytes_done, changed.bytes_total, changed.bytes_saved) == (5, 10, 3)
    assert board.update(NodeProgress("eu", "b", "fetch", 5, 10, 3)) is None
    board.update(NodeProgress("eu", "b", "live"))
    assert board.stages()["eu"] == "live"
    assert not board.is_settled
    board.update(NodeProgress("us", "c", "live"))
    assert board.is_settled
    assert board.failed() == []


@pytest.mark.parametrize("stage", ["failed", "reverted"])
def test_one_failure_is_the_region_s(stage: str) -> None:
    board = regions()
    board.update(NodeProgress("eu", "a", "live"))
    board.update(NodeProgress("eu", "b", stage, error="why"))
    board.update(NodeProgress("us", "c", "live"))
    assert board.stages()["eu"] == stage
    assert board.failed() == ["eu"]
    assert board.reasons() == {"why": ["eu/b"]}
    assert board.is_settled


def test_a_reason_is_told_once_with_the_places_that_it_is_about() -> None:
    board = Regions({"eu": ["a", "b"], "us": ["c"], "asia": ["d", "e"]})
    for region, node in (("eu", "a"), ("us", "c"), ("asia", "d")):
        board.update(NodeProgress(region, node, "failed", error="why"))
    changed = board.update(NodeProgress("eu", "b", "reverted", error="why"))
    assert changed is not None
    assert changed.error == "a, b: why"
    changed = board.update(NodeProgress("asia", "e", "failed", error="another"))
    assert changed is not None
    assert changed.error == "d: why; e: another"
    assert board.reasons() == {"why": ["eu", "us", "asia/d"], "another": ["asia/e"]}


def test_a_silent_node_holds_up_nobody_but_a_silent_region_is_not_live() -> None:
    board = regions()
    board.update(NodeProgress("eu", "a", "live"))
    changed = board.update(NodeProgress("eu", "b", "silent"))
    assert changed is not None
    assert (changed.stage, changed.nodes_silent) == ("live", 1)
    board.update(NodeProgress("us", "c", "silent"))
    assert board.stages() == {"eu": "live", "us": "silent"}
    assert board.is_settled


def test_overtaken_and_a_live_one_that_goes_back() -> None:
    board = regions()
    board.update(NodeProgress("eu", "a", "live"))
    board.update(NodeProgress("eu", "a", "reverted", error="crashed"))
    assert board.stages()["eu"] == "reverted"
    board.update(NodeProgress("us", "c", "superseded"))
    assert board.is_superseded


def test_strangers() -> None:
    board = regions()
    assert board.update(NodeProgress("mars", "x", "live")) is None
    assert board.update(NodeProgress("us", "new", "an unheard of stage")) is not None
    board.update(NodeProgress("us", "c", "live"))
    assert board.stages()["us"] == "an unheard of stage"
    assert not board.is_settled


def test_a_region_without_nodes() -> None:
    board = Regions({"eu": []})
    assert board.stages() == {"eu": "silent"}
    assert board.is_settled


def test_which_wave_a_region_is_of() -> None:
    found = Regions({"eu": ["a"], "us": ["b"], "ap": ["c"]}, (("us",), ("eu", "ap")))
    assert {event.region: event.wave for event in found.changes()} == {"us": 1, "eu": 2, "ap": 2}


def test_what_is_held_has_no_reason_of_its_own() -> None:
    found = Regions({"eu": ["a"], "us": ["b"]}, (("eu",), ("us",)))
    found.update(NodeProgress("us", "b", "held", error="eu/a failed: bad"))
    assert not found.is_settled
    assert (found.held(), found.reasons()) == (["us"], {"eu/a failed: bad": ["us"]})
    found.update(NodeProgress("eu", "a", "failed", error="bad"))
    assert (found.is_settled, found.held(), found.failed()) == (True, ["us"], ["eu", "us"])
    assert found.reasons() == {"bad": ["eu"]}


def test_a_removed_app() -> None:
    found = Regions({"eu": ["a", "b"]})
    found.update(NodeProgress("eu", "a", "removed"))
    assert (found.stages(), found.is_settled) == ({"eu": "waiting"}, False)
    event = found.update(NodeProgress("eu", "b", "removed"))
    assert event is not None
    assert (event.stage, event.nodes_live, found.is_settled) == ("removed", 2, True)
