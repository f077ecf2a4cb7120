"""What an HTTP route leads to where its component speaks WASI 0.3.

exchange -> HandlerCall -> an instance, which may be serving others too -> HandlerCall.respond -> exchange
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edged.errors import EdgedError
from edged.host.chain import Chain
from edged.host.wasi3.http.call import HandlerCall
from edged.http.exchange import ClientGone, Exchange
from edged.http.router import RouteMatch, spin_headers
from edged.triggers.component import TriggerComponent


@dataclass(frozen=True, slots=True)
class AsyncGuestTarget:
    """A component that exports wasi:http/handler."""

    guest: TriggerComponent

    @property
    def component(self) -> str:
        return self.guest.id

    async def handle(self, exchange: Exchange, match: RouteMatch[Any], chain: Chain | None) -> None:
        """See `edged.triggers.target.HttpTarget`. Returns when the guest has ended, which may be after its response."""
        guest = self.guest
        pool, invocation = guest.pool, guest.invocation(chain)
        call = HandlerCall(exchange, spin_headers(match, exchange.request), pool.limits, invocation.budget)
        try:
            instance = await pool.acquire(invocation)
            try:
                await instance.call(guest.exports["http"].export, call.request, returned=call.respond)
            finally:
                pool.release(instance)
            call.conclude()
        except EdgedError as error:
            if call.client_gone:
                raise ClientGone from error
            error.request_id = invocation.request_id
            raise
        finally:
            call.close()
            invocation.close()
