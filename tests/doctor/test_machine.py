"""`machine` and `files`: what a machine was provisioned as, and whether it still is."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edged.doctor.firewall import chains_of
from edged.doctor.machine import judge_machine, look_at_files
from edged.doctor.machine_file import MachineFile, read_machine_file
from edged.doctor.sysctl import parse_sysctl
from edged.limits import DOCTOR_FILE_BYTES_MAX, DOCTOR_MACHINE_FILE_COUNT_MAX
from provisioning import paths
from provisioning.files import machine_files
from provisioning.machine import Binary, Machine
from tests.doctor.scene import DIGEST, MACHINE, Scene, one, said

FILE = {"sha256": DIGEST, "mode": "0644", "owner": "root:root"}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_there_and_none(scene: Scene) -> None:
    assert read_machine_file(scene.path(paths.MACHINE)) is None
    scene.machine_json(of=[scene.config_file])
    found = read_machine_file(scene.path(paths.MACHINE))
    assert isinstance(found, MachineFile)
    assert (found.machine, found.region, found.binary_sha256) == ("n1", "eu", DIGEST)
    assert list(found.files) == ["/etc/edged/node.toml"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"v": 2}, "keys are missing"),
        ({"machine": 1}, "keys are missing"),
        ({"binary": {"sha256": "AB" * 32}}, "keys are missing"),
        ({"files": []}, "keys are missing"),
        ({"files": {"etc/x": FILE}}, "a file of it"),
        ({"files": {"/etc/../x": FILE}}, "a file of it"),
        ({"files": {"/etc/x": FILE | {"mode": "0899"}}}, "a file of it"),
        ({"files": {"/etc/x": FILE | {"sha256": "00"}}}, "a file of it"),
        ({"files": {f"/{index}": FILE for index in range(DOCTOR_MACHINE_FILE_COUNT_MAX + 1)}}, "more than"),
    ],
)
def test_what_provisioning_does_not_write(changes: dict[str, Any], why: str, scene: Scene) -> None:
    scene.machine_json(**changes)
    found = read_machine_file(scene.path(paths.MACHINE))
    assert isinstance(found, str)
    assert why in found


def test_as_many_files_and_bytes_as_may_be(scene: Scene) -> None:
    file = scene.machine_json(files={f"/{index}": FILE for index in range(DOCTOR_MACHINE_FILE_COUNT_MAX)})
    data = file.read_bytes()
    for count, is_read in ((DOCTOR_FILE_BYTES_MAX, True), (DOCTOR_FILE_BYTES_MAX + 1, False)):
        file.write_bytes(data.ljust(count))
        assert isinstance(read_machine_file(file), MachineFile) == is_read


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json(data: bytes, scene: Scene) -> None:
    found = read_machine_file(scene.write(paths.MACHINE, data))
    assert isinstance(found, str)
    assert "no JSON" in found


def test_a_machine_beside_its_node_toml(scene: Scene) -> None:
    assert one(judge_machine(None, scene.config)).state == "note"
    assert one(judge_machine("broken", scene.config)).state == "warning"
    assert one(judge_machine(MACHINE, scene.config)).state == "ok"
    assert one(judge_machine(MACHINE, None)).state == "ok"
    other = MachineFile("demo", "n2", "eu", "static", DIGEST)
    assert "node.toml is of n1 in eu" in one(judge_machine(other, scene.config)).message


async def look(scene: Scene) -> list[tuple[str, str]]:
    return said(await look_at_files(scene.subject(machine=read_machine_file(scene.path(paths.MACHINE)))))


async def test_files_as_they_were(scene: Scene) -> None:
    scene.machine_json(of=[scene.config_file, scene.write(paths.SYSCTL, "a = 1\n")])
    assert await look(scene) == [("ok", "2 of 2 files are as they were provisioned")]


async def test_files_that_are_gone_edited_or_open(scene: Scene) -> None:
    sysctl, unit, firewall = (
        scene.write(path, "x") for path in (paths.SYSCTL, paths.UNITS / "edged.service", paths.FIREWALL)
    )
    scene.machine_json(of=[scene.config_file, sysctl, unit, firewall])
    sysctl.unlink()
    unit.chmod(0o666)
    firewall.write_text("y")
    found = await look(scene)
    assert [state for state, _ in found] == ["problem", "warning", "note", "ok"]
    assert found[0][1] == f"{paths.SYSCTL} is gone"
    assert "has mode 0666" in found[1][1]
    assert found[3][1].startswith("1 of 4")


async def test_a_pipe_in_place_of_a_file_is_not_waited_for(scene: Scene) -> None:
    file = scene.write(paths.SYSCTL, "x")
    scene.machine_json(of=[file])
    file.unlink()
    os.mkfifo(file)
    assert await look(scene) == [("unknown", f"{paths.SYSCTL}: it is no file")]


async def test_without_machine_json_nothing_is_compared(scene: Scene) -> None:
    assert await look(scene) == []
    scene.write(paths.MACHINE, json.dumps({}))
    assert await look(scene) == []


def test_what_provisioning_writes(scene: Scene) -> None:
    """The very files that a machine is given."""
    machine = Machine("demo", "n1", "eu", "192.0.2.7:7400", Binary(DIGEST), node={"http": {"listen": ["[::]:80"]}})
    files = {file.path: file for file in machine_files(machine)}
    for file in files.values():
        scene.write(file.path, file.content, int(file.mode, 8))
    found = read_machine_file(scene.path(paths.MACHINE))
    assert isinstance(found, MachineFile)
    assert {str(paths.CONFIG), str(paths.FIREWALL), str(paths.SYSCTL)} < set(found.files)
    assert {*found.files, str(paths.MACHINE)} == set(files)
    for path, written in found.files.items():
        assert hashlib.sha256(scene.path(path).read_bytes()).hexdigest() == written.sha256
        assert written.mode == scene.path(path).stat().st_mode & 0o7777
    assert {"input", "output", "routers"} <= set(chains_of(scene.subject()))
    assert "net.ipv4.conf.all.rp_filter" in parse_sysctl(scene.path(paths.SYSCTL).read_text())
