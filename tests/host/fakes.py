"""In-memory stand-ins for what meets the host: an exchange and its client, a guest's invocation, its output."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
import trio

from edged.errors import GuestResponseInvalid
from edged.host.budget import Budget
from edged.host.interface import Err, Invocation
from edged.http.exchange import BodyError, ClientGone, Exchange, Header, RequestHead
from edged.limits import WRITE_BUFFER_BYTES, GuestLimits

HEAD = RequestHead(
    method="GET",
    scheme="http",
    authority="example.com",
    target="/a%20b?c=d",
    http_version="1.1",
    headers=((b"host", b"example.com"), (b"accept", b"*/*")),
    client=("192.0.2.1", 40000),
)


def head(**changes: Any) -> RequestHead:
    fields = {name: getattr(HEAD, name) for name in HEAD.__slots__}
    return RequestHead(**fields | changes)


class FakeExchange:
    """An `Exchange` whose client is the test.

    The client sends with `feed`, `end` and `break_off`, takes nothing while it is `stall`ed, and goes with `leave`.
    What it got is in `sends` (one entry for each time something was sent), `status`, `headers`, `body` and `trailers`.
    """

    def __init__(self, request: RequestHead = HEAD, body: bytes = b"", *, ended: bool = True) -> None:
        self.request = request
        self.request_body_bytes_max = GuestLimits().request_body_bytes_max
        self._incoming = bytearray(body)
        self._ended = ended
        self._request_trailers: Sequence[Header] = ()
        self._broken: BodyError | ClientGone | None = None
        self._news = trio.Event()
        self.status: int | None = None
        self.headers: Sequence[Header] = ()
        self.trailers: Sequence[Header] = ()
        self.sends: list[bytes] = []
        self.finished = False
        self.aborted = False
        self._gathered = bytearray()
        self._length: int | None = None
        self._written = 0
        self._head_sent = False
        self._stalled: trio.Event | None = None
        self._gone = False

    # --- the client ---

    def feed(self, data: bytes) -> None:
        self._incoming += data
        self._tell()

    def end(self, trailers: Sequence[Header] = ()) -> None:
        self._ended = True
        self._request_trailers = trailers
        self._tell()

    def break_off(self, error: BodyError | ClientGone) -> None:
        self._broken = error
        self._tell()

    def leave(self) -> None:
        self._gone = True
        self.resume()

    def stall(self) -> None:
        self._stalled = trio.Event()

    def resume(self) -> None:
        if self._stalled is not None:
            self._stalled.set()
            self._stalled = None

    @property
    def body(self) -> bytes:
        return b"".join(self.sends)

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    # --- the exchange ---

    @property
    def responded(self) -> bool:
        return self.status is not None

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        assert bytes_max > 0
        if self._incoming:
            data = bytes(self._incoming[:bytes_max])
            del self._incoming[:bytes_max]
            return data
        if self._broken is not None:
            raise self._broken
        return b"" if self._ended else None

    async def receive(self, bytes_max: int) -> bytes:
        while (data := self.receive_nowait(bytes_max)) is None:
            await self._news.wait()
        return data

    def request_trailers(self) -> Sequence[Header]:
        return self._request_trailers

    def respond(self, status: int, headers: Sequence[Header]) -> None:
        assert not self.responded
        if status < 200:
            raise GuestResponseInvalid(f"{status} is not the status of a final response")
        self.status = status
        self.headers = headers
        lengths = [value for name, value in headers if name == b"content-length"]
        self._length = int(lengths[0]) if lengths else None

    def write_capacity(self) -> int:
        return max(0, WRITE_BUFFER_BYTES - len(self._gathered))

    def write(self, data: bytes) -> None:
        assert self.responded
        assert not self.finished
        assert 0 < len(data) <= self.write_capacity(), "the host keeps to the permit"
        if self.request.method != "HEAD":
            self._gathered += data
            self._written += len(data)

    async def flush(self) -> None:
        assert self.responded
        assert not self.finished
        await self._send()

    async def finish(self, trailers: Sequence[Header] = ()) -> None:
        assert not self.finished
        if self.request.method != "HEAD" and self._length not in (None, self._written):
            raise GuestResponseInvalid("fewer bytes than content-length")
        self.finished = True
        self.trailers = trailers
        await self._send()

    async def _send(self) -> None:
        while self._stalled is not None:
            await self._stalled.wait()
        await trio.lowlevel.checkpoint()
        if self._gone:
            raise ClientGone
        if self._gathered or self.finished or not self._head_sent:
            self.sends.append(bytes(self._gathered))
        self._head_sent = True
        self._gathered.clear()

    def abort(self) -> None:
        self.aborted = True


def _is_an_exchange(exchange: FakeExchange) -> Exchange:
    return exchange


class Output:
    """An `OutputSink` that keeps everything."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.data += data

    def close(self) -> None:
        self.closed = True


def invocation(budget: Budget | None = None) -> Invocation:
    return Invocation("request-1", Output(), Output(), budget or Budget())


async def settled(answer: Any) -> Any:
    """The value of a `@may_suspend` method, whichever way it answered."""
    return await answer if isinstance(answer, Awaitable) else answer


def suspends(answer: Any) -> bool:
    """Whether a `@may_suspend` method wants the guest to wait. What it would wait on is thrown away."""
    if isinstance(answer, Awaitable):
        answer.close()  # type: ignore[attr-defined]
        return True
    return False


def err(value: Any = None) -> Any:
    """`with err("closed"):` expects the err case of a WIT result."""
    return pytest.raises(Err, check=lambda raised: raised == Err(value))


def failed_with(code: Any) -> Any:
    """Expects the stream-error last-operation-failed, with an error of that code."""
    return pytest.raises(
        Err, check=lambda raised: raised.value[0] == "last-operation-failed" and raised.value[1].code == code
    )
