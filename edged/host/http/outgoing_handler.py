"""`wasi:http/outgoing-handler`: requests that a guest sends.

    guest -> handle -> Sending ......... a task beside the guest's: Transport.send
    guest <- future-incoming-response <-'

A request is looked at and asked about in `handle`, which answers at once; all that takes time happens in the task. The
task ends early when the guest drops the future, or the response and its body: at the latest with the guest itself.
No redirect is followed: a guest that does so sends another request, which is asked about like the first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import ClassVar

import structlog
import trio

from edged.host.budget import Budget
from edged.host.chain import Chain
from edged.host.http.error import CONNECTION_TERMINATED, ErrorCode, HttpError
from edged.host.http.fields import Fields, content_length
from edged.host.http.incoming_body import BodySource, IncomingBody
from edged.host.http.message import (
    METHODS,
    FutureIncomingResponse,
    IncomingResponse,
    OutgoingRequest,
    RequestOptions,
)
from edged.host.http.request_body import SinkReader
from edged.host.http.transport import SERVICES, InboundResponse, OutboundRequest, Timeouts, Transport
from edged.host.interface import Err, Interface, Invocation, Ok
from edged.host.network.grant import Grant
from edged.http.exchange import ClientGone, Header
from edged.limits import (
    HTTP_CLIENT_BETWEEN_BYTES_S_MAX,
    HTTP_CLIENT_CONNECT_S_MAX,
    HTTP_CLIENT_FIRST_BYTE_S_MAX,
    HTTP_CLIENT_TARGET_BYTES_MAX,
    GuestLimits,
)

log = structlog.get_logger()

DENIED: ErrorCode = "HTTP-request-denied"
_URI_INVALID: ErrorCode = "HTTP-request-URI-invalid"
_ABORTED: ErrorCode = "HTTP-protocol-error"  # what Spin's runtime calls a body that was dropped before its end

_PORTS = {"http": 80, "https": 443}
_SELF = frozenset({"", "self", "self.alt"})
"""Hosts that mean the app's own listener. Some SDKs cannot leave the host out."""
_NS_PER_S = 1_000_000_000
_METHODS = {case: method for method, case in METHODS.items()}

