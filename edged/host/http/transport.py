"""How a request of a guest leaves: what `wasi:http/outgoing-handler` hands over, and to whom.

    guest -> OutgoingHandler -> OutboundRequest -> Transport: the network (`edged.host.http_client`),
    guest <- InboundResponse <- respond() ------------'       or another component of the app, in this process

The handler has asked `allowed_outbound_hosts` already. It runs `Transport.send` as a task beside the guest's own and
cancels it as soon as the guest has no use for the answer any more. The body of the response is not read by that task
but by the guest's: `InboundResponse.body` is what both sides share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edged.host.chain import Chain
from edged.http.exchange import Header

SERVICES = ".spin.internal"
"""How the hosts end that are components of the app. They are never looked for on the network."""


class RequestBody(Protocol):
    """The body of a request, written by a guest in its task and read by the transport in another.

    The same contract as the receiving half of `edged.http.exchange.Exchange`, so that an exchange can be made of it.
    """

    @property
    def length(self) -> int | None:
        """How many bytes it has in all: announced in content-length, or because it is whole already. None: unknown."""

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        """What is there, at most `bytes_max` bytes; `b""` at the end of the body; None where `receive` would wait.

        Raises:
            ClientGone: the guest has dropped the body before its end.
        """

    async def receive(self, bytes_max: int) -> bytes:
        """As `receive_nowait`, but waits for bytes or the end. Cancelling it loses nothing."""

    def trailers(self) -> Sequence[Header]:
        """Trailer fields; complete only after the end was received."""

    def close(self) -> None:
        """Nobody reads on: what the guest still writes is refused. Idempotent."""


class ResponseBody(Protocol):
    """The body of a response, made by a transport and read by a guest in its own task.

    `receive` and `receive_nowait` are as for `RequestBody`, except for the errors.
    """

    def receive_nowait(self, bytes_max: int) -> bytes | None:
        """Raises:
        edged.host.http.error.HttpError: the body ended before its end, with the error-code that says why.
        """

    async def receive(self, bytes_max: int) -> bytes:
        """Same errors. Cancelling it loses nothing."""

    def trailers(self) -> Sequence[Header]:
        """Trailer fields; complete only after the end was received."""

    def close(self) -> None:
        """Nobody reads on: let go of what stands behind the body. Idempotent."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds, held to the limits of `edged.limits`.

    Attributes:
        connect_s: for a connection, from wanting one to the end of its handshakes.
        first_byte_s: from then until the head of the response.
        between_bytes_s: between two pieces of the response's body.
    """

    connect_s: float
    first_byte_s: float
    between_bytes_s: float


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """A request as it leaves the guest.

    Attributes:
        method: a token, as sent: `GET`. Never `CONNECT`.
        scheme: `http` or `https`.
        authority: as the guest wrote it, or None for the app's own listener.
        host: of the authority, in lower case, without brackets and final dot; "" where there is no authority.
        port: of the authority, or the scheme's own.
        target: path and query; starts with `/`, or is `*`.
        headers: checked, names in lower case. Neither `host` nor any other field of the connection is among them.
        body: None where the guest took none: the request has no body.
        timeouts: as far as they mean something to the transport.
        response_body_bytes_max: more of a body is the error-code HTTP-response-body-size.
        chain: of the call that sends this.
    """

    method: str
    scheme: str
    authority: str | None
    host: str
    port: int
    target: str
    headers: Sequence[Header]
    body: RequestBody | None
    timeouts: Timeouts
    response_body_bytes_max: int
    chain: Chain = field(default_factory=Chain)


@dataclass(frozen=True, slots=True)
class InboundResponse:
    """A response as it reaches the guest.

    Attributes:
        headers: names in lower case. Fields of the connection may be among them: the guest is not shown those.
    """

    status: int
    headers: Sequence[Header]
    body: ResponseBody


Respond = Callable[[InboundResponse], None]


class Transport(Protocol):
    """Carries requests to where their authority says."""

    async def send(self, request: OutboundRequest, respond: Respond) -> None:
        """Send a request, call `respond` once with the response, and return when nothing is left to do for them.

        The task may go on after `respond`, as long as the request's body is being read or the response's is being made.
        It is cancelled when the guest drops the response, or ends. It need not close `request.body`: whoever called it
        does that. What it gave to `respond` is closed by whoever got it, even where it ends with an error afterwards.

        Raises:
            edged.host.http.error.HttpError: with the error-code. After `respond` it goes nowhere: the response's
                body has to tell the guest.
            ClientGone: the request's body was dropped before its end, and `request.body` said so.
        """
