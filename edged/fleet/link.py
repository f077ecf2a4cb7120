"""A link: one connection between two parties, over which both may call.

    stream -> reader ─> Session ─> a task for each request ─> dispatch ─> answer ─┐
                            └────> whoever waits in call() or stream()            │
    stream <- writer <─────────────── outbox <──── requests, answers, pings <─────┘

The reader never waits for anything but the peer: what it has to say goes to the outbox, which the writer empties.
Whoever has more to say than the outbox holds waits there, and a peer that takes nothing is cut.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any

import structlog
import trio

from edged.errors import EdgedError, LinkError, ProtocolError, RequestInvalid
from edged.fleet.depth import Depth, HighWater
from edged.fleet.peer import ANYONE, Peer
from edged.fleet.session import Session
from edged.fleet.session_event import (
    AnswerReceived,
    CancelReceived,
    EndReceived,
    ErrorReceived,
    Event,
    Hello,
    HelloReceived,
    ItemReceived,
    MoreReceived,
    PingReceived,
    PongReceived,
    RequestReceived,
)
from edged.fleet.stream import Reply, Stream
from edged.limits import (
    FRAME_BYTES_MAX,
    LINK_CALL_TIMEOUT_S,
    LINK_OUTBOX_BYTES_MAX,
    LINK_PING_INTERVAL_S,
    LINK_READ_BYTES,
    LINK_SILENCE_S_MAX,
    LINK_WRITE_TIMEOUT_S,
    KiB,
)
from registry.errors import RegistryError

log = structlog.get_logger()

_OUTBOX_SMALL_BYTES = 256 * KiB
OUTBOX_BYTES_MOST = LINK_OUTBOX_BYTES_MAX + FRAME_BYTES_MAX + _OUTBOX_SMALL_BYTES
"""With the frame that went over what may wait, and small words: more of them, and the link is cut."""

Dispatch = Callable[[Peer, str, dict[str, Any]], Awaitable[Any]]
"""Answers a request: returns a value, or an async iterator for a stream. Raises EdgedError or RegistryError."""


async def refuse_all(_peer: Peer, call: str, _args: dict[str, Any]) -> Any:
    """The dispatch of an end that answers nothing."""
    raise RequestInvalid(f"{call!r} is not answered here")


class Link:
    """One end of a connection whose TLS handshake is done. `run` it in a task; then call.

    Args:
        stream: both ways; `run` closes it.
        hello: ours.
        peer: who is at the other end, by its certificate.
        dispatch: answers the peer's requests.
        lasts_s: how long the peer's certificate is good for; the link is closed then.

    Attributes:
        round_trip_s: the last measured; infinite until then.
        outbox_bytes: that wait to be sent.
        outbox_high: how many ever did.
        reason: why it is closed; None while it is not.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        hello: Hello,
        peer: Peer,
        dispatch: Dispatch = refuse_all,
        *,
        address: str = "",
        lasts_s: float = math.inf,
    ) -> None:
        self.peer = peer
        self.address = address or peer.address or peer.name
        self.round_trip_s = math.inf
        self.reason: LinkError | None = None
        self._stream = stream
        self._session = Session(hello, anyone=peer is ANYONE)
        self._dispatch = dispatch
        self._outbox: deque[bytes] = deque()
        self.outbox_bytes = 0
        self.outbox_high = HighWater()
        self._outbox_news = trio.Event()
        self._outbox_room = trio.Event()
        self._waiting: dict[int, Stream | Reply] = {}
        self._requests: dict[int, trio.CancelScope] = {}
        self._windows: dict[int, trio.Event] = {}
        self._slot = trio.Event()
        self._heard_at = trio.current_time()
        self._ends_at = self._heard_at + lasts_s
        self._pinged: tuple[int, float] | None = None
        self._ready = trio.Event()
        self._ended = trio.Event()
        self._scope = trio.CancelScope()
        self._decoding = trio.CapacityLimiter(1)  # its own: a link must not be silent because disks are slow

    @property
    def hello(self) -> Hello | None:
        """The peer's, once it came."""
        return self._session.hello

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._ready.is_set() and self.reason is None

    def close(self, reason: str) -> None:
        """Cut it. Calls under way raise LinkError with the reason; returns at once."""
        if self.reason is None:
            self.reason = LinkError(f"the link to {self.address} was closed: {reason}")
        self._scope.cancel()

    async def wait_closed(self) -> LinkError:
        """Until it is closed, and why."""
        await self._ended.wait()
        assert self.reason is not None
        return self.reason

    # --- asking ---

    async def call(self, name: str, /, *, timeout_s: float = LINK_CALL_TIMEOUT_S, **args: Any) -> Any:
        """Call and return the answer. Being cancelled cancels the call over there.

        Raises:
            RemoteError: the other end answered with an error.
            LinkError: no answer: the link broke, or the time is over.
            ProtocolError: the arguments do not fit into a frame.
        """
        reply = Reply()
        number: int | None = None
        try:
            with trio.move_on_after(timeout_s):
                number = await self.ask(name, args, reply)
                await reply.came.wait()
                if isinstance(reply.value, EdgedError):
                    raise reply.value
                return reply.value
            raise LinkError(f"{self.address} did not answer {name} within {timeout_s:g} s")
        finally:
            if number is not None and not reply.came.is_set():
                self.cancel(number)

    def stream(self, name: str, /, **args: Any) -> Stream:
        """Call what answers with a stream; see `Stream`."""
        return Stream(self, name, args)

    async def ask(self, name: str, args: dict[str, Any], waiting: Stream | Reply) -> int:
        """Send a request, whose answers go to `waiting`; see `edged.fleet.stream.Asker`."""
        await self._ready.wait()
        while self.reason is None and not (self._session.may_ask and self._has_room):
            if self._session.is_stuck:
                self._broke(LinkError(f"{self.address} answers nothing"))
                break
            # Whoever is woken looks again: another may have been first.
            await (self._outbox_room if self._session.may_ask else self._slot).wait()
        # No checkpoint from here on: cancelled between the two, nobody would cancel the request.
        if self.reason is not None:
            raise self.reason
        number, data = self._session.ask(name, args, is_stream=isinstance(waiting, Stream))
        self._waiting[number] = waiting
        self._put(data)
        return number

    def cancel(self, number: int) -> None:
        """Nobody waits for the answers of that request any more."""
        if self._waiting.pop(number, None) is not None and self.reason is None:
            self._put(self._session.cancel(number))

    def took(self, number: int, count: int) -> None:
        """So many items of that request were taken."""
        if number in self._waiting and self.reason is None:
            self._put(self._session.took(number, count))

    # --- the connection ---

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read, write and answer until the link is closed, by whom ever; `reason` then says why.

        Started once the peer's hello is there. Does not raise for what the peer or the network does.

        Raises:
            LinkError: it ended before it was started, so that `start` raises.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._put(self._session.say_hello())
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._watch)
                    nursery.start_soon(self._read, nursery)
                    await self._ready.wait()
                    task_status.started()
        finally:
            self._closed()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._stream)
        if self.hello is None and self.reason is not None:
            raise self.reason

    def _closed(self) -> None:
        """Tell everybody who waits."""
        if self.reason is None:
            self.reason = LinkError(f"the link to {self.address} was closed")
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            one.put(self.reason)
        for event in (self._ready, self._slot, self._outbox_room, self._ended):
            event.set()

    def _broke(self, reason: LinkError) -> None:
        if self.reason is None:
            self.reason = reason
        self._scope.cancel()

    async def _read(self, nursery: trio.Nursery) -> None:
        while True:
            try:
                data = await self._stream.receive_some(LINK_READ_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return self._broke(LinkError(f"the link to {self.address} broke"))
            if not data:
                return self._broke(LinkError(f"{self.address} closed the link"))
            self._heard_at = trio.current_time()
            try:
                await self._receive(data, nursery)
            except ProtocolError as error:
                if self.peer is ANYONE:  # who must not fill the log
                    log.debug("link.refused", address=self.address, reason=error.message)
                else:
                    log.warning("link.malformed", peer=self.peer.name, address=self.address, reason=error.message)
                return self._broke(ProtocolError(f"{self.address}: {error.message}", remedy=error.remedy))

    async def _receive(self, data: bytes | bytearray, nursery: trio.Nursery) -> None:
        """One frame after the other, so that a short one does not pass a long one by."""
        self._session.feed(data)
        while (frame := self._session.cut()) is not None:
            if frame.is_long:
                message = await trio.to_thread.run_sync(frame.decode, limiter=self._decoding)
            else:
                message = frame.decode()
            if self.reason is not None:
                return  # closed while a long one was decoded; who asked may have left, and the session was not told
            event = self._session.take(message)
            if event is not None:
                self._received(event, nursery)

    def _received(self, event: Event, nursery: trio.Nursery) -> None:
        match event:
            case HelloReceived():
                self._ready.set()
            case RequestReceived():
                self._requests[event.id] = scope = trio.CancelScope()
                nursery.start_soon(self._answer, event, scope)
            case CancelReceived():
                self._requests[event.id].cancel()
            case MoreReceived():
                if event.id in self._windows:
                    self._windows[event.id].set()
            case AnswerReceived():
                self._waiting.pop(event.id).put(event.value)
            case ErrorReceived():
                self._waiting.pop(event.id).put(event.error)
            case EndReceived():
                self._waiting.pop(event.id).put(event)
            case ItemReceived():
                self._waiting[event.id].put(event)
            case PingReceived():
                if self._has_room:  # who takes nothing needs no pong
                    self._put(event.data)
            case PongReceived():
                if self._pinged is not None and self._pinged[0] == event.number:
                    self.round_trip_s = trio.current_time() - self._pinged[1]
        if self._session.may_ask:
            self._slot.set()
            self._slot = trio.Event()

    async def _watch(self) -> None:
        """Ping, and close when nothing comes any more."""
        await self._ready.wait()
        while True:
            number, data = self._session.ping()
            self._pinged = number, trio.current_time()
            self._put(data)
            await trio.sleep(LINK_PING_INTERVAL_S)
            if trio.current_time() - self._heard_at > LINK_SILENCE_S_MAX:
                return self._broke(LinkError(f"{self.address} was silent for {LINK_SILENCE_S_MAX:g} s"))
            if trio.current_time() >= self._ends_at:
                return self._broke(LinkError(f"the certificate of {self.address} has expired"))

    async def _write(self) -> None:
        while True:
            while not self._outbox:
                self._outbox_news = trio.Event()
                await self._outbox_news.wait()
            frame = memoryview(self._outbox.popleft())
            for start in range(0, len(frame), LINK_READ_BYTES):
                try:
                    with trio.fail_after(LINK_WRITE_TIMEOUT_S):
                        await self._stream.send_all(frame[start : start + LINK_READ_BYTES])
                except trio.TooSlowError:
                    return self._broke(LinkError(f"{self.address} took nothing for {LINK_WRITE_TIMEOUT_S:g} s"))
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    # Why, the reader is told: a TLS alert comes before the connection's end.
                    return None
            self.outbox_bytes -= len(frame)
            self._outbox_room.set()
            self._outbox_room = trio.Event()

    def _put(self, data: bytes) -> None:
        if data:
            self._outbox.append(data)
            self.outbox_bytes += len(data)
            self.outbox_high.reached(self.outbox_bytes)
            self._outbox_news.set()
        if self.outbox_bytes > OUTBOX_BYTES_MOST:
            # Small words (more, cancel) do not wait: a peer that makes us say many takes none of them.
            self._broke(LinkError(f"{self.address} lets us say more than it takes"))

    @property
    def _has_room(self) -> bool:
        return self.outbox_bytes < LINK_OUTBOX_BYTES_MAX

    async def _room(self) -> None:
        """Wait until the outbox has room."""
        while self.reason is None and not self._has_room:
            await self._outbox_room.wait()

    # --- answering ---

    async def _answer(self, request: RequestReceived, scope: trio.CancelScope) -> None:
        number = request.id
        try:
            with scope:
                value = await self._dispatch(self.peer, request.call, request.args)
                if hasattr(value, "__aiter__"):
                    await self._answer_stream(number, value)
                    await self._room()
                    self._put(self._session.end(number))
                else:
                    await self._room()
                    self._put(self._session.answer(number, value))
                return
            await self._fail(number, "fleet.cancelled", "the call was cancelled", "")
        except (EdgedError, RegistryError) as error:
            await self._fail(number, error.code, error.message, error.remedy)
        except Exception:
            log.exception("link.handler-failed", call=request.call, peer=self.peer.name)
            mistake = EdgedError("")
            await self._fail(number, mistake.code, "a mistake in edged; see the node's log", mistake.remedy)
        finally:
            del self._requests[number]

    async def _fail(self, number: int, code: str, message: str, remedy: str) -> None:
        await self._room()
        self._put(self._session.fail(number, code, message, remedy))

    async def _answer_stream(self, number: int, items: AsyncIterator[Any]) -> None:
        try:
            async with _closing(items):
                async for item in items:
                    while not self._session.may_send_item(number):
                        self._windows[number] = trio.Event()
                        await self._windows[number].wait()
                    await self._room()
                    self._put(self._session.item(number, item))
        finally:
            self._windows.pop(number, None)


def _closing(items: AsyncIterator[Any]) -> AbstractAsyncContextManager[Any]:
    """A generator is closed when its stream ends, whatever ends it."""
    return aclosing(items) if isinstance(items, AsyncGenerator) else nullcontext()


class Outboxes:
    """What waits to be sent over some links, for whoever keeps them."""

    def __init__(self) -> None:
        self._high = HighWater()

    def ended(self, link: Link) -> None:
        """It is none of them any more."""
        self._high.reached(link.outbox_high.highest)

    def depth(self, links: Iterable[Link]) -> Depth:
        """The fullest of those that there are, and what was in any ever."""
        now = 0
        for link in links:
            now = max(now, link.outbox_bytes)
            self._high.reached(link.outbox_high.highest)
        return Depth("link_outbox_bytes", now, self._high.highest, OUTBOX_BYTES_MOST)
