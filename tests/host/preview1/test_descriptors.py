"""`fd_*`"""

from __future__ import annotations

import struct

import pytest
import trio
import trio.testing

from edged.host.preview1.abi import Errno, FdFlags, FileType
from edged.limits import PREVIEW1_BUFFER_COUNT_MAX
from tests.host.fakes import settled, suspends
from tests.host.preview1.conftest import SIZE, Guest, MakeGuest

OUT = 8
OUTSIDE = SIZE - 3


# --- streams ---


async def test_stdin_is_read_into_several_buffers(guest: Guest) -> None:
    guest.stdin.feed(b"abcdef")
    assert guest.call.fd_read(0, *guest.buffers((200, 2), (300, 0), (400, 10)), OUT) == 0
    assert guest.u32(OUT) == 6
    assert (guest.memory.read(200, 3), guest.memory.read(400, 5)) == (b"ab\0", b"cdef\0")


async def test_a_read_waits_for_bytes_and_ends_at_the_end(guest: Guest) -> None:
    buffers = guest.buffers((200, 10))
    with trio.testing.assert_checkpoints():
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                assert await settled(guest.call.fd_read(0, *buffers, OUT)) == 0

            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            assert guest.stdin.waits == 1
            guest.stdin.feed(b"abc", end=True)
    assert (guest.u32(OUT), guest.memory.read(200, 3)) == (3, b"abc")
    assert guest.call.fd_read(0, *buffers, OUT) == 0
    assert guest.u32(OUT) == 0


async def test_a_read_of_nothing_does_not_wait(guest: Guest) -> None:
    for buffers in ((), ((200, 0),)):
        assert guest.call.fd_read(0, *guest.buffers(*buffers), OUT) == 0
        assert guest.u32(OUT) == 0


async def test_a_stream_that_does_not_block_says_again(guest: Guest) -> None:
    for fd in (0, 1):
        assert guest.call.fd_fdstat_set_flags(fd, FdFlags.NONBLOCK) == 0
    guest.stdout.room = 0
    assert guest.call.fd_read(0, *guest.buffers((200, 10)), OUT) == Errno.AGAIN
    assert guest.call.fd_write(1, *guest.buffers((200, 10)), OUT) == Errno.AGAIN


async def test_a_request_body_that_broke_off(guest: Guest) -> None:
    guest.stdin.fail()
    assert guest.call.fd_read(0, *guest.buffers((200, 10)), OUT) == Errno.IO


async def test_a_write_takes_what_there_is_room_for(guest: Guest) -> None:
    guest.text("hello world", 200)
    guest.stdout.room = 8
    assert guest.call.fd_write(1, *guest.buffers((200, 6), (0, 0), (206, 5)), OUT) == 0
    assert (guest.u32(OUT), guest.stdout.data) == (8, b"hello wo")


async def test_a_write_waits_for_room(guest: Guest) -> None:
    guest.text("hello", 200)
    guest.stdout.room = 0
    buffers = guest.buffers((200, 5))
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            assert await settled(guest.call.fd_write(1, *buffers, OUT)) == 0

        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        assert guest.stdout.waits == 1
        guest.stdout.grant(3)
    assert (guest.u32(OUT), guest.stdout.data) == (3, b"hel")


async def test_a_write_of_nothing_does_not_wait(guest: Guest) -> None:
    guest.stdout.room = 0
    assert guest.call.fd_write(1, *guest.buffers((200, 0)), OUT) == 0


async def test_stdout_that_nobody_takes(guest: Guest) -> None:
    guest.stdout.room = -1
    assert guest.call.fd_write(1, *guest.buffers((200, 1)), OUT) == Errno.PIPE


async def test_stderr_goes_to_the_log(guest: Guest) -> None:
    guest.text("oh no\n", 200)
    assert guest.call.fd_write(2, *guest.buffers((200, 6)), OUT) == 0
    assert (guest.stderr.data, guest.stdout.data) == (b"oh no\n", b"")


async def test_a_guest_that_is_no_command_logs_its_stdout_and_reads_nothing(guest_with: MakeGuest) -> None:
    guest = guest_with(command=False)
    guest.text("hi\n", 200)
    assert guest.call.fd_write(1, *guest.buffers((200, 3)), OUT) == 0
    assert guest.call.invocation.stdout.data == b"hi\n"  # type: ignore[attr-defined]
    assert guest.call.fd_read(0, *guest.buffers((200, 3)), OUT) == 0
    assert guest.u32(OUT) == 0


@pytest.mark.parametrize("function", ["fd_read", "fd_write"])
async def test_an_address_outside_of_memory_is_a_fault_and_moves_nothing(guest: Guest, function: str) -> None:
    guest.stdin.feed(b"abc")
    call = getattr(guest.call, function)
    fd = 0 if function == "fd_read" else 1
    assert call(fd, *guest.buffers((200, 1), (SIZE - 1, 2)), OUT) == Errno.FAULT
    assert call(fd, *guest.buffers((2**32 - 1, 2**32 - 1)), OUT) == Errno.FAULT
    assert call(fd, SIZE - 4, 1, OUT) == Errno.FAULT
    assert call(fd, *guest.buffers((200, 1)), OUTSIDE) == Errno.FAULT
    assert (guest.stdin.data, guest.stdout.data) == (b"abc", b"")


