"""The bytes of one connection: TCP through the gate, and TLS on it where the URL says so."""

from __future__ import annotations

import select
import ssl
from typing import NamedTuple, Protocol

import trio

from edged.host.http_client.failure import failure_of
from edged.host.network.dialer import Dialer, DialFailed


class Origin(NamedTuple):
    """Where requests go that may share a connection (RFC 6454), and as whom."""

    scheme: str
    host: str
    """In lower case, an IPv6 address without brackets."""
    port: int
    tls: ssl.SSLContext | None = None
    """Settings for `https`. Components that have others have connections of their own."""


class Wire(Protocol):
    """What a connection needs of its stream. One task may send while another receives."""

    async def send_all(self, data: bytes, /) -> None:
        """Raises trio.BrokenResourceError, trio.ClosedResourceError."""

    async def receive_some(self, bytes_max: int, /) -> bytes | bytearray:
        """Empty at the end. Same errors. Cancelling it loses nothing."""

    def readable(self) -> bool:
        """Whether something is there to be received, the end included."""

    def close(self) -> None:
        """At once, without goodbyes. Idempotent; who sends or receives meanwhile gets ClosedResourceError."""


class SocketWire:
    """A wire over a socket."""

    __slots__ = ("_socket", "receive_some", "send_all")

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        # The wire adds nothing to these two; without a method of its own in between each costs a call less.
        self.send_all = stream.send_all
        self.receive_some = stream.receive_some
        self._socket = (stream.transport_stream if isinstance(stream, trio.SSLStream) else stream).socket

    def readable(self) -> bool:
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self._socket.close()


async def open_wire(dialer: Dialer, origin: Origin, timeout_s: float) -> Wire:
    """A new connection.

    Raises:
        HttpError: with the error-code for what went wrong; `connection-timeout` past `timeout_s`.
    """
    deadline = trio.current_time() + timeout_s
    try:
        stream = await dialer.dial(origin.host, origin.port, timeout_s)
        if origin.tls is None:
            return SocketWire(stream)
        try:
            # Most servers end TLS without saying so. Where that could cut an answer short, its framing tells.
            tls = trio.SSLStream(
                stream,
                origin.tls,
                server_hostname=origin.host.removesuffix("."),
                https_compatible=True,
            )
            with trio.fail_at(deadline):
                await tls.do_handshake()
        except BaseException:
            stream.socket.close()
            raise
        return SocketWire(tls)
    except (DialFailed, trio.TooSlowError, trio.BrokenResourceError, ValueError) as error:
        raise failure_of(error) from None
