"""A checkpoint made of what a node has, by a key that may nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edged.errors import ProtocolError, RemoteError
from edged.fleet.checkpoint import compare
from edged.fleet.deployment import Deployment
from edged.fleet.roster import Key
from edged.publish.checkpoint import make_checkpoint
from edged.publish.signer import Signer
from registry.digest import digest_of
from tests.publish.fakes import NOW, FakeClient, FakeFleet


def fleet_with_notary(folder: Path, *roles: str) -> FakeFleet:
    """Eve is the notary, by version 2 of the roster."""
    fleet = FakeFleet(folder)
    notary = Key("eve", fleet.eve.certificate, frozenset(roles))
    fleet.roster = replace(fleet.roster, version=2, keys=(fleet.roster.keys[0], notary))
    for node in fleet.nodes.values():
        assert node.state.accept(fleet.roster.seal([fleet.root]), NOW).kind == "accepted"
    deployment = Deployment("demo", "shop", 1, 7, {"eu": digest_of(b"a release")})
    assert fleet.first.state.accept(deployment.seal(fleet.ada.key), NOW).kind == "accepted"
    return fleet


def notary(fleet: FakeFleet) -> FakeClient:
    return FakeClient(fleet.first, fleet._peer(fleet.eve))


async def test_made_accepted_and_counted_up(tmp_path: Path) -> None:
    fleet = fleet_with_notary(tmp_path, "checkpoint")
    author = Signer(fleet.eve, fleet.roster)
    first = await make_checkpoint(notary(fleet).call, author, NOW, 3_600)
    view = fleet.first.state.view
    assert view.checkpoint == first
    assert (first.sequence, first.roster_version, dict(first.apps)) == (1, 2, {"shop": (1, 7)})
    verdict = compare(first, view.heads, fleet.roster.record_version, NOW)
    assert (verdict.missed, verdict.differs, verdict.expired_s) == ((), False, 0)
    assert (await make_checkpoint(notary(fleet).call, author, NOW, 3_600)).sequence == 2


async def test_a_key_without_the_role_makes_none(tmp_path: Path) -> None:
    fleet = fleet_with_notary(tmp_path, "read")
    with pytest.raises(RemoteError, match="role"):
        await make_checkpoint(notary(fleet).call, Signer(fleet.eve, fleet.roster), NOW, 3_600)
    assert fleet.first.state.view.checkpoint is None


async def test_a_node_with_another_roster_is_not_believed(tmp_path: Path) -> None:
    fleet = fleet_with_notary(tmp_path, "checkpoint")
    ahead = Signer(fleet.eve, replace(fleet.roster, version=3))
    with pytest.raises(ProtocolError, match="another roster"):
        await make_checkpoint(notary(fleet).call, ahead, NOW, 3_600)
