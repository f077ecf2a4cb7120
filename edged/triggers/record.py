"""The HTTP trigger's oldest form: a request with a whole body in, a response with a whole body out.

It is what guests of Spin 1 export, as `fermyon:spin/inbound-http` or `handle-http-request`. The body is read before
there is an instance, so that a client that sends slowly holds none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edged.errors import EdgedError, GuestResponseInvalid, Overloaded
from edged.host.chain import Chain
from edged.http.exchange import Exchange, Header
from edged.http.router import RouteMatch, spin_headers
from edged.limits import (
    FIELD_OVERHEAD_BYTES,
    FIELDS_BYTES_MAX,
    READ_CHUNK_BYTES,
    WHOLE_BODIES_HELD_BYTES_MAX,
    WHOLE_BODY_BYTES_MAX,
    GuestLimits,
)
from edged.triggers.component import TriggerComponent
from edged.triggers.target import answer

_METHODS = {name.upper(): name for name in ("get", "post", "put", "delete", "patch", "head", "options")}
"""Method as sent -> case of `enum method`. Of others the interface has no word."""
_NOT_ALLOWED = 405
_STATUS_MIN, _STATUS_MAX = 200, 600  # 600 as in Spin; an interim response is none that a guest could give


class RecordTarget:
    """A component that takes a request as one value and gives a response as one.

    Args:
        held_bytes_max: of request bodies at once; one more piece is `Overloaded`.
    """

    def __init__(self, guest: TriggerComponent, held_bytes_max: int = WHOLE_BODIES_HELD_BYTES_MAX) -> None:
        self.guest = guest
        self._held_bytes_max = held_bytes_max
        self.held_bytes = 0
        """Of request bodies, now."""

    @property
    def component(self) -> str:
        return self.guest.id

    async def handle(self, exchange: Exchange, match: RouteMatch[Any], chain: Chain | None) -> None:
        method = _METHODS.get(exchange.request.method)
        if method is None:
            await answer(exchange, _NOT_ALLOWED)
            return
        body = bytearray()
        try:
            await self._read(exchange, body)
            response = await self._call(exchange, match, chain, method, bytes(body))
        finally:
            self.held_bytes -= len(body)
        await answer(exchange, *response)

    async def _read(self, exchange: Exchange, body: bytearray) -> None:
        """Gather the request's body. What is in `body` counts as held, whatever happens."""
        exchange.request_body_bytes_max = min(self.guest.pool.limits.request_body_bytes_max, WHOLE_BODY_BYTES_MAX)
        while piece := await exchange.receive(READ_CHUNK_BYTES):
            if self.held_bytes + len(piece) > self._held_bytes_max:
                raise Overloaded(
                    f"requests to this component hold {self.held_bytes} bytes of bodies, as many as may be"
                )
            body += piece
            self.held_bytes += len(piece)

    async def _call(
        self, exchange: Exchange, match: RouteMatch[Any], chain: Chain | None, method: str, body: bytes
    ) -> tuple[int, list[Header], bytes]:
        guest, request = self.guest, exchange.request
        headers = _headers([*request.headers, *spin_headers(match, request)], request.authority)
        invocation = guest.invocation(chain)
        try:
            instance = await guest.pool.acquire(invocation)
            try:
                # What was in the path is in `spin-path-match-*`; Spin has left `params` empty for years.
                status, fields, content = await instance.call(
                    guest.exports["http"].export, (method, request.target, headers, (), body)
                )
            finally:
                guest.pool.release(instance)  # a client that reads slowly holds no instance
            return _checked(status, fields or (), content or b"", guest.pool.limits)
        except EdgedError as error:
            error.request_id = invocation.request_id
            raise
        finally:
            invocation.close()


def _checked(
    status: int, fields: Sequence[tuple[str, str]], content: bytes, limits: GuestLimits
) -> tuple[int, list[Header], bytes]:
    """A guest's response as an exchange takes it, which looks at the rest.

    Raises:
        GuestResponseInvalid: it is no final one, or too large.
    """
    if not _STATUS_MIN <= status <= _STATUS_MAX:
        raise GuestResponseInvalid(f"{status} is not the status of a final response")
    if len(content) > min(limits.response_body_bytes_max, WHOLE_BODY_BYTES_MAX):
        raise GuestResponseInvalid(f"the response's body has {len(content)} bytes, which is more than may be")
    headers = [(name.lower().encode(), value.encode()) for name, value in fields]
    if sum(len(name) + len(value) + FIELD_OVERHEAD_BYTES for name, value in headers) > FIELDS_BYTES_MAX:
        raise GuestResponseInvalid(f"the response's headers have more than {FIELDS_BYTES_MAX} bytes")
    return status, headers, content


def _headers(headers: Sequence[Header], authority: str) -> list[tuple[str, str]]:
    """Names and values as text, as the interface has them. The host is among them, as HTTP/1.1 has it."""
    text = [(name.decode("ascii"), value.decode("utf-8", "replace")) for name, value in headers]
    return text if any(name == "host" for name, _ in text) else [("host", authority), *text]
