"""One call of a program that speaks CGI: the request's body is its stdin, its stdout is the response.

    exchange -> CgiCall.stdin -> guest -> CgiCall -> exchange

Both are streamed. As with `HttpCall`, the engine awaits `settle` whenever the guest is about to wait, so nothing that
it wrote is held back, and a client that reads slowly makes the guest wait.
"""

from __future__ import annotations

from edged.errors import GuestNoResponse, GuestResponseInvalid
from edged.host.http.error import CONNECTION_TERMINATED
from edged.host.http.incoming_body import BodySource
from edged.host.http.outgoing_body import BodySink
from edged.host.interface import Err
from edged.http.cgi import CgiOutput
from edged.http.exchange import ClientGone, Exchange
from edged.limits import HEADER_BYTES_MAX, GuestLimits


class _Stdin(BodySource):
    """Outlives its streams: a component may drop its stdin and ask for it again."""

    __slots__ = ()

    def close(self) -> None:
        pass


class CgiCall:
    """One request on its way through a program. Is itself the sink of the program's stdout.

    Args:
        limits: of the app.

    Attributes:
        stdin: the source of the request's body.
    """

    __slots__ = ("_body", "_exchange", "_limits", "_output", "stdin")

    def __init__(self, exchange: Exchange, limits: GuestLimits) -> None:
        exchange.request_body_bytes_max = limits.request_body_bytes_max
        self._exchange = exchange
        self._limits = limits
        self._output = CgiOutput()
        self._body: BodySink | None = None
        self.stdin = _Stdin(exchange)
        self.stdin.streaming = True

    @property
    def body_length(self) -> int | None:
        """Of the request's body, where it is announced or is known to be none."""
        for name, value in self._exchange.request.headers:
            if name == b"content-length":
                return int(value)
        return 0 if self.stdin.ready() and self.stdin.ended else None

    @property
    def client_gone(self) -> bool:
        """The client left while the guest was at work; what the guest then made of it is no fault of its own."""
        return self.stdin.error_code == CONNECTION_TERMINATED or (self._body is not None and self._body.gone)

    # --- the sink of stdout ---

    def ready(self) -> bool:
        return self._body is None or self._body.ready()

    async def wait(self) -> None:
        if self._body is not None:
            await self._body.wait()

    def capacity(self) -> int:
        return HEADER_BYTES_MAX if self._body is None else self._body.capacity()

    def write(self, data: bytes) -> None:
        """Raises GuestResponseInvalid for output that is no response, is one that HTTP cannot carry, or is too long."""
        rest = self._output.feed(data)
        if self._body is None:
            head = self._output.head
            if head is None:
                return
            self._exchange.respond(head.status, head.headers)
            self._body = BodySink(None, self._limits.response_body_bytes_max, "HTTP-response-body-size")
            self._body.streaming = True
            self._body.attach(self._exchange)
        try:
            self._body.write(rest)
        except Err as err:
            limit = self._limits.response_body_bytes_max
            raise GuestResponseInvalid(f"the response's body is longer than {limit} bytes") from err

    def close(self) -> None:
        """The program closed its stdout. The response ends when the program does."""

    # --- the other side ---

    async def settle(self) -> None:
        """Send what the program has written so far.

        Raises:
            ClientGone: nobody takes it.
        """
        body = self._body
        if body is not None and (body.held or body.dirty):
            await body.drain()
        if body is not None and body.gone:
            raise ClientGone

    def returned(self) -> None:
        """The program has ended well: what it wrote is the response. `finish` sends it.

        Raises:
            GuestNoResponse: it wrote nothing.
            GuestResponseInvalid: it wrote no whole head.
        """
        if self._body is None:
            if self._output.empty:
                raise GuestNoResponse("the program wrote nothing to its stdout")
            raise GuestResponseInvalid("the program ended before a blank line")

    async def finish(self) -> None:
        """Send the rest of the response, and its end.

        Raises:
            ClientGone: nobody takes it.
            GuestResponseInvalid: the body is shorter than its content-length.
        """
        body = self._body
        assert body is not None, "the program has returned"
        if body.held:
            await self.settle()
        if body.gone:
            raise ClientGone
        await self._exchange.finish()
