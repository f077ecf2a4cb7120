"""The HTTP trigger's oldest form: a request with a whole body in, a response with a whole body out.

It is what guests of Spin 1 export, as `fermyon:spin/inbound-http` or `handle-http-request`. The body is read before
there is an instance, so that a client that sends slowly holds none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edged.errors import EdgedError, GuestResponseInvalid
from edged.host.chain import Chain
from edged.http.exchange import Exchange, Header
from edged.http.router import RouteMatch, spin_headers
from edged.limits import READ_CHUNK_BYTES, WHOLE_BODY_BYTES_MAX
from edged.triggers.component import TriggerComponent
from edged.triggers.target import answer

_METHODS = {name.upper(): name for name in ("get", "post", "put", "delete", "patch", "head", "options")}
"""Method as sent -> case of `enum method`. Of others the interface has no word."""
_NOT_ALLOWED = 405


@dataclass(frozen=True, slots=True)
class RecordTarget:
    """A component that takes a request as one value and gives a response as one."""

    guest: TriggerComponent

    @property
    def component(self) -> str:
        return self.guest.id

    async def handle(self, exchange: Exchange, match: RouteMatch[Any], chain: Chain | None) -> None:
        guest, request = self.guest, exchange.request
        limits = guest.pool.limits
        method = _METHODS.get(request.method)
        if method is None:
            await answer(exchange, _NOT_ALLOWED)
            return
        exchange.request_body_bytes_max = min(limits.request_body_bytes_max, WHOLE_BODY_BYTES_MAX)
        body = await _body(exchange)
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
            content = content or b""
            if len(content) > min(limits.response_body_bytes_max, WHOLE_BODY_BYTES_MAX):
                raise GuestResponseInvalid(f"the response's body has {len(content)} bytes, which is more than may be")
            await answer(
                exchange, status, [(name.lower().encode(), value.encode()) for name, value in fields or ()], content
            )
        except EdgedError as error:
            error.request_id = invocation.request_id
            raise
        finally:
            invocation.close()


async def _body(exchange: Exchange) -> bytes:
    pieces: list[bytes] = []
    while piece := await exchange.receive(READ_CHUNK_BYTES):
        pieces.append(piece)
    return b"".join(pieces)


def _headers(headers: Sequence[Header], authority: str) -> list[tuple[str, str]]:
    """Names and values as text, as the interface has them. The host is among them, as HTTP/1.1 has it."""
    text = [(name.decode("ascii"), value.decode("utf-8", "replace")) for name, value in headers]
    return text if any(name == "host" for name, _ in text) else [("host", authority), *text]
