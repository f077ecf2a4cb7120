"""The head of the one file, by dash and by busybox, with a small program behind it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from provisioning.binary.header import HEADER_BYTES, UNFINISHED, build_id_of, header
from tests.provisioning.binary.small import OneFile, one_file

BUSYBOX = shutil.which("busybox")
SHELLS = [
    "/bin/sh",
    pytest.param(f"{BUSYBOX} sh", marks=pytest.mark.skipif(BUSYBOX is None, reason="busybox is not installed")),
]
ODD = ["", " ", "a b", "*", "-n", "--", "$HOME", "line\nline", "'\"\\", "ä"]


@pytest.fixture(params=SHELLS)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> OneFile:
    return one_file(tmp_path, shell=request.param)


@pytest.fixture
def plain(tmp_path: Path) -> OneFile:
    return one_file(tmp_path)


def test_it_is_handed_what_it_was_given(small: OneFile) -> None:
    # Names that a shell script might use, and what tools of the unpacking would heed.
    mine = dict.fromkeys(("build", "base", "user", "file", "new", "said", "cache", "shared", "room", "bad"), "mine")
    mine |= {"TAR_OPTIONS": "--to-stdout", "GZIP": "-1", "LC_ALL": "C", "LD_LIBRARY_PATH": "/nowhere", "CDPATH": "/"}
    environment = small.environment | mine
    for _ in ("unpacked by this start", "found by this one"):
        said = small.run(*ODD, environment=environment, stdin="line\n" * 100_000, umask=0o027).said
        assert said["arguments"] == ODD
        assert said["stdin"] == "line\n" * 100_000
        assert said["umask"] == 0o027
        assert said["program"] == str(small.program)
        assert environment.items() <= said["environment"].items()
        assert said["environment"]["EDGED_FILE"] == str(small.file)
        # A shell adds where it is, and which command it runs.
        assert set(said["environment"]) - set(environment) <= {"EDGED_FILE", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
    assert small.left_behind() == []


def test_inherited_files_stay_open_and_no_other(small: OneFile) -> None:
    ours, theirs = os.pipe()
    high = 100
    os.dup2(theirs, high)
    try:
        for _ in range(2):
            said = small.run(pass_fds=[theirs, high]).said
            assert {name for name, kind in said["descriptors"].items() if kind == stat.S_IFIFO} >= {
                str(theirs),
                str(high),
            }
            assert set(said["descriptors"]) == {"0", "1", "2", str(theirs), str(high)}
    finally:
        for descriptor in (ours, theirs, high):
            os.close(descriptor)


def test_the_process_stays_the_same(small: OneFile) -> None:
    for _ in range(2):
        with subprocess.Popen(
            [small.file], env=small.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert f'"pid": {process.pid},' in process.stdout.read()


def test_it_ends_with_the_programs_status(small: OneFile) -> None:
    for _ in range(2):
        assert small.run("exit", "7").status == 7
        assert small.run("exit", "0").status == 0


def test_the_second_start_unpacks_nothing(small: OneFile) -> None:
    small.run()
    first = small.program.stat().st_ino
    small.run()
    assert small.program.stat().st_ino == first
    assert small.left_behind() == []


def test_what_is_unpacked_is_what_was_packed(small: OneFile, tmp_path: Path) -> None:
    """For every user to read, and for its owner alone to change, whatever the umask."""
    small.run(umask=0o077)
    folder = small.program.parent
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    assert set(names) == {"edged", "_internal", "_internal/deeper", "_internal/deeper/library", "_internal/link"}
    for name, mode in {
        "edged": 0o755,
        "_internal": 0o755,
        "_internal/deeper": 0o755,
        "_internal/deeper/library": 0o644,
    }.items():
        assert stat.S_IMODE(names[name].stat().st_mode) == mode
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(small.unpack.stat().st_mode) == 0o755
    for name in ("edged", "_internal/deeper/library"):
        assert names[name].read_bytes() == (tmp_path / "content" / name).read_bytes()
    assert names["_internal/link"].readlink() == Path("deeper/library")


def test_however_it_is_called(small: OneFile, tmp_path: Path) -> None:
    folder = small.file.parent
    link = tmp_path / "link"
    link.symlink_to(small.file)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "edged").symlink_to(link)
    by_path = small.environment | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    calls = [
        small.run(),
        small.run(command=["./edged"], cwd=folder),
        small.run(command=["a folder/edged"], cwd=tmp_path),
        small.run(command=[str(link)]),
        small.run(command=["/bin/sh", "edged"], cwd=folder),
        small.run(command=["/bin/sh", "-c", 'exec edged "$@"', "sh"], environment=by_path),
    ]
    for done in calls:
        assert done.said["environment"]["EDGED_FILE"] == str(small.file)
        assert done.said["program"] == str(small.program)
    assert calls[1].said["folder"] == str(folder)


def test_a_current_folder_that_is_gone(small: OneFile, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for _ in range(2):
        gone.mkdir()
        said = small.run(command=["/bin/sh", "-c", 'rmdir "$PWD"; exec "$0"', str(small.file)], cwd=gone).said
        assert said["folder"] is None


def test_no_path_to_search(plain: OneFile) -> None:
    environment = {name: value for name, value in plain.environment.items() if name != "PATH"}
    assert plain.run(environment=environment).said["program"] == str(plain.program)


def test_many_first_starts_at_once(small: OneFile) -> None:
    started = [
        subprocess.Popen([small.file, "exit", "3"], env=small.environment, stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert [(process.communicate()[1], process.returncode) for process in started] == [("", 3)] * 6
    assert small.left_behind() == []
    assert sorted(os.listdir(small.program.parent)) == ["_internal", "edged"]


@pytest.mark.parametrize("kept", ["nothing", "ten bytes", "half", "all but one"])
def test_a_file_that_was_cut_off(small: OneFile, kept: str) -> None:
    """Nothing of it is taken for whole, and the whole one works afterwards."""
    data = small.file.read_bytes()
    archive = len(data) - HEADER_BYTES
    left = {"nothing": 0, "ten bytes": 10, "half": archive // 2, "all but one": archive - 1}[kept]
    small.file.write_bytes(data[: HEADER_BYTES + left])
    done = small.run()
    assert done.status in (69, 74)
    assert done.stdout == ""
    assert done.stderr.startswith("edged: it ")
    assert len(done.stderr.splitlines()) == 2
    assert os.listdir(small.unpack) == []
    small.file.write_bytes(data)
    assert small.run().said["program"] == str(small.program)


def test_a_byte_that_changed_on_the_way(plain: OneFile) -> None:
    data = bytearray(plain.file.read_bytes())
    data[HEADER_BYTES + (len(data) - HEADER_BYTES) // 2] ^= 1
    plain.file.write_bytes(data)
    assert plain.run().status == 74
    assert os.listdir(plain.unpack) == []


def test_a_program_that_does_not_run_here(tmp_path: Path) -> None:
    broken = one_file(tmp_path, "#!/bin/sh\necho version GLIBC_9.9 not found >&2\necho more >&2\nexit 127\n")
    done = broken.run()
    assert done.status == 69
    assert done.stderr.splitlines() == [
        f"edged: it does not run on this machine, or not from {broken.unpack}: version GLIBC_9.9 not found",
        "  It needs Linux on x86_64 with glibc 2.36 or later, and a folder that is not mounted noexec.",
    ]
    assert os.listdir(broken.unpack) == []


def test_one_that_was_killed_while_it_unpacked(tmp_path: Path) -> None:
    """All its processes at once, as a machine that loses power; then the same file is started again."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    waiting = f'#!/bin/sh\nif [ "$1" = --version ] && [ -e {gate} ]; then echo here >{gate}; sleep 600; fi\necho ran\n'
    small = one_file(tmp_path, waiting)
    process = subprocess.Popen([small.file], env=small.environment, stdout=subprocess.PIPE, start_new_session=True)
    with gate.open() as opened:
        assert opened.read() == "here\n"  # all is unpacked, and it is being tried
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    gate.unlink()
    assert not small.program.exists()
    (left,) = os.listdir(small.unpack)
    assert small.run().stdout == "ran\n"
    assert small.left_behind() == [left]  # it might be another one at work

    # An hour later it is not, and the next one that unpacks removes it.
    shutil.rmtree(small.program.parent)
    hour_ago_s = time.time() - 61 * 60
    os.utime(small.unpack / left, (hour_ago_s, hour_ago_s))
    keep = [small.unpack / "other", small.unpack / f"{UNFINISHED}recent"]
    for folder in keep:
        folder.mkdir()
    stale = small.unpack / f"{UNFINISHED}.tmp-of-an-upgrade"
    stale.mkdir()
    for folder in (keep[0], stale):
        os.utime(folder, (hour_ago_s, hour_ago_s))
    assert small.run().stdout == "ran\n"
    assert small.left_behind() == sorted(folder.name for folder in keep)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o700])
