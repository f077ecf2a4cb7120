"""The bytes of a request: its head, framed by what is known of its body, and the body as it comes."""

from __future__ import annotations

import h11

from edged.host.http.error import HttpError
from edged.host.http.transport import OutboundRequest
from edged.host.http_client.failure import PROTOCOL_ERROR
from edged.http.exchange import Header
from edged.limits import WRITE_BUFFER_BYTES

_MAY_LACK_BODY = frozenset({"GET", "HEAD"})
_SHOULD_HAVE_LENGTH = frozenset({"POST", "PUT", "PATCH"})
# We never wait for a `100 Continue`, so none is asked for. The length is said once, by us.
_NOT_SENT = frozenset({b"content-length", b"expect"})


class Upload:
    """Turns one request into bytes, about `WRITE_BUFFER_BYTES` at a time.

    Attributes:
        complete: all of it was given out.
        taken: something of the body was, and could not be given to another connection.
    """

    __slots__ = ("_body", "_chunked", "_protocol", "_request", "complete", "taken")

    def __init__(self, protocol: h11.Connection, request: OutboundRequest) -> None:
        self._protocol = protocol
        self._request = request
        self._body = request.body
        self._chunked = False
        self.complete = False
        self.taken = False

    def start(self) -> bytes:
        """The head, and what is there of the body.

        Raises:
            ClientGone: the body was dropped before its end.
            HttpError: the request cannot be sent.
        """
        request, body = self._request, self._body
        first = b"" if body is None else body.receive_nowait(WRITE_BUFFER_BYTES)
        length = 0 if body is None else body.length
        if body is not None and length is None and first is None and request.method in _MAY_LACK_BODY:
            # Guests take the body of every request. Chunks in a GET confuse servers, so one whose body has neither
            # begun nor ended is sent without: hyper, and with it Spin, does likewise.
            body.close()
            first, length = b"", 0
        headers: list[Header] = [(b"host", (request.authority or request.host).encode())]
        headers += [header for header in request.headers if header[0] not in _NOT_SENT]
        if length is None:
            self._chunked = True
            headers.append((b"transfer-encoding", b"chunked"))
        elif length or request.method in _SHOULD_HAVE_LENGTH:
            headers.append((b"content-length", b"%d" % length))
        try:
            head = self._send(h11.Request(method=request.method, target=request.target, headers=headers))
        except h11.LocalProtocolError:
            raise HttpError(PROTOCOL_ERROR) from None
        return head + self._more(first)

    async def wait_next(self) -> bytes:
        """More of the body, once there is some. Same errors."""
        assert self._body is not None
        return self._more(await self._body.receive(WRITE_BUFFER_BYTES))

    def _more(self, data: bytes | None) -> bytes:
        sent: list[bytes] = []
        room = WRITE_BUFFER_BYTES
        body = self._body
        while data:
            self.taken = True
            sent.append(self._send(h11.Data(data=data)))
            room -= len(data)
            if room <= 0:
                return b"".join(sent)
            assert body is not None
            data = body.receive_nowait(room)
        if data is not None:
            self.complete = True
            trailers = list(body.trailers()) if self._chunked and body is not None else []
            sent.append(self._send(h11.EndOfMessage(headers=trailers)))
        return b"".join(sent)

    def _send(self, event: h11.Event) -> bytes:
        data = self._protocol.send(event)
        assert data is not None
        return data
