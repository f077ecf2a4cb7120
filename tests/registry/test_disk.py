"""The few things done to a disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from registry.disk import BLOCK_BYTES, Disk, blocks_of, faults, regular_files
from registry.errors import DiskFull, StoreFailed


def test_a_file_is_new_read_only_and_whole(tmp_path: Path) -> None:
    disk = Disk()
    disk.write(tmp_path / "a", [b"one", b"", b"two"])
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o444
    with pytest.raises(FileExistsError):
        disk.write(tmp_path / "a", [b"three"])


def test_a_file_is_read_up_to_a_byte_past_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert Disk().read(tmp_path / "a", 5) == b"12345"
    assert Disk().read(tmp_path / "a", 3) == b"1234"


def test_links_and_pipes_hold_nobody(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"secret")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="symbolic"):
        Disk().read(tmp_path / "link", 10)
    assert Disk().read(tmp_path / "pipe", 10) == b""
    assert [name for name, _ in regular_files(Disk(), tmp_path)] == ["a"]


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (errno.ENOSPC, DiskFull, "registry.disk-full"),
        (errno.EDQUOT, DiskFull, "registry.disk-full"),
        (errno.EACCES, StoreFailed, "registry.store"),
        (errno.EIO, StoreFailed, "registry.store"),
    ],
)
def test_what_the_system_says_becomes_ours(number: int, error: type[StoreFailed], code: str) -> None:
    with pytest.raises(StoreFailed, match="it cannot be done: ") as caught, faults("it cannot be done"):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is error
    assert caught.value.code == code


def test_files_take_whole_blocks() -> None:
    assert [blocks_of(size) for size in (0, 1, BLOCK_BYTES, BLOCK_BYTES + 1)] == [
        BLOCK_BYTES,
        BLOCK_BYTES,
        BLOCK_BYTES,
        2 * BLOCK_BYTES,
    ]
