"""HTTP/3 on one QUIC connection (RFC 9114), by the sans-IO library aioquic.

Theory of operation. One task per connection does all its QUIC work in turn: datagrams in, timers, events, datagrams
out. Each request's exchange is a task of its own; what it sends goes into aioquic's stream, and the connection's task
is woken to put it on the wire. Request bodies are bounded by their stream's window, which moves as the handler takes
the bytes; response bytes are added only when the former ones were sent.

aioquic itself gives windows back on receipt, takes as many bytes as one cares to give, and has one certificate; `Quic`
is where its private names are used to bound both and to choose a certificate by name. hypercorn's HTTP/3 does neither,
and does not tell an application that its client left.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
import trio
from aioquic._buffer import Buffer  # aioquic.buffer does not export it to type checkers
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import ErrorCode, FrameType, H3Connection, ProtocolError, encode_frame
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionIdIssued,
    ConnectionIdRetired,
    ConnectionTerminated,
    ProtocolNegotiated,
    QuicEvent,
    StopSendingReceived,
    StreamReset,
)
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream
from aioquic.tls import pull_client_hello

from edged.errors import RequestRefused
from edged.http.connection_set import ConnectionSet
from edged.http.exchange import ClientGone, Header
from edged.http.field_section import trailers
from edged.http.stream_exchange import StreamExchange
from edged.limits import (
    CLOSING_IDLE_S,
    HEADER_TIMEOUT_S,
    HTTP2_RESET_COUNT_MAX,
    HTTP2_STREAM_COUNT_MAX,
    HTTP3_INBOX_COUNT_MAX,
    HTTP3_PACKETS_PER_TURN,
    IDLE_TIMEOUT_S,
    READ_CHUNK_BYTES,
    REQUEST_PER_CONNECTION_MAX,
    WRITE_BUFFER_BYTES,
    WRITE_TIMEOUT_S,
)

log = structlog.get_logger()

_STREAM_ID_MAX = 2**62 - 4  # of a request's stream
_FRAME_BYTES_MAX = 1 + 8 + 8  # MAX_STREAM_DATA (RFC 9000 section 19.10)


class Quic(QuicConnection):
    """A server's QUIC connection whose request streams have windows that follow their reader, and whose certificate is
    that of the host which the client names (SNI, RFC 6066 section 3)."""

    certificate_for: Callable[[str | None], QuicConfiguration]
    """The certificate, chain and key for a host, or for a client that names none."""

    unread: Callable[[int], int | None]
    """How many body bytes of a stream nobody took yet; None while the stream has no request."""

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        handle_hello = self.tls._server_handle_hello

        def choose_certificate(hello: Buffer, initial: Buffer, handshake: Buffer) -> None:
            start = hello.tell()
            name = pull_client_hello(hello).server_name
            hello.seek(start)
            chosen = self.certificate_for(name)
            self.tls.certificate = chosen.certificate
            self.tls.certificate_chain = chosen.certificate_chain
            self.tls.certificate_private_key = chosen.private_key
            handle_hello(hello, initial, handshake)

        # aioquic has one certificate for all and no callback; the hello is where it looks at the client's name.
        self.tls._server_handle_hello = choose_certificate  # type: ignore[method-assign,assignment]

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        stream_id = stream.stream_id
        if stream_id is None or stream_id % 4:  # not a request's: HTTP/3's own streams are read at once
            super()._write_stream_limits(builder, space, stream)
            return
        unread = self.unread(stream_id)
        if unread is not None:
            limit = stream.receiver.highest_offset - unread + READ_CHUNK_BYTES
            if limit - stream.max_stream_data_local >= READ_CHUNK_BYTES // 2:
                stream.max_stream_data_local = limit
        if stream.max_stream_data_local_sent != stream.max_stream_data_local:
            frame = builder.start_frame(
                QuicFrameType.MAX_STREAM_DATA,
                capacity=_FRAME_BYTES_MAX,
                handler=self._on_max_stream_data_delivery,
                handler_args=(stream,),
            )
            frame.push_uint_var(stream_id)
            frame.push_uint_var(stream.max_stream_data_local)
            stream.max_stream_data_local_sent = stream.max_stream_data_local

    def all_sent(self, stream_id: int) -> bool:
        """Whether what was written to the stream was put into packets."""
        stream = self._streams.get(stream_id)
        return stream is None or stream.sender.buffer_is_empty


class _Stream:
    """One request's stream, as its exchange sees it: `edged.http.stream_exchange.Carrier`."""

    __slots__ = ("_connection", "exchange", "id", "scope")

    def __init__(self, connection: Http3Connection, stream_id: int) -> None:
        self._connection = connection
        self.id = stream_id
        self.scope = trio.CancelScope()
        self.exchange: StreamExchange | None = None

    async def send_head(self, status: int, fields: Sequence[Header], *, end: bool) -> None:
        await self._connection.send_fields(self.id, [(b":status", b"%d" % status), *fields], end=end)

    async def send_continue(self) -> None:
        await self._connection.send_fields(self.id, [(b":status", b"100")], end=False)

    async def send_data(self, data: bytes, *, end: bool) -> None:
        await self._connection.send_data(self.id, data, end=end)

    async def send_trailers(self, fields: Sequence[Header]) -> None:
        await self._connection.send_fields(self.id, fields, end=True)

    def credit(self, size: int) -> None:
        del size  # the window is computed from what is unread
        self._connection.wake()

    def reset(self) -> None:
        self._connection.reset(self.id, ErrorCode.H3_INTERNAL_ERROR)


