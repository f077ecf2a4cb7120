"""One call of `wasi:http/incoming-handler`: what the guest is given, and what became of its response.

    exchange -> HttpCall -> request, outparam() -> guest
                         <- response, body      <-

The engine awaits `settle` whenever the guest is about to wait or gives way to others; nothing the guest wrote is held
back from the client beyond that. When the guest has returned, the trigger calls `returned`, drops the guest's handles
and awaits `settle` once more. A response that is whole by then and small enough leaves in one send.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edged.errors import GuestErrorResponse, GuestNoResponse, GuestResponseInvalid, GuestTrap
from edged.host.budget import Budget
from edged.host.http.error import ErrorCode, describe
from edged.host.http.fields import Fields
from edged.host.http.message import IncomingRequest, OutgoingResponse
from edged.host.http.outgoing_body import BodySink
from edged.host.interface import Err, Ok, Resource
from edged.http.exchange import ClientGone, Exchange, Header
from edged.limits import GuestLimits

ResponseState = Literal["unset", "refused", "open", "finished", "aborted"]
"""Of a response: not set; an error code was set instead; set, with a body that the guest has not finished yet; whole;
incomplete for good, because the guest dropped its body or gave it another size than announced."""


class HttpCall:
    """One request on its way through a guest.

    Args:
        exchange: the request, and where the response goes.
        extra_headers: added to the request's, after the client's own (`spin-*`).
        limits: of the app.
        budget: of the invocation.

    Attributes:
        request: `own<incoming-request>` for the handler.
        status: of the response that was set, or None.
        error_code: that the guest set instead of a response, or None.
    """

    __slots__ = ("_concluded", "_exchange", "_sink", "error_code", "request", "status")

    def __init__(
        self,
        exchange: Exchange,
        extra_headers: Sequence[Header],
        limits: GuestLimits,
        budget: Budget | None = None,
    ) -> None:
        exchange.request_body_bytes_max = limits.request_body_bytes_max
        self._exchange = exchange
        self._sink: BodySink | None = None
        self._concluded = False
        self.request = IncomingRequest(exchange, extra_headers, budget)
        self.status: int | None = None
        self.error_code: ErrorCode | None = None

    def outparam(self) -> ResponseOutparam:
        """`own<response-outparam>` for the handler. Not kept: that would be a cycle to collect for every request."""
        return ResponseOutparam(self)

    @property
    def state(self) -> ResponseState:
        if self.status is None:
            return "unset" if self.error_code is None else "refused"
        sink = self._sink
        if sink is None or sink.finished:
            return "finished"
        return "aborted" if sink.aborted else "open"

    @property
    def client_gone(self) -> bool:
        """The client left while the guest was at work; what the guest then made of it is no fault of its own."""
        return self.request.cut_off or (self._sink is not None and self._sink.gone)

    def set(self, result: Ok | Err) -> None:
        """What the guest gave to `response-outparam.set`.

        Raises:
            GuestTrap: it had been set before.
            GuestResponseInvalid: the response cannot be sent, as one with a 1xx status.
        """
        if self.state != "unset":
            raise GuestTrap("response-outparam.set was called twice")
        if isinstance(result, Err):
            self.error_code = result.value
            return
        response: OutgoingResponse = result.value
        self._exchange.respond(response.status, response.headers().headers())
        self.status = response.status
        self._sink = sink = response.sink
        if sink is not None:
            sink.may_be_absent = response.status in {204, 304} or self._exchange.request.method == "HEAD"
            sink.attach(self._exchange)

    async def settle(self) -> None:
        """Send what the guest has given so far, and the end of the response once it is whole.

        Raises:
            ClientGone: nobody takes it.
            GuestResponseInvalid: the response announced a body and has none.
        """
        if self._concluded or self.status is None:
            return
        sink = self._sink
        if sink is None:
            self._concluded = True
            await self._exchange.finish()
            return
        if sink.aborted:
            return
        # A finished body goes out with the end of the response, in one send, unless it is too large for that.
        if sink.held or (sink.dirty and not sink.finished):
            await sink.drain()
        if sink.gone:
            raise ClientGone
        if sink.finished:
            self._concluded = True
            await self._exchange.finish(sink.trailers)

    def returned(self) -> None:
        """The guest has returned: what it gave is the response, whole or not. `settle` sends it; the guest's handles
        are no longer needed for that.

        Raises:
            GuestNoResponse: it set none.
            GuestErrorResponse: it set an error code instead.
            GuestResponseInvalid: the body was dropped, or has another size than announced. Left to the exchange's
                owner, who cuts the connection so that the client sees it, or answers with the error if nothing was
                sent yet.
            ClientGone: nobody takes it.
        """
        match self.state:
            case "unset":
                raise GuestNoResponse("the handler returned without setting a response")
            case "refused":
                assert self.error_code is not None
                raise GuestErrorResponse(f"the handler answered with the error code {describe(self.error_code)}")
            case "aborted":
                assert self._sink is not None
                if self._sink.gone:
                    raise ClientGone
                if self._sink.error_code is None:
                    raise GuestResponseInvalid("the handler dropped the response's body without finishing it")
                size = describe(self._sink.error_code)
                raise GuestResponseInvalid(f"the response's body has the wrong size: {size}")
            case "open":
                # Spin's runtime takes this for whole, and guests rely on it: the JS SDK's own answer to an exception
                # in a handler is a 500 whose body it never finishes. A content-length is still held to.
                assert self._sink is not None
                self._sink.finished = True


class ResponseOutparam(Resource):
    """`resource response-outparam`."""

    __slots__ = ("call",)

    def __init__(self, call: HttpCall) -> None:
        self.call = call

    def send_informational(self, status: int, _headers: Fields) -> None:
        """Always Err: interim responses are not passed on, which the interface allows for."""
        if not 100 <= status <= 199:
            raise Err("HTTP-protocol-error")
        raise Err(("internal-error", "informational responses are not supported"))
