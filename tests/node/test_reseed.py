"""A node comes back as what it was, and takes nothing that is older than what it had, whenever it is cut short."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edged.errors import JoinFailed, NodeRuns, NodeUnknown, RecordDamaged, RecordStale, UsageError
from edged.fleet.certificate import Identity, load_identity, make_identity, save_identity
from edged.fleet.record import Key, Version
from edged.fleet.rollout_plan import Saved
from edged.fleet.roster import Node, Roster
from edged.fleet.state import FleetState
from edged.fleet.store import RecordStore
from edged.fleet.voucher import Seed, Voucher, token_of
from edged.node.config import NodeConfig
from edged.node.config_file import load
from edged.node.reseed import Way, reseed
from edged.node.rollout_store import Kept, RolloutStore
from edged.node.run_lock import alone_in
from registry.disk import Disk
from tests.fleet import kit

OLD = Way()
NOW = time.time()


class Scene:
    """Node n1 with records, a rollout, releases and data of an app."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "node.toml").write_text(
            '[node]\nname = "n1"\nregion = "eu"\nstate_dir = "state"\n[fleet]\nroster = "roster.bin"\n'
            '[http]\nlisten = ["127.0.0.1:0"]\n'
        )
        self.config: NodeConfig = load(folder / "node.toml")
        self.state_dir = folder / "state"
        (self.state_dir / "identity").mkdir(parents=True)
        self.identity = make_identity("n1", now=NOW)
        save_identity(self.identity, self.config.node.key, self.config.node.certificate)
        state = self.state()
        assert state.begin(self.roster(5).seal([kit.root()]), NOW).kind == "accepted"
        for sequence in (6, 7):
            assert state.accept(kit.signed("shop", sequence), NOW).kind == "accepted"
        for name in ("apps/shop", "registry/chunks", "checkouts", "cache"):
            (self.state_dir / name).mkdir(parents=True)
            (self.state_dir / name / "file").write_text("x")
        rollouts = RolloutStore(self.state_dir / "rollouts")
        rollouts.save("blog", Kept(Saved(Version(1, 9), None, False, None, None), {}))
        self.write(self.roster(5))

    def roster(self, version: int, *, who: Identity | None = None, **changes: Any) -> Roster:
        """With this node, and n2."""
        own = Node("n1", "eu", "n1.example:7400", (who or self.identity).certificate)
        return replace(kit.roster(version=version), nodes=(own, kit.node("n2", "us")), **changes)

    def write(self, roster: Roster, name: str = "roster.bin") -> Path:
        file = self.folder / name
        file.write_bytes(roster.seal([kit.root()]))
        return file

    def state(self) -> FleetState:
        return FleetState(RecordStore(self.state_dir / "records"), now=NOW)

    def versions(self) -> dict[Key, Version]:
        return RecordStore(self.state_dir / "records").versions()

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.name != "lock"}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_it_keeps_who_it_is_and_what_apps_keep(scene: Scene) -> None:
    done = await reseed(scene.config, OLD)
    assert (done.fingerprint, done.is_new_key, done.is_known) == (scene.identity.fingerprint, False, True)
    assert (done.roster_version, done.forgotten) == (5, 3)
    assert (scene.state_dir / "apps/shop/file").read_text() == "x"
    assert (scene.state_dir / "cache/file").exists()
    assert not any((scene.state_dir / name).exists() for name in ("rollouts", "registry", "checkouts"))
    assert scene.state().deployments() == {}


async def test_releases_of_a_sound_disk_stay(scene: Scene) -> None:
    await reseed(scene.config, Way(keep_releases=True))
    assert (scene.state_dir / "registry/chunks/file").exists()
    assert not (scene.state_dir / "rollouts").exists()


async def test_nothing_older_is_taken_from_anybody(scene: Scene) -> None:
    """At the number that it had, and one before."""
    await reseed(scene.config, OLD)
    state = scene.state()
    assert state.accept(kit.signed("shop", 6), NOW).kind == "stale"
    assert state.accept(kit.signed("shop", 7), NOW).kind == "accepted"
    assert state.accept(kit.signed("blog", 8), NOW).kind == "stale"  # which only a rollout knew
    assert state.accept(kit.signed("blog", 9), NOW).kind == "accepted"
    assert state.accept(kit.signed("new", 1), NOW).kind == "accepted"
    assert [alarm.code for alarm in state.alarms()] == []


async def test_until_then_it_says_what_it_lacks(scene: Scene) -> None:
    await reseed(scene.config, OLD)
    assert {(alarm.code, alarm.subject) for alarm in scene.state().alarms()} == {
        (RecordDamaged.code, "deployment shop"),
        (RecordDamaged.code, "deployment blog"),
    }


async def test_an_older_roster_changes_nothing(scene: Scene) -> None:
    before, versions = scene.files(), scene.versions()
    with pytest.raises(RecordStale, match="has had 5"):
        await reseed(scene.config, Way(roster=scene.write(scene.roster(4), "older.bin")))
    assert (scene.files() - {"older.bin"}, scene.versions()) == (before, versions)


async def test_root_keys_that_moved_on_are_taken_from_the_operator(scene: Scene) -> None:
    """No chain leads there from what the node had."""
    moved = scene.roster(60, root_keys=(kit.root("other").public.raw,))
    file = scene.folder / "moved.bin"
    file.write_bytes(moved.seal([kit.root("other")]))
    assert scene.state().accept(file.read_bytes(), NOW).kind == "refused"
    done = await reseed(scene.config, Way(roster=file))
    assert (done.roster_version, done.is_known) == (60, True)


