"""The whole: on machines in every state, always an answer, each cause once, and well again when it is gone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from edged.doctor.doctor import CHECKS, examine, run_checks
from edged.doctor.finding import Finding, problems
from edged.doctor.machine_file import MachineFile
from edged.doctor.subject import FETCH_UNIT, FIREWALL_UNIT, NODE_UNIT, Subject, gather, read_files
from edged.limits import DOCTOR_CHECK_S_MAX
from edged.node.check import find
from edged.node.failure import Failure
from provisioning import paths
from tests.doctor.scene import LOADED, NOW, Scene
from tests.doctor.views import node, view

CONTENT = b"#!/bin/sh\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MACHINE = MachineFile("demo", "n1", "eu", "static", SHA256)
LOOP = {"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "5", "Result": "exit-code"}
OF_THE_NODE = {
    name: CHECKS[name]
    for name in ("machine", "binary", "config", "identity", "roster", "voucher", "unit", "node", "fleet")
}
"""Those that this test's machine can be made to have, whatever it runs on."""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A machine with all that it needs."""
    scene = Scene(tmp_path)
    scene.write(paths.BINARIES / f"edged-{SHA256}", CONTENT, 0o755)
    scene.path(paths.COMMAND).parent.mkdir(parents=True)
    scene.path(paths.COMMAND).symlink_to(f"{paths.BINARIES}/edged-{SHA256}")
    os.chown(scene.path(paths.BINARIES / f"edged-{SHA256}"), os.geteuid(), -1)
    scene.identity()
    os.utime(scene.voucher(), (NOW - 600, NOW - 600))
    return scene


def failed(reason: str) -> Failure:
    return Failure(NOW - 5, "node.join-failed", f"nobody let it in\n192.0.2.1:7400: {reason}", "Read.")


async def looked_at(scene: Scene, unit: dict[str, str], **known: Any) -> tuple[Finding, ...]:
    units = {NODE_UNIT: LOADED | unit, FETCH_UNIT: {"ActiveState": "activating"}, FIREWALL_UNIT: {}}
    subject = scene.subject(machine=MACHINE, units=units, config_problems=find(scene.config), **known)
    return await run_checks(OF_THE_NODE, subject)


def checks_of(findings: Iterable[Finding]) -> list[str]:
    return [finding.check for finding in findings]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the binary is well only where it is root's")


@needs_root
async def test_all_is_well(scene: Scene) -> None:
    found = await looked_at(scene, {"ActiveState": "active"}, status=view(node()), joined=True)
    assert {finding.state for finding in found} == {"ok"}
    assert checks_of(found) == ["machine", "binary", "config", "identity", "voucher", "unit", "node", "fleet"]


async def test_no_binary_is_one_problem(scene: Scene) -> None:
    scene.path(paths.COMMAND).unlink()
    found = await looked_at(scene, LOOP, status_why="there is no admin.sock")
    assert checks_of(problems(found)) == ["binary"]
    notes = {finding.check: finding.message for finding in found if finding.state == "note"}
    assert all(notes[name].endswith("(follows from `binary`)") for name in ("start", "node"))


@needs_root
@pytest.mark.parametrize("reason", ["[fleet.voucher-used]", "[fleet.voucher-invalid]", "timed out [fleet.unreachable]"])
async def test_a_voucher_that_does_not_work_is_one_problem_and_heals(scene: Scene, reason: str) -> None:
    found = await looked_at(scene, LOOP, status_why="there is no admin.sock", failure=failed(reason))
    assert checks_of(problems(found)) == ["voucher"]
    os.utime(scene.path(paths.VOUCHER), (NOW - 1, NOW - 1))  # the operator has put another there
    found = await looked_at(scene, LOOP, status_why="there is no admin.sock", failure=failed(reason))
    assert checks_of(problems(found)) == ["start"]
    found = await looked_at(scene, {"ActiveState": "active"}, status=view(node()), joined=True)
    assert problems(found) == ()


@needs_root
async def test_a_unit_that_nothing_starts_is_told_beside_another_cause(scene: Scene) -> None:
    """Nobody tries again by itself, whatever the other remedy says."""
    found = await looked_at(scene, {"ActiveState": "inactive"}, status_why="no", failure=failed("[fleet.voucher-used]"))
    assert checks_of(problems(found)) == ["voucher", "unit"]


async def test_a_check_that_hangs_is_told_and_the_others_are_done(scene: Scene, autojump_clock: MockClock) -> None:
    async def hang(_subject: Subject) -> Iterable[Finding]:
        await trio.sleep_forever()
        return ()

    async def work(_subject: Subject) -> Iterable[Finding]:
        return (Finding("node", "ok", "done"),)

    hangs, done = await run_checks({"disk": hang, "node": work}, scene.subject())
    assert (hangs.state, hangs.check) == ("unknown", "disk")
    assert f"{DOCTOR_CHECK_S_MAX:g} s" in hangs.message
    assert done.message == "done"


# --- machines as they may be found ---


async def test_a_machine_with_nothing(tmp_path: Path) -> None:
    """No node.toml, no state folder, no machine.json."""
    found = await examine(tmp_path / "node.toml", root=tmp_path)
    assert [finding.check for finding in found if finding.check == "config"] == ["config"]
    assert problems(found) != ()


@pytest.mark.parametrize("text", [b"", b"[node", b"\xff", b"x = 1\n", b"[node]\nname = 1\n", b"[" * 300_000])
async def test_a_node_toml_that_is_none(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_bytes(text)
    found = await examine(tmp_path / "node.toml", root=tmp_path)
    assert "config" in checks_of(problems(found))


async def test_a_provisioned_machine_without_anything_else(scene: Scene) -> None:
    scene.machine_json(binary={"sha256": SHA256})
    found = await examine(scene.config_file, root=scene.root, now=NOW)
    assert {"machine", "binary", "config", "folders", "voucher", "sysctl", "firewall", "node"} <= set(checks_of(found))
    assert all(finding.remedy for finding in problems(found))


async def test_what_is_gathered(scene: Scene) -> None:
    subject = await gather(scene.config_file, root=scene.root, now=NOW)
    assert subject.config is not None
    assert (subject.machine, subject.joined, subject.may_see, subject.now) == (None, False, True, NOW)
    assert subject.status_why == f"there is no {scene.state}/admin.sock"
    (scene.state / "records" / "roster").mkdir(parents=True)
    (scene.state / "records" / "roster" / "1").write_bytes(b"x")
    assert (await gather(scene.config_file, root=scene.root)).joined


async def test_a_file_that_nobody_ever_finishes(scene: Scene, autojump_clock: MockClock) -> None:
    """A pipe where the node's user has put it, or a share that is away: an answer all the same."""
    scene.machine_json()
    scene.config.node.certificate.unlink()
    os.mkfifo(scene.config.node.certificate)
    try:
        subject = await read_files(Subject(scene.root, NOW, scene.config_file))
    finally:
        os.close(os.open(scene.config.node.certificate, os.O_RDWR))  # the thread that was left to itself ends
    (finding,) = await CHECKS["config"](subject)
    assert (finding.state, finding.message.endswith("cannot be read: not in 45 s")) == ("problem", True)