def test_folders_that_nobody_else_may_change(plain: OneFile, mode: int) -> None:
    plain.unpack.mkdir(mode=mode)
    plain.run()
    plain.program.parent.chmod(mode)
    assert plain.run().status == 0


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777])
@pytest.mark.parametrize("which", ["the folder", "the program's"])
def test_folders_that_others_may_change(small: OneFile, mode: int, which: str) -> None:
    small.run()
    (small.unpack if which == "the folder" else small.program.parent).chmod(mode)
    refused(small)


@pytest.mark.parametrize("mode", [0o775, 0o1777])
def test_an_empty_folder_that_others_may_change(small: OneFile, mode: int) -> None:
    small.unpack.mkdir()
    small.unpack.chmod(mode)
    refused(small)
    assert os.listdir(small.unpack) == []


def test_a_link_in_place_of_a_folder(small: OneFile, tmp_path: Path) -> None:
    small.run()
    elsewhere = tmp_path / "elsewhere"
    small.program.parent.rename(elsewhere)
    small.program.parent.symlink_to(elsewhere)
    refused(small)
    small.program.parent.unlink()
    elsewhere.rename(small.program.parent)
    small.unpack.rename(tmp_path / "moved")
    small.unpack.symlink_to(tmp_path / "moved")
    refused(small)