async def test_another_fleet_is_refused(scene: Scene) -> None:
    before = scene.files()
    other = scene.write(scene.roster(9, fleet="other"), "other.bin")
    with pytest.raises(UsageError, match="of the fleet 'other'"):
        await reseed(scene.config, Way(roster=other))
    assert scene.files() - {"other.bin"} == before


async def test_a_damaged_disk(scene: Scene) -> None:
    for path in (scene.state_dir / "records").rglob("*"):
        if path.is_file():
            path.write_bytes(b"rotten")
    (scene.state_dir / "rollouts/blog").write_bytes(b"rotten")
    assert scene.state().roster is None
    assert (await reseed(scene.config, OLD)).is_known
    assert scene.state().accept(kit.signed("shop", 6), NOW).kind == "stale"


async def test_a_damaged_roster_alone_is_not_replaced_by_an_older_one(scene: Scene) -> None:
    """Without a reseed, as at any start."""
    for path in (scene.state_dir / "records/roster").rglob("*"):
        if path.is_file():
            path.write_bytes(b"rotten")
    state = scene.state()
    assert state.begin(scene.roster(4).seal([kit.root()]), NOW).kind == "stale"
    assert state.begin(scene.roster(5).seal([kit.root()]), NOW).kind == "accepted"


async def test_a_new_key_is_made_and_the_old_one_kept(scene: Scene) -> None:
    done = await reseed(scene.config, Way(new_key=True))
    new = load_identity(scene.config.node.key, scene.config.node.certificate)
    assert (done.fingerprint, done.is_new_key, done.is_known) == (new.fingerprint, True, False)
    assert new.fingerprint != scene.identity.fingerprint
    folder = scene.config.node.key.parent
    old = load_identity(folder / "node.key.before", folder / "node.crt.before")
    assert old.fingerprint == scene.identity.fingerprint


async def test_a_voucher_asks_and_may_be_tried_again(scene: Scene) -> None:
    """Nobody is there to ask: what went stays gone, its numbers stay, and another try begins where this one ended."""
    seeds = (Seed("127.0.0.1:1", kit.identity("n2").certificate),)
    voucher = Voucher("demo", "0" * 32, "n3", "eu", "n3.example:7400", int(NOW) + 60, scene.roster(5).root_keys, seeds)
    file = scene.folder / "voucher"
    file.write_text(token_of(voucher.seal(kit.identity("operator").key)))
    with pytest.raises(JoinFailed):
        await reseed(scene.config, Way(voucher=file))
    assert scene.versions()[Key("deployment", "blog")] == Version(1, 9)
    assert (await reseed(scene.config, OLD)).is_known
    assert scene.versions()[Key("deployment", "shop")] == Version(1, 7)


async def test_it_needs_a_way_back(scene: Scene) -> None:
    fleet = replace(scene.config.fleet, roster=None)
    before = scene.files()
    with pytest.raises(NodeUnknown):
        await reseed(replace(scene.config, fleet=fleet), OLD)
    assert scene.files() == before


async def test_a_node_that_runs_is_left_alone(scene: Scene) -> None:
    before = scene.files()
    with alone_in(scene.state_dir), pytest.raises(NodeRuns):
        await reseed(scene.config, OLD)
    assert scene.files() == before


class Stops(Exception):
    """The power."""


class CutShort(Disk):
    """Does so many things, and no more."""

    def __init__(self, left: int) -> None:
        self.left = left

    def _one(self) -> None:
        if self.left == 0:
            raise Stops
        self.left -= 1

    def rename(self, old: Path, new: Path) -> None:
        self._one()
        super().rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        self._one()
        super().link(old, new)

    def unlink(self, path: Path) -> None:
        self._one()
        super().unlink(path)

    def remove_tree(self, path: Path) -> None:
        self._one()
        super().remove_tree(path)

    def sync_folder(self, path: Path) -> None:
        self._one()
        super().sync_folder(path)


@pytest.mark.parametrize("first", [0, 1, 2], ids=["third-0", "third-1", "third-2"])
async def test_no_number_is_lost_wherever_it_is_cut_short(tmp_path: Path, first: int) -> None:
    ended = False
    for left in range(first, 60, 3):
        folder = tmp_path / str(left)
        folder.mkdir()
        scene = Scene(folder)
        try:
            await reseed(scene.config, OLD, CutShort(left))
        except Stops:
            pass
        else:
            ended = True
        floors = scene.versions()
        if (scene.state_dir / "rollouts").exists():
            floors |= {
                Key("deployment", app): max(kept.saved.floor, floors.get(Key("deployment", app), Version(0, 0)))
                for app, kept in RolloutStore(scene.state_dir / "rollouts").load().items()
            }
        assert floors[Key("deployment", "shop")] == Version(1, 7), left
        assert floors[Key("deployment", "blog")] == Version(1, 9), left
        assert floors[Key("roster", "demo")] == Version(1, 5), left
        assert (await reseed(scene.config, OLD)).is_known
        assert scene.state().accept(kit.signed("shop", 6), NOW).kind == "stale"
        if ended:
            break
    assert ended
