"""Where root and others unpack the one file, on a machine whose /var/cache is this test's, and whose disks fill up."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab.lab import may_run
from tests.provisioning.binary.small import Done, OneFile, one_file

pytestmark = pytest.mark.skipif(bool(may_run("unshare", "setpriv")), reason=may_run("unshare", "setpriv") or "-")

NOBODY, OTHER = 65534, 65533
MiB = 1024 * 1024
_PROGRAM = '#!/bin/sh\n[ "$1" = --version ] || printf "%s\\n" "$0" "$@"\n'


class Machine:
    """A mount namespace for each start: /var/cache is a folder of the test's.

    Attributes:
        cache: what is /var/cache there.
        shared: /var/cache/edged/BUILD/edged, as it is called there.
    """

    def __init__(self, small: OneFile, folder: Path) -> None:
        self.small = small
        self.cache = folder / "cache"
        self.cache.mkdir()
        self.home = folder / "home"
        self.home.mkdir()
        os.chown(self.home, NOBODY, NOBODY)
        self.shared = f"/var/cache/edged/{small.build}/edged"
        self.own = f"{self.home}/.cache/edged/program/{small.build}/edged"

    def start(self, user: int, *, before: str = "", environment: dict[str, str] | None = None) -> Done:
        """As a user, after what a script of root's does to the machine."""
        script = f'mount --bind "$1" /var/cache && {{ {before or "true"}; }} && shift && exec "$@"'
        as_user: Sequence[str] = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        return self.small.run(
            command=["unshare", "-m", "/bin/sh", "-c", script, "sh", str(self.cache), *as_user, str(self.small.file)],
            environment={"PATH": os.environ["PATH"], "HOME": str(self.home)} if environment is None else environment,
        )

    def ran(self, user: int, **options: str) -> str:
        """The program that a start ran."""
        done = self.start(user, **options)  # type: ignore[arg-type]
        assert done.status == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for folder in (tmp_path, *tmp_path.parents):  # pytest's are for its user only
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    return Machine(one_file(tmp_path, _PROGRAM), tmp_path)


def test_root_unpacks_for_all(machine: Machine) -> None:
    assert machine.ran(0) == machine.shared
    assert machine.ran(NOBODY) == machine.shared
    assert machine.ran(0) == machine.shared
    assert not (machine.home / ".cache").exists()


def test_who_may_not_write_there_unpacks_at_home(machine: Machine) -> None:
    assert machine.ran(NOBODY) == machine.own
    assert not (machine.cache / "edged").exists()
    assert machine.ran(0) == machine.shared  # root never runs what is somebody's own
    assert machine.ran(NOBODY) == machine.shared


def test_another_folder_for_caches(machine: Machine, tmp_path: Path) -> None:
    caches = tmp_path / "caches"
    caches.mkdir()
    os.chown(caches, NOBODY, NOBODY)
    environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(caches)}
    assert machine.start(NOBODY, environment=environment).stdout.startswith(f"{caches}/edged/program/")
    # A relative one is to be ignored, and there is no home either.
    done = machine.start(NOBODY, environment=environment | {"XDG_CACHE_HOME": "caches"})
    assert (done.status, done.stderr.splitlines()) == (
        74,
        [
            "edged: it has no folder to unpack itself into",
            "  Set HOME, or EDGED_UNPACK_DIR to a folder of yours.",
        ],
    )


@pytest.mark.parametrize("spoilt", ["", "{build}"])
@pytest.mark.parametrize("owner", [OTHER, NOBODY])
def test_what_somebody_else_put_in_roots_place(machine: Machine, spoilt: str, owner: int) -> None:
    machine.ran(0)
    os.chown(machine.cache / "edged" / spoilt.format(build=machine.small.build), owner, owner)
    done = machine.start(0)
    assert (done.status, done.stdout) == (77, "")
    assert "/var/cache/edged is no folder that root or you alone can change" in done.stderr
    # Others look past it. What is one's own is as good as at home.
    assert machine.ran(NOBODY) == (machine.shared if owner == NOBODY else machine.own)


def test_a_home_that_somebody_else_prepared(machine: Machine) -> None:
    machine.ran(NOBODY)
    os.chown(machine.home / ".cache" / "edged" / "program" / machine.small.build, OTHER, OTHER)
    done = machine.start(NOBODY)
    assert (done.status, done.stdout) == (77, "")


def test_a_disk_that_cannot_be_written(machine: Machine) -> None:
    """Root unpacks at home then; and finds it in the shared folder if it is there."""
    read_only = "mount -o remount,bind,ro /var/cache"
    shutil.rmtree(machine.home)
    machine.home.mkdir()
    assert machine.ran(0, before=read_only) == machine.own
    machine.ran(0)
    assert machine.ran(0, before=read_only) == machine.shared
    assert machine.ran(NOBODY, before=read_only) == machine.shared