def refused(small: OneFile) -> None:
    done = small.run()
    assert (done.status, done.stdout) == (77, "")
    assert done.stderr.splitlines() == [
        f"edged: {small.unpack} is no folder that root or you alone can change, so nothing in it is executed",
        "  Remove it, or set EDGED_UNPACK_DIR to another one.",
    ]


def test_a_file_in_the_way(small: OneFile) -> None:
    small.unpack.write_text("")
    done = small.run()
    assert (done.status, done.stderr.splitlines()[0]) == (
        74,
        f"edged: it cannot make {small.unpack} to unpack itself into",
    )
    small.unpack.unlink()
    small.unpack.mkdir()
    small.program.parent.write_text("")
    refused(small)


def test_a_folder_by_half_a_path(small: OneFile) -> None:
    done = small.run(environment=small.environment | {"EDGED_UNPACK_DIR": "here"})
    assert done.status == 64
    assert "here, which is no absolute path" in done.stderr


@pytest.mark.parametrize("left", ["nothing", "others", "all but the program"])
def test_what_a_cleaner_left_is_replaced(small: OneFile, left: str) -> None:
    small.run()
    if left == "all but the program":
        small.program.unlink()
    else:
        shutil.rmtree(small.program.parent)
        small.program.parent.mkdir()
    if left == "others":
        (small.program.parent / "_internal").mkdir()
        (small.program.parent / "_internal" / "old").write_text("")
    assert small.run().said["program"] == str(small.program)
    assert small.left_behind() == []
    assert sorted(os.listdir(small.program.parent)) == ["_internal", "edged"]
    assert os.listdir(small.program.parent / "_internal" / "deeper") == ["library"]


def test_the_build_id_is_in_the_head(plain: OneFile, tmp_path: Path) -> None:
    assert build_id_of(plain.file) == plain.build
    other = tmp_path / "other"
    for content in (
        b"",
        b"build=abc\n",
        plain.file.read_bytes()[: HEADER_BYTES // 8],
        b"\n" * HEADER_BYTES + b"build=" + b"a" * 64,
    ):
        other.write_bytes(content)
        assert build_id_of(other) is None


def test_the_head_has_its_length() -> None:
    head = header("a" * 64, version="0.1.0", machine="x86_64", glibc="2.36")
    assert len(head) == HEADER_BYTES
    assert b"@" not in head.replace(b'"$@"', b"").replace(b'find "$@"', b"")
    assert b"edged 0.1.0:" in head
