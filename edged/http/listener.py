"""Listening sockets, and a task for each connection that comes in.

    accept -> caps -> [TLS handshake -> ALPN] -> Connection (HTTP/1.1) or Http2Connection
                |                                     |
             503, close                          ConnectionSet, swept by the clock
                                                      |
    UDP -> QuicEndpoint -> Http3Connection -----------+

`serve` runs until it is cancelled, which cuts everything, or until `Listener.shutdown`, which lets requests end.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
import trio

from edged.errors import ListenError, TooManyConnections
from edged.http.admission import Admission, client_address
from edged.http.bind import bind, bind_udp
from edged.http.connection import Connection
from edged.http.connection_set import ConnectionSet
from edged.http.exchange import Handler
from edged.http.http2 import Http2Connection
from edged.http.response import encode_head, error_response
from edged.http.tls import ALPN_HTTP2, Certificate, Certificates, TlsFiles
from edged.http.transport import SocketTransport, TlsTransport
from edged.limits import (
    ACCEPT_PAUSE_S,
    CONNECTION_COUNT_MAX,
    CONNECTION_PER_ADDRESS_MAX,
    LINGER_TIMEOUT_S,
    LISTEN_BACKLOG,
    REFUSAL_COUNT_MAX,
    SHUTDOWN_GRACE_S,
    TLS_HANDSHAKE_TIMEOUT_S,
)

if TYPE_CHECKING:
    from edged.http.quic import QuicEndpoint

log = structlog.get_logger()

_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Where and how to listen.

    Attributes:
        port: 0 for any free one.
        find_free_port: if the port is taken, try the next ones.
        reuse_port: share the port with the other workers.
        sockets: bound already, by whoever started this process; host, port and the two flags mean nothing then.
        tls: speak TLS, with HTTP/2 for clients that offer it. `Certificates` may be shared by listeners, and changed.
        http3: with TLS, also speak HTTP/3 on the UDP port of the same number, and tell clients so (RFC 7838).
        udp_sockets: for HTTP/3, where `sockets` are given.
        connection_count_max, connection_per_address_max, connection_own_count: of all protocols; see
            `edged.http.admission`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    find_free_port: bool = False
    reuse_port: bool = False
    sockets: Sequence[socket.socket] = ()
    tls: TlsFiles | Certificates | None = None
    http3: bool = False
    udp_sockets: Sequence[socket.socket] = ()
    connection_count_max: int = CONNECTION_COUNT_MAX
    connection_per_address_max: int = CONNECTION_PER_ADDRESS_MAX
    connection_own_count: int = 0


@dataclass(frozen=True, slots=True)
class ListenerStatistics:
    """A moment's view; `connections_refused`, `requests_refused` and `exchanges_served` only grow."""

    connections_open: int
    connections_refused: int
    exchanges_active: int
    exchanges_served: int
    requests_refused: int


