"""A fleet's records and releases, taken out and given back, through the calls of a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edged.bundle.cache import open_cache
from edged.errors import BackupInvalid, ProtocolError, RemoteError
from edged.fleet.backup import FleetBackup
from edged.fleet.deployment import Deployment
from edged.publish.backup import give, take
from edged.publish.backup_releases import give_release, take_release
from edged.publish.signer import Signer
from registry.digest import digest_of
from tests.publish.fakes import NOW, FakeClient, FakeFleet

RELEASE = digest_of(b"a release")


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    made = FakeFleet(tmp_path / "fleet")
    for app in ("shop", "eve-blog"):
        accept(made, app, 1)
    return made


def accept(fleet: FakeFleet, app: str, sequence: int, *, node: int = 0, **changes: Any) -> None:
    deployment = Deployment("demo", app, 1, sequence, {"eu": RELEASE}, **changes)
    state = list(fleet.nodes.values())[node].state
    assert state.accept(deployment.seal(fleet.ada.key), NOW).kind == "accepted"


def client(fleet: FakeFleet, node: int = 0, *, eve: bool = False) -> FakeClient:
    who = fleet.eve if eve else fleet.ada
    return FakeClient(list(fleet.nodes.values())[node], fleet._peer(who))


async def backup(fleet: FakeFleet) -> FleetBackup:
    return (await take(client(fleet).call, fleet.signer, NOW)).backup


async def test_all_records_are_taken_and_another_node_takes_them(fleet: FakeFleet) -> None:
    taken = await take(client(fleet).call, fleet.signer, NOW)
    assert taken.left_out == ()
    assert (taken.backup.counts["roster"], taken.backup.counts["deployment"]) == (1, 2)
    second = list(fleet.nodes.values())[1]
    restored = await give(client(fleet, 1).call, taken.backup)
    assert (restored.accepted["deployment"], restored.known, restored.refused) == (2, 1, ())
    assert second.state.heads_hash() == fleet.first.state.heads_hash()
    again = await give(client(fleet, 1).call, taken.backup)
    assert (sum(again.accepted.values()), again.known, again.refused) == (0, 3, ())


async def test_what_is_newer_stays(fleet: FakeFleet) -> None:
    made = await backup(fleet)
    accept(fleet, "shop", 7)
    restored = await give(client(fleet).call, made)
    assert (sum(restored.accepted.values()), restored.known, restored.refused) == (0, 3, ())
    head = fleet.first.head("shop")
    assert head is not None
    assert head.sequence == 7


async def test_a_key_for_some_apps_gets_those_and_is_told_which_it_lacks(fleet: FakeFleet) -> None:
    taken = await take(client(fleet, eve=True).call, Signer(fleet.eve, fleet.roster), NOW)
    assert [key.name for key in taken.left_out] == ["shop"]
    assert taken.backup.counts["deployment"] == 1
    answer = await client(fleet, eve=True).call("records", keys=[["deployment", "shop"], ["deployment", "eve-blog"]])
    assert len(answer["records"]) == 1  # whatever it asks for


async def test_many_apps_come_in_several_messages(tmp_path: Path) -> None:
    fleet = FakeFleet(tmp_path)
    for number in range(300):
        accept(fleet, f"app-{number}", 1)
    assert (await backup(fleet)).counts["deployment"] == 300
    assert fleet.first.calls.count("records") == 2


async def test_long_records_come_in_several_messages(tmp_path: Path) -> None:
    fleet = FakeFleet(tmp_path)
    for number in range(5):
        accept(fleet, f"app-{number}", 1, variables={"a": "x" * 200_000})
    assert (await backup(fleet)).counts["deployment"] == 5
    assert fleet.first.calls.count("records") > 1


async def test_another_fleet_gets_nothing(fleet: FakeFleet, tmp_path: Path) -> None:
    made = await backup(fleet)
    other = FakeFleet(tmp_path / "other")
    # The same name, other root keys: each record is refused, and said so.
    restored = await give(client(other).call, made)
    assert (sum(restored.accepted.values()), restored.known) == (0, 1)
    assert {one.code for one in restored.refused} == {"fleet.record-forbidden"}
    assert other.first.head("shop") is None


async def test_a_node_that_lies_gives_no_backup(fleet: FakeFleet, tmp_path: Path) -> None:
    """One with rosters of its own making."""
    liar = FakeFleet(tmp_path / "liar")
    with pytest.raises(BackupInvalid, match="do not lead"):
        await take(client(liar).call, fleet.signer, NOW)


@pytest.mark.parametrize(
    "answer",
    [None, {}, {"buckets": []}, {"buckets": [[0]]}, {"buckets": [[999, []]]}, {"buckets": [[0, [1]]]}],
    ids=str,
)
async def test_answers_that_are_none(fleet: FakeFleet, answer: object) -> None:
    real = client(fleet)

    async def call(name: str, /, **args: Any) -> Any:
        return answer if name == "buckets" else await real.call(name, **args)

    with pytest.raises(ProtocolError):
        await take(call, fleet.signer, NOW)


async def test_releases_travel_as_bundles(fleet: FakeFleet, tmp_path: Path) -> None:
    package = fleet.package(files={"a": b"one" * 1000, "b": b"two" * 1000})
    node = client(fleet)
    await node.call("missing", digests=[chunk.digest for chunk in package.chunks], lease="l")
    for chunk in package.chunks:
        await node.call("put_chunk", digest=chunk.digest, size=chunk.size, frame=package.frames.get_frame(chunk))
    await node.call("put_release", envelope=package.envelope)
    cache = open_cache(tmp_path / "cache")
    file = await take_release(node.call, package.digest, cache, tmp_path)
    assert file.name.startswith("shop-")
    assert await take_release(node.call, package.digest, cache, tmp_path) == file  # left as it is

    elsewhere = open_cache(tmp_path / "elsewhere")
    stored = await give_release(client(fleet, 1).call, file, elsewhere, lambda _event: None)
    assert stored.digest == package.digest
    second = list(fleet.nodes.values())[1]
    assert second.releases.get(package.digest).envelope == package.envelope
    assert second.chunks.missing([chunk.digest for chunk in package.chunks]) == []


async def test_who_may_not_deploy_an_app_gets_no_release_of_it(fleet: FakeFleet, tmp_path: Path) -> None:
    package = fleet.package()
    node = client(fleet)
    await node.call("missing", digests=[chunk.digest for chunk in package.chunks], lease="l")
    for chunk in package.chunks:
        await node.call("put_chunk", digest=chunk.digest, size=chunk.size, frame=package.frames.get_frame(chunk))
    await node.call("put_release", envelope=package.envelope)
    with pytest.raises(RemoteError, match="may not"):
        await client(fleet, eve=True).call("release", digest=package.digest)
    with pytest.raises(RemoteError, match="may not"):
        await client(fleet, eve=True).call("chunk", digest=package.chunks[0].digest)
    assert (await node.call("chunk", digest=package.chunks[0].digest))["frame"]
