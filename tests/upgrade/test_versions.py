"""The folder of versions: whole after any kill, and nobody else's."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from edged.errors import (
    UpgradeBusy,
    UpgradeDigestMismatch,
    UpgradeFolderError,
    UpgradeForbidden,
    UpgradeImpossible,
    UpgradeSourceUnavailable,
)
from edged.limits import UPGRADE_BINARY_BYTES_MAX
from edged.upgrade.versions import Versions
from tests.registry.faulty_disk import FaultyDisk, PowerCut


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def versions(tmp_path: Path, disk: FaultyDisk) -> Versions:
    (tmp_path / "bin").mkdir()
    found = Versions(tmp_path / "lib", tmp_path / "bin" / "edged", disk)
    with found.locked():
        return found


def put(versions: Versions, data: bytes) -> str:
    with versions.incoming() as incoming:
        incoming.write(data)
        return versions.keep(incoming, hashlib.sha256(data).hexdigest())


def names(versions: Versions) -> set[str]:
    return {entry.name for folder in (versions.folder, versions.command.parent) for entry in os.scandir(folder)}


def test_a_version_has_the_name_of_its_bytes(versions: Versions) -> None:
    sha256 = put(versions, b"one")
    assert versions.path(sha256).read_bytes() == b"one"
    assert versions.path(sha256).stat().st_mode & 0o7777 == 0o755
    assert versions.all() == [sha256]
    assert versions.is_whole(sha256)
    assert versions.current() is None
    versions.use(sha256)
    assert versions.current() == sha256
    assert versions.command.read_bytes() == b"one"


def test_other_bytes_are_not_kept(versions: Versions) -> None:
    with versions.incoming() as incoming:
        incoming.write(b"two")
        with pytest.raises(UpgradeDigestMismatch):
            versions.keep(incoming, hashlib.sha256(b"one").hexdigest())
    assert names(versions) == {".upgrade.lock"}


def test_damaged_bytes_are_noticed(versions: Versions) -> None:
    sha256 = put(versions, b"one")
    versions.path(sha256).write_bytes(b"onf")
    assert not versions.is_whole(sha256)
    assert not versions.is_whole("0" * 64)


@pytest.mark.parametrize("over", [0, 1])
def test_as_large_as_may_be(versions: Versions, over: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert UPGRADE_BINARY_BYTES_MAX > 64
    monkeypatch.setattr("edged.upgrade.versions.UPGRADE_BINARY_BYTES_MAX", 64)
    if over:
        with pytest.raises(UpgradeSourceUnavailable, match="more than"):
            put(versions, bytes(64 + over))
    else:
        put(versions, bytes(64))
    assert len(versions.all()) == 1 - over


def test_what_is_not_there_is_not_used(versions: Versions) -> None:
    one = put(versions, b"one")
    versions.use(one)
    with pytest.raises(UpgradeImpossible, match="not there"):
        versions.use("0" * 64)
    assert versions.current() == one


@pytest.mark.parametrize("steps", range(3))
def test_power_is_lost_while_one_is_kept(versions: Versions, disk: FaultyDisk, steps: int) -> None:
    old = put(versions, b"one")
    versions.use(old)
    disk.fail_after(steps)
    with pytest.raises(PowerCut):
        put(versions, b"two")
    again = Versions(versions.folder, versions.command)
    with again.locked():
        assert again.current() == old
        assert all(again.is_whole(each) for each in again.all())
        assert not any(name.startswith(".new-") for name in names(again))
        new = put(again, b"two")
        again.use(new)
        assert again.current() == new


@pytest.mark.parametrize("steps", range(2))
def test_power_is_lost_at_the_switch(versions: Versions, disk: FaultyDisk, steps: int) -> None:
    """The command leads to the one or the other, at every moment."""
    old, new = put(versions, b"one"), put(versions, b"two")
    versions.use(old)
    disk.fail_after(steps)
    with pytest.raises(PowerCut):
        versions.use(new)
    again = Versions(versions.folder, versions.command)
    assert again.command.read_bytes() == (b"one", b"two")[steps]
    with again.locked():
        assert not any(name.startswith(".new-") for name in names(again))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("steps", range(3))
def test_a_disk_that_fails(versions: Versions, disk: FaultyDisk, steps: int, error: int) -> None:
    disk.fail_after(steps, error)
    with pytest.raises(UpgradeFolderError, match=os.strerror(error)):
        put(versions, b"one")
    assert not any(name.startswith(".new-") for name in names(versions))


def test_a_disk_that_fails_at_the_switch(versions: Versions, disk: FaultyDisk) -> None:
    old, new = put(versions, b"one"), put(versions, b"two")
    versions.use(old)
    disk.fail_after(0, errno.EIO)
    with pytest.raises(UpgradeFolderError):
        versions.use(new)
    assert versions.current() == old
    assert not any(name.startswith(".new-") for name in names(versions))


def test_two_at_once(versions: Versions) -> None:
    with versions.locked(), pytest.raises(UpgradeBusy), Versions(versions.folder, versions.command).locked():
        raise AssertionError("both have it")
    with versions.locked():
        pass


def test_a_folder_that_others_may_write_to(versions: Versions) -> None:
    versions.folder.chmod(0o775)
    with pytest.raises(UpgradeFolderError, match="others"), versions.locked():
        raise AssertionError


def test_somebody_elses_folder(versions: Versions) -> None:
    """Root's, for users; for root that of a user, who could change what root runs."""
    if os.geteuid() == 0:
        os.chown(versions.folder, 65534, 65534)
    else:
        versions = Versions(Path("/usr"), versions.command)
    with pytest.raises(UpgradeForbidden), versions.locked():
        raise AssertionError


@pytest.mark.parametrize("target", ["/no/where", "edged-" + "0" * 64, "../lib/edged-" + "0" * 64, "../lib/not-here"])
def test_a_command_that_leads_to_none_of_ours(versions: Versions, target: str) -> None:
    versions.command.symlink_to(target)
    assert versions.current() is None


def test_a_version_of_another_folder_is_not_ours(versions: Versions, tmp_path: Path) -> None:
    sha256 = put(versions, b"one")
    other = tmp_path / "other"
    other.mkdir()
    (other / versions.path(sha256).name).write_bytes(b"one")
    versions.command.symlink_to(other / versions.path(sha256).name)
    assert versions.current() is None


def test_a_relative_link_is_ours_too(versions: Versions) -> None:
    sha256 = put(versions, b"one")
    versions.command.symlink_to(f"../lib/edged-{sha256}")
    assert versions.current() == sha256


def test_a_file_in_place_of_the_link_is_kept_as_a_version(versions: Versions) -> None:
    versions.command.write_bytes(b"by hand")
    assert versions.current() is None
    sha256 = versions.adopt()
    assert sha256 == hashlib.sha256(b"by hand").hexdigest()
    versions.use(sha256)
    assert versions.command.is_symlink()
    assert versions.command.read_bytes() == b"by hand"


def test_nothing_to_adopt(versions: Versions) -> None:
    assert versions.adopt() is None
    (versions.folder / "not-here").write_bytes(b"#!/bin/sh\n")
    versions.command.symlink_to("../lib/not-here")
    assert versions.adopt() is None
    assert versions.all() == []


def test_what_is_not_ours_stays(versions: Versions) -> None:
    sha256 = put(versions, b"one")
    (versions.folder / "edged-fetch").write_bytes(b"#!/bin/sh\n")
    versions.remove(sha256)
    versions.remove(sha256)
    assert names(versions) == {".upgrade.lock", "edged-fetch"}
