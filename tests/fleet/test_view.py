"""`View`: what follows from all records; a newer deployment changes nothing of whom is trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edged.fleet.view import View
from tests.fleet import kit


def test_a_newer_deployment_keeps_who_is_trusted_and_nothing_else(tmp_path: Path) -> None:
    state = kit.state(tmp_path)
    state.accept(kit.signed(), kit.NOW)
    former = state.view
    names = former.node_names
    state.accept(kit.signed(sequence=2), kit.NOW)
    view = state.view
    afresh = View(view.records, view.roster)
    assert view.anchors is former.anchors
    assert (view.anchors, view.nodes) == (afresh.anchors, afresh.nodes)
    assert view.keyring is former.keyring
    assert view.node_names is names
    assert names == {node.name for node in afresh.nodes}
    assert view.deployments["shop"].sequence == 2
    assert view.heads == afresh.heads
    assert view.heads_hash == afresh.heads_hash != former.heads_hash
    assert former.deployments["shop"].sequence == 1


def test_a_new_roster_changes_who_is_trusted(tmp_path: Path) -> None:
    state = kit.state(tmp_path)
    state.accept(kit.signed(), kit.NOW)
    former = state.view
    assert "n2" in former.node_names
    held = state.roster
    assert held is not None
    roster = replace(held, version=2, previous=held.digest, nodes=(kit.node("n1"),))
    assert state.accept(roster.seal([kit.root()]), kit.NOW).kind == "accepted"
    assert [node.name for node in state.view.nodes] == ["n1"]
    assert state.view.node_names == {"n1"}
    assert len(state.view.anchors.nodes) == 1 < len(former.anchors.nodes)
