"""Small files on a disk that fails at each step: whole and durable, or as they were."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from registry.whole_file import write_whole
from tests.registry.faulty_disk import FULL, FaultyDisk, PowerCut

STEPS = {True: 4, False: 5}  # written, synced, renamed (or linked and unlinked), folder synced


@pytest.mark.parametrize("replace", STEPS)
def test_a_file_has_its_bytes_and_mode(tmp_path: Path, replace: bool) -> None:
    disk = FaultyDisk()
    write_whole(tmp_path / "a", b"new", mode=0o600, replace=replace, disk=disk)
    assert disk.steps == STEPS[replace]
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a"]
    disk.lose_power(random.Random(1))
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("replace", "step"), [(replace, step) for replace in STEPS for step in range(STEPS[replace])])
def test_a_power_cut_leaves_the_whole_file_or_none(tmp_path: Path, replace: bool, step: int, seed: int) -> None:
    disk = FaultyDisk()
    disk.fail_after(step)
    with pytest.raises(PowerCut):
        write_whole(tmp_path / "a", b"new", mode=0o600, replace=replace, disk=disk)
    disk.lose_power(random.Random(seed))
    assert not (tmp_path / "a").exists() or (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("step", range(STEPS[True]))
def test_a_crash_leaves_what_was_there_or_the_new(tmp_path: Path, step: int) -> None:
    write_whole(tmp_path / "a", b"old", mode=0o600, replace=True)
    disk = FaultyDisk()
    disk.fail_after(step)
    with pytest.raises(PowerCut):
        write_whole(tmp_path / "a", b"new", mode=0o600, replace=True, disk=disk)
    assert (tmp_path / "a").read_bytes() == (b"old" if step < 3 else b"new")


@pytest.mark.parametrize(("replace", "step"), [(replace, step) for replace in STEPS for step in range(STEPS[replace])])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, replace: bool, step: int) -> None:
    disk = FaultyDisk()
    disk.fail_after(step, FULL)
    with pytest.raises(OSError, match="space"):
        write_whole(tmp_path / "a", b"new", mode=0o600, replace=replace, disk=disk)
    assert os.listdir(tmp_path) == (["a"] if step >= 3 else [])


def test_an_interrupt_leaves_nothing_half_written(tmp_path: Path) -> None:
    class Interrupted(FaultyDisk):
        def sync(self, path: Path) -> None:
            assert path.read_bytes() == b"secret"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a", b"secret", mode=0o600, replace=False, disk=Interrupted())
    assert os.listdir(tmp_path) == []


def test_what_may_not_be_replaced_is_not(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"old", mode=0o600, replace=False)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a", b"new", mode=0o600, replace=False)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("replace", STEPS)
def test_the_bytes_are_durable_before_the_name_and_the_name_at_last(tmp_path: Path, replace: bool) -> None:
    class Recorded(FaultyDisk):
        done: list[str]

        def write(self, path: Path, pieces: Iterable[bytes], mode: int = 0o444) -> None:
            super().write(path, pieces, mode)
            self.done = ["write"]

        def sync(self, path: Path) -> None:
            super().sync(path)
            self.done.append(f"sync {path.stat().st_size}")

        def sync_folder(self, path: Path) -> None:
            super().sync_folder(path)
            self.done.append("sync folder")

        def rename(self, old: Path, new: Path) -> None:
            super().rename(old, new)
            self.done.append("name")

        def link(self, old: Path, new: Path) -> None:
            super().link(old, new)
            self.done.append("name")

    disk = Recorded()
    write_whole(tmp_path / "a", b"12345", mode=0o600, replace=replace, disk=disk)
    assert disk.done == ["write", "sync 5", "name", "sync folder"]
