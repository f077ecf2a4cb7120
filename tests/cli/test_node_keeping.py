"""`edged node backup`, `restore` and `reseed`, as they are typed. `tests/node` has what they do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edged import cli
from edged.errors import BackupInvalid, FleetFileMissing, NodeRuns, RecordStale, RestoreUnfinished
from edged.node.run_lock import alone_in
from tests.edged_command import edged_command
from tests.fleet import kit
from tests.node.test_reseed import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    folder = tmp_path / "n1"
    folder.mkdir()
    return Scene(folder)


def run(scene: Scene, command: str, *arguments: str | Path) -> Result:
    """Of `edged node`. Raises what it ends with."""
    typed = ["node", command, "--config", str(scene.folder / "node.toml"), *map(str, arguments)]
    return CliRunner().invoke(cli._edged, typed, catch_exceptions=False, standalone_mode=False)


def told(scene: Scene, command: str, *arguments: str | Path) -> dict[str, Any]:
    found = json.loads(run(scene, command, *arguments, "--json").stdout)
    assert isinstance(found, dict)
    return found


def twin(scene: Scene, tmp_path: Path) -> Scene:
    """The same node on another disk, which has seen nothing newer than version 5 of the roster."""
    folder = tmp_path / "again"
    folder.mkdir()
    return Scene(folder)


def test_nothing_else_is_printed(scene: Scene) -> None:
    """No log lines, though there is an alarm for every record that is not there for a while."""
    config = ("--config", str(scene.folder / "node.toml"), "--json")
    file = str(scene.folder / "n1.backup")
    for typed in (["backup", file], ["reseed"], ["restore", file]):
        done = subprocess.run(edged_command("node", *typed, *config), capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert json.loads(done.stdout)["node"] == "n1"


def test_a_backup(scene: Scene) -> None:
    file = scene.folder / "n1.backup"
    assert run(scene, "backup", file).stdout == f"n1: 2 records, in {file}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    pem = scene.config.node.key.read_bytes()
    shape = told(scene, "backup", file, "--with-key")
    assert shape == {"event": "backup", "node": "n1", "file": str(file), "records": 2, "with_key": True}
    assert run(scene, "backup", file, "--with-key").stdout == f"n1: 2 records, with its private key, in {file}\n"
    assert pem not in file.read_bytes()  # packed


def test_a_backup_while_the_node_runs(scene: Scene) -> None:
    with alone_in(scene.state_dir):
        run(scene, "backup", scene.folder / "n1.backup")
    assert (scene.folder / "n1.backup").exists()


def test_a_restore(scene: Scene) -> None:
    file = scene.folder / "n1.backup"
    run(scene, "backup", file)
    for path in sorted((scene.state_dir / "records").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    shape = told(scene, "restore", file)
    assert shape == {"event": "restored", "node": "n1", "accepted": 2, "refused": [], "has_identity": True}
    assert scene.state().accept(kit.signed("shop", 6), 0).kind == "stale"
    assert run(scene, "restore", file).stdout == "n1 took 0 records; what it had as new or newer stays.\n"


def test_a_restore_onto_a_disk_without_a_key(scene: Scene) -> None:
    file = scene.folder / "n1.backup"
    run(scene, "backup", file)
    scene.config.node.key.unlink()
    assert "edged node init" in run(scene, "restore", file).stdout


def test_a_restore_that_is_refused_in_part_says_which(scene: Scene, tmp_path: Path) -> None:
    """The backup's sequence 8 of shop has other bytes than the disk's."""
    other = twin(scene, tmp_path)
    file = other.folder / "n1.backup"
    assert other.state().accept(kit.signed("shop", 8, message="one"), 0).kind == "accepted"
    run(other, "backup", file)
    assert scene.state().accept(kit.signed("shop", 8, message="another"), 0).kind == "accepted"
    with pytest.raises(RestoreUnfinished, match=r"(?s)not taken: 1 record\n.*fleet\.record-conflict"):
        run(scene, "restore", file)


def test_what_is_no_backup_of_a_node(scene: Scene) -> None:
    with pytest.raises(FleetFileMissing) as missing:
        run(scene, "restore", scene.folder / "nothing")
    assert "edged node backup" in missing.value.remedy
    (scene.folder / "junk").write_bytes(b"junk")
    with pytest.raises(BackupInvalid):
        run(scene, "restore", scene.folder / "junk")


@pytest.mark.parametrize("command", ["restore", "reseed"])
def test_a_node_that_runs_is_left_alone(scene: Scene, command: str) -> None:
    file = scene.folder / "n1.backup"
    run(scene, "backup", file)
    before = scene.files()
    with alone_in(scene.state_dir), pytest.raises(NodeRuns):
        run(scene, command, *([file] if command == "restore" else []))
    assert scene.files() == before


def test_a_reseed(scene: Scene) -> None:
    out = run(scene, "reseed").stdout.splitlines()
    assert out == [
        "n1 has forgotten 3 records, and keeps the numbers.",
        "Version 5 of the roster has it. Start it: it fetches the rest from its peers.",
    ]
    assert scene.state().deployments() == {}
    assert scene.state().accept(kit.signed("shop", 6), 0).kind == "stale"


def test_a_reseed_with_a_new_key(scene: Scene) -> None:
    """The fleet does not know it yet, and the command says so."""
    shape = told(scene, "reseed", "--new-key", "--keep-releases")
    assert shape == {
        "event": "reseeded", "node": "n1", "fingerprint": shape["fingerprint"], "new_key": True, "forgotten": 3,
        "roster_version": 5, "known": False,
    }  # fmt: skip
    assert shape["fingerprint"] != scene.identity.fingerprint
    assert (scene.state_dir / "registry/chunks/file").exists()
    out = run(scene, "reseed", "--new-key").stdout
    assert str(scene.config.node.certificate) in out
    assert "The fleet does not know it yet" in out


def test_a_reseed_by_an_older_roster_changes_nothing(scene: Scene) -> None:
    older = scene.write(scene.roster(4), "older.bin")
    before = scene.files()
    with pytest.raises(RecordStale, match="version 4 of the roster, and this node has had 5"):
        run(scene, "reseed", "--roster", older)
    assert scene.files() == before
