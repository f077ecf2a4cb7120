"""`fermyon:spin/http` without a version: a request with a whole body for a response with a whole body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple
from urllib.parse import quote, urlsplit

import trio

from edged.host.http.error import ErrorCode, HttpError
from edged.host.http.fields import FORBIDDEN, Fields
from edged.host.http.outbound import DENIED, OutboundGate, Outgoing, carry, timeouts_of
from edged.host.http.request_line import RequestLine
from edged.host.http.transport import InboundResponse, OutboundRequest, Transport
from edged.host.http_client.fetch import WholeBody
from edged.host.interface import Err, Interface, Invocation
from edged.host.network.grant import Grant
from edged.limits import READ_CHUNK_BYTES, WHOLE_BODY_BYTES_MAX, GuestLimits

_NOT_SENT = FORBIDDEN | {"content-length"}
"""Fields of a guest's request that are passed over: apps hand on all that they were sent, and the body is whole."""
_BODILESS = frozenset({"get", "head"})
_ERRORS = {
    DENIED: "destination-not-allowed",
    "HTTP-request-URI-invalid": "invalid-url",
    "HTTP-request-URI-too-long": "invalid-url",
    "connection-limit-reached": "too-many-requests",
}
_RUNTIME_ERROR = "runtime-error"
_INVALID_URL = "invalid-url"
_URI_SAFE = "%/?:@!$&'()*+,;=[]{}|\"~"


class Request(NamedTuple):
    """`record request`. `params` mean nothing, as in Spin."""

    method: str
    uri: str
    headers: Sequence[tuple[str, str]]
    params: Sequence[tuple[str, str]]
    body: bytes | None


class Response(NamedTuple):
    """`record response`"""

    status: int
    headers: Sequence[tuple[str, str]] | None
    body: bytes | None


class Http1(Interface):
    """`fermyon:spin/http` of one component.

    Args:
        grant: what it may reach.
        outgoing: None refuses every request.
        limits: of the app.
    """

    wit: ClassVar[str] = "fermyon:spin/http"
    versions: ClassVar[tuple[str, ...]] = ("",)

    def __init__(self, grant: Grant, outgoing: Outgoing | None, limits: GuestLimits) -> None:
        held = min(limits.response_body_bytes_max, WHOLE_BODY_BYTES_MAX)
        self._gate = OutboundGate(grant, outgoing, replace(limits, response_body_bytes_max=held))

    async def send_request(
        self,
        invocation: Invocation,
        request: tuple[str, str, list[tuple[str, str]], list[tuple[str, str]], bytes | None],
    ) -> Response:
        """Errors: `destination-not-allowed`, `invalid-url`, `too-many-requests`; `runtime-error` for all else."""
        asked = Request(*request)
        body = asked.body if asked.body or asked.method not in _BODILESS else None
        line = _line(asked)
        headers = _fields(asked)
        try:
            outbound, transport, _ = self._gate.admit(
                invocation,
                line,
                headers,
                None if body is None else WholeBody(body),
                timeouts_of(None, None, None),
            )
        except Err as err:
            raise Err(_ERRORS.get(err.value, _RUNTIME_ERROR)) from None
        invocation.budget.http_requests -= 1
        try:
            answer = await _exchange(outbound, transport)
        finally:
            invocation.budget.http_requests += 1
        if not isinstance(answer, Response):
            raise Err(_ERRORS.get(answer, _RUNTIME_ERROR) if isinstance(answer, str) else _RUNTIME_ERROR)
        return answer


async def _exchange(request: OutboundRequest, transport: Transport) -> Response | ErrorCode:
    """The response, or the error-code of what went wrong."""
    responses: list[InboundResponse] = []
    responded = trio.Event()
    answer: Response | ErrorCode = "internal-error"

    def respond(response: InboundResponse) -> None:
        responses.append(response)
        responded.set()

    async def send() -> None:
        nonlocal answer
        code = await carry(transport, request, respond)
        if code is not None and not responses:
            answer = code
        responded.set()

    try:
        # What sends the request goes on while the body is read: it may be another component of the app that makes it.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await responded.wait()
            if responses:
                answer = await _read(responses[0])
            nursery.cancel_scope.cancel()
    finally:
        for response in responses:
            response.body.close()
    return answer


async def _read(response: InboundResponse) -> Response | ErrorCode:
    pieces: list[bytes] = []
    try:
        while piece := await response.body.receive(READ_CHUNK_BYTES):
            pieces.append(piece)
        headers = [(name, value.decode()) for name, value in Fields.received(response.headers).entries()]
    except HttpError as error:
        return error.code
    except UnicodeDecodeError:
        return "HTTP-protocol-error"
    return Response(response.status, headers, b"".join(pieces))


def _line(request: Request) -> RequestLine:
    """
    Raises:
        Err: `invalid-url`
    """
    try:
        parts = urlsplit(request.uri)
        line = RequestLine(request.method)
        line.set_scheme(("other", parts.scheme) if parts.scheme else None)
        line.set_authority(parts.netloc or None)
        target = quote(parts.path or "/", safe=_URI_SAFE)
        line.set_path_with_query(f"{target}?{quote(parts.query, safe=_URI_SAFE)}" if parts.query else target)
    except (ValueError, Err):
        raise Err(_INVALID_URL) from None
    if bool(parts.scheme) != bool(parts.netloc) or not (parts.netloc or request.uri.startswith("/")):
        raise Err(_INVALID_URL)
    return line


def _fields(request: Request) -> Fields:
    """
    Raises:
        Err: `runtime-error`, as in Spin.
    """
    try:
        return Fields.from_entries(
            (name, value.encode()) for name, value in request.headers if name.lower() not in _NOT_SENT
        )
    except Err:
        raise Err(_RUNTIME_ERROR) from None
