"""What an HTTP route leads to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edged.errors import EdgedError
from edged.host.chain import Chain
from edged.host.http.call import HttpCall
from edged.http.exchange import ClientGone, Exchange, Header
from edged.http.router import RouteMatch, spin_headers
from edged.manifest.model import StaticResponse
from edged.triggers.component import TriggerComponent


class HttpTarget(Protocol):
    """Answers exchanges.

    Attributes:
        component: id of the component behind it, or None.
    """

    @property
    def component(self) -> str | None: ...

    async def handle(self, exchange: Exchange, match: RouteMatch[Any], chain: Chain | None) -> None:
        """Answer one request.

        Args:
            chain: the request's place among calls of guests; None for a client's.

        Raises:
            EdgedError, ClientGone, BodyError: see `edged.http.exchange.Handler`.
        """


@dataclass(frozen=True, slots=True)
class GuestTarget:
    """A component that exports wasi:http/incoming-handler."""

    guest: TriggerComponent

    @property
    def component(self) -> str:
        return self.guest.id

    async def handle(self, exchange: Exchange, match: RouteMatch[Any], chain: Chain | None) -> None:
        guest = self.guest
        pool, invocation = guest.pool, guest.invocation(chain)
        call = HttpCall(exchange, spin_headers(match, exchange.request), pool.limits, invocation.budget)
        try:
            instance = await pool.acquire(invocation, call.settle)
            try:
                await instance.call(guest.exports["http"].export, call.request, call.outparam())
                call.returned()
            finally:
                pool.release(instance)  # a client that reads slowly holds no instance
            await call.settle()
        except EdgedError as error:
            if call.client_gone:
                raise ClientGone from error
            error.request_id = invocation.request_id
            raise
        finally:
            invocation.close()


@dataclass(frozen=True, slots=True)
class StaticTarget:
    """The same answer to every request."""

    response: StaticResponse

    @property
    def component(self) -> None:
        return None

    async def handle(self, exchange: Exchange, _match: RouteMatch[Any], _chain: Chain | None) -> None:
        headers = [(name.encode(), value.encode()) for name, value in self.response.headers]
        await answer(exchange, self.response.status_code, headers, self.response.body)


async def answer(exchange: Exchange, status: int, headers: Sequence[Header] = (), body: bytes = b"") -> None:
    """A whole response."""
    exchange.respond(status, headers)
    capacity = exchange.write_capacity()
    for start in range(0, len(body), max(capacity, 1)):
        exchange.write(body[start : start + capacity])
        if start + capacity < len(body):
            await exchange.flush()
    await exchange.finish()
