"""`resource request`, `response` and `request-options` of `wasi:http/types` 0.3.

One class serves both directions: a request that came to the guest, and one that it makes; what it received it may send
on. Who made the message shows in `sent`: the future that tells a guest what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.host.budget import Budget
from edged.host.channel import FutureReader, Pieces, StreamReader
from edged.host.http.error import CONNECTION_TERMINATED, ErrorCode
from edged.host.http.request_line import Method, RequestLine, Scheme
from edged.host.interface import Err, Ok, Resource
from edged.host.wasi3.http.fields import Fields
from edged.host.wasi3.http.received_body import ReceivedBody, ReceivedTrailers
from edged.host.wasi3.promise import Promise
from edged.http.exchange import Exchange, Header

Body = tuple[StreamReader, FutureReader[Ok | Err]]
"""`tuple<stream<u8>, future<result<option<trailers>, error-code>>>`."""


class Message(Resource):
    """What requests and responses have in common. Consumes its headers, which cannot change any more.

    Args:
        contents: None for an empty body.
        sent: of a message that a guest made; None where it was received.
    """

    __slots__ = ("contents", "fields", "sent", "trailers")

    def __init__(
        self,
        fields: Fields,
        contents: StreamReader | None,
        trailers: FutureReader[Ok | Err],
        sent: Promise | None = None,
    ) -> None:
        fields.mutable = False
        self.fields = fields
        self.contents = contents
        self.trailers = trailers
        self.sent = sent

    def get_headers(self) -> Fields:
        return self.fields.view()

    def consume(self, result: FutureReader[Ok | Err]) -> Body:
        """The static `consume-body`: of the message, only the body is left.

        Args:
            result: what the guest thinks of the body. Whoever made the message is told, where that is a guest.
        """
        self.fields.drop()
        if self.sent is None:
            result.close()
        else:
            self.sent.follow(result, Err(CONNECTION_TERMINATED))
        return self.contents or Pieces(), self.trailers

    def abandon(self, code: ErrorCode) -> None:
        """It goes nowhere: its body is not read, and a guest that made it is told why."""
        self.fields.drop()
        if self.contents is not None:
            self.contents.close()
        self.trailers.close()
        if self.sent is not None:
            self.sent.resolve(Err(code))

    def drop(self) -> None:
        self.abandon(CONNECTION_TERMINATED)


class Request(Message):
    """`resource request`."""

    __slots__ = ("line", "options")

    def __init__(
        self,
        fields: Fields,
        contents: StreamReader | None,
        trailers: FutureReader[Ok | Err],
        options: RequestOptions | None = None,
        sent: Promise | None = None,
        *,
        line: RequestLine | None = None,
    ) -> None:
        super().__init__(fields, contents, trailers, sent)
        self.line = line or RequestLine()
        self.options = options

    @classmethod
    def received(
        cls, exchange: Exchange, extra_headers: Sequence[Header], body: ReceivedBody, budget: Budget | None = None
    ) -> Request:
        """Of an exchange.

        Args:
            extra_headers: added after the client's (`spin-*`).
            budget: pays for what the guest makes of its headers.
        """
        head = exchange.request
        fields = Fields.received([*head.headers, *extra_headers], budget)
        return cls(fields, body, ReceivedTrailers(body), line=RequestLine.received(head))

    def get_method(self) -> Method:
        return self.line.method

    def set_method(self, method: Method) -> None:
        self.line.set_method(method)

    def get_path_with_query(self) -> str | None:
        return self.line.path_with_query

    def set_path_with_query(self, path_with_query: str | None) -> None:
        self.line.set_path_with_query(path_with_query)

    def get_scheme(self) -> Scheme | None:
        return self.line.scheme

    def set_scheme(self, scheme: Scheme | None) -> None:
        self.line.set_scheme(scheme)

    def get_authority(self) -> str | None:
        return self.line.authority

    def set_authority(self, authority: str | None) -> None:
        self.line.set_authority(authority)

    def get_options(self) -> RequestOptions | None:
        return None if self.options is None else self.options.view()


class Response(Message):
    """`resource response`."""

    __slots__ = ("status",)

    def __init__(
        self,
        fields: Fields,
        contents: StreamReader | None,
        trailers: FutureReader[Ok | Err],
        sent: Promise | None = None,
        status: int = 200,
    ) -> None:
        super().__init__(fields, contents, trailers, sent)
        self.status = status

    def get_status_code(self) -> int:
        return self.status

    def set_status_code(self, status_code: int) -> None:
        """Raises Err for what is no status code (RFC 9110 15: three digits)."""
        if not 100 <= status_code <= 999:
            raise Err
        self.status = status_code


class RequestOptions(Resource):
    """`resource request-options`. Durations are nanoseconds; None leaves the choice to the host."""

    __slots__ = ("_between_bytes", "_connect", "_first_byte", "_mutable")

    def __init__(
        self,
        connect: int | None = None,
        first_byte: int | None = None,
        between_bytes: int | None = None,
        *,
        mutable: bool = True,
    ) -> None:
        self._connect = connect
        self._first_byte = first_byte
        self._between_bytes = between_bytes
        self._mutable = mutable

    def get_connect_timeout(self) -> int | None:
        return self._connect

    def set_connect_timeout(self, duration: int | None) -> None:
        """Raises Err of `request-options-error`, as all setters."""
        self._check_mutable()
        self._connect = duration

    def get_first_byte_timeout(self) -> int | None:
        return self._first_byte

    def set_first_byte_timeout(self, duration: int | None) -> None:
        self._check_mutable()
        self._first_byte = duration

    def get_between_bytes_timeout(self) -> int | None:
        return self._between_bytes

    def set_between_bytes_timeout(self, duration: int | None) -> None:
        self._check_mutable()
        self._between_bytes = duration

    def clone(self) -> RequestOptions:
        return RequestOptions(self._connect, self._first_byte, self._between_bytes)

    def view(self) -> RequestOptions:
        """The same, immutable."""
        return RequestOptions(self._connect, self._first_byte, self._between_bytes, mutable=False)

    def _check_mutable(self) -> None:
        if not self._mutable:
            raise Err("immutable")
