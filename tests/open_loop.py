"""Constant load: requests that begin when they are due, however long those before them take.

    with OpenLoop([("127.0.0.1", 8080)], host="hello.edged.localhost", rate=100) as load:
        ...
    assert load.failures == []

Every second request is on a connection that is kept open, as a browser has it; the others are each on a new one. A
thread of its own runs them, so that the test may block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import h11
import trio

_READ_BYTES = 64 * 1024
_TIMEOUT_S = 120.0  # a worker that is started anew takes half a minute on a busy machine


@dataclass(frozen=True, slots=True)
class Request:
    """One request that ended.

    Attributes:
        server: position in the list of addresses.
        port: of our end, which says by which process it was answered, see `tests.fleets`.
        kept: on a connection that was open before.
        begun, ended: `time.monotonic()`, s.
        body: of the answer with status 200; None for any other, or none.
        error: what went wrong; "" for nothing.
    """

    server: int
    port: int
    kept: bool
    begun: float
    ended: float
    body: bytes | None
    error: str


class OpenLoop:
    """See the module.

    Args:
        addresses: of servers; each gets its share in turn.
        rate: requests a second, of all together.
    """

    def __init__(self, addresses: Sequence[tuple[str, int]], *, host: str, rate: float, path: str = "/") -> None:
        self.done: list[Request] = []
        self._addresses = addresses
        self._request = h11.Request(method="GET", target=path, headers=[("host", host)])
        self._interval_s = 1 / rate
        self._idle: list[list[trio.SocketStream]] = [[] for _ in addresses]
        self._news = threading.Condition()
        self._stop = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._thread = threading.Thread(target=trio.run, args=(self._run,))

    def __enter__(self) -> OpenLoop:
        self._thread.start()
        self.wait_answers(len(self._addresses))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        self._token.run_sync_soon(self._stop.set)
        self._thread.join()

    @property
    def failures(self) -> list[Request]:
        return [request for request in self.done if request.error]

    def wait_answers(self, count: int) -> None:
        """Until so many more requests have ended."""
        with self._news:
            wanted = len(self.done) + count
            assert self._news.wait_for(lambda: len(self.done) >= wanted, _TIMEOUT_S), "no answers come"

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            number, due = 0, trio.current_time()
            while not self._stop.is_set():
                server = number % len(self._addresses)
                nursery.start_soon(self._one, server, bool(number // len(self._addresses) % 2))
                number, due = number + 1, due + self._interval_s
                with trio.move_on_at(due):
                    await self._stop.wait()
        for stream in (stream for idle in self._idle for stream in idle):
            await stream.aclose()

    async def _one(self, server: int, keep: bool) -> None:
        begun = time.monotonic()
        stream: trio.SocketStream | None = None
        kept, port, body, error = False, 0, None, ""
        try:
            with trio.fail_after(_TIMEOUT_S):
                if keep and self._idle[server]:
                    stream, kept = self._idle[server].pop(), True
                else:
                    stream = await trio.open_tcp_stream(*self._addresses[server])
                port = stream.socket.getsockname()[1]
                status, body = await _answer(stream, self._request)
                if status != 200:
                    error, body = f"status {status}: {body!r}", None
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError) as problem:
            error = f"{type(problem).__name__}: {problem}"
        if stream is not None:
            if keep and not error:
                self._idle[server].append(stream)
            else:
                await trio.aclose_forcefully(stream)
        with self._news:
            self.done.append(Request(server, port, kept, begun, time.monotonic(), body, error))
            self._news.notify_all()


async def _answer(stream: trio.SocketStream, request: h11.Request) -> tuple[int, bytes]:
    """Send a request; status and body of the answer, however it is framed."""
    http = h11.Connection(h11.CLIENT)
    await stream.send_all((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    status, body = 0, b""
    while True:
        match http.next_event():
            case h11.NEED_DATA:
                http.receive_data(await stream.receive_some(_READ_BYTES))
            case h11.Response() as answer:
                status = answer.status_code
            case h11.Data() as data:
                body += data.data
            case h11.EndOfMessage():
                return status, body
            case event:
                raise h11.RemoteProtocolError(f"{event} in place of an answer")
