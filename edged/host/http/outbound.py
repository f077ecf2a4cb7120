"""Whether and how a guest's request may leave: the same for `wasi:http` 0.2 and 0.3.

line, headers, body, options of a guest -> OutboundGate.admit -> OutboundRequest, and the Transport that carries it
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address

import structlog
import trio

from edged.host.chain import Chain
from edged.host.http.error import ErrorCode, HttpError
from edged.host.http.fields import Fields, content_length
from edged.host.http.request_line import METHODS, RequestLine
from edged.host.http.transport import SERVICES, OutboundRequest, RequestBody, Respond, Timeouts, Transport
from edged.host.interface import Err, Invocation
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
ABORTED: ErrorCode = "HTTP-protocol-error"  # what Spin's runtime calls a body that was dropped before its end

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


class OutboundGate:
    """What one component may send where.

    Args:
        grant: of the component.
        outgoing: None refuses every request.
        limits: of the app; bodies are held to them.
    """

    def __init__(self, grant: Grant, outgoing: Outgoing | None, limits: GuestLimits) -> None:
        self._grant = grant
        self._outgoing = outgoing
        self._response_body_bytes_max = limits.response_body_bytes_max

    def admit(
        self,
        invocation: Invocation,
        line: RequestLine,
        headers: Fields,
        body: RequestBody | None,
        timeouts: Timeouts,
    ) -> tuple[OutboundRequest, Transport, Outgoing]:
        """The request as it leaves, who carries it, and how the component's requests leave.

        Raises:
            Err: an error-code. HTTP-request-denied where the manifest does not allow it, connection-limit-reached where
                as many of the guest's requests are under way as may be.
        """
        outbound = self._outbound(line, headers, body, timeouts, invocation.chain)
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
        return outbound, transport, outgoing

    def _is_allowed(self, request: OutboundRequest) -> bool:
        if request.authority is None:
            return self._grant.allows_self()
        return self._grant.allows(request.scheme, request.host, request.port)

    def _outbound(
        self, line: RequestLine, headers: Fields, body: RequestBody | None, timeouts: Timeouts, chain: Chain
    ) -> OutboundRequest:
        method = _method(line)
        scheme = _scheme(line)
        authority, host, port = _authority(line, scheme)
        return OutboundRequest(
            method=method,
            scheme=scheme,
            authority=authority,
            host=host,
            port=port,
            target=_target(line, method),
            headers=_headers(headers, has_body=body is not None),
            body=body,
            timeouts=timeouts,
            response_body_bytes_max=self._response_body_bytes_max,
            chain=chain,
        )


async def carry(transport: Transport, request: OutboundRequest, respond: Respond) -> ErrorCode | None:
    """Have a transport send a request, as `Transport.send`. Raises nothing but what cancels it.

    Returns:
        What went wrong, or None.
    """
    try:
        await transport.send(request, respond)
    except HttpError as error:
        return error.code
    except ClientGone:
        return ABORTED
    except Exception:
        log.exception("outbound.failed", host=request.host)
        return ("internal-error", None)
    return None


def timeouts_of(connect_ns: int | None, first_byte_ns: int | None, between_bytes_ns: int | None) -> Timeouts:
    """A guest's request-options, held to our limits."""
    return Timeouts(
        connect_s=_seconds(connect_ns, HTTP_CLIENT_CONNECT_S_MAX),
        first_byte_s=_seconds(first_byte_ns, HTTP_CLIENT_FIRST_BYTE_S_MAX),
        between_bytes_s=_seconds(between_bytes_ns, HTTP_CLIENT_BETWEEN_BYTES_S_MAX),
    )


def _method(line: RequestLine) -> str:
    method = line.method
    name = _METHODS[method] if isinstance(method, str) else method[1]
    if name.upper() == "CONNECT":
        raise Err("HTTP-request-method-invalid")
    return name


def _scheme(line: RequestLine) -> str:
    scheme = line.scheme
    name = "https" if scheme is None else scheme.lower() if isinstance(scheme, str) else scheme[1].lower()
    if name not in _PORTS:
        raise Err("HTTP-protocol-error")  # as in Spin
    return name


def _authority(line: RequestLine, scheme: str) -> tuple[str | None, str, int]:
    """Authority, host without brackets and final dot, and port; no authority where the app itself is meant."""
    authority = line.authority or ""
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


def _target(line: RequestLine, method: str) -> str:
    target = line.path_with_query or "/"
    if len(target) > HTTP_CLIENT_TARGET_BYTES_MAX:
        raise Err("HTTP-request-URI-too-long")
    if target == "*" and method != "OPTIONS":
        raise Err(_URI_INVALID)
    return "/" + target if target.startswith("?") else target


def _headers(fields: Fields, *, has_body: bool) -> Sequence[Header]:
    try:
        length = content_length(fields)
    except ValueError:
        raise Err("HTTP-protocol-error") from None
    if length and not has_body:
        raise Err(("HTTP-request-body-size", 0))
    return fields.headers()


def _seconds(duration_ns: int | None, most_s: float) -> float:
    return most_s if duration_ns is None else min(duration_ns / _NS_PER_S, most_s)
