"""HTTP/2 on one TLS connection (RFC 9113), by the sans-IO library h2.

Theory of operation. One task reads, one writes, and each stream's exchange is a task of its own. The reader never
waits for anything but bytes: it hands body bytes to their exchange and wakes whoever waits for a window. The writer
sends what h2 has ready. A stream's body is bounded by its window, which is only given back as the handler takes the
bytes; so one slow handler stops its own stream and no other.

hypercorn's HTTP/2 is not used: it gives windows back on receipt and then blocks its reader on a queue, so that a
handler that answers while it reads ends in a deadlock with its client.

What a hostile client may do is bounded by counts (`edged.limits`): streams, resets, control frames, unread answers.
Each ends in GOAWAY with ENHANCE_YOUR_CALM. When the listener stops, new streams are refused, which clients may retry
elsewhere, and the connection ends with its last exchange.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress

import structlog
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from edged.errors import RequestRefused
from edged.http.connection_set import ConnectionSet
from edged.http.exchange import ClientGone, Header
from edged.http.field_section import trailers
from edged.http.stream_exchange import StreamExchange
from edged.http.transport import Transport
from edged.limits import (
    CLOSING_IDLE_S,
    HEADER_BYTES_MAX,
    HEADER_TIMEOUT_S,
    HTTP2_BACKLOG_BYTES_MAX,
    HTTP2_CHATTER_COUNT_MAX,
    HTTP2_READ_BYTES,
    HTTP2_RESET_COUNT_MAX,
    HTTP2_STREAM_COUNT_MAX,
    HTTP2_WINDOW_BYTES,
    IDLE_TIMEOUT_S,
    LINGER_TIMEOUT_S,
    READ_CHUNK_BYTES,
    REQUEST_PER_CONNECTION_MAX,
    WRITE_BUFFER_BYTES,
    WRITE_TIMEOUT_S,
)

log = structlog.get_logger()

_WINDOW_DEFAULT = 65535  # of a connection, before any update (RFC 9113 section 6.9.2)
_STREAM_ID_MAX = 2**31 - 1


class _Stream:
    """One request's stream, as its exchange sees it: `edged.http.stream_exchange.Carrier`."""

    __slots__ = ("_connection", "exchange", "id", "method", "scope", "trailers")

    def __init__(self, connection: Http2Connection, stream_id: int) -> None:
        self._connection = connection
        self.id = stream_id
        self.scope = trio.CancelScope()
        self.exchange: StreamExchange | None = None
        self.trailers: list[Header] = []

    async def send_head(self, status: int, fields: Sequence[Header], *, end: bool) -> None:
        alt_svc = self._connection.alt_svc
        told = [] if alt_svc is None else [(b"alt-svc", alt_svc)]
        self._connection.send_fields(self.id, [(b":status", b"%d" % status), *fields, *told], end=end)
        await trio.lowlevel.checkpoint()

    async def send_continue(self) -> None:
        self._connection.send_fields(self.id, [(b":status", b"100")], end=False)
        await trio.lowlevel.checkpoint()

    async def send_data(self, data: bytes, *, end: bool) -> None:
        await self._connection.send_data(self.id, data, end=end)

    async def send_trailers(self, fields: Sequence[Header]) -> None:
        self._connection.send_fields(self.id, fields, end=True)
        await trio.lowlevel.checkpoint()

    def credit(self, size: int) -> None:
        self._connection.credit(self.id, size)

    def reset(self) -> None:
        self._connection.reset(self.id, ErrorCodes.INTERNAL_ERROR)


