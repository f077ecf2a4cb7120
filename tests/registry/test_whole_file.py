from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from registry import whole_file
from registry.whole_file import write_whole

STEPS = ["create", "write", "sync", "name", "sync folder"]


class Crash(BaseException):
    """Power is gone: nothing of ours runs any more, so no handler may catch it."""


def _stopping_at(step: str, error: BaseException):
    def fail_point(reached: str) -> None:
        if reached == step:
            raise error

    return fail_point


def test_the_steps_are_these(tmp_path: Path) -> None:
    steps: list[str] = []
    write_whole(tmp_path / "a", b"", mode=0o600, replace=True, fail_point=steps.append)
    assert steps == STEPS


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_leaves_the_whole_file_or_none(tmp_path: Path, step: str, replace: bool) -> None:
    path = tmp_path / "a"
    with pytest.raises(Crash):
        write_whole(path, b"new", mode=0o600, replace=replace, fail_point=_stopping_at(step, Crash()))
    assert not path.exists() or path.read_bytes() == b"new"
    assert path.exists() == (step == "sync folder")


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_leaves_what_was_there_or_the_new(tmp_path: Path, step: str) -> None:
    path = tmp_path / "a"
    write_whole(path, b"old", mode=0o600, replace=True)
    with pytest.raises(Crash):
        write_whole(path, b"new", mode=0o600, replace=True, fail_point=_stopping_at(step, Crash()))
    assert path.read_bytes() == (b"new" if step == "sync folder" else b"old")


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, step: str) -> None:
    path = tmp_path / "a"
    with pytest.raises(OSError, match="full"):
        write_whole(
            path, b"new", mode=0o600, replace=True, fail_point=_stopping_at(step, OSError(errno.ENOSPC, "full"))
        )
    assert os.listdir(tmp_path) == (["a"] if step == "sync folder" else [])


def test_what_may_not_be_replaced_is_not(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"old", mode=0o600, replace=False)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a", b"new", mode=0o600, replace=False)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


class _Recorded:
    """`os`, with what is made durable written down: whether a folder, and how many bytes it had by then."""

    def __init__(self) -> None:
        self.synced: list[int | str] = []

    def __getattr__(self, name: str):
        return getattr(os, name)

    def fsync(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        self.synced.append("folder" if stat.S_ISDIR(found.st_mode) else found.st_size)


@pytest.mark.parametrize("replace", [True, False])
def test_the_bytes_are_durable_before_the_name_and_the_name_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    recorded, seen = _Recorded(), {}
    monkeypatch.setattr(whole_file, "os", recorded)
    write_whole(
        tmp_path / "a",
        b"12345",
        mode=0o600,
        replace=replace,
        fail_point=lambda step: seen.update({step: list(recorded.synced)}),
    )
    assert seen["name"] == [5]
    assert recorded.synced == [5, "folder"]