class Listener:
    """Sockets bound by the options.

    Args:
        handler: called for each exchange, of all connections.

    Attributes:
        addresses: host and port that each socket is bound to.

    Raises:
        ListenError, TlsError
    """

    def __init__(self, handler: Handler, options: ListenOptions) -> None:
        self._options = options
        tls = options.tls
        self._certificates = Certificates([Certificate(("*",), tls)]) if isinstance(tls, TlsFiles) else tls
        self._sockets = list(options.sockets) or bind(
            options.host, options.port, find_free_port=options.find_free_port, reuse_port=options.reuse_port
        )
        for sock in options.sockets:
            sock.setblocking(False)
            sock.listen(LISTEN_BACKLOG)  # once more, should it listen already: that changes nothing
        self.addresses: list[tuple[str, int]] = [sock.getsockname()[:2] for sock in self._sockets]
        self._connections = ConnectionSet(handler)
        self._admission = Admission(
            options.connection_count_max, options.connection_per_address_max, options.connection_own_count
        )
        self._endpoints: list[QuicEndpoint] = []
        if self._certificates is not None and options.http3:
            self._open_http3(self._certificates)
        self._turning_away = 0
        self._stop = trio.Event()

    @property
    def urls(self) -> list[str]:
        """One for each address."""
        scheme = "http" if self._certificates is None else "https"
        return [
            f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
            for host, port in self.addresses
        ]

    def statistics(self) -> ListenerStatistics:
        return ListenerStatistics(
            connections_open=self._admission.open,
            connections_refused=self._admission.refused,
            exchanges_active=self._connections.active,
            exchanges_served=self._connections.served,
            requests_refused=self._connections.refused,
        )

    @property
    def stopping(self) -> bool:
        """Whether no request is taken any more."""
        return self._connections.stopping

    def set_closing(self, closing: bool) -> None:
        """Whether clients are to go elsewhere: new requests are answered, and each connection ends with those that it
        is at.
        """
        self._connections.closing = closing

    def shutdown(self) -> None:
        """Stop accepting, close idle connections, give requests under way `SHUTDOWN_GRACE_S`. Returns at once;
        `run` returns when it is done.
        """
        self._stop.set()

    async def run(self) -> None:
        """Accept and serve until shut down or cancelled."""
        try:
            async with trio.open_nursery() as serving:
                serving.start_soon(self._connections.sweep_forever)
                async with trio.open_nursery() as accepting:
                    for sock in self._sockets:
                        accepting.start_soon(self._accept_forever, sock, serving)
                    for endpoint in self._endpoints:
                        serving.start_soon(endpoint.run, serving)
                    await self._stop.wait()
                    accepting.cancel_scope.cancel()
                for sock in self._sockets:
                    sock.close()
                self._connections.stop()
                with trio.move_on_after(SHUTDOWN_GRACE_S) as grace:
                    await self._connections.wait_empty()
                if grace.cancelled_caught:
                    log.warning("listener.cut", connections=len(self._connections))
                serving.cancel_scope.cancel()
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening at once; for a listener that does not run."""
        for sock in self._sockets:
            sock.close()
        for endpoint in self._endpoints:
            endpoint.close()

    def _open_http3(self, certificates: Certificates) -> None:
        from edged.http.quic import QuicEndpoint  # noqa: PLC0415 - takes 200 ms, which other listeners need not pay

        try:
            bound = list(self._options.udp_sockets) or bind_udp(self.addresses, reuse_port=self._options.reuse_port)
        except ListenError:
            self.close()
            raise
        self._endpoints = [QuicEndpoint(self._connections, self._admission, sock, certificates) for sock in bound]
        self._connections.alt_svc = b'h3=":%d"; ma=86400' % self.addresses[0][1]

    async def _accept_forever(self, listening: socket.socket, serving: trio.Nursery) -> None:
        paused = False
        while True:
            await trio.lowlevel.wait_readable(listening)
            for _ in range(LISTEN_BACKLOG):
                try:
                    connected, address = listening.accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno in _NO_RESOURCES:
                        if not paused:
                            log.warning("accept.paused", reason=error.strerror)
                        paused = True
                        await trio.sleep(ACCEPT_PAUSE_S)
                    break  # anything else was about that one connection, which is gone
                paused = False
                self._accepted(connected, address, serving)

    def _accepted(self, connected: socket.socket, address: tuple[str, int], serving: trio.Nursery) -> None:
        client = client_address(address)
        connected.setblocking(False)
        if self._admission.enter(client[0]):
            serving.start_soon(self._serve_connection, connected, client)
        elif self._turning_away < REFUSAL_COUNT_MAX and self._certificates is None:
            self._turning_away += 1
            serving.start_soon(self._turn_away, connected)
        else:
            connected.close()

    async def _serve_connection(self, connected: socket.socket, client: tuple[str, int]) -> None:
        try:
            if self._certificates is None:
                await Connection(self._connections, SocketTransport(connected), client).run()
            else:
                await self._serve_tls(connected, client, self._certificates.context)
        finally:
            self._admission.leave(client[0])

    async def _serve_tls(self, connected: socket.socket, client: tuple[str, int], context: ssl.SSLContext) -> None:
        stream = trio.SSLStream(
            trio.SocketStream(trio.socket.from_stdlib_socket(connected)),
            context,
            server_side=True,
            https_compatible=True,
        )
        transport = TlsTransport(stream)
        try:
            with trio.fail_after(TLS_HANDSHAKE_TIMEOUT_S):
                await stream.do_handshake()
            if stream.selected_alpn_protocol() == ALPN_HTTP2:
                await Http2Connection(self._connections, transport, client).run()
            else:
                await Connection(self._connections, transport, client, "https").run()
        except (trio.BrokenResourceError, trio.TooSlowError) as error:
            log.debug("handshake.failed", client=client[0], reason=str(error.__cause__ or error))
        finally:
            transport.cut(reset=False)

    async def _turn_away(self, connected: socket.socket) -> None:
        """Tell a client over the cap to come back later, and wait for it to have read that."""
        status, headers, body = error_response(TooManyConnections("no more connections are taken at the moment"))
        answer = encode_head(status, [*headers, (b"retry-after", b"1")], b"connection: close\r\n") + body
        try:
            with trio.move_on_after(LINGER_TIMEOUT_S):
                connected.send(answer)
                connected.shutdown(socket.SHUT_WR)
                while True:
                    await trio.lowlevel.wait_readable(connected)
                    if not connected.recv(4096):
                        break
        except OSError:
            pass  # it is gone, which is what it should be
        finally:
            self._turning_away -= 1
            connected.close()


async def serve(
    handler: Handler,
    options: ListenOptions,
    *,
    task_status: trio.TaskStatus[Listener] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen and serve. `task_status` is started with the `Listener` once connections are accepted.

    Raises:
        ListenError, TlsError
    """
    listener = Listener(handler, options)
    task_status.started(listener)
    await listener.run()
