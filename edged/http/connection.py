"""One HTTP/1.1 connection: reads a request, runs the handler, reads the next (RFC 9112 section 9).

Theory of operation. One task does everything in turn, so that a small exchange costs two system calls, one wait and no
task. What needs a clock or a second pair of eyes is left to `edged.http.connection_set`, which sweeps over all
connections a few times a second: it ends those whose `deadline` passed, and starts `_watch` beside an exchange that
takes long, to learn of a client that went away.

    wait_head -> parse_head -> guard -> handler(Http1Exchange) -> conclude -+-> wait_head
        |            |                                                      |
      silence     refused: answer, linger, close                          close

A client that only shut its sending side (FIN) gets its answers; one that reset the connection cancels its exchange.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import structlog
import trio

from edged.errors import BadRequest, RequestRefused, RequestTimeout
from edged.http.body import ChunkedBody, LengthBody
from edged.http.exchange import ClientGone
from edged.http.guard import CHUNKED, guard
from edged.http.head import parse_head, refuse_unfinished
from edged.http.http1 import Http1Exchange
from edged.http.response import encode_head, error_response
from edged.http.transport import Transport
from edged.limits import (
    CLOSING_IDLE_S,
    HEADER_TIMEOUT_S,
    IDLE_TIMEOUT_S,
    LINGER_BYTES_MAX,
    LINGER_TIMEOUT_S,
    READ_CHUNK_BYTES,
    REQUEST_PER_CONNECTION_MAX,
)

if TYPE_CHECKING:
    from edged.http.connection_set import ConnectionSet

log = structlog.get_logger()


class Connection:
    """A client's connection, from accept to close.

    Args:
        connections: the listener's set, with its handler.
        client: address and port.
        scheme: `http` or `https`.
    """

    __slots__ = (
        "_connections",
        "_ended",
        "_expired",
        "_leave_at",
        "_leaving",
        "_reading",
        "_scope",
        "_watch_done",
        "_watch_scope",
        "alt_svc",
        "buffer",
        "client",
        "deadline",
        "idle",
        "request_count",
        "scheme",
        "swept_request",
        "transport",
    )

    def __init__(
        self, connections: ConnectionSet, transport: Transport, client: tuple[str, int], scheme: str = "http"
    ) -> None:
        self._connections = connections
        self.alt_svc = connections.alt_svc
        self.transport = transport
        self.client = client
        self.scheme = scheme
        self.buffer = bytearray()
        """Received and not yet taken: the next request's head, or body bytes ahead of their handler."""
        self.deadline = math.inf
        """On trio's clock; the sweep ends the connection when it passes."""
        self.idle = True
        """Nothing of a request was received: may be closed without asking."""
        self.request_count = 0
        self.swept_request = 0
        """The request that was under way at the last sweep."""
        self._scope = trio.CancelScope()
        self._ended = False  # the client sent its last byte
        self._expired = False
        self._leaving = False
        self._leave_at = math.inf  # a kept connection is closed, once clients are to go elsewhere
        self._reading = False
        self._watch_scope: trio.CancelScope | None = None
        self._watch_done = trio.Event()

    @property
    def closing(self) -> bool:
        """Whether the request under way is the last."""
        connections = self._connections
        return connections.stopping or connections.closing or self.request_count >= REQUEST_PER_CONNECTION_MAX

    async def run(self) -> None:
        """Serve until the connection ends. Raises nothing but trio.Cancelled."""
        self._connections.add(self)
        try:
            with self._scope:
                await self._serve()
            if self._expired and not self.idle and self.deadline < math.inf:
                await self._refuse(RequestTimeout(f"the request head did not end within {HEADER_TIMEOUT_S} s"))
            if self._leaving:
                await self._linger()
        except ClientGone:
            pass
        except Exception:
            log.exception("connection.failed", client=self.client[0])
        finally:
            self._connections.discard(self)
            if self._watch_scope is not None:
                self._watch_scope.cancel()
            await self.transport.aclose()

    def expire(self) -> None:
        """End the connection because its deadline passed or, if idle, because the listener stops."""
        self._expired = True
        self._scope.cancel()

    def leave(self) -> bool:
        """Close a kept connection, or have the answer that is under way say that it is the last. Who asks again at once
        is told by the answer, and who has only just connected is waited for. A client that sends its next request at
        the moment of the end sees that before a reset.
        """
        if not self.idle or self._leaving:
            return False
        now = trio.current_time()
        if not self.request_count:
            self.deadline = min(self.deadline, now + CLOSING_IDLE_S)
            return False
        self._leave_at = min(self._leave_at, now + CLOSING_IDLE_S)
        if now < self._leave_at:
            return False
        self._leaving = True
        self._scope.cancel()
        return True

    # --- reading ---

    async def fill(self) -> bool:
        """Wait for bytes and add them to the buffer. True: look again; False: the client sent its last.

        Raises:
            ClientGone
        """
        if self.watched:
            await self._stop_watch()  # which may have filled it
            return True
        if self._ended:
            return False
        self._reading = True
        try:
            data = await self.transport.receive_some(READ_CHUNK_BYTES)
        finally:
            self._reading = False
        if not data:
            self._ended = True
            return False
        self.buffer += data
        return True

    async def _wait_head(self) -> bytes | None:
        """The next request's head with its blank line; None if there is no next request.

        Raises:
            RequestRefused: it is too long already, or ended in the middle.
            ClientGone
        """
        buffer = self.buffer
        if buffer:
            await trio.lowlevel.checkpoint()  # pipelined: between its requests, others' turn
        elif self._connections.stopping:
            return None
        searched = 0
        self.idle = not buffer
        self.deadline = trio.current_time() + (IDLE_TIMEOUT_S if self.idle else HEADER_TIMEOUT_S)
        while True:
            while buffer.startswith(b"\r\n"):
                del buffer[:2]  # RFC 9112 section 2.2: empty lines before a request are not one
            end = buffer.find(b"\r\n\r\n", searched)
            if end >= 0:
                head = bytes(buffer[: end + 4])
                del buffer[: end + 4]
                self.deadline = math.inf
                self.idle = False
                return head
            refuse_unfinished(buffer)
            searched = max(0, len(buffer) - 3)
            if not await self.fill():
                if buffer:
                    raise BadRequest("the connection ended in the middle of a request head")
                return None
            if self.idle:
                self.idle = False
                self.deadline = trio.current_time() + HEADER_TIMEOUT_S

    # --- exchanges ---

    async def _serve(self) -> None:
        while True:
            try:
                head = await self._wait_head()
                if head is None:
                    return
                parsed = parse_head(head)
                guarded = guard(
                    parsed.method,
                    parsed.target,
                    parsed.version,
                    parsed.headers,
                    scheme=self.scheme,
                    client=self.client,
                )
            except RequestRefused as refusal:
                await self._refuse(refusal)
                return
            length = guarded.body_length
            exchange = Http1Exchange(self, guarded, ChunkedBody() if length == CHUNKED else LengthBody(length))
            self.request_count += 1
            failure = await self._connections.handle(exchange)
            if not await exchange.conclude(failure):
                if exchange.unread or self.buffer:
                    await self._linger()
                return

    async def _refuse(self, refusal: RequestRefused) -> None:
        """Answer a request that no handler sees, then close.

        Raises:
            ClientGone
        """
        self.deadline = math.inf
        self._connections.refused += 1
        log.debug("request.refused", code=refusal.code, message=refusal.message, client=self.client[0])
        status, headers, body = error_response(refusal)
        await self.transport.send_all(encode_head(status, headers, b"connection: close\r\n") + body)
        await self._linger()

    async def _linger(self) -> None:
        """Read on for a moment after our last byte: closing on unread bytes would reset the connection, and the reset
        would overtake our answer (RFC 9112 section 9.6).
        """
        await self.transport.send_eof()
        budget = LINGER_BYTES_MAX
        with trio.move_on_after(LINGER_TIMEOUT_S):
            while budget > 0 and await self.fill():
                budget -= len(self.buffer)
                self.buffer.clear()

    # --- watching for a client that goes away, while a handler runs ---

    @property
    def watched(self) -> bool:
        return self._watch_scope is not None

    def start_watch(self, nursery: trio.Nursery) -> None:
        """Read ahead in a task beside the exchange, unless somebody reads already or nothing more can be learnt."""
        if self.watched or self._reading or self._ended or len(self.buffer) >= READ_CHUNK_BYTES:
            return
        self._watch_scope = trio.CancelScope()
        self._watch_done = trio.Event()
        nursery.start_soon(self._watch, self._watch_scope)

    async def _stop_watch(self) -> None:
        """Have the reading side back."""
        if self._watch_scope is not None:
            self._watch_scope.cancel()
            await self._watch_done.wait()

    async def _watch(self, scope: trio.CancelScope) -> None:
        try:
            with scope:
                while len(self.buffer) < READ_CHUNK_BYTES:
                    data = await self.transport.receive_some(READ_CHUNK_BYTES)
                    if not data:
                        self._ended = True
                        break
                    self.buffer += data
        except ClientGone:
            self._scope.cancel()
        finally:
            self._watch_scope = None
            self._watch_done.set()
