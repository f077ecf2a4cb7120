"""Requests and responses of `wasi:http/types`, incoming and outgoing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from edged.host.budget import Budget
from edged.host.http.error import CONNECTION_TERMINATED
from edged.host.http.fields import Fields, content_length
from edged.host.http.incoming_body import BodySource, IncomingBody
from edged.host.http.outgoing_body import BodySink, OutgoingBody
from edged.host.http.request_line import METHODS, Method, RequestLine, Scheme
from edged.host.interface import Err, Ok, Resource
from edged.host.poll import Pollable
from edged.http.exchange import Exchange, Header


class IncomingRequest(Resource):
    """`resource incoming-request`, over an exchange.

    Args:
        extra_headers: added after the client's (`spin-*`).
        budget: pays for what the guest makes of its headers.
    """

    __slots__ = ("_body", "_budget", "_exchange", "_extra_headers")

    def __init__(self, exchange: Exchange, extra_headers: Sequence[Header], budget: Budget | None = None) -> None:
        self._budget = budget
        self._exchange = exchange
        self._extra_headers = extra_headers
        self._body: BodySource | None = None

    def method(self) -> Method:
        method = self._exchange.request.method
        return METHODS.get(method) or ("other", method)

    def path_with_query(self) -> str | None:
        return self._exchange.request.target

    def scheme(self) -> Scheme | None:
        return self._exchange.request.scheme.upper()

    def authority(self) -> str | None:
        return self._exchange.request.authority

    def headers(self) -> Fields:
        return Fields.received([*self._exchange.request.headers, *self._extra_headers], self._budget)

    def consume(self) -> IncomingBody:
        """Raises Err the second time."""
        if self._body is not None:
            raise Err
        self._body = BodySource(self._exchange)
        return IncomingBody(self._body, self._exchange.request_trailers)

    @property
    def cut_off(self) -> bool:
        """The client went before its body had ended, and the guest was told so."""
        return self._body is not None and self._body.error_code == CONNECTION_TERMINATED


class IncomingResponse(Resource):
    """`resource incoming-response`: the answer to a request that the guest sent."""

    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, status: int, headers: Fields, body: IncomingBody) -> None:
        self._status = status
        self._headers = headers
        self._body: IncomingBody | None = body

    def status(self) -> int:
        return self._status

    def headers(self) -> Fields:
        return self._headers.view()

    def consume(self) -> IncomingBody:
        """Raises Err the second time."""
        body, self._body = self._body, None
        if body is None:
            raise Err
        return body

    def drop(self) -> None:
        if self._body is not None:
            self._body.drop()


class OutgoingResponse(Resource):
    """`resource outgoing-response`. Consumes its headers, which cannot change any more."""

    __slots__ = ("_budget", "_bytes_max", "_headers", "sink", "status")

    def __init__(self, headers: Fields, bytes_max: int, budget: Budget | None = None) -> None:
        headers.mutable = False
        self._headers = headers
        self._bytes_max = bytes_max
        self._budget = budget
        self.status = 200
        self.sink: BodySink | None = None
        """Of the body that the guest took; without one the body is empty."""

    def status_code(self) -> int:
        return self.status

    def set_status_code(self, status_code: int) -> None:
        """Raises Err for what is no status code (RFC 9110 15: three digits)."""
        if not 100 <= status_code <= 999:
            raise Err
        self.status = status_code

    def headers(self) -> Fields:
        return self._headers.view()

    def body(self) -> OutgoingBody:
        """Raises Err the second time, and where content-length is not one number."""
        if self.sink is not None:
            raise Err
        self.sink = _sink(self._headers, self._bytes_max, "HTTP-response-body-size", self._budget)
        return OutgoingBody(self.sink)

    def drop(self) -> None:
        """It was not sent."""
        if self.sink is not None:
            self.sink.leave()


class OutgoingRequest(Resource):
    """`resource outgoing-request`. Consumes its headers, which cannot change any more. Setters are `RequestLine`'s."""

    __slots__ = ("_budget", "_bytes_max", "_headers", "line", "sink")

    def __init__(self, headers: Fields, bytes_max: int, budget: Budget | None = None) -> None:
        headers.mutable = False
        self._headers = headers
        self._bytes_max = bytes_max
        self._budget = budget
        self.line = RequestLine()
        self.sink: BodySink | None = None
        """Of the body that the guest took; without one the body is empty."""

    def body(self) -> OutgoingBody:
        """Raises Err the second time, and where content-length is not one number."""
        if self.sink is not None:
            raise Err
        self.sink = _sink(self._headers, self._bytes_max, "HTTP-request-body-size", self._budget)
        return OutgoingBody(self.sink)

    def drop(self) -> None:
        """It was not sent."""
        if self.sink is not None:
            self.sink.leave()

    def method(self) -> Method:
        return self.line.method

    def set_method(self, method: Method) -> None:
        self.line.set_method(method)

    def path_with_query(self) -> str | None:
        return self.line.path_with_query

    def set_path_with_query(self, path_with_query: str | None) -> None:
        self.line.set_path_with_query(path_with_query)

    def scheme(self) -> Scheme | None:
        return self.line.scheme

    def set_scheme(self, scheme: Scheme | None) -> None:
        self.line.set_scheme(scheme)

    def authority(self) -> str | None:
        return self.line.authority

    def set_authority(self, authority: str | None) -> None:
        self.line.set_authority(authority)

    def headers(self) -> Fields:
        return self._headers.view()


