"""Arguments, variables, clocks, random numbers, exits, sockets."""

from __future__ import annotations

import time

import pytest
import trio
import trio.testing

from edged.errors import GuestBudgetExhausted, GuestExit
from edged.host.budget import Budget
from edged.host.preview1.abi import Errno
from edged.limits import RANDOM_CALL_BYTES_MAX
from tests.host.preview1.conftest import SIZE, Guest, MakeGuest


async def test_arguments_and_variables_are_those_of_the_command(guest: Guest) -> None:
    for sizes, get, strings in (
        (guest.call.args_sizes_get, guest.call.args_get, [b"program\0", b"x=1\0"]),
        (guest.call.environ_sizes_get, guest.call.environ_get, [b"A=b\0", b"EMPTY=\0"]),
    ):
        assert sizes(0, 4) == 0
        assert (guest.u32(0), guest.u32(4)) == (2, len(b"".join(strings)))
        assert get(100, 200) == 0
        assert guest.memory.read(200, guest.u32(4)) == b"".join(strings)
        assert [guest.u32(100), guest.u32(104)] == [200, 200 + len(strings[0])]
        assert sizes(SIZE - 3, 0) == Errno.FAULT
        assert sizes(0, SIZE - 3) == Errno.FAULT
        assert get(SIZE - 7, 200) == Errno.FAULT
        assert get(100, SIZE - 5) == Errno.FAULT


async def test_a_guest_that_is_no_command_has_those_of_the_component(guest_with: MakeGuest) -> None:
    guest = guest_with(command=False, arguments=["p"], environment={"N": "a\0b", "Ü": "\udcff"})
    assert guest.call.args_get(100, 200) == 0
    assert guest.memory.read(200, 2) == b"p\0"
    assert guest.call.environ_sizes_get(0, 4) == 0
    assert guest.call.environ_get(100, 200) == 0
    # What follows a NUL no C program would see; and a byte that is no UTF-8 stays that byte.
    assert guest.memory.read(200, guest.u32(4)) == b"N=a\0" + "Ü=".encode() + b"\xff\0"


async def test_clocks(guest: Guest, autojump_clock: trio.testing.MockClock) -> None:
    before = time.time_ns()
    assert guest.call.clock_time_get(0, 0, 8) == 0
    assert before <= guest.u64(8) <= time.time_ns()
    assert guest.call.clock_time_get(1, 0, 8) == 0
    first = guest.u64(8)
    await trio.sleep(1.5)
    assert guest.call.clock_time_get(1, 0, 8) == 0
    assert guest.u64(8) - first == 1_500_000_000
    assert guest.call.clock_res_get(1, 8) == 0
    assert guest.u64(8) == 1
    for clock in (2, 3, 4, 2**32 - 1):
        assert guest.call.clock_time_get(clock, 0, 8) == Errno.INVAL
        assert guest.call.clock_res_get(clock, 8) == Errno.INVAL
    assert guest.call.clock_time_get(0, 0, SIZE - 7) == Errno.FAULT


async def test_random_bytes_are_paid_for(guest_with: MakeGuest) -> None:
    guest = guest_with(budget=Budget(random_bytes=100))
    assert guest.call.random_get(200, 100) == 0
    assert guest.memory.read(200, 100) != bytes(100)
    with pytest.raises(GuestBudgetExhausted):
        guest.call.random_get(200, 1)


async def test_random_bytes_of_one_call(guest: Guest) -> None:
    assert guest.call.random_get(SIZE - 1, 2) == Errno.FAULT
    assert guest.call.random_get(0, 2**32 - 1) == Errno.FAULT, "before any are made"
    guest.memory.view = memoryview(bytearray(RANDOM_CALL_BYTES_MAX + 1))
    assert guest.call.random_get(0, RANDOM_CALL_BYTES_MAX) == 0
    with pytest.raises(GuestBudgetExhausted):
        guest.call.random_get(0, RANDOM_CALL_BYTES_MAX + 1)


@pytest.mark.parametrize("status", [0, 1, 255])
async def test_exits(guest: Guest, status: int) -> None:
    with pytest.raises(GuestExit) as ended:
        guest.call.proc_exit(status)
    assert ended.value.status == status


async def test_what_is_not_there(guest: Guest) -> None:
    assert guest.call.proc_raise(6) == Errno.NOTSUP
    assert guest.call.sched_yield() == 0
    for fd in (0, 3):
        assert guest.call.sock_accept(fd, 0, 0) == Errno.NOTSUP
        assert guest.call.sock_recv(fd, 0, 0, 0, 0, 0) == Errno.NOTSUP
        assert guest.call.sock_send(fd, 0, 0, 0, 0) == Errno.NOTSUP
        assert guest.call.sock_shutdown(fd, 0) == Errno.NOTSUP
