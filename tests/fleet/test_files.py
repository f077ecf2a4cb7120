"""Small files: whole or not at all, with the mode that was asked for, and read within a bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edged.errors import FleetFileError, FleetFileExists, FleetFileInvalid, FleetFileMissing
from edged.fleet.files import read_file, write_file


@pytest.mark.parametrize("umask", [0, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_has_its_mode_whatever_the_umask(tmp_path: Path, mode: int, umask: int) -> None:
    former = os.umask(umask)
    try:
        write_file(tmp_path / "a", b"new", mode=mode)
    finally:
        os.umask(former)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
    assert read_file(tmp_path / "a", 3) == b"new"


def test_a_file_that_is_there_is_replaced_only_if_that_was_meant(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"old", mode=0o600)
    with pytest.raises(FleetFileExists):
        write_file(tmp_path / "a", b"new", mode=0o600)
    assert read_file(tmp_path / "a", 3) == b"old"
    write_file(tmp_path / "a", b"new", mode=0o600, replace=True)
    assert read_file(tmp_path / "a", 3) == b"new"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("over", [0, 1])
def test_bytes_at_the_limit_and_over(tmp_path: Path, over: int) -> None:
    (tmp_path / "a").write_bytes(bytes(10 + over))
    if over:
        with pytest.raises(FleetFileInvalid):
            read_file(tmp_path / "a", 10)
    else:
        assert read_file(tmp_path / "a", 10) == bytes(10)


def test_what_the_disk_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(FleetFileMissing):
        read_file(tmp_path / "a", 10)
    with pytest.raises(FleetFileError):
        read_file(tmp_path, 10)
    with pytest.raises(FleetFileError):
        write_file(tmp_path / "nowhere" / "a", b"", mode=0o600)
