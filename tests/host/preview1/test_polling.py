"""`poll_oneoff`"""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest
import trio
import trio.testing

from edged.host.preview1.abi import Errno
from edged.limits import PREVIEW1_SUBSCRIPTION_COUNT_MAX
from tests.host.fakes import settled
from tests.host.preview1.conftest import SIZE, Guest

IN, OUT, COUNT = 512, 2048, 0
REALTIME, MONOTONIC = 0, 1
SECOND = 1_000_000_000


def clock(userdata: int, timeout: int, *, id: int = MONOTONIC, absolute: bool = False) -> bytes:
    return struct.pack("<QB7xI4xQQH6x", userdata, 0, id, timeout, 0, int(absolute))


def stream(userdata: int, kind: int, fd: int) -> bytes:
    return struct.pack("<QB7xI28x", userdata, kind, fd)


def read(userdata: int, fd: int = 0) -> bytes:
    return stream(userdata, 1, fd)


def write(userdata: int, fd: int = 1) -> bytes:
    return stream(userdata, 2, fd)


async def poll(guest: Guest, *subscriptions: bytes) -> Any:
    """Events, or the errno."""
    guest.memory.write(IN, b"".join(subscriptions))
    errno = await settled(guest.call.poll_oneoff(IN, OUT, len(subscriptions), COUNT))
    if errno:
        return errno
    return [struct.unpack("<QHB5xQH6x", guest.memory.read(OUT + 32 * n, 32))[:3] for n in range(guest.u32(COUNT))]


async def test_clocks_are_waited_for(guest: Guest, autojump_clock: trio.testing.MockClock) -> None:
    begin = trio.current_time()
    assert await poll(guest, clock(1, 3 * SECOND), clock(2, 2 * SECOND), clock(3, 2 * SECOND)) == [(2, 0, 0), (3, 0, 0)]
    assert trio.current_time() - begin == pytest.approx(2)
    now = round(trio.current_time() * SECOND)
    assert await poll(guest, clock(4, now + SECOND, absolute=True)) == [(4, 0, 0)]
    assert trio.current_time() - begin == pytest.approx(3)
    wall = time.time_ns() + 100 * SECOND
    assert await poll(guest, clock(5, wall, id=REALTIME, absolute=True)) == [(5, 0, 0)]
    assert 100 < trio.current_time() - begin <= 103


async def test_a_time_that_has_passed_is_ready(guest: Guest) -> None:
    assert await poll(guest, clock(1, 0), clock(2, 0, id=REALTIME, absolute=True)) == [(1, 0, 0), (2, 0, 0)]


async def test_streams_are_waited_for(guest: Guest) -> None:
    guest.stdout.room = 0
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            assert await poll(guest, clock(1, 2**64 - 1), read(2), write(3)) == [(2, 0, 1)]

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        guest.stdin.feed(b"x")
    guest.stdout.grant(1)
    assert await poll(guest, clock(1, 2**64 - 1), read(2), write(3)) == [(2, 0, 1), (3, 0, 2)]


async def test_files_and_the_log_are_always_ready(guest: Guest) -> None:
    _, fd = guest.open("a.txt")
    assert await poll(guest, read(1, fd), write(2, 2), read(3, 0)) == [(1, 0, 1), (2, 0, 2)]


async def test_what_can_never_be_ready_says_so_at_once(guest: Guest) -> None:
    assert await poll(guest, read(1, 99), clock(2, 0, id=2), read(3)) == [(1, Errno.BADF, 1), (2, Errno.INVAL, 0)]


async def test_subscriptions_that_are_none(guest: Guest) -> None:
    assert await poll(guest) == Errno.INVAL
    assert await poll(guest, stream(1, 3, 0)) == Errno.INVAL
    for arguments in ((SIZE - 47, OUT, 1, 0), (IN, SIZE - 31, 1, 0), (IN, OUT, 1, SIZE - 3)):
        assert guest.call.poll_oneoff(*arguments) == Errno.FAULT
    assert guest.call.poll_oneoff(0, 0, PREVIEW1_SUBSCRIPTION_COUNT_MAX + 1, 0) == Errno.INVAL


async def test_as_many_subscriptions_as_may_be(guest: Guest) -> None:
    size = 48 * PREVIEW1_SUBSCRIPTION_COUNT_MAX
    guest.memory.view = memoryview(bytearray(clock(7, 0) * PREVIEW1_SUBSCRIPTION_COUNT_MAX + bytes(size)))
    assert guest.call.poll_oneoff(0, size, PREVIEW1_SUBSCRIPTION_COUNT_MAX, size - 4) == 0
    assert guest.u32(size - 4) == PREVIEW1_SUBSCRIPTION_COUNT_MAX