class Http2Connection:
    """A client's connection that agreed on HTTP/2, from handshake to close. A `Member` of its set."""

    def __init__(self, connections: ConnectionSet, transport: Transport, client: tuple[str, int]) -> None:
        self._connections = connections
        self.alt_svc = connections.alt_svc
        self._transport = transport
        self._client = client
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: HTTP2_STREAM_COUNT_MAX,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_BYTES_MAX,
                SettingCodes.INITIAL_WINDOW_SIZE: READ_CHUNK_BYTES,
            },
        )
        self._streams: dict[int, _Stream] = {}
        self._backlog = bytearray()
        self._chatter = 0
        self._resets = 0
        self._leaving = False
        self._leave_at = math.inf
        """When the client is told, whatever is under way."""
        self._reading = trio.CancelScope()
        self._to_write = trio.Event()
        self._progress = trio.Event()
        self.deadline = trio.current_time() + HEADER_TIMEOUT_S
        self.idle = True
        self.request_count = 0
        self.swept_request = 0

    def expire(self) -> None:
        self._reading.cancel()

    def leave(self) -> bool:
        """Tell the client to open no more streams, take those that are on their way, and end when there are none
        (RFC 9113 section 6.8). Rather between two requests than during one, which some clients give up at GOAWAY.
        """
        if self._leaving:
            return False
        if not self.idle:
            self._leave_at = min(self._leave_at, trio.current_time() + CLOSING_IDLE_S)
            if trio.current_time() < self._leave_at:
                return False
        if not self.request_count:
            self.deadline = min(self.deadline, trio.current_time() + CLOSING_IDLE_S)
            return False
        self._leaving = True
        self._ready()
        # Past h2, to which a connection that sent GOAWAY is closed.
        self._backlog += GoAwayFrame(0, last_stream_id=_STREAM_ID_MAX, error_code=ErrorCodes.NO_ERROR).serialize()
        self._to_write.set()
        if self.idle:
            self.deadline = trio.current_time() + CLOSING_IDLE_S
        return True

    def start_watch(self, nursery: trio.Nursery) -> None:
        """The reader always reads: it learns of everything."""

    async def run(self) -> None:
        """Serve until the connection ends. Raises nothing but trio.Cancelled."""
        self._connections.add(self)
        try:
            await self._serve()
        except Exception:
            log.exception("connection.failed", client=self._client[0])
        finally:
            self._connections.discard(self)
            await self._transport.aclose()

    async def _serve(self) -> None:
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(HTTP2_WINDOW_BYTES - _WINDOW_DEFAULT)
        self._ready()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write_forever)
            error = ErrorCodes.NO_ERROR
            with self._reading, suppress(ClientGone):
                error = await self._read(nursery)
            with suppress(ProtocolError):
                self._h2.close_connection(error)
            self._ready()
            with trio.move_on_after(LINGER_TIMEOUT_S):
                while self._backlog:
                    await self._progress.wait()
            nursery.cancel_scope.cancel()

    # --- reading ---

    async def _read(self, nursery: trio.Nursery) -> ErrorCodes:
        """Read until there is nothing more to read; returns what to tell the client.

        Raises:
            ClientGone
        """
        while True:
            data = await self._transport.receive_some(HTTP2_READ_BYTES)
            if not data:
                return ErrorCodes.NO_ERROR
            try:
                events = self._h2.receive_data(data)
            except ProtocolError as error:
                log.debug("connection.malformed", client=self._client[0], reason=str(error))
                return error.error_code
            for event in events:
                if isinstance(event, ConnectionTerminated):
                    return ErrorCodes.NO_ERROR
                self._handle(event, nursery)
            self._ready()
            self._moved()  # a window may have grown
            if (
                self._chatter > HTTP2_CHATTER_COUNT_MAX
                or len(self._backlog) > HTTP2_BACKLOG_BYTES_MAX
                or self._resets > max(HTTP2_RESET_COUNT_MAX, self.request_count // 2)
            ):
                log.warning("connection.flooded", client=self._client[0], resets=self._resets)
                return ErrorCodes.ENHANCE_YOUR_CALM

    def _handle(self, event: Event, nursery: trio.Nursery) -> None:
        if isinstance(event, RequestReceived):
            self._chatter = max(0, self._chatter - 4)
            self._open_stream(event, nursery)
        elif isinstance(event, DataReceived):
            self._take_data(event)
        elif isinstance(event, TrailersReceived):
            if (stream := self._streams.get(event.stream_id)) is not None:
                stream.trailers = trailers(event.headers)
        elif isinstance(event, StreamEnded):
            if (stream := self._streams.get(event.stream_id)) is not None and stream.exchange is not None:
                stream.exchange.end(stream.trailers)
        elif isinstance(event, StreamReset):
            self._chatter += 1
            if event.remote_reset:
                self._resets += 1
            if (stream := self._streams.get(event.stream_id)) is not None:
                stream.scope.cancel()
        else:
            self._chatter += 1

    def _take_data(self, event: DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        taken = 0
        if event.data:
            self._chatter = max(0, self._chatter - 2)
            if stream is not None and stream.exchange is not None:
                stream.exchange.feed(event.data)
                taken = len(event.data)
        else:
            self._chatter += 1
        # Padding, and bytes that nobody will read, are done with.
        self.credit(event.stream_id, event.flow_controlled_length - taken)

    def _open_stream(self, event: RequestReceived, nursery: trio.Nursery) -> None:
        full = len(self._streams) >= HTTP2_STREAM_COUNT_MAX or self.request_count >= REQUEST_PER_CONNECTION_MAX
        if full or self._connections.stopping:
            self.reset(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self.request_count += 1
        self.idle = False
        self.deadline = math.inf
        stream = _Stream(self, event.stream_id)
        self._streams[event.stream_id] = stream
        guarded, refusal = self._connections.open_section(event.headers, "2", self._client)
        stream.exchange = StreamExchange(guarded, stream)
        nursery.start_soon(self._run_stream, stream, stream.exchange, refusal)

    async def _run_stream(self, stream: _Stream, exchange: StreamExchange, refusal: RequestRefused | None) -> None:
        try:
            with stream.scope:
                await self._connections.serve_stream(exchange, refusal)
        finally:
            self._close_stream(stream, exchange)

    def _close_stream(self, stream: _Stream, exchange: StreamExchange) -> None:
        del self._streams[stream.id]
        self.credit(stream.id, exchange.unread_bytes)
        if not exchange.finished:
            self.reset(stream.id, ErrorCodes.INTERNAL_ERROR)
        elif not exchange.request_ended:
            self.reset(stream.id, ErrorCodes.NO_ERROR)  # the rest of the request is not wanted (RFC 9113 section 8.1)
        if not self._streams:
            self.idle = True
            self.deadline = trio.current_time() + (CLOSING_IDLE_S if self._leaving else IDLE_TIMEOUT_S)
            if self._connections.closing:
                self.leave()
            if self._connections.stopping or self.request_count >= REQUEST_PER_CONNECTION_MAX:
                self._reading.cancel()

    # --- writing ---

    def _ready(self) -> None:
        """Let the writer have what h2 wants sent."""
        data = self._h2.data_to_send()
        if data:
            self._backlog += data
            self._to_write.set()

    def _moved(self) -> None:
        """Wake who waits for a window or for room in the backlog."""
        self._progress.set()
        self._progress = trio.Event()

    async def _write_forever(self) -> None:
        try:
            while True:
                await self._to_write.wait()
                self._to_write = trio.Event()
                while self._backlog:
                    data = bytes(self._backlog)
                    await self._transport.send_all(data)
                    del self._backlog[: len(data)]
                    self._moved()
        except ClientGone:
            self._backlog.clear()
            self._moved()
            self._reading.cancel()

    def send_fields(self, stream_id: int, fields: Sequence[Header], *, end: bool) -> None:
        """Send a head or trailers.

        Raises:
            ClientGone: the stream or the connection is closed.
        """
        try:
            self._h2.send_headers(stream_id, list(fields), end_stream=end)
        except (ProtocolError, KeyError):
            raise ClientGone("the stream is closed") from None
        self._ready()

    async def send_data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        """Send body bytes as the client's windows allow.

        Raises:
            ClientGone: the stream or the connection is closed, or took nothing for `WRITE_TIMEOUT_S`.
        """
        sent = 0
        try:
            while True:
                window = self._h2.local_flow_control_window(stream_id)
                size = max(0, min(len(data) - sent, window, self._h2.max_outbound_frame_size))
                last = sent + size == len(data)
                if len(self._backlog) < WRITE_BUFFER_BYTES and (size > 0 or last):
                    self._h2.send_data(stream_id, data[sent : sent + size], end_stream=end and last)
                    self._chatter = max(0, self._chatter - 2)
                    sent += size
                    self._ready()
                    if last:
                        break
                    continue
                await self._wait_progress(stream_id)
        except (ProtocolError, KeyError):
            raise ClientGone("the stream is closed") from None
        await trio.lowlevel.checkpoint()

    async def _wait_progress(self, stream_id: int) -> None:
        """Wait until this stream may send; others' progress does not count."""
        with trio.move_on_after(WRITE_TIMEOUT_S) as scope:
            while True:
                await self._progress.wait()
                if len(self._backlog) < WRITE_BUFFER_BYTES and self._h2.local_flow_control_window(stream_id) > 0:
                    return
        if scope.cancelled_caught:
            raise ClientGone(f"the client took nothing for {WRITE_TIMEOUT_S} s")

    def credit(self, stream_id: int, size: int) -> None:
        """Give the client its window back."""
        if size:
            with suppress(ProtocolError):
                self._h2.acknowledge_received_data(size, stream_id)
            self._ready()

    def reset(self, stream_id: int, error: ErrorCodes) -> None:
        """Break a stream off; nothing happens if it is closed."""
        with suppress(ProtocolError):
            self._h2.reset_stream(stream_id, error)
        self._ready()
