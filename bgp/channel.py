"""The child's end of the socketpair: requests in, events out, neither ever waited for."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from bgp.errors import WireInvalid
from bgp.limits import OUTBOX_BYTES_MAX, READ_BYTES
from bgp.lines import Lines
from bgp.wire import Event, Log, Request, encode_event, parse_request


class Channel:
    """
    Attributes:
        ended: the other side closed it, or its process is gone.
        overrun: the other side did not read for so long that events were lost; it has to be given up.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._lines = Lines()
        self._outbox = bytearray()
        self.ended = False
        self.overrun = False

    def fileno(self) -> int:
        return self._sock.fileno()

    def read(self) -> Iterator[Request]:
        """What is there now, up to READ_BYTES: sessions get their turn however much is said.

        Raises:
            WireInvalid
        """
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # of a pair: the other side is gone with bytes of ours unread
            data = b""
        self.ended = self.ended or not data
        for line in self._lines.feed(data):
            yield parse_request(line)

    def first(self, timeout_s: float) -> Request:
        """Waits for one line, and no byte behind it.

        Raises:
            WireInvalid: none came, or more than one.
        """
        self._sock.settimeout(timeout_s)
        lines: list[bytes] = []
        try:
            while not lines:
                # A byte at a time would be read from a file, never from a peer: what follows stays in the socket.
                peeked = self._sock.recv(READ_BYTES, socket.MSG_PEEK)
                end = peeked.find(b"\n") + 1
                data = self._sock.recv(end or len(peeked))
                if not data:
                    raise WireInvalid("the daemon went away before it said anything")
                lines = self._lines.feed(data)
        except OSError:
            raise WireInvalid("the daemon did not say whom to speak to") from None
        finally:
            self._sock.setblocking(False)
        return parse_request(lines[0])

    def say(self, event: Event) -> None:
        """Never waits: what cannot be sent now is kept, up to OUTBOX_BYTES_MAX."""
        line = encode_event(event)
        if len(self._outbox) + len(line) > OUTBOX_BYTES_MAX:
            # Logs are the only thing that may be lost: all else is what the daemon's picture is made of.
            self.overrun = self.overrun or not isinstance(event, Log)
            return
        self._outbox += line
        self.flush()

    def flush(self) -> None:
        while self._outbox:
            try:
                sent = self._sock.send(self._outbox)
            except BlockingIOError:
                return
            except OSError:
                self._outbox.clear()
                self.ended = True
                return
            del self._outbox[:sent]

    def close(self, timeout_s: float) -> None:
        """Says what is left, for at most so long."""
        self._sock.settimeout(timeout_s)
        with contextlib.suppress(OSError):  # nobody listens any more
            self._sock.sendall(self._outbox)
        self._sock.close()
