"""The packets of a connection to a server: read by count, so that no more is kept than a message may have."""

from __future__ import annotations

import select
import ssl

import trio

from edged.host.mysql.packets import ERROR, PACKET_BYTES_MAX, packet, parse_error
from edged.host.rdbms.failure import ConnectionLost, ResultTooLarge
from edged.limits import READ_CHUNK_BYTES, SQL_RESULT_BYTES_MAX

STRANGE = "the server does not speak MySQL's protocol"


class Wire:
    """For one task at a time."""

    __slots__ = ("_at", "_buffer", "_sequence", "_socket", "_stream")

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = stream
        self._socket = stream.socket
        self._buffer = bytearray()
        self._at = 0  # how much of the buffer has been taken
        self._sequence = 0

    @property
    def tls(self) -> trio.SSLStream[trio.SocketStream] | None:
        return self._stream if isinstance(self._stream, trio.SSLStream) else None

    def is_quiet(self) -> bool:
        """Nothing has come that nobody asked for: neither bytes nor an end. Does not wait."""
        if self._at < len(self._buffer) or self._socket.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        return not poll.poll(0)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on with TLS.

        Raises:
            ConnectionLost: the certificate is not one of `host`, or there is no TLS. Bytes that came before it, which
                whoever is between could have put there, are an error (CVE-2021-23222).
        """
        assert isinstance(self._stream, trio.SocketStream)
        if self._at < len(self._buffer):
            raise ConnectionLost("the server says something before TLS")
        stream = trio.SSLStream(self._stream, context, server_hostname=host)
        try:
            await stream.do_handshake()
        except (trio.BrokenResourceError, OSError) as error:
            cause = error.__cause__
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise ConnectionLost(f"the server's certificate is not valid: {cause.verify_message}") from None
            raise ConnectionLost("there is no TLS with the server") from None
        self._stream = stream

    async def send_command(self, body: bytes, before: bytes = b"") -> None:
        """Begin an exchange; `before` are whole packets that go first. Raises: ConnectionLost"""
        self._sequence = 0
        await self.send(body, before)

    async def send(self, body: bytes, before: bytes = b"") -> None:
        """One packet. Raises: ConnectionLost"""
        try:
            await self._stream.send_all(before + packet(self._sequence, body))
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            raise ConnectionLost("the connection was lost") from None
        self._sequence += 1

    async def receive_checked(self) -> bytes:
        """As `receive`. Raises too: Refused"""
        body = await self.receive()
        if body[0] == ERROR:
            raise parse_error(body)
        return body

    async def receive(self) -> bytes:
        """The next packet, of one byte at least.

        Raises:
            ConnectionLost
            ResultTooLarge: it has more bytes than a result may have; they are not read.
        """
        whole = b""
        while True:
            header = await self._take(4)
            length = int.from_bytes(header[:3], "little")
            self._sequence = header[3] + 1
            if len(whole) + length > SQL_RESULT_BYTES_MAX:
                raise ResultTooLarge(f"the result has more than {SQL_RESULT_BYTES_MAX} bytes")
            whole += await self._take(length)
            if length < PACKET_BYTES_MAX:
                break
        if not whole:
            raise ConnectionLost(STRANGE)
        return whole

    async def _take(self, count: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._buffer) - self._at < count:
            await self._fill()
        end = self._at + count
        taken = bytes(self._buffer[self._at : end])
        self._at = end
        return taken

    async def _fill(self) -> None:
        del self._buffer[: self._at]
        self._at = 0
        try:
            more = await self._stream.receive_some(READ_CHUNK_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            more = b""
        if not more:
            raise ConnectionLost("the server closed the connection")
        self._buffer += more

    def close(self) -> None:
        """At once, without a word to the server."""
        self._socket.close()
