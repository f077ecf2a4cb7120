"""Arguments, variables, clocks, random numbers, the end of a program; sockets, of which there are none."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from typing import NoReturn

from edged.errors import GuestExit
from edged.host.clocks import MonotonicClock
from edged.host.preview1.abi import Errno, Failure, answers_errno
from edged.host.preview1.state import State
from edged.host.random import Random

REALTIME = 0
MONOTONIC = 1
_monotonic = MonotonicClock()
_random = Random()


class Process(State):
    """See the module."""

    @answers_errno
    def args_sizes_get(self, count: int, size: int) -> None:
        self._store_sizes(self.arguments, count, size)

    @answers_errno
    def args_get(self, pointers: int, buffer: int) -> None:
        self._store_strings(self.arguments, pointers, buffer)

    @answers_errno
    def environ_sizes_get(self, count: int, size: int) -> None:
        self._store_sizes(self.environment, count, size)

    @answers_errno
    def environ_get(self, pointers: int, buffer: int) -> None:
        self._store_strings(self.environment, pointers, buffer)

    def _store_sizes(self, strings: Sequence[bytes], count: int, size: int) -> None:
        self.memory.set_u32(count, len(strings))
        self.memory.set_u32(size, sum(map(len, strings)))

    def _store_strings(self, strings: Sequence[bytes], pointers: int, buffer: int) -> None:
        addresses = []
        where = buffer
        for string in strings:
            addresses.append(where)
            where += len(string)
        self.memory.write(buffer, b"".join(strings))
        self.memory.write(pointers, struct.pack(f"<{len(addresses)}I", *addresses))

    @answers_errno
    def clock_res_get(self, clock: int, resolution: int) -> None:
        _check_clock(clock)
        self.memory.set_u64(resolution, 1)

    @answers_errno
    def clock_time_get(self, clock: int, _precision: int, now: int) -> None:
        _check_clock(clock)
        self.memory.set_u64(now, time.time_ns() if clock == REALTIME else _monotonic.now(self.invocation))

    @answers_errno
    def random_get(self, buffer: int, length: int) -> None:
        """Raises GuestBudgetExhausted for more bytes than one call or one request may have."""
        self.memory.check(buffer, length)
        self.memory.write(buffer, _random.get_random_bytes(self.invocation, length))

    def sched_yield(self) -> int:
        """A guest that has run for long gives way by itself."""
        return Errno.SUCCESS

    def proc_exit(self, status: int) -> NoReturn:
        raise GuestExit(f"the guest exited with status {status}", status=status)

    def proc_raise(self, _signal: int) -> int:
        return Errno.NOTSUP

    @answers_errno
    def sock_accept(self, fd: int, _flags: int, _result: int) -> None:
        self._refuse_socket(fd)

    @answers_errno
    def sock_recv(self, fd: int, _iovs: int, _iovs_len: int, _flags: int, _size: int, _out_flags: int) -> None:
        self._refuse_socket(fd)

    @answers_errno
    def sock_send(self, fd: int, _iovs: int, _iovs_len: int, _flags: int, _size: int) -> None:
        self._refuse_socket(fd)

    @answers_errno
    def sock_shutdown(self, fd: int, _how: int) -> None:
        self._refuse_socket(fd)

    def _refuse_socket(self, fd: int) -> NoReturn:
        self.at(fd)
        raise Failure(Errno.NOTSUP)


def _check_clock(clock: int) -> None:
    """CPU time is not told: it would be that of the node's whole worker."""
    if clock not in (REALTIME, MONOTONIC):
        raise Failure(Errno.INVAL)
