"""A guest's ends of streams and futures, as the runtime gives them to host functions."""

from __future__ import annotations

from typing import Any

import trio

from edged.host.channel import Dropped, FutureReader, StreamReader

_NOTHING: Any = object()


class GuestStream:
    """A `stream<u8>` that the test writes. As on the runtime's, a write waits until it is read."""

    def __init__(self, *pieces: bytes, ended: bool = False) -> None:
        self._pieces = list(pieces)
        self._ended = ended
        self._news = trio.Event()
        self._reading = False
        self.reads: list[int] = []
        self.closed = 0

    # --- the guest ---

    def write(self, data: bytes) -> None:
        self._pieces.append(data)
        self._tell()

    def end(self) -> None:
        """Drop the writable end."""
        self._ended = True
        self._tell()

    @property
    def empty(self) -> bool:
        return not self._pieces

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    # --- the host ---

    def read(self, count_max: int) -> Any:
        assert count_max > 0
        assert not self._reading, "one read at a time"
        self.reads.append(count_max)
        return self._wait(count_max) if self._take_is_empty() else self._take(count_max)

    def close(self) -> None:
        self.closed += 1
        self._pieces.clear()
        self._ended = True
        self._tell()

    def _take_is_empty(self) -> bool:
        return not self._pieces and not self._ended

    def _take(self, count_max: int) -> bytes:
        if not self._pieces:
            return b""
        data = self._pieces.pop(0)
        if len(data) > count_max:
            self._pieces.insert(0, data[count_max:])
        return data[:count_max]

    async def _wait(self, count_max: int) -> bytes:
        self._reading = True
        try:
            while self._take_is_empty():
                await self._news.wait()
        finally:
            self._reading = False
        return self._take(count_max)


class GuestFuture:
    """A future that the test writes. A second read is the host's mistake, but after one that was cancelled."""

    def __init__(self, value: Any = _NOTHING) -> None:
        self._value = value
        self._dropped = False
        self._asked = False
        self._news = trio.Event()
        self.closed = 0

    def write(self, value: Any) -> None:
        self._value = value
        self._news.set()

    def drop(self) -> None:
        """The guest has ended."""
        self._dropped = True
        self._news.set()

    def read(self) -> Any:
        assert not self._asked, "asked for once"
        self._asked = True
        return self._get() if self._news.is_set() or self._value is not _NOTHING else self._wait()

    def close(self) -> None:
        self.closed += 1

    def _get(self) -> Any:
        if self._dropped:
            raise Dropped
        return self._value

    async def _wait(self) -> Any:
        try:
            await self._news.wait()
        except trio.Cancelled:
            self._asked = False
            raise
        return self._get()


def _are_readers(stream: GuestStream, future: GuestFuture) -> tuple[StreamReader, FutureReader[Any]]:
    return stream, future
