"""Listening sockets: from `host:port` to sockets that accept.

A name is bound on all its addresses (`localhost` is often two), `::` also takes IPv4, and a port is shared with other
workers where asked (SO_REUSEPORT). This is the one place where the network's OSError becomes `ListenError`.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack

from edged.errors import ListenError, UsageError
from edged.limits import LISTEN_BACKLOG, LISTEN_PORT_TRIES_MAX

_IP_FREEBIND = 15
"""Of ip(7); the module `socket` of Python 3.11 does not name it."""


def parse_address(text: str) -> tuple[str, int]:
    """Parse `host:port`, `[v6]:port` or `:port` (all interfaces).

    Raises:
        UsageError
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UsageError(f"{text!r} is not an address", remedy="Write an IPv6 address as [::1]:8080.")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{text!r} is not an address", remedy="Write it as 127.0.0.1:8080.")
    return host or "::", int(port)


def bind(
    host: str,
    port: int,
    *,
    find_free_port: bool = False,
    reuse_port: bool = False,
    listen: bool = True,
    may_be_absent: bool = False,
) -> list[socket.socket]:
    """Bind and listen on TCP, on every address of `host`, non-blocking.

    Args:
        port: 0 for any; the same for all addresses.
        find_free_port: if the port is taken, try the next ones, as many as Spin does.
        reuse_port: share the port with other processes of the same user.
        listen: False only to bind: clients are refused, or get to those who share the port, until somebody calls
            `listen` on the sockets.
        may_be_absent: also an address that this machine does not have yet.

    Raises:
        ListenError: the address is taken, not ours, not allowed or not known.
    """
    if port == 0:
        candidates = [0] * LISTEN_PORT_TRIES_MAX  # free on one address of a name, it may be taken on the other
    elif find_free_port:
        candidates = list(range(port, min(port + LISTEN_PORT_TRIES_MAX, 65536)))
    else:
        candidates = [port]
    for candidate in candidates:
        try:
            return _bind_all(
                host,
                candidate,
                socket.SOCK_STREAM,
                reuse_port=reuse_port,
                listen=listen,
                may_be_absent=may_be_absent,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _listen_error(host, candidate, error) from None
    tried = f"port {port}" if candidates[0] == candidates[-1] else f"every port from {port} to {candidates[-1]}"
    raise ListenError(f"{tried} on {host} is taken")


def bind_udp(
    addresses: list[tuple[str, int]], *, reuse_port: bool = False, may_be_absent: bool = False
) -> list[socket.socket]:
    """Bind UDP on the addresses that TCP already listens on, for HTTP/3.

    Raises:
        ListenError
    """
    with ExitStack() as opened:
        sockets = []
        for host, port in addresses:
            try:
                bound = _bind_all(
                    host, port, socket.SOCK_DGRAM, reuse_port=reuse_port, listen=False, may_be_absent=may_be_absent
                )
            except OSError as error:
                raise _listen_error(host, port, error) from None
            for sock in bound:
                opened.callback(sock.close)
            sockets += bound
        opened.pop_all()
        return sockets


def _bind_all(
    host: str, port: int, kind: socket.SocketKind, *, reuse_port: bool, listen: bool, may_be_absent: bool
) -> list[socket.socket]:
    """One socket per address of the name; all or none."""
    if host == "::" and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # noqa: S104 - all interfaces were asked for
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        found = dict.fromkeys(socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE))
        for family, _, _, _, address in found:
            if sockets and port == 0:
                port = sockets[0].getsockname()[1]
            sock = socket.socket(family, kind)
            opened.callback(sock.close)
            sock.setblocking(False)
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if may_be_absent:
                sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)  # the kernel heeds it for IPv6, too
            if family == socket.AF_INET6:
                # `::` is everything; any other IPv6 address is itself, and leaves IPv4 to its own socket.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
            try:
                sock.bind((address[0], port, *address[2:]))
            except OSError as error:
                # `localhost` is ::1 too, also on machines without IPv6.
                if error.errno == errno.EADDRNOTAVAIL and len(found) > 1:
                    sock.close()
                    continue
                raise
            if listen:
                sock.listen(LISTEN_BACKLOG)
            sockets.append(sock)
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        opened.pop_all()
        return sockets


def _listen_error(host: str, port: int, error: OSError) -> ListenError:
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    if isinstance(error, socket.gaierror):
        reason = error.strerror or "the name is not known"
    return ListenError(f"cannot listen on {host} port {port}: {reason}")
