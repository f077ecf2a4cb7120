"""One call of `wasi:http/handler` 0.3: what the guest is given, and what became of its response.

    exchange -> HandlerCall.request -> guest
    exchange <- HandlerCall.respond <- guest, which goes on meanwhile

The runtime calls `respond` as soon as the guest has returned its response, and awaits what that leaves. Nothing else
writes to the exchange: the head at once, and the body as it comes, as fast as the client takes it. Only where the guest
has just been given room does it let the guest run before it sends, so that a small answer leaves in one send; and a
small answer that is there at once is taken without a task of its own.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

import trio

from edged.errors import EdgedError, GuestErrorResponse, GuestNoResponse, GuestResponseInvalid
from edged.host.budget import Budget
from edged.host.http.error import CONNECTION_TERMINATED, ErrorCode, describe
from edged.host.http.fields import content_length
from edged.host.interface import Err, Ok
from edged.host.wasi3.http.message import Request, Response
from edged.host.wasi3.http.received_body import ReceivedBody
from edged.host.wasi3.http.sent_body import SentBody
from edged.http.exchange import ClientGone, Exchange, Header
from edged.limits import GuestLimits

_PIECES_AT_ONCE = 64  # of a body, before the loop's other tasks have their turn: each runs the guest
_TURNS = 2  # of the loop: whoever runs the guest may be behind us in the first


class HandlerCall:
    """One request on its way through a guest.

    Args:
        exchange: the request, and where the response goes.
        extra_headers: added to the request's, after the client's own (`spin-*`).
        limits: of the app.
        budget: of the invocation.

    Attributes:
        request: `own<request>` for the handler.
        status: of the response that was returned, or None.
        failure: why there is no response, or why it did not reach its end.
    """

    __slots__ = (
        "_body",
        "_exchange",
        "_is_unsent",
        "_received",
        "_response_body_bytes_max",
        "failure",
        "request",
        "status",
    )

    def __init__(
        self,
        exchange: Exchange,
        extra_headers: Sequence[Header],
        limits: GuestLimits,
        budget: Budget | None = None,
    ) -> None:
        exchange.request_body_bytes_max = limits.request_body_bytes_max
        self._exchange = exchange
        self._response_body_bytes_max = limits.response_body_bytes_max
        self._received = ReceivedBody(exchange, exchange.request_trailers, budget)
        self.request = Request.received(exchange, extra_headers, self._received, budget)
        self._body: SentBody | None = None
        self._is_unsent = False
        self.status: int | None = None
        self.failure: EdgedError | ClientGone | None = None

    @property
    def client_gone(self) -> bool:
        """The client left while the guest was at work; what the guest then made of it is no fault of its own."""
        return self._received.cut_off or isinstance(self.failure, ClientGone)

    def respond(self, result: Ok | Err) -> Coroutine[Any, Any, None]:
        """Take what the guest returned, with as much of the body as there is; gives what is left to await.

        Raises:
            GuestResponseInvalid, ClientGone: what the guest does further is of no use to anybody. See `conclude`.
                So may what is awaited.
        """
        if isinstance(result, Err):
            # It may have something to put in order yet.
            self.failure = GuestErrorResponse(f"the handler answered with the error code {describe(result.value)}")
            return _nothing()
        try:
            body = self._start(result.value)
            return self._send(body, is_whole=not self._has_body(result.value) or self._take(body))
        except (ClientGone, EdgedError) as error:
            raise self._fail(error) from None

    def conclude(self) -> None:
        """The call has ended.

        Raises:
            GuestNoResponse: the guest returned none.
            GuestErrorResponse: it returned an error code instead.
            GuestResponseInvalid: the response cannot be sent, or is not whole. Left to the exchange's owner, who cuts
                the connection so that the client sees it, or answers with the error if nothing was sent yet.
            ClientGone: nobody takes it.
        """
        if self.failure is not None:
            raise self.failure
        if self.status is None:
            raise GuestNoResponse("the handler ended without returning a response")

    def close(self) -> None:
        """The request is over. What the guest has kept of it is at an end."""
        self._received.detach()
        self._end_body(CONNECTION_TERMINATED)

    # --- inside ---

    def _start(self, response: Response) -> SentBody:
        try:
            length = content_length(response.fields)
            self._exchange.respond(response.status, response.fields.headers())
        except (ValueError, EdgedError) as error:
            response.abandon("HTTP-protocol-error")
            if isinstance(error, EdgedError):
                raise
            raise GuestResponseInvalid(str(error)) from None
        self.status = response.status
        response.fields.drop()  # they are the exchange's now: the guest, which may serve others yet, holds them no more
        self._body = SentBody(response, length, self._response_body_bytes_max, "HTTP-response-body-size")
        return self._body

    def _has_body(self, response: Response) -> bool:
        """Where HTTP sends no body, the guest's is not asked for."""
        return self._exchange.request.method != "HEAD" and response.status not in {204, 304}

    def _take(self, body: SentBody) -> bool:
        """Write what the guest has for us without waiting. True: that is all."""
        exchange = self._exchange
        for _ in range(_PIECES_AT_ONCE):
            room = exchange.write_capacity()
            data = body.receive_nowait(room) if room else None
            if data is None:
                return False
            if not data:
                return True
            exchange.write(data)
            self._is_unsent = True
        return False

    def _fail(self, error: ClientGone | EdgedError) -> ClientGone | EdgedError:
        """What ends the response before its end."""
        body = self._body
        if body is not None and body.error_code is not None and isinstance(error, ClientGone):
            error = GuestResponseInvalid(f"the handler's response is not whole: {describe(body.error_code)}")
        self._end_body(CONNECTION_TERMINATED)
        self.failure = error
        return error

    def _end_body(self, code: ErrorCode | None) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close(code)

    async def _send(self, body: SentBody, *, is_whole: bool) -> None:
        try:
            if not is_whole:
                await self._send_body(body)
            await self._exchange.finish(body.trailers())
        except (ClientGone, EdgedError) as error:
            raise self._fail(error) from error.__cause__
        else:
            self._end_body(None)
        finally:
            self._end_body(CONNECTION_TERMINATED)

    async def _send_body(self, body: SentBody) -> None:
        exchange = self._exchange
        unsent = True  # the head
        turns = _TURNS if self._is_unsent else 0  # that the guest is given yet, before what it wrote is sent
        pieces = 0
        while True:
            room = exchange.write_capacity()
            data = body.receive_nowait(room) if room else None
            if data is None:
                if turns and room:
                    turns -= 1
                    await trio.lowlevel.checkpoint()
                    continue
                if unsent:
                    await exchange.flush()
                    unsent, turns = False, 0
                    continue
                data = await body.receive(room)
            if not data:
                return
            exchange.write(data)
            unsent, turns = True, _TURNS
            pieces += 1
            if pieces % _PIECES_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()


async def _nothing() -> None:
    pass
