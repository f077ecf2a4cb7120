"""`wasi:http/types`: constructors, static functions, and which class stands for which resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from edged.host.http.call import ResponseOutparam
from edged.host.http.error import ErrorCode, HttpFailure
from edged.host.http.fields import Entry, Fields
from edged.host.http.incoming_body import FutureTrailers, IncomingBody
from edged.host.http.message import (
    FutureIncomingResponse,
    IncomingRequest,
    IncomingResponse,
    OutgoingRequest,
    OutgoingResponse,
    RequestOptions,
)
from edged.host.http.outgoing_body import OutgoingBody
from edged.host.interface import Err, Interface, Invocation, Ok, Resource
from edged.host.streams import IoError
from edged.limits import GuestLimits


class HttpTypes(Interface):
    """`wasi:http/types`.

    Args:
        limits: of the app; bodies are held to them.
    """

    wit: ClassVar[str] = "wasi:http/types"
    resources: ClassVar[Mapping[str, type[Resource]]] = {
        "fields": Fields,
        "future-incoming-response": FutureIncomingResponse,
        "future-trailers": FutureTrailers,
        "incoming-body": IncomingBody,
        "incoming-request": IncomingRequest,
        "incoming-response": IncomingResponse,
        "outgoing-body": OutgoingBody,
        "outgoing-request": OutgoingRequest,
        "outgoing-response": OutgoingResponse,
        "request-options": RequestOptions,
        "response-outparam": ResponseOutparam,
    }

    def __init__(self, limits: GuestLimits) -> None:
        self._limits = limits

    def http_error_code(self, _invocation: Invocation, error: IoError) -> ErrorCode | None:
        return error.code if isinstance(error, HttpFailure) else None

    def fields_constructor(self, invocation: Invocation) -> Fields:
        return Fields(budget=invocation.budget)

    def fields_from_list(self, invocation: Invocation, entries: list[Entry]) -> Fields:
        return Fields.from_entries(entries, invocation.budget)

    def incoming_body_finish(self, _invocation: Invocation, this: IncomingBody) -> FutureTrailers:
        return this.finish()

    def outgoing_body_finish(self, _invocation: Invocation, this: OutgoingBody, trailers: Fields | None) -> None:
        this.finish(trailers)

    def outgoing_request_constructor(self, invocation: Invocation, headers: Fields) -> OutgoingRequest:
        return OutgoingRequest(headers, self._limits.request_body_bytes_max, invocation.budget)

    def outgoing_response_constructor(self, invocation: Invocation, headers: Fields) -> OutgoingResponse:
        return OutgoingResponse(headers, self._limits.response_body_bytes_max, invocation.budget)

    def request_options_constructor(self, _invocation: Invocation) -> RequestOptions:
        return RequestOptions()

    def response_outparam_set(self, _invocation: Invocation, param: ResponseOutparam, response: Ok | Err) -> None:
        param.call.set(response)
