from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from provisioning.binary.contents import Entry, build_id, entries_of, glibc_needed, lines_of, write_archive

OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path / "one", ["b/z", "b/a", "a"])


def filled(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name * 1000)
    (folder / "program").write_text("")
    (folder / "program").chmod(0o700)
    (folder / "link").symlink_to("b/a")
    return folder


def archive_of(folder: Path) -> bytes:
    buffer = io.BytesIO()
    write_archive(folder, entries_of(folder), buffer)
    return buffer.getvalue()


def test_entries(folder: Path) -> None:
    entries = entries_of(folder)
    assert [entry.path for entry in entries] == ["a", "b/a", "b/z", "link", "program"]
    assert entries[3:] == (
        Entry("link", 0, "", is_program=False, target="b/a"),
        Entry("program", 0, OF_NOTHING, is_program=True),
    )
    assert lines_of(entries[2:]).splitlines()[1:] == ["link -> b/a", f"program 0 {OF_NOTHING} *"]
    assert entries[2].line.split()[:2] == ["b/z", "3000"]


def test_the_same_files_are_the_same_archive(folder: Path, tmp_path: Path) -> None:
    """Made in another order, at another time, with other permissions for others."""
    second = filled(tmp_path / "two", ["a", "b/z", "b/a"])
    (second / "a").chmod(0o600)
    (second / "b").chmod(0o700)
    os.utime(second / "a", (1, 1))
    assert archive_of(second) == archive_of(folder)
    assert build_id(entries_of(second)) == build_id(entries_of(folder))


@pytest.mark.parametrize("change", ["a byte", "a name", "a program", "a link", "one more"])
def test_other_files_are_another_build(folder: Path, change: str) -> None:
    before = build_id(entries_of(folder))
    match change:
        case "a byte":
            (folder / "a").write_text("b" * 1000)
        case "a name":
            (folder / "a").rename(folder / "c")
        case "a program":
            (folder / "a").chmod(0o755)
        case "a link":
            (folder / "link").unlink()
            (folder / "link").symlink_to("a")
        case "one more":
            (folder / "b" / "empty").touch()
    assert build_id(entries_of(folder)) != before


def test_what_is_in_the_archive(folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive_of(folder))) as archive:
        members = archive.getmembers()
        assert [(member.name, member.mode) for member in members] == [
            *(("a", 0o644), ("b/a", 0o644), ("b/z", 0o644), ("link", 0o644), ("program", 0o755)),
        ]
        assert {(member.uid, member.gid, member.uname, member.mtime) for member in members} == {(0, 0, "", 315_532_800)}
        assert members[3].linkname == "b/a"
        file = archive.extractfile("b/z")
        assert file is not None
        assert file.read() == (folder / "b" / "z").read_bytes()


def test_the_newest_c_library_that_is_asked_for(folder: Path) -> None:
    (folder / "a").write_bytes(b"\x7fELF\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.4\0")
    (folder / "b" / "a").write_bytes(b"GLIBC_2.17\0 GLIBC_2.99 is text, GLIBC_PRIVATE\0")
    assert glibc_needed(folder) == "2.34"
