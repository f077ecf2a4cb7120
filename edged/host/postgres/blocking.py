"""A connection to a server for a client library that blocks, in a thread of its own.

    await dial(...) ── socket ── BlockingWire ── file of the library: read(size), write, flush

It is dialled before, so that the library resolves nothing. It is the library's file as well, outside of TLS, so that no
size that a server names is believed: what is too large is refused before any memory is taken for it.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import TypeVar

import trio

from edged.host.rdbms.failure import ConnectionLost, ResultTooLarge
from edged.limits import READ_CHUNK_BYTES, SQL_RESULT_BYTES_MAX, SQL_STATEMENT_S_MAX

T = TypeVar("T")


class BlockingWire:
    """For one thread at a time, but `close`.

    Args:
        stream: is taken out of trio, and closed with this.
    """

    __slots__ = ("_buffer", "_is_closed", "_is_used", "_lock", "_socket", "_unsent", "tls")

    def __init__(self, stream: trio.SocketStream) -> None:
        self._socket: socket.socket = socket.socket(fileno=stream.socket.detach())
        # Nobody should have to wait for it: whoever waits for the thread closes this before.
        self._socket.settimeout(SQL_STATEMENT_S_MAX)
        self._buffer = bytearray()
        self._unsent = bytearray()
        self._is_closed = False
        self._is_used = False
        self._lock = Lock()
        self.tls: ssl.SSLSocket | None = None

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on with TLS.

        Raises:
            ConnectionLost: the certificate is not one of `host`, or there is no TLS. Bytes that came before it, which
                whoever is between could have put there, are an error (CVE-2021-23222).
        """
        if self._buffer:
            raise ConnectionLost("the server says something before TLS")
        try:
            with self._lock:
                if self._is_closed:
                    raise ConnectionLost("the connection is closed")
                tls = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
                self._socket = self.tls = tls
            tls.do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise ConnectionLost(f"the server's certificate is not valid: {error.verify_message}") from None
        except (OSError, ValueError):
            raise ConnectionLost("there is no TLS with the server") from None

    def is_quiet(self) -> bool:
        """Nothing has come that nobody asked for: neither bytes nor an end. Does not wait."""
        if self._buffer or self._socket.fileno() < 0 or (self.tls is not None and self.tls.pending()):
            return False
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        return not poll.poll(0)

    def use(self, call: Callable[[], T]) -> T:
        """In a thread: what reads and writes here.

        Raises:
            ConnectionLost: also as soon as it is closed.
        """
        with self._lock:
            if self._is_closed:
                raise ConnectionLost("the connection is closed")
            self._is_used = True
        try:
            return call()
        finally:
            with self._lock:
                self._is_used = False
                if self._is_closed:
                    self._socket.close()

    def close(self) -> None:
        """At once, without a word to the server. From any thread: one that reads or writes gets an error."""
        with self._lock:
            self._is_closed = True
            with suppress(OSError):
                # Not the method of SSLSocket, after which it would go on in clear.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            if not self._is_used:  # or the thread would read from whatever gets this number next
                self._socket.close()

    # --- as a file ---

    def makefile(self, mode: str) -> BlockingWire:  # noqa: ARG002
        return self

    def read(self, size: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            ConnectionLost
            ResultTooLarge: nothing was read.
        """
        if size < 0:
            raise ConnectionLost("the server does not speak its protocol")
        if size > SQL_RESULT_BYTES_MAX:
            raise ResultTooLarge(f"the result has more than {SQL_RESULT_BYTES_MAX} bytes")
        while len(self._buffer) < size:
            try:
                more = self._socket.recv(READ_CHUNK_BYTES)
            except (OSError, ValueError):
                more = b""
            if not more:
                raise ConnectionLost("the server closed the connection")
            self._buffer += more
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def write(self, data: bytes) -> None:
        self._unsent += data

    def flush(self) -> None:
        """Raises: ConnectionLost"""
        unsent, self._unsent = self._unsent, bytearray()
        try:
            self._socket.sendall(unsent)
        except (OSError, ValueError):
            raise ConnectionLost("the connection was lost") from None