class RequestOptions(Resource):
    """`resource request-options`. Durations are nanoseconds; None leaves the choice to the host."""

    __slots__ = ("_between_bytes", "_connect", "_first_byte")

    def __init__(self) -> None:
        self._connect: int | None = None
        self._first_byte: int | None = None
        self._between_bytes: int | None = None

    def connect_timeout(self) -> int | None:
        return self._connect

    def set_connect_timeout(self, duration: int | None) -> None:
        self._connect = duration

    def first_byte_timeout(self) -> int | None:
        return self._first_byte

    def set_first_byte_timeout(self, duration: int | None) -> None:
        self._first_byte = duration

    def between_bytes_timeout(self) -> int | None:
        return self._between_bytes

    def set_between_bytes_timeout(self, duration: int | None) -> None:
        self._between_bytes = duration


class FutureIncomingResponse(Resource):
    """`resource future-incoming-response`. Whoever sends the request calls `resolve` once.

    Args:
        on_drop: called when the guest drops it without having taken the answer, so that the sender can stop.
    """

    __slots__ = ("_consumed", "_on_drop", "_resolved", "_result")

    def __init__(self, on_drop: Callable[[], None] | None = None) -> None:
        self._on_drop = on_drop
        self._resolved = trio.Event()
        self._result: Ok | Err | None = None
        self._consumed = False

    def resolve(self, result: Ok | Err) -> None:
        """`Ok(IncomingResponse)`, or `Err` of an error-code."""
        assert self._result is None
        self._result = result
        self._resolved.set()

    def ready(self) -> bool:
        return self._result is not None

    async def wait(self) -> None:
        await self._resolved.wait()

    def subscribe(self) -> Pollable:
        return Pollable(self)

    def get(self) -> Ok | Err | None:
        """`option<result<result<incoming-response, error-code>>>`: the answer once, an error from then on."""
        if self._result is None:
            return None
        if self._consumed:
            return Err()
        self._consumed = True
        return Ok(self._result)

    def drop(self) -> None:
        if self._on_drop is not None and not self._consumed:
            self._on_drop()


def _sink(headers: Fields, bytes_max: int, size_case: str, budget: Budget | None) -> BodySink:
    try:
        return BodySink(content_length(headers), bytes_max, size_case, budget)
    except ValueError:
        raise Err from None
