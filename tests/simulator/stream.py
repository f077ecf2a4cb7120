"""A connection of a simulated network: two streams, and a pipe each way.

    send_all -> window -> Way: bandwidth, latency, jitter -> arrives in order -> receive_some
                  ^                     lost: held until the way is healed            │
                  └──────────────── room, once it was taken ──────────────────────────┘

As TCP does it: bytes are never lost nor reordered while both ends live, they only come late. What is sent to an end
that is gone is answered with a reset, if anybody is there to answer.
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING

import trio
from outcome import Value

if TYPE_CHECKING:
    from tests.simulator.machine import Process
    from tests.simulator.network import Way

WINDOW_BYTES = 256 * 1024  # on their way or unread; then the sender waits
PACKET_BYTES = 60  # what goes over the wire for a word without bytes: SYN, FIN, reset
_PART_CHANCE = 1 / 16  # of a receive that gets less than has arrived

_RECEIVE_BYTES_MAX = 64 * 1024


class SimulatedStream(trio.abc.Stream):
    """One end of a connection.

    Attributes:
        process: whose end it is.
        other: the other end.
        pipe: to it.
        certificate: that this end shows in the handshake, DER; None for none.
        is_open: not closed here, not reset, and the process lives.
    """

    def __init__(self, process: Process, certificate: bytes | None = None) -> None:
        self.process = process
        self.certificate = certificate
        self.other: SimulatedStream
        self.is_open = True
        self._is_reset = False
        self._is_closed = False
        self._has_ended = False  # the other end closed it
        self.pipe: Pipe
        self._arrived: deque[bytes] = deque()
        self._reader: trio.lowlevel.Task | None = None
        self._writer: trio.lowlevel.Task | None = None
        self._is_sending = self._is_receiving = False
        process.streams[self] = None

    @property
    def peer_ip(self) -> str:
        """Address of the machine at the other end."""
        return self.other.process.machine.ip

    # --- as trio has it ---

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As trio has it.

        Raises:
            trio.BrokenResourceError: the connection was reset.
            trio.ClosedResourceError: it is closed at this end.
        """
        if self._is_sending:
            raise trio.BusyResourceError("another task sends")
        self._is_sending = True
        try:
            await trio.lowlevel.checkpoint()
            view = memoryview(data)
            while True:
                self._check()
                if not view:
                    return
                if self.pipe.room <= 0:
                    self._writer = trio.lowlevel.current_task()
                    await trio.lowlevel.wait_task_rescheduled(self._no_writer)
                    continue
                part = view[: self.pipe.room]
                self.pipe.send(bytes(part))
                view = view[len(part) :]
        finally:
            self._is_sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """As trio has it."""
        await trio.lowlevel.checkpoint()
        self._check()
        if self.pipe.room <= 0:
            self._writer = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._no_writer)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """As trio has it.

        Raises:
            trio.BrokenResourceError: the connection was reset.
            trio.ClosedResourceError: it is closed at this end.
        """
        if self._is_receiving:
            raise trio.BusyResourceError("another task receives")
        self._is_receiving = True
        try:
            if self._arrived or self._has_ended or not self.is_open:
                await trio.lowlevel.checkpoint()
            else:
                self._reader = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._no_reader)
            self._check()
            return self._take(_RECEIVE_BYTES_MAX if max_bytes is None else max_bytes)
        finally:
            self._is_receiving = False

    async def aclose(self) -> None:
        """As trio has it."""
        self.close()
        await trio.lowlevel.checkpoint()

    # --- its end ---

    def close(self) -> None:
        """At once; what was sent before still arrives. Nothing if the process is gone."""
        if self.process.is_alive and not self._is_closed:
            self._is_closed = True
            self.leave()

    def leave(self) -> None:
        """The kernel closes this end, because it was asked to or because the process is gone."""
        if self.is_open:
            self._end()
            if self._arrived:
                self.pipe.reset_other()  # as kernels do: the other end must learn that not all of it was taken
            else:
                self.pipe.finish()

    def vanish(self) -> None:
        """The machine lost power: nobody is told. What it has not sent yet, it never will."""
        if self.is_open:
            self._end()
            self.pipe.drop()

    def reset(self) -> None:
        """A reset arrived."""
        if self.is_open:
            self._is_reset = True
            self._end()

    def _end(self) -> None:
        self.is_open = False
        self.process.streams.pop(self, None)
        self._wake_reader()
        self.wake_writer()

    def _check(self) -> None:
        if self.is_open:
            return
        self.process.check()
        if self._is_closed:
            raise trio.ClosedResourceError("this stream was closed")
        raise trio.BrokenResourceError("the connection was reset")

    # --- bytes ---

    def arrived(self, data: bytes) -> None:
        """In order; b"" is the end."""
        if data:
            self._arrived.append(data)
        else:
            self._has_ended = True
        self._wake_reader()

    def _take(self, bytes_max: int) -> bytes:
        if not self._arrived:
            return b""
        way = self.pipe.way
        if way.rng.random() < _PART_CHANCE:
            bytes_max = way.rng.randint(1, min(bytes_max, len(self._arrived[0])))
        parts, left = [], bytes_max
        while left and self._arrived:
            data = self._arrived.popleft()
            if len(data) > left:
                self._arrived.appendleft(data[left:])
                data = data[:left]
            left -= len(data)
            parts.append(data)
        self.other.pipe.taken(bytes_max - left)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _wake_reader(self) -> None:
        if self._reader is not None:
            task, self._reader = self._reader, None
            trio.lowlevel.reschedule(task, Value(None))

    def wake_writer(self) -> None:
        """There is room, or no use in waiting for it."""
        if self._writer is not None:
            task, self._writer = self._writer, None
            trio.lowlevel.reschedule(task, Value(None))

    def _no_reader(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _no_writer(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED


class Pipe:
    """One direction of a connection, from the end that owns it to the other.

    Attributes:
        way: that its bytes take.
        room: of the window, bytes.
    """

    def __init__(self, source: SimulatedStream, way: Way, back: Way) -> None:
        self.way = way
        self.room = WINDOW_BYTES
        self._back = back
        self._source = source
        self._held: deque[bytes] = deque()  # have come to where the way is lost
        self._last = 0.0  # when the bytes before them arrive
        self._is_dropped = False
        self._acknowledged = 0  # taken, and the sender does not know

    def send(self, data: bytes) -> None:
        """Whether there is room for them, the caller knows."""
        self.room -= len(data)
        self._carry(data, len(data) + PACKET_BYTES)

    def finish(self) -> None:
        """The end comes after all that was sent."""
        self._carry(b"", PACKET_BYTES)

    def drop(self) -> None:
        """What did not get through is never sent again."""
        self._is_dropped = True
        self._held.clear()

    def reset_other(self) -> None:
        """The other end is told that there is no connection."""
        self.drop()
        self.way.carry(PACKET_BYTES, self._source.other.reset)

    def taken(self, count: int) -> None:
        """The other end took so many bytes."""
        self._acknowledged += count
        self._acknowledge()

    def _acknowledge(self) -> None:
        if self._back.is_open:
            self.room += self._acknowledged
            self._acknowledged = 0
            if self.room > 0:
                self._source.wake_writer()
        else:
            self._back.hold(self._acknowledge)

    def _carry(self, data: bytes, size: int) -> None:
        self._last = max(self._last, self.way.arrival(size))
        self.way.agenda.at(self._last, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        if self._held or not self.way.is_open:
            if not self._is_dropped:
                if not self._held:
                    self.way.hold(self._resume)
                self._held.append(data)
        else:
            self._deliver(data)

    def _resume(self) -> None:
        """The way was healed."""
        if self._held and not self.way.is_open:
            self.way.hold(self._resume)
            return
        while self._held:
            self._deliver(self._held.popleft())

    def _deliver(self, data: bytes) -> None:
        target = self._source.other
        way = self.way
        way.trace.note("bytes", way.source, way.target, len(data), zlib.crc32(data), target.is_open)
        if target.is_open:
            target.arrived(way.spoilt(data))
        elif data and self._source.is_open:
            self._back.carry(PACKET_BYTES, self._source.reset)


def connect(
    one: SimulatedStream, other: SimulatedStream, there: Way, back: Way
) -> tuple[SimulatedStream, SimulatedStream]:
    """Makes them the two ends of a connection; the one sends over the way there."""
    one.other, other.other = other, one
    one.pipe, other.pipe = Pipe(one, there, back), Pipe(other, back, there)
    return one, other
