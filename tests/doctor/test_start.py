"""What keeps a node from starting: clock, disk, folders, config, identity, roster, unit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edged.doctor import clock, config, disk, identity, roster, unit
from edged.doctor.clock import ClockFacts
from edged.doctor.disk import DiskFacts
from edged.doctor.finding import Finding
from edged.doctor.folders import FolderFacts, judge_folders, judge_user, look_at_folders, look_at_user
from edged.doctor.subject import HEALS, NODE_UNIT, gather
from edged.errors import ListenError
from edged.limits import (
    CERTIFICATE_DAYS_WARNED,
    DISK_FREE_BYTES_NEEDED,
    DISK_FREE_BYTES_WARNED,
    DOCTOR_CLOCK_BEHIND_S_MAX,
)
from edged.node.check import find
from edged.node.failure import Failure
from provisioning import paths
from tests.doctor.scene import LOADED, NOW, Scene, one, said


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# --- clock ---


@pytest.mark.parametrize(
    ("properties", "state", "words"),
    [
        ({"NTPSynchronized": "yes", "NTP": "yes"}, "ok", "is synchronised"),
        ({"NTPSynchronized": "no", "NTP": "yes"}, "warning", "no time server has answered"),
        ({"NTPSynchronized": "no", "NTP": "no"}, "warning", "nothing keeps the clock right"),
        ({}, "warning", "nothing keeps"),
        (None, "unknown", "no timedatectl"),
    ],
)
def test_clock(properties: Mapping[str, str] | None, state: str, words: str) -> None:
    finding = one(clock.judge(ClockFacts(properties, "no timedatectl"), NOW))
    assert finding.state == state
    assert words in finding.message


def test_a_clock_behind_at_the_limit_and_one_over() -> None:
    right = {"NTPSynchronized": "yes"}
    at_limit = one(clock.judge(ClockFacts(right, written=NOW + DOCTOR_CLOCK_BEHIND_S_MAX), NOW))
    over = one(clock.judge(ClockFacts(right, written=NOW + DOCTOR_CLOCK_BEHIND_S_MAX + 1), NOW))
    assert (at_limit.state, over.state) == ("ok", "problem")
    assert "behind files" in over.message


async def test_a_clock_is_compared_with_files(scene: Scene) -> None:
    os.utime(scene.machine_json(), (NOW + 7_200, NOW + 7_200))
    assert "2 h behind" in one(await clock.look(scene.subject())).message


# --- disk ---


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"bytes_free": DISK_FREE_BYTES_WARNED}, "ok"),
        ({"bytes_free": DISK_FREE_BYTES_WARNED - 1}, "warning"),
        ({"bytes_free": DISK_FREE_BYTES_NEEDED}, "warning"),
        ({"bytes_free": DISK_FREE_BYTES_NEEDED - 1}, "problem"),
        ({"bytes_free": DISK_FREE_BYTES_WARNED, "is_read_only": True}, "problem"),
        ({"bytes_free": DISK_FREE_BYTES_WARNED, "inodes_free": 999}, "problem"),
        ({"bytes_free": DISK_FREE_BYTES_WARNED, "inodes_free": 1_000}, "ok"),
        ({"why": "Stale file handle"}, "unknown"),
    ],
)
def test_disk(facts: dict[str, Any], state: str) -> None:
    assert one(disk.judge(DiskFacts(Path("/var/lib/edged"), **facts))).state == state


async def test_the_disk_of_a_folder_that_is_not_there_yet(scene: Scene) -> None:
    scene.state.rmdir()
    assert str(scene.state.parent) in one(await disk.look(scene.subject())).message
    assert list(await disk.look(scene.subject(config=None))) == []


# --- user and folders ---


def test_user() -> None:
    assert one(judge_user(990, has_group=True)).state == "ok"
    assert "useradd --system" in one(judge_user(None, has_group=False)).remedy
    assert "groupadd --system" in one(judge_user(990, has_group=False)).remedy


async def test_no_user_is_wanted_on_a_machine_that_was_set_up_by_hand(scene: Scene) -> None:
    assert list(await look_at_user(scene.subject(machine=None))) == []


@pytest.mark.parametrize(
    ("facts", "state", "words"),
    [
        ({}, "ok", "alone"),
        ({"owner": None}, "note", "there is no"),
        ({"uid": None}, "problem", "who is not there"),
        ({"owner": 0}, "problem", "is not edged's"),
        ({"foreign": ("records/a",)}, "problem", "records/a in /s is not"),
        ({"foreign": ("records/a", "b")}, "problem", "records/a and 1 more in"),
        ({"mode": 0o750}, "warning", "has mode 0750"),
        ({"why": "Permission denied"}, "unknown", "Permission denied"),
    ],
)
def test_folders(facts: dict[str, Any], state: str, words: str) -> None:
    finding = one(judge_folders(FolderFacts(Path("/s"), **({"uid": 990, "owner": 990} | facts))))
    assert finding.state == state
    assert words in finding.message


async def test_a_state_folder_that_the_node_could_not_use(scene: Scene) -> None:
    scene.state.rmdir()
    scene.write(paths.STATE, "a file")
    problems = find(scene.config)
    finding = one(await look_at_folders(scene.subject(config_problems=problems)))
    assert (finding.state, "is not a folder" in finding.message) == ("problem", True)


async def test_an_own_folder_by_hand_is_nobody_elses_business(scene: Scene) -> None:
    assert list(await look_at_folders(scene.subject(machine=None))) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user takes root")
async def test_files_of_another_user_are_found(scene: Scene) -> None:
    """Whatever user this machine has: a state folder of root's, with a file of somebody else's."""
    (scene.state / "records").mkdir()
    file = scene.write(paths.STATE / "records" / "a", "x")
    os.chown(file, 12345, 12345)
    finding = one(await look_at_folders(scene.subject()))
    assert finding.state == "problem"
    assert "chown -R edged:edged" in finding.remedy


# --- config ---


async def test_no_node_toml(scene: Scene) -> None:
    scene.config_file.unlink()
    finding = one(await config.look(await gather(scene.config_file, root=scene.root)))
    assert (finding.state, "cannot be read" in finding.message) == ("problem", True)
    assert "--config" in finding.remedy


async def test_every_line_that_is_wrong(scene: Scene) -> None:
    scene.config_file.write_text('[node]\nname = "N"\n')
    found = list(await config.look(await gather(scene.config_file, root=scene.root)))
    assert {finding.state for finding in found} == {"problem"}
    assert any("node.toml:2:" in finding.message for finding in found)
    assert all("edged check" in finding.remedy for finding in found)


async def test_what_node_toml_names(scene: Scene) -> None:
    """Of keys that have no check of their own, with each problem's own remedy."""
    scene.identity()
    scene.voucher(node="n2")
    subject = await gather(scene.config_file, root=scene.root)
    finding = one(await config.look(subject))
    assert "`node.name`: is 'n1', but the voucher" in finding.message
    assert finding.remedy == f"Correct it, or ask for another voucher. {subject.again}"


