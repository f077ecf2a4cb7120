"""The sockets that workers accept on: one for each worker and address, bound here and kept open here.

Workers share a port by SO_REUSEPORT: the kernel gives each connection to one of their sockets. While the supervisor has
a socket open too, what waits in it survives the worker. A socket that is bound and does not listen yet takes no share.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from edged.http.bind import bind, bind_udp


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the workers of a node listen.

    Attributes:
        plain, tls: host and port, for HTTP and HTTPS; port 0 for any free one, the same for all workers.
        http3: also on the UDP ports of the numbers of `tls`.
        may_be_absent: addresses may come only later, and go.
    """

    plain: Sequence[tuple[str, int]] = ()
    tls: Sequence[tuple[str, int]] = ()
    http3: bool = False
    may_be_absent: bool = False


@dataclass(frozen=True, slots=True)
class WorkerSockets:
    """Those of one worker. A name may have several addresses, and so several sockets."""

    plain: list[socket.socket] = field(default_factory=list)
    tls: list[socket.socket] = field(default_factory=list)
    udp: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        """What waits in them is refused, once the worker has closed its copies as well."""
        for sock in (*self.plain, *self.tls, *self.udp):
            sock.close()

    def shut_down(self) -> None:
        """Stop them from listening, in every process that has copies: the kernel takes a TCP socket out of those that
        share its port, and resets what waits in it. One for UDP has no such state; it goes with its last copy.
        """
        for sock in (*self.plain, *self.tls):
            with suppress(OSError):  # it does not listen yet
                sock.shutdown(socket.SHUT_RDWR)


class Sockets:
    """Makes the sockets of workers.

    Args:
        addresses: bound at once, so that one that is taken is an error of the start. Nothing listens until a worker
            does.

    Attributes:
        plain, tls: what is bound, with its ports.

    Raises:
        ListenError
    """

    def __init__(self, addresses: Addresses) -> None:
        self._http3 = addresses.http3
        # Held for good: its ports are ours while no worker lives, also those that the kernel chose.
        self._held = _open(addresses.plain, addresses.tls, http3=False, may_be_absent=addresses.may_be_absent)
        self.plain: list[tuple[str, int]] = [sock.getsockname()[:2] for sock in self._held.plain]
        self.tls: list[tuple[str, int]] = [sock.getsockname()[:2] for sock in self._held.tls]

    def open(self) -> WorkerSockets:
        """Sockets of one worker, bound and not listening.

        Raises:
            ListenError
        """
        # An address that was there at the start may be away while a worker gets its successor.
        return _open(self.plain, self.tls, http3=self._http3, may_be_absent=True)

    def close(self) -> None:
        self._held.close()


def _open(
    plain: Sequence[tuple[str, int]], tls: Sequence[tuple[str, int]], *, http3: bool, may_be_absent: bool
) -> WorkerSockets:
    with ExitStack() as opened:
        sockets = WorkerSockets()
        opened.callback(sockets.close)
        for host, port in plain:
            sockets.plain.extend(bind(host, port, reuse_port=True, listen=False, may_be_absent=may_be_absent))
        for host, port in tls:
            sockets.tls.extend(bind(host, port, reuse_port=True, listen=False, may_be_absent=may_be_absent))
        if http3:
            sockets.udp.extend(bind_udp(list(tls), reuse_port=True, may_be_absent=may_be_absent))
        opened.pop_all()
        return sockets
