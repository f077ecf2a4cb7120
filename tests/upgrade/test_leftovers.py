"""What is removed after an upgrade, and what stays."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from edged.upgrade.leftovers import hidden, remove_leftovers
from edged.upgrade.processes import executables, one_file_of, one_files
from edged.upgrade.versions import Versions
from provisioning.binary.header import UNFINISHED, header


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    (tmp_path / "bin").mkdir()
    found = Versions(tmp_path / "lib", tmp_path / "bin" / "edged")
    with found.locked():
        return found


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    return folder


def add(versions: Versions, unpacked: Path, build: str) -> str:
    """A version with the real head, and its unpacked folder."""
    data = header(build * 64, version="0.1.0", machine="x86_64", glibc="2.36")
    with versions.incoming() as incoming:
        incoming.write(data)
        versions.keep(incoming, hashlib.sha256(data).hexdigest())
    (unpacked / (build * 64) / "_internal").mkdir(parents=True)
    (unpacked / (build * 64) / "_internal" / "library").write_bytes(b"library")
    return hashlib.sha256(data).hexdigest()


def test_all_but_those_that_are_named_go_with_their_folders(versions: Versions, unpacked: Path) -> None:
    a, b, c = (add(versions, unpacked, build) for build in "abc")
    (unpacked / "0123").mkdir()
    (unpacked / ("d" * 64)).write_bytes(b"a file of somebody")
    (versions.folder / "edged-fetch").write_bytes(b"#!/bin/sh\n")
    assert remove_leftovers(versions, {a, b}, unpacked) == (c,)
    assert set(versions.all()) == {a, b}
    assert {entry.name for entry in os.scandir(unpacked)} == {"a" * 64, "b" * 64, "0123", "d" * 64}
    assert (versions.folder / "edged-fetch").exists()
    assert remove_leftovers(versions, {a, b}, unpacked) == ()


def test_folders_of_versions_that_are_not_here(versions: Versions, unpacked: Path) -> None:
    a = add(versions, unpacked, "a")
    (unpacked / ("e" * 64)).mkdir()
    remove_leftovers(versions, {a}, unpacked)
    assert [entry.name for entry in os.scandir(unpacked)] == ["a" * 64]


def test_what_a_process_runs_stays(versions: Versions, unpacked: Path) -> None:
    """A file by what the process was told at its start, a folder by its executable."""
    a, b, c = (add(versions, unpacked, build) for build in "abc")
    program = unpacked / ("c" * 64) / "edged"
    program.write_bytes(Path("/bin/cat").read_bytes())
    program.chmod(0o755)
    process = subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"EDGED_FILE": str(versions.path(b))}
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"it runs\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"it runs\n"
        assert one_file_of(process.pid) == versions.path(b)
        assert versions.path(b) in one_files()
        assert program in executables()
        assert remove_leftovers(versions, {a}, unpacked) == (c,)
        assert set(versions.all()) == {a, b}
        assert {entry.name for entry in os.scandir(unpacked)} == {letter * 64 for letter in "abc"}
    finally:
        process.communicate()
    assert remove_leftovers(versions, {a}, unpacked) == (b,)
    assert [entry.name for entry in os.scandir(unpacked)] == ["a" * 64]


def test_what_is_being_removed_has_a_name_that_the_head_clears(tmp_path: Path) -> None:
    """Should the removing be killed: nothing else ever looks at it."""
    assert hidden(tmp_path).parent == tmp_path
    assert hidden(tmp_path).name.startswith(UNFINISHED)
    assert f"-name '{UNFINISHED}*'".encode() in header("a" * 64, version="0", machine="x86_64", glibc="2.36")


def test_nothing_is_unpacked(versions: Versions, unpacked: Path, tmp_path: Path) -> None:
    a = add(versions, unpacked, "a")
    assert remove_leftovers(versions, set(), tmp_path / "missing") == (a,)


def test_a_link_is_not_followed(versions: Versions, unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"")
    (unpacked / ("f" * 64)).symlink_to(tmp_path / "precious")
    remove_leftovers(versions, set(), unpacked)
    assert (tmp_path / "precious" / "file").exists()


def test_processes_that_are_gone_or_say_nothing() -> None:
    assert one_file_of(2**22 + 1) is None
    assert one_file_of(os.getpid(), Path("/no/proc")) is None