async def test_buffers_at_the_limit_and_one_over(guest: Guest) -> None:
    # All at address 0, of which there are none to speak of: the array itself is what counts.
    count = SIZE // 8
    assert count < PREVIEW1_BUFFER_COUNT_MAX
    guest.memory.view[:] = bytes(SIZE)
    assert guest.call.fd_read(0, 0, count, OUT) == 0
    assert guest.call.fd_read(0, 0, PREVIEW1_BUFFER_COUNT_MAX, OUT) == Errno.FAULT
    assert guest.call.fd_read(0, 0, PREVIEW1_BUFFER_COUNT_MAX + 1, OUT) == Errno.INVAL


@pytest.mark.parametrize("fd", [4, 99, 2**32 - 1])
async def test_an_unknown_descriptor(guest: Guest, fd: int) -> None:
    call = guest.call
    buffers = guest.buffers((200, 1))
    answers = [
        call.fd_read(fd, *buffers, OUT),
        call.fd_write(fd, *buffers, OUT),
        call.fd_pread(fd, *buffers, 0, OUT),
        call.fd_pwrite(fd, *buffers, 0, OUT),
        call.fd_seek(fd, 0, 0, OUT),
        call.fd_tell(fd, OUT),
        call.fd_close(fd),
        call.fd_renumber(fd, 0),
        call.fd_renumber(0, fd),
        call.fd_fdstat_get(fd, OUT),
        call.fd_filestat_get(fd, OUT),
        call.fd_prestat_get(fd, OUT),
        call.fd_prestat_dir_name(fd, OUT, 1),
        call.fd_readdir(fd, 200, 100, 0, OUT),
        call.fd_sync(fd),
        call.sock_shutdown(fd, 0),
        guest.open("a.txt", fd=fd)[0],
    ]
    assert set(answers) == {Errno.BADF}


async def test_what_streams_cannot_do(guest: Guest) -> None:
    call, buffers = guest.call, guest.buffers((200, 1))
    assert call.fd_write(0, *buffers, OUT) == Errno.BADF
    assert call.fd_read(1, *buffers, OUT) == Errno.BADF
    assert call.fd_seek(0, 0, 0, OUT) == Errno.SPIPE
    assert call.fd_pread(0, *buffers, 0, OUT) == Errno.SPIPE
    assert call.fd_sync(1) == Errno.BADF
    assert call.fd_readdir(0, 200, 100, 0, OUT) == Errno.NOTDIR
    assert call.fd_prestat_get(0, OUT) == Errno.BADF


async def test_a_stream_is_no_terminal(guest: Guest) -> None:
    for fd in (0, 1, 2):
        assert guest.call.fd_fdstat_get(fd, 100) == 0
        assert guest.memory.read(100, 1)[0] == FileType.UNKNOWN


async def test_closing_stdio_closes_the_stream(guest: Guest) -> None:
    assert [guest.call.fd_close(fd) for fd in (0, 1, 2)] == [0, 0, 0]
    assert (guest.stdin.closed, guest.stdout.closed) == (True, True)
    assert guest.call.fd_close(1) == Errno.BADF


# --- files ---


async def test_a_file_is_read_and_sought(guest: Guest) -> None:
    errno, fd = guest.open("a.txt")
    assert (errno, fd) == (0, 4)
    buffers = guest.buffers((200, 4))
    assert guest.call.fd_read(fd, *buffers, OUT) == 0
    assert guest.memory.read(200, guest.u32(OUT)) == b"0123"
    assert guest.call.fd_tell(fd, OUT) == 0
    assert guest.u64(OUT) == 4
    for delta, whence, offset in ((2, 1, 6), (2**64 - 1, 2, 9), (3, 0, 3), (5, 2, 15)):
        assert guest.call.fd_seek(fd, delta, whence, OUT) == 0
        assert guest.u64(OUT) == offset
    assert guest.call.fd_read(fd, *buffers, OUT) == 0
    assert guest.u32(OUT) == 0, "behind the end"
    assert guest.call.fd_pread(fd, *buffers, 8, OUT) == 0
    assert guest.memory.read(200, guest.u32(OUT)) == b"89"
    assert guest.call.fd_pread(fd, *buffers, 2**64 - 1, OUT) == Errno.INVAL


@pytest.mark.parametrize(("delta", "whence"), [(2**64 - 1, 0), (2**64 - 11, 2), (2**63 - 1, 2), (0, 3)])
async def test_a_seek_to_nowhere(guest: Guest, delta: int, whence: int) -> None:
    _, fd = guest.open("a.txt")
    assert guest.call.fd_seek(fd, delta, whence, OUT) == Errno.INVAL