@pytest.mark.parametrize("theirs", ["home", "home/.cache", "home/.cache/edged"])
def test_root_with_the_home_of_somebody_else(machine: Machine, theirs: str, tmp_path: Path) -> None:
    """`sudo -E`: whoever owns a folder above may put another one in place of what was looked at."""
    os.chown(machine.home, 0, 0)
    (machine.home / ".cache" / "edged").mkdir(parents=True)
    os.chown(tmp_path / theirs, OTHER, OTHER)
    done = machine.start(0, before="mount -o remount,bind,ro /var/cache")
    assert (done.status, done.stdout) == (74, "")
    assert done.stderr.startswith("edged: it has no folder to unpack itself into\n")
    assert list((machine.home / ".cache" / "edged").iterdir()) == []
    os.chown(tmp_path / theirs, 0, 0)
    assert machine.ran(0, before="mount -o remount,bind,ro /var/cache") == machine.own


def test_root_with_a_folder_for_caches_that_is_not_there(machine: Machine, tmp_path: Path) -> None:
    """Nobody knows whose the folder above is."""
    environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path / "caches")}
    done = machine.start(0, before="mount -o remount,bind,ro /var/cache", environment=environment)
    assert (done.status, (tmp_path / "caches").exists()) == (74, False)


def test_neither_can_be_written(machine: Machine) -> None:
    machine.home.chmod(0o555)
    done = machine.start(NOBODY)
    assert (done.status, done.stdout) == (74, "")
    assert done.stderr.splitlines() == [
        f"edged: it cannot make {machine.home}/.cache/edged/program to unpack itself into",
        "  Make room there, or set EDGED_UNPACK_DIR to a folder of yours on another disk.",
    ]


@pytest.mark.parametrize(("size_mib", "fits"), [(1, False), (2, False), (4, True)])
def test_a_disk_that_fills_up(machine: Machine, size_mib: int, fits: bool) -> None:
    """What is unpacked takes three."""
    folder = machine.cache / "edged"
    small_disk = f"mkdir -p /var/cache/edged && mount -t tmpfs -o mode=755,size={size_mib}m tmpfs /var/cache/edged"
    # The disk goes with the namespace, so what is left on it is looked at by what follows the start.
    look = f'trap \'ls -A /var/cache/edged >"{machine.home}/left"\' EXIT; "$@"; exit'
    done = machine.small.run(
        command=[
            *(
                "unshare",
                "-m",
                "/bin/sh",
                "-c",
                f'mount --bind "$1" /var/cache && {small_disk} && shift && {look}',
                "sh",
            ),
            *(str(machine.cache), str(machine.small.file)),
        ],
        environment={"PATH": os.environ["PATH"]},
    )
    left = (machine.home / "left").read_text().split()
    assert os.listdir(folder) == []  # it was the small disk that was written to
    if fits:
        assert (done.status, done.stdout.strip(), left) == (0, machine.shared, [machine.small.build])
        return
    assert (done.status, done.stdout, left) == (74, "", [])
    what, remedy = done.stderr.splitlines()
    assert what.startswith("edged: it cannot unpack itself into /var/cache/edged: ")
    assert what.endswith("No space left on device")
    assert remedy == "  Make room there, or set EDGED_UNPACK_DIR to a folder of yours on another disk."


def test_a_disk_from_which_nothing_may_be_executed(machine: Machine) -> None:
    no_exec = "mount -o remount,bind,noexec /var/cache"
    done = machine.start(0, before=no_exec)
    assert done.status == 69
    assert "not from /var/cache/edged: " in done.stderr
    assert "noexec" in done.stderr
    assert os.listdir(machine.cache / "edged") == []


@pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")
def test_a_machine_with_nothing_but_busybox(tmp_path: Path) -> None:
    """No GNU tar, find, mv, sync."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in (
        "sh",
        "find",
        "grep",
        "gzip",
        "head",
        "id",
        "mkdir",
        "mktemp",
        "mv",
        "readlink",
        "rm",
        "sync",
        "tail",
        "tar",
    ):
        (root / "bin" / name).symlink_to("busybox")
    (root / "dev").mkdir()
    os.mknod(root / "dev" / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    small = one_file(tmp_path, _PROGRAM)
    shutil.copy(small.file, root / "edged")
    chroot = shutil.which("chroot")
    assert chroot is not None
    inside = [chroot, str(root), "/edged"]
    for _ in range(2):
        done = small.run("a b", command=inside, environment={"HOME": "/"})
        assert (done.status, done.stdout, done.stderr) == (0, f"/var/cache/edged/{small.build}/edged\na b\n", "")
    (root / "edged").write_bytes(small.file.read_bytes()[:-100_000])
    shutil.rmtree(root / "var")
    done = small.run(command=inside, environment={"HOME": "/"})
    assert done.status == 74
    assert os.listdir(root / "var" / "cache" / "edged") == []