async def test_a_missing_voucher_and_identity_have_their_own_checks(scene: Scene) -> None:
    subject = await gather(scene.config_file, root=scene.root)
    assert {problem.key for problem in subject.config_problems} == {"node.identity", "fleet.voucher"}
    assert said(await config.look(subject)) == [("ok", f"{scene.config_file} is right")]


async def test_a_user_who_may_not_look(scene: Scene) -> None:
    subject = scene.subject(may_see=False)
    assert one(await config.look(subject)).state == "unknown"
    assert list(await identity.look(subject)) == []
    assert list(await roster.look(subject)) == []


# --- identity ---


async def test_no_identity(scene: Scene) -> None:
    assert one(await identity.look(scene.subject())).state == "note"
    by_hand = scene.subject(machine=None, config_problems=find(scene.config))
    finding = one(await identity.look(by_hand))
    assert (finding.state, "edged node init" in finding.remedy) == ("problem", True)


async def test_half_an_identity_is_not_made_by_the_unit(scene: Scene) -> None:
    scene.identity()
    scene.config.node.key.unlink()
    finding = one(await identity.look(scene.subject(config_problems=find(scene.config))))
    assert finding.state == "problem"


@pytest.mark.parametrize(
    ("days", "state"),
    [(-1.0, "problem"), (0.0, "warning"), (CERTIFICATE_DAYS_WARNED - 0.1, "warning"), (CERTIFICATE_DAYS_WARNED, "ok")],
)
def test_days_of_the_certificate(scene: Scene, days: float, state: str) -> None:
    finding = one(identity.judge((), days, scene.config, is_made_by_unit=False, again=HEALS))
    assert finding.state == state
    assert ("edged fleet add-node n1" in finding.remedy) == (state != "ok")


async def test_an_expired_certificate_is_read(scene: Scene) -> None:
    scene.identity(now=NOW - 40 * 86_400, days=30)
    assert "has expired 10 days ago" in one(await identity.look(scene.subject())).message


# --- roster ---


