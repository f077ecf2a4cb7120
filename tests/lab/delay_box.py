"""A process that joins pairs of TUN devices in different namespaces and holds every packet for a while.

    python -m tests.lab.delay_box LINK...     LINK = namespace:interface:namespace:interface:one_way_ms[:bytes_per_s]

The kernel's own emulator (`tc netem`) is not everywhere; TUN is. The process prints `ready` when the devices are there,
and ends when its stdin is closed, so that it never outlives whoever started it. Delays can be changed while it runs: a
line `INDEX one_way_ms` on stdin sets those of link INDEX, `INDEX cut` drops everything on it until the next.
`INDEX down` takes the carrier from both ends of it, `INDEX up` gives it back.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import selectors
import struct
import sys
import time
from dataclasses import dataclass

_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_TUNSETCARRIER = 0x400454E2
_PR_SET_TIMERSLACK = 29
_READS_PER_TURN = 256
_QUEUE_BYTES_MAX = 4 * 1024 * 1024
"""Per direction of a link, as a router's buffer: what comes on top is dropped, which TCP understands."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Direction:
    """From one device to the other.

    Attributes:
        delay_s: that each packet is held; None while the link is cut.
        rate: bytes a second, or None for as fast as it goes.
        free_at: when the wire has sent what it was given, on the monotonic clock.
        queued: bytes held.
    """

    source: int
    sink: int
    delay_s: float | None
    rate: float | None
    free_at: float = 0.0
    queued: int = 0


def open_tun(namespace: str, interface: str) -> int:
    """A TUN device in a namespace; the file descriptor works from ours."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    try:
        _enter(there)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", interface.encode(), _IFF_TUN | _IFF_NO_PI))
        return device
    finally:
        _enter(here)
        os.close(here)
        os.close(there)


def _enter(namespace: int) -> None:
    # os.setns is there from Python 3.12 on.
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter the namespace")


class DelayBox:
    """All links of a lab in one loop: a heap of packets by the time they are due."""

    def __init__(self, links: list[str]) -> None:
        self._links: list[tuple[Direction, Direction]] = []
        self._by_source: dict[int, Direction] = {}
        self._heap: list[tuple[float, int, Direction, bytes]] = []
        self._count = 0
        self._selector = selectors.DefaultSelector()
        for text in links:
            a, device_a, b, device_b, delay, *more = text.split(":")
            one, two = open_tun(a, device_a), open_tun(b, device_b)
            rate = float(more[0]) if more else None
            pair = (
                Direction(one, two, float(delay) / 1000, rate),
                Direction(two, one, float(delay) / 1000, rate),
            )
            self._links.append(pair)
            for direction in pair:
                self._by_source[direction.source] = direction
                self._selector.register(direction.source, selectors.EVENT_READ)

    def run(self) -> None:
        """Until stdin is closed."""
        _libc.prctl(_PR_SET_TIMERSLACK, 1000, 0, 0, 0)
        self._selector.register(0, selectors.EVENT_READ)
        os.write(1, b"ready\n")
        while True:
            timeout = max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None
            for key, _ in self._selector.select(timeout):
                if key.fd == 0:
                    commands = os.read(0, 65536)
                    if not commands:
                        return
                    for line in commands.decode().splitlines():
                        self._command(line)
                else:
                    self._take(self._by_source[key.fd])
            self._give(time.monotonic())

    def _command(self, line: str) -> None:
        index, value = line.split()
        for direction in self._links[int(index)]:
            if value in ("up", "down"):
                fcntl.ioctl(direction.source, _TUNSETCARRIER, struct.pack("i", value == "up"))
                continue
            direction.delay_s = None if value == "cut" else float(value) / 1000

    def _take(self, direction: Direction) -> None:
        now = time.monotonic()
        for _ in range(_READS_PER_TURN):
            try:
                packet = os.read(direction.source, 65536)
            except OSError:  # nothing more, or the device is down
                return
            if direction.delay_s is None or direction.queued + len(packet) > _QUEUE_BYTES_MAX:
                continue
            sent = now
            if direction.rate is not None:
                direction.free_at = sent = max(now, direction.free_at) + len(packet) / direction.rate
            direction.queued += len(packet)
            self._count += 1
            heapq.heappush(self._heap, (sent + direction.delay_s, self._count, direction, packet))

    def _give(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            _, _, direction, packet = heapq.heappop(self._heap)
            direction.queued -= len(packet)
            try:
                os.write(direction.sink, packet)
            except OSError:  # the device is down or full: dropped, as on a wire
                continue


if __name__ == "__main__":
    DelayBox(sys.argv[1:]).run()