async def test_what_files_are(guest: Guest) -> None:
    _, fd = guest.open("a.txt")
    assert guest.call.fd_filestat_get(fd, 100) == 0
    device, inode, kind, links, size, _, modified, _ = struct.unpack("<QQB7xQQQQQ", guest.memory.read(100, 64))
    assert (device, kind, links, size) == (0, FileType.REGULAR_FILE, 1, 10)
    assert inode
    assert modified
    assert guest.call.fd_fdstat_get(fd, 100) == 0
    assert struct.unpack("<BxH4xQQ", guest.memory.read(100, 24)) == (FileType.REGULAR_FILE, 0, 2, 0)
    assert guest.call.fd_filestat_get(fd, SIZE - 63) == Errno.FAULT
    assert guest.call.fd_fdstat_get(fd, SIZE - 23) == Errno.FAULT


async def test_files_are_not_written(guest: Guest) -> None:
    _, fd = guest.open("a.txt")
    call, buffers = guest.call, guest.buffers((200, 1))
    assert call.fd_write(fd, *buffers, OUT) == Errno.BADF
    assert call.fd_pwrite(fd, *buffers, 0, OUT) == Errno.BADF
    assert call.fd_allocate(fd, 0, 1) == Errno.BADF
    assert call.fd_filestat_set_size(fd, 0) == Errno.BADF
    assert call.fd_filestat_set_times(fd, 0, 0, 0) == Errno.ROFS
    assert call.fd_fdstat_set_rights(fd, 0, 0) == Errno.NOTSUP
    assert call.fd_fdstat_set_flags(fd, 32) == Errno.INVAL
    assert [call.fd_advise(fd, 0, 0, 0), call.fd_sync(fd), call.fd_datasync(fd)] == [0, 0, 0]


async def test_a_descriptor_takes_the_place_of_another(guest: Guest) -> None:
    _, first = guest.open("a.txt")
    _, second = guest.open("folder/b.txt")
    before = guest.budget.files
    assert guest.call.fd_renumber(second, first) == 0
    assert guest.budget.files == before + 1
    assert guest.call.fd_tell(second, OUT) == Errno.BADF
    assert guest.call.fd_filestat_get(first, 100) == 0
    assert guest.u64(132) == 1, "the size of b.txt"
    assert guest.call.fd_renumber(first, first) == 0
    assert guest.call.fd_close(first) == 0
    assert guest.budget.files == before + 2


# --- directories ---


async def test_the_files_are_descriptor_3(guest: Guest) -> None:
    assert guest.call.fd_prestat_get(3, 100) == 0
    assert struct.unpack("<B3xI", guest.memory.read(100, 8)) == (0, 1)
    assert guest.call.fd_prestat_dir_name(3, 100, 1) == 0
    assert guest.memory.read(100, 1) == b"/"
    assert guest.call.fd_prestat_dir_name(3, 100, 0) == Errno.NAMETOOLONG
    assert guest.call.fd_prestat_get(4, 100) == Errno.BADF


async def test_a_guest_without_files_has_no_directory(guest_with: MakeGuest) -> None:
    guest = guest_with()
    assert guest.call.fd_prestat_get(3, 100) == Errno.BADF
    assert guest.open("a.txt")[0] == Errno.BADF


def entries(data: bytes) -> list[tuple[int, str, int]]:
    """Cookies, names and types."""
    found = []
    while len(data) >= 24:
        cookie, _, length, kind = struct.unpack_from("<QQIB3x", data)
        found.append((cookie, data[24 : 24 + length].decode(), kind))
        data = data[24 + length :]
    return found


async def test_a_directory_is_read_at_once_or_in_pieces(guest: Guest) -> None:
    _, fd = guest.open("folder")
    whole = [(1, ".", 3), (2, "..", 3), (3, "b.txt", 4), (4, "ü.txt", 4)]
    assert guest.call.fd_readdir(fd, 200, 1000, 0, OUT) == 0
    assert entries(guest.memory.read(200, guest.u32(OUT))) == whole
    for cookie in range(4):
        assert guest.call.fd_readdir(fd, 200, 30, cookie, OUT) == 0
        assert guest.u32(OUT) == min(30, 24 + len(whole[cookie][1].encode()) + 24 * (cookie < 3))
        assert entries(guest.memory.read(200, 24) + whole[cookie][1].encode())[0][0] == cookie + 1
    for cookie in (4, 5, 2**64 - 1):
        assert guest.call.fd_readdir(fd, 200, 30, cookie, OUT) == 0
        assert guest.u32(OUT) == 0
    assert guest.call.fd_readdir(fd, SIZE - 10, 11, 0, OUT) == Errno.FAULT


async def test_a_directory_is_no_file(guest: Guest) -> None:
    buffers = guest.buffers((200, 1))
    assert guest.call.fd_read(3, *buffers, OUT) == Errno.BADF
    assert guest.call.fd_pread(3, *buffers, 0, OUT) == Errno.BADF
    assert guest.call.fd_seek(3, 0, 0, OUT) == Errno.BADF


def test_waiting_guests_are_told_apart(guest: Guest) -> None:
    assert suspends(guest.call.fd_read(0, *guest.buffers((200, 1)), OUT))
    guest.stdin.feed(b"x")
    assert not suspends(guest.call.fd_read(0, *guest.buffers((200, 1)), OUT))