async def test_a_fleet_that_has_not_begun(scene: Scene) -> None:
    scene.node_toml(fleet='listen = "192.0.2.2:7411"\nroster = "roster.bin"')
    finding = one(await roster.look(scene.subject(config_problems=find(scene.config))))
    assert finding.state == "problem"
    assert "waits for the fleet to begin" in finding.message
    for words in ("edged fleet add-node n1 node.crt --region eu --address HOST:7411", "edged fleet sign", "roster.bin"):
        assert words in finding.remedy
    assert finding.remedy.endswith(HEALS)


async def test_a_roster_that_is_there(scene: Scene) -> None:
    scene.node_toml(fleet='roster = "roster.bin"')
    file = scene.roster(scene.identity())
    subject = await gather(scene.config_file, root=scene.root)
    assert one(await roster.look(subject)).state == "ok"
    file.write_bytes(b"no roster")
    subject = await gather(scene.config_file, root=scene.root)
    assert one(await roster.look(subject)).state == "problem"


async def test_neither_roster_nor_voucher(scene: Scene) -> None:
    scene.node_toml(fleet="")
    finding = one(await roster.look(await gather(scene.config_file, root=scene.root)))
    assert (finding.state, finding.message) == ("problem", "this node is in no fleet")


# --- unit ---

FAILURE = Failure(NOW - 120, ListenError.code, "port 80 is taken\nby another", "Choose another.")


async def of_unit(scene: Scene, failure: Failure | None = None, **properties: str) -> list[Finding]:
    return list(await unit.look(scene.subject(units={NODE_UNIT: LOADED | properties}, failure=failure)))


async def test_a_unit_that_runs(scene: Scene) -> None:
    finding = one(await of_unit(scene, ActiveState="active"))
    assert (finding.check, finding.state) == ("unit", "ok")
    (warning, running) = await of_unit(scene, ActiveState="active", NRestarts="3")
    assert (warning.check, warning.state, running.state) == ("start", "warning", "ok")
    assert one(await of_unit(scene, ActiveState="active", NRestarts="2")).state == "ok"


@pytest.mark.parametrize(
    ("properties", "check", "state", "words"),
    [
        ({"ActiveState": "inactive"}, "unit", "problem", "nothing starts it"),
        ({"ActiveState": "failed"}, "unit", "problem", "is failed"),
        ({"ActiveState": "inactive", "Job": "12"}, "start", "warning", "is being started"),
        ({"ActiveState": "activating", "SubState": "start"}, "start", "warning", "is being started"),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "9", "Result": "exit-code"},
            "start",
            "problem",
            "again and again, 9 times so far: exit-code",
        ),
        ({"LoadState": "masked"}, "unit", "problem", "is masked"),
        ({"LoadState": "not-found"}, "unit", "problem", "systemd has no edged.service"),
        ({"LoadState": "bad-setting"}, "unit", "problem", "cannot use"),
    ],
)
async def test_a_unit_that_does_not(
    scene: Scene, properties: dict[str, str], check: str, state: str, words: str
) -> None:
    finding = one(await of_unit(scene, None, **properties))
    assert (finding.check, finding.state) == (check, state)
    assert words in finding.message
    assert finding.remedy


async def test_what_is_read_and_started_at_boot(scene: Scene) -> None:
    found = await of_unit(scene, ActiveState="active", UnitFileState="disabled", NeedDaemonReload="yes")
    assert [(finding.check, finding.state) for finding in found] == [
        ("unit", "warning"),
        ("unit", "warning"),
        ("unit", "ok"),
    ]
    assert "daemon-reload" in found[0].remedy
    assert "systemctl enable edged.service" in found[1].remedy


async def test_why_it_ends_is_what_the_node_said(scene: Scene) -> None:
    finding = one(await of_unit(scene, FAILURE, ActiveState="activating", SubState="auto-restart", NRestarts="4"))
    assert (finding.check, finding.state) == ("start", "problem")
    assert "4 times so far: port 80 is taken; by another [listen.failed, 2 min ago]" in finding.message
    assert finding.remedy == f"Choose another. {HEALS}"


async def test_a_failure_of_a_node_that_was_started_beside_one_that_runs(scene: Scene) -> None:
    assert one(await of_unit(scene, FAILURE, ActiveState="active")).state == "ok"


async def test_without_systemd(scene: Scene) -> None:
    subject = scene.subject(units=None, units_why="no systemd", failure=FAILURE, machine=None)
    failed, unknown = await unit.look(subject)
    assert (failed.check, failed.state, unknown.state) == ("start", "problem", "unknown")
    assert failed.remedy == "Choose another. Then start the node again."
    assert one(await unit.look(replace(subject, failure=None))).state == "unknown"


async def test_by_hand_without_a_unit(scene: Scene) -> None:
    subject = scene.subject(units={NODE_UNIT: {"LoadState": "not-found"}}, machine=None)
    assert one(await unit.look(subject)).state == "note"
