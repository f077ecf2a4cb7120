"""The other end of a guest's stdin and stdout."""

from __future__ import annotations

import trio

from edged.host.interface import Err
from edged.host.streams import CLOSED, IoError


class _Changing:
    def __init__(self) -> None:
        self._changed = trio.Event()
        self.waits = 0

    def ready(self) -> bool:
        raise NotImplementedError

    async def wait(self) -> None:
        self.waits += 1
        while not self.ready():
            await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class FakeSource(_Changing):
    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.ended = False
        self.failed = False
        self.closed = False

    def feed(self, data: bytes, *, end: bool = False) -> None:
        self.data += data
        self.ended = end
        self._change()

    def fail(self) -> None:
        self.failed = True
        self._change()

    def ready(self) -> bool:
        return bool(self.data) or self.ended or self.failed

    def read(self, bytes_max: int) -> bytes:
        if self.failed:
            raise Err(("last-operation-failed", IoError("")))
        if not self.data and self.ended:
            raise Err(CLOSED)
        data, self.data = self.data[:bytes_max], self.data[bytes_max:]
        return data

    def close(self) -> None:
        self.closed = True


class FakeSink(_Changing):
    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.room = 100
        self.closed = False

    def grant(self, room: int) -> None:
        self.room = room
        self._change()

    def ready(self) -> bool:
        return self.room != 0

    def capacity(self) -> int:
        if self.room < 0:
            raise Err(CLOSED)
        return self.room

    def write(self, data: bytes) -> None:
        assert 0 < len(data) <= self.room
        self.data += data
        self.room -= len(data)

    def close(self) -> None:
        self.closed = True
