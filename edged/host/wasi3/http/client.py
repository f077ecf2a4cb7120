"""`wasi:http/client` 0.3: requests that a guest sends. `wasi:http/handler`, where a guest imports it, is the same.

    guest -> send -> _Sending ......... a task of the call: Transport.send
    guest <- response <- its body <----'

The task lasts until the response's body is over too, so that nothing of it outlives the guest's own request.
No redirect is followed: a guest that does so sends another request, which is asked about like the first.
"""

from __future__ import annotations

from typing import ClassVar

import trio

from edged.host.budget import Budget
from edged.host.http.error import CONNECTION_TERMINATED, ErrorCode
from edged.host.http.fields import content_length
from edged.host.http.outbound import OutboundGate, Outgoing, carry, timeouts_of
from edged.host.http.transport import InboundResponse, OutboundRequest, Timeouts, Transport
from edged.host.interface import Err, Interface, Invocation
from edged.host.network.grant import Grant
from edged.host.wasi3 import VERSIONS
from edged.host.wasi3.http.fields import Fields
from edged.host.wasi3.http.message import Request, RequestOptions, Response
from edged.host.wasi3.http.received_body import ReceivedBody, ReceivedTrailers
from edged.host.wasi3.http.sent_body import SentBody
from edged.limits import GuestLimits


class Client(Interface):
    """`wasi:http/client`.

    Args:
        grant: of the component.
        outgoing: None refuses every request.
        limits: of the app; bodies are held to them.
    """

    wit: ClassVar[str] = "wasi:http/client"
    versions: ClassVar[tuple[str, ...]] = VERSIONS

    def __init__(self, grant: Grant, outgoing: Outgoing | None, limits: GuestLimits) -> None:
        self._gate = OutboundGate(grant, outgoing, limits)
        self._request_body_bytes_max = limits.request_body_bytes_max

    async def send(self, invocation: Invocation, request: Request) -> Response:
        """Raises Err of an error-code: HTTP-request-denied where the manifest does not allow it."""
        try:
            body = self._body(request)
            outbound, transport, _ = self._gate.admit(
                invocation,
                request.line,
                request.fields,
                None if request.contents is None else body,
                _timeouts(request.options),
            )
        except Err as err:
            request.abandon(err.value)
            raise
        request.fields.drop()  # they are the transport's now
        sending = _Sending(outbound, body, invocation.budget)
        assert invocation.nursery is not None, "the runtime gives each call one"
        invocation.nursery.start_soon(sending.run, transport)
        return await sending.response()

    def _body(self, request: Request) -> SentBody:
        try:
            length = content_length(request.fields)
        except ValueError:
            raise Err("HTTP-protocol-error") from None
        return SentBody(request, length, self._request_body_bytes_max, "HTTP-request-body-size")


class Handler(Client):
    """`wasi:http/handler`, as an import: what a component that stands before another calls. Nothing stands behind one
    here, so that a request goes where its authority says.
    """

    wit: ClassVar[str] = "wasi:http/handler"

    async def handle(self, invocation: Invocation, request: Request) -> Response:
        """As `Client.send`."""
        return await self.send(invocation, request)


class _Sending:
    """One request on its way, from `send` until its response is over.

    Args:
        sent: the request's body.
        budget: has one request less for as long.
    """

    __slots__ = ("_answer", "_answered", "_budget", "_outbound", "_over", "_received", "_scope", "_sent")

    def __init__(self, outbound: OutboundRequest, sent: SentBody, budget: Budget) -> None:
        self._outbound = outbound
        self._sent = sent
        self._budget = budget
        self._scope = trio.CancelScope()
        self._answered = trio.Event()
        self._answer: Response | ErrorCode = CONNECTION_TERMINATED
        self._received: tuple[InboundResponse, ReceivedBody] | None = None
        self._over = trio.Event()
        budget.http_requests -= 1

    async def response(self) -> Response:
        """Wait for it. A guest that does so no more has the request stopped.

        Raises:
            Err: an error-code.
        """
        try:
            await self._answered.wait()
        except BaseException:
            self._scope.cancel()
            raise
        if isinstance(self._answer, Response):
            return self._answer
        raise Err(self._answer)

    async def run(self, transport: Transport) -> None:
        """The task. Raises nothing but what cancels it."""
        code: ErrorCode | None = None
        try:
            with self._scope:
                code = await carry(transport, self._outbound, self._respond)
                if self._received is not None:
                    await self._over.wait()
        finally:
            self._close(code)

    def _respond(self, response: InboundResponse) -> None:
        body = ReceivedBody(response.body, response.body.trailers, self._budget, self._body_over)
        self._received = response, body
        self._answer = Response(
            Fields.received(response.headers, self._budget), body, ReceivedTrailers(body), status=response.status
        )
        self._answered.set()

    def _body_over(self) -> None:
        """The response's body is at its end, or the guest has given it up: then the request's is stopped too."""
        assert self._received is not None
        _, body = self._received
        self._over.set()
        if not body.ended:
            self._scope.cancel()

    def _close(self, code: ErrorCode | None) -> None:
        self._budget.http_requests += 1
        sent = self._sent
        code = sent.error_code or code
        if self._received is None:
            self._answer = code = code or CONNECTION_TERMINATED
            self._answered.set()
        else:
            response, body = self._received
            body.detach()
            response.body.close()
        sent.close(code)


def _timeouts(options: RequestOptions | None) -> Timeouts:
    if options is None:
        return timeouts_of(None, None, None)
    return timeouts_of(
        options.get_connect_timeout(), options.get_first_byte_timeout(), options.get_between_bytes_timeout()
    )
