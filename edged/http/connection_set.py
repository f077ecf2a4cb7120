"""The connections of one listener: what they share, and what happens to them by the clock.

One sweep over all of them, a few times a second, does what a cancel scope with a deadline around every wait would do,
for nothing per request (a scope costs 8 us, a whole exchange 20).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog
import trio

from edged.errors import EdgedError, RequestRefused
from edged.http.exchange import ClientGone, Exchange, Handler, Header
from edged.http.field_section import guard_section, refused
from edged.http.guard import Guarded
from edged.http.handling import run_handler
from edged.http.stream_exchange import StreamExchange
from edged.limits import CLOSING_COUNT_PER_SWEEP, SWEEP_INTERVAL_S

log = structlog.get_logger()


class Member(Protocol):
    """What the set needs of a connection.

    Attributes:
        deadline: on trio's clock; when it passes, the connection is expired.
        idle: nothing of a request was received: the connection may be closed without asking.
        request_count: requests so far.
        swept_request: the set's note: the request that was under way at the last sweep.
    """

    deadline: float
    idle: bool
    request_count: int
    swept_request: int

    def expire(self) -> None:
        """End the connection: its deadline passed or, if idle, the listener stops."""

    def leave(self) -> bool:
        """Clients are to go elsewhere: end the connection so that no request fails by it, and tell the client where its
        protocol can. Called at each sweep; True where there was something to do.
        """

    def start_watch(self, nursery: trio.Nursery) -> None:
        """A request takes long: see that its client is still there."""


class ConnectionSet:
    """Connections that share a handler.

    Attributes:
        stopping: no connection takes another request.
        closing: connections take their clients' next requests, say that these are the last, and end.
        active: exchanges under way.
        served: exchanges that ended.
        refused: requests answered before any handler saw them.
        alt_svc: what `https` responses say about HTTP/3 (RFC 7838), if anything.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.stopping = False
        self.closing = False
        self.active = 0
        self.served = 0
        self.refused = 0
        self.alt_svc: bytes | None = None
        self._members: set[Member] = set()
        self._empty = trio.Event()

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: Member) -> None:
        self._members.add(member)

    def discard(self, member: Member) -> None:
        self._members.discard(member)
        if not self._members:
            self._empty.set()

    async def handle(self, exchange: Exchange) -> EdgedError | None:
        """Run the handler; what it did not handle itself comes back as the error to answer with.

        Raises:
            ClientGone
        """
        self.active += 1
        try:
            return await run_handler(self._handler, exchange)
        finally:
            self.active -= 1
            self.served += 1

    def open_section(
        self, fields: Sequence[Header], version: str, client: tuple[str, int]
    ) -> tuple[Guarded, RequestRefused | None]:
        """The request of a stream, and why no handler will see it, if that is so."""
        try:
            return guard_section(fields, version, client), None
        except RequestRefused as refusal:
            self.refused += 1
            log.debug("request.refused", code=refusal.code, message=refusal.message, client=client[0])
            return refused(fields, version, client), refusal

    async def serve_stream(self, exchange: StreamExchange, refusal: RequestRefused | None) -> None:
        """Answer on one stream of a connection. What goes wrong ends there."""
        try:
            failure = refusal or await self.handle(exchange)
            await exchange.conclude(failure)
        except ClientGone:
            pass
        except Exception:
            log.exception("stream.failed", client=exchange.request.client[0])

    def stop(self) -> None:
        """Close idle connections; the others close after the request they are at."""
        self.stopping = True
        for member in self._members:
            if member.idle:
                member.expire()

    async def wait_empty(self) -> None:
        """Wait until no connection is open."""
        while self._members:
            self._empty = trio.Event()
            await self._empty.wait()

    async def sweep_forever(self) -> None:
        """Keep the connections' deadlines, and watch the clients of those whose exchange takes long."""
        async with trio.open_nursery() as watchers:
            while True:
                await trio.sleep(SWEEP_INTERVAL_S)
                self.sweep(trio.current_time(), watchers)

    def sweep(self, now: float, watchers: trio.Nursery) -> None:
        """One pass; `now` on trio's clock."""
        leaving = 0
        for member in self._members:
            if member.deadline <= now:
                member.expire()
                continue
            if self.closing and leaving < CLOSING_COUNT_PER_SWEEP:
                leaving += member.leave()
            if not member.idle:
                if member.swept_request == member.request_count:
                    member.start_watch(watchers)
                else:
                    member.swept_request = member.request_count
