"""The two ends of a control connection, on trio: records out, records in."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator

import trio

from edged.limits import CONTROL_READ_BYTES
from edged.worker.wire import FrameDecoder, Wire, encode_frame


def control_pair() -> tuple[socket.socket, socket.socket]:
    """The supervisor's end and the worker's. Neither is inherited by children that are not told of it."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


class Control:
    """One end. One task may send while another receives.

    Args:
        end: of `control_pair`; closed by `aclose`.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(end))
        self._sending = trio.Lock()

    async def send(self, kind: str, value: Wire) -> bool:
        """Send a record. False: the other end is gone.

        Raises:
            ControlError: it is too large.
        """
        frame = encode_frame(kind, value)
        try:
            async with self._sending:
                await self._stream.send_all(frame)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    async def receive(self) -> AsyncGenerator[tuple[str, object], None]:
        """Records until the other end is gone: kind, and value yet to be parsed.

        Raises:
            ControlError
        """
        decoder = FrameDecoder()
        while True:
            try:
                data = await self._stream.receive_some(CONTROL_READ_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            for record in decoder.feed(data):
                yield record

    async def aclose(self) -> None:
        await self._stream.aclose()
