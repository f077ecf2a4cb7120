"""Service chaining: a component's request to another component of its app, or to the app's own routes.

    guest -> OutgoingHandler -> LocalTransport -> LocalExchange -> HttpTrigger -> another guest

| authority                                    | who answers                                |
|----------------------------------------------|--------------------------------------------|
| `COMPONENT.spin.internal`                    | that component, whatever its routes are    |
| `self`, or none (a path alone)               | whoever the app's routes lead to           |

Nothing leaves the process. Who may call whom is `allowed_outbound_hosts`, which the handler has asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from edged.host.chain import Chain, ChainTooDeep, ChainTooWide
from edged.host.http.error import HttpError
from edged.host.http.transport import SERVICES, OutboundRequest, Respond
from edged.http.exchange import OURS, ClientGone, Handler, Header, RequestHead
from edged.http.handling import run_handler
from edged.triggers.http import HttpTrigger
from edged.triggers.local_exchange import LocalExchange

_CLIENT = ("0.0.0.0", 0)  # noqa: S104 - Spin's word for no address; nothing is bound to it


class LocalTransport:
    """See `edged.host.http.transport.Transport`. `trigger` is set when the app has been loaded."""

    def __init__(self) -> None:
        self.trigger: HttpTrigger | None = None

    async def send(self, request: OutboundRequest, respond: Respond) -> None:
        try:
            with request.chain.call() as chain:
                await self._send(request, respond, chain)
        except ChainTooDeep:
            raise HttpError("loop-detected") from None
        except ChainTooWide:
            raise HttpError("connection-limit-reached") from None

    async def _send(self, request: OutboundRequest, respond: Respond, chain: Chain) -> None:
        is_service = request.host.endswith(SERVICES)
        headers: list[Header] = [] if is_service else [(b"host", b"self")]
        headers += _without_ours(request.headers)
        if request.body is not None and request.body.length is not None:
            headers.append((b"content-length", b"%d" % request.body.length))
        head = RequestHead(
            method=request.method,
            scheme=request.scheme,
            authority=request.host or "self",
            target=request.target,
            http_version="1.1",
            headers=headers,
            client=_CLIENT,
        )
        exchange = LocalExchange(head, request.body, respond)
        try:
            handler = self._handler(request, chain, is_service=is_service)
            await exchange.conclude(await run_handler(handler, exchange))
        except ClientGone:
            exchange.leave()

    def _handler(self, request: OutboundRequest, chain: Chain, *, is_service: bool) -> Handler:
        trigger = self.trigger
        assert trigger is not None, "guests run once their app is loaded"
        if not is_service:
            return partial(trigger.handle, chain=chain)
        service = request.host.removesuffix(SERVICES)
        if service not in trigger.services:
            raise HttpError("destination-not-found")
        return partial(trigger.handle_service, service, chain=chain)


def _without_ours(headers: Sequence[Header]) -> list[Header]:
    """What a component may tell another: as from a client, no `spin-*`. The length is said once, by us."""
    return [field for field in headers if field[0] != b"content-length" and not field[0].startswith(OURS)]
