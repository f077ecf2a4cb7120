"""`path_*`"""

from __future__ import annotations

import pytest

from edged.host.budget import Budget
from edged.host.preview1.abi import Errno
from edged.limits import FILES_OPEN_MAX, PATH_BYTES_MAX, PREVIEW1_DESCRIPTOR_COUNT_MAX
from tests.host.preview1.conftest import SIZE, Guest, MakeGuest

CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = 1, 2, 4, 8
READ, WRITE = 2, 64


@pytest.mark.parametrize(
    ("path", "flags", "rights", "errno"),
    [
        ("a.txt", 0, READ, 0),
        ("./folder/../a.txt", 0, READ, 0),
        ("folder", DIRECTORY, READ, 0),
        ("folder/", 0, READ, 0),
        (".", 0, 0, 0),
        ("folder/ü.txt", 0, READ, 0),
        ("missing", 0, READ, Errno.NOENT),
        ("", 0, READ, Errno.NOENT),
        ("a.txt/b", 0, READ, Errno.NOTDIR),
        ("a.txt", DIRECTORY, READ, Errno.NOTDIR),
        ("a.txt", EXCLUSIVE, READ, Errno.EXIST),
        ("..", 0, READ, Errno.PERM),
        ("../etc/passwd", 0, READ, Errno.PERM),
        ("folder/../../etc/passwd", 0, READ, Errno.PERM),
        ("/etc/passwd", 0, READ, Errno.PERM),
        ("a.txt\0", 0, READ, Errno.INVAL),
        ("a.txt", 0, WRITE, Errno.ROFS),
        ("a.txt", TRUNCATE, READ, Errno.ROFS),
        ("new", CREATE, READ | WRITE, Errno.ROFS),
        ("a.txt", 16, READ, Errno.INVAL),
        ("x" * 256, 0, READ, Errno.NAMETOOLONG),
    ],
)
async def test_opening(guest: Guest, path: str, flags: int, rights: int, errno: int) -> None:
    assert guest.open(path, flags=flags, rights=rights)[0] == errno


async def test_a_directory_leads_no_higher_than_itself(guest: Guest) -> None:
    _, folder = guest.open("folder")
    assert guest.open("b.txt", fd=folder)[0] == 0
    assert guest.open("../a.txt", fd=folder)[0] == Errno.PERM


async def test_where_a_path_begins(guest: Guest) -> None:
    _, fd = guest.open("a.txt")
    assert guest.open("a.txt", fd=fd)[0] == Errno.NOTDIR
    assert guest.open("a.txt", fd=0)[0] == Errno.NOTDIR
    assert guest.open("a.txt", fd=99)[0] == Errno.BADF


async def test_paths_that_are_none(guest: Guest) -> None:
    call = guest.call.path_open
    assert call(3, 0, *guest.text(b"\xff"), 0, READ, 0, 0, 0) == Errno.ILSEQ
    assert call(3, 0, SIZE - 1, 2, 0, READ, 0, 0, 0) == Errno.FAULT
    assert call(3, 0, 0, PATH_BYTES_MAX, 0, READ, 0, 0, 0) == Errno.ILSEQ, "all of memory, which is no text"
    assert call(3, 0, 0, PATH_BYTES_MAX + 1, 0, READ, 0, 0, 0) == Errno.NAMETOOLONG
    assert call(3, 0, *guest.text("a.txt"), 0, READ, 0, 0, SIZE - 3) == Errno.FAULT
    assert guest.budget.files == FILES_OPEN_MAX, "nothing was opened"


async def test_a_file_opened_without_the_right_to_read(guest: Guest) -> None:
    _, fd = guest.open("a.txt", rights=0)
    assert guest.call.fd_read(fd, *guest.buffers((200, 1)), 0) == Errno.BADF


async def test_files_at_the_limit_and_one_over(guest_with: MakeGuest) -> None:
    guest = guest_with({"/a": b""}, budget=Budget(files=2))
    assert [guest.open("a")[0] for _ in range(3)] == [0, 0, Errno.NOMEM]
    assert guest.call.fd_close(4) == 0
    assert guest.open("a") == (0, 4), "the lowest number that is free"


async def test_descriptors_at_the_limit_and_one_over(guest: Guest) -> None:
    for number in range(4, PREVIEW1_DESCRIPTOR_COUNT_MAX):
        assert guest.open("folder") == (0, number)
    assert guest.open("folder")[0] == Errno.MFILE
    assert guest.open("a.txt")[0] == Errno.MFILE
    assert guest.budget.files == FILES_OPEN_MAX


async def test_what_is_open_is_closed_with_the_guest(guest: Guest) -> None:
    guest.open("a.txt")
    assert guest.budget.files == FILES_OPEN_MAX - 1
    guest.call.close()
    assert guest.budget.files == FILES_OPEN_MAX
    assert guest.stdin.closed


async def test_what_a_path_names(guest: Guest) -> None:
    assert guest.call.path_filestat_get(3, 0, *guest.text("a.txt"), 100) == 0
    assert (guest.memory.read(116, 1)[0], guest.u64(132)) == (4, 10)
    inode = guest.u64(108)
    _, fd = guest.open("a.txt")
    guest.call.fd_filestat_get(fd, 100)
    assert guest.u64(108) == inode
    assert guest.call.path_filestat_get(3, 0, *guest.text("folder"), 100) == 0
    assert guest.memory.read(116, 1)[0] == 3
    assert guest.call.path_filestat_get(3, 0, *guest.text("../a.txt"), 100) == Errno.PERM
    assert guest.call.path_filestat_get(3, 0, *guest.text("a.txt"), SIZE - 63) == Errno.FAULT
    assert guest.call.path_readlink(3, *guest.text("a.txt"), 0, 100, 0) == Errno.INVAL


async def test_the_tree_does_not_change(guest: Guest) -> None:
    call = guest.call
    a, folder, new = guest.text("a.txt", 200), guest.text("folder", 300), guest.text("new", 400)
    up = guest.text("../x", 500)
    assert call.path_create_directory(3, *new) == Errno.ROFS
    assert call.path_create_directory(3, *a) == Errno.EXIST
    assert call.path_create_directory(3, *up) == Errno.PERM
    assert call.path_remove_directory(3, *folder) == Errno.ROFS
    assert call.path_remove_directory(3, *a) == Errno.NOTDIR
    assert call.path_unlink_file(3, *a) == Errno.ROFS
    assert call.path_unlink_file(3, *folder) == Errno.ISDIR
    assert call.path_unlink_file(3, *new) == Errno.NOENT
    assert call.path_rename(3, *a, 3, *new) == Errno.ROFS
    assert call.path_link(3, 0, *a, 3, *new) == Errno.ROFS
    assert call.path_symlink(*a, 3, *new) == Errno.ROFS
    assert call.path_filestat_set_times(3, 0, *a, 0, 0, 0) == Errno.ROFS
