"""`wasi:http/outgoing-handler`: requests that a guest sends.

    guest -> handle -> Sending ......... a task beside the guest's: Transport.send
    guest <- future-incoming-response <-'

A request is looked at and asked about in `handle`, which answers at once; all that takes time happens in the task. The
task ends early when the guest drops the future, or the response and its body: at the latest with the guest itself.
No redirect is followed: a guest that does so sends another request, which is asked about like the first.
"""

from __future__ import annotations

from typing import ClassVar

import trio

from edged.host.budget import Budget
from edged.host.http.error import CONNECTION_TERMINATED
from edged.host.http.fields import Fields
from edged.host.http.incoming_body import BodySource, IncomingBody
from edged.host.http.message import FutureIncomingResponse, IncomingResponse, OutgoingRequest, RequestOptions
from edged.host.http.outbound import OutboundGate, Outgoing, carry, timeouts_of
from edged.host.http.request_body import SinkReader
from edged.host.http.transport import InboundResponse, OutboundRequest, Timeouts, Transport
from edged.host.interface import Err, Interface, Invocation, Ok
from edged.host.network.grant import Grant
from edged.limits import GuestLimits


class OutgoingHandler(Interface):
    """`wasi:http/outgoing-handler`.

    Args:
        grant: of the component.
        outgoing: None refuses every request.
        limits: of the app; bodies are held to them.
    """

    wit: ClassVar[str] = "wasi:http/outgoing-handler"

    def __init__(self, grant: Grant, outgoing: Outgoing | None, limits: GuestLimits) -> None:
        self._gate = OutboundGate(grant, outgoing, limits)

    def handle(
        self, invocation: Invocation, request: OutgoingRequest, options: RequestOptions | None
    ) -> FutureIncomingResponse:
        """Raises Err of an error-code: HTTP-request-denied where the manifest does not allow it."""
        body = None if request.sink is None else SinkReader(request.sink)
        outbound, transport, outgoing = self._gate.admit(
            invocation, request.line, request.headers(), body, _timeouts(options)
        )
        sending = Sending(outbound, invocation.budget)
        outgoing.nursery.start_soon(sending.run, transport)
        return sending.start()


class Sending:
    """One request on its way, from `handle` until the guest has no use for its response any more."""

    __slots__ = ("_budget", "_future", "_request", "_response", "_scope")

    def __init__(self, request: OutboundRequest, budget: Budget) -> None:
        self._request = request
        self._budget: Budget | None = budget
        self._scope = trio.CancelScope()
        self._response: InboundResponse | None = None
        self._future: FutureIncomingResponse | None = None
        budget.http_requests -= 1

    def start(self) -> FutureIncomingResponse:
        """What the guest gets. Called before the task runs."""
        self._future = future = FutureIncomingResponse(self.release)
        return future

    async def run(self, transport: Transport) -> None:
        """The task. Raises nothing but what cancels it."""
        code = None
        try:
            with self._scope:
                code = await carry(transport, self._request, self._respond)
        finally:
            if self._request.body is not None:
                self._request.body.close()
            if self._response is None:
                self._give_back()
            self._resolve(Err(code or CONNECTION_TERMINATED))

    def release(self) -> None:
        """The guest has no use for the response: stop whatever is still going on for it. Idempotent."""
        self._scope.cancel()
        self._future = None
        self._give_back()
        if self._response is not None:
            self._response.body.close()
            self._response = None

    def __del__(self) -> None:
        # A response that was given to the guest and never reached it, since its handles were used up.
        self.release()

    def _give_back(self) -> None:
        if self._budget is not None:
            self._budget.http_requests += 1
            self._budget = None

    def _respond(self, response: InboundResponse) -> None:
        if self._future is None:
            response.body.close()
            return
        self._response = response
        body = IncomingBody(BodySource(response.body), response.body.trailers, self.release)
        self._resolve(Ok(IncomingResponse(response.status, Fields.received(response.headers, self._budget), body)))

    def _resolve(self, result: Ok | Err) -> None:
        # Let go of the future: it holds this, and a circle would keep the connection until the garbage is collected.
        future, self._future = self._future, None
        if future is not None:
            future.resolve(result)


def _timeouts(options: RequestOptions | None) -> Timeouts:
    if options is None:
        return timeouts_of(None, None, None)
    return timeouts_of(options.connect_timeout(), options.first_byte_timeout(), options.between_bytes_timeout())
