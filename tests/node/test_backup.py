"""A node's backup: into an empty folder, beside what is newer, never over a key, never a number back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edged.errors import BackupInvalid, NodeRuns
from edged.fleet.archive import decode_archive, encode_archive
from edged.fleet.certificate import load_identity
from edged.fleet.record import Key, Version
from edged.fleet.store import RecordStore
from edged.node.backup import NodeBackup, make_node_backup, restore_node
from edged.node.run_lock import alone_in
from tests.fleet import kit
from tests.node.test_reseed import NOW, Scene

SHOP = Key("deployment", "shop")


def backup(scene: Scene, *, with_key: bool = False) -> NodeBackup:
    return make_node_backup(scene.config, with_key=with_key, now=NOW)


def there_and_back(made: NodeBackup) -> NodeBackup:
    return NodeBackup.parse(decode_archive(encode_archive(made.content())))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "one").mkdir()
    return Scene(tmp_path / "one")


def fresh(scene: Scene, folder: Path) -> Scene:
    """The same node on a new disk: node.toml, and nothing else."""
    other = object.__new__(Scene)
    other.folder, other.state_dir, other.identity = folder, folder / "state", scene.identity
    node = replace(
        scene.config.node, state_dir=folder / "state", key=folder / "id/node.key", certificate=folder / "id/node.crt"
    )
    other.config = replace(scene.config, node=node)
    return other


def test_into_an_empty_folder(scene: Scene, tmp_path: Path) -> None:
    made = there_and_back(backup(scene, with_key=True))
    other = fresh(scene, tmp_path / "two")
    done = restore_node(other.config, made, now=NOW)
    assert (done.accepted, done.refused, done.has_identity) == (2, (), True)
    assert other.state().heads_hash() == scene.state().heads_hash()
    assert load_identity(other.config.node.key, other.config.node.certificate).fingerprint == scene.identity.fingerprint
    assert other.config.node.key.stat().st_mode & 0o777 == 0o600
    assert other.state().accept(kit.signed("shop", 6), NOW).kind == "stale"


def test_the_private_key_is_in_it_only_if_asked(scene: Scene, tmp_path: Path) -> None:
    pem = scene.config.node.key.read_bytes()
    made = backup(scene)
    assert made.key == b""
    assert backup(scene, with_key=True).key == pem
    other = fresh(scene, tmp_path / "two")
    assert not restore_node(other.config, there_and_back(made), now=NOW).has_identity
    assert not other.config.node.key.exists()


def test_what_is_newer_stays_and_so_does_a_key(scene: Scene) -> None:
    made = there_and_back(backup(scene, with_key=True))
    before = scene.config.node.key.read_bytes()
    assert scene.state().accept(kit.signed("shop", 9), NOW).kind == "accepted"
    done = restore_node(scene.config, made, now=NOW)
    assert (done.accepted, done.refused) == (0, ())
    assert scene.versions()[SHOP] == Version(1, 9)
    assert scene.state().deployments()["shop"].sequence == 9
    assert scene.config.node.key.read_bytes() == before


def test_numbers_come_back_although_what_they_stand_for_is_lost(scene: Scene, tmp_path: Path) -> None:
    RecordStore(scene.state_dir / "records").forget(SHOP, Version(1, 7))
    made = there_and_back(backup(scene))
    assert made.fleet.counts["deployment"] == 0
    other = fresh(scene, tmp_path / "two")
    restore_node(other.config, made, now=NOW)
    assert other.versions()[SHOP] == Version(1, 7)
    assert other.state().accept(kit.signed("shop", 6), NOW).kind == "stale"


@pytest.mark.parametrize("is_empty", [True, False])
def test_what_is_older_than_a_number_goes_on_counting(scene: Scene, tmp_path: Path, *, is_empty: bool) -> None:
    """A node whose newest roster rotted lives with the one before. A backup must not leave it with none: that would
    take away what it may announce."""
    roster = Key("roster", "demo")
    records = RecordStore(scene.state_dir / "records")
    other = fresh(scene, tmp_path / "two")
    if not is_empty:
        restore_node(other.config, there_and_back(backup(scene)), now=NOW)
    records.keep_number(roster, Version(1, 6))
    records.keep_number(SHOP, Version(1, 8))
    assert scene.state().deployments()["shop"].sequence == 7
    restore_node(other.config, there_and_back(backup(scene)), now=NOW)
    state = other.state()
    assert state.roster is not None
    assert (state.roster.version, state.deployments()["shop"].sequence) == (5, 7)
    assert (other.versions()[roster], other.versions()[SHOP]) == (Version(1, 6), Version(1, 8))
    assert state.accept(kit.signed("shop", 7, message="another"), NOW).kind != "accepted"
    assert state.accept(kit.signed("shop", 8), NOW).kind == "accepted"


def test_whom_it_is_not_for(scene: Scene, tmp_path: Path) -> None:
    made = backup(scene)
    with pytest.raises(BackupInvalid, match="of the node"):
        restore_node(replace(scene.config, node=replace(scene.config.node, name="n2")), made, now=NOW)
    with alone_in(scene.state_dir), pytest.raises(NodeRuns):
        restore_node(scene.config, made, now=NOW)
    other = fresh(scene, tmp_path / "two")
    elsewhere = kit.state(other.state_dir / "records", fleet="other")
    assert elsewhere.roster is not None
    with pytest.raises(BackupInvalid, match="of the fleet"):
        restore_node(other.config, made, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"what": "fleet"}, {"format": 2}, {"certificate": b"x"}, {"key": b"x"}, {"ledger": b"x"}, {"more": 1},
        {"numbers": [["deployment", "../x", 1, 1]]}, {"numbers": [["thing", "x", 1, 1]]}, {"numbers": [[1]]},
        {"fleet": {}},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_that_says_something_else_is_refused(scene: Scene, changes: dict[str, object]) -> None:
    content = backup(scene).content()
    NodeBackup.parse(decode_archive(encode_archive(content)))
    with pytest.raises(BackupInvalid):
        NodeBackup.parse(decode_archive(encode_archive(content | changes)))


def test_rosters_before_one_that_changed_the_root_keys_are_not_asked_about_again(scene: Scene) -> None:
    """The root keys that signed them count no more, so they could only be refused."""
    made = there_and_back(backup(scene))
    moved = scene.roster(6, root_keys=(kit.root("other").public.raw,)).seal([kit.root(), kit.root("other")])
    assert scene.state().accept(moved, NOW).kind == "accepted"
    done = restore_node(scene.config, made, now=NOW)
    assert (done.accepted, done.refused) == (0, ())
