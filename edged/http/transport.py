"""A connection's bytes, in five verbs. The one place where socket and TLS exceptions become `ClientGone`.

`SocketTransport` calls the socket itself and asks trio only to wait: a `trio.SocketStream` costs a trip through the
scheduler for every send (measured: 21 us a hello exchange against 14). So `send_all` does not yield where the kernel
takes everything at once; `receive_some` always waits for readability first, and so always yields.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Protocol

import trio

from edged.http.exchange import ClientGone
from edged.limits import LINGER_TIMEOUT_S, WRITE_TIMEOUT_S


class Transport(Protocol):
    """What a connection needs of a stream. One task may receive while another sends."""

    async def receive_some(self, bytes_max: int) -> bytes:
        """Wait for bytes; `b""` once the client sent its last.

        Raises:
            ClientGone: the connection was reset.
        """

    async def send_all(self, data: bytes) -> None:
        """Send everything.

        Raises:
            ClientGone: the connection broke, or took nothing for `WRITE_TIMEOUT_S`.
        """

    async def send_eof(self) -> None:
        """Say that nothing more will be sent, where the transport can say so. Does not raise."""

    async def aclose(self) -> None:
        """Close in order. Does not raise; may be called twice."""

    def cut(self, *, reset: bool) -> None:
        """Close now, without waiting.

        Args:
            reset: so that even a client that reads until the end of the stream sees a failure.
        """


class SocketTransport:
    """A connected, non-blocking TCP socket."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    async def receive_some(self, bytes_max: int) -> bytes:
        try:
            while True:
                self._check_open()
                await trio.lowlevel.wait_readable(self._socket)
                try:
                    return self._socket.recv(bytes_max)
                except BlockingIOError:
                    continue  # another wake-up than ours
        except (OSError, trio.ClosedResourceError) as error:
            raise ClientGone(str(error)) from None

    async def send_all(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ClientGone(str(error)) from None
        if sent < len(data):
            await self._send_rest(memoryview(data)[sent:])

    async def _send_rest(self, rest: memoryview) -> None:
        try:
            while rest:
                self._check_open()
                with trio.move_on_after(WRITE_TIMEOUT_S) as scope:
                    await trio.lowlevel.wait_writable(self._socket)
                if scope.cancelled_caught:
                    raise ClientGone(f"the client took nothing for {WRITE_TIMEOUT_S} s")
                try:
                    rest = rest[self._socket.send(rest) :]
                except BlockingIOError:
                    continue
        except (OSError, trio.ClosedResourceError) as error:
            raise ClientGone(str(error)) from None

    def _check_open(self) -> None:
        """A socket that was cut has no descriptor, and trio would remember whoever waits for -1."""
        if self._socket.fileno() < 0:
            raise ClientGone("the connection was cut")

    async def send_eof(self) -> None:
        with suppress(OSError):  # the client is gone: nobody needs to know
            self._socket.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        self.cut(reset=False)

    def cut(self, *, reset: bool) -> None:
        if self._socket.fileno() < 0:
            return
        trio.lowlevel.notify_closing(self._socket)
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class TlsTransport:
    """A TLS connection whose handshake is done."""

    __slots__ = ("_stream",)

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream

    async def receive_some(self, bytes_max: int) -> bytes:
        try:
            return bytes(await self._stream.receive_some(bytes_max))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ClientGone(str(error)) from None

    async def send_all(self, data: bytes) -> None:
        try:
            # OpenSSL may hold some of it back, so that progress is only seen when all is sent: hence pieces.
            for start in range(0, len(data), 16384):
                with trio.move_on_after(WRITE_TIMEOUT_S) as scope:
                    await self._stream.send_all(data[start : start + 16384])
                if scope.cancelled_caught:
                    raise ClientGone(f"the client took nothing for {WRITE_TIMEOUT_S} s")
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ClientGone(str(error)) from None

    async def send_eof(self) -> None:
        """TLS has no half-close that clients expect; `aclose` says close-notify."""

    async def aclose(self) -> None:
        # Broken: the client is gone. Closed: we cut it.
        with trio.move_on_after(LINGER_TIMEOUT_S), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.aclose()

    def cut(self, *, reset: bool) -> None:
        del reset  # without close-notify, every TLS client sees a truncated stream
        self._stream.transport_stream.socket.close()