class Http3Connection:
    """A client's QUIC connection, from its first packet to its end. A `Member` of its set.

    Args:
        quic: not yet shaken hands.
        send: puts a datagram on the wire, or drops it.
        route: called with a connection id and whether it is ours from now on, or no longer.
    """

    def __init__(
        self,
        connections: ConnectionSet,
        quic: Quic,
        client: tuple[str, int],
        send: Callable[[bytes, tuple[str, int]], None],
        route: Callable[[bytes, bool], None],
    ) -> None:
        self._connections = connections
        self._quic = quic
        self._quic.unread = self._unread
        self._h3: H3Connection | None = None
        self._client = client
        self._send = send
        self._route = route
        self._inbox: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._streams: dict[int, _Stream] = {}
        self._resets = 0
        self._leaving = False
        self._woken = trio.Event()
        self._progress = trio.Event()
        self.deadline = trio.current_time() + HEADER_TIMEOUT_S
        self.idle = True
        self.request_count = 0
        self.swept_request = 0

    def expire(self) -> None:
        self.deadline = math.inf
        self._quic.close(ErrorCode.H3_NO_ERROR)
        self.wake()

    def leave(self) -> bool:
        """Tell the client to send no more requests, take those that are on their way, and end when there are none
        (RFC 9114 section 5.2).
        """
        if self._leaving:
            return False
        if not self.request_count:
            self.deadline = min(self.deadline, trio.current_time() + CLOSING_IDLE_S)
            return False
        assert self._h3 is not None
        control = self._h3._local_control_stream_id  # aioquic has no GOAWAY
        assert control is not None
        self._leaving = True
        self._quic.send_stream_data(control, encode_frame(FrameType.GOAWAY, encode_uint_var(_STREAM_ID_MAX)))
        self.wake()
        if self.idle:
            self.deadline = trio.current_time() + CLOSING_IDLE_S
        return True

    def start_watch(self, nursery: trio.Nursery) -> None:
        """QUIC tells of everything by itself."""

    def receive(self, datagram: bytes, address: tuple[str, int]) -> None:
        """Take a datagram; QUIC has its client send it again if there are too many."""
        if len(self._inbox) < HTTP3_INBOX_COUNT_MAX:
            self._inbox.append((datagram, address))
            self.wake()

    def wake(self) -> None:
        """Have the connection's task look."""
        self._woken.set()

    async def run(self) -> None:
        """Serve until the connection ends. Raises nothing but trio.Cancelled."""
        self._connections.add(self)
        try:
            async with trio.open_nursery() as nursery:
                await self._serve(nursery)
                nursery.cancel_scope.cancel()
        except Exception:
            log.exception("connection.failed", client=self._client[0])
        finally:
            self._connections.discard(self)

    async def _serve(self, nursery: trio.Nursery) -> None:
        while True:
            timer = self._quic.get_timer()
            with trio.CancelScope(deadline=math.inf if timer is None else timer):
                await self._woken.wait()
            self._woken = trio.Event()
            now = trio.current_time()
            for _ in range(min(len(self._inbox), HTTP3_PACKETS_PER_TURN)):
                datagram, address = self._inbox.popleft()
                self._quic.receive_datagram(datagram, address, now)
            if timer is not None and now >= timer:
                self._quic.handle_timer(now)
            while (event := self._quic.next_event()) is not None:
                if isinstance(event, ConnectionTerminated):
                    return
                self._handle(event, nursery)
            for data, address in self._quic.datagrams_to_send(now):
                self._send(data, address)
            self._progress.set()
            self._progress = trio.Event()
            if self._inbox:
                self.wake()
                await trio.lowlevel.checkpoint()

    # --- reading ---

    def _handle(self, event: QuicEvent, nursery: trio.Nursery) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._h3 = H3Connection(self._quic)
        elif isinstance(event, ConnectionIdIssued):
            self._route(event.connection_id, True)
        elif isinstance(event, ConnectionIdRetired):
            self._route(event.connection_id, False)
        elif isinstance(event, StreamReset | StopSendingReceived):
            self._lose(event.stream_id)
        if self._h3 is not None:
            for h3_event in self._h3.handle_event(event):
                self._handle_h3(h3_event, nursery)

    def _handle_h3(self, event: H3Event, nursery: trio.Nursery) -> None:
        if isinstance(event, HeadersReceived):
            stream = self._streams.get(event.stream_id)
            if stream is None:
                self._open_stream(event, nursery)
            elif stream.exchange is not None and event.stream_ended:
                stream.exchange.end(trailers(event.headers))
        elif isinstance(event, DataReceived):
            stream = self._streams.get(event.stream_id)
            if stream is not None and stream.exchange is not None:
                if event.data:
                    stream.exchange.feed(event.data)
                if event.stream_ended:
                    stream.exchange.end()

    def _lose(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._resets += 1
            stream.scope.cancel()
            if self._resets > max(HTTP2_RESET_COUNT_MAX, self.request_count // 2):
                log.warning("connection.flooded", client=self._client[0], resets=self._resets)
                self._quic.close(ErrorCode.H3_EXCESSIVE_LOAD)

    def _open_stream(self, event: HeadersReceived, nursery: trio.Nursery) -> None:
        full = len(self._streams) >= HTTP2_STREAM_COUNT_MAX or self.request_count >= REQUEST_PER_CONNECTION_MAX
        if full or self._connections.stopping:
            self.reset(event.stream_id, ErrorCode.H3_REQUEST_REJECTED)
            self._stop(event.stream_id, ErrorCode.H3_REQUEST_REJECTED)
            return
        self.request_count += 1
        self.idle = False
        self.deadline = math.inf
        stream = _Stream(self, event.stream_id)
        self._streams[event.stream_id] = stream
        guarded, refusal = self._connections.open_section(event.headers, "3", self._client)
        stream.exchange = StreamExchange(guarded, stream)
        if event.stream_ended:
            stream.exchange.end()
        nursery.start_soon(self._run_stream, stream, stream.exchange, refusal)

    async def _run_stream(self, stream: _Stream, exchange: StreamExchange, refusal: RequestRefused | None) -> None:
        try:
            with stream.scope:
                await self._connections.serve_stream(exchange, refusal)
        finally:
            self._close_stream(stream, exchange)

    def _close_stream(self, stream: _Stream, exchange: StreamExchange) -> None:
        del self._streams[stream.id]
        if not exchange.finished:
            self.reset(stream.id, ErrorCode.H3_INTERNAL_ERROR)
        if not exchange.request_ended:
            self._stop(stream.id, ErrorCode.H3_NO_ERROR)  # the rest is not wanted (RFC 9114 section 4.1)
        if not self._streams:
            self.idle = True
            self.deadline = trio.current_time() + (CLOSING_IDLE_S if self._leaving else IDLE_TIMEOUT_S)
            if self._connections.stopping or self.request_count >= REQUEST_PER_CONNECTION_MAX:
                self.deadline = trio.current_time()  # the next sweep closes it: the answer goes first
        self.wake()

    def _unread(self, stream_id: int) -> int | None:
        stream = self._streams.get(stream_id)
        return None if stream is None or stream.exchange is None else stream.exchange.unread_bytes

    # --- writing ---

    async def send_fields(self, stream_id: int, fields: Sequence[Header], *, end: bool) -> None:
        """Send a head or trailers.

        Raises:
            ClientGone: the stream or the connection is closed.
        """
        assert self._h3 is not None
        try:
            self._h3.send_headers(stream_id, list(fields), end_stream=end)
        except (ProtocolError, AssertionError, ValueError):
            raise ClientGone("the stream is closed") from None
        self.wake()
        await trio.lowlevel.checkpoint()

    async def send_data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        """Send body bytes as the client's windows and the network allow.

        Raises:
            ClientGone: the stream or the connection is closed, or took nothing for `WRITE_TIMEOUT_S`.
        """
        assert self._h3 is not None
        for start in range(0, len(data) or 1, WRITE_BUFFER_BYTES):
            piece = data[start : start + WRITE_BUFFER_BYTES]
            last = end and start + len(piece) == len(data)
            try:
                self._h3.send_data(stream_id, piece, last)
            except (ProtocolError, AssertionError, ValueError):
                raise ClientGone("the stream is closed") from None
            self.wake()
            with trio.move_on_after(WRITE_TIMEOUT_S) as scope:
                await self._progress.wait()
                while not self._quic.all_sent(stream_id):
                    await self._progress.wait()
            if scope.cancelled_caught:
                raise ClientGone(f"the client took nothing for {WRITE_TIMEOUT_S} s")

    def reset(self, stream_id: int, error: ErrorCode) -> None:
        """Break the response off; nothing happens if it is whole."""
        self._quic.reset_stream(stream_id, error)
        self.wake()

    def _stop(self, stream_id: int, error: ErrorCode) -> None:
        """Ask the client to send no more of a request."""
        with suppress(ValueError):
            self._quic.stop_stream(stream_id, error)
        self.wake()