# `set-authority` has seen to the rest of RFC 3986; what is left here are names that a resolver may be asked for.
_match_authority = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]*)(?::(?P<port>[0-9]{1,5}))?").fullmatch


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How the requests of one component leave.

    Attributes:
        network: of the app (`edged.host.http_client.client.HttpClient`).
        nursery: where requests under way run; it outlives the app's guests.
        local: to other components of the app and to its own routes; None where there is no such thing.
    """

    network: Transport
    nursery: trio.Nursery
    local: Transport | None = None


class OutgoingHandler(Interface):
    """`wasi:http/outgoing-handler`.

    Args:
        grant: of the component.
        outgoing: None refuses every request.
        limits: of the app; bodies are held to them.
    """

    wit: ClassVar[str] = "wasi:http/outgoing-handler"

    def __init__(self, grant: Grant, outgoing: Outgoing | None, limits: GuestLimits) -> None:
        self._grant = grant
        self._outgoing = outgoing
        self._response_body_bytes_max = limits.response_body_bytes_max

    def handle(
        self, invocation: Invocation, request: OutgoingRequest, options: RequestOptions | None
    ) -> FutureIncomingResponse:
        """Raises Err of an error-code: HTTP-request-denied where the manifest does not allow it."""
        outbound = self._outbound(request, options, invocation.chain)
        outgoing = self._outgoing
        if outgoing is None or not self._is_allowed(outbound):
            raise Err(DENIED)
        transport: Transport | None = outgoing.network
        if outbound.authority is None or outbound.host.endswith(SERVICES):
            transport = outgoing.local
        if transport is None:
            raise Err(_URI_INVALID if outbound.authority is None else "destination-not-found")
        if not invocation.budget.http_requests:
            raise Err("connection-limit-reached")
        sending = Sending(outbound, invocation.budget)
        outgoing.nursery.start_soon(sending.run, transport)
        return sending.start()

    def _is_allowed(self, request: OutboundRequest) -> bool:
        if request.authority is None:
            return self._grant.allows_self()
        return self._grant.allows(request.scheme, request.host, request.port)

    def _outbound(self, request: OutgoingRequest, options: RequestOptions | None, chain: Chain) -> OutboundRequest:
        method = _method(request)
        scheme = _scheme(request)
        authority, host, port = _authority(request, scheme)
        return OutboundRequest(
            method=method,
            scheme=scheme,
            authority=authority,
            host=host,
            port=port,
            target=_target(request, method),
            headers=_headers(request),
            body=None if request.sink is None else SinkReader(request.sink),
            timeouts=_timeouts(options),
            response_body_bytes_max=self._response_body_bytes_max,
            chain=chain,
        )


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
        code: ErrorCode = CONNECTION_TERMINATED
        try:
            with self._scope:
                await transport.send(self._request, self._respond)
        except HttpError as error:
            code = error.code
        except ClientGone:
            code = _ABORTED
        except Exception:
            log.exception("outbound.failed", host=self._request.host)
            code = ("internal-error", None)
        finally:
            if self._request.body is not None:
                self._request.body.close()
            if self._response is None:
                self._give_back()
            self._resolve(Err(code))

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


def _method(request: OutgoingRequest) -> str:
    method = request.method()
    name = _METHODS[method] if isinstance(method, str) else method[1]
    if name.upper() == "CONNECT":
        raise Err("HTTP-request-method-invalid")
    return name


def _scheme(request: OutgoingRequest) -> str:
    scheme = request.scheme()
    name = "https" if scheme is None else scheme.lower() if isinstance(scheme, str) else scheme[1].lower()
    if name not in _PORTS:
        raise Err("HTTP-protocol-error")  # as in Spin
    return name


def _authority(request: OutgoingRequest, scheme: str) -> tuple[str | None, str, int]:
    """Authority, host without brackets and final dot, and port; no authority where the app itself is meant."""
    authority = request.authority() or ""
    match = _match_authority(authority)
    if match is None:
        raise Err(_URI_INVALID)
    host, port = match["host"].lower(), int(match["port"] or _PORTS[scheme])
    if host in _SELF:
        return None, "", port
    host = host.removesuffix(".")  # of the root of all names: another spelling of the same one
    if not host or host.endswith(".") or not port:
        raise Err(_URI_INVALID)
    if host.startswith("["):
        host = host[1:-1]
        try:
            IPv6Address(host)
        except AddressValueError:
            raise Err(_URI_INVALID) from None
    return authority, host, port


def _target(request: OutgoingRequest, method: str) -> str:
    target = request.path_with_query() or "/"
    if len(target) > HTTP_CLIENT_TARGET_BYTES_MAX:
        raise Err("HTTP-request-URI-too-long")
    if target == "*" and method != "OPTIONS":
        raise Err(_URI_INVALID)
    return "/" + target if target.startswith("?") else target


def _headers(request: OutgoingRequest) -> Sequence[Header]:
    fields = request.headers()
    try:
        length = content_length(fields)
    except ValueError:
        raise Err("HTTP-protocol-error") from None
    if length and request.sink is None:
        raise Err(("HTTP-request-body-size", 0))
    return fields.headers()


def _timeouts(options: RequestOptions | None) -> Timeouts:
    if options is None:
        return Timeouts(HTTP_CLIENT_CONNECT_S_MAX, HTTP_CLIENT_FIRST_BYTE_S_MAX, HTTP_CLIENT_BETWEEN_BYTES_S_MAX)
    return Timeouts(
        connect_s=_seconds(options.connect_timeout(), HTTP_CLIENT_CONNECT_S_MAX),
        first_byte_s=_seconds(options.first_byte_timeout(), HTTP_CLIENT_FIRST_BYTE_S_MAX),
        between_bytes_s=_seconds(options.between_bytes_timeout(), HTTP_CLIENT_BETWEEN_BYTES_S_MAX),
    )


def _seconds(duration_ns: int | None, most_s: float) -> float:
    return most_s if duration_ns is None else min(duration_ns / _NS_PER_S, most_s)
